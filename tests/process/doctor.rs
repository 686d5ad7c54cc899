//! `parvi doctor`, with nothing running, and asking who runs.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use parvi::io::listen::Listener;
use serde_json::Value;

use crate::harness::{Swarm, until};

/// The findings of one check: level, and what is wrong.
fn findings<'a>(report: &'a Value, check: &str) -> Vec<(&'a str, &'a str)> {
    let all = report["findings"].as_array().unwrap().iter();
    let text = |finding: &'a Value, field: &str| finding[field].as_str().unwrap();
    all.filter(|f| f["check"] == check).map(|f| (text(f, "level"), text(f, "wrong"))).collect()
}

#[test]
fn a_swarm_that_is_well_is_said_to_be_by_its_node_its_tracker_and_before_a_start() {
    let swarm = Swarm::new();
    let tracker = swarm.tracker();
    let (alice, _bob) = (swarm.node("alice", &tracker), swarm.node("bob", &tracker));
    alice.peers(1);
    let called_back = until("the tracker has called alice back", || {
        let report = alice.json(&["doctor"]);
        let seen = report["findings"].as_array()?.iter().find(|f| f["check"] == "tracker")?;
        seen["seen"].as_str()?.contains("and called back").then(|| report.clone())
    });
    assert_eq!(called_back["problems"], 0, "{called_back}");
    assert_eq!(findings(&called_back, "ports"), [("ok", ""); 3]);
    assert_eq!(findings(&called_back, "nodes"), [("ok", "")]);

    let data = alice.data.to_str().unwrap();
    let asked = swarm.run(&["doctor", "--data", data]);
    assert!(asked.code == 0 && asked.out.contains("registered for"), "{asked:?}");
    assert_eq!(tracker.json(&["doctor"])["problems"], 0);

    let listen = ["--listen", "127.0.0.1", "--tracker", &tracker.addr()];
    let carol = swarm.run(&[&["doctor", "--json", "--data", "carol"], &listen[..]].concat());
    let report: Value = serde_json::from_str(&carol.out).unwrap();
    assert!(carol.code == 0 && report["problems"] == 0, "{carol:?}");
    assert_eq!(findings(&report, "tracker"), [("ok", "")]);
    let nodes = &report["findings"].as_array().unwrap().last().unwrap()["seen"];
    assert_eq!(nodes, "2 of 2 nodes called, 2 met");
    assert!(!swarm.data("carol").exists(), "a doctor makes nothing");
}

#[test]
fn what_is_wrong_is_said_with_the_exit_code_one() {
    let swarm = Swarm::new();
    let key = swarm.path().join("swarm.key");
    fs::write(&key, "f".repeat(64)).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let closed = ["tracker", "--listen", "127.0.0.1:0", "--swarm-key-file", key.to_str().unwrap()];
    let tracker = swarm.start("tracker", &closed, &[]);
    let taken = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = taken.local_addr().port().min(65_533);
    let (addr, base) = (tracker.addr(), port.to_string());
    let trackers = format!("{addr},127.0.0.1:1,nobody.invalid:1");
    let answer = swarm.run(&[
        "doctor",
        "--json",
        "--listen",
        "127.0.0.1",
        "--port-base",
        &base,
        "--tracker",
        &trackers,
    ]);
    assert_eq!(answer.code, 1, "{answer:?}");
    assert!(answer.err.contains("something does not work"), "{answer:?}");
    let report: Value = serde_json::from_str(&answer.out).unwrap();
    let trackers = findings(&report, "tracker");
    assert_eq!(trackers[0], ("problem", "it has a swarm key, and here none is used"));
    assert!(trackers[1].1.contains("nothing listens on port 1"), "{trackers:?}");
    assert_eq!(trackers[2].0, "problem");
    assert_eq!(findings(&report, "ports")[0], ("problem", "another program has that port"));

    let with_key = ["--tracker", &addr, "--swarm-key-file", key.to_str().unwrap()];
    let text = swarm.run(&[&["doctor", "--listen", "127.0.0.1"], &with_key[..]].concat());
    assert_eq!(text.code, 0, "{text:?}");
    let wanted = format!("-> chmod 600 {}", key.display());
    assert!(text.out.contains("others can read the key") && text.out.contains(&wanted), "{text:?}");
}
