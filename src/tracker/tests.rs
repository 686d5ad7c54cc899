//! A real tracker on loopback and real links to it: alice and bob behave, eve does not.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::*;
use crate::base::{FileEntry, Modified, Ports, Root};
use crate::io::link::{Link, LinkError, Pipe, TcpPipe, dial, dial_over};
use crate::io::listen::{ServeLimits, serve};
use crate::wire::message::copies::{Duties, Offer};
use crate::wire::message::find::Pattern;
use crate::wire::message::search::SearchQuestion;
use crate::wire::message::tracker::{
    CatalogueDelta, Exit, Found, Heartbeat, HeartbeatAnswer, Held, LookupQuestion, PeersQuestion,
    Register, Registered, Stamp, Why,
};
use crate::wire::{List, Message, Text};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const POLL: Duration = Duration::from_millis(250);
const LONG: Duration = Duration::from_secs(20);

/// A tracker in a folder of its own, stopped at the end.
struct Home {
    tracker: Arc<Tracker>,
    dir: tempfile::TempDir,
}

impl Drop for Home {
    fn drop(&mut self) {
        self.tracker.stop();
    }
}

fn home() -> Home {
    let dir = tempfile::tempdir().unwrap();
    let tracker = Tracker::start(config(dir.path())).unwrap();
    Home { tracker, dir }
}

fn config(dir: &std::path::Path) -> TrackerConfig {
    TrackerConfig {
        listen: SocketAddr::new(LOOPBACK, 0),
        data: dir.to_owned(),
        swarm_key: None,
        bulk: Bulk::Private,
        replicas: Replicas::default(),
    }
}

fn person() -> LinkConfig {
    LinkConfig::new(StaticKey::generate().unwrap(), None, Bulk::Private)
}

impl Home {
    fn dial(&self, who: &LinkConfig) -> Link {
        dial(self.tracker.addr(), LOOPBACK, who, None).unwrap()
    }

    fn connect(&self) -> Arc<dyn Pipe> {
        Arc::new(TcpPipe::connect(self.tracker.addr(), LOOPBACK, LONG, POLL).unwrap())
    }

    fn notice(&self) -> String {
        self.tracker.next_notice().unwrap()
    }
}

fn register(name: &str, instance: u64, chunk: u16) -> Register {
    Register {
        instance,
        label: name.parse().unwrap(),
        ports: Ports { search: 0, size: 0, chunk },
        advertise: None,
        heartbeat_s: 10,
        catalogue: Stamp::default(),
        offer: Offer::default(),
    }
}

fn joined(link: &mut Link, name: &str) -> Registered {
    match link.ask(register(name, 1, 0)).unwrap() {
        Message::Registered(registered) => registered,
        other => panic!("{other:?}"),
    }
}

fn beat(link: &mut Link, peers: Stamp) -> HeartbeatAnswer {
    match link.ask(Heartbeat { peers, ..Heartbeat::default() }).unwrap() {
        Message::HeartbeatAnswer(answer) => answer,
        other => panic!("{other:?}"),
    }
}

fn lookup(link: &mut Link, name: &str) -> Vec<Found> {
    match link.ask(LookupQuestion { name: name.parse().unwrap(), after: None }).unwrap() {
        Message::LookupAnswer(answer) => answer.found.into_vec(),
        other => panic!("{other:?}"),
    }
}

fn refused(answer: Result<Message, LinkError>) -> Why {
    match answer {
        Err(LinkError::Refused(refused)) => refused.why,
        other => panic!("not refused: {other:?}"),
    }
}

fn file(name: &str) -> FileEntry {
    FileEntry {
        name: name.parse().unwrap(),
        size: 5,
        root: Root::of(b"bytes"),
        modified: Modified::default(),
        executable: false,
    }
}

