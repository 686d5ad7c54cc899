//! What a person ordered stays what it was: through a pause, a restart, owners that are away, and
//! callers who say that they have it.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use parvi::base::{FaultKind, Ports, Rate, Root};
use parvi::io::link::{self, StaticKey};
use parvi::logic::batch::set_key;
use parvi::node::view::{Direction, From, TransferRow, TransferState};
use parvi::node::{Node, NodeConfig};
use parvi::wire::message::knock::{Knock, Knocked};
use parvi::wire::message::transfer::{Content, Set};
use parvi::wire::{List, Message};

use super::eve::link_config;
use super::swarm::{LONG, Swarm, bytes, name, until, write};

/// Enough to be stopped in the middle at `slow`'s rate.
const SIZE: usize = 3 << 20;

fn slow(swarm: &Swarm, label: &str) -> NodeConfig {
    NodeConfig { up: Some(Rate::per_second(1 << 20)), ..swarm.config(label) }
}

fn row(node: &Node) -> TransferRow {
    node.transfers().into_iter().find(|t| t.dir == Direction::Down).unwrap()
}

/// Orders `wanted` and returns when a part of it is here.
fn begin(node: &Node, wanted: &str, from: From) -> u64 {
    until("it is found", LONG, || node.lookup(&name(wanted)).is_ok());
    let id = node.download(&name(wanted), from).unwrap();
    until("it moves", LONG, || row(node).done > 256 << 10);
    id
}

/// Pauses, and returns when nothing arrives any more: an owner that ends holds its last bytes to no
/// rate.
fn pause(node: &Node, id: u64) {
    node.pause(id).unwrap();
    until("it is paused", LONG, || row(node).state == TransferState::Paused);
}

fn stop(swarm: &Swarm, node: Arc<Node>) {
    node.stop();
    drop(node);
    swarm.forget();
}

/// alice has d/a, carol d/b; bob is in the middle of both.
fn half_a_folder(swarm: &Swarm) -> (Arc<Node>, Arc<Node>, u64) {
    let (a, b) = (bytes(SIZE, 1), bytes(SIZE, 2));
    swarm.sharing_with(&slow(swarm, "alice"), &[("d/a", &a)]);
    let carol = swarm.sharing_with(&slow(swarm, "carol"), &[("d/b", &b)]);
    let bob = swarm.node("bob");
    until("both are found", LONG, || {
        bob.lookup(&name("d")).is_ok_and(|found| found.hits.len() == 2)
    });
    let id = begin(&bob, "d", From::All);
    (carol, bob, id)
}

/// The file that only carol has is waited for, and comes with her.
fn comes_with_carol(swarm: &Swarm, bob: &Node) {
    let here = |file: &str| swarm.data("bob").join("downloaded/d").join(file).exists();
    until("alice's is here", LONG, || here("a"));
    assert!(!here("b") && row(bob).state != TransferState::Done, "{:?}", row(bob));
    let _carol = swarm.start(&slow(swarm, "carol"));
    until("all is here", LONG, || row(bob).state == TransferState::Done);
    assert!(here("b"));
}

#[test]
fn a_folder_that_is_resumed_waits_for_the_owner_who_is_away() {
    let swarm = Swarm::new();
    let (carol, bob, id) = half_a_folder(&swarm);
    pause(&bob, id);
    stop(&swarm, carol);
    until("carol is off the list", LONG, || bob.peers().len() == 1);
    bob.resume(id).unwrap();
    comes_with_carol(&swarm, &bob);
}

#[test]
fn files_whose_owner_is_away_give_way_to_the_others() {
    let swarm = Swarm::new();
    let films = (0..4).map(|n| (format!("d/a{n}"), bytes(SIZE, n))).collect::<Vec<_>>();
    let films = films.iter().map(|(name, film)| (name.as_str(), &film[..])).collect::<Vec<_>>();
    let alice = swarm.sharing_with(&slow(&swarm, "alice"), &films);
    let _carol = swarm.sharing("carol", &[("d/z", &bytes(SIZE, 9))]);
    let bob = swarm.node("bob");
    until("all are found", LONG, || {
        bob.lookup(&name("d")).is_ok_and(|found| found.hits.len() == 5)
    });
    begin(&bob, "d", From::All);
    stop(&swarm, alice);
    let last = swarm.data("bob").join("downloaded/d/z");
    assert!(!last.exists(), "alice's were to come first");
    until("carol's is here", LONG, || last.exists());
    assert_ne!(row(&bob).state, TransferState::Done);
    let _alice = swarm.start(&swarm.config("alice"));
    until("all is here", LONG, || row(&bob).state == TransferState::Done);
    assert_eq!((row(&bob).done, row(&bob).total), (5 * SIZE as u64, 5 * SIZE as u64));
}

