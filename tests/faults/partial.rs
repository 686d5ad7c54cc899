//! Nodes that fetch the same file serve each other what they have of it.

use std::net::Ipv4Addr;
use std::sync::Arc;

use parvi::base::{FaultKind, Rate, Root};
use parvi::io::link::{self, Link, LinkError, StaticKey};
use parvi::node::view::{Direction, From, LookupHit, TransferRow};
use parvi::node::{Node, NodeConfig};
use parvi::wire::Message;
use parvi::wire::message::size::SizeQuestion;
use parvi::wire::message::tracker::Why;
use parvi::wire::message::transfer::{Content, Open, Set};

use super::child::Process;
use super::eve::link_config;
use super::swarm::{LONG, Swarm, bytes, name, until, write};

const SIZE: usize = 12 << 20;

/// alice has a film and a slow line.
fn film(swarm: &Swarm) -> (Arc<Node>, Vec<u8>) {
    let film = bytes(SIZE, 1);
    let slow = NodeConfig { up: Some(Rate::per_second(4 << 20)), ..swarm.config("alice") };
    (swarm.sharing_with(&slow, &[("film", &film)]), film)
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
    let all = swarm.requesters("film", &["bob", "carol", "dave", "erin"]);
    let sources: Vec<_> = all.iter().map(|(node, id)| comes(node, *id, &film)).collect();
    let of_alice = sources.iter().flatten().filter(|(node, _)| node == "alice");
    let sent: u64 = of_alice.map(|(_, bytes)| bytes).sum();
    assert!(sent <= SIZE as u64 * 5 / 4, "alice sent {sent} of {SIZE} bytes: {sources:?}");
    for sources in &sources {
        assert!(sources.len() > 1, "one of them got all from one: {sources:?}");
    }
    drop(alice);
}

#[test]
fn what_is_here_of_a_file_is_served_while_its_first_owner_is_away() {
    let swarm = Swarm::new();
    let (alice, film) = film(&swarm);
    let bob = swarm.requesters("film", &["bob"]).remove(0);
    let done = |node: &Node| node.transfers().iter().map(|t| t.done).max().unwrap_or(0);
    until("half of it is at bob's", LONG, || done(&bob.0) > SIZE as u64 / 2);
    let carol = swarm.requesters("film", &["carol"]).remove(0);
    until("carol has begun", LONG, || done(&carol.0) > 0);
    alice.stop();
    drop(alice);
    swarm.forget();
    let here = done(&bob.0);
    until("carol has what bob has", LONG, || done(&carol.0) >= here.min(done(&bob.0)));
    let _alice = swarm.node("alice");
    for (node, id) in [bob, carol] {
        comes(&node, id, &film);
    }
}

/// The next messages from an owner, up to one of which `is_it`.
fn hears(link: &mut Link, is_it: fn(&Message) -> bool) {
    while !is_it(&link.recv(LONG).expect("the owner says more")) {}
}

#[test]
fn what_was_promised_of_a_part_is_taken_back_when_its_download_stands_still() {
    let swarm = Swarm::new();
    let (_alice, film) = film(&swarm);
    let (bob, id) = swarm.requesters("film", &["bob"]).remove(0);
    let config = link_config(StaticKey::generate().unwrap());
    let set = Set::File(Content { root: Root::of(&film), size: SIZE as u64 });
    until("bob fetches it", LONG, || bob.stats().bytes_down > 0);
    let here = Ipv4Addr::LOCALHOST.into();
    let mut link = link::dial(bob.ready().chunk, here, &config, None).unwrap();
    assert!(matches!(link.ask(Open { set, resumable: false }), Ok(Message::Opened(_))));
    hears(&mut link, |message| matches!(message, Message::Have(_)));
    bob.pause(id).unwrap();
    hears(&mut link, |message| matches!(message, Message::Stale(_)));
    bob.resume(id).unwrap();
    hears(&mut link, |message| matches!(message, Message::Have(_)));
    comes(&bob, id, &film);
}

#[test]
fn a_file_that_is_fetched_and_shared_at_the_same_time_is_served_right_all_of_it() {
    let swarm = Swarm::new();
    let (_alice, film) = film(&swarm);
    let slow = NodeConfig { down: Some(Rate::per_second(512 << 10)), ..swarm.config("bob") };
    let bob = swarm.start(&slow);
    until("alice is found", LONG, || bob.lookup(&name("film")).is_ok());
    bob.download(&name("film"), From::All).unwrap();
    until("bob fetches it", LONG, || bob.stats().bytes_down > 0);
    std::fs::write(swarm.data("bob").join("shared/film"), &film).unwrap();
    let carol = swarm.node("carol");
    let has_it =
        |hit: &LookupHit| hit.owners.iter().any(|o| o.node.as_str() == "bob" && o.complete);
    let found = || carol.lookup(&name("film")).is_ok_and(|found| found.hits.iter().any(has_it));
    until("bob shares it", LONG, found);
    let id = carol.download(&name("film"), From::One("bob".into())).unwrap();
    comes(&carol, id, &film);
    assert_eq!(
        carol.stats().corrupt_chunks,
        0,
        "what bob has not fetched yet was sent from the part"
    );
    assert!(bob.stats().bytes_down < SIZE as u64, "bob was done before: this has shown nothing");
}

