//! An owner that has just started and still looks through its folders: its requesters wait for it.

use std::fs::File;
use std::os::unix::fs::MetadataExt;

use parvi::io::clock;

use crate::harness::{MIB, Swarm, noise, read, until};

/// Large enough to be hashed after the files before it, which are all large.
const SIZE: usize = 17 * MIB;
/// What an empty file of this size takes to hash is longer than any test; a larger one is not shared.
const ENDLESS: u64 = 1 << 40;

#[test]
fn who_asks_an_owner_that_is_still_hashing_waits_and_is_told_why() {
    let swarm = Swarm::new();
    swarm.put("alice", "zz/film", noise(1, SIZE));
    let tracker = swarm.tracker();
    let knocks = ["--up", "4MiB", "--ack-timeout", "2"];
    let alice = swarm.node_with("alice", &tracker, &knocks);
    let bob = swarm.node("bob", &tracker);
    bob.finds("zz/film", 1);
    assert_eq!(bob.ctl(&["download", "zz/film"]).code, 0);
    bob.transfer("a part is there", |t| t["done"].as_u64() > Some(2 * MIB as u64));

    // It has to hash everything anew, and there is much before the film.
    alice.kill();
    std::fs::remove_file(swarm.data("alice").join(".parvi/catalogue")).unwrap_or_default();
    let sparse = || File::options().create(true).append(true).open(swarm.shared("alice", "a"));
    sparse().unwrap().set_len(ENDLESS).unwrap();
    // A younger one might still be written: it would be left for later, and the film be found first.
    let changed = sparse().unwrap().metadata().unwrap().ctime();
    until("it may be hashed", || (clock::unix_now().secs > changed + 1).then_some(()));
    let _alice = swarm.node_with("alice", &tracker, &knocks);
    // Waited for, and not only looked for again like one that has nothing of it.
    let words = "still being looked through; next try in";
    let row = bob.transfer("it waits, and says why", |t| {
        t["reason"].as_str().is_some_and(|why| why.contains(words))
    });
    assert_eq!(row["name"], "zz/film", "{row}");
    let data = swarm.data("alice").to_str().unwrap().to_owned();
    let health = swarm.run(&["health", "--data", &data]);
    assert_eq!((health.code, health.out.as_str()), (0, "well\n"));
    let busy = "looking through its folders: 0 files shared so far, 2 to be hashed\n";
    assert_eq!(health.err, busy);

    // Shorter than it was when it was seen: hashing it ends.
    sparse().unwrap().set_len(0).unwrap();
    bob.transfer("it ends well", |t| t["state"] == "done");
    assert!(read(&swarm.downloaded("bob", "zz/film")) == noise(1, SIZE));
}
