//! An owner whose log of uploads has no room refuses uploads and says why; all else goes on, and so
//! do the uploads when there is room, without a restart.
//!
//! The log is on a tmpfs of its own in a mount namespace of the owner's process, so only the
//! super-user has it; for others the test says that it is skipped.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::disk_full::may_mount;
use crate::harness::{Answer, Daemon, MIB, Swarm, noise, read, until};

/// More uploads than what is left of the log's last page has room for.
const SONGS: usize = 60;

/// alice, whose log has 64 KiB of disk.
fn alice(swarm: &Swarm, tracker: &Daemon) -> Daemon {
    let data = swarm.data("alice");
    std::fs::create_dir_all(data.join(".parvi/wal")).unwrap();
    let script = "mount -t tmpfs -o size=64k none alice/.parvi/wal && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.current_dir(swarm.path()).args(["-m", "sh", "-c", script, "sh"]);
    command.arg(env!("CARGO_BIN_EXE_parvi"));
    command.args(["node", "--headless", "--listen", "127.0.0.1", "--heartbeat", "1"]);
    command.args(["--name", "alice", "--tracker", &tracker.addr(), "--data"]).arg(&data);
    let (out, err) = (swarm.path().join("alice.out"), swarm.path().join("alice.err"));
    let file = |path| std::fs::File::create(path).unwrap();
    let child = command.stdin(Stdio::null()).stdout(file(&out)).stderr(file(&err)).spawn();
    Daemon { child: child.unwrap(), data, ready: String::new(), out, err }
}

/// Runs a command where alice's log is.
fn inside(alice: &Daemon, script: &str) {
    let mut command = Command::new("nsenter");
    command.args(["-t", &alice.child.id().to_string(), "-m", "--", "sh", "-c", script]);
    let answer = Answer::from(command.current_dir(alice.data.join(".parvi/wal")).output().unwrap());
    assert_eq!(answer.code, 0, "{answer:?}");
}

/// bob's row of a download once that has arrived, or waits for alice's log.
#[track_caller]
fn settled(bob: &Daemon, name: &str) -> Value {
    bob.transfer("it has arrived, or waits", |t| {
        let waits = t["state"] == "waiting"
            && t["reason"].as_str().unwrap().contains("its log of uploads is full");
        t["name"] == name && (waits || t["state"] == "done")
    })
}

#[test]
fn uploads_wait_for_room_in_the_log_and_nothing_else_does() {
    if !may_mount() {
        return;
    }
    let swarm = Swarm::new();
    swarm.put("alice", "film", noise(1, 2 * MIB));
    for n in 0..SONGS {
        swarm.put("alice", &format!("song{n}"), noise(n as u8 + 2, 100));
    }
    swarm.put("carol", "book", noise(0, 2 * MIB));
    let tracker = swarm.tracker();
    let (alice, bob) = (alice(&swarm, &tracker), swarm.node("bob", &tracker));
    let _carol = swarm.node("carol", &tracker);
    for name in ["film", "song59", "book"] {
        bob.finds(name, 1);
    }
    let wal = alice.data.join(".parvi/wal");
    let filler = wal.join("filler").to_str().unwrap().to_owned();
    inside(&alice, &format!("! cat /dev/zero > '{filler}' 2> /dev/null"));
    let waits = (0..SONGS).find(|n| {
        let song = format!("song{n}");
        assert_eq!(bob.ctl(&["download", &song]).code, 0);
        settled(&bob, &song)["state"] == "waiting"
    });
    let song = format!("song{}", waits.expect("the log is never full"));
    alice.tells("uploads are refused until the log of them takes records again");
    assert_eq!(bob.ctl(&["download", "film"]).code, 0);
    assert_eq!(settled(&bob, "film")["state"], "waiting");
    assert_eq!(alice.json(&["transfers"]), Value::Array(Vec::new()), "nothing has begun");

    alice.finds("book", 1);
    bob.finds("film", 1);
    alice.json(&["download", "book"]);
    assert!(read(&swarm.downloaded("alice", "book")) == noise(0, 2 * MIB));

    inside(&alice, &format!("rm '{filler}'"));
    alice.tells("the log of uploads takes records again");
    for name in [song.as_str(), "film"] {
        let done = |t: &Value| t["name"] == name && t["state"] == "done";
        bob.transfer("it arrives by itself", done);
    }
    assert!(read(&swarm.downloaded("bob", "film")) == noise(1, 2 * MIB));
    until("alice's uploads are over", || {
        let rows = alice.json(&["transfers"]);
        rows.as_array()?.iter().all(|row| row["dir"] == "down").then_some(())
    });
    let verified = swarm.path().join("verified").to_str().unwrap().to_owned();
    let (parvi, data) = (env!("CARGO_BIN_EXE_parvi"), alice.data.display());
    inside(&alice, &format!("{parvi} wal verify '{data}' > '{verified}'"));
}
