//! A download that is given up leaves nothing behind, but for what another one wants; one that
//! stands still, or whose node ends, keeps what it has.
//!
//! Owners send at a bounded rate, so that there is time to interrupt.

use std::process::Stdio;

use serde_json::Value;

use crate::harness::{Daemon, MIB, Swarm, noise, read, sent, until};

const SIZE: usize = 12 * MIB;
const PHOTOS: usize = 60;

/// alice, who has a film under two names and an album of small files, and bob.
fn slow(swarm: &Swarm) -> (Daemon, Daemon, Daemon) {
    swarm.put("alice", "film", noise(1, SIZE));
    swarm.put("alice", "film again", noise(1, SIZE));
    for n in 0..PHOTOS {
        swarm.put("alice", &format!("album/{n}"), noise(n as u8 + 2, 100_000));
    }
    let tracker = swarm.tracker();
    let alice = swarm.node_with("alice", &tracker, &["--up", "4MiB"]);
    let bob = swarm.node("bob", &tracker);
    bob.finds("film", 1);
    bob.finds("film again", 1);
    until("the album is found", || {
        let answer = bob.ctl(&["--json", "lookup", "album"]);
        (answer.code == 0 && answer.json().as_array()?.len() == PHOTOS).then_some(())
    });
    (tracker, alice, bob)
}

/// Begins a download and waits until some of it is there; returns its row.
fn begun(bob: &Daemon, name: &str) -> Value {
    assert_eq!(bob.ctl(&["download", name]).code, 0);
    bob.transfer("a part is there", |t| t["done"].as_u64() > Some(2 * MIB as u64))
}

/// The names of what is on its way at bob.
fn parts(swarm: &Swarm) -> Vec<String> {
    let parts = std::fs::read_dir(swarm.data("bob").join(".parvi/parts")).unwrap();
    parts.map(|part| part.unwrap().file_name().into_string().unwrap()).collect()
}

/// Gives a download up; it says so, and nothing is left of it.
#[track_caller]
fn leaves_nothing(swarm: &Swarm, bob: &Daemon, id: &str) {
    assert_eq!(bob.ctl(&["cancel", id]).code, 0);
    let row = bob.transfer("it is cancelled", |t| t["state"] == "cancelled");
    assert_eq!(row["id"].to_string(), id);
    assert!(row["reason"].as_str().unwrap().contains("was cancelled"), "{row}");
    assert_eq!(parts(swarm), Vec::<String>::new());
    bob.ctl(&["cancel", id]).refused(1, "is over");
}

#[test]
fn a_large_file_that_is_given_up_leaves_nothing_and_may_be_begun_again() {
    let swarm = Swarm::new();
    let (_tracker, _alice, bob) = slow(&swarm);
    let id = begun(&bob, "film")["id"].to_string();
    assert_eq!(parts(&swarm).len(), 1);
    leaves_nothing(&swarm, &bob, &id);
    assert!(!swarm.downloaded("bob", "film").exists());
    assert_eq!(bob.ctl(&["resume", &id]).code, 0);
    bob.transfer("it has arrived", |t| t["state"] == "done");
    assert!(read(&swarm.downloaded("bob", "film")) == noise(1, SIZE));
}

#[test]
fn a_batch_that_is_given_up_leaves_nothing() {
    let swarm = Swarm::new();
    let (_tracker, _alice, bob) = slow(&swarm);
    let id = begun(&bob, "album")["id"].to_string();
    let folder = swarm.data("bob").join(".parvi/parts").join(&parts(&swarm)[0]);
    let small = std::fs::read_dir(folder).unwrap().count();
    assert!((1..PHOTOS).contains(&small), "{small} small files are not the middle of a batch");
    leaves_nothing(&swarm, &bob, &id);
}

#[test]
fn what_another_download_wants_is_kept_for_it() {
    let swarm = Swarm::new();
    let (_tracker, _alice, bob) = slow(&swarm);
    let row = begun(&bob, "film");
    let (id, had) = (row["id"].to_string(), row["done"].as_u64().unwrap());
    assert_eq!(bob.ctl(&["download", "film again"]).code, 0);
    bob.transfer("the other waits for the part", |t| {
        t["name"] == "film again" && t["reason"].as_str().unwrap().contains("downloaded already")
    });
    assert_eq!(bob.ctl(&["cancel", &id]).code, 0);
    bob.transfer("the first is given up", |t| t["state"] == "cancelled");
    let report = bob.json(&["download", "film again"]);
    let sent = sent(&report);
    assert!(sent <= SIZE as u64 - had, "{sent} bytes were sent though {had} were there");
    assert!(read(&swarm.downloaded("bob", "film again")) == noise(1, SIZE));
    assert_eq!(parts(&swarm), Vec::<String>::new());
}

#[test]
fn one_that_stands_still_keeps_what_it_has_over_a_restart_until_it_is_given_up() {
    let swarm = Swarm::new();
    let (tracker, alice, bob) = slow(&swarm);
    let id = begun(&bob, "film")["id"].to_string();
    assert_eq!(bob.ctl(&["pause", &id]).code, 0);
    bob.transfer("it is paused", |t| t["state"] == "paused");
    bob.exit();
    assert_eq!(parts(&swarm).len(), 1, "the node's end is no word of the person");
    // Nobody is there who could say what the film is.
    alice.kill();
    let bob = swarm.node("bob", &tracker);
    let row = bob.transfer("it is still paused", |t| t["state"] == "paused");
    assert_eq!(parts(&swarm).len(), 1);
    leaves_nothing(&swarm, &bob, &row["id"].to_string());
    bob.exit();
    assert_eq!(std::fs::read_dir(swarm.data("bob").join(".parvi/lists")).unwrap().count(), 0);
}

#[test]
fn one_that_is_given_up_while_the_node_waits_to_end_leaves_nothing() {
    let swarm = Swarm::new();
    let (tracker, _alice, mut bob) = slow(&swarm);
    let id = begun(&bob, "film")["id"].to_string();
    let mut leaving = bob.command(&["exit"]).stderr(Stdio::null()).spawn().unwrap();
    until("bob leaves", || bob.ctl(&["download", "album"]).err.contains("leaving").then_some(()));
    assert_eq!(bob.ctl(&["cancel", &id]).code, 0);
    until("the exit returns", || leaving.try_wait().unwrap());
    assert_eq!(bob.ended().code(), Some(0));
    assert_eq!(parts(&swarm), Vec::<String>::new());
    let bob = swarm.node("bob", &tracker);
    assert_eq!(bob.json(&["transfers"]), Value::Array(Vec::new()), "it is not begun again");
}

#[test]
fn what_a_killed_node_had_no_time_to_remove_goes_at_its_next_start() {
    let swarm = Swarm::new();
    let (tracker, _alice, bob) = slow(&swarm);
    begun(&bob, "film");
    bob.kill();
    assert_eq!(parts(&swarm).len(), 1);
    // As a kill between the word of the person and the tidying leaves it.
    std::fs::write(swarm.data("bob").join(".parvi/downloads.toml"), "download = []\n").unwrap();
    let _bob = swarm.node("bob", &tracker);
    assert_eq!(parts(&swarm), Vec::<String>::new());
}
