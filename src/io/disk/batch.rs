//! The small files of a batch while they arrive, in a folder of their own.
//!
//! Invariants: each is made once, in an inode that nobody has seen before, by who has the folder
//! locked, and is the very file that gets the final name; the kernel takes the lock from who is killed.
//! What lies in a folder that nobody has locked was left: it is believed by its hash alone, and written
//! anew, so that the sync of the batch that takes it over is told of every failure.
//!
//! ```text
//! <pid>-<n>.batch/             one batch; removed when nothing is left in it
//! <pid>-<n>.batch/<root>.<n>   a small file, perhaps half written, with its time and mode
//! ```
//!
//! Where folders cannot be locked nothing is taken over. Ends in `publish_batch`, or stays for the
//! next attempt.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;
use rustix::fs::{AtFlags, Dir, FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;

use super::beneath::Beneath;
use super::fingerprint::Fingerprint;
use super::hash::hash_small;
use super::lent::{Kept, LentBatch};
use super::part::{PART_MODE, PartError, PartStore, RACES_MAX, unique};
use super::publish::{dress, set_time};
use super::sync;
use crate::base::chunk::chunk_count;
use crate::base::{FileEntry, Modified, Name, Root};
use crate::io::failpoint::fail_point;

/// How the folder of a batch is called at its end.
const SUFFIX: &str = ".batch";
const FOLDER_MODE: Mode = Mode::from_raw_mode(0o700);

/// What a file gets beside its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dress {
    /// Last change of the bytes.
    pub modified: Modified,
    /// Whether it may be executed by who may read it.
    pub executable: bool,
}

impl Dress {
    /// That of `file`.
    pub fn of(file: &FileEntry) -> Dress {
        Dress { modified: file.modified, executable: file.executable }
    }
}

/// A small file that is ready but for its name.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) root: Root,
    pub(super) name: String,
    pub(super) print: Fingerprint,
    dress: Dress,
}

/// The small files of one batch. Dropping it keeps them for the next attempt.
#[derive(Debug)]
pub struct Batch {
    store: PartStore,
    name: String,
    /// Opened before anything is written into it, so that a sync of it is told of every failure; holds
    /// the lock.
    folder: OwnedFd,
    count: AtomicU64,
    ready: Mutex<BTreeMap<Root, Ready>>,
    /// The same for those who read, also while it gets its name.
    kept: Arc<Kept>,
}

impl PartStore {
    /// A new folder for the small files of a batch.
    ///
    /// # Errors
    /// `DiskFull`; what the system says.
    pub fn new_batch(&self) -> Result<Batch, PartError> {
        let made = fail_point!("small.folder").and_then(|()| self.make_batch());
        let (name, folder) = made.map_err(|e| self.failed("make a folder for", "", 0, e))?;
        let (store, count, ready) = (self.clone(), AtomicU64::new(0), Mutex::default());
        Ok(Batch { store, name, folder, count, ready, kept: Arc::default() })
    }

    fn make_batch(&self) -> io::Result<(String, OwnedFd)> {
        let mut races = 0;
        while races < RACES_MAX {
            let name = format!("{}{SUFFIX}", unique());
            match rustix::fs::mkdirat(self.folder(), &name, FOLDER_MODE) {
                // A process of our number has left it.
                Err(Errno::EXIST) => continue,
                other => other?,
            }
            if let Some(folder) = self.lock_batch(&name, true)? {
                return Ok((name, folder));
            }
            races += 1;
        }
        Err(io::Error::other("it is removed again and again"))
    }

