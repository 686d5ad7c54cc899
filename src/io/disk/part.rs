//! Files that are still arriving.
//!
//! Invariants: a part has one writer, in this process and among all others (a lock on the open
//! file); its room on the disk is taken before the first byte arrives; it is a regular file with
//! one name, and whatever else is found under its path is put away, never followed.
//!
//! ```text
//! <root>.<size>.part   a file that arrives by itself: preallocated, filled in any order, locked
//! <pid>-<n>.batch/     the small files of a batch (`batch`)
//! ```
//!
//! Ends in `publish`, in `remove`, or stays for the next attempt.

use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::os::fd::BorrowedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::beneath::Beneath;
use super::is_disk_full;
use super::part_file::PartFile;
use crate::base::Root;
use crate::base::limits::CHUNK_SIZE_MAX;
use crate::io::failpoint::fail_point;

/// Less the umask it becomes the final file's mode.
pub(super) const PART_MODE: Mode = Mode::from_raw_mode(0o666);
/// How often a part that vanishes under our hands is opened anew.
pub(super) const RACES_MAX: usize = 8;

/// Why a part cannot be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum PartError {
    /// Another download writes it.
    #[error("{root} is being downloaded already; wait for that, or cancel it")]
    Busy {
        /// The file.
        root: Root,
    },
    /// No room.
    #[error("the disk of {} has no room for {size} bytes; free some space", .folder.display())]
    DiskFull {
        /// Where parts are kept.
        folder: PathBuf,
        /// Bytes of the file.
        size: u64,
    },
    /// The system said no.
    #[error("could not {what} the part {}: {source}", .path.display())]
    Io {
        /// What was attempted.
        what: &'static str,
        /// The part.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
}

/// The folder of parts. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PartStore(Arc<Folder>);

#[derive(Debug)]
struct Folder {
    beneath: Beneath,
    /// Held by who looks through the batches that are over.
    left: Mutex<()>,
}

impl PartStore {
    /// Opens the folder `dir`, made if it is missing.
    ///
    /// # Errors
    /// What mkdir and open say.
    pub fn open(dir: &Path) -> io::Result<PartStore> {
        parvi_wal::make_dir_durable(dir, 0o700)?;
        Ok(PartStore(Arc::new(Folder { beneath: Beneath::open(dir)?, left: Mutex::new(()) })))
    }

    /// Whether a chunk has room here, found by writing one that nobody sees.
    ///
    /// # Errors
    /// What the disk says.
    pub fn has_room(&self) -> io::Result<()> {
        let mut probe = tempfile::tempfile_in(self.path())?;
        let piece = [0; 64 * 1024];
        (0..CHUNK_SIZE_MAX / piece.len() as u64).try_for_each(|_| probe.write_all(&piece))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.0.beneath.path()
    }

    /// Removes the folder of parts and the folder around it, where they are empty.
    pub fn remove_if_empty(&self) {
        // Not empty is the usual answer: something is left to go on with.
        if std::fs::remove_dir(self.path()).is_ok()
            && let Some(around) = self.path().parent()
        {
            std::fs::remove_dir(around).ok();
        }
    }

