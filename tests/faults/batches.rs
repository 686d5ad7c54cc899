//! Nodes that fetch the same small files serve each other those that they have verified.

use std::net::Ipv4Addr;
use std::sync::Arc;

use parvi::base::{FaultKind, Range, Rate, Root};
use parvi::io::link::{self, Link, StaticKey};
use parvi::node::view::From;
use parvi::node::{Node, NodeConfig};
use parvi::wire::message::transfer::{Content, Have, Open, Opened, Set, Want};
use parvi::wire::{List, Message};

use super::eve::link_config;
use super::swarm::{LONG, Swarm, bytes, name, until, write};

const COUNT: usize = 400;
const SIZE: usize = 12 << 10;

/// The files of a folder, by their names in it.
fn files() -> Vec<(String, Vec<u8>)> {
    (0..COUNT).map(|n| (format!("folder/{n:03}"), bytes(SIZE + n, n as u64))).collect()
}

/// What whoever downloads the folder fetches.
fn set() -> Set {
    let content = |(_, bytes): &(String, Vec<u8>)| Content {
        root: Root::of(bytes),
        size: bytes.len() as u64,
    };
    Set::Batch(List::of(files().iter().map(content).collect()))
}

/// alice has the folder and a slow line.
fn folder(swarm: &Swarm, up: u64) -> Arc<Node> {
    let slow = NodeConfig { up: Some(Rate::per_second(up)), ..swarm.config("alice") };
    let files = files();
    let shared: Vec<(&str, &[u8])> =
        files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    swarm.sharing_with(&slow, &shared)
}

/// The folder is there; tells what each node has sent of it.
fn comes(node: &Node, id: u64) -> Vec<(String, u64)> {
    let reports = node.wait(id, LONG).expect("it ends").unwrap();
    assert_eq!(reports.len(), COUNT);
    for ((_, bytes), report) in files().iter().zip(&reports) {
        assert!(std::fs::read(&report.path).unwrap() == *bytes, "{}", report.name);
    }
    let sources = reports.iter().flat_map(|report| &report.sources);
    sources.map(|source| (source.node.to_string(), source.bytes)).collect()
}

/// A stranger asks for the folder.
fn ask(node: &Node) -> (Link, Opened) {
    let config = link_config(StaticKey::generate().unwrap());
    let here = Ipv4Addr::LOCALHOST.into();
    let mut link = link::dial(node.ready().chunk, here, &config, None).unwrap();
    match link.ask(Open { set: set(), resumable: false }) {
        Ok(Message::Opened(opened)) => (link, opened),
        other => panic!("{other:?}"),
    }
}

/// The next message that is `wanted`.
fn hears<T>(link: &mut Link, wanted: impl Fn(Message) -> Option<T>) -> T {
    loop {
        if let Some(heard) = wanted(link.recv(LONG).expect("the owner says more")) {
            return heard;
        }
    }
}

fn have(message: Message) -> Option<Have> {
    if let Message::Have(have) = message { Some(have) } else { None }
}

#[test]
fn a_small_file_is_served_as_soon_as_it_is_verified() {
    let swarm = Swarm::new();
    let _alice = folder(&swarm, 1 << 20);
    let (bob, id) = swarm.requesters("folder", &["bob"]).remove(0);
    until("bob fetches it", LONG, || bob.stats().bytes_down > 0);
    let (mut link, opened) = ask(&bob);
    assert!(opened.grows && !opened.have.is_full());
    let item = match opened.have.iter().next() {
        Some(item) => item,
        None => hears(&mut link, have).items[0].first,
    };
    let add = List::of(vec![Range::one(item)]);
    link.send(Want { add, remove: List::default(), window: 8 }).unwrap();
    let is_chunk = |m| if let Message::Chunk(chunk) = m { Some(chunk) } else { None };
    let chunk = hears(&mut link, is_chunk);
    let (_, right) = &files()[item as usize];
    assert_eq!((chunk.items, chunk.len), (Range::one(item), right.len() as u64));
    let mut got = vec![0; right.len()];
    link.reader.recv_payload(&mut got, &mut |_| {}).unwrap();
    assert!(got == *right, "wrong bytes");
    assert!(!swarm.data("bob").join("downloaded/folder").exists(), "it has its name already");
    comes(&bob, id);
}