#[test]
fn a_folder_after_a_restart_waits_for_the_owner_who_is_away() {
    let swarm = Swarm::new();
    let (carol, bob, _) = half_a_folder(&swarm);
    stop(&swarm, bob);
    stop(&swarm, carol);
    until("both are off the list", LONG, || swarm.tracker.peers().len() == 1);
    let bob = swarm.node("bob");
    comes_with_carol(&swarm, &bob);
    let lists = swarm.data("bob").join(".parvi/lists");
    until("its list is gone", LONG, || std::fs::read_dir(&lists).unwrap().count() == 0);
}

#[test]
fn a_download_that_is_resumed_waits_for_its_only_owner() {
    let swarm = Swarm::new();
    let film = bytes(SIZE, 1);
    let alice = swarm.sharing_with(&slow(&swarm, "alice"), &[("film", &film)]);
    let bob = swarm.node("bob");
    let id = begin(&bob, "film", From::All);
    pause(&bob, id);
    stop(&swarm, alice);
    until("alice is off the list", LONG, || bob.peers().is_empty());
    bob.resume(id).unwrap();
    until("it waits", LONG, || row(&bob).state == TransferState::Waiting);
    let _alice = swarm.start(&slow(&swarm, "alice"));
    until("it is here", LONG, || row(&bob).state == TransferState::Done);
}

#[test]
fn a_paused_order_stands_still_at_a_restart_and_keeps_its_content() {
    let swarm = Swarm::new();
    let film = bytes(SIZE, 1);
    swarm.sharing_with(&slow(&swarm, "alice"), &[("film", &film)]);
    let bob = swarm.node("bob");
    let id = begin(&bob, "film", From::All);
    bob.pause(id).unwrap();
    stop(&swarm, bob);
    let _carol = swarm.sharing("carol", &[("film", b"something else")]);
    let bob = swarm.node("bob");
    until("it is paused", LONG, || row(&bob).state == TransferState::Paused);
    until("bob knows both", LONG, || bob.peers().len() == 2);
    bob.resume(row(&bob).id).unwrap();
    let end = bob.wait(row(&bob).id, LONG).unwrap().unwrap();
    assert_eq!(end[0].root, Root::of(&film));
}

#[test]
fn a_download_ordered_again_is_not_paused_in_the_orders() {
    let swarm = Swarm::new();
    swarm.sharing_with(&slow(&swarm, "alice"), &[("film", &bytes(SIZE, 1))]);
    let bob = swarm.node("bob");
    let id = begin(&bob, "film", From::All);
    let orders = || std::fs::read_to_string(swarm.data("bob").join(".parvi/downloads.toml"));
    bob.pause(id).unwrap();
    assert!(orders().unwrap().contains("paused"));
    assert_eq!(bob.download(&name("film"), From::All).unwrap(), id);
    assert!(!orders().unwrap().contains("paused"));
}

#[test]
fn an_owner_waits_for_a_requester_that_was_stopped_in_good_order() {
    let swarm = Swarm::new();
    let alice = swarm.sharing_with(&slow(&swarm, "alice"), &[("film", &bytes(SIZE, 1))]);
    let bob = swarm.node("bob");
    begin(&bob, "film", From::All);
    stop(&swarm, bob);
    let waits = || alice.transfers().iter().any(|t| t.state == TransferState::Waiting);
    until("alice waits for him", LONG, waits);
}

