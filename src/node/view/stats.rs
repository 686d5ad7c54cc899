//! What `stats` tells, with the JSON field names that README.md documents.

use serde::Serialize;

use super::Source;
use crate::io::index::IndexSizes;
use crate::logic::statistics::{Figures, Log, Retries, Statistics, Uploads};

/// What `stats` tells: what is now, and what was counted since the last reset.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Stats {
    /// Seconds since the start.
    pub uptime_s: u64,
    /// Seconds in which it ran since the last reset, and counted.
    pub counted_s: u64,
    /// Starts since the last reset.
    pub starts: u64,
    /// Files shared now.
    pub files: u64,
    /// Bytes of them.
    pub file_bytes: u64,
    /// Files still to be hashed.
    pub hashing: u64,
    /// Whether it still looks through its folders for the first time: more may be found.
    pub looking: bool,
    /// How large its index is now.
    pub index: IndexSizes,
    /// Peers known now.
    pub peers: u64,
    /// Searches asked by this node.
    pub lookups: u64,
    /// Questions of searches answered for others.
    pub searches_answered: u64,
    /// Downloads complete.
    pub downloads_done: u64,
    /// Downloads failed.
    pub downloads_failed: u64,
    /// Downloads given up by a person.
    pub downloads_cancelled: u64,
    /// Chunk bytes that arrived, used or not: cut off, had already, corrupt.
    pub bytes_arrived: u64,
    /// Verified bytes received.
    pub bytes_down: u64,
    /// Chunk bytes sent.
    pub bytes_up: u64,
    /// Chunks that did not verify.
    pub corrupt_chunks: u64,
    /// How long searches took to the first owner, milliseconds.
    pub first_owner_ms: Figures,
    /// How long searches took, milliseconds.
    pub search_ms: Figures,
    /// Searches that could be asked one after the other in a second.
    pub searches_per_s: f64,
    /// How long complete downloads took, seconds.
    pub download_s: Figures,
    /// How fast they were, bytes per second each.
    pub download_rate: Figures,
    /// Bytes per second of all of them, one after the other.
    pub throughput: f64,
    /// Who sent how many of the verified bytes, the most first.
    pub sources: Vec<Source>,
    /// Verified bytes of all others.
    pub other_sources: u64,
    /// Uploads, and how they ended.
    pub uploads: Uploads,
    /// The log of uploads.
    pub wal: Log,
    /// What had to be tried again.
    pub retries: Retries,
}

impl Stats {
    /// What was counted; all that is now is 0.
    pub(crate) fn of(counted: &Statistics) -> Stats {
        let Statistics { searches, downloads, .. } = counted;
        let source =
            |(node, bytes): (&crate::base::NodeLabel, u64)| Source { node: node.clone(), bytes };
        let search_ms = searches.whole_ms.figures();
        Stats {
            counted_s: counted.ran_ms / 1_000,
            starts: counted.starts,
            lookups: searches.asked,
            searches_answered: searches.answered,
            downloads_done: downloads.done,
            downloads_failed: downloads.failed,
            downloads_cancelled: downloads.cancelled,
            bytes_arrived: downloads.arrived,
            bytes_down: downloads.sources.total(),
            bytes_up: counted.uploads.bytes,
            corrupt_chunks: downloads.corrupt,
            first_owner_ms: searches.first_ms.figures(),
            search_ms,
            searches_per_s: if search_ms.mean > 0.0 { 1e3 / search_ms.mean } else { 0.0 },
            download_s: downloads.seconds.figures(),
            download_rate: downloads.rate.figures(),
            throughput: downloads.throughput(),
            sources: downloads.sources.listed().into_iter().map(source).collect(),
            other_sources: downloads.sources.rest(),
            uploads: counted.uploads,
            wal: counted.log,
            retries: counted.retries,
            ..Stats::default()
        }
    }
}
