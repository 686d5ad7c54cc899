use std::fs::File;
use std::io::Write;

use crate::base::Range;
use crate::wire::message::tracker::{Refused, Why};
use crate::wire::message::transfer::{Chunk, Working};

use super::super::session::PLAIN_MAX;
use super::records::one_of_each;
use super::*;

fn file_of(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn noise(len: usize) -> Vec<u8> {
    let mut x = 0x9e37_79b9_u32;
    let next = || {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        x as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

pub(super) fn chunk(len: u64) -> Message {
    Chunk { items: Range::one(0), len }.into()
}

#[test]
fn every_message_arrives_as_it_was_sent() {
    for bulk in [Bulk::Private, Bulk::Clear] {
        let (mut alice, mut bob) = linked(&config(bulk), &config(bulk));
        let messages = one_of_each();
        std::thread::scope(|s| {
            s.spawn(|| messages.iter().for_each(|m| alice.writer.send(m).unwrap()));
            for sent in &messages {
                assert_eq!(&bob.recv(LONG).unwrap(), sent);
            }
        });
        assert!(!bob.reader.has_buffered());
    }
}

#[test]
fn payloads_of_every_shape_arrive_and_the_link_goes_on_behind_them() {
    let edges = [0, 1, PLAIN_MAX - 1, PLAIN_MAX, PLAIN_MAX + 1, 4 * PLAIN_MAX, 4 * PLAIN_MAX + 1];
    let sizes = [&edges[..], &[3 << 20 | 17]].concat();
    let bytes = noise(4 << 20);
    let file = file_of(&bytes);
    for (a, b) in [(Bulk::Private, Bulk::Clear), (Bulk::Clear, Bulk::Clear)] {
        let (mut alice, mut bob) = linked(&config(a), &config(b));
        std::thread::scope(|s| {
            s.spawn(|| {
                for &size in &sizes {
                    let source = [FileSlice { file: &file, offset: 5, len: size as u64 }];
                    let mut told = 0;
                    let header = chunk(size as u64);
                    alice.writer.send_payload(&header, &source, &mut |n| told += n).unwrap();
                    assert_eq!(told, size);
                    alice.send(Working).unwrap();
                }
            });
            for &size in &sizes {
                assert_eq!(bob.recv(LONG).unwrap(), chunk(size as u64));
                let (mut got, mut told) = (vec![0; size], 0);
                bob.reader.recv_payload(&mut got, &mut |n| told += n).unwrap();
                assert!(got == bytes[5..5 + size], "{size} bytes, {a} to {b}");
                assert_eq!(told, size);
                assert_eq!(bob.recv(LONG).unwrap(), Message::from(Working));
            }
        });
    }
}

#[test]
fn many_small_files_travel_as_one_payload_in_small_steps() {
    let bytes = noise(300_000);
    let file = file_of(&bytes);
    for bulk in [Bulk::Private, Bulk::Clear] {
        let (mut alice, mut bob) = linked(&config(bulk), &config(bulk));
        alice.writer.step().set(Some(10_000));
        let slices: Vec<_> = (0..100)
            .map(|i| FileSlice {
                file: &file,
                offset: i * 3_000,
                len: if i == 7 { 0 } else { 3_000 },
            })
            .collect();
        let total: usize = slices.iter().map(|s| s.len as usize).sum();
        std::thread::scope(|s| {
            s.spawn(|| {
                let mut largest = 0;
                let header = chunk(total as u64);
                let mut seen = |n: usize| largest = largest.max(n);
                alice.writer.send_payload(&header, &slices, &mut seen).unwrap();
                assert!(largest <= 10_000, "a step of {largest}");
            });
            bob.recv(LONG).unwrap();
            let mut got = vec![0; total];
            bob.reader.recv_payload(&mut got, &mut |_| ()).unwrap();
            assert!(got[..21_000] == bytes[..21_000] && got[21_000..] == bytes[24_000..]);
        });
    }
}

#[test]
fn a_receiver_that_keeps_to_a_rate_takes_no_more_than_a_step_at_once() {
    let bytes = noise(300_000);
    let file = file_of(&bytes);
    for bulk in [Bulk::Private, Bulk::Clear] {
        let (mut alice, mut bob) = linked(&config(bulk), &config(bulk));
        let source = [FileSlice { file: &file, offset: 0, len: 300_000 }];
        std::thread::scope(|s| {
            s.spawn(|| {
                for _ in 0..2 {
                    alice.writer.send_payload(&chunk(300_000), &source, &mut |_| ()).unwrap();
                }
            });
            for step in [usize::MAX, 1_000] {
                bob.reader.step().set(Some(step));
                bob.recv(LONG).unwrap();
                let (mut got, mut told) = (vec![0; 300_000], Vec::new());
                bob.reader.recv_payload(&mut got, &mut |n| told.push(n)).unwrap();
                assert!(got == bytes);
                assert_eq!(told.iter().sum::<usize>(), 300_000);
                // What came with the last bytes of the one before is told first, at once.
                assert!(told.iter().skip(1).all(|n| *n <= step), "{told:?}");
            }
        });
    }
}

#[test]
fn a_file_that_became_shorter_ends_the_link_on_both_sides() {
    let file = file_of(&noise(100_000));
    for bulk in [Bulk::Private, Bulk::Clear] {
        let (mut alice, mut bob) = linked(&config(bulk), &config(bulk));
        let source = [FileSlice { file: &file, offset: 0, len: 100_001 }];
        let sent = alice.writer.send_payload(&chunk(100_001), &source, &mut |_| ());
        assert!(matches!(sent, Err(LinkError::SourceShort)), "{sent:?}");
        let mut buf = vec![0; 100_001];
        let got = bob.recv(LONG).and_then(|_| bob.reader.recv_payload(&mut buf, &mut |_| ()));
        assert!(matches!(got, Err(LinkError::Closed)), "{got:?}");
    }
}

#[test]
fn a_refusal_is_an_error_that_leaves_the_link_usable() {
    let (mut alice, mut bob) = linked(&config(Bulk::Private), &config(Bulk::Private));
    std::thread::scope(|s| {
        s.spawn(|| {
            bob.recv(LONG).unwrap();
            bob.send(Refused::new(Why::NotHere, "no\x1b such file")).unwrap();
            let question = bob.recv(LONG).unwrap();
            bob.writer.send(&question).unwrap();
        });
        let refused = alice.ask(Working).unwrap_err();
        assert!(matches!(&refused, LinkError::Refused(r) if r.why == Why::NotHere), "{refused}");
        assert!(!refused.to_string().contains('\x1b'), "a stranger's words reach the terminal");
        assert_eq!(alice.ask(Working).unwrap(), Message::from(Working));
    });
}

#[test]
fn a_closer_wakes_the_blocked_halves_and_a_dropped_link_is_closed() {
    let (alice, mut bob) = linked(&config(Bulk::Private), &config(Bulk::Private));
    let closer = alice.closer();
    let (mut reader, writer) = (alice.reader, alice.writer);
    std::thread::scope(|s| {
        let blocked = s.spawn(move || reader.recv(LONG));
        closer.close();
        assert!(matches!(blocked.join().unwrap(), Err(LinkError::Closed)));
    });
    assert!(matches!(bob.recv(LONG), Err(LinkError::Closed)));
    drop(writer);
    closer.close();
}
