//! What goes from the folder of parts: what nobody wants, and what nobody continues.
//!
//! Invariant: nothing goes that is not ours by its name, and nothing that somebody has locked.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use rustix::fs::{AtFlags, Mode, OFlags};

use super::batch::files_in;
use super::part::{PartError, PartStore};
use crate::base::{Modified, Root};
use crate::io::clock;

/// A part that nothing has happened to for so long belongs to a download that nobody continues.
pub(super) const PART_AGE_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What became of parts that nobody wants.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// How many files went.
    pub gone: usize,
    /// Whose parts somebody has open.
    pub in_use: Vec<Root>,
}

impl PartStore {
    /// Removes the parts that nobody has continued for `PART_AGE_MAX`. That is told by the wall
    /// clock, which may be decades off: call it only while no download is to be continued.
    ///
    /// # Errors
    /// What readdir and unlink say.
    pub fn forget_old(&self) -> io::Result<()> {
        self.forget_older(clock::unix_now())
    }

    pub(super) fn forget_older(&self, now: Modified) -> io::Result<()> {
        self.sweep(|name, meta| name.ends_with(".part") && meta.is_file() && is_old(meta, now))?;
        self.each_left(|folder| {
            if !is_old(&File::from(folder.try_clone()?).metadata()?, now) {
                return Ok(());
            }
            remove_from(folder, &|_| true).map(|gone| {
                log::info!("removed {gone} small files that nobody continues");
            })
        })
    }

    /// Forgets what is kept of the contents that `unwanted` names, but for what somebody has open.
    ///
    /// # Errors
    /// What reading the folder says; what unlink says, after the rest was tried.
    pub fn remove_all(&self, unwanted: &dyn Fn(&Root) -> bool) -> io::Result<Removed> {
        let (mut removed, mut failed) = (Removed::default(), None);
        for entry in std::fs::read_dir(self.path())? {
            let name = entry?.file_name();
            let Some((stem, suffix)) = name.to_str().and_then(|name| name.split_once('.')) else {
                continue;
            };
            let Some(root) = stem.parse().ok().filter(unwanted) else { continue };
            let size = suffix.strip_suffix(".part").and_then(|size| size.parse().ok());
            let Some(size) = size else { continue };
            let went = match self.remove(&root, size) {
                Err(PartError::Busy { .. }) => {
                    removed.in_use.push(root);
                    continue;
                }
                Err(PartError::Io { source, .. }) => Err(source),
                other => other.map_err(|error| io::Error::other(error.to_string())),
            };
            removed.gone += usize::from(went.as_ref().is_ok_and(|gone| *gone));
            failed = failed.or(went.err());
        }
        let small = self.each_left(|folder| {
            removed.gone += remove_from(folder, unwanted)?;
            Ok(())
        });
        failed.or(small.err()).map_or(Ok(removed), Err)
    }

    /// Removes what `goes`; what is locked is in use, and stays.
    pub(super) fn sweep(&self, goes: impl Fn(&str, &Metadata) -> bool) -> io::Result<()> {
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
}

/// Removes what `goes` of the small files of a batch; tells how many went.
fn remove_from(folder: &OwnedFd, goes: &dyn Fn(&Root) -> bool) -> io::Result<usize> {
    let files = files_in(folder)?.into_iter().filter(|(_, root)| goes(root));
    files.into_iter().try_fold(0, |gone, (name, _)| {
        rustix::fs::unlinkat(folder, &name, AtFlags::empty())?;
        Ok(gone + 1)
    })
}

/// By ctime: mtime becomes that of the sender's file when a part is published, which may fail.
fn is_old(meta: &Metadata, now: Modified) -> bool {
    now.secs.saturating_sub(meta.ctime()) > PART_AGE_MAX.as_secs().cast_signed()
}
