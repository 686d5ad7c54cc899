//! The reader against everything that can be wrong with what it reads, from a tape.

use std::io;

use parking_lot::Mutex;

use crate::base::{Bitmap, FileEntry, Modified, Name, PeerInfo, Ports, Range, Root};
use crate::wire::message::copies::{Duties, Offer, WhyAnswer, WhyQuestion};
use crate::wire::message::find::{FindAnswer, FindQuestion, Pattern};
use crate::wire::message::knock::{Knock, Knocked};
use crate::wire::message::search::{SearchAnswer, SearchQuestion};
use crate::wire::message::size::{SizeAnswer, SizeQuestion};
use crate::wire::message::tracker as t;
use crate::wire::message::transfer as x;
use crate::wire::{FrameHeader, Kind, List, Text};

use super::super::session::{PLAIN_MAX, Session, TAG_LEN};
use super::*;

/// A pipe that plays what was written to it, and then ends.
#[derive(Default)]
struct Tape(Mutex<(Vec<u8>, usize)>);

impl Tape {
    fn put(&self, bytes: &[u8]) {
        *self.0.lock() = (bytes.to_vec(), 0);
    }
    fn cut_out(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().0)
    }
}

impl Pipe for Tape {
    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let (bytes, at) = &mut *self.0.lock();
        let n = buf.len().min(bytes.len() - *at);
        buf[..n].copy_from_slice(&bytes[*at..*at + n]);
        *at += n;
        Ok(n)
    }
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().0.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn shutdown(&self) {}
    fn remote(&self) -> SocketAddr {
        SocketAddr::new(LOOPBACK, 0)
    }
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

/// Alice's session and bob's, each on a tape of its own.
struct Tapes {
    alice: Arc<Session>,
    bob: Arc<Session>,
    alice_tape: Arc<Tape>,
    bob_tape: Arc<Tape>,
}

fn tapes(bulk: Bulk) -> Tapes {
    let keys = [StaticKey::generate().unwrap(), StaticKey::generate().unwrap()];
    let builder = |i: usize| {
        let pattern = super::super::handshake::PATTERN_OPEN.parse().unwrap();
        snow::Builder::new(pattern).local_private_key(keys[i].secret()).unwrap()
    };
    let mut a = builder(0).build_initiator().unwrap();
    let mut b = builder(1).build_responder().unwrap();
    let (mut message, mut payload) = ([0; 256], [0; 256]);
    while !a.is_handshake_finished() {
        let (from, to) = if a.is_my_turn() { (&mut a, &mut b) } else { (&mut b, &mut a) };
        let n = from.write_message(&[], &mut message).unwrap();
        to.read_message(&message[..n], &mut payload).unwrap();
    }
    let (alice_tape, bob_tape) = (Arc::new(Tape::default()), Arc::new(Tape::default()));
    let session = |noise: snow::HandshakeState, pipe: &Arc<Tape>| {
        let noise = noise.into_stateless_transport_mode().unwrap();
        let pipe: Arc<dyn Pipe> = Arc::<Tape>::clone(pipe);
        Arc::new(Session { pipe, noise, bulk, timeouts: Timeouts::default() })
    };
    let (alice, bob) = (session(a, &alice_tape), session(b, &bob_tape));
    Tapes { alice, bob, alice_tape, bob_tape }
}

impl Tapes {
    /// What alice's writer makes of `plain`, one record each.
    fn seal(&self, plain: &[&[u8]]) -> Vec<u8> {
        let mut writer = LinkWriter::new(Arc::clone(&self.alice));
        for part in plain {
            writer.seal_record(part).unwrap();
        }
        writer.take_sealed()
    }

    fn send(&self, message: &Message) -> Vec<u8> {
        LinkWriter::new(Arc::clone(&self.alice)).send(message).unwrap();
        self.alice_tape.cut_out()
    }

    /// What bob reads from these bytes at the beginning of the session.
    fn recv(&self, bytes: &[u8]) -> Result<Message, LinkError> {
        self.bob_tape.put(bytes);
        LinkReader::new(Arc::clone(&self.bob)).recv(LONG)
    }
}

#[test]
fn a_stream_cut_at_any_byte_of_any_message_is_a_typed_error() {
    let tapes = tapes(Bulk::Private);
    for message in one_of_each() {
        let whole = tapes.send(&message);
        assert_eq!(tapes.recv(&whole).unwrap(), message);
        let step = (whole.len() / 500).max(1);
        for cut in (0..whole.len()).step_by(step) {
            let got = tapes.recv(&whole[..cut]);
            assert!(
                matches!(got, Err(LinkError::Closed)),
                "{:?} cut at {cut}: {got:?}",
                message.kind()
            );
        }
    }
}

