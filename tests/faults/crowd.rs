//! One requester that opens transfers and wants nothing takes no more than its share of an owner.

use std::net::Ipv4Addr;
use std::sync::Arc;

use parvi::base::{Ports, Root};
use parvi::io::link::{self, StaticKey};
use parvi::wire::message::tracker::Why;
use parvi::wire::message::transfer::{Content, Open, Serving, Set};
use parvi::wire::{List, Message};

use super::eve::link_config;
use super::swarm::{LONG, Swarm, bytes, download_equal, until};

#[test]
fn one_identity_does_not_hold_all_chunk_connections() {
    let swarm = Swarm::new();
    let (film, small) = (bytes(600_000, 1), bytes(10, 2));
    let alice = swarm.sharing("alice", &[("film", &film), ("small", &small)]);
    let eve = Arc::new(link_config(StaticKey::generate().unwrap()));
    let mut held = Vec::new();
    for n in 0..128_u32 {
        // Another set each time: the same one would close the connection before.
        let known = Content { root: Root::of(&small), size: 10 };
        let made_up = Content { root: Root::of(&n.to_le_bytes()), size: 1 };
        let set = Set::Batch(List::of(vec![known, made_up]));
        let link = link::dial(alice.ready().chunk, Ipv4Addr::LOCALHOST.into(), &eve, None);
        let Ok(mut link) = link else { continue };
        if let Ok(Message::Opened(_)) = link.ask(Open { set, resumable: true }) {
            held.push(link);
        }
    }
    assert!((1..64).contains(&held.len()), "eve holds {} of 128 connections", held.len());
    download_equal(&swarm.node("bob"), "film", &film);
}

#[test]
fn who_finds_no_place_hears_of_others_who_fetch_the_same() {
    let swarm = Swarm::new();
    let (film, small) = (bytes(600_000, 1), bytes(10, 2));
    let alice = swarm.sharing("alice", &[("film", &film), ("small", &small)]);
    let [bob, eve] = [(); 2].map(|()| Arc::new(link_config(StaticKey::generate().unwrap())));
    let ask = |who: &Arc<_>, set: Set| {
        let mut link =
            link::dial(alice.ready().chunk, Ipv4Addr::LOCALHOST.into(), who, None).ok()?;
        let answer = link.ask(Open { set, resumable: false });
        Some((link, answer))
    };
    let film = Set::File(Content { root: Root::of(&film), size: 600_000 });
    let (mut of_bob, opened) = ask(&bob, film.clone()).unwrap();
    assert!(matches!(opened, Ok(Message::Opened(_))), "{opened:?}");
    let ports = Ports { search: 1, size: 2, chunk: 3 };
    of_bob.send(Serving { label: "bob".parse().unwrap(), ports }).unwrap();
    let mut held = Vec::new();
    for n in 0..64_u32 {
        let known = Content { root: Root::of(&small), size: 10 };
        let made_up = Content { root: Root::of(&n.to_le_bytes()), size: 1 };
        held.extend(ask(&eve, Set::Batch(List::of(vec![known, made_up]))));
    }
    until("eve hears of bob", LONG, || {
        let Some((mut link, Ok(Message::Fetchers(named)))) = ask(&eve, film.clone()) else {
            return false;
        };
        assert_eq!(named.nodes[0].ports, ports);
        let refused = link.recv(LONG).unwrap();
        matches!(refused, Message::Refused(no) if no.why == Why::Busy)
    });
}
