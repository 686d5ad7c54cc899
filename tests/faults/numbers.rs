//! Numbers chosen by strangers, said to each listener below the level of messages: every one is
//! clamped or refused, nothing hangs, and the next good peer is served.

use parvi::base::{NodeLabel, Root};
use parvi::node::Node;
use parvi::wire::Kind;
use parvi::wire::codec::encode;

use super::raw::{Raw, is_closed_within};
use super::swarm::{LONG, Swarm, bytes, download_equal};

/// What is said after OPEN; the connection must be closed, or carry on, but never hang the node.
fn wants() -> Vec<(&'static str, Kind, Vec<u8>)> {
    let none: &[(u32, u32)] = &[];
    let run = |first: u32, count: u32| vec![(first, count)];
    let want = |add: &[(u32, u32)], remove: &[(u32, u32)], window: u16| {
        encode(&(add, remove, window)).unwrap()
    };
    vec![
        ("a window of 0", Kind::Want, want(&run(0, 1), none, 0)),
        ("a window of 65,535", Kind::Want, want(&run(0, 2), none, u16::MAX)),
        ("more than there is", Kind::Want, want(&run(0, 1 << 20), none, 4)),
        ("2^32-1 items", Kind::Want, want(&run(0, u32::MAX), none, 4)),
        ("a run that wraps", Kind::Want, want(&run(u32::MAX, u32::MAX), none, 4)),
        ("nothing 8,192 times", Kind::Want, want(&vec![(0, 0); 8_192], none, 4)),
        ("everything 8,192 times", Kind::Want, want(&vec![(0, 4); 8_192], none, 4)),
        ("takes back beyond the end", Kind::Want, want(none, &run(u32::MAX - 1, 7), 4)),
        ("skips beyond the end", Kind::Skip, encode(&(u32::MAX, 1_u32)).unwrap()),
        ("skips all", Kind::Skip, encode(&(0_u32, u32::MAX)).unwrap()),
        ("ACKs what was not sent", Kind::Ack, encode(&[(0_u32, 4_u32)].as_slice()).unwrap()),
        ("ACKs 2^32-1", Kind::Ack, encode(&[(0_u32, u32::MAX)].as_slice()).unwrap()),
        ("is done with nothing", Kind::Done, Vec::new()),
        ("a list of 2^63 runs", Kind::Want, encode(&(1_u64 << 63)).unwrap()),
        ("a list of 2^32 runs", Kind::Ack, encode(&(1_u64 << 32)).unwrap()),
    ]
}

fn open(root: [u8; 32], size: u64) -> Vec<u8> {
    // Set::File is variant 0.
    encode(&((0_u32, (root, size)), true)).unwrap()
}

#[test]
fn numbers_in_a_transfer_are_clamped_or_refused() {
    let (swarm, content) = (Swarm::new(), bytes(1 << 20, 1));
    let alice = swarm.sharing("alice", &[("film", &content)]);
    let (root, size) = (*Root::of(&content).as_bytes(), content.len() as u64);
    for (what, kind, body) in wants() {
        let mut raw = Raw::dial(alice.ready().chunk);
        raw.send_frame(Kind::Open as u8, &open(root, size));
        let answer = raw.receive().expect(what);
        assert_eq!(answer[3], Kind::Opened as u8, "{what}: not opened");
        assert!(raw.send_frame(kind as u8, &body), "{what}");
        // A good word behind it: whoever is still listening ends the transfer.
        raw.send_frame(Kind::Done as u8, &[]);
        assert!(is_closed_within(&*raw.pipe, LONG), "{what}: hangs");
    }
    serves(&swarm, &content);
    drop(alice);
}

fn serves(swarm: &Swarm, content: &[u8]) {
    let carol = swarm.node("carol");
    download_equal(&carol, "film", content);
}

