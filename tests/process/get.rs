//! `parvi get`: one shot, and its exit codes.

use std::process::Stdio;

use rustix::process::{Signal, kill_process};

use crate::harness::{Answer, Daemon, MIB, Swarm, column, noise, pid, read, root, sent, until};

fn one(swarm: &Swarm, file: &str, bytes: &[u8], more: &[&str]) -> (Daemon, Daemon) {
    swarm.put("alice", file, bytes);
    let tracker = swarm.tracker();
    let alice = swarm.node_with("alice", &tracker, more);
    until("the tracker knows the file", || {
        column(&tracker.json(&["files"]), "name").contains(&file).then_some(())
    });
    (tracker, alice)
}

#[test]
fn a_file_arrives_with_its_path_on_standard_output() {
    let swarm = Swarm::new();
    let film = noise(1, 2 * MIB);
    let (tracker, _alice) = one(&swarm, "films/m.mkv", &film, &[]);
    let answer = swarm.get("films/m.mkv", "out", &tracker, &[]);
    let path = swarm.path().canonicalize().unwrap().join("out/films/m.mkv");
    assert_eq!((answer.code, answer.out), (0, format!("{}\n", path.display())), "{}", answer.err);
    assert!(read(&path) == film);
    assert!(answer.err.contains("done: 2.0 MiB in"), "{}", answer.err);
    assert!(!swarm.path().join("out/.parvi").exists(), "it leaves nothing behind");

    let again = swarm.get("films/m.mkv", "out", &tracker, &["--json"]).json();
    assert_eq!(sent(&again), 0, "it was there already");
}

#[test]
fn a_folder_arrives_below_out_and_json_has_a_row_for_each_file() {
    let swarm = Swarm::new();
    for n in 0..20 {
        swarm.put("alice", &format!("set/{n:02}.txt"), noise(n, 1_000 + usize::from(n)));
    }
    let (tracker, _alice) = one(&swarm, "set/z.txt", b"last", &[]);
    let reports = swarm.get("set", "out", &tracker, &["--json"]).json();
    assert_eq!(column(&reports, "name").len(), 21);
    for n in 0..20 {
        let row = &reports[usize::from(n)];
        assert_eq!(row["root"], root(&noise(n, 1_000 + usize::from(n))).as_str());
        assert_eq!(row["sources"][0]["node"], "alice");
        let arrived = read(&swarm.path().join(format!("out/set/{n:02}.txt")));
        assert!(arrived == noise(n, 1_000 + usize::from(n)));
    }
}

#[test]
fn what_nobody_has_is_3_and_an_owner_that_is_gone_is_4() {
    let swarm = Swarm::new();
    let (tracker, alice) = one(&swarm, "film", &noise(1, MIB), &[]);
    swarm.get("flim", "out", &tracker, &[]).refused(3, "nobody has flim");
    alice.signal(Signal::STOP);
    let quick = ["--ack-timeout", "1"];
    swarm.get("film", "out", &tracker, &quick).refused(4, "alice");
    alice.signal(Signal::CONT);
}

#[test]
fn a_tracker_that_is_away_is_6_and_another_file_in_the_way_is_13() {
    let swarm = Swarm::new();
    let (tracker, _alice) = one(&swarm, "film", b"moving pictures", &[]);
    let mine = swarm.path().join("out/film");
    crate::harness::write(&mine, "my own");
    swarm.get("film", "out", &tracker, &[]).refused(13, "another file is there");
    assert_eq!(read(&mine), b"my own");
    let addr = tracker.addr();
    tracker.kill();
    swarm.run(&["get", "film", "--tracker", &addr, "--out", "out"]).refused(6, &addr);
}

#[test]
fn ctrl_c_is_7_and_the_next_run_fetches_only_the_rest() {
    let swarm = Swarm::new();
    let film = noise(2, 8 * MIB);
    let (tracker, alice) = one(&swarm, "film", &film, &["--up", "4MiB"]);
    let words = ["get", "film", "--json", "--out", "out", "--tracker", &tracker.addr()];
    let child = swarm.parvi(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    alice.transfer("two MiB are acknowledged", |t| t["done"].as_u64() >= Some(2 * MIB as u64));
    kill_process(pid(&child), Signal::INT).unwrap();
    let interrupted = Answer::from(child.wait_with_output().unwrap());
    interrupted.refused(7, "what arrived is kept");
    assert_eq!(interrupted.out, "", "no document for half a file");
    assert!(!swarm.path().join("out/film").exists());

    let report = swarm.run(&words).json();
    let rest = sent(&report);
    assert!(rest > 0 && rest <= 6 * MIB as u64, "{rest} bytes came in the second run");
    assert!(read(&swarm.path().join("out/film")) == film);
    assert!(!swarm.path().join("out/.parvi").exists(), "it leaves nothing behind");
}

#[test]
fn more_files_arrive_than_may_be_open() {
    let swarm = Swarm::new();
    for n in 0..400 {
        swarm.put("alice", &format!("d/{n}/empty"), b"");
        swarm.put("alice", &format!("d/{n}/twin"), b"the same");
    }
    let (tracker, _alice) = one(&swarm, "d/z", b"last", &[]);
    let few = ["sh", "-c", "ulimit -n 200; exec \"$0\" \"$@\""].map(str::to_owned);
    let words = ["get", "d", "--json", "--out", "out", "--tracker", &tracker.addr()];
    let answer = Answer::from(swarm.parvi_under(&few, &words).output().unwrap());
    assert_eq!(answer.code, 0, "{}", answer.err);
    assert_eq!(column(&answer.json(), "name").len(), 801);
}
