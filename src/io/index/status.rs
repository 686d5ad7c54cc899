//! How the index stands, for people: what is listed, what cannot be shared, how large it is.

use std::sync::atomic::Ordering::Relaxed;

use super::state::Kind;
use super::{Index, Problem, Shelf};
use crate::base::FileEntry;

/// How the index stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexStatus {
    /// Files shared.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Files still to be hashed.
    pub hashing: u64,
    /// Files hashed since the start: those the cache did not know.
    pub hashed: u64,
    /// What cannot be shared, and why.
    pub problems: Vec<Problem>,
    /// Problems that are not listed any more.
    pub problems_more: u64,
}

/// How large an index is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct IndexSizes {
    /// Files that were hashed, those too that another one of the same name hides.
    pub records: u64,
    /// Files of more than one chunk, whose chunks' hashes are in memory.
    pub manifests: u64,
    /// Bytes of the cache on the disk.
    pub cache_bytes: u64,
}

impl Index {
    /// The files of one shelf.
    pub fn list(&self, shelf: Shelf) -> Vec<FileEntry> {
        let kinds: &[Kind] = match shelf {
            Shelf::Local => &[Kind::Shared, Kind::Share],
            Shelf::Downloaded => &[Kind::Downloaded],
            Shelf::Replicated => &[Kind::Replicated],
        };
        self.state.lock().list(kinds)
    }

    /// How it stands.
    pub fn status(&self) -> IndexStatus {
        let (files, bytes) = {
            let state = self.state.lock();
            (state.catalogue.len() as u64, state.catalogue.bytes())
        };
        let problems = self.signals.lock().problems.clone();
        IndexStatus {
            files,
            bytes,
            hashing: self.hashing.load(Relaxed),
            hashed: self.hashed.load(Relaxed),
            problems: problems.listed,
            problems_more: problems.more,
        }
    }

    /// How large it is.
    pub fn sizes(&self) -> IndexSizes {
        let (records, manifests) = self.state.lock().sizes();
        // It is written now and then: before that there is none.
        let cache_bytes = std::fs::metadata(&self.cache_path).map_or(0, |cache| cache.len());
        IndexSizes { records: records as u64, manifests: manifests as u64, cache_bytes }
    }
}
