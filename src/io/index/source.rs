//! A file that has some content, as the index knows it, and how to open it.
//!
//! Invariant: what is opened is in the state in which it was hashed. A failure that says nothing of the
//! file is not taken for one that does.

use std::fs::File;
use std::io;
use std::sync::Arc;

use rustix::io::Errno;

use super::state::FileKey;
use crate::base::{FileEntry, Name};
use crate::io::disk::{Beneath, Fingerprint};

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

/// Whether there is no regular file of that name, which is what an error without a number says too.
fn is_no_file(error: &io::Error) -> bool {
    let no_file = [Errno::NOENT, Errno::NOTDIR, Errno::LOOP, Errno::NXIO, Errno::NODEV];
    Errno::from_io_error(error).is_none_or(|errno| no_file.contains(&errno))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_some_failures_say_that_a_file_is_gone() {
        let says = |errno: Errno| is_no_file(&errno.into());
        assert!([Errno::NOENT, Errno::NOTDIR, Errno::LOOP, Errno::NXIO].into_iter().all(says));
        let passing = [Errno::IO, Errno::ACCESS, Errno::STALE, Errno::MFILE, Errno::NFILE];
        assert!(!passing.into_iter().chain([Errno::NOMEM, Errno::PERM]).any(says));
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("folder")).unwrap();
        let opened = Beneath::open(home.path()).unwrap().open_file(&Name::parse("folder").unwrap());
        assert!(is_no_file(&opened.unwrap_err()), "a folder is no file");
    }
}
