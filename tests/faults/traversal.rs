//! Names that try to leave the folders: asked for, registered, offered. Nothing outside is opened.

use std::fs;
use std::net::Ipv4Addr;
use std::sync::Arc;

use parking_lot::Mutex;
use parvi::base::{FaultKind, Name, PeerInfo, Ports};
use parvi::io::listen::{Listener, accept_each};
use parvi::io::threads::{Group, StopToken};
use parvi::wire::Kind;
use parvi::wire::message::find::{FindQuestion, Pattern};
use serde::Serialize;

use super::eve::{Acts, Eve, Goods};
use super::raw::{POLL, Raw, identity};
use super::swarm::{LONG, Swarm, download, name, tree, until, write};

/// Encodes like the messages of its names, but takes any text.
#[derive(Serialize, Clone)]
struct Entry {
    name: String,
    size: u64,
    root: [u8; 32],
    modified: (i64, u32),
    executable: bool,
}

impl Entry {
    fn of(name: &str, content: &[u8]) -> Entry {
        let (size, root) = (content.len() as u64, *blake3::hash(content).as_bytes());
        Entry { name: name.to_owned(), size, root, modified: (0, 0), executable: false }
    }
}

/// At least 500 names that are none.
pub fn hostile_names() -> Vec<String> {
    let targets = ["etc/passwd", "outside", ".parvi/id", "shared/secret", "x"];
    let ups =
        ["..", "../..", "a/..", "a/../..", "./..", ".", "a/.", "a//..", "", "a/b/../../..", "é/.."];
    let mut names = Vec::new();
    for target in targets {
        for up in ups {
            names.extend([
                format!("{up}/{target}"),
                format!("a/{up}/{target}"),
                format!("{target}/{up}"),
            ]);
            names.push(format!("{up}/.parvi/{target}"));
            names.push(format!("{up}/{target}\0"));
        }
        for depth in 1..30 {
            names.push(format!("{}{target}", "../".repeat(depth)));
            names.push(format!("{}{target}", "a/".repeat(depth) + &"../".repeat(depth + 1)));
        }
        names.extend([format!("/{target}"), format!("//{target}"), format!("{target}/")]);
        names.extend([
            format!(".parvi/{target}"),
            format!("a/.parvi/{target}"),
            format!("a\0/{target}"),
        ]);
        names.extend([
            format!("{}/{target}", "n".repeat(256)),
            format!("{target}/{}", "n".repeat(4096)),
        ]);
    }
    names.extend(["", ".", "..", "/", ".parvi", "\0", "a/.parvi", "a//b"].map(str::to_owned));
    names.sort();
    names.dedup();
    assert!(names.len() >= 500, "{}", names.len());
    names.iter().for_each(|n| assert!(Name::parse(n).is_err(), "{n:?} is a fine name"));
    names
}

#[test]
fn questions_with_hostile_names_close_the_connection_unanswered() {
    let swarm = Swarm::new();
    write(&swarm.dir.path().join("outside"), b"secret");
    let alice = swarm.sharing("alice", &[("film", b"seven samurai")]);
    for hostile in hostile_names() {
        let mut raw = Raw::dial(alice.ready().search);
        raw.send(Kind::SearchQuestion as u8, &(&hostile, None::<String>));
        assert_eq!(raw.receive(), None, "{hostile:?} was answered");
    }
    let mut raw = Raw::dial(alice.ready().search);
    raw.send(Kind::SearchQuestion as u8, &("film", Some("../x")));
    assert_eq!(raw.receive(), None, "a hostile `after` was answered");
    assert_eq!(alice.stats().searches_answered, 0);
    let mut raw = Raw::dial(alice.ready().search);
    raw.send(Kind::SearchQuestion as u8, &("film", None::<String>));
    assert!(raw.receive().is_some(), "the hand-made question is what nodes ask");
}

#[test]
fn the_tracker_takes_no_hostile_name_into_its_index() {
    let swarm = Swarm::new();
    let ports = (1_u16, 2_u16, 3_u16);
    let card = (7_u64, "eve", ports, None::<u8>, 300_u16, (1_u64, 1_u64), (true, 0_u64, true));
    for hostile in hostile_names() {
        let mut raw = Raw::dial(swarm.tracker.addr());
        raw.send(Kind::LookupQuestion as u8, &(&hostile, None::<String>));
        assert_eq!(raw.receive(), None, "{hostile:?} was looked up");
    }
    let offered = |name: &str| {
        let mut raw = Raw::dial(swarm.tracker.addr());
        raw.send(Kind::Register as u8, &card);
        assert!(raw.receive().is_some(), "the hand-made registration is what nodes send");
        // As what it has it: the person's.
        let held = [(Entry::of(name, b"x"), 0_u32)];
        let none = &[] as &[&str];
        let page = (1_u64, 0_u64, 1_u64, held.as_slice(), none, none);
        raw.send(Kind::CatalogueDelta as u8, &page);
        raw.receive()
    };
    for hostile in hostile_names().into_iter().step_by(5) {
        assert_eq!(offered(&hostile), None, "{hostile:?} was taken");
    }
    let all = FindQuestion { pattern: Pattern::All, after: None };
    assert!(swarm.tracker.files(&all).unwrap().0.is_empty());
    assert!(offered("film").is_some(), "the hand-made page is what nodes send");
}

