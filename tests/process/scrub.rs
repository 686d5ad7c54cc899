//! Files that rot on the disk: found, offered to nobody, and had again.
//!
//! Rot is made while the node is down: a byte is flipped, and the node's cache of hashes is told that the
//! file was hashed in the very state that it is in now, so that nothing but reading it can find out.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde_json::Value;

use crate::harness::{Daemon, Swarm, noise, read, root, until};

const SIZE: usize = 3_000_000;

/// Flips a byte of `folder/name`.
fn rot(data: &Path, folder: &str, name: &str) {
    let path = data.join(folder).join(name);
    let mut bytes = read(&path);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    let meta = path.metadata().unwrap();
    let cache = data.join(".parvi/catalogue");
    let mut cached = read(&cache);
    // What stands behind the name in the cache: see `io/index/cache.rs`.
    let mut key = (name.len() as u16).to_le_bytes().to_vec();
    key.extend(name.as_bytes());
    key.extend(meta.size().to_le_bytes());
    let found: Vec<usize> =
        (0..cached.len()).filter(|at| cached[*at..].starts_with(&key)).collect();
    let [at] = found[..] else { panic!("{name} stands in the cache {} times", found.len()) };
    let mut print = Vec::new();
    for (secs, nanos) in [(meta.mtime(), meta.mtime_nsec()), (meta.ctime(), meta.ctime_nsec())] {
        print.extend(secs.to_le_bytes());
        print.extend((nanos as u32).to_le_bytes());
    }
    print.extend(meta.ino().to_le_bytes());
    let from = at + key.len();
    cached[from..from + print.len()].copy_from_slice(&print);
    let body = cached.len() - 4;
    let crc = crc32fast::hash(&cached[..body]);
    cached[body..].copy_from_slice(&crc.to_le_bytes());
    fs::write(cache, cached).unwrap();
}

/// Reads everything once.
#[track_caller]
fn scrub(node: &Daemon) -> Value {
    until("its files are known", || (node.json(&["show"])["looking"] == false).then_some(()));
    let rounds = node.json(&["scrub"])["rounds"].as_u64().unwrap();
    assert_eq!(node.json(&["scrub", "now"])["reading"], true);
    until("all is read", || {
        let status = node.json(&["scrub", "status"]);
        (status["rounds"].as_u64().unwrap() > rounds).then_some(status)
    })
}

/// What becomes of a file that rots.
fn state(node: &Daemon, name: &str) -> Value {
    let status = node.json(&["scrub"]);
    let rotten = status["rotten"].as_array().unwrap();
    rotten.iter().find(|row| row["name"] == name).map_or(Value::Null, |row| row["state"].clone())
}

fn leave(node: Daemon) {
    assert_eq!(node.ctl(&["exit", "--now"]).code, 0);
    drop(node);
}

#[test]
fn what_was_downloaded_and_rots_is_offered_to_nobody_and_fetched_again() {
    let (swarm, content) = (Swarm::new(), noise(1, SIZE));
    swarm.put("alice", "film", &content);
    let tracker = swarm.tracker();
    let alice = swarm.node("alice", &tracker);
    let bob = swarm.node("bob", &tracker);
    bob.finds("film", 1);
    assert_eq!(bob.ctl(&["request", "film", "--wait"]).code, 0);
    alice.finds("film", 2);
    leave(alice);
    leave(bob);
    rot(&swarm.data("bob"), "downloaded", "film");
    let rotten = read(&swarm.downloaded("bob", "film"));

    let bob = swarm.node("bob", &tracker);
    // The cache says that it is as it was: only reading it tells.
    bob.finds("film", 1);
    let status = scrub(&bob);
    assert_eq!(status["rotten"][0]["root"], root(&content).as_str());
    assert_eq!(status["rotten"][0]["found"], root(&rotten).as_str());
    bob.tells("downloaded/film has other bytes than it had");
    bob.loses("film");
    until("nobody else has it", || state(&bob, "film")["failed"].is_string().then_some(()));
    assert!(read(&swarm.downloaded("bob", "film")) == rotten, "it is left where it is");
    // It is told once, kept over a restart, and had again when somebody is there who has it.
    leave(bob);
    let _alice = swarm.node("alice", &tracker);
    let bob = swarm.node("bob", &tracker);
    until("it is whole again", || (state(&bob, "film") == "repaired").then_some(()));
    assert!(read(&swarm.downloaded("bob", "film")) == content);
    assert!(read(&swarm.downloaded("bob", "film.rotten")) == rotten);
    bob.finds("film", 2);
    assert_eq!(bob.ctl(&["lookup", "film.rotten"]).code, 3, "the rotten bytes are offered");
    assert_eq!(scrub(&bob)["rotten"].as_array().unwrap().len(), 1, "nothing else rots");
}

#[test]
fn what_a_person_shares_and_rots_is_replaced_only_when_she_says_so() {
    let (swarm, content) = (Swarm::new(), noise(2, SIZE));
    for node in ["alice", "bob"] {
        swarm.put(node, "film", &content);
    }
    // Whoever has it under another name too wants it under this one all the same.
    swarm.put("bob", "the same", &content);
    let tracker = swarm.tracker();
    let alice = swarm.node("alice", &tracker);
    let bob = swarm.node("bob", &tracker);
    alice.finds("film", 2);
    leave(bob);
    rot(&swarm.data("bob"), "shared", "film");
    let rotten = read(&swarm.shared("bob", "film"));
    let bob = swarm.node("bob", &tracker);
    scrub(&bob);
    bob.tells("`scrub repair NAME` fetches it again");
    alice.finds("film", 1);
    assert_eq!(state(&bob, "film"), "yours");
    assert!(read(&swarm.shared("bob", "film")) == rotten);
    bob.ctl(&["scrub", "repair", "other"]).refused(3, "other is not known to rot");
    let said = bob.ctl(&["scrub", "repair", "film"]);
    assert_eq!(said.code, 0, "{said:?}");
    until("it is whole again", || (state(&bob, "film") == "repaired").then_some(()));
    assert!(read(&swarm.shared("bob", "film")) == content);
    assert!(read(&swarm.shared("bob", "film.rotten")) == rotten);
    alice.finds("film", 2);
    assert!(bob.ctl(&["scrub"]).out.contains("is whole again"));
}

#[test]
fn a_scrub_goes_on_after_a_kill_and_is_off_when_that_is_wanted() {
    let swarm = Swarm::new();
    for n in 0..3 {
        swarm.put("bob", &format!("file{n}"), noise(n, 2_000_000));
    }
    let tracker = swarm.tracker();
    let bob = swarm.node_with("bob", &tracker, &["--scrub-rate", "off"]);
    assert_eq!(scrub(&bob)["files"], 3);
    assert_eq!(bob.json(&["scrub"])["off"], true);
    bob.ctl(&["scrub", "often"]).refused(2, "usage: scrub [status|now|repair NAME]");
    leave(bob);
    let bob = swarm.node_with("bob", &tracker, &["--scrub-rate", "1MiB"]);
    let status = bob.json(&["scrub"]);
    assert_eq!((&status["rounds"], &status["files"]), (&1.into(), &3.into()), "{status}");
    assert!(status["next_in_s"].as_u64().unwrap() > 29 * 86_400, "{status}");
}
