//! The bytes of every message, held still.
//!
//! Two versions of parvi meet in one swarm. Whoever changes an encoding without raising the
//! protocol version learns it here, not from people whose nodes no longer understand each other.

use super::samples::{largest, samples};
use super::{FRAME_HEADER_LEN, FrameHeader, Kind, Message};

/// One line a sample: the kind and the frame in hex.
const GOLDEN: &str = include_str!("golden.txt");

fn shown(message: &Message) -> String {
    let hex = message.to_frame().unwrap().iter().map(|b| format!("{b:02x}")).collect::<String>();
    format!("{:?} {hex}", message.kind())
}

fn read_frame(frame: &[u8]) -> Message {
    let (header, body) = frame.split_first_chunk::<FRAME_HEADER_LEN>().unwrap();
    let header = FrameHeader::decode(*header).unwrap();
    assert_eq!(header.len, body.len());
    Message::decode(header.kind, body).unwrap()
}

#[test]
fn every_kind_has_a_sample() {
    let missing: Vec<_> =
        Kind::ALL.iter().filter(|k| samples().iter().all(|s| s.kind() != **k)).collect();
    assert!(missing.is_empty(), "add samples of {missing:?} to wire/samples.rs");
}

#[test]
fn the_bytes_of_every_message_are_what_they_were() {
    let now: Vec<String> = samples().iter().map(shown).collect();
    for (was, is) in GOLDEN.lines().zip(&now) {
        assert_eq!(was, is, "the wire format changed: raise the protocol version");
    }
    let (was, is) = (GOLDEN.lines().count(), now.len());
    assert_eq!(was, is, "samples were added or taken: golden.txt should be\n{}", now.join("\n"));
}

#[test]
fn every_message_comes_back_as_it_was_sent() {
    for sample in samples().into_iter().chain(largest()) {
        assert_eq!(read_frame(&sample.to_frame().unwrap()), sample);
    }
}

#[test]
fn the_largest_legal_messages_fit_their_caps() {
    for message in largest() {
        let kind = message.kind();
        let sent = message.to_frame();
        assert!(sent.is_ok(), "the largest legal {kind:?} does not fit: {}", sent.unwrap_err());
    }
}

#[test]
fn no_cap_is_above_the_largest_frame() {
    for kind in Kind::ALL {
        assert!(kind.cap() <= crate::base::limits::FRAME_MAX, "{kind:?}");
        assert_eq!(Kind::from_byte(*kind as u8), Some(*kind));
    }
}
