//! The orders of downloads, or the list of what one of them brings, cannot be written: the person is
//! told, downloads go on all the same, and both are written as soon as they can be.
//!
//! What is in the way is a folder or a file of the wrong kind, which stops the super-user as well;
//! and, for the super-user alone, a disk that is full or read-only.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::disk_full::may_mount;
use crate::harness::{Answer, Daemon, MIB, Swarm, noise, read, until};

const FILM: usize = 8 * MIB;
const UNKEPT: &str = "a restart would not go on with all downloads; it is tried again";
const KEPT: &str = "the orders of downloads are written again";
/// Slow enough to be killed after the orders are written.
const SLOW: [&str; 2] = ["--down", "512KiB"];

/// alice, who has a film of some size and a song of a few bytes in one folder, and another film.
fn alice(swarm: &Swarm, tracker: &Daemon) -> Daemon {
    swarm.put("alice", "another", noise(3, FILM));
    swarm.put("alice", "d/film", noise(1, FILM));
    swarm.put("alice", "d/song", noise(2, 100));
    swarm.node("alice", tracker)
}

/// Orders `name`, which must be taken although that cannot be written.
#[track_caller]
fn order(bob: &Daemon, name: &str) {
    let answer = bob.ctl(&["download", name]);
    assert_eq!(answer.code, 0, "{answer:?}");
}

#[track_caller]
fn done(bob: &Daemon, name: &str) {
    let done = |t: &Value| t["name"] == name && t["state"] == "done";
    bob.transfer(&format!("{name} arrives"), done);
}

fn orders(bob: &Daemon) -> PathBuf {
    bob.data.join(".parvi/downloads.toml")
}

/// After a kill bob goes on with his film by himself.
fn goes_on_after_a_kill(swarm: &Swarm, tracker: &Daemon, bob: Daemon, name: &str) {
    bob.transfer("the film is on its way", |t| t["name"] == name && t["state"] != "done");
    bob.kill();
    let bob = swarm.node("bob", tracker);
    bob.tells(&format!("of {name} goes on"));
    done(&bob, name);
    assert!(read(&swarm.downloaded("bob", "d/film")) == noise(1, FILM));
}

#[test]
fn orders_that_cannot_be_written_are_told_and_written_when_they_can_be() {
    let swarm = Swarm::new();
    let tracker = swarm.tracker();
    let (_alice, bob) = (alice(&swarm, &tracker), swarm.node_with("bob", &tracker, &SLOW));
    ["d/film", "d/song"].iter().for_each(|name| drop(bob.finds(name, 1)));
    fs::create_dir(orders(&bob)).unwrap();
    order(&bob, "d/film");
    bob.tells(&format!("cannot write {}", orders(&bob).display()));
    bob.tells(UNKEPT);
    order(&bob, "d/song");
    done(&bob, "d/song");
    assert!(read(&swarm.downloaded("bob", "d/song")) == noise(2, 100));
    assert_eq!(bob.said().matches(UNKEPT).count(), 1, "one is enough: {}", bob.said());
    assert_eq!(half_written(&orders(&bob)), [""; 0]);

    fs::remove_dir(orders(&bob)).unwrap();
    bob.tells(KEPT);
    goes_on_after_a_kill(&swarm, &tracker, bob, "d/film");
}

/// What tries have left beside the file at `path`.
fn half_written(path: &Path) -> Vec<String> {
    let all = fs::read_dir(path.parent().unwrap()).unwrap();
    let names = all.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with(".tmp")).collect()
}

#[test]
fn a_list_that_cannot_be_kept_is_told_and_written_when_it_can_be() {
    let swarm = Swarm::new();
    let tracker = swarm.tracker();
    let (_alice, bob) = (alice(&swarm, &tracker), swarm.node_with("bob", &tracker, &SLOW));
    ["another", "d/film", "d/song"].iter().for_each(|name| drop(bob.finds(name, 1)));
    let lists = bob.data.join(".parvi/lists");
    fs::write(&lists, "in the way").unwrap();
    order(&bob, "d");
    bob.tells("cannot keep what d stands for");
    bob.tells(UNKEPT);
    // What can be written is, of this download and of later ones.
    order(&bob, "another");
    until("the orders themselves are there", || {
        let text = fs::read_to_string(orders(&bob)).ok()?;
        ["\"d\"", "\"another\""].iter().all(|name| text.contains(name)).then_some(())
    });

    fs::remove_file(&lists).unwrap();
    bob.tells(KEPT);
    let text = fs::read_to_string(orders(&bob)).unwrap();
    let kept = fs::read_dir(&lists).unwrap().map(|list| list.unwrap().file_name());
    let kept: Vec<String> = kept.map(|list| list.into_string().unwrap()).collect();
    assert!(kept.len() == 2 && kept.iter().all(|list| text.contains(list)), "{kept:?}: {text}");
    goes_on_after_a_kill(&swarm, &tracker, bob, "d");
}

