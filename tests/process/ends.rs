//! How nodes end: killed, asked to, told to; and what the tracker says of it.

use rustix::process::Signal;

use crate::harness::{Daemon, MIB, Swarm, noise, read, until};

/// alice, who sends slowly, and bob, who is downloading her film.
fn busy(swarm: &Swarm, up: &str, size: usize) -> (Daemon, Daemon, Daemon) {
    swarm.put("alice", "film", noise(1, size));
    let tracker = swarm.tracker();
    let alice = swarm.node_with("alice", &tracker, &["--up", up]);
    let bob = swarm.node("bob", &tracker);
    bob.finds("film", 1);
    assert_eq!(bob.ctl(&["download", "film"]).code, 0);
    alice.transfer("the upload moves", |t| t["dir"] == "up" && t["state"] == "moving");
    bob.transfer("the download moves", |t| t["done"].as_u64() > Some(0));
    alice.peers(1);
    (tracker, alice, bob)
}

#[test]
fn the_tracker_tells_a_farewell_from_a_crash() {
    let swarm = Swarm::new();
    let tracker = swarm.tracker();
    let alice = swarm.node("alice", &tracker);
    let bob = swarm.node("bob", &tracker);
    tracker.peers(2);
    tracker.tells("alice joined");
    alice.kill();
    tracker.tells("alice exited not intentionally");
    bob.exit();
    tracker.tells("bob exited intentionally");
    tracker.peers(0);
    let said = tracker.said();
    let line = said.lines().find(|line| line.contains("bob exited")).unwrap();
    let stamp = line.split(' ').next().unwrap();
    assert!(stamp.len() == 10 && stamp.starts_with('[') && stamp.ends_with(']'), "{line}");
}

#[test]
fn a_frozen_node_is_dropped_after_its_silence_and_listed_again_when_it_wakes() {
    let swarm = Swarm::new();
    let tracker = swarm.tracker();
    let alice = swarm.node("alice", &tracker);
    tracker.peers(1);
    alice.signal(Signal::STOP);
    tracker.tells("alice exited not intentionally");
    tracker.peers(0);
    alice.signal(Signal::CONT);
    tracker.peers(1);
}

#[test]
fn sigterm_ends_everything_gracefully() {
    let swarm = Swarm::new();
    let (mut tracker, mut alice, mut bob) = busy(&swarm, "1MiB", 32 * MIB);
    alice.signal(Signal::TERM);
    assert_eq!(alice.ended().code(), Some(0));
    tracker.tells("alice exited intentionally");
    bob.signal(Signal::INT);
    assert_eq!(bob.ended().code(), Some(0));
    tracker.tells("bob exited intentionally");
    tracker.signal(Signal::TERM);
    assert_eq!(tracker.ended().code(), Some(0));
    for data in ["tracker", "alice", "bob"] {
        assert!(!swarm.data(data).join(".parvi/ctl.sock").exists(), "{data} left its socket");
    }
    assert!(!swarm.downloaded("bob", "film").exists(), "half a film has its name");
}

#[test]
fn exit_names_what_moves_and_waits_for_it() {
    let swarm = Swarm::new();
    let (_tracker, mut alice, bob) = busy(&swarm, "3MiB", 9 * MIB);
    let answer = alice.ctl(&["exit"]);
    assert_eq!(answer.code, 0, "{answer:?}");
    assert!(answer.err.contains("waiting for these to finish"), "{answer:?}");
    assert!(answer.err.contains("film") && answer.err.contains("to bob"), "{answer:?}");
    assert_eq!(alice.ended().code(), Some(0));
    bob.transfer("the film has arrived", |t| t["state"] == "done");
    assert!(read(&swarm.downloaded("bob", "film")) == noise(1, 9 * MIB));
}

#[test]
fn a_second_exit_insists() {
    let swarm = Swarm::new();
    let (_tracker, mut alice, bob) = busy(&swarm, "1MiB", 64 * MIB);
    let mut first = alice.command(&["exit"]).stderr(std::process::Stdio::null()).spawn().unwrap();
    until("alice leaves", || {
        let answer = alice.ctl(&["download", "anything"]);
        answer.err.contains("leaving").then_some(())
    });
    let had = bob.json(&["transfers"])[0]["done"].as_u64().unwrap();
    bob.transfer("more arrives", |t| t["done"].as_u64() > Some(had + MIB as u64));
    assert_eq!(alice.child.try_wait().unwrap(), None, "the first exit waits");
    assert_eq!(alice.ctl(&["exit"]).code, 0);
    assert_eq!(alice.ended().code(), Some(0));
    until("the first exit returns", || first.try_wait().unwrap());
    let row = bob.transfer("bob waits for alice", |t| t["state"] == "waiting");
    assert!(!row["reason"].as_str().unwrap().is_empty(), "{row}");
    assert_eq!(bob.ctl(&["exit"]).code, 0, "what only waits does not hold up an exit");
}

#[test]
fn exit_does_not_wait_for_what_waits_and_who_waits_for_that_is_told_that_it_can_go_on() {
    let swarm = Swarm::new();
    let (_tracker, alice, mut bob) = busy(&swarm, "1MiB", 64 * MIB);
    let mut patient = bob.command(&["download", "film", "--wait"]);
    let patient = patient.stderr(std::process::Stdio::piped()).spawn().unwrap();
    alice.kill();
    bob.transfer("bob waits for alice", |t| t["state"] == "waiting");
    assert_eq!(bob.ctl(&["exit"]).code, 0);
    assert_eq!(bob.ended().code(), Some(0));
    let answer = patient.wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&answer.stderr);
    assert_eq!(answer.status.code(), Some(7), "{words}");
    assert!(words.contains("what arrived is kept, download it again to go on"), "{words}");
}
