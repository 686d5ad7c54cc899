//! What is shared follows the disk and the person, and a restart hashes nothing twice.

use std::fs;

use crate::harness::{Daemon, MIB, Swarm, column, noise, root, until, write};

fn pair(swarm: &Swarm) -> (Daemon, Daemon, Daemon) {
    let tracker = swarm.tracker();
    let alice = swarm.node("alice", &tracker);
    let bob = swarm.node("bob", &tracker);
    (tracker, alice, bob)
}

#[test]
fn a_new_a_changed_and_a_deleted_file_are_noticed_by_others() {
    let swarm = Swarm::new();
    let (tracker, _alice, bob) = pair(&swarm);
    swarm.put("alice", "deep/er/news.txt", "first");
    assert_eq!(bob.finds("deep/er/news.txt", 1)["root"], root(b"first").as_str());
    until("the tracker lists it", || {
        column(&tracker.json(&["files"]), "name").contains(&"deep/er/news.txt").then_some(())
    });
    swarm.put("alice", "deep/er/news.txt", "second");
    until("the second content", || {
        let answer = bob.ctl(&["--json", "lookup", "deep/er/news.txt"]);
        (answer.code == 0 && answer.json()["root"] == root(b"second").as_str()).then_some(())
    });
    fs::remove_file(swarm.shared("alice", "deep/er/news.txt")).unwrap();
    bob.loses("deep/er/news.txt");
    until("the tracker forgets it", || {
        (tracker.json(&["files"]).as_array()?.is_empty()).then_some(())
    });
}

#[test]
fn a_renamed_folder_is_found_under_its_new_name_only() {
    let swarm = Swarm::new();
    swarm.put("alice", "old/a", "a");
    let (_tracker, _alice, bob) = pair(&swarm);
    bob.finds("old/a", 1);
    fs::rename(swarm.shared("alice", "old"), swarm.shared("alice", "new")).unwrap();
    bob.finds("new/a", 1);
    bob.loses("old/a");
}

#[test]
fn a_path_from_elsewhere_is_shared_until_it_is_unshared_over_restarts() {
    let swarm = Swarm::new();
    let (tracker, alice, bob) = pair(&swarm);
    let elsewhere = swarm.path().join("elsewhere/thesis");
    write(&elsewhere.join("ch1/text.tex"), "begin");
    let answer = alice.ctl(&["share", elsewhere.to_str().unwrap()]);
    assert_eq!((answer.code, answer.out.as_str()), (0, "shared as thesis\n"), "{answer:?}");
    bob.finds("thesis/ch1/text.tex", 1);

    alice.exit();
    let alice = swarm.node("alice", &tracker);
    bob.finds("thesis/ch1/text.tex", 1);
    assert_eq!(alice.json(&["unshare", "thesis"])["shared"], false);
    bob.loses("thesis/ch1/text.tex");
    assert!(elsewhere.join("ch1/text.tex").exists(), "unsharing removes nothing");

    alice.exit();
    swarm.put("alice", "marker", "hashed after the restart");
    let alice = swarm.node("alice", &tracker);
    bob.finds("marker", 1);
    alice.ctl(&["lookup", "thesis/ch1/text.tex"]).refused(3, "nobody has");
    alice.ctl(&["unshare", "thesis"]).refused(3, "thesis");
    alice.ctl(&["share", "/no/such/path"]).refused(1, "/no/such/path");
}

#[test]
fn a_file_of_the_shared_folder_is_withheld_by_unshare_and_offered_again_by_share() {
    let swarm = Swarm::new();
    swarm.put("alice", "diary.txt", "dear diary");
    let (_tracker, alice, bob) = pair(&swarm);
    bob.finds("diary.txt", 1);
    assert_eq!(alice.ctl(&["unshare", "diary.txt"]).code, 0);
    bob.loses("diary.txt");
    bob.ctl(&["download", "diary.txt", "--wait"]).refused(3, "nobody has");
    let path = swarm.shared("alice", "diary.txt");
    assert_eq!(alice.json(&["share", path.to_str().unwrap()])["name"], "diary.txt");
    bob.finds("diary.txt", 1);
}

/// Bytes that a process has read since its start.
fn bytes_read(daemon: &Daemon) -> usize {
    let io = fs::read_to_string(format!("/proc/{}/io", daemon.child.id())).unwrap();
    let line = io.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap();
    line.parse().unwrap()
}

#[test]
fn a_restart_reads_no_unchanged_file_again() {
    let swarm = Swarm::new();
    swarm.put("alice", "large.bin", noise(1, 24 * MIB));
    let (tracker, alice, bob) = pair(&swarm);
    bob.finds("large.bin", 1);
    assert!(bytes_read(&alice) >= 24 * MIB, "this test looks at the wrong number");
    alice.exit();
    swarm.put("alice", "small.txt", "new");
    let alice = swarm.node("alice", &tracker);
    bob.finds("large.bin", 1);
    bob.finds("small.txt", 1);
    let read = bytes_read(&alice);
    assert!(read < 8 * MIB, "{read} bytes were read");
}

#[test]
fn what_is_ignored_is_not_offered_and_links_lead_nowhere() {
    let swarm = Swarm::new();
    write(&swarm.path().join("outside.txt"), "secret");
    swarm.put("alice", ".parviignore", "*.tmp\nprivate/\n");
    for name in ["draft.tmp", "private/key", "kept.txt"] {
        swarm.put("alice", name, name);
    }
    let link = swarm.shared("alice", "link.txt");
    std::os::unix::fs::symlink(swarm.path().join("outside.txt"), link).unwrap();
    let (_tracker, alice, bob) = pair(&swarm);
    bob.finds("kept.txt", 1);
    for name in ["draft.tmp", "private/key", "link.txt"] {
        bob.ctl(&["lookup", name]).refused(3, "nobody has");
    }
    let local = alice.json(&["list", "local"]);
    assert!(column(&local, "name").contains(&"kept.txt"), "{local}");
}
