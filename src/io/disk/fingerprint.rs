//! What tells, without reading it, that a file has changed since it was hashed.
//!
//! Size, inode, and the times of the last change of the bytes (mtime) and of the file (ctime),
//! both with nanoseconds. A person can set mtime back; ctime cannot be set at all.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::MetadataExt;

use rustix::fs::AtFlags;

use crate::base::Modified;

/// A file's state at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fingerprint {
    /// Bytes.
    pub size: u64,
    /// Last change of the bytes.
    pub modified: Modified,
    /// Last change of the file: bytes, mode, links.
    pub changed: Modified,
    /// Inode number.
    pub inode: u64,
}

impl Fingerprint {
    /// The state that `meta` tells of.
    pub fn new(meta: &Metadata) -> Fingerprint {
        Fingerprint {
            size: meta.size(),
            modified: moment(meta.mtime(), meta.mtime_nsec()),
            changed: moment(meta.ctime(), meta.ctime_nsec()),
            inode: meta.ino(),
        }
    }

    /// The state of an open file.
    ///
    /// # Errors
    /// What fstat says.
    pub fn of(file: &File) -> io::Result<Fingerprint> {
        Ok(Fingerprint::new(&file.metadata()?))
    }

    /// The state of the file `name` in `folder`; a link is not followed.
    ///
    /// # Errors
    /// What fstatat says.
    pub fn at(folder: BorrowedFd<'_>, name: &str) -> io::Result<Fingerprint> {
        let stat = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(Fingerprint {
            size: stat.st_size.cast_unsigned(),
            modified: moment(stat.st_mtime, stat.st_mtime_nsec.cast_signed()),
            changed: moment(stat.st_ctime, stat.st_ctime_nsec.cast_signed()),
            inode: stat.st_ino,
        })
    }

    /// Whether the bytes are the same as far as size, mtime and inode tell: ctime changes too when
    /// a file gets another name, mode or number of links.
    pub fn same_bytes(&self, other: &Fingerprint) -> bool {
        (self.size, self.modified, self.inode) == (other.size, other.modified, other.inode)
    }
}

/// Whether the owner may execute the file.
pub fn is_executable(meta: &Metadata) -> bool {
    meta.mode() & 0o100 != 0
}

fn moment(secs: i64, nanos: i64) -> Modified {
    Modified { secs, nanos: u32::try_from(nanos).unwrap_or(0) }
}
