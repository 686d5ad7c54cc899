//! What the tests share: an owner, small logs, dice, and work spread over the cores.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parvi_wal::testing::{MemStorage, mix};
use parvi_wal::{Options, Record, Recovered, Wal};

pub const OWNER: [u8; 32] = [7; 32];

/// Small segments, so that a short log has several.
pub fn options(segment_bytes: u64) -> Options {
    Options { segment_bytes, ..Options::new(OWNER) }
}

pub fn open(storage: &MemStorage, segment_bytes: u64) -> (Wal, Recovered) {
    Wal::open(Arc::new(storage.clone()), options(segment_bytes)).unwrap()
}

/// Record `number`, like no other, of `len` bytes or a few more.
pub fn record(number: u64, len: usize) -> Record {
    let mut payload = number.to_le_bytes().to_vec();
    payload.extend((8..len).map(|at| mix(number ^ (at as u64) << 32) as u8));
    Record::new(number as u32 % 5, payload)
}

/// A disk with a log of `count` records, each durable, and these records.
pub fn log_of(count: u64, len: usize, segment_bytes: u64) -> (MemStorage, Vec<Record>) {
    let storage = MemStorage::default();
    let (wal, _) = open(&storage, segment_bytes);
    let records: Vec<Record> = (0..count).map(|n| record(n, len + n as usize % 9)).collect();
    for record in &records {
        wal.append_durable(record).unwrap();
    }
    (storage, records)
}

/// The segments on a disk, oldest first.
pub fn segments(storage: &MemStorage) -> Vec<String> {
    storage.names().into_iter().filter(|name| name.ends_with(".seg")).collect()
}

/// Another disk with the same files.
pub fn copy(storage: &MemStorage) -> MemStorage {
    MemStorage::from_image(storage.image())
}

/// `base`, or more of them in a soak.
pub fn count(base: u64) -> u64 {
    base * std::env::var("PARVI_SOAK").map_or(1, |n| n.parse::<u64>().unwrap())
}

/// The first seed: 0, or where an earlier part of a soak has ended.
pub fn first_seed() -> u64 {
    std::env::var("WAL_FIRST").map_or(0, |n| n.parse().unwrap())
}

/// Numbers that look random, the same for the same seed.
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(1);
        mix(self.0)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// Does `work` for every number below `count`, on all cores.
pub fn everywhere(count: u64, work: impl Fn(u64) + Sync) {
    let next = AtomicU64::new(0);
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let from = next.fetch_add(16, Ordering::Relaxed);
                    if from >= count {
                        return;
                    }
                    (from..count.min(from + 16)).for_each(&work);
                }
            });
        }
    });
}

/// Whether `part` is `whole` with some records left out; then how many are.
pub fn left_out(part: &[Record], whole: &[Record]) -> Option<usize> {
    let mut rest = part.iter().peekable();
    for record in whole {
        rest.next_if_eq(&record);
    }
    rest.peek().is_none().then(|| whole.len() - part.len())
}
