//! A disk in memory that fails and crashes on command, for tests and simulations.
//!
//! Every call on it counts as an operation. A [`Failure`] hits the n-th one, once or from there on;
//! with [`MemStorage::record`] the whole disk is kept after each one, and [`Image::survivors`] says
//! what a crash at that moment may leave. It ends when dropped; it holds nothing of the system's.

mod image;

use std::any::Any;
use std::fmt;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

pub use image::{Image, Keep};

use crate::error::WalError;
use crate::storage::{Storage, StorageFile};
use image::{Inode, NameChange};

/// How an operation goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing happens, and an I/O error.
    Eio,
    /// Nothing happens, and no space is left.
    Enospc,
    /// Half of it happens, and no error; of what has no halves, all.
    Short,
    /// Half of it happens, then no space is left.
    Part,
    /// It happens, and an I/O error all the same.
    Late,
    /// Nothing happens, it was interrupted.
    Eintr,
}

impl Trouble {
    /// All of them.
    pub const ALL: [Trouble; 6] = [
        Trouble::Eio,
        Trouble::Enospc,
        Trouble::Short,
        Trouble::Part,
        Trouble::Late,
        Trouble::Eintr,
    ];
}

/// What an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the methods of the traits, by name")]
pub enum Operation {
    List,
    Open,
    Create,
    Rename,
    Remove,
    SyncDir,
    Len,
    Read,
    Write,
    Truncate,
    Sync,
}

/// Which operations go wrong, and how.
#[derive(Debug, Clone, Copy)]
pub struct Failure {
    /// The first one, counted from 0.
    pub at: u64,
    /// And every one after it.
    pub forever: bool,
    /// Only those of this kind.
    pub only: Option<Operation>,
    /// What happens.
    pub trouble: Trouble,
}

/// A directory in memory. Clones share it.
#[derive(Clone, Default)]
pub struct MemStorage {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    image: Image,
    operations: u64,
    failure: Option<Failure>,
    recorded: Option<Vec<Image>>,
    locked: bool,
    salt: u64,
    peak: u64,
}

impl MemStorage {
    /// The disk `image`, after a crash or from elsewhere.
    pub fn from_image(image: Image) -> MemStorage {
        let inner = Inner { image, ..Inner::default() };
        MemStorage { inner: Arc::new(Mutex::new(inner)) }
    }

    /// The disk as it is.
    pub fn image(&self) -> Image {
        self.inner.lock().image.clone()
    }

    /// Fails operations from now on, in place of what was to fail before.
    pub fn fail(&self, failure: Option<Failure>) {
        self.inner.lock().failure = failure;
    }

    /// How many operations there were.
    pub fn operations(&self) -> u64 {
        self.inner.lock().operations
    }

    /// Keeps the disk as it is after each operation from here on.
    pub fn record(&self) {
        let mut inner = self.inner.lock();
        inner.recorded = Some(vec![inner.image.clone()]);
    }

    /// How many disks were recorded so far.
    pub fn recorded_len(&self) -> usize {
        self.inner.lock().recorded.as_ref().map_or(0, Vec::len)
    }

    /// The disks recorded, the first from before the first operation.
    pub fn recorded(&self) -> Vec<Image> {
        self.inner.lock().recorded.take().unwrap_or_default()
    }

    /// The most bytes that all files took together.
    pub fn peak_bytes(&self) -> u64 {
        self.inner.lock().peak
    }

    /// Seeds what stands in for random numbers.
    pub fn seed(&self, seed: u64) {
        self.inner.lock().salt = seed;
    }

    /// All names, in order.
    pub fn names(&self) -> Vec<String> {
        self.inner.lock().image.names.keys().cloned().collect()
    }

    /// What is in a file; nothing when there is none.
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        let inner = self.inner.lock();
        inner.image.names.get(name).map_or_else(Vec::new, |f| inner.image.files[*f].seen.clone())
    }

    /// Makes `name` a file of `bytes`, durable, whatever was there.
    pub fn put(&self, name: &str, bytes: Vec<u8>) {
        let image = &mut self.inner.lock().image;
        if !image.names.contains_key(name) {
            let file = image.files.len();
            image.files.push(Inode::default());
            image.change_names(NameChange::Create(name.to_owned(), file));
            image.sync_names();
        }
        let file = image.names[name];
        image.files[file].replace(bytes);
    }

    /// Forgets what is in memory of a file: what is read from now on is what the disk has, and what
    /// still waits to be written to it. After a failed sync that is less than was seen before.
    pub fn drop_cache(&self, name: &str) {
        let image = &mut self.inner.lock().image;
        if let Some(file) = image.names.get(name) {
            image.files[*file].drop_cache();
        }
    }

    /// Flips bit `bit` of byte `at` of a file, on the disk itself.
    pub fn flip(&self, name: &str, at: usize, bit: u8) {
        let image = &mut self.inner.lock().image;
        if let Some(file) = image.names.get(name) {
            image.files[*file].flip(at, bit);
        }
    }

    /// Takes a file away, durably.
    pub fn take(&self, name: &str) -> Vec<u8> {
        let bytes = self.bytes(name);
        let image = &mut self.inner.lock().image;
        image.change_names(NameChange::Remove(name.to_owned()));
        image.sync_names();
        bytes
    }

    /// Runs `work` as one operation, unless it is to fail.
    fn operate<T>(
        &self,
        operation: Operation,
        work: impl FnOnce(&mut Image, bool) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut inner = self.inner.lock();
        let now = inner.operations;
        inner.operations += 1;
        let trouble = inner.failure.filter(|f| f.hits(now, operation)).map(|f| f.trouble);
        let done = match trouble {
            None => work(&mut inner.image, false),
            Some(Trouble::Eio) => Err(io::Error::from_raw_os_error(5)),
            Some(Trouble::Enospc) => Err(io::ErrorKind::StorageFull.into()),
            Some(Trouble::Eintr) => Err(io::ErrorKind::Interrupted.into()),
            Some(Trouble::Short) => work(&mut inner.image, true),
            Some(Trouble::Part) => {
                work(&mut inner.image, true).and(Err(io::ErrorKind::StorageFull.into()))
            }
            Some(Trouble::Late) => {
                work(&mut inner.image, false).and(Err(io::Error::from_raw_os_error(5)))
            }
        };
        inner.peak =
            inner.peak.max(inner.image.names.values().map(|f| inner.image.len_of(*f)).sum());
        let image = inner.recorded.is_some().then(|| inner.image.clone());
        inner.recorded.as_mut().zip(image).map(|(all, image)| all.push(image)).unwrap_or_default();
        done
    }
}

