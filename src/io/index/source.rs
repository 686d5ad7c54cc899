//! A file that has some content, as the index knows it, and how to open it.
//!
//! Invariant: what is opened is in the state in which it was hashed. A failure that says nothing of the
//! file is not taken for one that does.

use std::fs::File;
use std::io;
use std::sync::Arc;

use super::state::FileKey;
use crate::base::{FileEntry, Name};
use crate::io::disk::{Beneath, Fingerprint, is_no_file};

/// A file that has some content, and how to open it.
pub(super) struct Source {
    pub(super) key: FileKey,
    pub(super) beneath: Arc<Beneath>,
    pub(super) relative: Name,
    pub(super) entry: FileEntry,
    pub(super) print: Fingerprint,
}

impl Source {
    /// The file, open; `None`: it has gone or changed since it was hashed. Any other failure, as of
    /// a disk, a server or for want of descriptors, says nothing of the file.
    ///
    /// # Errors
    /// Such a failure.
    pub(super) fn open(&self) -> io::Result<Option<File>> {
        match self.beneath.open_and_look(&self.relative) {
            Ok((file, meta)) => Ok((Fingerprint::new(&meta) == self.print).then_some(file)),
            Err(error) if is_no_file(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
