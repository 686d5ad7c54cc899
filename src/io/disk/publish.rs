//! Part -> final name.
//!
//! Invariants: a final name exists only for a file whose every byte was verified and synced (I1);
//! no other file is ever replaced, not even one that appears at the same moment.
//!
//! ```text
//! mode, mtime -> sync file -> make folders -> rename without replacing -> sync folders
//! ```
//!
//! On failure the part stays, and nothing has the final name; a part that could not be synced is
//! removed, since what is in memory says nothing of the disk then. The small files of a batch:
//! `publish_batch`.

use std::fs::{File, FileTimes, Permissions};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::beneath::{Beneath, rename_noreplace};
use super::fingerprint::Fingerprint;
use super::hash::{HashError, hash_file, threads_max};
use super::is_disk_full;
use super::part::part_name;
use super::part_file::PartFile;
use crate::base::{Modified, Name, Root};
use crate::io::failpoint::fail_point;

/// Times that file systems can keep, seconds since 1970: 1901 to 2446.
const SECS: std::ops::RangeInclusive<i64> = -(1 << 31)..=(15 << 30);
/// For more files or folders, syncing the file system is cheaper than syncing each.
pub(super) const SYNCS_MAX: usize = 32;

/// A file that has its final name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Where it is.
    pub path: PathBuf,
    /// Its state at that moment: what was verified, for the index.
    pub print: Fingerprint,
}

/// Why a file did not get its final name.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// Something else has the name; it was left as it is.
    #[error("{} exists already and was left as it is; move it away and ask again", .path.display())]
    Exists {
        /// The final path.
        path: PathBuf,
    },
    /// A file or a link stands where a folder is needed.
    #[error("a folder above {} is a file or a symbolic link; move it away and ask again", .path.display())]
    Parent {
        /// The final path.
        path: PathBuf,
    },
    /// No room. The file has no final name: asked again later it gets one.
    #[error("the disk is full: {} is not complete; free some space", .path.display())]
    DiskFull {
        /// The final path.
        path: PathBuf,
    },
    /// The small file is not among the parts any more: fetch it again.
    #[error("the part of {} was taken away; ask again", .path.display())]
    Missing {
        /// The final path.
        path: PathBuf,
    },
    /// The part is not what was verified: fetch it again.
    #[error("the part of {} was damaged or taken away; ask again", .path.display())]
    Damaged {
        /// The final path.
        path: PathBuf,
    },
    /// The system said no.
    #[error("could not {what} {}: {source}", .path.display())]
    Io {
        /// What was attempted.
        what: &'static str,
        /// The final path.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
}

/// Gives a verified part the name `name` below `into`, its time and its mode, and makes that
/// durable unless `fsync` is off.
///
/// # Errors
/// The name is taken; a folder cannot be made; the part is no longer the one that was verified;
/// the disk.
pub fn publish(
    part: PartFile,
    into: &Beneath,
    name: &Name,
    modified: Modified,
    executable: bool,
    fsync: bool,
) -> Result<Published, PublishError> {
    let failed = |what| move |source| error(into, name, what, source);
    if part.file().metadata().map_err(failed("look at"))?.len() != part.size() {
        return Err(damaged(into, name));
    }
    fail_point!("publish.dress")
        .and_then(|()| dress(part.file(), modified, executable))
        .map_err(failed("set time and mode of"))?;
    if fsync {
        let synced = fail_point!("publish.sync").and_then(|()| part.file().sync_all());
        if let Err(source) = synced {
            forget(&part);
            return Err(failed("sync")(source));
        }
    }
    let made = fail_point!("publish.folders").and_then(|()| into.create_parents(name));
    let folder = made.map_err(failed("make the folders above"))?;
    let print = Fingerprint::of(part.file()).map_err(failed("look at"))?;
    if !part.store().is_named(part.file(), &part.root(), part.size()).map_err(failed("look at"))? {
        return Err(damaged(into, name));
    }
    let from = part_name(&part.root(), part.size());
    fail_point!("publish.rename")
        .and_then(|()| rename_noreplace(part.store().folder(), &from, &folder, name.file_name()))
        .map_err(failed("name"))?;
    let failed = |what| move |source| after_naming(into, name, what, source);
    fail_point!("publish.named").map_err(failed("look at"))?;
    let named = Fingerprint::of(part.file()).map_err(failed("look at"))?;
    if fsync {
        let synced = fail_point!("publish.above").and_then(|()| into.sync_above(name));
        synced.map_err(failed("sync the folders above"))?;
    }
    fail_point!("publish.durable").map_err(failed("look at"))?;
    // Unlocked only now: from here on the file is the user's.
    drop(part);
    Ok(published(into, name, print, &named))
}