#[test]
fn a_single_changed_bit_anywhere_is_an_error() {
    let tapes = tapes(Bulk::Private);
    let whole = tapes.send(&t::Refused::new(t::Why::Busy, "later").into());
    for bit in 0..whole.len() * 8 {
        let mut changed = whole.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(tapes.recv(&changed).is_err(), "bit {bit} was changed and nobody noticed");
    }
}

#[test]
fn records_doubled_or_swapped_or_left_out_do_not_open() {
    let tapes = tapes(Bulk::Private);
    let frame = Message::from(x::Working).to_frame().unwrap();
    let both = tapes.seal(&[&frame, &frame]);
    let (first, second) = both.split_at(both.len() / 2);
    assert!(matches!(tapes.recv(second), Err(LinkError::Crypto)));
    tapes.bob_tape.put(&[first, first].concat());
    let mut reader = LinkReader::new(Arc::clone(&tapes.bob));
    assert!(reader.recv(LONG).is_ok());
    assert!(matches!(reader.recv(LONG), Err(LinkError::Crypto)), "a record was replayed");
}

#[test]
fn length_bombs_and_bad_frames_are_refused_before_memory_is_given() {
    let tapes = tapes(Bulk::Private);
    let header = |kind: Kind, len: usize| FrameHeader { kind, len }.encode();
    let frame = |plain: &[u8]| {
        let sealed = tapes.seal(&[plain]);
        tapes.bob_tape.put(&sealed);
        let mut reader = LinkReader::new(Arc::clone(&tapes.bob));
        let got = reader.recv(LONG);
        assert!(reader.memory() < 64 * 1024, "{} bytes were reserved", reader.memory());
        got.unwrap_err()
    };
    for len in [Kind::Skip.cap() + 1, 1 << 31, (1 << 32) - 1] {
        let error = frame(&header(Kind::Skip, len));
        assert!(matches!(error, LinkError::Frame(_)), "{len}: {error}");
    }
    assert!(matches!(frame(b"GET / HTTP/1.1"), LinkError::Frame(_)));
    assert!(matches!(frame(b"pv"), LinkError::Record(_)));
    assert!(matches!(frame(&header(Kind::SearchAnswer, 1 << 20)), LinkError::Closed));
    let trailing = [&header(Kind::Working, 0)[..], b"x"].concat();
    assert!(matches!(frame(&trailing), LinkError::Record(_)));
    let bad_body = [&header(Kind::Skip, 3)[..], &[0xff; 3]].concat();
    assert!(matches!(frame(&bad_body), LinkError::Codec(_)));
    for len in 0..=TAG_LEN as u16 {
        let got = tapes.recv(&[&len.to_le_bytes()[..], &[0; 32]].concat());
        assert!(matches!(got, Err(LinkError::Record(_))), "a record of {len} bytes: {got:?}");
    }
}

#[test]
fn a_payload_of_the_wrong_length_or_with_a_changed_byte_is_an_error() {
    let tapes = tapes(Bulk::Private);
    let read = |bytes: &[u8], len: usize| {
        tapes.bob_tape.put(bytes);
        LinkReader::new(Arc::clone(&tapes.bob)).recv_payload(&mut vec![0; len], &mut |_| ())
    };
    let plain = vec![7; PLAIN_MAX];
    let sealed = tapes.seal(&[&plain, &plain[..100]]);
    assert!(read(&sealed, PLAIN_MAX + 100).is_ok());
    assert!(matches!(read(&sealed, PLAIN_MAX + 99), Err(LinkError::Record(_))));
    assert!(matches!(read(&sealed, PLAIN_MAX + 101), Err(LinkError::Closed)));
    for at in [2, 40_000, PLAIN_MAX + TAG_LEN + 1, sealed.len() - 1] {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        let got = read(&changed, PLAIN_MAX + 100);
        assert!(matches!(got, Err(LinkError::Crypto)), "byte {at}: {got:?}");
    }
}

#[test]
fn raw_bytes_that_were_read_ahead_are_handed_over() {
    let tapes = tapes(Bulk::Clear);
    let mut bytes = tapes.send(&super::talk::chunk(5));
    bytes.extend_from_slice(b"hello");
    tapes.bob_tape.put(&bytes);
    let mut reader = LinkReader::new(Arc::clone(&tapes.bob));
    reader.recv(LONG).unwrap();
    assert!(reader.has_buffered());
    let mut got = [0; 5];
    reader.recv_payload(&mut got, &mut |_| ()).unwrap();
    assert_eq!(&got, b"hello");
    assert!(!reader.has_buffered());
}

#[test]
fn a_quiet_link_gives_the_memory_of_large_messages_back() {
    let tapes = tapes(Bulk::Private);
    let large = one_of_each().into_iter().find(|m| m.kind() == Kind::SearchAnswer).unwrap();
    let mut writer = LinkWriter::new(Arc::clone(&tapes.alice));
    writer.send(&large).unwrap();
    let bytes = tapes.alice_tape.cut_out();
    assert!(bytes.len() > 100_000, "large enough to span records: {}", bytes.len());
    tapes.bob_tape.put(&bytes);
    let mut reader = LinkReader::new(Arc::clone(&tapes.bob));
    reader.recv(LONG).unwrap();
    assert!(reader.memory() + writer.memory() <= 16 * 1024);
}

