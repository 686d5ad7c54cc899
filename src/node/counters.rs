//! Counters behind `stats`: relaxed atomics, each only ever grows.

use std::sync::atomic::{AtomicU64, Ordering};

/// One counter.
#[derive(Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }
    pub(super) fn one(&self) {
        self.add(1);
    }
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a node counts since its start.
#[derive(Default)]
pub(super) struct Counters {
    pub(super) lookups: Counter,
    pub(super) searches_answered: Counter,
    pub(super) downloads_done: Counter,
    pub(super) downloads_failed: Counter,
    pub(super) bytes_arrived: Counter,
    pub(super) bytes_down: Counter,
    pub(super) bytes_up: Counter,
    pub(super) corrupt_chunks: Counter,
}
