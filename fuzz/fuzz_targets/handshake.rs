//! Bytes that no honest peer sent, to either side of the handshake, with and without a swarm key
//! (first byte). Nobody gets through, and nothing waits.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use parvi::io::link::{accept_over, dial_over};
use parvi_fuzz::{BOB, CLOSED_BOB, End};

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, said)) = bytes.split_first() else { return };
    let config = if choice & 1 == 0 { &*BOB } else { &*CLOSED_BOB };
    let pipe = Arc::new(End::that_hears(said));
    let link = if choice & 2 == 0 {
        accept_over(pipe, config)
    } else {
        dial_over(pipe, config, (choice & 4 != 0).then(|| config.key.public()))
    };
    assert!(link.is_err(), "a peer without a key got through");
});
