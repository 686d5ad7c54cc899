//! Trackers and owners that always say "more": whoever asks comes to an end.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parvi::base::{FileEntry, NodeId, PeerInfo, Ports};
use parvi::io::clock;
use parvi::io::link::{Link, StaticKey};
use parvi::io::listen::{Listener, ServeLimits, serve};
use parvi::io::threads::{Group, StopToken};
use parvi::node::Node;
use parvi::wire::message::copies::Duties;
use parvi::wire::message::find::{FindAnswer, Listed, Pattern};
use parvi::wire::message::search::SearchAnswer;
use parvi::wire::message::tracker::{
    CatalogueAnswer, Found, HeartbeatAnswer, LookupAnswer, PeersAnswer, PeersDelta, Refused,
    Registered, Stamp, Why,
};
use parvi::wire::{List, Message};

use super::eve::{Acts, Eve, Goods, link_config};
use super::swarm::{LONG, Swarm, bytes, name, until};

/// What a tracker without end says to everything; `n` counts the questions.
fn always_more(question: &Message, n: u64) -> Message {
    let stamp = Stamp { epoch: 9, version: n };
    let peers = || PeersDelta {
        stamp,
        reset: false,
        more: true,
        changed: List::of(vec![PeerInfo {
            id: NodeId::from_bytes(*blake3::hash(&n.to_le_bytes()).as_bytes()),
            label: format!("node{n}").parse().unwrap(),
            ip: Ipv4Addr::LOCALHOST.into(),
            ports: Ports { search: 1, size: 1, chunk: 1 },
            files: 0,
        }]),
        stale: List::default(),
        gone: List::default(),
    };
    let catalogue = Stamp { epoch: n, version: u64::MAX };
    match question {
        Message::Register(_) => {
            let (seen_as, duties) = (Ipv4Addr::LOCALHOST.into(), Duties::default());
            Registered { seen_as, catalogue, duties }.into()
        }
        Message::Heartbeat(_) => {
            HeartbeatAnswer { peers: peers(), catalogue, duties: Duties::default() }.into()
        }
        Message::CatalogueDelta(_) => CatalogueAnswer { catalogue }.into(),
        Message::PeersQuestion(_) => PeersAnswer { peers: peers() }.into(),
        _ => {
            let entry = FileEntry { name: name(&format!("film/{n:09}")), ..some_entry() };
            let found = List::of(vec![Found { entry, owners: List::default() }]);
            LookupAnswer { found, more: true }.into()
        }
    }
}

fn some_entry() -> FileEntry {
    Goods::of("film", b"x").entry
}

/// A listener that answers every question with `answer`; counts them.
fn endless(
    group: &Group,
    stop: &StopToken,
    answer: fn(&Message, u64) -> Message,
) -> (std::net::SocketAddr, Arc<AtomicU64>) {
    let listener = Listener::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let (addr, asked) = (listener.local_addr(), Arc::new(AtomicU64::new(0)));
    let config = Arc::new(link_config(StaticKey::generate().unwrap()));
    let limits = ServeLimits { connections_max: 64, pending_max: 64 };
    let count = asked.clone();
    let handler = Arc::new(move |mut link: Link| {
        while let Ok(question) = link.recv(LONG) {
            let n = count.fetch_add(1, Relaxed);
            if link.send(answer(&question, n)).is_err() {
                return;
            }
        }
    });
    serve(listener, "endless", limits, config, group, stop, handler).unwrap();
    (addr, asked)
}

/// A lookup beside a tracker that answers as `answer` ends, and so does the node; afterwards nobody
/// asks any more.
fn node_survives(answer: fn(&Message, u64) -> Message) {
    let (swarm, group, stop) = (Swarm::new(), Group::new("endless"), StopToken::new());
    swarm.sharing("alice", &[("film", b"seven samurai")]);
    let (addr, asked) = endless(&group, &stop, answer);
    let mut config = swarm.config("carol");
    config.trackers.push(addr.to_string());
    std::fs::create_dir_all(config.data.join("shared")).unwrap();
    std::fs::write(config.data.join("shared/mine"), b"mine").unwrap();
    let carol = swarm.start(&config);
    let began = clock::now();
    let hits = carol.lookup(&name("film")).unwrap().hits;
    let took = clock::now().since(began);
    assert!(hits.iter().any(|hit| hit.name == name("film")));
    assert!(took.as_secs() < 10, "the lookup took {took:?}");
    until("the endless tracker was asked", LONG, || asked.load(Relaxed) > 0);
    let began = clock::now();
    carol.stop();
    let took = clock::now().since(began);
    assert!(took.as_secs() < 5, "the node took {took:?} to stop");
    let then = asked.load(Relaxed);
    let once = std::cell::Cell::new(false);
    until("nobody asks", LONG, || once.replace(true));
    assert!(asked.load(Relaxed) <= then + 1, "a thread still asks the endless tracker");
    stop.stop();
    group.join_all(LONG);
}

#[test]
fn a_tracker_that_always_says_more_of_everything_ends_no_later_than_the_lookup() {
    node_survives(always_more);
}

#[test]
fn a_tracker_whose_copy_of_the_catalogue_never_fits_is_left_alone() {
    node_survives(|question, n| match always_more(question, n) {
        Message::HeartbeatAnswer(mut answer) => {
            answer.peers.more = false;
            answer.into()
        }
        Message::PeersAnswer(mut answer) => {
            answer.peers.more = false;
            answer.into()
        }
        other => other,
    });
}