#[test]
fn sizes_in_an_open_are_refused() {
    let (swarm, content) = (Swarm::new(), bytes(1 << 20, 1));
    let alice = swarm.sharing("alice", &[("film", &content)]);
    let root = *Root::of(&content).as_bytes();
    let size = content.len() as u64;
    let batch = |n: u32| encode(&((1_u32, vec![(root, 0_u64); n as usize]), true)).unwrap();
    let claimed = |n: u64| [encode(&1_u32).unwrap(), encode(&n).unwrap()].concat();
    let opens = [
        ("2^40 bytes", open(root, 1 << 40)),
        ("2^40+1 bytes", open(root, (1 << 40) + 1)),
        ("2^64-1 bytes", open(root, u64::MAX)),
        ("no bytes", open(root, 0)),
        ("a byte more", open(root, size + 1)),
        ("an empty batch", batch(0)),
        ("1,024 times the same", batch(1_024)),
        ("1,025 files", batch(1_025)),
        ("2^32 files", claimed(1 << 32)),
        ("2^64-1 files", claimed(u64::MAX)),
        ("an unknown set", encode(&((9_u32, (root, size)), true)).unwrap()),
    ];
    for (what, body) in opens {
        let mut raw = Raw::dial(alice.ready().chunk);
        raw.send_frame(Kind::Open as u8, &body);
        if let Some(answer) = raw.receive() {
            assert_eq!(answer[3], Kind::Refused as u8, "{what} was opened");
        }
    }
    serves(&swarm, &content);
}

#[test]
fn every_kind_out_of_its_place_closes_the_connection() {
    let (swarm, content) = (Swarm::new(), bytes(1 << 20, 1));
    let alice: std::sync::Arc<Node> = swarm.sharing("alice", &[("film", &content)]);
    let ready = alice.ready();
    let doors = [ready.search, ready.size, ready.chunk, swarm.tracker.addr()];
    for door in doors {
        for kind in (0..=255_u8).filter(|k| *k < 0x10 || *k > 0x33 || *k == 0x11) {
            let mut raw = Raw::dial(door);
            raw.send_frame(kind, &[0xff; 40]);
            assert!(is_closed_within(&*raw.pipe, LONG), "{door} takes kind {kind:#x}");
        }
        let mut raw = Raw::dial(door);
        raw.send_record(b"pv\x03\x42\xff\xff\xff\xff");
        assert!(is_closed_within(&*raw.pipe, LONG), "{door} waits for a body of 4 GiB");
    }
    serves(&swarm, &content);
}

#[test]
fn numbers_in_a_registration_are_clamped_or_refused() {
    let swarm = Swarm::new();
    let label: NodeLabel = "eve".parse().unwrap();
    for heartbeat in [0, 1, 65_535_u16] {
        for (epoch, version) in [(0, 0), (0, u64::MAX), (u64::MAX, u64::MAX), (1, 0)] {
            let mut raw = Raw::dial(swarm.tracker.addr());
            let card = (
                7_u64,
                label.as_str(),
                (0_u16, 0_u16, 0_u16),
                None::<u8>,
                heartbeat,
                (epoch, version),
                (true, u64::MAX, true),
            );
            raw.send(Kind::Register as u8, &card);
            assert!(raw.receive().is_some(), "heartbeat {heartbeat}: hung up without a word");
            let none: &[u8] = &[];
            let beat = ((u64::MAX, u64::MAX), (epoch, version), (true, u64::MAX, true), none);
            raw.send(Kind::Heartbeat as u8, &beat);
            raw.receive();
            for (from, to) in [(0, u64::MAX), (u64::MAX, 0), (u64::MAX, u64::MAX), (5, 4)] {
                raw.send(Kind::CatalogueDelta as u8, &(epoch, from, to, none, none, none));
                raw.receive();
            }
            raw.send_frame(Kind::Exit as u8, &[]);
            assert!(is_closed_within(&*raw.pipe, LONG) || raw.receive().is_none());
        }
    }
    let content = bytes(1 << 20, 1);
    swarm.sharing("alice", &[("film", &content)]);
    serves(&swarm, &content);
}
