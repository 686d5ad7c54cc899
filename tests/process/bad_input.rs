//! What can be wrong with a machine: taken ports and folders, odd files. The words say what to do.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::harness::{Answer, Daemon, Swarm, column, until, write};

/// The user and group that own nothing.
const NOBODY: u32 = 65_534;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Lets the command run as a user to whom permissions mean something.
fn as_a_user(swarm: &Swarm, mut command: Command) -> Command {
    if is_root() {
        chmod(swarm.path(), 0o755);
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

/// Gives that user the folder and all below it.
fn give(path: &Path) {
    if is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        if path.is_dir() {
            fs::read_dir(path).unwrap().for_each(|entry| give(&entry.unwrap().path()));
        }
    }
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Starts a daemon with the data directory `name` and waits until it serves.
fn started(swarm: &Swarm, name: &str, mut command: Command) -> Daemon {
    let [out, err] = ["out", "err"].map(|end| swarm.path().join(format!("{name}.{end}")));
    let files = [&out, &err].map(|path| File::create(path).unwrap());
    let [out_file, err_file] = files;
    let data = swarm.data(name);
    command.args(["--headless", "--data"]).arg(&data).stdout(out_file).stderr(err_file);
    let child = command.spawn().unwrap();
    let mut daemon = Daemon { child, data, ready: String::new(), out, err };
    daemon.ready = until("it is ready", || {
        assert_eq!(daemon.child.try_wait().unwrap(), None, "it ended");
        let said = daemon.said();
        said.lines().find(|line| line.starts_with("ready ")).map(str::to_owned)
    });
    daemon
}

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

#[test]
fn what_its_user_may_not_read_is_named_with_what_to_do_and_the_rest_is_shared() {
    let swarm = Swarm::new();
    for file in ["fine.txt", "closed.txt", "attic/box.txt", "cellar/jam.txt", "cellar/key.txt"] {
        swarm.put("alice", file, file);
    }
    swarm.put("alice", "cellar/.parviignore", "key*\n");
    give(&swarm.data("alice"));
    let closed = ["closed.txt", "attic", "cellar/.parviignore"];
    let all = |mode| closed.iter().for_each(|file| chmod(&swarm.shared("alice", file), mode));
    all(0);
    let tracker = swarm.tracker();
    let words = ["node", "--listen", "127.0.0.1", "--name", "alice", "--tracker", &tracker.addr()];
    let alice = started(&swarm, "alice", as_a_user(&swarm, swarm.parvi(&words)));
    let local = |names: &[&str]| {
        until(&format!("{names:?} are shared"), || {
            (column(&alice.json(&["list", "local"]), "name") == names).then_some(())
        });
    };
    local(&["fine.txt"]);
    let show = until("all three are shown", || {
        let show = alice.json(&["show"]);
        (show["problems"].as_array()?.len() == 3).then_some(show)
    });
    for file in closed {
        let problems = show["problems"].as_array().unwrap();
        let of_it = |p: &&serde_json::Value| p["path"].as_str().unwrap().ends_with(file);
        let why = problems.iter().find(of_it).unwrap()["why"].as_str().unwrap();
        assert!(why.contains("ermission denied"), "{file}: {why}");
        assert!(why.contains("let the user that parvi runs as read it"), "{file}: {why}");
    }
    all(0o755);
    local(&["attic/box.txt", "cellar/jam.txt", "closed.txt", "fine.txt"]);
    until("the problems are over", || {
        alice.json(&["show"])["problems"].as_array()?.is_empty().then_some(())
    });
    assert!(!alice.logged().contains("panicked"), "{}", alice.logged());
}

#[test]
fn a_folder_closed_for_a_while_keeps_its_files_and_what_waits_for_them_goes_on() {
    let swarm = Swarm::new();
    swarm.put("alice", "attic/box.txt", "old letters");
    give(&swarm.data("alice"));
    let tracker = swarm.tracker();
    let words = ["node", "--listen", "127.0.0.1", "--name", "alice", "--tracker", &tracker.addr()];
    let alice = started(&swarm, "alice", as_a_user(&swarm, swarm.parvi(&words)));
    let bob = swarm.node("bob", &tracker);
    bob.finds("attic/box.txt", 1);
    chmod(&swarm.shared("alice", "attic"), 0);
    assert_eq!(bob.ctl(&["download", "attic/box.txt"]).code, 0);
    until("she could not open it", || {
        alice.logged().contains("attic/box.txt: could not be read").then_some(())
    });
    assert_eq!(column(&alice.json(&["list", "local"]), "name"), ["attic/box.txt"]);
    let problems = alice.ctl(&["show"]).out;
    assert!(problems.contains("attic"), "{problems}");
    chmod(&swarm.shared("alice", "attic"), 0o755);
    let arrived = swarm.downloaded("bob", "attic/box.txt");
    until("it arrives", || (fs::read(&arrived).ok()? == b"old letters").then_some(()));
}

#[test]
fn a_folder_that_may_not_be_read_keeps_no_change_elsewhere_from_being_noticed() {
    let swarm = Swarm::new();
    ["a", "b", "c"].iter().for_each(|folder| swarm.put("alice", &format!("{folder}/1"), "1"));
    give(&swarm.data("alice"));
    // Closed is the one that the system lists first: the others are come to after it.
    let listed = fs::read_dir(swarm.shared("alice", "")).unwrap();
    let folders: Vec<_> = listed.map(|entry| entry.unwrap().path()).collect();
    chmod(&folders[0], 0);
    let tracker = swarm.tracker();
    let words = ["node", "--listen", "127.0.0.1", "--name", "alice", "--tracker", &tracker.addr()];
    let alice = started(&swarm, "alice", as_a_user(&swarm, swarm.parvi(&words)));
    let shares = |count: usize| {
        until(&format!("{count} files are shared"), || {
            (alice.json(&["list", "local"]).as_array()?.len() == count).then_some(())
        });
    };
    shares(2);
    write(&folders[2].join("2"), "2");
    shares(3);
    write(&folders[1].join("new/2"), "2");
    shares(4);
    write(&folders[1].join("new/3"), "3");
    shares(5);
    chmod(&folders[0], 0o755);
    shares(6);
}

#[test]
fn a_data_directory_its_user_may_not_write_is_told_with_what_to_do() {
    let swarm = Swarm::new();
    let data = swarm.data("alice");
    let (node, tracker) = (["node", "--headless"], ["tracker", "--headless"]);
    let refused = |what: &str| {
        for words in [node, tracker] {
            let mut command = as_a_user(&swarm, swarm.parvi(&words));
            let answer = Answer::from(command.arg("--data").arg(&data).output().unwrap());
            answer.refused(1, data.to_str().unwrap());
            assert!(answer.err.contains(what), "{answer:?}");
            assert!(answer.err.contains("check its permissions"), "{answer:?}");
            assert_eq!(answer.out, "", "it is not ready");
        }
    };
    fs::create_dir(&data).unwrap();
    chmod(&data, 0o555);
    refused("could not make");
    chmod(&data, 0o755);
    fs::create_dir(data.join(".parvi")).unwrap();
    chmod(&data.join(".parvi"), 0o755);
    if is_root() {
        // Another user's: it may be looked at, not locked.
        refused("could not protect");
    }
    give(&data);
    write(&data.join(".parvi/lock"), "");
    chmod(&data.join(".parvi/lock"), 0o400);
    give(&data);
    refused("could not open");
}

#[test]
fn a_daemon_takes_as_many_descriptors_as_the_hard_limit_gives() {
    let swarm = Swarm::new();
    let parvi = env!("CARGO_BIN_EXE_parvi");
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -Sn 256 && exec \"$0\" \"$@\"", parvi]);
    command.args(["tracker", "--listen", "127.0.0.1:0"]);
    let tracker = started(&swarm, "tracker", command);
    let limits = fs::read_to_string(format!("/proc/{}/limits", tracker.child.id())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let mut numbers = line.split_whitespace().skip(3).map(|n| n.parse().unwrap_or(u64::MAX));
    let (soft, hard) = (numbers.next().unwrap(), numbers.next().unwrap());
    assert!(hard > 256, "this test needs a hard limit above the soft one");
    assert_eq!(soft, hard.min(65_536), "{line}");
}
