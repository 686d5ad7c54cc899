//! The real storage: a directory of a file system.
//!
//! Invariant: every open file is one segment of this directory; the lock is held by the open lock
//! file, so it ends with the process however that ends. Read-only, nothing is made or locked.

use std::any::Any;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::error::WalError;
use crate::storage::{Storage, StorageFile};

/// The file whose lock is the directory's; it names the process.
const LOCK_NAME: &str = "lock";
/// How often the lock file is looked at for its owner's number, which is written after locking.
const PID_TRIES: u32 = 10;
/// How long to wait between two looks.
const PID_PAUSE: Duration = Duration::from_millis(20);

/// Makes the directory `path`, and what is missing above it, with `mode`; what was made is still
/// there after a loss of power. Costs nothing where nothing is missing.
///
/// # Errors
/// What mkdir, open and fsync say.
pub fn make_dir_durable(path: &Path, mode: u32) -> io::Result<()> {
    let holders = holders_of_missing(path);
    DirBuilder::new().recursive(true).mode(mode).create(path)?;
    // A directory's name is an entry of the one that holds it: that one is synced.
    holders.iter().try_for_each(|holder| File::open(holder)?.sync_all())
}

/// The directories that get a new entry when `path` is made, innermost first.
fn holders_of_missing(path: &Path) -> Vec<PathBuf> {
    let is_missing =
        |p: &&Path| p.symlink_metadata().is_err_and(|e| e.kind() == io::ErrorKind::NotFound);
    let missing = path.ancestors().take_while(|p| !p.as_os_str().is_empty()).take_while(is_missing);
    let holder = |p: &Path| match p.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    missing.map(holder).collect()
}

/// A directory on a disk.
#[derive(Debug)]
pub struct Disk {
    path: PathBuf,
    writable: bool,
}

impl Disk {
    /// The directory `path`, made (mode 0700) if it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(path: impl Into<PathBuf>) -> Result<Disk, WalError> {
        let path = path.into();
        // The directory's own name is durable before anything in it is relied on.
        make_dir_durable(&path, 0o700)
            .map_err(WalError::io("make the directory", &path.to_string_lossy()))?;
        Ok(Disk { path, writable: true })
    }

    /// The directory `path`, to be looked at only.
    pub fn read_only(path: impl Into<PathBuf>) -> Disk {
        Disk { path: path.into(), writable: false }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn shown(&self) -> String {
        self.path.display().to_string()
    }
}

impl Storage for Disk {
    fn lock(&self) -> Result<Box<dyn Any + Send + Sync>, WalError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let path = self.path.join(LOCK_NAME);
        let mut lock = options.open(path).map_err(WalError::io("open", LOCK_NAME))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(WalError::Locked { path: self.shown(), pid: read_pid(&mut lock) });
            }
            Err(TryLockError::Error(e)) => return Err(WalError::io("lock", LOCK_NAME)(e)),
        }
        // A full disk leaves the lock without a number, and the log may still be read.
        match write_pid(&mut lock) {
            Err(e) if e.kind() != io::ErrorKind::StorageFull => {
                Err(WalError::io("write", LOCK_NAME)(e))
            }
            _ => Ok(Box::new(lock)),
        }
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            // Names that are no text are not ours.
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(self.writable).open(self.path.join(name))?;
        Ok(Arc::new(DiskFile(file)))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o600);
        Ok(Arc::new(DiskFile(options.open(self.path.join(name))?)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path.join(name))
    }

    fn sync_dir(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    fn salt(&self) -> io::Result<u64> {
        getrandom::u64().map_err(|e| io::Error::other(e.to_string()))
    }
}

fn write_pid(lock: &mut File) -> io::Result<()> {
    lock.set_len(0)?;
    lock.rewind()?;
    writeln!(lock, "{}", std::process::id())
}

/// The number in a lock that somebody else holds, who may be about to write it.
fn read_pid(lock: &mut File) -> Option<u32> {
    for _ in 0..PID_TRIES {
        let mut text = String::new();
        lock.rewind().ok()?;
        lock.take(16).read_to_string(&mut text).ok()?;
        if text.ends_with('\n') {
            return text.trim().parse().ok();
        }
        std::thread::park_timeout(PID_PAUSE);
    }
    None
}

struct DiskFile(File);

impl StorageFile for DiskFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(into, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.0.write_at(bytes, offset)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_directory_that_gets_an_entry_is_synced_and_no_other() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a/b/c");
        let holders = [home.path().join("a/b"), home.path().join("a"), home.path().to_owned()];
        assert_eq!(holders_of_missing(&path), holders);
        make_dir_durable(&path, 0o700).unwrap();
        assert!(path.is_dir());
        assert_eq!(holders_of_missing(&path), Vec::<PathBuf>::new());
        assert_eq!(holders_of_missing(&path.join("d")), [path]);
        assert_eq!(
            holders_of_missing(Path::new("no such/x")),
            [Path::new("no such"), Path::new(".")]
        );
    }
}