    /// Opens the part of a file of `size` bytes, with room for all of it.
    ///
    /// # Errors
    /// `Busy` when another download has it open; `DiskFull`; what the system says.
    pub fn open_part(&self, root: &Root, size: u64) -> Result<PartFile, PartError> {
        let path = part_name(root, size);
        let io = |what| {
            let path = &path;
            move |source| self.failed(what, path, size, source)
        };
        for _ in 0..RACES_MAX {
            let opened = fail_point!("part.open").and_then(|()| self.open_regular(root, size));
            let file = opened.map_err(io("open"))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(PartError::Busy { root: *root }),
                Err(TryLockError::Error(source)) => return Err(io("lock")(source)),
            }
            // Published or removed between open and lock: what we hold has lost its name.
            if self.is_named(&file, root, size).map_err(io("look at"))? {
                let part = PartFile::with_room(self.clone(), file, *root, size);
                return part.map_err(io("take room for"));
            }
        }
        Err(PartError::Busy { root: *root })
    }

    /// Forgets a part that nobody has open. Tells whether there was one.
    ///
    /// # Errors
    /// `Busy` when a download has it open; what unlink says.
    pub fn remove(&self, root: &Root, size: u64) -> Result<bool, PartError> {
        let name = part_name(root, size);
        let io = |what| {
            let name = &name;
            move |source| self.failed(what, name, size, source)
        };
        if !self.path().join(&name).try_exists().map_err(io("look at"))? {
            return Ok(false);
        }
        let part = self.open_regular(root, size).map_err(io("open"))?;
        if let Err(TryLockError::WouldBlock) = part.try_lock() {
            return Err(PartError::Busy { root: *root });
        }
        self.unlink(&name).map_err(io("remove"))?;
        Ok(true)
    }

    pub(super) fn folder(&self) -> BorrowedFd<'_> {
        self.0.beneath.folder()
    }

    pub(super) fn left(&self) -> &Mutex<()> {
        &self.0.left
    }

    /// Opens the part for writing, made if it is missing. Anything but a regular file with this
    /// one name is put away first: writing through a link would write elsewhere.
    fn open_regular(&self, root: &Root, size: u64) -> io::Result<File> {
        let name = part_name(root, size);
        let flags = OFlags::RDWR
            | OFlags::CREATE
            | OFlags::NOFOLLOW
            | OFlags::NONBLOCK
            | OFlags::NOCTTY
            | OFlags::CLOEXEC;
        for _ in 0..RACES_MAX {
            match rustix::fs::openat(self.folder(), &name, flags, PART_MODE) {
                Ok(fd) => {
                    let file = File::from(fd);
                    let meta = file.metadata()?;
                    if meta.is_file() && meta.nlink() <= 1 {
                        return Ok(file);
                    }
                    self.unlink(&name)?;
                }
                Err(Errno::LOOP | Errno::NXIO | Errno::NODEV) => self.unlink(&name)?,
                Err(Errno::ISDIR) => self.put_away_folder(&name)?,
                Err(error) => return Err(error.into()),
            }
        }
        Err(Errno::LOOP.into())
    }

    /// Removes the empty folder that stands where a part should be; a full one stays.
    fn put_away_folder(&self, name: &str) -> io::Result<()> {
        match rustix::fs::unlinkat(self.folder(), name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOTDIR | Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn unlink(&self, name: &str) -> io::Result<()> {
        match rustix::fs::unlinkat(self.folder(), name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the part's path still leads to `file`.
    pub(super) fn is_named(&self, file: &File, root: &Root, size: u64) -> io::Result<bool> {
        self.has_name(file, &part_name(root, size))
    }

    pub(super) fn has_name(&self, file: &File, name: &str) -> io::Result<bool> {
        let meta = file.metadata()?;
        match rustix::fs::statat(self.folder(), name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Ok(false),
            stat => Ok(stat.map(|s| s.st_ino == meta.ino() && s.st_dev == meta.dev())?),
        }
    }

    /// The error for the part called `name`, of `size` bytes.
    pub(super) fn failed(
        &self,
        what: &'static str,
        name: &str,
        size: u64,
        source: io::Error,
    ) -> PartError {
        if is_disk_full(&source) {
            PartError::DiskFull { folder: self.path().to_owned(), size }
        } else {
            PartError::Io { what, path: self.path().join(name), source }
        }
    }
}

/// What nobody else puts into a name.
pub(super) fn unique() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed))
}

/// The file name of a part: who lies about a size touches nothing of the true one.
pub(super) fn part_name(root: &Root, size: u64) -> String {
    format!("{root}.{size}.part")
}

#[cfg(test)]
#[path = "part_tests.rs"]
mod tests;
