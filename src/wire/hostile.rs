//! What strangers may send: everything here must end as a typed error, never as a panic.

use super::codec::{self, CodecError};
use super::samples::samples;
use super::{FRAME_HEADER_LEN, FrameHeader, Kind, Message};

/// What is said where a list's length is due.
const COUNTS: [u64; 5] = [20_000, 1 << 32, (1 << 32) + 1, 1 << 63, u64::MAX];

fn body_of(message: &Message) -> Vec<u8> {
    message.to_frame().unwrap().split_off(FRAME_HEADER_LEN)
}

#[test]
fn a_message_cut_anywhere_is_malformed() {
    for sample in samples() {
        let body = body_of(&sample);
        for cut in 0..body.len() {
            let read = Message::decode(sample.kind(), &body[..cut]);
            assert!(
                matches!(read, Err(CodecError::Decode(_))),
                "{sample:?} cut at {cut}: {read:?}"
            );
        }
    }
}

#[test]
fn a_byte_behind_a_message_is_refused() {
    for sample in samples() {
        let mut body = body_of(&sample);
        body.push(0);
        let read = Message::decode(sample.kind(), &body);
        assert!(matches!(read, Err(CodecError::Trailing(1))), "{sample:?} and one byte: {read:?}");
    }
}

#[test]
fn a_flipped_byte_is_another_valid_message_or_an_error() {
    for sample in samples() {
        let body = body_of(&sample);
        for at in 0..body.len() {
            for flip in [1, 0x40, 0x80, 0xff] {
                let mut flipped = body.clone();
                flipped[at] ^= flip;
                still_in_bounds(sample.kind(), &flipped);
            }
        }
    }
}

#[test]
fn a_count_anywhere_in_a_message_never_leaves_its_bounds() {
    for sample in samples() {
        let body = body_of(&sample);
        for at in 0..body.len() {
            for count in COUNTS {
                let number = codec::encode(&count).unwrap();
                still_in_bounds(sample.kind(), &[&body[..at], &number, &body[at + 1..]].concat());
                still_in_bounds(sample.kind(), &[&body[..at], &number].concat());
            }
        }
    }
}

/// Whatever decodes must be sendable again within its cap: no bound was passed on the way in.
fn still_in_bounds(kind: Kind, body: &[u8]) {
    if let Ok(message) = Message::decode(kind, body) {
        assert!(message.to_frame().is_ok(), "{message:?} was taken but is above its bounds");
    }
}

#[test]
fn a_list_longer_than_its_bound_is_refused_whatever_follows() {
    for (kind, before) in list_positions() {
        for count in COUNTS {
            for behind in [0, 100, 1_000] {
                let mut body = before.clone();
                body.extend(codec::encode(&count).unwrap());
                body.resize(body.len() + behind, 0);
                let read = Message::decode(kind, &body);
                assert!(matches!(read, Err(CodecError::Decode(_))), "{kind:?}: {count} elements");
            }
        }
    }
}

/// The bytes in front of every list, text and bitmap that travels.
fn list_positions() -> Vec<(Kind, Vec<u8>)> {
    let delta = codec::encode(&((1_u64, 2_u64), false, false)).unwrap();
    let versions = codec::encode(&(1_u64, 0_u64, 1_u64)).unwrap();
    let with = |front: &[u8], more: &[u8]| [front, more].concat();
    vec![
        (Kind::Register, codec::encode(&7_u64).unwrap()),
        (Kind::HeartbeatAnswer, delta.clone()),
        (Kind::HeartbeatAnswer, with(&delta, &[0])),
        (Kind::PeersAnswer, delta.clone()),
        (Kind::PeersAnswer, with(&delta, &[0])),
        (Kind::CatalogueDelta, versions.clone()),
        (Kind::CatalogueDelta, with(&versions, &[0])),
        (Kind::CatalogueDelta, with(&versions, &[1])),
        (Kind::LookupQuestion, vec![]),
        (Kind::LookupQuestion, vec![1, b'a', 1]),
        (Kind::LookupAnswer, vec![]),
        (Kind::LookupAnswer, with(&[1, 1, b'a', 0], &[0; 32 + 3])),
        (Kind::FindQuestion, vec![1]),
        (Kind::FindQuestion, vec![2]),
        (Kind::FindQuestion, vec![3]),
        (Kind::FindQuestion, vec![0, 1]),
        (Kind::FindAnswer, vec![]),
        (Kind::FindAnswer, vec![0, 1]),
        (Kind::SearchQuestion, vec![]),
        (Kind::SearchAnswer, vec![]),
        (Kind::SizeAnswer, vec![9]),
        (Kind::SizeAnswer, vec![9, 1]),
        (Kind::SizeAnswer, vec![9, 1, 1, 1]),
        (Kind::Open, vec![1]),
        (Kind::Opened, vec![1]),
        (Kind::Opened, vec![1, 1]),
        (Kind::Want, vec![]),
        (Kind::Want, vec![0]),
        (Kind::Ack, vec![]),
        (Kind::Cancel, vec![]),
        (Kind::Stale, vec![]),
        (Kind::Refused, vec![1]),
    ]
}

#[test]
fn sizes_above_the_largest_file_are_refused() {
    let size = codec::encode(&((1_u64 << 40) + 1)).unwrap();
    for (kind, before) in
        [(Kind::SizeAnswer, vec![]), (Kind::Chunk, vec![0, 1]), (Kind::Open, vec![0; 33])]
    {
        let read = Message::decode(kind, &[before, size.clone()].concat());
        assert!(format!("{read:?}").contains("above the limit"), "{kind:?}: {read:?}");
    }
}

#[test]
fn no_header_of_three_million_passes_its_cap_or_panics() {
    let mut header = FrameHeader { kind: Kind::Bye, len: 0 }.encode();
    for kind in 0..=u8::MAX {
        for len in (0..1 << 21).step_by(177).chain([u32::MAX, 1 << 31]) {
            header[3] = kind;
            header[4..].copy_from_slice(&len.to_le_bytes());
            if let Ok(read) = FrameHeader::decode(header) {
                assert_eq!((read.kind as u8, read.len), (kind, len as usize));
                assert!(read.len <= read.kind.cap());
            }
        }
    }
}