impl fmt::Debug for MemStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemStorage").field("names", &self.names()).finish_non_exhaustive()
    }
}

impl Failure {
    fn hits(&self, now: u64, operation: Operation) -> bool {
        let due = if self.forever { now >= self.at } else { now == self.at };
        due && self.only.is_none_or(|only| only == operation)
    }
}

struct MemLock(Arc<Mutex<Inner>>);

impl Drop for MemLock {
    fn drop(&mut self) {
        self.0.lock().locked = false;
    }
}

impl Storage for MemStorage {
    fn lock(&self) -> Result<Box<dyn Any + Send + Sync>, WalError> {
        let mut inner = self.inner.lock();
        if inner.locked {
            let pid = Some(std::process::id());
            return Err(WalError::Locked { path: "memory".to_owned(), pid });
        }
        inner.locked = true;
        Ok(Box::new(MemLock(Arc::clone(&self.inner))))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.operate(Operation::List, |image, _| Ok(image.names.keys().cloned().collect()))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        let file = self.operate(Operation::Open, |image, _| {
            image.names.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
        })?;
        Ok(Arc::new(MemFile { storage: self.clone(), file }))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        let file = self.operate(Operation::Create, |image, _| {
            if image.names.contains_key(name) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            image.files.push(Inode::default());
            image.change_names(NameChange::Create(name.to_owned(), image.files.len() - 1));
            Ok(image.files.len() - 1)
        })?;
        Ok(Arc::new(MemFile { storage: self.clone(), file }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.operate(Operation::Rename, |image, _| {
            if !image.names.contains_key(from) || image.names.contains_key(to) {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            image.change_names(NameChange::Rename(from.to_owned(), to.to_owned()));
            Ok(())
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.operate(Operation::Remove, |image, _| {
            if !image.names.contains_key(name) {
                return Err(io::ErrorKind::NotFound.into());
            }
            image.change_names(NameChange::Remove(name.to_owned()));
            Ok(())
        })
    }

    fn sync_dir(&self) -> io::Result<()> {
        let done = self.operate(Operation::SyncDir, |image, _| {
            image.sync_names();
            Ok(())
        });
        self.forget_if_failed(done, Image::forget_names)
    }

    fn salt(&self) -> io::Result<u64> {
        let mut inner = self.inner.lock();
        inner.salt = inner.salt.wrapping_add(1);
        Ok(mix(inner.salt))
    }
}

impl MemStorage {
    /// After a failed sync a later one does not make up for it.
    fn forget_if_failed(
        &self,
        done: io::Result<()>,
        forget: impl FnOnce(&mut Image),
    ) -> io::Result<()> {
        if done.as_ref().is_err_and(|e| e.kind() != io::ErrorKind::Interrupted) {
            forget(&mut self.inner.lock().image);
        }
        done
    }
}

struct MemFile {
    storage: MemStorage,
    file: usize,
}

impl StorageFile for MemFile {
    fn len(&self) -> io::Result<u64> {
        self.storage.operate(Operation::Len, |image, _| Ok(image.len_of(self.file)))
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.storage.operate(Operation::Read, |image, half| {
            let seen = &image.files[self.file].seen;
            let from = seen.len().min(offset as usize);
            let all = into.len().min(seen.len() - from);
            let n = if half { all.div_ceil(2) } else { all };
            into[..n].copy_from_slice(&seen[from..from + n]);
            Ok(n)
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.storage.operate(Operation::Write, |image, half| {
            let n = if half { bytes.len().div_ceil(2) } else { bytes.len() };
            image.files[self.file].write(offset as usize, &bytes[..n]);
            Ok(n)
        })
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.storage.operate(Operation::Truncate, |image, _| {
            image.files[self.file].cut(len as usize);
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        let done = self.storage.operate(Operation::Sync, |image, _| {
            image.files[self.file].sync();
            Ok(())
        });
        self.storage.forget_if_failed(done, |image| image.files[self.file].forget())
    }
}

impl Image {
    fn len_of(&self, file: usize) -> u64 {
        self.files[file].seen.len() as u64
    }
}

/// A number that looks random, from one that does not (splitmix64).
pub fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
