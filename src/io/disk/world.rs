//! A place to publish in, for tests: a folder of parts, and the folder in which files get their names.

use std::path::{Path, PathBuf};

use super::{Batch, Beneath, Dress, PartFile, PartStore};
use crate::base::{Modified, Root};

/// When the files of tests were last changed.
pub(super) const WHEN: Modified = Modified { secs: 1_000_000_000, nanos: 123_456_789 };

pub(super) struct World {
    pub(super) home: tempfile::TempDir,
    pub(super) store: PartStore,
    pub(super) into: Beneath,
}

impl World {
    pub(super) fn new() -> World {
        let home = tempfile::tempdir().unwrap();
        let store = PartStore::open(&home.path().join(".parvi/parts")).unwrap();
        std::fs::create_dir(home.path().join("downloaded")).unwrap();
        let into = Beneath::open(&home.path().join("downloaded")).unwrap();
        World { home, store, into }
    }

    /// Where what is called `below` arrives.
    pub(super) fn path(&self, below: &str) -> PathBuf {
        self.home.path().join("downloaded").join(below)
    }

    /// A part to which all of these bytes have come.
    pub(super) fn part(&self, bytes: &[u8]) -> PartFile {
        let part = self.store.open_part(&Root::of(bytes), bytes.len() as u64).unwrap();
        part.write_at(0, bytes).unwrap();
        part
    }

    /// A batch to which each of these has come once.
    pub(super) fn batch(&self, contents: &[&[u8]]) -> Batch {
        let batch = self.store.new_batch().unwrap();
        for bytes in contents {
            let dress = Dress { modified: WHEN, executable: false };
            batch.write(&Root::of(bytes), bytes, dress).unwrap();
        }
        batch
    }

    /// Files among the parts, those of batches too.
    pub(super) fn parts_left(&self) -> usize {
        files_below(self.store.path())
    }

    /// What lies in the folder of parts itself: files, and folders of batches.
    pub(super) fn entries_left(&self) -> usize {
        std::fs::read_dir(self.store.path()).unwrap().count()
    }
}

fn files_below(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { files_below(&path) } else { 1 }).sum()
}
