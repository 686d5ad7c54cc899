//! A download that is held or killed goes on where it was: no verified chunk twice.
//!
//! Owners send at a bounded rate, so that there is time to interrupt; the bound is above what a
//! chunk (256 KiB here) needs, so that nothing waits long.

use rustix::process::{Signal, kill_process};
use serde_json::Value;

use crate::harness::{Answer, Daemon, MIB, Swarm, noise, pid, read, sent};

const SIZE: usize = 12 * MIB;

fn slow(swarm: &Swarm) -> (Daemon, Daemon, Daemon) {
    swarm.put("alice", "film", noise(1, SIZE));
    let tracker = swarm.tracker();
    let alice = swarm.node_with("alice", &tracker, &["--up", "4MiB"]);
    let bob = swarm.node("bob", &tracker);
    bob.finds("film", 1);
    (tracker, alice, bob)
}

/// Begins the download and waits until a good part is there; returns its row.
fn begun(bob: &Daemon) -> Value {
    assert_eq!(bob.ctl(&["download", "film"]).code, 0);
    bob.transfer("a part of the film is there", |t| t["done"].as_u64() > Some(2 * MIB as u64))
}

/// The rest arrives, and the part that was there is not sent again.
#[track_caller]
fn completes(swarm: &Swarm, bob: &Daemon, had: &Value) {
    let report = bob.json(&["download", "film"]);
    let (sent, had) = (sent(&report), had["done"].as_u64().unwrap());
    assert!(sent <= SIZE as u64 - had, "{sent} bytes were sent though {had} were there");
    assert!(sent > 0, "the interruption came too late to show anything: {report}");
    assert!(read(&swarm.downloaded("bob", "film")) == noise(1, SIZE));
}

#[test]
fn a_paused_download_stands_still_and_resumes() {
    let swarm = Swarm::new();
    let (_tracker, alice, bob) = slow(&swarm);
    let id = begun(&bob)["id"].to_string();
    assert_eq!(bob.json(&["pause", &id])["state"], "paused");
    let row = bob.transfer("it is paused", |t| t["state"] == "paused");
    assert!(row["reason"].as_str().unwrap().contains(&format!("resume {id}")), "{row}");
    alice.transfer_gone("the upload ends with the pause");
    let later = bob.transfer("it is paused", |t| t["state"] == "paused");
    assert_eq!(later["done"], row["done"], "bytes move in a paused download");

    assert_eq!(bob.json(&["resume", &id])["state"], "resumed");
    let row = bob.transfer("it is done", |t| t["state"] == "done");
    assert_eq!(row["done"], SIZE);
    assert!(read(&swarm.downloaded("bob", "film")) == noise(1, SIZE));
    let up = alice.json(&["stats"])["bytes_up"].as_u64().unwrap();
    assert!(up < SIZE as u64 * 3 / 2, "{up} bytes were sent");
}

#[test]
fn a_killed_requester_goes_on_where_it_was() {
    let swarm = Swarm::new();
    let (tracker, _alice, bob) = slow(&swarm);
    let row = begun(&bob);
    bob.kill();
    assert!(!swarm.downloaded("bob", "film").exists(), "half a film has its name");
    let bob = swarm.node("bob", &tracker);
    bob.finds("film", 1);
    completes(&swarm, &bob, &row);
}

#[test]
fn an_owner_that_dies_is_replaced_and_one_that_returns_is_used_again() {
    let swarm = Swarm::new();
    let (tracker, alice, bob) = slow(&swarm);
    let row = begun(&bob);
    alice.kill();
    let waits = bob.transfer("bob waits", |t| t["state"] == "waiting");
    assert!(!waits["reason"].as_str().unwrap().is_empty(), "{waits}");
    let alice = swarm.node("alice", &tracker);
    let done = bob.transfer("it is done", |t| t["state"] == "done");
    assert_eq!(done["done"], SIZE);
    assert!(read(&swarm.downloaded("bob", "film")) == noise(1, SIZE));
    let up = alice.json(&["stats"])["bytes_up"].as_u64().unwrap();
    let had = row["done"].as_u64().unwrap();
    assert!(up <= SIZE as u64 - had + MIB as u64, "{up} bytes were sent though {had} were there");
}

#[test]
fn nothing_is_named_before_it_is_whole() {
    let swarm = Swarm::new();
    let (_tracker, _alice, bob) = slow(&swarm);
    begun(&bob);
    let parts = swarm.data("bob").join(".parvi/parts");
    assert_eq!(std::fs::read_dir(parts).unwrap().count(), 1);
    assert_eq!(std::fs::read_dir(swarm.downloaded("bob", "")).unwrap().count(), 0);
    assert_eq!(bob.json(&["list", "downloaded"]), Value::Array(Vec::new()));
}

#[test]
fn ctrl_c_ends_the_waiting_of_ctl_and_not_the_download() {
    let swarm = Swarm::new();
    let (_tracker, _alice, bob) = slow(&swarm);
    let mut command = bob.command(&["download", "film", "--wait"]);
    let asker = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    bob.transfer("it moves", |t| t["done"].as_u64() > Some(0));
    kill_process(pid(&asker), Signal::INT).unwrap();
    let answer = Answer::from(asker.wait_with_output().unwrap());
    answer.refused(7, "the download goes on in the node");
    bob.transfer("it is done", |t| t["state"] == "done");
    assert!(read(&swarm.downloaded("bob", "film")) == noise(1, SIZE));
}