/// bob, whose data directory is on a disk of 16 MiB that nobody else has.
fn bob_on_a_disk(swarm: &Swarm, tracker: &Daemon) -> Daemon {
    let data = swarm.data("bob");
    fs::create_dir(&data).unwrap();
    let script = "mount -t tmpfs -o size=16m none bob && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.current_dir(swarm.path()).args(["-m", "sh", "-c", script, "sh"]);
    command.arg(env!("CARGO_BIN_EXE_parvi"));
    command.args(["node", "--headless", "--listen", "127.0.0.1", "--heartbeat", "1"]);
    command.args(["--name", "bob", "--tracker", &tracker.addr(), "--data"]).arg(&data);
    let (out, err) = (swarm.path().join("bob.out"), swarm.path().join("bob.err"));
    let file = |path| fs::File::create(path).unwrap();
    let child = command.stdin(Stdio::null()).stdout(file(&out)).stderr(file(&err)).spawn().unwrap();
    // As he sees it.
    let root = PathBuf::from(format!("/proc/{}/root", child.id()));
    let data = root.join(data.strip_prefix("/").unwrap());
    let bob = Daemon { child, data, ready: String::new(), out, err };
    bob.tells("ready ");
    bob
}

/// Runs a command in bob's data directory.
#[track_caller]
fn inside(bob: &Daemon, swarm: &Swarm, script: &str) {
    let mut command = Command::new("nsenter");
    let script = format!("cd '{}' && {script}", swarm.data("bob").display());
    command.args(["-t", &bob.child.id().to_string(), "-m", "--", "sh", "-c", &script]);
    let answer = Answer::from(command.output().unwrap());
    assert_eq!(answer.code, 0, "{answer:?}");
}

#[test]
fn on_a_full_disk_the_orders_and_the_download_wait_for_room_and_both_are_told() {
    if !may_mount() {
        return;
    }
    let swarm = Swarm::new();
    let tracker = swarm.tracker();
    let (_alice, bob) = (alice(&swarm, &tracker), bob_on_a_disk(&swarm, &tracker));
    bob.finds("d/film", 1);
    inside(&bob, &swarm, "! cat /dev/zero > filler 2> /dev/null");
    order(&bob, "d/film");
    bob.tells("No space left on device");
    bob.tells(UNKEPT);
    let full = |t: &Value| {
        t["state"] == "paused" && t["reason"].as_str().unwrap().starts_with("disk full")
    };
    bob.transfer("it waits for room, and says so", full);
    inside(&bob, &swarm, "rm filler");
    bob.tells(KEPT);
    done(&bob, "d/film");
    assert!(read(&bob.data.join("downloaded/d/film")) == noise(1, FILM));
}

#[test]
fn where_only_the_orders_are_read_only_the_download_goes_on() {
    if !may_mount() {
        return;
    }
    let swarm = Swarm::new();
    let tracker = swarm.tracker();
    let (_alice, bob) = (alice(&swarm, &tracker), bob_on_a_disk(&swarm, &tracker));
    bob.finds("d/film", 1);
    // The parts are opened through a folder that was open before, which stays writable.
    inside(&bob, &swarm, "mount --bind .parvi .parvi && mount -o remount,bind,ro .parvi");
    order(&bob, "d/film");
    bob.tells("Read-only file system");
    bob.tells(UNKEPT);
    done(&bob, "d/film");
    assert!(read(&bob.data.join("downloaded/d/film")) == noise(1, FILM));
    inside(&bob, &swarm, "umount .parvi");
    bob.tells(KEPT);
}
