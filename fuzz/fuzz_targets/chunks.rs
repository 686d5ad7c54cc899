//! Twelve bytes: a size and a chunk's number. Spans stay inside the file and meet their neighbours.
#![no_main]

use libfuzzer_sys::fuzz_target;
use parvi::base::chunk::{chunk_count, chunk_size, chunk_span};
use parvi::base::limits::CHUNK_COUNT_MAX;

fuzz_target!(|input: (u64, u32)| {
    let (size, index) = input;
    let count = chunk_count(size);
    assert!((1..=CHUNK_COUNT_MAX).contains(&count));
    let index = index % count;
    let span = chunk_span(size, index).expect("below the count");
    let end = span.offset.checked_add(span.len).expect("inside the file");
    match chunk_span(size, index + 1) {
        Some(next) => assert_eq!((next.offset, span.len), (end, chunk_size(size))),
        None => assert_eq!((end, index + 1), (size, count)),
    }
});
