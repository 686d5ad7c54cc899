//! Files that are still arriving.
//!
//! Invariants: a part has one writer, in this process and among all others (a lock on the open
//! file); its room on the disk is taken before the first byte arrives; it is a regular file with
//! one name, and whatever else is found under its path is put away, never followed.
//!
//! ```text
//! <root>.part             a file that arrives by itself: preallocated, filled in any order, locked
//! <root>.small            a small file of a batch: complete, of any download that wants it
//! <root>.<pid>-<n>.stage  one download's copy of that, which gets the final name
//! <name>.<pid>-<n>.new    either of these two being written
//! ```
//!
//! Ends in `publish`, in `remove`, or stays for the next attempt.

use std::fs::{File, Metadata, TryLockError};
use std::io::{self, Write};
use std::os::fd::BorrowedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::beneath::Beneath;
use super::hash::hash_small;
use super::is_disk_full;
use super::part_file::PartFile;
use crate::base::limits::CHUNK_SIZE_MAX;
use crate::base::{Modified, Root, chunk::chunk_count};
use crate::io::clock;
use crate::io::failpoint::fail_point;

/// What is taken away from this by the umask becomes the final file's mode.
const PART_MODE: Mode = Mode::from_raw_mode(0o666);
/// How often a part that vanishes under our hands is opened anew.
const RACES_MAX: usize = 8;
/// A part that nothing has happened to for so long belongs to a download that nobody continues.
pub const PART_AGE_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// What a small file being written is called at its end.
const NEW_SUFFIX: &str = ".new";

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
pub struct PartStore(Arc<Beneath>);

impl PartStore {
    /// Opens the folder `dir`, made if it is missing, and clears what a killed process left half
    /// written.
    ///
    /// # Errors
    /// What mkdir and open say.
    pub fn open(dir: &Path) -> io::Result<PartStore> {
        parvi_wal::make_dir_durable(dir, 0o700)?;
        let store = PartStore(Arc::new(Beneath::open(dir)?));
        store.sweep(|name, _| name.ends_with(NEW_SUFFIX))?;
        Ok(store)
    }

    /// Removes the parts that nobody has continued for `PART_AGE_MAX`. That is told by the wall
    /// clock, which may be decades off: call it only while no download is to be continued.
    ///
    /// # Errors
    /// What readdir and unlink say.
    pub fn forget_old(&self) -> io::Result<()> {
        self.forget_older(clock::unix_now())
    }

