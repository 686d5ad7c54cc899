//! A transfer that was begun is finished, whoever is killed in between, and nobody types a command.

use serde_json::Value;

use crate::harness::{Daemon, MIB, Swarm, noise, read, until};

const SIZE: usize = 12 * MIB;
/// How long a requester may be away before alice calls.
const ACK_TIMEOUT: &str = "2";

fn alice(swarm: &Swarm, tracker: &Daemon) -> Daemon {
    swarm.node_with("alice", tracker, &["--up", "4MiB", "--ack-timeout", ACK_TIMEOUT])
}

/// alice, who sends slowly, and bob, who has a good part of her film.
fn begun(swarm: &Swarm) -> (Daemon, Daemon, Daemon) {
    swarm.put("alice", "film", noise(1, SIZE));
    let tracker = swarm.tracker();
    let (alice, bob) = (alice(swarm, &tracker), swarm.node("bob", &tracker));
    bob.finds("film", 1);
    assert_eq!(bob.ctl(&["download", "film"]).code, 0);
    bob.transfer("a part is there", |t| t["done"].as_u64() > Some(2 * MIB as u64));
    (tracker, alice, bob)
}

#[track_caller]
fn arrives(swarm: &Swarm, bob: &Daemon) {
    bob.transfer("the film has arrived", |t| t["state"] == "done");
    assert!(read(&swarm.downloaded("bob", "film")) == noise(1, SIZE));
}

/// alice's row about bob, once it says `words`.
#[track_caller]
fn waits(alice: &Daemon, words: &str) -> Value {
    alice.transfer(words, |t| {
        t["dir"] == "up"
            && t["state"] == "waiting"
            && t["reason"].as_str().is_some_and(|reason| reason.contains(words))
    })
}

#[test]
fn a_killed_requester_goes_on_by_itself_and_its_owner_says_that_it_waits() {
    let swarm = Swarm::new();
    let (tracker, alice, bob) = begun(&swarm);
    bob.kill();
    assert!(!swarm.downloaded("bob", "film").exists(), "half a film has its name");
    let row = waits(&alice, "the requester is not there");
    assert!(row["done"].as_u64() > Some(0) && row["attempt"] == 1, "{row}");
    let bob = swarm.node("bob", &tracker);
    until("bob says that it goes on", || bob.said().contains("of film goes on").then_some(()));
    arrives(&swarm, &bob);
    alice.transfer_gone("the upload is over");
    let stats = alice.json(&["stats"]);
    let up = stats["bytes_up"].as_u64().unwrap();
    assert!(up < (SIZE + 3 * MIB) as u64, "{up} bytes were sent for {SIZE}");
    let count = |group: &str, name: &str| stats[group][name].as_u64();
    assert_eq!(
        (count("uploads", "begun"), count("uploads", "done")),
        (Some(1), Some(1)),
        "{stats}"
    );
    assert!(count("uploads", "interrupted") >= Some(1), "{stats}");
    assert!(count("retries", "uploads_reopened") >= Some(1), "{stats}");
    assert!(bob.json(&["stats"])["retries"]["downloads_reopened"].as_u64() >= Some(1));
}

#[test]
fn a_transfer_survives_the_death_of_both_its_ends() {
    let swarm = Swarm::new();
    let (tracker, first_alice, bob) = begun(&swarm);
    first_alice.kill();
    bob.kill();
    let bob = swarm.node("bob", &tracker);
    bob.transfer("bob waits for alice", |t| t["state"] == "waiting");
    let _alice = alice(&swarm, &tracker);
    arrives(&swarm, &bob);
}

#[test]
fn a_graceful_end_keeps_a_download_for_the_next_start() {
    let swarm = Swarm::new();
    let (tracker, _alice, mut bob) = begun(&swarm);
    assert_eq!(bob.ctl(&["exit", "--now"]).code, 0);
    assert_eq!(bob.ended().code(), Some(0));
    let bob = swarm.node("bob", &tracker);
    arrives(&swarm, &bob);
}

#[test]
fn what_was_paused_is_paused_and_what_was_cancelled_is_gone_after_a_restart() {
    let swarm = Swarm::new();
    let (tracker, _alice, bob) = begun(&swarm);
    let id = bob.json(&["transfers"])[0]["id"].to_string();
    assert_eq!(bob.ctl(&["pause", &id]).code, 0);
    bob.kill();
    let bob = swarm.node("bob", &tracker);
    let row = bob.transfer("it is still paused", |t| t["state"] == "paused");
    assert_eq!(bob.ctl(&["resume", &row["id"].to_string()]).code, 0);
    arrives(&swarm, &bob);
    bob.kill();
    let bob = swarm.node("bob", &tracker);
    assert_eq!(
        bob.json(&["transfers"]),
        Value::Array(Vec::new()),
        "what is over is not begun again"
    );
}

#[test]
fn what_an_owner_has_begun_is_in_its_log_until_it_is_over() {
    let swarm = Swarm::new();
    let (tracker, first_alice, bob) = begun(&swarm);
    bob.kill();
    waits(&first_alice, "the requester is not there");
    first_alice.kill();
    let first_alice = alice(&swarm, &tracker);
    let row = waits(&first_alice, "the requester is not there");
    assert!(row["name"] == "film" && row["total"] == SIZE && row["attempt"] == 1, "{row}");
    let bob = swarm.node("bob", &tracker);
    arrives(&swarm, &bob);
    first_alice.transfer_gone("the upload is over");
    first_alice.kill();
    let again = alice(&swarm, &tracker);
    assert_eq!(again.json(&["transfers"]), Value::Array(Vec::new()), "what is over stays so");
}

#[test]
fn a_person_can_read_and_check_the_log() {
    let swarm = Swarm::new();
    let (_tracker, alice, _bob) = begun(&swarm);
    let data = alice.data.to_str().unwrap().to_owned();
    let dump = swarm.run(&["wal", "dump", &data]);
    assert!(dump.code == 0 && dump.out.contains(": film, 12582912 bytes, attempt 1"), "{dump:?}");
    let verify = swarm.run(&["wal", "verify", &data]);
    assert!(verify.code == 0 && verify.out.contains("records"), "{verify:?}");
    alice.kill();
    let log = alice_log(&swarm);
    let mut bytes = read(&log);
    let middle = bytes.len() / 2;
    bytes[200..middle].fill(0x55);
    crate::harness::write(&log, &bytes);
    let verify = swarm.run(&["wal", "verify", &data]);
    assert_eq!(verify.code, 5, "{verify:?}");
    assert!(verify.err.contains("is damaged"), "{verify:?}");
    swarm.run(&["wal", "dump", "/nowhere"]).refused(3, "there is no log in /nowhere");
}

/// The first segment of alice's log.
fn alice_log(swarm: &Swarm) -> std::path::PathBuf {
    let folder = swarm.data("alice").join(".parvi/wal");
    let mut all: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    all.retain(|path| path.extension().is_some_and(|end| end == "seg"));
    all.sort();
    all.remove(0)
}