#[test]
fn nodes_join_beat_share_find_and_leave() {
    let home = home();
    let (alice_key, bob_key) = (person(), person());
    let (mut alice, mut bob) = (home.dial(&alice_key), home.dial(&bob_key));
    assert_eq!(joined(&mut alice, "alice").seen_as, LOOPBACK);
    joined(&mut bob, "bob");
    assert_eq!(home.notice(), "alice joined (127.0.0.1:0)");
    assert_eq!(home.notice(), "bob joined (127.0.0.1:0)");

    let (added, removed) = (List::of(vec![Held::shared(file("doc/a.txt"))]), List::default());
    let taken_back = List::default();
    alice.ask(CatalogueDelta { epoch: 9, from: 0, to: 1, added, removed, taken_back }).unwrap();
    let first = beat(&mut bob, Stamp::default());
    assert_eq!(first.peers.changed[0].id, alice_key.key.public());
    assert!(beat(&mut bob, first.peers.stamp).peers.changed.is_empty());
    assert_eq!(beat(&mut alice, Stamp::default()).catalogue, Stamp { epoch: 9, version: 1 });

    let mut eve = home.dial(&person());
    let found = lookup(&mut eve, "doc");
    assert_eq!((&found[0].entry, found[0].owners[0]), (&file("doc/a.txt"), alice_key.key.public()));
    assert!(matches!(
        eve.ask(PeersQuestion { peers: Stamp::default() }).unwrap(),
        Message::PeersAnswer(answer) if answer.peers.changed.len() == 2
    ));
    let all = FindQuestion { pattern: Pattern::All, after: None };
    let (rows, next) = home.tracker.files(&all).unwrap();
    assert_eq!((rows[0].owners[0].as_str(), rows[0].copies, next), ("alice", 1, None));
    let text = Text::of("*.TXT");
    let glob = Pattern::Glob { text, ignore_case: true };
    match eve.ask(FindQuestion { pattern: glob, after: None }).unwrap() {
        Message::FindAnswer(answer) => assert_eq!(answer.found[0].entry, file("doc/a.txt")),
        other => panic!("{other:?}"),
    }

    assert!(matches!(alice.ask(Exit), Ok(Message::Bye(_))));
    assert_eq!(home.notice(), "alice exited intentionally");
    assert!(lookup(&mut eve, "doc").is_empty());
    assert_eq!(beat(&mut bob, first.peers.stamp).peers.gone[0], alice_key.key.public());
    let stats = home.tracker.stats();
    assert_eq!((stats.peers, stats.registrations, stats.heartbeats, stats.lookups), (1, 2, 4, 3));
}

#[test]
fn a_killed_node_is_told_apart_from_one_that_left() {
    let home = home();
    let mut bob = home.dial(&person());
    joined(&mut bob, "bob");
    home.notice();
    drop(bob);
    let told = home.notice();
    assert!(told.starts_with("bob exited not intentionally"), "{told}");
}

#[test]
fn a_node_is_dialled_back_and_found_reachable() {
    let home = home();
    let bob = Arc::new(person());
    let listener = Listener::bind(SocketAddr::new(LOOPBACK, 0)).unwrap();
    let port = listener.local_addr().port();
    let (group, stop) = (Group::new("bob"), StopToken::new());
    let limits = ServeLimits { connections_max: 8, pending_max: 8 };
    let handler = Arc::new(|_| ());
    serve(listener, "chunk", limits, Arc::clone(&bob), &group, &stop, handler).unwrap();
    let mut link = home.dial(&bob);
    link.ask(register("bob", 1, port)).unwrap();
    let until = clock::now() + LONG;
    while home.tracker.peers()[0].reachable != Some(true) {
        assert!(clock::now() < until, "never reachable");
        beat(&mut link, Stamp::default());
    }
    stop.stop();
    assert!(group.join_all(LONG).is_empty());
}

#[test]
fn a_copied_identity_is_refused_while_the_first_is_alive() {
    let home = home();
    let bob = person();
    let (mut first, mut second) = (home.dial(&bob), home.dial(&bob));
    first.ask(register("bob", 1, 0)).unwrap();
    let why = refused(second.ask(register("bob", 2, 0)));
    assert!(matches!(why, Why::IdentityInUse { .. }));
    beat(&mut first, Stamp::default());
    assert_eq!(home.tracker.stats().refused, 1);
}

#[test]
fn what_is_out_of_turn_is_refused() {
    let home = home();
    let mut eve = home.dial(&person());
    let early = Heartbeat::default();
    assert_eq!(refused(eve.ask(early)), Why::NotRegistered);
    joined(&mut eve, "eve");
    let node_only = SearchQuestion { name: "a".parse().unwrap(), after: None };
    assert_eq!(refused(eve.ask(node_only)), Why::Unexpected);
    assert!(eve.recv(LONG).is_err(), "still open after a question for nodes");
    let mut eve = home.dial(&person());
    let (catalogue, duties) = (Stamp::default(), Duties::default());
    let answer = Registered { seen_as: LOOPBACK, catalogue, duties };
    assert_eq!(refused(eve.ask(answer)), Why::Unexpected);
}