fn entries(count: usize) -> Vec<FileEntry> {
    let entry = |i: usize| FileEntry {
        name: Name::parse(&format!("folder/a file with a long name, number {i:06}.txt")).unwrap(),
        size: 1 << 33,
        root: Root::of(&i.to_le_bytes()),
        modified: Modified { secs: -5, nanos: 999 },
        executable: i.is_multiple_of(2),
    };
    (0..count).map(entry).collect()
}

/// A message of every kind, some of them large.
pub(super) fn one_of_each() -> Vec<Message> {
    let name = Name::parse("ä/b").unwrap();
    let stamp = t::Stamp { epoch: u64::MAX, version: 3 };
    let id = NodeId::from_bytes([9; 32]);
    let (root, label) = (Root::of(b"x"), "node-1".parse().unwrap());
    let ports = Ports { search: 1, size: 2, chunk: 65_535 };
    let peer = PeerInfo { id, label: "p".parse().unwrap(), ip: LOOPBACK, ports, files: 0 };
    let peers = t::PeersDelta {
        stamp,
        reset: true,
        more: false,
        changed: List::of(vec![peer]),
        stale: List::of(vec![id]),
        gone: List::of(vec![id]),
    };
    let found = t::Found { entry: entries(1).remove(0), owners: List::of(vec![id]) };
    let ranges = vec![Range { first: 3, count: 4 }, Range::one(9)];
    let content = x::Content { root, size: 7 };
    let messages: Vec<Message> = vec![
        t::Register {
            instance: 1,
            label,
            ports,
            advertise: None,
            heartbeat_s: 10,
            catalogue: stamp,
            offer: Offer::default(),
        }
        .into(),
        t::Registered { seen_as: LOOPBACK, catalogue: stamp, duties: Duties::default() }.into(),
        t::Heartbeat {
            peers: stamp,
            catalogue: stamp,
            offer: Offer::default(),
            outcomes: List::default(),
        }
        .into(),
        t::HeartbeatAnswer { peers: peers.clone(), catalogue: stamp, duties: Duties::default() }
            .into(),
        t::CatalogueDelta {
            epoch: 1,
            from: 0,
            to: 1,
            added: List::of(entries(3).into_iter().map(t::Held::shared).collect()),
            removed: List::of(vec![name.clone()]),
            taken_back: List::default(),
        }
        .into(),
        t::CatalogueAnswer { catalogue: stamp }.into(),
        t::Exit.into(),
        t::Bye.into(),
        t::PeersQuestion { peers: stamp }.into(),
        t::PeersAnswer { peers }.into(),
        t::LookupQuestion { name: name.clone(), after: Some(name.clone()) }.into(),
        t::LookupAnswer { found: List::of(vec![found]), more: true }.into(),
        FindQuestion { pattern: Pattern::All, after: None }.into(),
        FindAnswer { found: List::default(), next: None }.into(),
        WhyQuestion { name: name.clone(), root: None }.into(),
        WhyAnswer { files: List::default() }.into(),
        SearchQuestion { name, after: None }.into(),
        SearchAnswer { files: List::of(entries(1_500)), parts: List::default(), more: true }.into(),
        SizeQuestion { root, manifest: true }.into(),
        SizeAnswer { size: 1, have: Bitmap::all(1), values: List::of(vec![[1; 32]]) }.into(),
        x::Open { set: x::Set::Batch(List::of(vec![content; 3])), resumable: true }.into(),
        x::Opened { attempt: 2, have: Bitmap::none(9), grows: true }.into(),
        x::Want { add: List::of(ranges.clone()), remove: List::default(), window: 4 }.into(),
        x::Next { items: ranges[0] }.into(),
        x::Skip { items: ranges[0] }.into(),
        x::Chunk { items: ranges[0], len: 0 }.into(),
        x::Ack { items: List::of(ranges.clone()) }.into(),
        x::Working.into(),
        x::Done.into(),
        x::Cancel { reason: Text::of("no longer wanted") }.into(),
        x::Stale { items: List::of(ranges.clone()) }.into(),
        x::Have { items: List::of(ranges) }.into(),
        x::Serving { label: "k".parse().unwrap(), ports }.into(),
        x::Fetchers { nodes: List::default() }.into(),
        Knock { set: [7; 32], content: Some(content), label: "k".parse().unwrap(), ports }.into(),
        Knocked::Coming.into(),
        t::Refused::new(t::Why::Stopping, "bye").into(),
    ];
    let kinds: Vec<Kind> = messages.iter().map(Message::kind).collect();
    assert_eq!(kinds, Kind::ALL, "a kind is missing here");
    messages
}
