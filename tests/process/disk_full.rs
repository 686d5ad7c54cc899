//! A full disk: a one-shot ends with exit code 9, a node pauses and goes on when there is room.
//!
//! The small disk is a tmpfs in a mount namespace of its own, so only the super-user has it; for
//! others the tests say that they are skipped.

use std::process::{Command, Stdio};

use crate::harness::{Answer, Daemon, MIB, Swarm, column, noise, root, until};

const SIZE: usize = 12 * MIB;

/// Whether a file system can be mounted where nobody else sees it.
fn may_mount() -> bool {
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
    let mut command = cramped(&swarm);
    command.args(["node", "--headless", "--listen", "127.0.0.1", "--data", "small"]);
    command.args(["--tracker", &tracker.addr(), "--name", "bob"]);
    let bob = Guard(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let inside = |words: &[&str]| {
        let mut command = Command::new("nsenter");
        command.current_dir(swarm.path()).args(["-t", &bob.0.id().to_string(), "-m", "--"]);
        Answer::from(command.args(words).output().unwrap())
    };
    let data = swarm.path().join("small");
    let ctl = |words: &[&str]| {
        let to = [env!("CARGO_BIN_EXE_parvi"), "ctl", "--json", "--data", data.to_str().unwrap()];
        inside(&[&to, words].concat())
    };
    until("bob serves", || (ctl(&["stats"]).code == 0).then_some(()));
    let parvi = [env!("CARGO_BIN_EXE_parvi"), "ctl", "--data", data.to_str().unwrap()];
    assert_eq!(inside(&[&parvi[..], &["download", "film"]].concat()).code, 0);
    let state = |wanted: &str| {
        until(&format!("it is {wanted}"), || {
            let row = ctl(&["transfers"]).json()[0].clone();
            (row["state"] == wanted).then_some(row)
        })
    };
    let row = state("paused");
    assert!(row["reason"].as_str().unwrap().starts_with("disk full"), "{row}");
    let grown = inside(&["mount", "-o", "remount,size=64m", data.to_str().unwrap()]);
    assert_eq!(grown.code, 0, "{grown:?}");
    state("done");
    let list = ctl(&["list", "downloaded"]).json();
    assert_eq!(list[0]["root"], root(&noise(3, SIZE)).as_str());
    assert_eq!(ctl(&["exit"]).code, 0);
}
