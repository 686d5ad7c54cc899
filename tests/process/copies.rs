//! Every file has its copies: made, made again when nodes have gone for good, removed when they are too
//! many or what they are of was taken back.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::{Daemon, Swarm, column, noise, own_address, read, until};

const QUICK: [&str; 4] = ["--replica-grace", "4", "--replica-calm", "3"];

fn tracker(swarm: &Swarm, addr: &str) -> Daemon {
    swarm.start("tracker", &["tracker", "--listen", addr], &QUICK)
}

/// So many copies are wanted and there, and nothing moves.
#[track_caller]
fn rests(tracker: &Daemon, copies: u64) -> Value {
    until(&format!("{copies} copies are there, and nothing moves"), || {
        let stats = tracker.json(&["stats"]);
        let is = |field: &str, n: u64| stats[field] == n;
        let rests = is("copies_under_way", 0) && is("copies_leaving", 0);
        (is("copies_wanted", copies) && is("copies_there", copies) && rests).then_some(stats)
    })
}

/// Which of `names` have these bytes on their disks, as theirs or for others.
fn holders(swarm: &Swarm, names: &[&str], file: &str, bytes: &[u8]) -> usize {
    let has = |path: PathBuf| path.exists() && read(&path) == bytes;
    let holds = |name: &&&str| {
        has(swarm.shared(name, file)) || has(swarm.data(name).join("replicated").join(file))
    };
    names.iter().filter(holds).count()
}

fn files_below(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|e| if e.path().is_dir() { files_below(&e.path()) } else { 1 }).sum()
}

#[test]
fn all_files_have_two_copies_again_when_one_of_four_nodes_was_killed() {
    let swarm = Swarm::new();
    let file = |n: u8| (format!("doc/{n}"), noise(n, 20_000 * usize::from(n % 3)));
    for n in 0..20 {
        let (name, bytes) = file(n);
        swarm.put(["alice", "bob"][usize::from(n % 2)], &name, bytes);
    }
    let tracker = tracker(&swarm, "127.0.0.1:0");
    let [alice, bob, _carol, _dave] =
        ["alice", "bob", "carol", "dave"].map(|name| swarm.node(name, &tracker));
    // The empty ones are one content.
    let contents = 20 - 6;
    rests(&tracker, contents * 2);
    bob.kill();
    tracker.tells("bob exited not intentionally");
    rests(&tracker, contents * 2);
    for n in (0..20).filter(|n| n % 3 != 0) {
        let (name, bytes) = file(n);
        assert!(holders(&swarm, &["alice", "carol", "dave"], &name, &bytes) >= 2, "{name}");
    }
    let why = alice.json(&["why", "doc/1"]);
    assert_eq!((&why[0]["wanted"], &why[0]["there"]), (&2.into(), &2.into()), "{why}");
    assert_eq!(column(&why[0]["copies"], "state"), ["there", "there"], "{why}");
    assert_eq!(alice.ctl(&["why", "nothing"]).code, 3);

    // What its owner deletes is removed elsewhere; what another one's owner left behind is not.
    std::fs::remove_file(swarm.shared("alice", "doc/2")).unwrap();
    until("no node has it", || {
        (holders(&swarm, &["alice", "carol", "dave"], &file(2).0, &file(2).1) == 0).then_some(())
    });
    rests(&tracker, (contents - 1) * 2);
    assert!(holders(&swarm, &["alice", "carol", "dave"], &file(1).0, &file(1).1) == 2);
}

#[test]
fn nothing_is_copied_for_nodes_that_return_and_all_for_those_that_do_not_with_the_tracker_killed_too()
 {
    let swarm = Swarm::new();
    let names = ["n0", "n1", "n2", "n3", "n4", "n5", "n6", "n7"];
    for n in 0..200 {
        swarm.put(names[n % 4], &format!("f{n}"), format!("file number {n}"));
    }
    let addr = format!("{}:0", own_address());
    let first = tracker(&swarm, &addr);
    let addr = first.addr();
    let mut nodes: Vec<Daemon> = names.iter().map(|name| swarm.node(name, &first)).collect();
    assert_eq!(rests(&first, 400)["copies_made"], 200);

    // Two restart, and so does the tracker: nothing moves.
    for name in ["n7", "n6"] {
        nodes.pop().unwrap().kill();
        nodes.insert(0, swarm.node(name, &first));
    }
    assert_eq!(rests(&first, 400)["copies_made"], 200);
    first.kill();
    let second = tracker(&swarm, &addr);
    second.peers(8);
    assert_eq!(rests(&second, 400)["copies_made"], 0);

    // Two are killed for good, who keep copies only: of no file both copies are lost.
    nodes.drain(6..8).for_each(Daemon::kill);
    second.peers(6);
    rests(&second, 400);
    let left: usize = names
        .iter()
        .filter(|name| !["n4", "n5"].contains(name))
        .map(|name| ["shared", "replicated"].map(|kind| files_below(&swarm.data(name).join(kind))))
        .map(|[own, kept]| own + kept)
        .sum();
    assert!(left >= 400, "{left} files");
}

#[test]
fn two_files_of_one_name_are_both_copies_where_both_are_kept() {
    let swarm = Swarm::new();
    for (n, node) in ["alice", "bob"].into_iter().enumerate() {
        swarm.put(node, "film", noise(n as u8, 3_000_000));
    }
    let tracker = tracker(&swarm, "127.0.0.1:0");
    let _keepers_of_none =
        ["alice", "bob"].map(|name| swarm.node_with(name, &tracker, &["--no-replicas"]));
    tracker.peers(2);
    let carol = swarm.node("carol", &tracker);
    rests(&tracker, 4);
    let kept = &carol.json(&["show"])["keeps"];
    assert_eq!(kept["files"], 2, "one of them has become carol's: {kept}");
    let below = swarm.data("carol").join("replicated");
    assert_eq!(files_below(&below), 2);
    assert_eq!(read(&below.join("film")).len(), 3_000_000);
}
