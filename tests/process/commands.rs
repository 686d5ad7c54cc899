//! Every command that only looks, as text and as JSON with the contract's field names.

use serde_json::Value;

use crate::harness::{Daemon, Swarm, column, root, until};

fn two(swarm: &Swarm) -> (Daemon, Daemon, Daemon) {
    swarm.put("alice", "notes/a.txt", "from alice");
    let tracker = swarm.tracker();
    let alice = swarm.node("alice", &tracker);
    let bob = swarm.node("bob", &tracker);
    bob.finds("notes/a.txt", 1);
    (tracker, alice, bob)
}

/// The fields of an object, sorted.
fn fields(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

#[track_caller]
fn has(object: &Value, wanted: &[&str]) {
    let there = fields(object);
    assert!(wanted.iter().all(|field| there.contains(field)), "{wanted:?} in {there:?}");
}

#[test]
fn the_greeting_names_the_address_and_the_three_listeners() {
    let swarm = Swarm::new();
    let (tracker, alice, _bob) = two(&swarm);
    assert!(tracker.said().starts_with("***** START 127.0.0.1 *****\nready tracker listen="));
    assert!(alice.said().starts_with("***** START 127.0.0.1 *****\nready alice search="));
    let ports: Vec<&str> = alice.ready.split_whitespace().skip(2).collect();
    for (word, key) in
        ports.iter().zip(["search=127.0.0.1:", "size=127.0.0.1:", "chunk=127.0.0.1:"])
    {
        assert!(word.starts_with(key), "{}", alice.ready);
    }
    assert_eq!(ports.len(), 3);
}

#[test]
fn a_node_tells_about_itself() {
    let swarm = Swarm::new();
    let (tracker, alice, _bob) = two(&swarm);
    assert_eq!(alice.ctl(&["getip"]).out, "127.0.0.1\n");
    assert_eq!(alice.json(&["getip"])["ip"], "127.0.0.1");

    let show = alice.json(&["show"]);
    assert_eq!(show["node"], "alice");
    assert_eq!(show["id"].as_str().unwrap().len(), 64);
    assert_eq!(show["trackers"][0]["addr"], tracker.addr().as_str());
    assert_eq!(show["trackers"][0]["connected"], true);
    assert_eq!(show["problems"], Value::Array(Vec::new()));
    let text = alice.ctl(&["show"]).out;
    let wanted = format!("tracker  {} connected\n", tracker.addr());
    assert!(text.contains(&wanted) && text.contains("notes/a.txt"), "{text}");

    let help = alice.ctl(&["help"]).out;
    for word in ["getip", "show", "list", "lookup", "download", "request", "cancel", "pause"] {
        assert!(help.contains(&format!("\n{word}")), "{word}: {help}");
    }
    assert!(alice.json(&["help", "exit"])["help"].as_str().unwrap().starts_with("exit [--now]"));
}

#[test]
fn lists_have_name_size_and_root() {
    let swarm = Swarm::new();
    let (_tracker, alice, bob) = two(&swarm);
    let local = alice.json(&["list", "local"]);
    assert_eq!(fields(&local[0]), ["name", "root", "size"]);
    assert_eq!((&local[0]["name"], &local[0]["size"]), (&"notes/a.txt".into(), &10.into()));
    assert_eq!(local[0]["root"], root(b"from alice").as_str());
    for empty in ["downloaded", "replicated"] {
        assert_eq!(alice.json(&["list", empty]), Value::Array(Vec::new()));
    }
    bob.json(&["download", "notes/a.txt"]);
    assert_eq!(column(&bob.json(&["list", "downloaded"]), "name"), ["notes/a.txt"]);
    let text = bob.ctl(&["list", "downloaded"]).out;
    assert!(text.contains(&root(b"from alice")) && text.contains("10 B"), "{text}");
}

#[test]
fn peers_transfers_and_stats_have_the_fields_of_the_contract() {
    let swarm = Swarm::new();
    let (_tracker, alice, bob) = two(&swarm);
    let peers = bob.peers(1);
    has(&peers[0], &["addr", "files", "last_seen_s", "node"]);
    assert_eq!((&peers[0]["node"], &peers[0]["addr"]), (&"alice".into(), &alice.addr().into()));
    assert!(bob.ctl(&["peers"]).out.contains("alice"));

    let report = bob.json(&["download", "notes/a.txt"]);
    assert_eq!(fields(&report), ["bytes", "name", "path", "root", "seconds", "sources"]);
    assert_eq!(report["sources"][0]["node"], "alice");
    assert_eq!(report["path"], swarm.downloaded("bob", "notes/a.txt").to_str().unwrap());

    let transfers = bob.json(&["transfers"]);
    let contract = ["id", "dir", "name", "peer", "state", "reason", "done", "total", "attempt"];
    has(&transfers[0], &contract);
    assert_eq!((&transfers[0]["dir"], &transfers[0]["state"]), (&"down".into(), &"done".into()));
    assert_eq!((&transfers[0]["done"], &transfers[0]["total"]), (&10.into(), &10.into()));
    assert!(bob.ctl(&["transfers"]).out.contains("done"));

    let stats = bob.json(&["stats"]);
    assert_eq!((&stats["downloads_done"], &stats["bytes_down"]), (&1.into(), &10.into()));
    for summary in ["search_ms", "download_rate"] {
        has(&stats[summary], &["mean", "stdev", "min", "max", "count"]);
        assert!(stats[summary]["mean"].as_f64().unwrap() > 0.0, "{summary}: {stats}");
    }
    assert_eq!(alice.json(&["stats"])["bytes_up"], 10);
    let text = bob.ctl(&["stats"]).out;
    assert!(text.contains("search time") && text.contains("download speed"), "{text}");
}

#[test]
fn a_tracker_tells_peers_files_and_stats() {
    let swarm = Swarm::new();
    let (tracker, alice, _bob) = two(&swarm);
    let peers = tracker.peers(2);
    assert_eq!(column(&peers, "node"), ["alice", "bob"]);
    assert_eq!(peers[0]["addr"], alice.addr().as_str());
    has(&peers[0], &["addr", "files", "last_seen_s", "node"]);
    let files = until("the tracker knows the file", || {
        let files = tracker.json(&["files"]);
        (files.as_array()?.len() == 1).then_some(files)
    });
    assert_eq!(tracker.json(&["peers"])[0]["files"], 1);
    has(&files[0], &["name", "size", "root"]);
    assert_eq!(files[0]["owners"][0], "alice");
    let text = tracker.ctl(&["files"]).out;
    assert!(text.contains("notes/a.txt") && text.contains("alice"), "{text}");

    let stats = tracker.json(&["stats"]);
    assert_eq!((&stats["peers"], &stats["files"]), (&2.into(), &1.into()));
    assert!(tracker.ctl(&["stats"]).out.contains("nodes"));
    assert!(tracker.ctl(&["help"]).out.contains("files"));
    let joined = tracker.said();
    assert!(joined.contains("alice joined") && joined.contains("bob joined"), "{joined}");
}

#[test]
fn health_is_well_while_a_daemon_answers() {
    let swarm = Swarm::new();
    let tracker = swarm.tracker();
    let data = tracker.data.to_str().unwrap().to_owned();
    let answer = swarm.run(&["health", "--data", &data]);
    assert_eq!((answer.code, answer.out.as_str()), (0, "well\n"));
    tracker.kill();
    let gone = until("health fails", || Some(swarm.run(&["health", "--data", &data])));
    assert_eq!(gone.code, 1, "{gone:?}");
}
