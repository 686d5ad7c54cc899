//! The first byte chooses the kind. What decodes can be sent again within its cap, and means the
//! same then.
#![no_main]

use libfuzzer_sys::fuzz_target;
use parvi::wire::{FRAME_HEADER_LEN, Kind, Message};

fuzz_target!(|bytes: &[u8]| {
    let Some((first, body)) = bytes.split_first() else { return };
    let kind = Kind::ALL[usize::from(*first) % Kind::ALL.len()];
    let Ok(message) = Message::decode(kind, body) else { return };
    let frame = message.to_frame().expect("what was taken is within its bounds");
    let again = Message::decode(kind, &frame[FRAME_HEADER_LEN..]);
    assert_eq!(again.expect("its own bytes are valid"), message);
});