    /// Opens the folder of a batch and locks it, though a new one that cannot be locked is as good.
    /// `None`: somebody else has it, or it has gone.
    fn lock_batch(&self, name: &str, new: bool) -> io::Result<Option<OwnedFd>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = match rustix::fs::openat(self.folder(), name, flags, Mode::empty()) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            other => other?,
        };
        match flock(&folder, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => return Ok(None),
            Err(error) if !new => return Err(error.into()),
            _ => {}
        }
        // Removed between open and lock: what we hold has lost its name.
        let held = File::from(folder);
        Ok(self.has_name(&held, name)?.then(|| held.into()))
    }

    /// The folders of batches, by name.
    pub(super) fn batches(&self) -> io::Result<Vec<String>> {
        let names = names_in(self.folder())?;
        Ok(names.into_iter().filter(|name| name.ends_with(SUFFIX)).collect())
    }

    /// Calls `each` with the folder of every batch that nobody has, one caller at a time, and removes
    /// those that are empty then.
    pub(super) fn each_left(
        &self,
        mut each: impl FnMut(&OwnedFd) -> io::Result<()>,
    ) -> io::Result<()> {
        let _alone = self.left().lock();
        for name in self.batches()? {
            if let Ok(Some(folder)) = self.lock_batch(&name, false) {
                each(&folder)?;
                self.remove_batch(&name);
            }
        }
        Ok(())
    }

    fn remove_batch(&self, name: &str) {
        match rustix::fs::unlinkat(self.folder(), name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOENT) => {}
            Err(error) => log::info!("could not remove the folder {name}: {error}"),
        }
    }
}

impl Batch {
    /// Keeps verified `bytes`, which are those of `root`. Not synced: `publish_batch` does that.
    ///
    /// # Errors
    /// `DiskFull`; what the system says.
    pub fn write(&self, root: &Root, bytes: &[u8], dress: Dress) -> Result<(), PartError> {
        let size = bytes.len() as u64;
        let made = self.make(root, bytes, dress);
        made.map(|ready| self.keep(ready))
            .map_err(|e| self.store.failed("write", &root.to_string(), size, e))
    }

    /// Whether the small file is kept.
    pub fn has(&self, root: &Root, size: u64) -> bool {
        self.ready.lock().get(root).is_some_and(|ready| ready.print.size == size)
    }

    /// Takes over what batches that are over have left of the contents that are `wanted`, by root and
    /// size.
    ///
    /// # Errors
    /// What the system says; the rest stays where it is.
    pub fn take_left(&self, wanted: &BTreeMap<(Root, u64), Dress>) -> io::Result<()> {
        self.store.each_left(|folder| {
            files_in(folder)?.into_iter().try_for_each(|(name, root)| {
                if wanted.range((root, 0)..=(root, u64::MAX)).next().is_none() {
                    return Ok(());
                }
                fail_point!("small.left")?;
                if let Some(bytes) = read(folder.as_fd(), &name, &root)?
                    && let Some(dress) = wanted.get(&(root, bytes.len() as u64))
                {
                    self.keep(self.make(&root, &bytes, *dress)?);
                }
                Ok(rustix::fs::unlinkat(folder, &name, AtFlags::empty())?)
            })
        })
    }

    /// What is kept, to be read by others; each will be called as `names` say, below `into`.
    ///
    /// # Errors
    /// What open says.
    pub fn lend(&self, into: Arc<Beneath>, names: BTreeMap<Root, Name>) -> io::Result<LentBatch> {
        LentBatch::of(self.folder(), self.kept.clone(), into, names)
    }

    /// Forgets a small file.
    pub fn forget(&self, root: &Root) {
        let ready = self.ready.lock().remove(root);
        ready.into_iter().for_each(|ready| self.discard(&ready));
    }

    /// Forgets all that is kept.
    pub(super) fn forget_all(&self) {
        let all = std::mem::take(&mut *self.ready.lock());
        all.values().for_each(|ready| self.discard(ready));
    }

    pub(super) fn folder(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }

    /// The small file, to be named by the caller.
    pub(super) fn take(&self, root: &Root, size: u64) -> Option<Ready> {
        let mut ready = self.ready.lock();
        if ready.get(root)?.print.size == size { ready.remove(root) } else { None }
    }

