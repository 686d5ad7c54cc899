//! How far a download is: what `transfers` shows, and what its report says at the end.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use parking_lot::Mutex;

use crate::base::{NodeId, Time};
use crate::io::clock;
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
    still: Stillness,
}

/// For how long nothing has come to a whole download. Time in which what is here is hashed or named
/// does not count.
#[derive(Debug, Clone, Copy)]
struct Stillness {
    /// The last byte, later by the time that was worked since.
    last: Time,
    /// How many are at work now.
    workers: u32,
    working_since: Time,
}

impl Stillness {
    const NEW: Stillness = Stillness { last: Time::ZERO, workers: 0, working_since: Time::ZERO };

    fn works(&mut self, now: Time) {
        if self.workers == 0 {
            self.working_since = now;
        }
        self.workers += 1;
    }

    fn rests(&mut self, now: Time) {
        self.workers = self.workers.saturating_sub(1);
        if self.workers == 0 {
            let from = self.working_since.max(self.last);
            self.last = self.last + now.since(from);
        }
    }

    fn lasts(&self, now: Time) -> Duration {
        if self.workers > 0 { Duration::ZERO } else { now.since(self.last) }
    }
}

/// Somebody hashes or names what is here, until it is dropped.
pub(super) struct Work<'a>(&'a Progress);

impl Drop for Work<'_> {
    fn drop(&mut self) {
        self.0.inner.lock().still.rests(clock::now());
    }
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
                still: Stillness::NEW,
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

    /// From now on bytes are waited for.
    pub(super) fn expects(&self, now: Time) {
        self.inner.lock().still.last = now;
    }

    /// What is here is hashed or named: nobody is waited for meanwhile.
    pub(super) fn works(&self) -> Work<'_> {
        self.inner.lock().still.works(clock::now());
        Work(self)
    }

    /// For how long nothing has come.
    pub(super) fn still(&self, now: Time) -> Duration {
        self.inner.lock().still.lasts(now)
    }

    /// Whether any owner has sent something right.
    pub(super) fn has_come(&self) -> bool {
        !self.inner.lock().by_node.is_empty()
    }

    /// It turns out that something has another size.
    pub(super) fn resized(&self, from: u64, to: u64) {
        let mut inner = self.inner.lock();
        inner.total = inner.total.saturating_sub(from).saturating_add(to);
    }

    /// Bytes that were found on the disk: they count, but nobody sent them.
    pub(in crate::node) fn found(&self, bytes: u64) {
        self.inner.lock().done += bytes;
    }

    /// Where `counted` bytes counted before, `here` are found on the disk now.
    pub(in crate::node) fn found_anew(&self, counted: u64, here: u64) {
        let mut inner = self.inner.lock();
        inner.done = inner.done.saturating_sub(counted).saturating_add(here);
    }

    /// An owner accepted the transfer for the `attempt`th time.
    pub(in crate::node) fn opened(&self, attempt: u32) {
        let mut inner = self.inner.lock();
        inner.attempt = inner.attempt.max(attempt);
    }

    /// Bytes that arrived, not verified yet: for the rate.
    pub(in crate::node) fn received(&self, now: Time, bytes: u64) {
        let mut inner = self.inner.lock();
        inner.still.last = inner.still.last.max(now);
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
    fn time_in_which_something_is_hashed_or_named_is_not_time_in_which_nothing_came() {
        let at = |secs: u64| Time::ZERO + Duration::from_secs(secs);
        let mut still = Stillness { last: at(10), ..Stillness::NEW };
        assert_eq!(still.lasts(at(14)), Duration::from_secs(4));
        still.works(at(14));
        still.works(at(20));
        still.rests(at(30));
        assert_eq!(still.lasts(at(40)), Duration::ZERO, "one is still at work");
        still.rests(at(44));
        assert_eq!(still.lasts(at(44)), Duration::from_secs(4), "as long as before");
        assert_eq!(still.lasts(at(50)), Duration::from_secs(10));
        still.works(at(60));
        still.last = at(63);
        still.rests(at(65));
        assert_eq!(still.lasts(at(66)), Duration::from_secs(1), "something came meanwhile");
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