#[test]
fn the_first_owner_sends_little_more_than_the_folder_once() {
    let swarm = Swarm::new();
    let alice = folder(&swarm, 2 << 20);
    let all = swarm.requesters("folder", &["bob", "carol", "dave", "erin"]);
    let sources: Vec<_> = all.iter().map(|(node, id)| comes(node, *id)).collect();
    let of_alice = sources.iter().flatten().filter(|(node, _)| node == "alice");
    let sent: u64 = of_alice.map(|(_, bytes)| bytes).sum();
    let total = (COUNT * SIZE) as u64;
    assert!(sent <= total * 3 / 2, "alice sent {sent} of {total} bytes");
    drop(alice);
}

#[test]
fn what_was_promised_of_a_batch_is_taken_back_when_its_download_stands_still() {
    let swarm = Swarm::new();
    let _alice = folder(&swarm, 2 << 20);
    let (bob, id) = swarm.requesters("folder", &["bob"]).remove(0);
    until("bob fetches it", LONG, || bob.stats().bytes_down > 0);
    let (mut link, _) = ask(&bob);
    hears(&mut link, have);
    bob.pause(id).unwrap();
    hears(&mut link, |m| matches!(m, Message::Stale(_)).then_some(()));
    bob.resume(id).unwrap();
    hears(&mut link, have);
    comes(&bob, id);
}

#[test]
fn what_is_nowhere_any_more_keeps_nobody_waiting_for_others_who_wait_for_it() {
    let swarm = Swarm::new();
    let _alice = folder(&swarm, 1 << 20);
    let all = swarm.requesters("folder", &["bob", "carol"]);
    until("both fetch it", LONG, || all.iter().all(|(node, _)| node.stats().bytes_down > 0));
    let last = format!("folder/{:03}", COUNT - 1);
    std::fs::remove_file(swarm.data("alice").join("shared").join(&last)).unwrap();
    for (node, id) in &all {
        let fault = node.wait(*id, LONG).expect_err("a file is missing");
        assert_eq!(fault.kind, FaultKind::NotFound, "{fault}");
    }
    for who in ["bob", "carol"] {
        let downloaded = swarm.data(who).join("downloaded");
        for (name, bytes) in files().iter().filter(|(name, _)| *name != last) {
            assert!(std::fs::read(downloaded.join(name)).unwrap() == *bytes, "{name} at {who}");
        }
        assert!(!downloaded.join(&last).exists());
    }
}

#[test]
fn what_a_person_withholds_of_a_batch_is_not_served_while_it_is_fetched() {
    let swarm = Swarm::new();
    let _alice = folder(&swarm, 1 << 20);
    // There must be something of that name.
    write(&swarm.data("bob").join("shared/folder/000"), b"his own");
    let bob = swarm.node("bob");
    bob.unshare(&name("folder/000")).unwrap();
    until("alice is found", LONG, || bob.lookup(&name("folder")).is_ok());
    let id = bob.download(&name("folder"), From::All).unwrap();
    until("bob fetches it", LONG, || bob.stats().bytes_down > 0);
    let (mut link, opened) = ask(&bob);
    let has = |have: Have| have.items.iter().any(|run| run.iter().contains(&0)).then_some(());
    if !opened.have.contains(0) {
        hears(&mut link, |m| have(m).and_then(has));
    }
    let add = List::of(vec![Range::one(0)]);
    link.send(Want { add, remove: List::default(), window: 8 }).unwrap();
    let stale = hears(&mut link, |m| match m {
        Message::Stale(stale) => Some(stale),
        Message::Chunk(chunk) => panic!("it is sent: {chunk:?}"),
        _ => None,
    });
    assert_eq!(stale.items[0], Range::one(0));
    comes(&bob, id);
}
