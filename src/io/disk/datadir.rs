//! The data directory: folders for people, `.parvi` for us, and the lock that keeps a second
//! parvi out.
//!
//! Invariant: at most one process has a `DataDir` of a folder. The lock is an advisory one on the
//! open file, so it ends with the process, however that ends; the process id inside is for people.
//! Once it is taken, what a killed process left half written here goes.
//! A folder that was made is synced in the one above: what is put into it cannot be lost with it.
//!
//! ```text
//! shared/ downloaded/ replicated/   for people
//! .parvi/                           for us, mode 0700
//!   id lock shares.toml catalogue parts/ lists/ ctl.sock
//! ```

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use parvi_wal::make_dir_durable;

use super::{NEW_PREFIX, is_disk_full};
use crate::base::name::PRIVATE_FOLDER;
use crate::base::{Fault, FaultKind};

/// A data directory that is ours as long as the value lives.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// Another process uses it.
    #[error(
        "another parvi ({}) runs on {dir}; stop it with `parvi ctl --data {dir} exit` or give another --data",
        owner(*.pid), dir = .path.display()
    )]
    Locked {
        /// Its process id, if it could be read.
        pid: Option<u32>,
        /// The directory.
        path: PathBuf,
    },
    /// The system said no.
    #[error("could not {what} {}: {source}; check its permissions, or give another --data", .path.display())]
    Io {
        /// What was attempted.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
}

fn owner(pid: Option<u32>) -> String {
    pid.map_or_else(|| "pid unknown".to_owned(), |pid| format!("pid {pid}"))
}

impl From<DataDirError> for Fault {
    fn from(error: DataDirError) -> Fault {
        let kind = match &error {
            DataDirError::Locked { .. } => FaultKind::Exists,
            DataDirError::Io { source, .. } if is_disk_full(source) => FaultKind::DiskFull,
            DataDirError::Io { .. } => FaultKind::Other,
        };
        Fault::new(kind, error.to_string())
    }
}

impl DataDir {
    /// Makes what is missing of a node's data directory and locks it.
    ///
    /// # Errors
    /// Another process has it; a folder that cannot be made.
    pub fn open(path: &Path) -> Result<DataDir, DataDirError> {
        let dir = DataDir::open_private(path)?;
        for folder in [dir.shared(), dir.downloaded(), dir.replicated()] {
            make_folder(&folder, 0o777)?;
        }
        make_folder(&dir.parts(), 0o700)?;
        Ok(dir)
    }

    /// As `open`, with nothing but `.parvi`: what a tracker needs.
    ///
    /// # Errors
    /// As `open`.
    pub fn open_private(path: &Path) -> Result<DataDir, DataDirError> {
        make_folder(path, 0o777)?;
        let path = path.canonicalize().map_err(failed("open", path))?;
        let private = path.join(PRIVATE_FOLDER);
        make_folder(&private, 0o700)?;
        let closed = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(&private, closed).map_err(failed("protect", &private))?;
        let lock = take_lock(&path, &private.join("lock"))?;
        for folder in [private.join("lists"), private] {
            sweep(&folder);
        }
        Ok(DataDir { path, _lock: lock })
    }

    /// The directory itself, absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the user shares.
    pub fn shared(&self) -> PathBuf {
        self.path.join("shared")
    }

    /// What was downloaded.
    pub fn downloaded(&self) -> PathBuf {
        self.path.join("downloaded")
    }

    /// What is kept for others.
    pub fn replicated(&self) -> PathBuf {
        self.path.join("replicated")
    }

    /// `file` in our own folder.
    pub fn private(&self, file: &str) -> PathBuf {
        self.path.join(PRIVATE_FOLDER).join(file)
    }

    /// Files that are still arriving.
    pub fn parts(&self) -> PathBuf {
        self.private("parts")
    }
}