    fn forget_older(&self, now: Modified) -> io::Result<()> {
        self.sweep(|name, meta| is_ours(name) && meta.is_file() && is_old(meta, now))
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
        self.0.path()
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
        let io = |what| move |source| self.failed(what, root, size, source);
        for _ in 0..RACES_MAX {
            let opened = fail_point!("part.open").and_then(|()| self.open_regular(root));
            let file = opened.map_err(io("open"))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(PartError::Busy { root: *root }),
                Err(TryLockError::Error(source)) => return Err(io("lock")(source)),
            }
            // Published or removed between open and lock: what we hold has lost its name.
            if self.is_named(&file, root).map_err(io("look at"))? {
                let part = PartFile::with_room(self.clone(), file, *root, size);
                return part.map_err(io("take room for"));
            }
        }
        Err(PartError::Busy { root: *root })
    }

    /// Keeps the bytes of a small file, replacing what is there. Not synced: `publish_batch` is.
    ///
    /// # Errors
    /// `DiskFull`; what the system says.
    pub fn write_small(&self, root: &Root, bytes: &[u8]) -> Result<(), PartError> {
        self.write_as(&small_name(root), bytes)
            .map(drop)
            .map_err(|source| self.failed("write", root, bytes.len() as u64, source))
    }

    /// Whether the small file is there, whole and right.
    ///
    /// # Errors
    /// What the system says, but for a part that is missing.
    pub fn has_small(&self, root: &Root, size: u64) -> io::Result<bool> {
        match self.read_small(root, size) {
            Ok(read) => Ok(read.is_some()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Forgets a part that nobody has open. Tells whether there was one.
    ///
    /// # Errors
    /// `Busy` when a download has it open; what unlink says.
    pub fn remove(&self, root: &Root) -> Result<bool, PartError> {
        let path = self.path().join(part_name(root));
        if !path.try_exists().map_err(|e| self.failed("look at", root, 0, e))? {
            return Ok(false);
        }
        let part = self.open_regular(root).map_err(|e| self.failed("open", root, 0, e))?;
        if let Err(TryLockError::WouldBlock) = part.try_lock() {
            return Err(PartError::Busy { root: *root });
        }
        self.unlink(&part_name(root)).map_err(|e| self.failed("remove", root, 0, e))?;
        Ok(true)
    }

    /// Forgets everything that is kept of the contents which `unwanted` names, but for what a download
    /// has open. Returns how many files went.
    ///
    /// # Errors
    /// What reading the folder says; what unlink says, after the rest was tried.
    pub fn remove_all(&self, unwanted: &dyn Fn(&Root) -> bool) -> io::Result<usize> {
        let (mut removed, mut failed) = (0, None);
        for entry in std::fs::read_dir(self.path())? {
            let name = entry?.file_name();
            let Some((stem, suffix)) = name.to_str().and_then(|name| name.split_once('.')) else {
                continue;
            };
            let Some(root) = stem.parse().ok().filter(unwanted) else { continue };
            let went = match suffix {
                "part" => match self.remove(&root) {
                    Err(PartError::Busy { .. }) => continue,
                    Err(PartError::Io { source, .. }) => Err(source),
                    Err(error) => Err(io::Error::other(error.to_string())),
                    Ok(_) => Ok(()),
                },
                "small" => self.remove_small(&root),
                _ => continue,
            };
            match went {
                Ok(()) => removed += 1,
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(removed), Err)
    }

    pub(super) fn folder(&self) -> BorrowedFd<'_> {
        self.0.folder()
    }

    /// The bytes of the small file, if they are those of `root`.
    pub(super) fn read_small(&self, root: &Root, size: u64) -> io::Result<Option<Vec<u8>>> {
        let name = small_name(root);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(self.folder(), name, flags, Mode::empty()) {
            Err(Errno::LOOP | Errno::ISDIR | Errno::NXIO) => return Ok(None),
            other => File::from(other?),
        };
        let meta = file.metadata()?;
        if !meta.is_file() || meta.nlink() != 1 || meta.len() != size || chunk_count(size) != 1 {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        let right = hash_small(&file, size, &mut bytes)? == *root;
        Ok(right.then_some(bytes))
    }

    /// Writes `bytes` under `name` in one step: what stands there is always whole.
    fn write_as(&self, name: &str, bytes: &[u8]) -> io::Result<File> {
        let new = format!("{name}.{}{NEW_SUFFIX}", unique());
        fail_point!("small.create")?;
        let mut file = self.create_locked(&new, || ())?;
        let mut write = || {
            fail_point!("small.write")?;
            file.write_all(bytes)?;
            self.put_away_folder(name)?;
            fail_point!("small.rename")?;
            Ok(rustix::fs::renameat(self.folder(), &new, self.folder(), name)?)
        };
        write().inspect_err(|_| self.unlink(&new).unwrap_or_default()).map(|()| file)
    }

    /// Makes the file `new`, locked while it is written: an unlocked one was left by a killed process,
    /// for which another may take it before, and remove it. `unlocked` is run then, for tests.
    fn create_locked(&self, new: &str, unlocked: impl Fn()) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        for _ in 0..RACES_MAX {
            let file = File::from(rustix::fs::openat(self.folder(), new, flags, PART_MODE)?);
            unlocked();
            file.lock()?;
            if self.has_name(&file, new)? {
                return Ok(file);
            }
        }
        Err(io::Error::other("it is removed again and again"))
    }

    /// Writes `bytes` under a name nobody else has; returns that and the file.
    pub(super) fn stage(&self, root: &Root, bytes: &[u8]) -> io::Result<(String, File)> {
        let name = format!("{root}.{}.stage", unique());
        self.write_as(&name, bytes).map(|file| (name, file))
    }

    /// Forgets a small file that has its final name; another download may have done so before.
    pub(super) fn remove_small(&self, root: &Root) -> io::Result<()> {
        self.unlink(&small_name(root))
    }

    /// Opens the part for writing, made if it is missing. Anything but a regular file with this
    /// one name is put away first: writing through a link would write elsewhere.
    fn open_regular(&self, root: &Root) -> io::Result<File> {
        let name = part_name(root);
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
    pub(super) fn is_named(&self, file: &File, root: &Root) -> io::Result<bool> {
        self.has_name(file, &part_name(root))
    }

    fn has_name(&self, file: &File, name: &str) -> io::Result<bool> {
        let meta = file.metadata()?;
        match rustix::fs::statat(self.folder(), name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Ok(false),
            stat => Ok(stat.map(|s| s.st_ino == meta.ino() && s.st_dev == meta.dev())?),
        }
    }

    /// Removes what `goes`; what is locked is in use, and stays.
    fn sweep(&self, goes: impl Fn(&str, &Metadata) -> bool) -> io::Result<()> {
        for entry in std::fs::read_dir(self.path())? {
            let entry = entry?;
            let (name, meta) = (entry.file_name(), entry.metadata());
            let (Some(name), Ok(meta)) = (name.to_str(), meta) else { continue };
            if !goes(name, &meta) {
                continue;
            }
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let Ok(fd) = rustix::fs::openat(self.folder(), name, flags, Mode::empty()) else {
                continue;
            };
            if File::from(fd).try_lock().is_ok() {
                self.unlink(name)?;
                log::info!("removed {name}, which nobody continues");
            }
        }
        Ok(())
    }

    fn failed(&self, what: &'static str, root: &Root, size: u64, source: io::Error) -> PartError {
        if is_disk_full(&source) {
            PartError::DiskFull { folder: self.path().to_owned(), size }
        } else {
            PartError::Io { what, path: self.path().join(part_name(root)), source }
        }
    }
}

/// Whether a file of that name is a part.
fn is_ours(name: &str) -> bool {
    [".part", ".small", ".stage"].iter().any(|suffix| name.ends_with(suffix))
}

/// Whether nothing has happened to the file for `PART_AGE_MAX`. Told by ctime: mtime becomes the
/// one of the sender's file when a part is published, and that may fail.
fn is_old(meta: &Metadata, now: Modified) -> bool {
    now.secs.saturating_sub(meta.ctime()) > PART_AGE_MAX.as_secs().cast_signed()
}

/// What nobody else puts into a name.
fn unique() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed))
}

/// The file name of a small file of a batch.
fn small_name(root: &Root) -> String {
    format!("{root}.small")
}

/// The file name of a part.
pub(super) fn part_name(root: &Root) -> String {
    format!("{root}.part")
}

#[cfg(test)]
#[path = "part_tests.rs"]
mod tests;
