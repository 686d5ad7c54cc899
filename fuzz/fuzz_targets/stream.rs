//! Frames one behind the other, as a reader meets them, to the first error or the end.
#![no_main]

use libfuzzer_sys::fuzz_target;
use parvi::wire::{FRAME_HEADER_LEN, FrameHeader, Message};

fuzz_target!(|bytes: &[u8]| {
    let mut rest = bytes;
    while let Some((header, behind)) = rest.split_first_chunk::<FRAME_HEADER_LEN>() {
        let Ok(header) = FrameHeader::decode(*header) else { return };
        let Some((body, behind)) = behind.split_at_checked(header.len) else { return };
        let Ok(message) = Message::decode(header.kind, body) else { return };
        assert_eq!(message.kind(), header.kind);
        rest = behind;
    }
});