    /// Keeps a small file. Two owners may have sent the same: one of them is enough.
    pub(super) fn keep(&self, ready: Ready) {
        let other = {
            // Together, or of two that arrive at once the one that is discarded might be shown.
            let mut all = self.ready.lock();
            self.kept.show(&ready);
            all.insert(ready.root, ready)
        };
        other.into_iter().for_each(|other| self.discard(&other));
    }

    /// The small file `ready` with what `file` gets beside its bytes: itself, or a copy in its place.
    pub(super) fn dressed(&self, ready: Ready, file: &FileEntry) -> io::Result<Option<Ready>> {
        if ready.dress == Dress::of(file) {
            return Ok(Some(ready));
        }
        let other = self.twin(&ready.name, file);
        if let Ok(Some(other)) = &other {
            self.kept.show(other);
        }
        self.discard(&ready);
        other
    }

    /// A copy of the small file `name`, for another file of the same bytes.
    pub(super) fn twin(&self, name: &str, file: &FileEntry) -> io::Result<Option<Ready>> {
        fail_point!("small.twin")?;
        let bytes = read(self.folder(), name, &file.root)?;
        bytes.map(|bytes| self.make(&file.root, &bytes, Dress::of(file))).transpose()
    }

    /// Brings the files to the disk, whose names these are.
    pub(super) fn sync<'a>(&self, names: impl Iterator<Item = &'a str>) -> io::Result<()> {
        fail_point!("batch.sync")?;
        sync::written_since(&self.folder, || sync::each_in(self.folder(), names))
    }

    /// Removes a small file that is not kept; one that stays is there for the next attempt.
    pub(super) fn discard(&self, ready: &Ready) {
        self.kept.hide(ready);
        match rustix::fs::unlinkat(&self.folder, &ready.name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => log::warn!("could not remove the part {}: {error}", ready.name),
        }
    }

    fn make(&self, root: &Root, bytes: &[u8], wanted: Dress) -> io::Result<Ready> {
        let name = format!("{root}.{}", self.count.fetch_add(1, Relaxed));
        fail_point!("small.create")?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::openat(&self.folder, &name, flags, PART_MODE)?);
        let mut write = || {
            fail_point!("small.write")?;
            file.write_all(bytes)?;
            fail_point!("small.dress")?;
            // A new file is as plain as it was made.
            match wanted.executable {
                true => dress(&file, wanted.modified, true)?,
                false => set_time(&file, wanted.modified)?,
            }
            Fingerprint::of(&file)
        };
        match write() {
            Ok(print) => Ok(Ready { root: *root, name, print, dress: wanted }),
            Err(error) => {
                rustix::fs::unlinkat(&self.folder, &name, AtFlags::empty()).unwrap_or_default();
                Err(error)
            }
        }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.store.remove_batch(&self.name);
    }
}

/// The small files in the folder of a batch, and what they are said to be.
pub(super) fn files_in(folder: impl AsFd) -> io::Result<Vec<(String, Root)>> {
    let root = |name: &str| name.split_once('.')?.0.parse().ok();
    let names = names_in(folder)?.into_iter();
    Ok(names.filter_map(|name| root(&name).map(|root| (name, root))).collect())
}

fn names_in(folder: impl AsFd) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        names.extend(entry?.file_name().to_str().ok().map(str::to_owned));
    }
    Ok(names)
}

/// The bytes of the file `name`, if they are the small file `root`.
fn read(folder: BorrowedFd<'_>, name: &str, root: &Root) -> io::Result<Option<Vec<u8>>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(folder, name, flags, Mode::empty()) {
        Err(Errno::LOOP | Errno::ISDIR | Errno::NXIO) => return Ok(None),
        other => File::from(other?),
    };
    let meta = file.metadata()?;
    if !meta.is_file() || chunk_count(meta.len()) != 1 {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    let right = hash_small(&file, meta.len(), &mut bytes)? == *root;
    Ok(right.then_some(bytes))
}

#[cfg(test)]
#[path = "batch_tests.rs"]
mod tests;
