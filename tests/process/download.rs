//! Downloads: from one owner, from all, files and folders; what arrives is what the owner has.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;

use crate::harness::{Daemon, MIB, Swarm, column, noise, read, root, sent, until, write};

const FILM: &str = "films/nosferatu.mkv";
const OWNERS: [&str; 3] = ["alice", "bob", "carol"];

/// Three owners of one film, and eve.
fn cinema(swarm: &Swarm, film: &[u8]) -> (Daemon, Vec<Daemon>, Daemon) {
    swarm.put("alice", FILM, film);
    for owner in &OWNERS[1..] {
        let link = swarm.shared(owner, FILM);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        fs::hard_link(swarm.shared("alice", FILM), link).unwrap();
    }
    let tracker = swarm.tracker();
    let owners = OWNERS.map(|name| swarm.node(name, &tracker)).into();
    let eve = swarm.node("eve", &tracker);
    eve.finds(FILM, OWNERS.len());
    (tracker, owners, eve)
}

#[test]
fn three_owners_supply_a_film_together_each_a_part() {
    let swarm = Swarm::new();
    let film = noise(1, 64 * MIB);
    let (_tracker, _owners, eve) = cinema(&swarm, &film);
    let report = eve.json(&["download", FILM, "--all"]);
    assert_eq!(report["root"], root(&film).as_str());
    assert_eq!(report["bytes"], film.len());
    assert!(read(&swarm.downloaded("eve", FILM)) == film, "other bytes arrived");
    assert_eq!(column(&report["sources"], "node"), OWNERS);
    assert_eq!(sent(&report), film.len() as u64);
    let again = eve.json(&["download", FILM]);
    assert_eq!(again["sources"], Value::Array(Vec::new()), "nothing moves twice");
}

#[test]
fn one_owner_is_chosen_by_label_identity_or_address() {
    let swarm = Swarm::new();
    let film = noise(2, MIB);
    let (tracker, owners, eve) = cinema(&swarm, &film);
    eve.ctl(&["download", FILM, "--from", "dave", "--wait"]).refused(4, "dave does not offer");
    let id = owners[1].json(&["show"])["id"].as_str().unwrap().to_owned();
    let choices = [("alice", "alice".to_owned()), ("bob", id), ("carol", owners[2].addr())];
    for (n, (owner, choice)) in choices.into_iter().enumerate() {
        let name = format!("guest{n}");
        let guest = swarm.node(&name, &tracker);
        until("three owners", || (guest.ctl(&["lookup", FILM]).code == 0).then_some(()));
        let report = guest.json(&["download", FILM, "--from", &choice]);
        assert_eq!(column(&report["sources"], "node"), [owner], "{choice}");
        assert!(read(&swarm.downloaded(&name, FILM)) == film);
    }
}

#[test]
fn request_takes_all_owners_in_the_background_and_the_file_is_served_on() {
    let swarm = Swarm::new();
    let film = noise(3, 3 * MIB);
    let (_tracker, owners, eve) = cinema(&swarm, &film);
    let answer = eve.ctl(&["request", FILM]);
    assert!(answer.code == 0 && answer.out.starts_with("download 1 started"), "{answer:?}");
    eve.transfer("the request is done", |t| t["state"] == "done");
    assert!(read(&swarm.downloaded("eve", FILM)) == film);
    assert!(eve.said().contains("done: 3.0 MiB"), "{}", eve.said());
    owners[0].finds(FILM, 4);
}

#[test]
fn a_folder_arrives_as_it_is() {
    let swarm = Swarm::new();
    let files: [(&str, Vec<u8>); 7] = [
        ("album/empty", Vec::new()),
        ("album/one byte", vec![7]),
        ("album/tiny.txt", b"hello".to_vec()),
        ("album/sub/größe – 写真.jpg", noise(4, 70_000)),
        ("album/sub/two\nlines", b"a newline in the name".to_vec()),
        ("album/run.sh", b"#!/bin/sh\n".to_vec()),
        ("album/large.bin", noise(5, 2 * MIB + 1)),
    ];
    let modified = UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789);
    for (name, bytes) in &files {
        let path = swarm.shared("alice", name);
        write(&path, bytes);
        fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    }
    let script = fs::Permissions::from_mode(0o755);
    fs::set_permissions(swarm.shared("alice", "album/run.sh"), script).unwrap();
    let tracker = swarm.tracker();
    let _alice = swarm.node("alice", &tracker);
    let bob = swarm.node("bob", &tracker);
    until("the whole album", || {
        let answer = bob.ctl(&["--json", "lookup", "album"]);
        let found = (answer.code == 0).then(|| answer.json())?;
        (found.as_array()?.len() == files.len()).then_some(())
    });

    let reports = bob.json(&["download", "album"]);
    let mut names: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    assert_eq!(column(&reports, "name"), names);
    for (name, bytes) in &files {
        let path = swarm.downloaded("bob", name);
        assert!(read(&path) == *bytes, "{name:?} has other bytes");
        let meta = fs::metadata(&path).unwrap();
        assert_eq!(meta.modified().unwrap(), modified, "{name:?}");
        let executable = meta.permissions().mode() & 0o100 != 0;
        assert_eq!(executable, *name == "album/run.sh", "{name:?}");
    }
    let text = bob.ctl(&["list", "downloaded"]).out;
    assert!(text.lines().count() == files.len() + 1, "a newline in a name breaks no line: {text}");
    let only = bob.json(&["lookup", "album/sub/two\nlines"]);
    assert_eq!(only["name"], "album/sub/two\nlines");
}

#[test]
fn the_bytes_may_go_in_the_clear_where_both_ends_say_so() {
    let swarm = Swarm::new();
    let film = noise(6, 5 * MIB);
    swarm.put("alice", FILM, &film);
    let tracker = swarm.tracker();
    let _alice = swarm.node_with("alice", &tracker, &["--bulk", "clear"]);
    for (name, bulk) in [("bob", "clear"), ("carol", "private")] {
        let node = swarm.node_with(name, &tracker, &["--bulk", bulk]);
        until("the film", || (node.ctl(&["lookup", FILM]).code == 0).then_some(()));
        node.json(&["download", FILM, "--from", "alice"]);
        assert!(read(&swarm.downloaded(name, FILM)) == film, "{bulk}");
    }
}