#[test]
fn a_tracker_that_is_busy_with_searches_is_asked_again_soon() {
    fn busy_at_first(question: &Message, n: u64) -> Message {
        match (question, always_more(question, n)) {
            (Message::FindQuestion(_), _) if n < 12 => Refused::new(Why::Busy, "busy").into(),
            (Message::FindQuestion(_), _) => {
                let owners = List::default();
                let listed =
                    Listed { entry: some_entry(), copies: 1, stale: false, seen_s: 1, owners };
                FindAnswer { found: List::of(vec![listed]), next: None }.into()
            }
            (_, Message::HeartbeatAnswer(mut answer)) => {
                answer.peers.more = false;
                answer.into()
            }
            (_, Message::PeersAnswer(mut answer)) => {
                answer.peers.more = false;
                answer.into()
            }
            (_, other) => other,
        }
    }
    let (swarm, group, stop) = (Swarm::new(), Group::new("busy"), StopToken::new());
    let (addr, asked) = endless(&group, &stop, busy_at_first);
    let mut config = swarm.config("carol");
    config.trackers = vec![addr.to_string()];
    let carol = swarm.start(&config);
    let (files, is_cut_off) = carol.files(&Pattern::All).unwrap();
    assert!(files.len() == 1 && !is_cut_off, "{files:?}");
    assert!(asked.load(Relaxed) > 12);
    carol.stop();
    stop.stop();
    group.join_all(LONG);
}

#[test]
fn an_owner_that_always_says_more_files_ends_with_the_lookup() {
    let swarm = Swarm::new();
    swarm.sharing("alice", &[("film/one", b"seven samurai")]);
    let asked = Arc::new(AtomicU64::new(0));
    let count = asked.clone();
    let mut acts = Acts::honest();
    acts.search = Arc::new(move |goods, _| {
        let n = count.fetch_add(1, Relaxed);
        let entry = FileEntry { name: name(&format!("film/{n:09}")), ..goods.entry.clone() };
        Some(
            SearchAnswer { files: List::of(vec![entry]), parts: List::default(), more: true }
                .into(),
        )
    });
    let _eve = Eve::start(&swarm, "eve", Goods::of("film/two", &bytes(10, 1)), &acts);
    let carol = swarm.node("carol");
    let began = clock::now();
    let hits = carol.lookup(&name("film")).unwrap().hits;
    let took = clock::now().since(began);
    assert!(took.as_secs() < 10, "the lookup took {took:?}");
    assert!(hits.iter().any(|hit| hit.name == name("film/one")), "eve hid alice's file");
    let began = clock::now();
    carol.stop();
    let took = clock::now().since(began);
    assert!(took.as_secs() < 5, "the node took {took:?} to stop");
}

#[test]
fn an_owner_that_repeats_its_page_is_not_asked_again() {
    let (swarm, asked) = (Swarm::new(), Arc::new(AtomicU64::new(0)));
    let count = asked.clone();
    let mut acts = Acts::honest();
    acts.search = Arc::new(move |goods, _| {
        count.fetch_add(1, Relaxed);
        Some(
            SearchAnswer {
                files: List::of(vec![goods.entry.clone()]),
                parts: List::default(),
                more: true,
            }
            .into(),
        )
    });
    let _eve = Eve::start(&swarm, "eve", Goods::of("film", b"x"), &acts);
    let carol = swarm.node("carol");
    assert_eq!(carol.lookup(&name("film")).unwrap().hits.len(), 1);
    assert_eq!(asked.load(Relaxed), 2);
    // An empty page with more behind it ends too.
    let mut acts = Acts::honest();
    acts.search = Arc::new(|_, _| {
        Some(SearchAnswer { files: List::default(), parts: List::default(), more: true }.into())
    });
    let _mallory = Eve::start(&swarm, "mallory", Goods::of("film", b"x"), &acts);
    assert_eq!(carol.lookup(&name("film")).unwrap().hits[0].owners.len(), 1);
}

/// What `f` does with a node, one of whose trackers shakes hands and never answers.
fn beside_a_silent_tracker(f: impl FnOnce(&Node)) {
    let (swarm, group, stop) = (Swarm::new(), Group::new("silent"), StopToken::new());
    swarm.sharing("alice", &[("film", b"seven samurai")]);
    let listener = Listener::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let (addr, config) = (listener.local_addr(), link_config(StaticKey::generate().unwrap()));
    let limits = ServeLimits { connections_max: 64, pending_max: 64 };
    let met = Arc::new(AtomicU64::new(0));
    let count = met.clone();
    let silent = Arc::new(move |mut link: Link| {
        count.fetch_add(1, Relaxed);
        while link.recv(LONG).is_ok() {}
    });
    serve(listener, "silent", limits, Arc::new(config), &group, &stop, silent).unwrap();
    let mut config = swarm.config("carol");
    config.trackers.push(addr.to_string());
    let carol = swarm.start(&config);
    until("carol asks the silent tracker", LONG, || met.load(Relaxed) > 0);
    until("carol knows alice", LONG, || carol.peers().len() == 1);
    f(&carol);
    stop.stop();
    group.join_all(LONG);
}

#[test]
fn a_tracker_that_never_answers_does_not_hold_up_a_lookup() {
    beside_a_silent_tracker(|carol| {
        let began = clock::now();
        assert_eq!(carol.lookup(&name("film")).unwrap().hits.len(), 1);
        let took = clock::now().since(began);
        assert!(took.as_secs() < 5, "the lookup took {took:?}");
    });
}

#[test]
fn a_tracker_that_never_answers_does_not_hold_up_the_end_of_a_node() {
    beside_a_silent_tracker(|carol| {
        let began = clock::now();
        carol.stop();
        let took = clock::now().since(began);
        assert!(took.as_secs() < 5, "the node took {took:?} to stop");
    });
}