/// An owner below the level of messages that offers whatever name is set.
fn hostile_owner(
    swarm: &Swarm,
    offer: &Arc<Mutex<String>>,
    group: &Group,
    stop: &StopToken,
) -> Raw {
    let listener = Listener::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let port = listener.local_addr().port();
    let (own, offer) = (group.clone(), offer.clone());
    let answer = move |pipe| {
        let offer = offer.clone();
        own.spawn("offer", move || {
            let Some(mut raw) = Raw::accept(Arc::new(pipe)) else { return };
            while raw.receive().is_some() {
                let entry = Entry::of(&offer.lock(), b"evil");
                raw.send(Kind::SearchAnswer as u8, &([entry].as_slice(), 0_u8, false));
            }
        })
    };
    accept_each(listener, "offer", POLL, group, stop, answer).unwrap();
    let mut tracker = Raw::dial(swarm.tracker.addr());
    let ports = (port, port, port);
    let card = (7_u64, "eve", ports, None::<u8>, 300_u16, (1_u64, 1_u64), (true, 0_u64, true));
    tracker.send(Kind::Register as u8, &card);
    assert!(tracker.receive().is_some());
    tracker
}

#[test]
fn answers_with_hostile_names_are_refused_and_nothing_outside_is_written() {
    let (swarm, group, stop) = (Swarm::new(), Group::new("offers"), StopToken::new());
    let offer = Arc::new(Mutex::new("film".to_owned()));
    let _tracker = hostile_owner(&swarm, &offer, &group, &stop);
    let carol = swarm.node("carol");
    until("the hand-made answer is believed", LONG, || carol.lookup(&name("film")).is_ok());
    until("carol's directory settles", LONG, || swarm.data("carol").join(".parvi/lock").exists());
    let id = fs::read(swarm.data("carol").join(".parvi/id")).unwrap();
    for hostile in hostile_names().into_iter().step_by(4) {
        offer.lock().clone_from(&hostile);
        let fault = carol.lookup(&name("film")).unwrap_err();
        assert!(
            matches!(fault.kind, FaultKind::NotFound | FaultKind::NoOwner),
            "{hostile:?}: {fault}"
        );
    }
    // A fine name, but not what was asked for.
    for other in ["films", "filmx/a", "other", "fil"] {
        other.clone_into(&mut offer.lock());
        assert!(carol.lookup(&name("film")).is_err(), "{other} is not film");
    }
    assert!(tree(&swarm.data("carol").join("downloaded")).is_empty());
    assert_eq!(fs::read(swarm.data("carol").join(".parvi/id")).unwrap(), id);
    stop.stop();
}

#[test]
fn a_symlink_below_downloaded_leads_no_file_outside() {
    let swarm = Swarm::new();
    let outside = swarm.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let content = super::swarm::bytes(600_000, 1);
    swarm
        .sharing("alice", &[("link/small", b"x"), ("link/large", &content), ("deep/link/x", b"y")]);
    let carol = swarm.node("carol");
    let downloaded = swarm.data("carol").join("downloaded");
    std::os::unix::fs::symlink(&outside, downloaded.join("link")).unwrap();
    fs::create_dir(downloaded.join("deep")).unwrap();
    std::os::unix::fs::symlink("../../../outside", downloaded.join("deep/link")).unwrap();
    for wanted in ["link/small", "link/large", "deep/link/x", "link"] {
        let fault = download(&carol, wanted).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Exists, "{wanted}: {fault}");
    }
    assert_eq!(tree(&outside), Vec::<std::path::PathBuf>::new());
}

#[test]
fn an_owner_may_not_offer_a_name_into_our_own_folder_by_another_case_of_it() {
    let swarm = Swarm::new();
    let _eve = Eve::start(&swarm, "eve", Goods::of(".PARVI/id", b"evil"), &Acts::honest());
    let carol = swarm.node("carol");
    let id = fs::read(swarm.data("carol").join(".parvi/id")).unwrap();
    // It lands below downloaded/, as any name does.
    let report = download(&carol, ".PARVI/id").unwrap().remove(0);
    assert!(report.path.starts_with(swarm.data("carol").join("downloaded")));
    assert_eq!(fs::read(swarm.data("carol").join(".parvi/id")).unwrap(), id);
}

#[test]
fn the_identity_of_hand_made_peers_is_the_one_they_prove() {
    let info = PeerInfo {
        id: identity(),
        label: "eve".parse().unwrap(),
        ip: Ipv4Addr::LOCALHOST.into(),
        ports: Ports { search: 1, size: 2, chunk: 3 },
        files: 0,
    };
    let swarm = Swarm::new();
    let (offer, group, stop) =
        (Arc::new(Mutex::new(String::new())), Group::new("g"), StopToken::new());
    let _tracker = hostile_owner(&swarm, &offer, &group, &stop);
    until("listed", LONG, || swarm.tracker.peers().iter().any(|p| p.id == info.id));
    stop.stop();
}
