//! The small files of a batch -> their final names.
//!
//! Invariants: those of `publish`; one sync for all of them, before the first has its name.
//!
//! ```text
//! copies for twins -> one syncfs -> for each: make folders, rename without replacing -> sync each folder once
//! ```
//!
//! What gets no name stays among the parts, but for a batch that could not be synced: that goes, since
//! what is in memory says nothing of the disk then. The kernel tells a failed write-back once to each
//! open file (errseq_t): a descriptor that many batches share would tell it to one of them only. So
//! each batch has its own, opened before it writes. What one sync is worth on which kernel: `sync`.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::batch::{Batch, Ready};
use super::beneath::{Beneath, rename_noreplace};
use super::fingerprint::Fingerprint;
use super::publish::{
    PublishError, Published, SYNCS_MAX, after_naming, damaged, error, final_path, open_anew,
    published,
};
use super::sync;
use crate::base::{FileEntry, Name, Root};
use crate::io::failpoint::fail_point;

/// Gives the small files of a batch their names, each the very file that was written when it arrived;
/// several names of one content get a copy each. The answers are in the order of `files`.
pub fn publish_batch(
    batch: &Batch,
    into: &Beneath,
    files: &[FileEntry],
    fsync: bool,
) -> Vec<Result<Published, PublishError>> {
    let all_failed = |source: io::Error| {
        let failed = |file: &FileEntry| Err(error(into, &file.name, "sync", again(&source)));
        files.iter().map(failed).collect()
    };
    let watch = match fsync.then(|| open_anew(into.folder())).transpose() {
        Ok(watch) => watch,
        Err(source) => return all_failed(source),
    };
    let staged = stage(batch, into, files);
    let names = || staged.iter().flatten().map(|ready| ready.name.as_str());
    if watch.is_some()
        && let Err(source) = batch.sync(names())
    {
        staged.iter().flatten().for_each(|ready| batch.discard(ready));
        batch.forget_all();
        return all_failed(source);
    }
    let mut folders = Folders { into, last: None };
    let mut named: Vec<_> = files
        .iter()
        .zip(staged)
        .map(|(file, staged)| staged.and_then(|ready| name(batch, &mut folders, file, ready)))
        .collect();
    if let Some(Err(source)) = watch.map(|watch| sync_folders(into, &watch, files)) {
        for (file, outcome) in files.iter().zip(&mut named).filter(|(_, n)| n.is_ok()) {
            *outcome =
                Err(after_naming(into, &file.name, "sync the folders above", again(&source)));
        }
    }
    named
}

/// Takes what is kept of each file out of the batch, and makes a copy for each twin.
fn stage(batch: &Batch, into: &Beneath, files: &[FileEntry]) -> Vec<Result<Ready, PublishError>> {
    let mut first: BTreeMap<(Root, u64), String> = BTreeMap::new();
    let mut stage_one = |file: &FileEntry| {
        let key = (file.root, file.size);
        let staged = match first.get(&key) {
            Some(twin) => batch.twin(twin, file),
            None => match batch.take(&file.root, file.size) {
                Some(ready) => batch.dressed(ready, file),
                None => return Err(missing(into, file)),
            },
        };
        let ready = staged.map_err(|e| error(into, &file.name, "copy the part of", e))?;
        let ready = ready.ok_or_else(|| damaged(into, &file.name))?;
        first.entry(key).or_insert_with(|| ready.name.clone());
        Ok(ready)
    };
    files.iter().map(&mut stage_one).collect()
}

fn name(
    batch: &Batch,
    folders: &mut Folders<'_>,
    file: &FileEntry,
    ready: Ready,
) -> Result<Published, PublishError> {
    let into = folders.into;
    let named = folders
        .above(&file.name)
        .map_err(|e| error(into, &file.name, "make the folders above", e))
        .and_then(|folder| {
            let to = file.name.file_name();
            fail_point!("batch.rename")
                .and_then(|()| rename_noreplace(batch.folder(), &ready.name, folder, to))
                .map_err(|e| match e.kind() {
                    io::ErrorKind::NotFound => missing(into, file),
                    _ => error(into, &file.name, "name", e),
                })?;
            fail_point!("batch.named")
                .and_then(|()| Fingerprint::at(folder, to))
                .map_err(|e| after_naming(into, &file.name, "look at", e))
        });
    match named {
        Ok(print) => Ok(published(into, &file.name, ready.print, &print)),
        Err(error) => {
            batch.keep(ready);
            Err(error)
        }
    }
}

/// The folder above the file that was named last, open: the next one is likely to go there too.
struct Folders<'a> {
    into: &'a Beneath,
    last: Option<(String, OwnedFd)>,
}

impl Folders<'_> {
    /// The folder above `name`, made if it is missing.
    fn above(&mut self, name: &Name) -> io::Result<BorrowedFd<'_>> {
        let above = name.as_str().rsplit_once('/').map_or("", |(above, _)| above);
        let last = match self.last.take() {
            Some(last) if last.0 == above => last,
            _ => (above.to_owned(), self.into.create_parents(name)?),
        };
        Ok(self.last.insert(last).1.as_fd())
    }
}

/// Syncs every folder on the way to `files` once; `watch` is the outermost, opened for this batch.
fn sync_folders(into: &Beneath, watch: &OwnedFd, files: &[FileEntry]) -> io::Result<()> {
    fail_point!("batch.folders")?;
    let above = |file: &FileEntry| file.name.as_str().rsplit_once('/').map(|(a, _)| a.to_owned());
    let folders: BTreeSet<String> = files.iter().filter_map(above).collect();
    let each = || sync_each_folder(into, watch, &folders);
    if folders.len() > SYNCS_MAX { sync::written_since(watch, each) } else { each() }
}

fn sync_each_folder(into: &Beneath, watch: &OwnedFd, folders: &BTreeSet<String>) -> io::Result<()> {
    rustix::fs::fsync(watch)?;
    for folder in folders {
        let Ok(name) = Name::parse(folder) else { continue };
        into.sync_above(&name)?;
        match into.open_folder(Some(&name)) {
            // Never made: every file in it has failed already.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => rustix::fs::fsync(other?)?,
        }
    }
    Ok(())
}

fn missing(into: &Beneath, file: &FileEntry) -> PublishError {
    PublishError::Missing { path: final_path(into, &file.name) }
}

/// The same error, for every file that it concerns: a full disk is still known as one.
fn again(source: &io::Error) -> io::Error {
    let same = source.raw_os_error().map(io::Error::from_raw_os_error);
    same.unwrap_or_else(|| io::Error::new(source.kind(), source.to_string()))
}

#[cfg(test)]
#[path = "publish_batch_tests.rs"]
mod tests;
