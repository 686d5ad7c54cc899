//! What a node has done: searches, downloads, uploads, its log, its retries.
//!
//! Plain sums, and summaries of what was measured (`summary`: mean and spread in one pass, quantiles from
//! a bounded sketch). Two statistics merge into the one that would have seen all, in any order but for
//! rounding and for which sources are listed; so what a run of the node adds is merged into what earlier
//! runs have left. Invariant: everything in it is bounded, whatever happens and for how long.
//!
//! ```
//! use parvi::logic::statistics::Statistics;
//!
//! let (mut before, mut now) = (Statistics::default(), Statistics::default());
//! (1..=50).for_each(|ms| before.searches.whole_ms.add(f64::from(ms)));
//! (51..=100).for_each(|ms| now.searches.whole_ms.add(f64::from(ms)));
//! before.merge(&now);
//! let figures = before.searches.whole_ms.figures();
//! assert_eq!((figures.count, figures.mean, figures.max), (100, 50.5, 100.0));
//! assert!((figures.p99 - 99.0).abs() < 99.0 * 0.0078);
//! ```

mod moments;
mod sample;
mod sketch;
mod sources;
mod summary;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use moments::Moments;
pub use sample::Sample;
pub use sketch::{BUCKETS, RELATIVE_ERROR, Sketch};
pub use sources::{SOURCES_MAX, Sources};
pub use summary::{Figures, Summary};

use super::ledger::{Answer, End};

/// All of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Statistics {
    /// Starts of the node.
    pub starts: u64,
    /// For how long it ran, milliseconds.
    pub ran_ms: u64,
    /// What was looked for.
    pub searches: Searches,
    /// What was fetched.
    pub downloads: Downloads,
    /// What others have fetched.
    pub uploads: Uploads,
    /// The log of uploads.
    pub log: Log,
    /// What had to be tried again.
    pub retries: Retries,
}

/// Searches.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Searches {
    /// Asked by this node.
    pub asked: u64,
    /// Answered for others.
    pub answered: u64,
    /// From the question to the first owner, of those that found one; milliseconds.
    pub first_ms: Summary,
    /// From the question to the whole answer, milliseconds.
    pub whole_ms: Summary,
}

/// Downloads, and what arrived for them.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Downloads {
    /// Complete.
    pub done: u64,
    /// Given up for a fault, also where what arrived is kept.
    pub failed: u64,
    /// Given up by a person.
    pub cancelled: u64,
    /// Bytes received for each complete one that needed any.
    pub bytes: Summary,
    /// Seconds from order to end, of the same.
    pub seconds: Summary,
    /// Bytes per second, of the same.
    pub rate: Summary,
    /// Chunk bytes that arrived, used or not.
    pub arrived: u64,
    /// Chunks that did not verify.
    pub corrupt: u64,
    /// Verified bytes by who sent them, of complete downloads or not.
    pub sources: Sources,
}

/// Uploads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Uploads {
    /// Begun.
    pub begun: u64,
    /// The requester has everything.
    pub done: u64,
    /// The requester did not want it any more, or has gone for good (`get`).
    pub cancelled: u64,
    /// This node did not have the file any more.
    pub gone: u64,
    /// The requester was away for too long, or too many were.
    pub expired: u64,
    /// How often a connection was lost, and the requester waited for.
    pub interrupted: u64,
    /// Chunk bytes sent.
    pub bytes: u64,
}

/// The log of uploads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Log {
    /// Records appended.
    pub appends: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Syncs; one may serve many records.
    pub syncs: u64,
    /// Checkpoints.
    pub checkpoints: u64,
    /// Records read at starts.
    pub recovered: u64,
}

/// Retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Retries {
    /// Knocks at requesters that had gone.
    pub knocks: u64,
    /// Those of them that the requester answered.
    pub knocks_answered: u64,
    /// Uploads that a requester opened again before they were over.
    pub uploads_reopened: u64,
    /// Sets that this node opened again at an owner where the same download had opened them before.
    pub downloads_reopened: u64,
}

impl Statistics {
    /// As if all that `other` has counted had been counted here.
    pub fn merge(&mut self, other: &Statistics) {
        // Taken apart, so that a new part cannot be forgotten.
        let Statistics { starts, ran_ms, searches, downloads, uploads, log, retries } = other;
        add([(&mut self.starts, *starts), (&mut self.ran_ms, *ran_ms)]);
        self.searches.merge(searches);
        self.downloads.merge(downloads);
        self.uploads.merge(*uploads);
        self.log.merge(*log);
        self.retries.merge(*retries);
    }

