//! One transfer is held to a rate of its own while the others go on, and is let go again.
//!
//! No clock is asked: another file, from an owner who is slower by far, arrives first. Owners send at
//! a bounded rate, so that there is time to say something in the middle.

use serde_json::Value;

use crate::harness::{Daemon, MIB, Swarm, noise, read};

const SIZE: usize = 8 * MIB;
const OTHER: usize = 5 * MIB;
/// At this rate the film would take two hours.
const TINY: &str = "1KiB";

/// The owners of a film and of another file, and bob, who has a part of the film; and its row.
fn begun(swarm: &Swarm, owners: &[&str]) -> (Daemon, Vec<Daemon>, Daemon, Value) {
    let tracker = swarm.tracker();
    owners.iter().for_each(|owner| swarm.put(owner, "film", noise(1, SIZE)));
    swarm.put("dave", "other", noise(2, OTHER));
    let owner = |owner: &&str| swarm.node_with(owner, &tracker, &["--up", "4MiB"]);
    let mut owners: Vec<Daemon> = owners.iter().map(owner).collect();
    let bob = swarm.node("bob", &tracker);
    bob.finds("film", owners.len());
    owners.push(swarm.node_with("dave", &tracker, &["--up", "1MiB"]));
    bob.finds("other", 1);
    assert_eq!(bob.ctl(&["download", "film"]).code, 0);
    let row = bob.transfer("a part is there", |t| t["done"].as_u64() > Some(MIB as u64));
    (tracker, owners, bob, row)
}

/// The other film arrives before this one, which then says what it is held to.
#[track_caller]
fn the_other_arrives_first(swarm: &Swarm, bob: &Daemon) {
    bob.json(&["download", "other"]);
    assert!(read(&swarm.downloaded("bob", "other")) == noise(2, OTHER));
    assert!(!swarm.downloaded("bob", "film").exists(), "it is not held to its limit");
}

#[track_caller]
fn arrives(swarm: &Swarm, bob: &Daemon) {
    let row = bob.transfer("the film has arrived", |t| t["name"] == "film" && t["state"] == "done");
    assert_eq!(row["limit"], Value::Null, "what is over is held to nothing");
    assert!(read(&swarm.downloaded("bob", "film")) == noise(1, SIZE));
}

#[test]
fn a_download_is_held_to_its_limit_over_all_its_owners_until_that_is_lifted() {
    let swarm = Swarm::new();
    let (_tracker, _owners, bob, row) = begun(&swarm, &["alice", "carol"]);
    let id = row["id"].to_string();
    assert_eq!(row["limit"], Value::Null);
    assert_eq!(bob.json(&["limit", &id, TINY])["limit"], 1_024);
    the_other_arrives_first(&swarm, &bob);
    let row = bob.transfer("it shows its limit", |t| t["name"] == "film");
    assert_eq!(row["limit"], 1_024, "{row}");
    assert!(bob.ctl(&["transfers"]).out.contains("limit 1.0 KiB/s"));
    assert_eq!(bob.ctl(&["limit", &id, "off"]).out, format!("transfer {id} not limited\n"));
    arrives(&swarm, &bob);
    bob.ctl(&["limit", &id, TINY]).refused(1, "download 1 of film is over");
}

#[test]
fn a_download_keeps_its_limit_over_a_kill_and_a_restart_until_it_is_lifted() {
    let swarm = Swarm::new();
    let (tracker, _owners, bob, row) = begun(&swarm, &["alice"]);
    let id = row["id"].to_string();
    assert_eq!(bob.json(&["limit", &id, TINY])["limit"], 1_024);
    bob.kill();
    let bob = swarm.node("bob", &tracker);
    let moves = |t: &Value| t["name"] == "film" && t["state"] == "moving";
    let row = bob.transfer("it goes on", moves);
    assert_eq!(row["limit"], 1_024, "{row}");
    the_other_arrives_first(&swarm, &bob);
    let id = row["id"].to_string();
    assert_eq!(bob.ctl(&["pause", &id]).code, 0);
    assert_eq!(bob.json(&["limit", &id, "off"])["limit"], Value::Null);
    bob.kill();
    let bob = swarm.node("bob", &tracker);
    let row = bob.transfer("it is still paused", |t| t["state"] == "paused");
    assert_eq!(row["limit"], Value::Null, "{row}: what was lifted has come back");
    assert_eq!(bob.ctl(&["resume", &row["id"].to_string()]).code, 0);
    arrives(&swarm, &bob);
}

#[test]
fn an_upload_is_held_to_its_limit_also_when_the_requester_comes_again() {
    let swarm = Swarm::new();
    let (_tracker, owners, bob, down) = begun(&swarm, &["alice"]);
    let (alice, down) = (&owners[0], down["id"].to_string());
    let row = alice.transfer("the upload", |t| t["dir"] == "up");
    assert_eq!(alice.json(&["limit", &row["id"].to_string(), TINY])["limit"], 1_024);
    the_other_arrives_first(&swarm, &bob);
    assert_eq!(bob.ctl(&["pause", &down]).code, 0);
    alice.transfer_gone("the upload ends with the pause");
    assert_eq!(bob.ctl(&["resume", &down]).code, 0);
    let row = alice.transfer("it is there again", |t| t["dir"] == "up");
    assert_eq!(row["limit"], 1_024, "{row}");
    let id = row["id"].to_string();
    assert_eq!(alice.json(&["limit", &id, "off"])["limit"], Value::Null);
    arrives(&swarm, &bob);
    alice.transfer_gone("the upload is over");
    alice.ctl(&["limit", &id, TINY]).refused(1, &format!("transfer {id} is over"));
}

#[test]
fn what_cannot_be_limited_is_said() {
    let swarm = Swarm::new();
    let tracker = swarm.tracker();
    let alice = swarm.node("alice", &tracker);
    alice.ctl(&["limit", "99", "1MiB"]).refused(3, "there is no transfer 99; see `transfers`");
    alice.ctl(&["limit", "99", "fast"]).refused(2, "usage: limit ID RATE|off");
    alice.ctl(&["limit", "99", "1000"]).refused(2, "at least 1KiB");
    alice.ctl(&["limit", "99"]).refused(2, "limit needs RATE");
    tracker.ctl(&["limit", "1", "1MiB"]).refused(2, "there is no command limit");
}
