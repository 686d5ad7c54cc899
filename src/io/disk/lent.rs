//! The small files of a batch as others may read them, from their arrival until they have their names.
//!
//! Invariants: only what was verified and written into the batch is found, and only as long as it is
//! what was written. None is missed while it gets its name: it is looked for among the parts first, under
//! its final name then, and a rename moves it from the one to the other at once. What a failed sync has
//! made worthless is found no more.
//!
//! Holds a descriptor of its own without the lock of the batch, which is free when the batch is over.
//! Ends when nobody reads any more.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::fs::{Mode, OFlags};

use super::batch::Ready;
use super::beneath::{Beneath, is_no_file};
use super::fingerprint::Fingerprint;
use crate::base::{Name, Root};
use crate::io::failpoint::fail_point;

/// What is kept of a batch, under which name in its folder.
#[derive(Debug, Default)]
pub(super) struct Kept(Mutex<BTreeMap<Root, (String, Fingerprint)>>);

impl Kept {
    /// The small file may be read, in the place of another of its bytes.
    pub(super) fn show(&self, ready: &Ready) {
        self.0.lock().insert(ready.root, (ready.name.clone(), ready.print));
    }

    /// It is going to be removed.
    pub(super) fn hide(&self, ready: &Ready) {
        let mut kept = self.0.lock();
        if kept.get(&ready.root).is_some_and(|(name, _)| *name == ready.name) {
            kept.remove(&ready.root);
        }
    }

    fn get(&self, root: &Root, size: u64) -> Option<(String, Fingerprint)> {
        self.0.lock().get(root).filter(|(_, print)| print.size == size).cloned()
    }
}

/// The small files of one batch, to be read.
#[derive(Debug)]
pub struct LentBatch {
    folder: OwnedFd,
    kept: Arc<Kept>,
    into: Arc<Beneath>,
    names: BTreeMap<Root, Name>,
}

/// One of them, open.
#[derive(Debug)]
pub struct LentFile {
    /// The file.
    pub file: File,
    print: Fingerprint,
}

impl LentFile {
    /// Whether nobody has written to the file since it was verified: when it gets its name, only its
    /// ctime changes.
    pub fn unchanged(&self) -> bool {
        Fingerprint::of(&self.file).is_ok_and(|now| now.same_bytes(&self.print))
    }
}

impl LentBatch {
    pub(super) fn of(
        folder: BorrowedFd<'_>,
        kept: Arc<Kept>,
        into: Arc<Beneath>,
        names: BTreeMap<Root, Name>,
    ) -> io::Result<LentBatch> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::openat(folder, ".", flags, Mode::empty())?;
        Ok(LentBatch { folder, kept, into, names })
    }

    /// What the small file `root` is called, or one of the files that it is.
    pub fn name(&self, root: &Root) -> Option<&Name> {
        self.names.get(root)
    }

    /// Opens the small file `root` of `size` bytes, if it is kept and what was written.
    ///
    /// # Errors
    /// What says nothing of the file, as of a disk or for want of descriptors: it may be there later.
    pub fn open(&self, root: &Root, size: u64) -> io::Result<Option<LentFile>> {
        let Some((part, print)) = self.kept.get(root, size) else { return Ok(None) };
        fail_point!("lent.open")?;
        let right = |file| {
            let lent = LentFile { file, print };
            lent.unchanged().then_some(lent)
        };
        if let Some(file) = there(self.open_part(&part))? {
            return Ok(right(file));
        }
        let Some(name) = self.names.get(root) else { return Ok(None) };
        Ok(there(self.into.open_file(name))?.and_then(right))
    }

    fn open_part(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.folder, name, flags, Mode::empty())?.into())
    }
}

/// The file, unless there is none of that name.
fn there(opened: io::Result<File>) -> io::Result<Option<File>> {
    match opened {
        Ok(file) => Ok(Some(file)),
        Err(e) if is_no_file(&e) => Ok(None),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
#[path = "lent_tests.rs"]
mod tests;