    /// Whether it is what counting leads to: what was read from a disk may be anything.
    pub fn is_sound(&self) -> bool {
        let Searches { first_ms, whole_ms, .. } = &self.searches;
        let Downloads { bytes, seconds, rate, sources, .. } = &self.downloads;
        let summaries = [first_ms, whole_ms, bytes, seconds, rate];
        summaries.into_iter().all(Summary::is_sound) && sources.is_sound()
    }
}

impl Searches {
    fn merge(&mut self, other: &Searches) {
        let Searches { asked, answered, first_ms, whole_ms } = other;
        add([(&mut self.asked, *asked), (&mut self.answered, *answered)]);
        self.first_ms.merge(first_ms);
        self.whole_ms.merge(whole_ms);
    }
}

impl Downloads {
    /// One is complete, for which so many bytes came in so many seconds; without any it was here.
    pub fn ended(&mut self, bytes: u64, seconds: f64) {
        self.done += 1;
        if bytes > 0 && seconds > 0.0 {
            self.bytes.add(bytes as f64);
            self.seconds.add(seconds);
            self.rate.add(bytes as f64 / seconds);
        }
    }

    /// Bytes per second of all complete ones, as if they had come one after the other.
    pub fn throughput(&self) -> f64 {
        let seconds = self.seconds.sum();
        if seconds > 0.0 { self.bytes.sum() / seconds } else { 0.0 }
    }

    fn merge(&mut self, other: &Downloads) {
        let Downloads { done, failed, cancelled, bytes, seconds, rate, arrived, corrupt, sources } =
            other;
        add([
            (&mut self.done, *done),
            (&mut self.failed, *failed),
            (&mut self.cancelled, *cancelled),
            (&mut self.arrived, *arrived),
            (&mut self.corrupt, *corrupt),
        ]);
        self.bytes.merge(bytes);
        self.seconds.merge(seconds);
        self.rate.merge(rate);
        self.sources.merge(sources);
    }
}

impl Uploads {
    /// The log says that one is over.
    pub fn ended(&mut self, end: &End) {
        match end {
            End::Done => self.done += 1,
            End::Cancelled(_) => self.cancelled += 1,
            End::Gone => self.gone += 1,
            End::Expired | End::Crowded => self.expired += 1,
        }
    }

    /// One that is not logged ended with its connection; `is_done`: the requester said that it has
    /// everything.
    pub fn left(&mut self, is_done: bool) {
        match is_done {
            true => self.done += 1,
            false => self.cancelled += 1,
        }
    }

    fn merge(&mut self, other: Uploads) {
        let Uploads { begun, done, cancelled, gone, expired, interrupted, bytes } = other;
        add([
            (&mut self.begun, begun),
            (&mut self.done, done),
            (&mut self.cancelled, cancelled),
            (&mut self.gone, gone),
            (&mut self.expired, expired),
            (&mut self.interrupted, interrupted),
            (&mut self.bytes, bytes),
        ]);
    }
}

impl Log {
    /// As if all that `other` has counted had been counted here.
    pub fn merge(&mut self, other: Log) {
        let Log { appends, bytes, syncs, checkpoints, recovered } = other;
        add([
            (&mut self.appends, appends),
            (&mut self.bytes, bytes),
            (&mut self.syncs, syncs),
            (&mut self.checkpoints, checkpoints),
            (&mut self.recovered, recovered),
        ]);
    }
}

impl Retries {
    /// A knock has come to this.
    pub fn knocked(&mut self, answer: &Answer) {
        match answer {
            Answer::NotTried(_) => {}
            Answer::Away(_) => self.knocks += 1,
            Answer::Coming | Answer::Done | Answer::Cancelled(_) | Answer::Later(_) => {
                self.knocks += 1;
                self.knocks_answered += 1;
            }
        }
    }

    fn merge(&mut self, other: Retries) {
        let Retries { knocks, knocks_answered, uploads_reopened, downloads_reopened } = other;
        add([
            (&mut self.knocks, knocks),
            (&mut self.knocks_answered, knocks_answered),
            (&mut self.uploads_reopened, uploads_reopened),
            (&mut self.downloads_reopened, downloads_reopened),
        ]);
    }
}

fn add<const N: usize>(sums: [(&mut u64, u64); N]) {
    sums.into_iter().for_each(|(sum, more)| *sum = sum.saturating_add(more));
}
