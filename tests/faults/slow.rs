//! Strangers that say nothing, or the half of something, on every door; readers that do not read.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parvi::base::{FaultKind, Root};
use parvi::io::clock;
use parvi::io::link::Pipe;
use parvi::node::Node;
use parvi::node::view::From;
use parvi::wire::Kind;
use parvi::wire::codec::encode;

use super::eve::{Acts, Answer, Eve, Goods};
use super::raw::{PREAMBLE, Raw, connect, is_closed_within, write_all};
use super::swarm::{LONG, Swarm, bytes, download, download_equal, name, tree, until, write};

/// What a slot may be held for, and what a good peer may wait; both with room for a busy machine.
const SLOT_TIME_MAX: Duration = Duration::from_secs(15 + 5);
const GOOD_TIME_MAX: Duration = Duration::from_secs(5);

/// Connections that stop in each phase that every door has.
fn stopped_at(door: SocketAddr) -> Vec<(&'static str, Arc<dyn Pipe>)> {
    let bare = |bytes: &[u8]| {
        let pipe = connect(door);
        assert!(write_all(&*pipe, bytes));
        pipe as Arc<dyn Pipe>
    };
    let shaken = |bytes: &[u8]| {
        let raw = Raw::dial(door);
        assert!(write_all(&*raw.pipe, bytes));
        raw.pipe
    };
    let header = |kind: Kind, len: u32, body: &[u8]| {
        let mut raw = Raw::dial(door);
        let len = len.to_le_bytes();
        raw.send_record(&[&[b'p', b'v', 2, kind as u8][..], &len, body].concat());
        raw.pipe
    };
    vec![
        ("silent", bare(b"")),
        ("half a preamble", bare(&PREAMBLE[..4])),
        ("a preamble", bare(&PREAMBLE)),
        ("half a handshake length", bare(&[&PREAMBLE[..], &[32]].concat())),
        ("half a handshake message", bare(&[&PREAMBLE[..], &[32, 0], &[1; 16]].concat())),
        ("one handshake message", bare(&[&PREAMBLE[..], &[32, 0], &[9; 32]].concat())),
        ("half a record length", shaken(&[200])),
        ("half a record", shaken(&[200, 0, 1, 2, 3])),
        ("half a body", header(Kind::Register, 1_000, &[0; 400])),
        ("half a question", header(Kind::SearchQuestion, 1_000, &[0; 400])),
        ("half an OPEN", header(Kind::Open, 100_000, &[0; 30_000])),
    ]
}

/// The owner's slots are free again, every one.
fn all_closed(stopped: Vec<(String, Arc<dyn Pipe>)>) {
    let began = clock::now();
    for (what, pipe) in stopped {
        let left = SLOT_TIME_MAX.saturating_sub(clock::now().since(began));
        assert!(is_closed_within(&*pipe, left), "{what}: still open after {SLOT_TIME_MAX:?}");
    }
}

/// A lookup and a download by somebody new, in time.
fn is_served(carol: &Node, film: &str, content: &[u8]) {
    let began = clock::now();
    download_equal(carol, film, content);
    let took = clock::now().since(began);
    assert!(took <= GOOD_TIME_MAX, "a good peer waited {took:?}");
}

#[test]
fn whoever_stops_in_any_phase_on_any_door_frees_its_slot_and_holds_up_nobody() {
    let (swarm, content) = (Swarm::new(), bytes(1 << 20, 1));
    let alice = swarm.sharing("alice", &[("film", &content), ("film 2", &content)]);
    let ready = alice.ready();
    let doors = [
        ("tracker", swarm.tracker.addr()),
        ("search", ready.search),
        ("size", ready.size),
        ("chunk", ready.chunk),
    ];
    let mut stopped: Vec<(String, Arc<dyn Pipe>)> = Vec::new();
    for (door, addr) in doors {
        for _ in 0..6 {
            let here = stopped_at(addr).into_iter();
            stopped.extend(here.map(|(what, pipe)| (format!("{door}: {what}"), pipe)));
        }
        // After the handshake silent: the tracker may keep it for 30 s, as one of 256.
        if door != "tracker" {
            stopped.push((format!("{door}: silent after the handshake"), Raw::dial(addr).pipe));
        }
    }
    let carol = swarm.node("carol");
    is_served(&carol, "film", &content);
    all_closed(stopped);
    is_served(&carol, "film 2", &content);
}