/// Removes a part whose sync has failed: memory may still have what the disk has lost, and the
/// next attempt would believe it.
fn forget(part: &PartFile) {
    let name = part_name(&part.root(), part.size());
    if let Err(error) = part.store().unlink(&name) {
        log::error!("could not remove the part {name}, which could not be synced: {error}");
    }
}

/// The size and root of the file that has the name, if there is one: to tell "already there" from
/// a conflict.
///
/// # Errors
/// What open and read say; something that is not a regular file; `stop`
/// (`ErrorKind::Interrupted`).
pub fn existing(
    into: &Beneath,
    name: &Name,
    stop: &(dyn Fn() -> bool + Sync),
) -> io::Result<Option<(u64, Root)>> {
    let file = match into.open_file(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let size = file.metadata()?.len();
    match hash_file(&file, size, threads_max(), stop) {
        Ok(manifest) => Ok(Some((size, manifest.root()))),
        Err(HashError::Io(error)) => Err(error),
        Err(HashError::Stopped) => Err(io::ErrorKind::Interrupted.into()),
    }
}

/// The same folder as a new open file; a duplicate would share what the kernel has told already.
pub(super) fn open_anew(folder: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(folder, ".", flags, Mode::empty())?)
}

/// Sets mode and time. The part was made with the umask applied, so what it left readable may
/// become executable.
pub(super) fn dress(file: &File, modified: Modified, executable: bool) -> io::Result<()> {
    let plain = file.metadata()?.permissions().mode() & 0o666;
    let mode = if executable { plain | (plain & 0o444) >> 2 } else { plain };
    file.set_permissions(Permissions::from_mode(mode))?;
    set_time(file, modified)
}

/// Sets the time of the last change of the bytes.
pub(super) fn set_time(file: &File, modified: Modified) -> io::Result<()> {
    file.set_times(FileTimes::new().set_modified(clamped(modified)))
}

/// `modified` as a time that can be set, whatever a peer has sent.
fn clamped(modified: Modified) -> SystemTime {
    let secs = modified.secs.clamp(*SECS.start(), *SECS.end());
    let whole = Duration::from_secs(secs.unsigned_abs());
    let second = if secs < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(whole)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(whole)
    };
    let nanos = Duration::from_nanos(u64::from(modified.nanos.min(999_999_999)));
    second.and_then(|s| s.checked_add(nanos)).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// An error once the name is there: whatever it is, trying again would find the name taken.
pub(super) fn after_naming(
    into: &Beneath,
    name: &Name,
    what: &'static str,
    source: io::Error,
) -> PublishError {
    PublishError::Io { what, path: final_path(into, name), source }
}

/// What was named. Of the state afterwards only ctime is taken, which the renaming itself changes:
/// should somebody have written meanwhile, the print does not fit the file, and the index sees it.
pub(super) fn published(
    into: &Beneath,
    name: &Name,
    dressed: Fingerprint,
    named: &Fingerprint,
) -> Published {
    let print = Fingerprint { changed: named.changed, ..dressed };
    Published { path: final_path(into, name), print }
}

pub(super) fn final_path(into: &Beneath, name: &Name) -> PathBuf {
    into.path().join(Path::new(name.as_str()))
}

pub(super) fn damaged(into: &Beneath, name: &Name) -> PublishError {
    PublishError::Damaged { path: final_path(into, name) }
}

pub(super) fn error(
    into: &Beneath,
    name: &Name,
    what: &'static str,
    source: io::Error,
) -> PublishError {
    let path = final_path(into, name);
    match Errno::from_io_error(&source) {
        _ if is_disk_full(&source) => PublishError::DiskFull { path },
        Some(Errno::EXIST) => PublishError::Exists { path },
        Some(Errno::NOTDIR | Errno::LOOP) => PublishError::Parent { path },
        _ => PublishError::Io { what, path, source },
    }
}

#[cfg(test)]
#[path = "publish_tests.rs"]
mod tests;
