//! Hashing a chunk, and what makes a manifest trusted.

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use parvi::base::Manifest;
use parvi::base::chunk::{Span, chunk_count, chunk_size};
use parvi::base::manifest::{ChunkValue, chunk_value};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

pub(super) fn all(criterion: &mut Criterion) {
    hash_a_chunk(criterion);
    verify_a_chunk(criterion);
    check_a_manifest(criterion);
}

/// Bytes that differ from their neighbours.
pub(super) fn noise(len: u64) -> Vec<u8> {
    (0..len).map(|i| (i * 31 + i / 251) as u8).collect()
}

fn hash_a_chunk(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hash a chunk of a file of");
    for (size, shown) in [(MIB, "1 MiB"), (2 * GIB, "2 GiB")] {
        let span = Span { offset: chunk_size(size), len: chunk_size(size) };
        let bytes = noise(span.len);
        group.throughput(Throughput::Bytes(span.len));
        group.bench_function(BenchmarkId::from_parameter(shown), |bencher| {
            bencher.iter(|| chunk_value(size, span, black_box(&bytes)));
        });
    }
    group.finish();
}

fn verify_a_chunk(criterion: &mut Criterion) {
    let bytes = noise(4 * MIB);
    let manifest = Manifest::of(&bytes);
    let len = chunk_size(4 * MIB);
    let chunk = &bytes[3 * len as usize..][..len as usize];
    let mut group = criterion.benchmark_group("verify a chunk");
    group.throughput(Throughput::Bytes(len));
    group.bench_function("256 KiB", |bencher| {
        bencher.iter(|| assert!(manifest.verify(3, black_box(chunk))));
    });
    group.finish();
}

/// Any values fold to something.
fn values(size: u64) -> Vec<ChunkValue> {
    (0..chunk_count(size)).map(|i| *parvi::base::Root::of(&i.to_le_bytes()).as_bytes()).collect()
}

fn check_a_manifest(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("check a manifest of a file of");
    for (size, shown) in [(GIB, "1 GiB"), (64 * GIB, "64 GiB")] {
        let values = values(size);
        let root = Manifest::fold(size, values.clone()).map(|manifest| manifest.root());
        let Ok(root) = root else { continue };
        group.throughput(Throughput::Elements(values.len() as u64));
        group.bench_function(BenchmarkId::from_parameter(shown), |bencher| {
            let check = |values| Manifest::check(size, root, values);
            bencher.iter_batched(|| values.clone(), check, BatchSize::LargeInput);
        });
    }
    group.finish();
}
