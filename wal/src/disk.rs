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
/// there after a loss of power, also what a process made that was killed before it could sync it:
/// each name is synced before the next is made in it, and that of the last one that is there always.
///
/// # Errors
/// What mkdir, open and fsync say.
pub fn make_dir_durable(path: &Path, mode: u32) -> io::Result<()> {
    for (dir, holder) in to_be_synced(path) {
        let was_there = dir.exists();
        DirBuilder::new().recursive(true).mode(mode).create(dir)?;
        // A directory's name is an entry of the one that holds it: that one is synced.
        match File::open(holder).and_then(|holder| holder.sync_all()) {
            Err(e) if was_there && is_not_ours(&e) => {}
            synced => synced?,
        }
    }
    Ok(())
}

/// Whether this says that nobody here can have made a name in that directory.
fn is_not_ours(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, PermissionDenied, ReadOnlyFilesystem, Unsupported};
    matches!(error.kind(), InvalidInput | PermissionDenied | ReadOnlyFilesystem | Unsupported)
}

/// The directories on the way to `path` whose names may not be durable, and what holds them, outermost
/// first: those that are missing, and the last one that is there.
fn to_be_synced(path: &Path) -> Vec<(&Path, PathBuf)> {
    let is_missing =
        |p: &Path| p.symlink_metadata().is_err_and(|e| e.kind() == io::ErrorKind::NotFound);
    let holder = |p: &Path| match p.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        Some(_) => PathBuf::from("."),
        // The root of all has no name.
        None => p.to_owned(),
    };
    let mut all = Vec::new();
    for dir in path.ancestors().take_while(|p| !p.as_os_str().is_empty()) {
        all.push((dir, holder(dir)));
        if !is_missing(dir) {
            break;
        }
    }
    all.reverse();
    all
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
    fn every_name_that_is_made_is_synced_in_turn_and_that_of_the_last_one_there_again() {
        let home = tempfile::tempdir().unwrap();
        let [a, b, c] = ["a", "a/b", "a/b/c"].map(|below| home.path().join(below));
        let above = home.path().parent().unwrap().to_owned();
        let home = home.path().to_owned();
        let synced = |path: &Path| {
            let all = to_be_synced(path).into_iter();
            all.map(|(dir, holder)| (dir.to_owned(), holder)).collect::<Vec<_>>()
        };
        let pair = |dir: &PathBuf, holder: &PathBuf| (dir.clone(), holder.clone());
        let all = [pair(&home, &above), pair(&a, &home), pair(&b, &a), pair(&c, &b)];
        assert_eq!(synced(&c), all);
        DirBuilder::new().create(&a).unwrap();
        assert_eq!(synced(&c), all[1..], "killed after the first: its name is synced now");
        make_dir_durable(&c, 0o700).unwrap();
        assert!(c.is_dir());
        assert_eq!(synced(&c), all[3..], "the last one may not have been synced");
        assert_eq!(
            synced(Path::new("no such/x")),
            [("no such".into(), ".".into()), ("no such/x".into(), "no such".into())]
        );
        assert_eq!(synced(Path::new("/")), [("/".into(), "/".into())]);
        make_dir_durable(Path::new("/"), 0o700).unwrap();
    }
}