#[test]
fn a_requester_that_leaves_in_the_middle_keeps_nobody_waiting() {
    let swarm = Swarm::new();
    let (_alice, film) = film(&swarm);
    let mut all = swarm.requesters("film", &["bob", "carol", "dave", "erin"]);
    let (leaver, _) = all.remove(0);
    let (quitter, id) = all.remove(0);
    let served = |node: &Node| node.stats().bytes_up > 256 << 10;
    until("both serve others", LONG, || served(&leaver) && served(&quitter));
    leaver.stop();
    quitter.cancel(id).unwrap();
    for (node, id) in all {
        comes(&node, id, &film);
    }
    let parts = swarm.data("carol").join(".parvi/parts");
    until("what was given up is gone", LONG, || std::fs::read_dir(&parts).unwrap().count() == 0);
}

#[test]
fn a_file_that_a_person_withholds_is_not_served_while_it_is_fetched() {
    let swarm = Swarm::new();
    let (_alice, film) = film(&swarm);
    // There must be something of that name.
    write(&swarm.data("bob").join("shared/film"), b"his own");
    let bob = swarm.node("bob");
    bob.unshare(&name("film")).unwrap();
    until("alice is found", LONG, || bob.lookup(&name("film")).is_ok());
    let id = bob.download(&name("film"), From::All).unwrap();
    until("bob fetches it", LONG, || bob.stats().bytes_down > 0);
    let config = link_config(StaticKey::generate().unwrap());
    let here = Ipv4Addr::LOCALHOST.into();
    let (root, size) = (Root::of(&film), SIZE as u64);
    let open = Open { set: Set::File(Content { root, size }), resumable: false };
    let question = SizeQuestion { root, manifest: true };
    let ready = bob.ready();
    for (port, asked) in [(ready.chunk, Message::from(open)), (ready.size, question.into())] {
        let answer = link::dial(port, here, &config, None).unwrap().ask(asked);
        assert!(matches!(answer, Err(LinkError::Refused(_))), "{answer:?}");
    }
    comes(&bob, id, &film);
}

#[test]
fn whoever_has_paused_it_is_waited_for_and_says_why() {
    let swarm = Swarm::new();
    let (alice, film) = film(&swarm);
    let (bob, of_bob) = swarm.requesters("film", &["bob"]).remove(0);
    let done = |node: &Node| node.transfers().iter().map(|t| t.done).max().unwrap_or(0);
    until("some of it is at bob's", LONG, || done(&bob) > SIZE as u64 / 4);
    let (carol, id) = swarm.requesters("film", &["carol"]).remove(0);
    until("carol has some of it from bob", LONG, || bob.stats().bytes_up > 0);
    bob.pause(of_bob).unwrap();
    alice.stop();
    drop(alice);
    swarm.forget();
    let waits_for_bob = || {
        let rows = carol.transfers();
        rows.iter().any(|row| row.reason.contains("told to pause"))
    };
    until("carol says for whom she waits", LONG, waits_for_bob);
    let config = link_config(StaticKey::generate().unwrap());
    let here = Ipv4Addr::LOCALHOST.into();
    let (root, size) = (Root::of(&film), SIZE as u64);
    let open = Open { set: Set::File(Content { root, size }), resumable: false };
    let question = SizeQuestion { root, manifest: true };
    let ask = |port, message: Message| {
        let mut link = link::dial(port, here, &config, None).unwrap();
        match link.ask(message) {
            Err(LinkError::Refused(refused)) => refused.why,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(ask(bob.ready().chunk, open.clone().into()), Why::Later);
    assert_eq!(ask(bob.ready().size, question.clone().into()), Why::Later);
    bob.stop();
    drop(bob);
    swarm.forget();
    until("carol misses bob", LONG, || !waits_for_bob());
    // Killed, and started again.
    drop(Process::node(&swarm, "bob", &[]));
    let again = Process::node(&swarm, "bob", &[]);
    assert_eq!(ask(again.addr("chunk"), open.into()), Why::Later);
    assert_eq!(ask(again.addr("size"), question.into()), Why::Later);
    until("carol waits for bob again", LONG, waits_for_bob);
    drop(again);
    let bob = swarm.node("bob");
    let is_download = |row: &&TransferRow| matches!(row.dir, Direction::Down);
    let of_bob = bob.transfers().iter().find(is_download).unwrap().id;
    bob.resume(of_bob).unwrap();
    let _alice = swarm.node("alice");
    for (node, id) in [(&carol, id), (&bob, of_bob)] {
        comes(node, id, &film);
    }
    bob.stop();
}

#[test]
fn what_only_those_have_who_fetch_it_ends_when_they_give_it_up() {
    let swarm = Swarm::new();
    let (alice, _) = film(&swarm);
    let (bob, of_bob) = swarm.requesters("film", &["bob"]).remove(0);
    let done = |node: &Node| node.transfers().iter().map(|t| t.done).max().unwrap_or(0);
    until("some of it is at bob's", LONG, || done(&bob) > SIZE as u64 / 4);
    alice.stop();
    drop(alice);
    swarm.forget();
    let (carol, id) = swarm.requesters("film", &["carol"]).remove(0);
    until("carol has some of it from bob", LONG, || done(&carol) > 0);
    bob.cancel(of_bob).unwrap();
    let fault = carol.wait(id, LONG).expect_err("nobody has all of it");
    assert_eq!(fault.kind, FaultKind::NotFound, "{fault}");
    assert!(fault.text.contains("nobody has all of it"), "{fault}");
}
