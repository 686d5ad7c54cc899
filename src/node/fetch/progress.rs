//! How far a download is: what `transfers` shows, and what its report says at the end.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use parking_lot::Mutex;

use crate::base::{NodeId, Time};
use crate::node::view::{Source, TransferState};

/// The rate shown is that of the last few seconds.
const RATE_WINDOW: Duration = Duration::from_secs(3);

/// Shared by all threads of one download.
pub(in crate::node) struct Progress {
    inner: Mutex<Inner>,
}

struct Inner {
    state: TransferState,
    reason: String,
    done: u64,
    total: u64,
    attempt: u32,
    by_node: BTreeMap<NodeId, (String, u64)>,
    /// Received bytes by moment, for the rate; at most one entry per tenth of a second.
    lately: VecDeque<(Time, u64)>,
}

/// A look at it.
pub(in crate::node) struct Snapshot {
    pub(in crate::node) state: TransferState,
    pub(in crate::node) reason: String,
    pub(in crate::node) done: u64,
    pub(in crate::node) total: u64,
    pub(in crate::node) attempt: u32,
    pub(in crate::node) rate: u64,
    pub(in crate::node) sources: Vec<Source>,
}

impl Progress {
    pub(in crate::node) fn new() -> Progress {
        Progress {
            inner: Mutex::new(Inner {
                state: TransferState::Preparing,
                reason: String::new(),
                done: 0,
                total: 0,
                attempt: 0,
                by_node: BTreeMap::new(),
                lately: VecDeque::new(),
            }),
        }
    }

    /// Where it stands now, and why if it does not move.
    pub(in crate::node) fn set(&self, state: TransferState, reason: impl Into<String>) {
        let mut inner = self.inner.lock();
        inner.state = state;
        inner.reason = reason.into();
    }

    /// A new run begins: `total` bytes are asked for, `done` of them are here already.
    pub(in crate::node) fn begin(&self, total: u64, done: u64) {
        let mut inner = self.inner.lock();
        (inner.total, inner.done) = (total, done);
    }

    /// Bytes that were found on the disk: they count, but nobody sent them.
    pub(in crate::node) fn found(&self, bytes: u64) {
        self.inner.lock().done += bytes;
    }

    /// Bytes that count already will be found on the disk again.
    pub(in crate::node) fn found_anew(&self, bytes: u64) {
        let mut inner = self.inner.lock();
        inner.done = inner.done.saturating_sub(bytes);
    }

    /// An owner accepted the transfer for the `attempt`th time.
    pub(in crate::node) fn opened(&self, attempt: u32) {
        let mut inner = self.inner.lock();
        inner.attempt = inner.attempt.max(attempt);
    }

    /// Bytes that arrived, not verified yet: for the rate.
    pub(in crate::node) fn received(&self, now: Time, bytes: u64) {
        let mut inner = self.inner.lock();
        match inner.lately.back_mut() {
            Some((at, sum)) if now.since(*at) < Duration::from_millis(100) => *sum += bytes,
            _ => inner.lately.push_back((now, bytes)),
        }
        while inner.lately.front().is_some_and(|(at, _)| now.since(*at) > RATE_WINDOW) {
            inner.lately.pop_front();
        }
    }

    /// Bytes of `node`, verified and written.
    pub(in crate::node) fn verified(&self, node: NodeId, label: &str, bytes: u64) {
        let mut inner = self.inner.lock();
        inner.done += bytes;
        inner.by_node.entry(node).or_insert_with(|| (label.to_owned(), 0)).1 += bytes;
    }

    pub(in crate::node) fn snapshot(&self, now: Time) -> Snapshot {
        let inner = self.inner.lock();
        let recent = inner.lately.iter().filter(|(at, _)| now.since(*at) <= RATE_WINDOW);
        let bytes: u64 = recent.clone().map(|(_, n)| n).sum();
        let span = recent.clone().next().map_or(Duration::ZERO, |(at, _)| now.since(*at));
        let secs = span.as_secs_f64().max(0.1);
        Snapshot {
            state: inner.state,
            reason: inner.reason.clone(),
            done: inner.done,
            total: inner.total,
            attempt: inner.attempt,
            rate: (bytes as f64 / secs) as u64,
            sources: sources(&inner.by_node),
        }
    }
}

fn sources(by_node: &BTreeMap<NodeId, (String, u64)>) -> Vec<Source> {
    by_node
        .values()
        .filter_map(|(label, bytes)| Some(Source { node: label.parse().ok()?, bytes: *bytes }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_seconds_and_falls_to_zero() {
        let progress = Progress::new();
        let at = |tenths: u64| Time::ZERO + Duration::from_millis(100 * tenths);
        for tenth in 0..=20 {
            progress.received(at(tenth), 1_000);
        }
        let rate = progress.snapshot(at(20)).rate;
        assert!((9_000..12_000).contains(&rate), "10,000 bytes a second are shown as {rate}");
        assert_eq!(progress.snapshot(at(100)).rate, 0, "an old rate is still shown");
    }

    #[test]
    fn bytes_found_on_disk_count_but_have_no_source() {
        let progress = Progress::new();
        progress.begin(100, 0);
        progress.found(40);
        progress.verified(NodeId::from_bytes([1; 32]), "alice", 60);
        let seen = progress.snapshot(Time::ZERO);
        assert_eq!((seen.done, seen.sources.len(), seen.sources[0].bytes), (100, 1, 60));
    }
}
