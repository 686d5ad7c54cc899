//! Trackers come and go; the nodes carry on.

use crate::harness::{Daemon, MIB, Swarm, column, noise, own_address, read, until};

fn at_port(swarm: &Swarm, name: &str, addr: &str) -> Daemon {
    swarm.start(name, &["tracker", "--listen", addr], &[])
}

#[test]
fn nodes_find_and_fetch_from_each_other_while_the_tracker_is_dead_and_return_to_it() {
    let swarm = Swarm::new();
    let film = noise(1, MIB);
    swarm.put("alice", "film", &film);
    let tracker = at_port(&swarm, "tracker", &format!("{}:0", own_address()));
    let addr = tracker.addr();
    let alice = swarm.node("alice", &tracker);
    let bob = swarm.node("bob", &tracker);
    bob.finds("film", 1);
    alice.peers(1);
    tracker.kill();
    bob.tells(&format!("tracker {addr}:"));

    swarm.put("alice", "later", "made without a tracker");
    bob.finds("later", 1);
    bob.json(&["download", "film"]);
    assert!(read(&swarm.downloaded("bob", "film")) == film);
    let row = bob.json(&["show"])["trackers"][0].clone();
    assert_eq!(row["connected"], false);
    assert!(row["reason"].as_str().unwrap().contains("next try"), "{row}");

    let tracker = at_port(&swarm, "tracker", &addr);
    assert_eq!(column(&tracker.peers(2), "node"), ["alice", "bob"]);
    until("the files are known again", || {
        (tracker.json(&["files"]).as_array()?.len() == 2).then_some(())
    });
    assert!(!tracker.said().contains("exited"), "{}", tracker.said());
}

#[test]
fn a_requester_is_called_what_it_says_where_no_tracker_lists_it() {
    let swarm = Swarm::new();
    let film = noise(1, 8 * MIB);
    swarm.put("carol", "film", &film);
    let (of_alice, of_bob) = ("of alice", "of bob");
    let [one, other] = [of_alice, of_bob].map(|name| at_port(&swarm, name, "127.0.0.1:0"));
    let both = format!("{},{}", one.addr(), other.addr());
    let carol = swarm.lone_node("carol", &["--tracker", &both, "--up", "2MiB"]);
    let (alice, bob) = (swarm.node("alice", &one), swarm.node("bob", &other));
    for node in [&alice, &bob] {
        node.finds("film", 1);
    }
    // They hear of each other from carol, and each sends the other what it has of the film.
    for node in [&alice, &bob] {
        assert_eq!(node.ctl(&["download", "film"]).code, 0);
    }
    for (node, requester) in [(&alice, "bob"), (&bob, "alice")] {
        let what = format!("an upload to {requester}");
        node.transfer(&what, |t| t["dir"] == "up" && t["peer"] == requester);
        assert_eq!(column(&node.json(&["peers"]), "node"), ["carol"], "a tracker has told");
    }
    for (node, name) in [(&alice, "alice"), (&bob, "bob")] {
        node.transfer("the film has arrived", |t| t["dir"] == "down" && t["state"] == "done");
        assert!(read(&swarm.downloaded(name, "film")) == film);
    }
    carol.exit();
}

#[test]
fn a_node_serves_before_its_tracker_is_there_and_registers_when_it_comes() {
    let swarm = Swarm::new();
    let tracker = at_port(&swarm, "tracker", &format!("{}:0", own_address()));
    let addr = tracker.addr();
    tracker.exit();
    let alice = swarm.lone_node("alice", &["--tracker", &addr]);
    let row = until("a first try", || {
        let row = alice.json(&["show"])["trackers"][0].clone();
        row["reason"].as_str()?.contains("next try").then_some(row)
    });
    assert_eq!((&row["addr"], &row["connected"]), (&addr.as_str().into(), &false.into()));
    let text = alice.ctl(&["show"]).out;
    assert!(text.contains(&format!("tracker  {addr} not connected: ")), "{text}");
    alice.ctl(&["lookup", "x"]).refused(6, &addr);

    let tracker = at_port(&swarm, "tracker", &addr);
    tracker.peers(1);
    until("it knows", || (alice.json(&["show"])["trackers"][0]["connected"] == true).then_some(()));
}

#[test]
fn a_node_of_two_trackers_sees_the_nodes_of_both() {
    let swarm = Swarm::new();
    swarm.put("alice", "of-alice", "a");
    swarm.put("bob", "of-bob", "b");
    let west = at_port(&swarm, "west", "127.0.0.1:0");
    let east = at_port(&swarm, "east", "127.0.0.1:0");
    let _alice = swarm.node("alice", &west);
    let _bob = swarm.node("bob", &east);
    let both = format!("{},{}", west.addr(), east.addr());
    let carol = swarm.lone_node("carol", &["--tracker", &both]);
    assert_eq!(column(&carol.peers(2), "node"), ["alice", "bob"]);
    carol.finds("of-alice", 1);
    carol.finds("of-bob", 1);
    west.kill();
    carol.finds("of-alice", 1);
    assert_eq!(column(&east.peers(2), "node"), ["bob", "carol"]);
}

#[test]
fn a_swarm_lives_on_ipv6_as_well() {
    let swarm = Swarm::new();
    let film = noise(2, 3 * MIB);
    swarm.put("alice", "film", &film);
    let tracker = at_port(&swarm, "tracker", "[::1]:0");
    assert!(tracker.said().starts_with("***** START ::1 *****\n"), "{}", tracker.said());
    let six = |name: &str| {
        let words = ["node", "--listen", "::1", "--name", name, "--heartbeat", "1"];
        swarm.start(name, &words, &["--tracker", &tracker.addr()])
    };
    let (alice, bob) = (six("alice"), six("bob"));
    let found = bob.finds("film", 1);
    assert_eq!(found["owners"][0]["addr"], alice.addr().as_str());
    bob.json(&["download", "film"]);
    assert!(read(&swarm.downloaded("bob", "film")) == film);
    assert_eq!(bob.ctl(&["getip"]).out, "::1\n");
    let got = swarm.get("film", "out", &tracker, &["--listen", "::"]);
    assert_eq!(got.code, 0, "{got:?}");
}
