//! A tracker that is started again knows at once what it knew, and says that it is stale.

use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use crate::daemon::{Answer, Daemon};
use crate::disk_full::may_mount;
use crate::harness::{Swarm, column, own_address, read, until};

fn at_port(swarm: &Swarm, name: &str, addr: &str) -> Daemon {
    swarm.start(name, &["tracker", "--listen", addr], &[])
}

/// Waits until `words` stand in the index on the disk of the tracker called so.
#[track_caller]
fn written(swarm: &Swarm, tracker: &str, words: &[&str]) {
    until(&format!("{words:?} are on the tracker's disk"), || {
        let index = std::fs::read(swarm.data(tracker).join(".parvi/index")).ok()?;
        let has = |word: &&str| memchr::memmem::find(&index, word.as_bytes()).is_some();
        words.iter().all(has).then_some(())
    });
}

fn stale(rows: &Value) -> Vec<bool> {
    rows.as_array().unwrap().iter().map(|row| row["stale"].as_bool().unwrap()).collect()
}

#[test]
fn a_killed_tracker_answers_at_once_before_any_node_is_back() {
    let swarm = Swarm::new();
    swarm.put("alice", "film", "a film");
    let tracker = at_port(&swarm, "tracker", &format!("{}:0", own_address()));
    let addr = tracker.addr();
    let (alice, bob) = (swarm.node("alice", &tracker), swarm.node("bob", &tracker));
    tracker.peers(2);
    written(&swarm, "tracker", &["alice", "bob", "film"]);
    let frozen = [&alice, &bob];
    frozen.iter().for_each(|node| node.signal(Signal::STOP));
    tracker.kill();

    let tracker = at_port(&swarm, "tracker", &addr);
    let files = tracker.json(&["files"]);
    assert_eq!((column(&files, "name"), stale(&files)), (vec!["film"], vec![true]), "{files}");
    assert_eq!((&files[0]["copies"], &files[0]["owners"][0]), (&0.into(), &"alice".into()));
    let peers = tracker.json(&["peers"]);
    assert_eq!((column(&peers, "node"), stale(&peers)), (vec!["alice", "bob"], vec![true; 2]));
    let stats = tracker.json(&["stats"]);
    assert_eq!((&stats["peers"], &stats["stale"]), (&0.into(), &2.into()));
    assert!(tracker.ctl(&["files"]).out.contains("alice (stale)"));
    assert!(tracker.ctl(&["peers"]).out.contains("stale: before the tracker's start"));
    assert!(tracker.said().contains("1 files of 2 nodes from before"), "{}", tracker.said());

    frozen.iter().for_each(|node| node.signal(Signal::CONT));
    until("both are back", || (stale(&tracker.json(&["peers"])) == [false; 2]).then_some(()));
    until("the film is alice's again", || {
        let files = tracker.json(&["files"]);
        (stale(&files) == [false] && files[0]["copies"] == 1).then_some(())
    });
    assert!(!tracker.said().contains("exited"), "{}", tracker.said());
}

#[test]
fn what_is_stale_is_a_hint_good_enough_to_fetch_also_from_a_copied_directory() {
    let swarm = Swarm::new();
    swarm.put("alice", "film", "a film");
    let tracker = swarm.tracker();
    let alice = swarm.node("alice", &tracker);
    written(&swarm, "tracker", &["alice", "film"]);
    let [from, to] = ["tracker", "copy"].map(|name| swarm.data(name).join(".parvi"));
    std::fs::create_dir_all(&to).unwrap();
    for file in ["id", "index"] {
        std::fs::copy(from.join(file), to.join(file)).unwrap();
    }
    // alice never registers here.
    let copy = at_port(&swarm, "copy", "127.0.0.1:0");
    assert_eq!(stale(&copy.json(&["files"])), [true]);
    let got = swarm.get("film", "out", &copy, &[]);
    assert_eq!(got.code, 0, "{got:?}");
    assert_eq!(read(&swarm.path().join("out/film")), b"a film");
    // A node at the copy is told as well, and that it may be old.
    let bob = swarm.node("bob", &copy);
    let peers = bob.peers(1);
    assert_eq!((column(&peers, "node"), stale(&peers)), (vec!["alice"], vec![true]));
    assert_eq!(stale(&bob.json(&["files"])), [true]);
    bob.finds("film", 1);
    assert_eq!(stale(&tracker.json(&["files"])), [false], "the first one knows nothing of it");
    alice.kill();
    bob.ctl(&["lookup", "film"]).refused(4, "has not heard it since the tracker's start");
    bob.ctl(&["show", "alice"]).refused(4, "has not heard it since the tracker's start");
}

