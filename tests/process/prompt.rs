//! The prompt of a node: through a pipe and on a terminal; and the demonstration.

use std::io::Write;
use std::process::{Command, Stdio};

use rexpect::session::{PtySession, spawn_command};

use crate::harness::{Daemon, Swarm, read, until};

const PATIENCE_MS: u64 = 30_000;

/// alice and bob share one file, and carol is a node whose prompt is on a terminal.
fn stage(swarm: &Swarm) -> (Daemon, Daemon, Daemon, PtySession) {
    swarm.put("alice", "film.mkv", "moving");
    swarm.put("bob", "film.mkv", "moving");
    let tracker = swarm.tracker();
    let alice = swarm.node("alice", &tracker);
    let bob = swarm.node("bob", &tracker);
    alice.finds("film.mkv", 2);
    bob.finds("film.mkv", 2);
    let mut command = Command::new(env!("CARGO_BIN_EXE_parvi"));
    command.args(["node", "--name", "carol", "--listen", "127.0.0.1", "--heartbeat", "1"]);
    command.args(["--tracker", &tracker.addr(), "--data"]).arg(swarm.data("carol"));
    command.env_clear().env("TERM", "xterm").env("HOME", swarm.path());
    let mut carol = spawn_command(command, Some(PATIENCE_MS)).unwrap();
    carol.exp_string("***** START 127.0.0.1 *****").unwrap();
    carol.exp_string("ready carol search=").unwrap();
    carol.exp_string("carol> ").unwrap();
    tracker.peers(3);
    (tracker, alice, bob, carol)
}

/// Asks until both owners are numbered; the menu is open then.
fn menu(carol: &mut PtySession) {
    carol.send_line("download film.mkv").unwrap();
    carol.exp_string("[0] ").unwrap();
    carol.exp_string("[1] ").unwrap();
    carol.exp_string("index, -1 to cancel, -2 for all in parallel: ").unwrap();
}

#[test]
fn the_owners_are_numbered_and_one_none_or_all_are_chosen() {
    let swarm = Swarm::new();
    let (_tracker, _alice, _bob, mut carol) = stage(&swarm);
    carol.send_line("lookup film.mkv").unwrap();
    carol.exp_string("complete").unwrap();
    carol.exp_string("carol> ").unwrap();

    menu(&mut carol);
    carol.send_line("-1").unwrap();
    carol.exp_string("nothing is downloaded").unwrap();
    menu(&mut carol);
    carol.send_line("7").unwrap();
    carol.exp_string("there is no such number").unwrap();
    carol.send_line("1").unwrap();
    carol.exp_string("download 1 started").unwrap();
    until("the film arrives", || swarm.downloaded("carol", "film.mkv").exists().then_some(()));
    assert_eq!(read(&swarm.downloaded("carol", "film.mkv")), b"moving");
    menu(&mut carol);
    carol.send_line("-2").unwrap();
    carol.exp_string("was here already").unwrap();
    carol.send_line("exit").unwrap();
    carol.exp_eof().unwrap();
}

#[test]
fn names_complete_and_a_notice_leaves_the_half_typed_line_alone() {
    let swarm = Swarm::new();
    let (_tracker, _alice, _bob, mut carol) = stage(&swarm);
    carol.send_line("lookup film.mkv").unwrap();
    carol.exp_string("complete").unwrap();
    carol.exp_string("carol> ").unwrap();
    carol.send("dow\tfi\t").unwrap();
    carol.flush().unwrap();
    carol.exp_string("film.mkv").unwrap();
    let data = swarm.data("carol");
    let ask = swarm.run(&["ctl", "--data", data.to_str().unwrap(), "download", "film.mkv"]);
    assert_eq!(ask.code, 0, "{ask:?}");
    let before = carol.exp_string("film.mkv done: 6 B").unwrap();
    assert!(before.contains('['), "the notice has its time: {before:?}");
    carol.exp_string("download film.mkv").unwrap();
    carol.send_line("--all").unwrap();
    carol.exp_string("was here already").unwrap();
    carol.send_control('d').unwrap();
    carol.exp_eof().unwrap();
}

#[test]
fn a_pipe_is_read_line_by_line_and_its_end_is_not_the_node_s() {
    let swarm = Swarm::new();
    swarm.put("alice", "film.mkv", "moving");
    let tracker = swarm.tracker();
    let alice = swarm.node("alice", &tracker);
    until("it is hashed", || (alice.json(&["list", "local"]).as_array()?.len() == 1).then_some(()));
    let data = swarm.data("bob");
    let words = ["node", "--name", "bob", "--listen", "127.0.0.1", "--tracker", &tracker.addr()];
    let mut bob = swarm
        .parvi(&words)
        .arg("--data")
        .arg(&data)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = bob.stdin.take().unwrap();
    input.write_all(b"getip\n\nfrobnicate\ndownload film.mkv\n-2\n").unwrap();
    drop(input);
    let health = || swarm.run(&["health", "--data", data.to_str().unwrap()]).code;
    until("the film arrives", || swarm.downloaded("bob", "film.mkv").exists().then_some(()));
    assert_eq!(health(), 0, "it serves on");
    let ask = |words: &[&str]| {
        swarm.run(&[&["ctl", "--data", data.to_str().unwrap()], words].concat()).code
    };
    assert_eq!(ask(&["exit"]), 0);
    let answer = crate::harness::Answer::from(bob.wait_with_output().unwrap());
    assert_eq!(answer.code, 0, "{answer:?}");
    assert!(answer.out.contains("\n127.0.0.1\n") && answer.out.contains("[0] alice"), "{answer:?}");
    assert!(answer.err.contains("there is no command frobnicate"), "{answer:?}");
}

#[test]
fn the_demonstration_works() {
    let swarm = Swarm::new();
    let mut command = swarm.parvi(&["demo", "--size", "8"]);
    command.env("TMPDIR", swarm.path());
    let answer = crate::harness::Answer::from(command.output().unwrap());
    assert_eq!(answer.code, 0, "{answer:?}");
    assert!(answer.out.contains("its BLAKE3 hash is the original's"), "{answer:?}");
    assert!(answer.out.ends_with("it works\n"), "{answer:?}");
    assert_eq!(std::fs::read_dir(swarm.path()).unwrap().count(), 0, "it leaves nothing behind");
}