/// Calls `node` as a stranger would; returns the answer.
fn knock(node: &Node, set: &Set, chunk: u16) -> Knocked {
    let config = Arc::new(link_config(StaticKey::generate().unwrap()));
    let here = Ipv4Addr::LOCALHOST.into();
    let mut link = link::dial(node.ready().chunk, here, &config, None).unwrap();
    let content = match set {
        Set::File(content) => Some(*content),
        Set::Batch(_) => None,
    };
    let ports = Ports { search: 1, size: 2, chunk };
    let label = "eve".parse().unwrap();
    match link.ask(Knock { set: set_key(set), content, label, ports }) {
        Ok(Message::Knocked(answer)) => answer,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_stranger_who_knocks_is_not_dialled() {
    let swarm = Swarm::new();
    let film = bytes(SIZE, 1);
    swarm.sharing_with(&slow(&swarm, "alice"), &[("film", &film)]);
    let bob = swarm.node("bob");
    let id = begin(&bob, "film", From::One("alice".into()));
    #[expect(clippy::disallowed_methods, reason = "only to see whether anybody comes")]
    let eve = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    eve.set_nonblocking(true).unwrap();
    let set = Set::File(Content { root: Root::of(&film), size: film.len() as u64 });
    let answer = knock(&bob, &set, eve.local_addr().unwrap().port());
    assert!(matches!(answer, Knocked::Later(_)), "{answer:?}");
    bob.wait(id, LONG).unwrap().unwrap();
    assert!(eve.accept().is_err(), "bob came to somebody whom nobody lists or chose");
}

#[test]
fn a_set_that_is_here_is_done_and_one_that_nobody_ordered_is_not_wanted() {
    let swarm = Swarm::new();
    let files = [bytes(100, 1), bytes(100, 2)];
    swarm.sharing("alice", &[("d/a", &files[0]), ("d/b", &files[1])]);
    let bob = swarm.node("bob");
    until("both are found", LONG, || {
        bob.lookup(&name("d")).is_ok_and(|found| found.hits.len() == 2)
    });
    super::swarm::download(&bob, "d").unwrap();
    let content = |bytes: &Vec<u8>| Content { root: Root::of(bytes), size: 100 };
    let batch = |files: &[Vec<u8>]| Set::Batch(List::of(files.iter().map(content).collect()));
    assert!(matches!(knock(&bob, &batch(&files), 3), Knocked::Done));
    assert!(matches!(knock(&bob, &batch(&files[..1]), 3), Knocked::NotWanted(_)));
}

#[test]
fn two_folders_of_the_same_small_files_are_sent_once() {
    let swarm = Swarm::new();
    let config = slow(&swarm, "alice");
    for folder in ["x", "y"] {
        for n in 0..20 {
            let path = config.data.join(format!("shared/{folder}/f{n:02}"));
            write(&path, &bytes(100_000, n));
        }
    }
    let alice = swarm.start(&config);
    swarm.wait_for("alice", 40);
    let bob = swarm.node("bob");
    until("all are found", LONG, || {
        bob.lookup(&name("x")).is_ok_and(|found| found.hits.len() == 20)
    });
    let ids = ["x", "y"].map(|folder| bob.download(&name(folder), From::All).unwrap());
    let _ = ids.map(|id| bob.wait(id, LONG).unwrap().unwrap());
    assert_eq!(alice.stats().bytes_up, 20 * 100_000);
}

#[test]
fn a_list_of_orders_that_is_damaged_takes_no_part_away() {
    let swarm = Swarm::new();
    swarm.sharing_with(&slow(&swarm, "alice"), &[("film", &bytes(SIZE, 1))]);
    let bob = swarm.node("bob");
    begin(&bob, "film", From::All);
    stop(&swarm, bob);
    let of = |folder: &str| {
        let folder = swarm.data("bob").join(".parvi").join(folder);
        std::fs::read_dir(folder).unwrap().count()
    };
    let orders = swarm.data("bob").join(".parvi/downloads.toml");
    let whole = std::fs::read(&orders).unwrap();
    assert_eq!((of("parts"), of("lists")), (1, 1));
    std::fs::write(&orders, "download = 5").unwrap();
    for _ in 0..2 {
        let bob = swarm.node("bob");
        assert!(bob.transfers().is_empty());
        assert_eq!((of("parts"), of("lists")), (1, 1), "nobody knows what it was for");
        stop(&swarm, bob);
    }
    std::fs::write(&orders, whole).unwrap();
    std::fs::remove_file(orders.with_extension("toml.bad")).unwrap();
    let bob = swarm.node("bob");
    until("it is here", LONG, || row(&bob).state == TransferState::Done);
}

#[test]
fn what_was_given_up_goes_at_a_later_start_when_every_download_knows_what_it_wants() {
    let swarm = Swarm::new();
    let alice = swarm.sharing_with(&slow(&swarm, "alice"), &[("film", &bytes(SIZE, 1))]);
    let bob = swarm.node("bob");
    begin(&bob, "film", From::All);
    stop(&swarm, bob);
    stop(&swarm, alice);
    until("both are off the list", LONG, || swarm.tracker.peers().is_empty());
    let orders = swarm.data("bob").join(".parvi/downloads.toml");
    let parts = swarm.data("bob").join(".parvi/parts");
    let left = || std::fs::read_dir(&parts).unwrap().count();
    // The film is given up, and nobody knows yet what the song is.
    std::fs::write(&orders, "[[download]]\nname = \"song\"\n").unwrap();
    for _ in 0..2 {
        let bob = swarm.node("bob");
        until("it looks for the song", LONG, || row(&bob).state == TransferState::Waiting);
        assert_eq!(left(), 1);
        stop(&swarm, bob);
    }
    let _carol = swarm.sharing("carol", &[("song", b"la")]);
    let bob = swarm.node("bob");
    until("the song is here", LONG, || row(&bob).state == TransferState::Done);
    until("the film's part is gone", LONG, || left() == 0);
}

#[test]
fn every_order_is_gone_on_with_however_many_there_are() {
    let swarm = Swarm::new();
    let orders: Vec<_> = (0..20).map(|n| format!("[[download]]\nname = \"f{n}\"\n")).collect();
    write(&swarm.data("bob").join(".parvi/downloads.toml"), orders.concat().as_bytes());
    let bob = swarm.node("bob");
    assert_eq!(bob.transfers().len(), 20);
}

/// alice has six films below `d`.
fn films(swarm: &Swarm) -> (Arc<Node>, Vec<Vec<u8>>) {
    let films: Vec<_> = (0..6).map(|n| bytes(SIZE / 2, n)).collect();
    let names: Vec<_> = (0..6).map(|n| format!("d/f{n}")).collect();
    let files = names.iter().zip(&films).map(|(name, film)| (name.as_str(), &film[..]));
    let alice = swarm.sharing_with(&slow(swarm, "alice"), &files.collect::<Vec<_>>());
    (alice, films)
}

#[test]
fn a_one_shot_whose_owner_goes_ends_as_unfinished_and_not_once_for_every_file() {
    let swarm = Swarm::new();
    let (alice, _) = films(&swarm);
    let out = swarm.dir.path().join("out");
    let fault = std::thread::scope(|scope| {
        // Longer than a set stays while others wait for its place.
        let get = scope.spawn(|| swarm.get("d", &out, Duration::from_secs(2)));
        until("it moves", LONG, || alice.stats().bytes_up > 512 << 10);
        stop(&swarm, alice);
        get.join().unwrap().unwrap_err()
    });
    assert_eq!(fault.kind, FaultKind::Unfinished, "{fault}");
    assert!(fault.text.contains("what arrived is kept"), "{fault}");
}

#[test]
fn a_file_that_cannot_be_written_keeps_no_other_of_its_folder_from_its_name() {
    let swarm = Swarm::new();
    let (_alice, films) = films(&swarm);
    let part = format!("{}.{}.part/in the way", Root::of(&films[0]), films[0].len());
    write(&swarm.data("bob").join(".parvi/parts").join(part), b"");
    let bob = swarm.node("bob");
    until("all are found", LONG, || {
        bob.lookup(&name("d")).is_ok_and(|found| found.hits.len() == 6)
    });
    let fault = super::swarm::download(&bob, "d").unwrap_err();
    assert!(fault.text.contains("5 files are here, 1 are not"), "{fault}");
    assert_eq!(std::fs::read_dir(swarm.data("bob").join("downloaded/d")).unwrap().count(), 5);
}

#[test]
fn a_folder_and_a_file_in_it_may_be_downloaded_at_once() {
    let swarm = Swarm::new();
    let files = [bytes(SIZE, 1), bytes(100, 2)];
    swarm.sharing_with(&slow(&swarm, "alice"), &[("d/film", &files[0]), ("d/song", &files[1])]);
    let bob = swarm.node("bob");
    until("both are found", LONG, || {
        bob.lookup(&name("d")).is_ok_and(|found| found.hits.len() == 2)
    });
    let ids = ["d", "d/film"].map(|wanted| bob.download(&name(wanted), From::All).unwrap());
    for id in ids {
        let _ = bob.wait(id, LONG).unwrap().unwrap();
    }
}