#[test]
fn what_was_shared_last_is_there_after_an_exit() {
    let swarm = Swarm::new();
    let tracker = swarm.tracker();
    let alice = swarm.node("alice", &tracker);
    swarm.put("alice", "film", "a film");
    until("the film is known", || {
        (column(&tracker.json(&["files"]), "name") == ["film"]).then_some(())
    });
    tracker.exit();
    alice.signal(Signal::STOP);
    let tracker = swarm.tracker();
    assert_eq!(column(&tracker.json(&["files"]), "name"), ["film"]);
    alice.signal(Signal::CONT);
}

#[test]
fn what_is_damaged_is_told_and_kept_aside() {
    let swarm = Swarm::new();
    swarm.put("alice", "film", "a film");
    let tracker = swarm.tracker();
    let alice = swarm.node("alice", &tracker);
    written(&swarm, "tracker", &["alice", "film"]);
    tracker.kill();
    alice.kill();
    let index = swarm.data("tracker").join(".parvi/index");
    let mut bytes = read(&index);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&index, &bytes).unwrap();
    let tracker = swarm.tracker();
    assert_eq!(tracker.json(&["peers"]), serde_json::json!([]));
    tracker.tells("damaged");
    assert!(read(Path::new(&format!("{}.bad", index.display()))) == bytes);
}

#[test]
fn a_full_disk_is_told_once_and_the_tracker_goes_on() {
    if !may_mount() {
        return;
    }
    let swarm = Swarm::new();
    std::fs::create_dir(swarm.path().join("small")).unwrap();
    let script = "mount -t tmpfs -o size=64k none small && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.current_dir(swarm.path()).args(["-m", "sh", "-c", script, "sh"]);
    command.arg(env!("CARGO_BIN_EXE_parvi")).args(["tracker", "--listen", "127.0.0.1:0"]);
    let tracker = swarm.start_by("small", command, &[]);
    let pid = tracker.child.id().to_string();
    let inside = |words: &[&str]| {
        let mut command = Command::new("nsenter");
        command.current_dir(swarm.path()).args(["-t", &pid, "-m", "--"]).args(words);
        Answer::from(command.output().unwrap())
    };
    for n in 0..2_000 {
        swarm.put("alice", &format!("{n}"), "x");
    }
    let _alice = swarm.node("alice", &tracker);
    tracker.tells("cannot write the index");
    let small = swarm.data("small");
    let (small, index) = (small.to_str().unwrap(), small.join(".parvi/index"));
    let ctl = [env!("CARGO_BIN_EXE_parvi"), "ctl", "--data", small, "--json"];
    until("all files are known all the same", || {
        let stats = inside(&[&ctl[..], &["stats"]].concat()).json();
        (stats["files"] == 2_000).then_some(())
    });
    let grown = inside(&["mount", "-o", "remount,size=4m", small]);
    assert_eq!(grown.code, 0, "{grown:?}");
    until("it is written when there is room", || {
        let found = inside(&["grep", "-c", "1999", index.to_str().unwrap()]);
        (found.code == 0).then_some(())
    });
    assert_eq!(tracker.said().matches("cannot write the index").count(), 1, "{}", tracker.said());
}
