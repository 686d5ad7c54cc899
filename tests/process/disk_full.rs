//! A full disk: a one-shot ends with exit code 9, a node pauses and goes on when there is room.
//!
//! The small disk is a tmpfs in a mount namespace of its own, so only the super-user has it; for
//! others the tests say that they are skipped.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::{Answer, Daemon, MIB, Swarm, column, noise, root, until};

const SIZE: usize = 12 * MIB;

/// Whether a file system can be mounted where nobody else sees it.
pub fn may_mount() -> bool {
    let tried =
        Command::new("unshare").args(["-m", "mount", "-t", "tmpfs", "none", "/mnt"]).output();
    let may = tried.is_ok_and(|answer| answer.status.success());
    if !may {
        eprintln!("skipped: to mount a small file system one needs to be root (unshare -m)");
    }
    may
}

/// alice, whose film is larger than the disk.
fn film(swarm: &Swarm) -> (Daemon, Daemon) {
    swarm.put("alice", "film", noise(3, SIZE));
    let tracker = swarm.tracker();
    let alice = swarm.node("alice", &tracker);
    until("the tracker knows the film", || {
        column(&tracker.json(&["files"]), "name").contains(&"film").then_some(())
    });
    (tracker, alice)
}

/// parvi with `small`, a folder of the swarm, on a disk of 8 MiB.
fn cramped(swarm: &Swarm) -> Command {
    std::fs::create_dir(swarm.path().join("small")).unwrap();
    let script = "mount -t tmpfs -o size=8m none small && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.current_dir(swarm.path()).args(["-m", "sh", "-c", script, "sh"]);
    command.arg(env!("CARGO_BIN_EXE_parvi"));
    command
}

#[test]
fn for_a_one_shot_it_is_exit_code_9() {
    if !may_mount() {
        return;
    }
    let swarm = Swarm::new();
    let (tracker, _alice) = film(&swarm);
    let mut command = cramped(&swarm);
    command.args(["get", "film", "--out", "small", "--tracker", &tracker.addr()]);
    Answer::from(command.output().unwrap()).refused(9, "free some space and ask again");
}

/// bob, whose data directory is on a disk of 8 MiB, and who downloads the film.
struct Bob {
    process: Guard,
    folder: PathBuf,
    data: PathBuf,
}

impl Bob {
    fn start(swarm: &Swarm, tracker: &Daemon) -> Bob {
        let mut command = cramped(swarm);
        command.args(["node", "--headless", "--listen", "127.0.0.1", "--data", "small"]);
        command.args(["--tracker", &tracker.addr(), "--name", "bob"]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let (folder, data) = (swarm.path().to_owned(), swarm.path().join("small"));
        let bob = Bob { process: Guard(child), folder, data };
        until("bob serves", || (bob.ctl(&["stats"]).code == 0).then_some(()));
        assert_eq!(bob.ctl(&["request", "film"]).code, 0);
        bob
    }

    /// The film's row, once it is in this state.
    #[track_caller]
    fn row(&self, state: &str) -> Value {
        until(&format!("it is {state}"), || {
            let row = self.ctl(&["transfers", "--json"]).json()[0].clone();
            (row["state"] == state).then_some(row)
        })
    }

    /// Runs a command where his disk is.
    fn inside(&self, words: &[&str]) -> Answer {
        let mut command = Command::new("nsenter");
        let pid = self.process.0.id().to_string();
        command.current_dir(&self.folder).args(["-t", &pid, "-m", "--"]);
        Answer::from(command.args(words).output().unwrap())
    }

    fn ctl(&self, words: &[&str]) -> Answer {
        let to = [env!("CARGO_BIN_EXE_parvi"), "ctl", "--data", self.data.to_str().unwrap()];
        self.inside(&[&to, words].concat())
    }
}

/// A process that does not outlive the test.
struct Guard(std::process::Child);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn a_node_pauses_says_why_and_goes_on_when_there_is_room() {
    if !may_mount() {
        return;
    }
    let swarm = Swarm::new();
    let (tracker, _alice) = film(&swarm);
    let bob = Bob::start(&swarm, &tracker);
    let row = bob.row("paused");
    assert!(row["reason"].as_str().unwrap().starts_with("disk full"), "{row}");
    let grown = bob.inside(&["mount", "-o", "remount,size=64m", bob.data.to_str().unwrap()]);
    assert_eq!(grown.code, 0, "{grown:?}");
    bob.row("done");
    let list = bob.ctl(&["list", "downloaded", "--json"]).json();
    assert_eq!(list[0]["root"], root(&noise(3, SIZE)).as_str());
    assert_eq!(bob.ctl(&["exit"]).code, 0);
}

#[test]
fn a_download_that_is_cancelled_while_it_waits_for_room_leaves_nothing() {
    if !may_mount() {
        return;
    }
    let swarm = Swarm::new();
    let (tracker, _alice) = film(&swarm);
    let bob = Bob::start(&swarm, &tracker);
    let id = bob.row("paused")["id"].to_string();
    let parts = bob.data.join(".parvi/parts");
    // What an earlier try left, when there was room for it.
    let part = parts.join(format!("{}.{SIZE}.part", root(&noise(3, SIZE))));
    assert_eq!(bob.inside(&["cp", "/etc/passwd", part.to_str().unwrap()]).code, 0);
    assert_eq!(bob.ctl(&["cancel", &id]).code, 0);
    bob.row("cancelled");
    assert_eq!(bob.inside(&["ls", "-A", parts.to_str().unwrap()]).out, "");
}
