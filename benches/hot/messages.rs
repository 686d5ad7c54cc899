//! Messages to bytes and back: the short ones of every chunk, and the longest answers.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use parvi::base::limits::PAGE_FILES_MAX;
use parvi::base::{NodeId, Range};
use parvi::wire::message::search::SearchAnswer;
use parvi::wire::message::tracker::{Found, LookupAnswer, OWNERS_MAX};
use parvi::wire::message::transfer::{Have, Next};
use parvi::wire::{FRAME_HEADER_LEN, List, Message};

use super::names::entry;

pub(super) fn all(criterion: &mut Criterion) {
    let every_other = (0..64).map(|i| Range::one(2 * i)).collect();
    let files = (0..PAGE_FILES_MAX as u32).map(entry);
    let found = files.clone().take(500).map(|entry| Found { entry, owners: owners() });
    let table: [(&str, Message); 5] = [
        ("Next", Next { items: Range::one(70_000) }.into()),
        ("Have of one", Have { items: List::of(vec![Range::one(70_000)]) }.into()),
        ("Have of 64 runs", Have { items: List::of(every_other) }.into()),
        (
            "search answer of a page",
            SearchAnswer { files: List::of(files.collect()), parts: List::default(), more: true }
                .into(),
        ),
        (
            "lookup answer of 500",
            LookupAnswer { found: List::of(found.collect()), more: true }.into(),
        ),
    ];
    for (name, message) in table {
        both_ways(criterion, name, &message);
    }
}

fn both_ways(criterion: &mut Criterion, name: &str, message: &Message) {
    let Ok(frame) = message.to_frame() else { return };
    let body = &frame[FRAME_HEADER_LEN..];
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Bytes(frame.len() as u64));
    group.bench_function("encode", |bencher| bencher.iter(|| black_box(message).to_frame()));
    group.bench_function("decode", |bencher| {
        bencher.iter(|| Message::decode(message.kind(), black_box(body)));
    });
    group.finish();
}

/// Three who have a file.
fn owners() -> List<NodeId, OWNERS_MAX> {
    List::of((1..=3).map(|i| NodeId::from_bytes([i; 32])).collect())
}
