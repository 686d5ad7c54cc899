//! Nodes that fetch the same file serve each other what they have of it.

use std::sync::Arc;

use parvi::base::{Rate, Root};
use parvi::node::view::From;
use parvi::node::{Node, NodeConfig};

use super::swarm::{LONG, Swarm, bytes, name, until};

const SIZE: usize = 12 << 20;

/// alice has a film and a slow line.
fn film(swarm: &Swarm) -> (Arc<Node>, Vec<u8>) {
    let film = bytes(SIZE, 1);
    let slow = NodeConfig { up: Some(Rate::per_second(4 << 20)), ..swarm.config("alice") };
    (swarm.sharing_with(&slow, &[("film", &film)]), film)
}

fn requesters(swarm: &Swarm, labels: &[&str]) -> Vec<(Arc<Node>, u64)> {
    let nodes = labels.iter().map(|label| swarm.node(label)).collect::<Vec<_>>();
    for node in &nodes {
        until("alice is found", LONG, || node.lookup(&name("film")).is_ok());
    }
    let begin = |node: Arc<Node>| {
        let id = node.download(&name("film"), From::All).unwrap();
        (node, id)
    };
    nodes.into_iter().map(begin).collect()
}

fn comes(node: &Node, id: u64, film: &[u8]) -> Vec<(String, u64)> {
    let reports = node.wait(id, LONG).expect("it ends").unwrap();
    assert_eq!(reports[0].root, Root::of(film));
    assert_eq!(std::fs::read(&reports[0].path).unwrap(), film);
    reports[0].sources.iter().map(|s| (s.node.to_string(), s.bytes)).collect()
}

#[test]
fn the_first_owner_sends_little_more_than_the_file_once() {
    let swarm = Swarm::new();
    let (alice, film) = film(&swarm);
    let all = requesters(&swarm, &["bob", "carol", "dave", "erin"]);
    let sources: Vec<_> = all.iter().map(|(node, id)| comes(node, *id, &film)).collect();
    let of_alice = sources.iter().flatten().filter(|(node, _)| node == "alice");
    let sent: u64 = of_alice.map(|(_, bytes)| bytes).sum();
    assert!(sent <= SIZE as u64 * 5 / 4, "alice sent {sent} of {SIZE} bytes: {sources:?}");
    for sources in &sources {
        assert!(sources.len() > 1, "one of them got all from one: {sources:?}");
    }
    drop(alice);
}
