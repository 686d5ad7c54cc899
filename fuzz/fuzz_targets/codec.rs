//! Lists and texts keep their bounds and come back as they were.
#![no_main]

use libfuzzer_sys::fuzz_target;
use parvi::base::Range;
use parvi::wire::codec::{decode, encode};
use parvi::wire::{List, Text};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(list) = decode::<List<u64, 16>>(bytes) {
        assert!(list.len() <= 16);
        let again = decode::<List<u64, 16>>(&encode(&list).expect("it fits"));
        assert_eq!(again.expect("its own bytes are valid"), list);
    }
    if let Ok(list) = decode::<List<List<Text<8>, 4>, 4>>(bytes) {
        assert!(list.len() <= 4 && list.iter().all(|inner| inner.len() <= 4));
    }
    if let Ok(text) = decode::<Text<32>>(bytes) {
        assert!(!text.shown().chars().any(char::is_control));
    }
    if let Ok(ranges) = decode::<List<Range, 8>>(bytes) {
        for range in ranges.iter() {
            let run = range.iter();
            assert!(run.start <= run.end && run.len() <= range.count as usize);
        }
    }
});
