//! A daemon without a prompt: every command there is goes through `ctl`.

use parvi::ui::help::{Role, commands};

use crate::harness::{Daemon, MIB, Swarm, noise, until, write};

/// Runs each line as a script would, and asserts that together they are all the commands there are, with
/// the usual words and with `--json` where that changes nothing more.
#[track_caller]
fn reaches_all(daemon: &Daemon, role: Role, lines: &[(&str, &str)]) {
    for (line, said) in lines {
        let words: Vec<&str> = line.split(' ').collect();
        let answer = daemon.ctl(&words);
        assert_eq!(answer.code, 0, "{line}: {answer:?}");
        assert!(answer.out.contains(said), "{line}: {said:?} in {answer:?}");
    }
    for spec in commands(role) {
        let is_it = |line: &str| line.split(' ').next() == Some(spec.name);
        assert!(lines.iter().any(|(line, _)| is_it(line)), "{} is not tried", spec.name);
    }
}

#[test]
fn a_headless_node_does_all_that_a_prompt_does() {
    let swarm = Swarm::new();
    let tracker = swarm.tracker();
    swarm.put("alice", "film", noise(1, 3 * MIB));
    swarm.put("alice", "note.txt", "from alice");
    let _alice = swarm.node("alice", &tracker);
    let bob = swarm.node_with("bob", &tracker, &["--down", "64KiB"]);
    bob.finds("film", 1);
    bob.finds("note.txt", 1);
    until("the tracker has both files", || {
        (bob.json(&["files"]).as_array()?.len() == 2).then_some(())
    });
    let mine = swarm.path().join("mine.txt");
    write(&mine, "of bob");
    let share = format!("share {}", mine.display());
    reaches_all(
        &bob,
        Role::Node,
        &[
            ("help", "download NAME"),
            ("help exit", "exit [--now]"),
            ("getip", "127.0.0.1"),
            ("show", "connected"),
            ("show alice", "film"),
            ("list local", ""),
            ("list downloaded", ""),
            ("list replicated", ""),
            ("lookup film", "alice"),
            ("lookup *.txt", "note.txt"),
            ("files", "film"),
            ("why note.txt", "wanted"),
            ("download film", "download 1 started"),
            ("pause 1", "paused"),
            ("resume 1", "resumed"),
            ("limit 1 32KiB", "limited to"),
            ("transfers", "film"),
            ("cancel 1", "cancelled"),
            ("request note.txt --wait", "note.txt"),
            (&share, "shared as mine.txt"),
            ("unshare mine.txt", "no longer shared"),
            ("peers", "alice"),
            ("stats", "search time"),
            ("stats reset", "from zero"),
            ("doctor", "tracker"),
            ("scrub", ""),
            ("exit", ""),
        ],
    );
}

#[test]
fn a_headless_tracker_does_all_that_a_prompt_does() {
    let swarm = Swarm::new();
    let tracker = swarm.tracker();
    swarm.put("alice", "film", "of alice");
    let alice = swarm.node("alice", &tracker);
    alice.finds("film", 1);
    until("the tracker has the file", || {
        (!tracker.json(&["files"]).as_array()?.is_empty()).then_some(())
    });
    let lines = [
        ("help", "peers"),
        ("peers", "alice"),
        ("files", "film"),
        ("why film", "wanted"),
        ("stats", "nodes"),
        ("stats reset", "from zero"),
        ("doctor", "tracker on 127.0.0.1"),
        ("exit --now", ""),
    ];
    reaches_all(&tracker, Role::Tracker, &lines);
}
