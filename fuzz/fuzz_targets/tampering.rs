//! Alice sends a few messages to Bob (the first byte: how many, then which), and somebody on the
//! way edits the stream (the rest). Bob hears what Alice said from its beginning, cut off perhaps,
//! and nothing else.
#![no_main]

use std::sync::Arc;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use parvi::io::link::{Link, accept_over, dial_over};
use parvi::wire::Message;
use parvi_fuzz::{ALICE, BOB, End};

#[path = "../../src/wire/samples.rs"]
#[allow(dead_code)]
mod samples;

fuzz_target!(|bytes: &[u8]| {
    let Some((count, rest)) = bytes.split_first() else { return };
    let Some((which, edits)) = rest.split_at_checked(usize::from(count % 5)) else { return };
    let all = samples::samples();
    let sent: Vec<Message> =
        which.iter().map(|w| all[usize::from(*w) % all.len()].clone()).collect();

    let (mut alice, mut bob, bobs_end) = connected();
    for message in &sent {
        alice.writer.send(message).expect("a pipe in memory takes everything");
    }
    let honest = bobs_end.intercept();
    let mut stream = honest.clone();
    for edit in edits.as_chunks::<4>().0 {
        apply(*edit, &mut stream);
    }
    bobs_end.hear(&stream);

    let heard: Vec<Message> = std::iter::from_fn(|| bob.reader.recv(Duration::ZERO).ok()).collect();
    assert!(sent.starts_with(&heard), "{heard:?} was heard, {sent:?} was sent");
    if stream.starts_with(&honest) {
        assert_eq!(heard, sent, "an untouched message was lost");
    }
});

fn connected() -> (Link, Link, End) {
    let (one, other) = End::pair();
    let (for_alice, for_bob) = (Arc::new(one), Arc::new(other.clone()));
    let bob = std::thread::spawn(move || accept_over(for_bob, &BOB));
    let alice = dial_over(for_alice, &ALICE, Some(BOB.key.public())).expect("bob is there");
    let bob = bob.join().expect("no panic").expect("alice is there");
    (alice, bob, other)
}

/// One change of what is on the way.
fn apply([what, low, high, value]: [u8; 4], stream: &mut Vec<u8>) {
    if stream.is_empty() {
        return;
    }
    let at = usize::from(u16::from_le_bytes([low, high])) % stream.len();
    match what % 5 {
        0 => stream[at] ^= value,
        1 => stream.truncate(at),
        2 => stream.insert(at, value),
        3 => stream.rotate_left(at),
        _ => stream.extend_from_within(at..),
    }
}
