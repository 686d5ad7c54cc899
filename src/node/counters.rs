//! What is counted where bytes move and questions are answered: relaxed atomics that nobody waits for.
//! `statistics` takes them over whenever somebody asks.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::logic::statistics::Statistics;

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
    fn take(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

/// What came since the last take-over.
#[derive(Default)]
pub(super) struct Counters {
    pub(super) lookups: Counter,
    pub(super) searches_answered: Counter,
    pub(super) bytes_arrived: Counter,
    pub(super) bytes_up: Counter,
}

impl Counters {
    /// Moves all of it into `to`.
    pub(super) fn drain(&self, to: &mut Statistics) {
        let Counters { lookups, searches_answered, bytes_arrived, bytes_up } = self;
        to.searches.asked += lookups.take();
        to.searches.answered += searches_answered.take();
        to.downloads.arrived += bytes_arrived.take();
        to.uploads.bytes += bytes_up.take();
    }
}
