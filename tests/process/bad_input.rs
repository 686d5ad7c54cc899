//! What can be wrong with a machine: taken ports and folders, odd files. The words say what to do.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use crate::harness::{Swarm, column, until, write};

#[test]
fn a_taken_port_is_told_with_what_to_do() {
    let swarm = Swarm::new();
    let tracker = swarm.tracker();
    let data = swarm.data("second");
    let data = data.to_str().unwrap();
    let addr = tracker.addr();
    let answer = swarm.run(&["tracker", "--headless", "--listen", &addr, "--data", data]);
    answer.refused(1, &addr);
    assert!(answer.err.contains("choose another port"), "{answer:?}");
    assert_eq!(answer.out, "", "it is not ready");

    let port = addr.rsplit(':').next().unwrap();
    let words = ["node", "--headless", "--listen", "127.0.0.1", "--data", data];
    let answer = swarm.run(&[&words[..], &["--port-base", port]].concat());
    answer.refused(1, &addr);
}

#[test]
fn a_data_directory_has_one_daemon_and_the_second_names_the_first() {
    let swarm = Swarm::new();
    let tracker = swarm.tracker();
    let alice = swarm.node("alice", &tracker);
    for (task, first) in [("node", &alice), ("tracker", &tracker)] {
        let data = first.data.to_str().unwrap();
        let listen = if task == "node" { "127.0.0.1" } else { "127.0.0.1:0" };
        let answer = swarm.run(&[task, "--headless", "--listen", listen, "--data", data]);
        answer.refused(13, &format!("another parvi (pid {}) runs on {data}", first.child.id()));
        assert_eq!(first.ctl(&["stats"]).code, 0, "the first is not disturbed");
    }
}

#[test]
fn after_a_crash_the_same_directory_serves_again() {
    let swarm = Swarm::new();
    let tracker = swarm.tracker();
    let alice = swarm.node("alice", &tracker);
    let id = alice.json(&["show"])["id"].clone();
    alice.kill();
    let alice = swarm.node("alice", &tracker);
    assert_eq!(alice.json(&["show"])["id"], id, "it is another node now");
    tracker.peers(1);
}

#[test]
fn files_that_cannot_be_shared_are_shown_with_the_reason() {
    let swarm = Swarm::new();
    swarm.put("alice", "fine.txt", "fine");
    let odd = swarm.shared("alice", "").join(OsStr::from_bytes(b"caf\xe9.txt"));
    write(&odd, "latin-1");
    let tracker = swarm.tracker();
    let alice = swarm.node("alice", &tracker);
    let problem = until("the problem is shown", || {
        let show = alice.json(&["show"]);
        show["problems"].as_array()?.first().cloned()
    });
    assert!(problem["path"].as_str().unwrap().contains("caf"), "{problem}");
    assert!(problem["why"].as_str().unwrap().contains("UTF-8"), "{problem}");
    until("the other file is shared", || {
        (column(&alice.json(&["list", "local"]), "name") == ["fine.txt"]).then_some(())
    });
    let text = alice.ctl(&["show"]).out;
    assert!(text.contains("problem  ") && text.contains("UTF-8"), "{text}");
    fs::remove_file(&odd).unwrap();
    until("the problem is over", || {
        alice.json(&["show"])["problems"].as_array()?.is_empty().then_some(())
    });
}

#[test]
fn pipes_and_devices_in_the_folder_stop_nothing() {
    let swarm = Swarm::new();
    swarm.put("alice", "fine.txt", "fine");
    let pipe = swarm.shared("alice", "pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, 0o600.into()).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(swarm.shared("alice", "socket")).unwrap();
    let tracker = swarm.tracker();
    let alice = swarm.node("alice", &tracker);
    let bob = swarm.node("bob", &tracker);
    bob.finds("fine.txt", 1);
    assert_eq!(column(&alice.json(&["list", "local"]), "name"), ["fine.txt"]);
}

#[test]
fn a_data_directory_that_cannot_be_made_is_told() {
    let swarm = Swarm::new();
    write(&swarm.path().join("file"), "in the way");
    let data = swarm.path().join("file/data");
    let data = data.to_str().unwrap();
    swarm.run(&["node", "--headless", "--data", data]).refused(1, data);
    swarm.run(&["tracker", "--headless", "--data", data]).refused(1, data);
    let log = swarm.path().join("none/log");
    let words = ["node", "--headless", "--data", "d", "--log-file", log.to_str().unwrap()];
    swarm.run(&words).refused(1, log.to_str().unwrap());
}

#[test]
fn damaged_files_of_ours_do_not_keep_a_node_from_starting() {
    let swarm = Swarm::new();
    swarm.put("alice", "fine.txt", "fine");
    let tracker = swarm.tracker();
    let alice = swarm.node("alice", &tracker);
    let bob = swarm.node("bob", &tracker);
    bob.finds("fine.txt", 1);
    alice.exit();
    for name in ["catalogue", "history", "lock", "ctl.sock"] {
        let path = swarm.data("alice").join(".parvi").join(name);
        write(&path, [0xff; 100]);
    }
    let _alice = swarm.node("alice", &tracker);
    bob.finds("fine.txt", 1);
}
