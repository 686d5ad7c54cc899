//! Who may meet whom: swarm keys, and identities that were copied.

use crate::harness::{Daemon, Swarm, until};

/// A new key in a file of its own.
fn key(swarm: &Swarm, name: &str) -> String {
    let path = swarm.path().join(name);
    std::fs::write(&path, swarm.run(&["key"]).out).unwrap();
    path.to_str().unwrap().to_owned()
}

fn reason(node: &Daemon) -> String {
    until("a reason", || {
        let row = node.json(&["show"])["trackers"][0].clone();
        let reason = row["reason"].as_str()?;
        reason.contains("next try").then(|| reason.to_owned())
    })
}

#[test]
fn only_those_with_the_same_key_meet_and_the_others_are_told_why() {
    let swarm = Swarm::new();
    let (ours, theirs) = (key(&swarm, "ours.key"), key(&swarm, "theirs.key"));
    let listen = ["tracker", "--listen", "127.0.0.1:0"];
    let tracker = swarm.start("tracker", &listen, &["--swarm-key-file", &ours]);
    swarm.put("alice", "secret", "for us only");
    let _alice = swarm.node_with("alice", &tracker, &["--swarm-key-file", &ours]);
    let bob = swarm.node_with("bob", &tracker, &["--swarm-key-file", &ours]);
    let eve = swarm.node("eve", &tracker);
    let mallory = swarm.node_with("mallory", &tracker, &["--swarm-key-file", &theirs]);
    bob.finds("secret", 1);
    for stranger in [&eve, &mallory] {
        let reason = reason(stranger);
        assert!(reason.contains("the swarm keys differ"), "{reason}");
        stranger.ctl(&["lookup", "secret"]).refused(6, "the swarm keys differ");
    }
    assert_eq!(tracker.json(&["peers"]).as_array().unwrap().len(), 2);

    swarm.get("secret", "out", &tracker, &[]).refused(6, "the swarm keys differ");
    let got = swarm.get("secret", "out", &tracker, &["--swarm-key-file", &ours]);
    assert_eq!(got.code, 0, "{got:?}");
    let mut command = swarm.parvi(&["get", "secret", "--out", "by-env"]);
    command.env("PARVI_SWARM_KEY", std::fs::read_to_string(&ours).unwrap().trim());
    command.env("PARVI_TRACKER", tracker.addr());
    assert_eq!(command.status().unwrap().code(), Some(0), "key and tracker from the environment");
}

#[test]
fn a_copied_identity_is_refused_with_what_to_do_and_the_first_stays() {
    let swarm = Swarm::new();
    let tracker = swarm.tracker();
    let alice = swarm.node("alice", &tracker);
    tracker.peers(1);
    std::fs::create_dir_all(swarm.data("copy").join(".parvi")).unwrap();
    let id = |name: &str| swarm.data(name).join(".parvi/id");
    std::fs::copy(id("alice"), id("copy")).unwrap();

    let copy = swarm.node("copy", &tracker);
    let reason = reason(&copy);
    assert!(reason.contains("another node with this identity is at"), "{reason}");
    assert!(reason.contains("delete .parvi/id"), "{reason}");
    assert_eq!(alice.json(&["show"])["trackers"][0]["connected"], true);
    assert_eq!(tracker.peers(1)[0]["node"], "alice");

    copy.exit();
    std::fs::remove_file(id("copy")).unwrap();
    let _copy = swarm.node("copy", &tracker);
    tracker.peers(2);
}