#[test]
fn bytes_that_are_no_message_end_the_session_and_nothing_else() {
    let home = home();
    let mut bob = home.dial(&person());
    joined(&mut bob, "bob");
    for garbage in [&[8; 4096][..], &[0, 0], &[17, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]] {
        let pipe = home.connect();
        let mut eve = dial_over(Arc::clone(&pipe), &person(), None).unwrap();
        joined(&mut eve, "eve");
        let mut rest = garbage.to_vec();
        rest.resize(garbage.len() + 64, 0);
        assert!(pipe.write(&rest).unwrap() > 0);
        assert!(eve.recv(LONG).is_err());
    }
    beat(&mut bob, Stamp::default());
}

#[test]
fn a_thousand_idle_connections_do_not_keep_a_good_peer_out() {
    let home = home();
    let mut bob = home.dial(&person());
    joined(&mut bob, "bob");
    let idle: Vec<Arc<dyn Pipe>> = (0..1_000).map(|_| home.connect()).collect();
    let mut alice = home.dial(&person());
    joined(&mut alice, "alice");
    beat(&mut bob, Stamp::default());
    assert!(home.tracker.stats().connections <= 2 + 64);
    drop(idle);
}

#[test]
fn handshakes_that_crawl_do_not_keep_a_good_peer_out() {
    let home = home();
    let mut bob = home.dial(&person());
    joined(&mut bob, "bob");
    let crawl: Vec<Arc<dyn Pipe>> = (0..24)
        .map(|_| {
            let pipe = home.connect();
            pipe.write(b"PA").unwrap();
            pipe
        })
        .collect();
    beat(&mut bob, Stamp::default());
    // Two rounds of crawling handshakes, five seconds each, were she to wait for their deadlines.
    joined(&mut home.dial(&person()), "alice");
    drop(crawl);
}

#[test]
fn the_oldest_unregistered_session_makes_room_and_registered_ones_do_not() {
    let home = home();
    let mut bob = home.dial(&person());
    joined(&mut bob, "bob");
    let eve = person();
    let mut links: Vec<Link> = (0..=sessions::UNREGISTERED_MAX).map(|_| home.dial(&eve)).collect();
    // The dialler is done one step before the tracker is.
    let last = links.last_mut().unwrap();
    lookup(last, "a");
    assert!(matches!(links[0].recv(LONG), Err(LinkError::Closed)));
    lookup(&mut links[1], "a");
    beat(&mut bob, Stamp::default());
}

#[test]
fn stopping_with_two_hundred_sessions_joins_every_thread() {
    let home = home();
    let mut links: Vec<Link> = (0..200).map(|_| home.dial(&person())).collect();
    for (n, link) in links.iter_mut().enumerate() {
        joined(link, &format!("node-{n}"));
    }
    let crawl = home.connect();
    crawl.write(b"P").unwrap();
    home.tracker.stop();
    assert_eq!(home.tracker.group.running(), 0);
    assert!(links.iter_mut().all(|link| link.recv(LONG).is_err()));
    let told: Vec<String> = std::iter::from_fn(|| home.tracker.next_notice()).collect();
    assert_eq!(told.len(), 200, "what was told before the end is still handed out");
    Tracker::start(config(home.dir.path())).unwrap().stop();
}

#[test]
fn a_data_directory_has_one_tracker_and_keeps_its_identity() {
    let home = home();
    let second = Tracker::start(config(home.dir.path())).err().unwrap();
    assert!(second.text.contains("another parvi"), "{second}");
    home.tracker.stop();
    let again = Tracker::start(config(home.dir.path())).unwrap();
    assert_eq!(again.id(), home.tracker.id());
    again.stop();
}

#[test]
fn a_taken_port_is_told_with_what_to_do() {
    let home = home();
    let dir = tempfile::tempdir().unwrap();
    let taken = TrackerConfig { listen: home.tracker.addr(), ..config(dir.path()) };
    let fault = Tracker::start(taken).err().unwrap();
    assert!(fault.text.contains("choose another port"), "{fault}");
}
