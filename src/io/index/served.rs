//! A file opened for a peer, and how to tell that it is still what was hashed.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;

use crate::base::{FileEntry, Name, Root};
use crate::io::disk::Fingerprint;

/// A shared file, open for reading at explicit offsets.
///
/// It stays what it is when another file takes its name. When it is written to, what is read may
/// be wrong from then on: ask `unchanged` after reading, before anybody is blamed.
#[derive(Debug)]
pub struct Served {
    /// The file.
    pub file: File,
    /// What it was when it was hashed.
    pub entry: FileEntry,
    pub(super) print: Fingerprint,
}

impl Served {
    /// Whether nobody has written to the file since it was hashed.
    pub fn unchanged(&self) -> bool {
        self.file.metadata().is_ok_and(|meta| {
            let now = Fingerprint::new(&meta);
            // Losing its last name changes ctime, but not a byte.
            now == self.print || (meta.nlink() == 0 && now.same_bytes(&self.print))
        })
    }
}

/// Why a root cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No file with these bytes is shared here.
    #[error("{root} is not shared here")]
    NotShared {
        /// What was asked for.
        root: Root,
    },
    /// It was shared, and has changed or gone since.
    #[error("{name} has changed since it was hashed; it is being hashed again")]
    Stale {
        /// The file.
        name: Name,
    },
    /// The system said no.
    #[error("could not open {name}: {source}")]
    Io {
        /// The file.
        name: Name,
        /// What went wrong.
        source: io::Error,
    },
}