fn take_lock(dir: &Path, path: &Path) -> Result<File, DataDirError> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let mut lock = options.open(path).map_err(failed("open", path))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(DataDirError::Locked { pid: read_pid(&mut lock), path: dir.to_owned() });
        }
        Err(TryLockError::Error(error)) => return Err(failed("lock", path)(error)),
    }
    write_pid(&mut lock).map_err(failed("write", path))?;
    Ok(lock)
}

fn write_pid(lock: &mut File) -> io::Result<()> {
    lock.set_len(0)?;
    lock.rewind()?;
    writeln!(lock, "{}", std::process::id())
}

fn read_pid(lock: &mut File) -> Option<u32> {
    let mut text = String::new();
    lock.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// Removes what a killed process was about to put in the place of another file. The lock is ours, so
/// nobody writes it. What cannot be removed is in nobody's way.
fn sweep(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with(NEW_PREFIX);
        if !ours || !entry.file_type().is_ok_and(|kind| kind.is_file()) {
            continue;
        }
        if let Err(error) = std::fs::remove_file(entry.path()) {
            log::warn!("could not remove {}: {error}", entry.path().display());
        }
    }
}

fn make_folder(path: &Path, mode: u32) -> Result<(), DataDirError> {
    make_dir_durable(path, mode).map_err(failed("make the folder", path))
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DataDirError {
    let path = path.to_owned();
    move |source| DataDirError::Io { what, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_parvi_is_refused_by_the_pid_of_the_first_until_that_has_ended() {
        let home = tempfile::tempdir().unwrap();
        let alice = DataDir::open(home.path()).unwrap();
        let refusal = DataDir::open(home.path()).unwrap_err().to_string();
        let pid = std::process::id();
        assert!(refusal.starts_with(&format!("another parvi (pid {pid}) runs on ")), "{refusal}");
        assert!(refusal.contains("parvi ctl --data"), "{refusal}");
        drop(alice);
        // What a killed process leaves: the file, and no lock.
        std::fs::write(home.path().join(".parvi/lock"), "4194304\n").unwrap();
        DataDir::open(home.path()).unwrap();
        let lock = std::fs::read_to_string(home.path().join(".parvi/lock")).unwrap();
        assert_eq!(lock, format!("{pid}\n"));
    }

    #[test]
    fn folders_are_made_and_ours_is_closed_to_others() {
        let home = tempfile::tempdir().unwrap();
        let private = home.path().join("data/.parvi");
        std::fs::create_dir_all(&private).unwrap();
        let dir = DataDir::open(&home.path().join("data")).unwrap();
        for folder in [dir.shared(), dir.downloaded(), dir.replicated(), dir.parts()] {
            assert!(folder.is_dir(), "{} is missing", folder.display());
        }
        assert_eq!(private.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn what_a_killed_process_was_about_to_put_in_the_place_of_a_file_goes() {
        let home = tempfile::tempdir().unwrap();
        let private = home.path().join(".parvi");
        std::fs::create_dir_all(private.join("lists")).unwrap();
        for path in [private.join("downloads.toml"), private.join("lists/one")] {
            std::fs::write(&path, "kept").unwrap();
            super::super::new_beside(&path).unwrap().keep().unwrap();
        }
        std::fs::write(home.path().join(".tmp of the person"), "kept").unwrap();
        DataDir::open_private(home.path()).unwrap();
        let names = |folder: &Path| -> std::collections::BTreeSet<_> {
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect()
        };
        assert_eq!(names(&private), ["downloads.toml", "lists", "lock"].map(Into::into).into());
        assert_eq!(names(&private.join("lists")), ["one"].map(Into::into).into());
        assert!(home.path().join(".tmp of the person").exists());
    }

    #[test]
    fn a_path_that_cannot_be_made_says_which_and_what_to_do() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("file"), "").unwrap();
        let refusal = DataDir::open(&home.path().join("file/data")).unwrap_err().to_string();
        assert!(refusal.contains("make the folder") && refusal.contains("--data"), "{refusal}");
    }
}
