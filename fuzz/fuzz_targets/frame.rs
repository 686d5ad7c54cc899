//! Eight bytes are a header within its cap that encodes to the same bytes, or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use parvi::wire::FrameHeader;

fuzz_target!(|bytes: [u8; 8]| {
    if let Ok(header) = FrameHeader::decode(bytes) {
        assert!(header.len <= header.kind.cap());
        assert_eq!(header.encode(), bytes);
    }
});