#[test]
fn a_requester_that_stops_in_the_middle_or_never_reads_frees_its_slot() {
    let (swarm, content) = (Swarm::new(), bytes(48 << 20, 1));
    let alice = swarm.sharing("alice", &[("film", &content), ("small", b"seven")]);
    let set = (0_u32, (*Root::of(&content).as_bytes(), content.len() as u64));
    // One that is not resumable: an upload ends with its connection and is not shown after that.
    let open = encode(&(set, false)).unwrap();
    let opened = || {
        let mut raw = Raw::dial(alice.ready().chunk);
        raw.send_frame(Kind::Open as u8, &open);
        assert!(raw.receive().is_some());
        raw
    };
    let (none, all): (&[(u32, u32)], _) = (&[], [(0_u32, 192_u32)]);
    let want = encode(&(all.as_slice(), none, u16::MAX)).unwrap();
    let mut stopped: Vec<(String, Arc<dyn Pipe>)> = Vec::new();
    let silent = opened();
    stopped.push(("silent after OPENED".into(), silent.pipe));
    let half = opened();
    assert!(write_all(&*half.pipe, &[90, 0, 1, 2]));
    stopped.push(("half a WANT".into(), half.pipe));
    let mut acks = opened();
    acks.send_frame(Kind::Want as u8, &want);
    assert!(write_all(&*acks.pipe, &[90]));
    stopped.push(("half an ACK".into(), acks.pipe));
    let mut greedy: Vec<Raw> = (0..8).map(|_| opened()).collect();
    for raw in &mut greedy {
        raw.send_frame(Kind::Want as u8, &want);
    }
    let carol = swarm.node("carol");
    is_served(&carol, "small", b"seven");
    // Those that never read: looking whether they are closed would read, so the owner is asked.
    let began = clock::now();
    let uploads = || alice.transfers().len();
    super::swarm::until("all uploads have ended", SLOT_TIME_MAX, || {
        alice.transfers().iter().all(|row| !is_going_on(row))
    });
    assert!(clock::now().since(began) <= SLOT_TIME_MAX, "{} uploads", uploads());
    all_closed(stopped);
    assert!(download(&carol, "film").is_ok());
}

fn is_going_on(row: &parvi::node::view::TransferRow) -> bool {
    use parvi::node::view::TransferState::{Moving, Preparing, Waiting};
    matches!(row.state, Moving | Waiting | Preparing)
}

#[test]
fn a_download_cancelled_while_it_asks_for_the_chunk_hashes_waits_for_no_owner_and_leaves_nothing() {
    let (swarm, film) = (Swarm::new(), bytes(1 << 20, 9));
    let asked = Arc::new(AtomicUsize::new(0));
    let (answer, held) = crossbeam_channel::bounded::<()>(0);
    let log = asked.clone();
    let size: Answer = Arc::new(move |_, _| {
        log.fetch_add(1, Ordering::SeqCst);
        // Held until the test lets go of the other end.
        held.recv().ok();
        None
    });
    let acts = Acts { size, ..Acts::honest() };
    let _owners =
        ["eve", "mallory"].map(|l| Eve::start(&swarm, l, Goods::of("film", &film), &acts));
    let parts = swarm.data("carol").join(".parvi/parts");
    write(&parts.join(format!("{}.{}.part", Root::of(&film), film.len())), &film[..300_000]);
    let carol = swarm.node("carol");
    let id = carol.download(&name("film"), From::All).unwrap();
    until("both owners are asked", LONG, || asked.load(Ordering::SeqCst) == 2);
    assert_eq!(tree(&parts).len(), 1, "the part of an earlier try");
    carol.cancel(id).unwrap();
    let fault = carol.wait(id, LONG).unwrap_err();
    drop(answer);
    assert_eq!(fault.kind, FaultKind::Unfinished, "{fault}");
    assert!(tree(&parts).is_empty(), "{:?} is left", tree(&parts));
}
