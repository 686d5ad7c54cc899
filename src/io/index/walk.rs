//! What lies in a folder: the files, and what cannot be shared and why.
//!
//! Invariant: symbolic links are not followed, and what is found here is only a list of names: each
//! file is opened again through `Beneath` before a byte of it is read. What could not be looked at is
//! told apart from what is gone: of the former nothing is known.

use std::io;
use std::path::Path;

use ignore::{DirEntry, WalkBuilder};

use super::problem::Problems;
use super::state::Place;
use crate::base::Name;
use crate::base::limits::FILE_SIZE_MAX;
use crate::base::name::{NameError, PRIVATE_FOLDER};
use crate::io::disk::Fingerprint;

/// Folders that could not be read and are remembered one by one; more count as all.
const UNREAD_MAX: usize = 64;

/// What a walk could not look at.
#[derive(Debug, Default)]
pub(super) struct Unread {
    all: bool,
    below: Vec<Name>,
}

impl Unread {
    /// Nothing was looked at to the end.
    pub(super) fn all() -> Unread {
        Unread { all: true, below: Vec::new() }
    }

    /// Whether a file of that name may be there although it was not seen.
    pub(super) fn covers(&self, name: &Name) -> bool {
        self.all || self.below.iter().any(|unread| name.answers(unread))
    }

    /// `path` could not be looked at; `None` where the system does not say what it was.
    fn add(&mut self, place: &Place, path: Option<&Path>) {
        let relative = path.and_then(|path| path.strip_prefix(&place.path).ok());
        match relative.filter(|relative| !relative.as_os_str().is_empty()).map(Name::from_path) {
            Some(_) if self.below.len() >= UNREAD_MAX => self.all = true,
            Some(Ok(name)) => self.below.extend(place.full(name)),
            // What has no name is not shared, and nothing below it is.
            Some(Err(_)) => {}
            None => self.all = true,
        }
    }
}

/// Patterns of what is not shared, as in `.gitignore`; one in any folder, for what is below it.
const IGNORE_FILE: &str = ".parviignore";

/// Calls `found` for every file of `place` that can be shared: its full name and its state.
/// `patterns` tells whether ignore files count: those in folders a person fills do, one that was
/// downloaded does not. Ends early when `stop` says so. Tells what was not looked at.
pub(super) fn walk(
    place: &Place,
    patterns: bool,
    problems: &mut Problems,
    stop: &dyn Fn() -> bool,
    found: &mut dyn FnMut(Name, Fingerprint),
) -> Unread {
    let mut unread = Unread::default();
    if let Some(only) = &place.only {
        let path = place.path.join(only.as_path());
        match std::fs::symlink_metadata(&path) {
            Ok(meta) => look(place, only.as_path(), &meta, problems, found),
            Err(error) => {
                unread.all = !is_gone(&error);
                problems.add(&path, error);
            }
        }
        return unread;
    }
    let mut builder = WalkBuilder::new(&place.path);
    builder.standard_filters(false).follow_links(false).filter_entry(|e| !is_left_out(e));
    if patterns {
        builder.add_custom_ignore_filename(IGNORE_FILE);
    }
    for entry in builder.build() {
        if stop() {
            return Unread::all();
        }
        match entry {
            Ok(entry) => visit(place, &entry, problems, &mut unread, found),
            Err(error) => failed(place, path_of(&error), &error, problems, &mut unread),
        }
    }
    unread
}

fn visit(
    place: &Place,
    entry: &DirEntry,
    problems: &mut Problems,
    unread: &mut Unread,
    found: &mut dyn FnMut(Name, Fingerprint),
) {
    if let Some(error) = entry.error() {
        problems.add(entry.path(), error);
    }
    let Ok(relative) = entry.path().strip_prefix(&place.path) else { return };
    if entry.file_type().is_none_or(|kind| kind.is_dir()) {
        return;
    }
    match entry.metadata() {
        Ok(meta) => look(place, relative, &meta, problems, found),
        Err(error) => failed(place, Some(entry.path()), &error, problems, unread),
    }
}

/// `path` could not be looked at: it has gone meanwhile, or nothing is known of it.
fn failed(
    place: &Place,
    path: Option<&Path>,
    error: &ignore::Error,
    problems: &mut Problems,
    unread: &mut Unread,
) {
    let gone = error.io_error().is_some_and(is_gone);
    if !gone {
        unread.add(place, path);
    }
    if !gone || at_root(error) {
        problems.add(path.unwrap_or(&place.path), error);
    }
}

/// One thing that is not a folder: shared, or a problem.
fn look(
    place: &Place,
    relative: &Path,
    meta: &std::fs::Metadata,
    problems: &mut Problems,
    found: &mut dyn FnMut(Name, Fingerprint),
) {
    let path = place.path.join(relative);
    if meta.is_symlink() {
        return problems.add(&path, "a symbolic link; links are not followed");
    }
    if !meta.is_file() {
        return problems.add(&path, "not a regular file");
    }
    if meta.len() > FILE_SIZE_MAX {
        return problems.add(&path, format_args!("larger than {FILE_SIZE_MAX} bytes"));
    }
    match Name::from_path(relative).map(|name| place.full(name).ok_or(NameError::TooLong)) {
        Ok(Ok(name)) => found(name, Fingerprint::new(meta)),
        Err(NameError::Private) => {}
        Ok(Err(why)) | Err(why) => problems.add(&path, why),
    }
}

/// What is never shared: our own, and what programs leave while they write.
fn is_left_out(entry: &DirEntry) -> bool {
    let name = entry.file_name().as_encoded_bytes();
    entry.depth() > 0
        && ([PRIVATE_FOLDER, IGNORE_FILE, ".git"].iter().any(|own| name == own.as_bytes())
            || name.ends_with(b".part")
            || name.ends_with(b"~"))
}

/// Whether the system says that it is not there. Any other failure, as of a disk or for want of
/// descriptors, says nothing of what is there.
pub(super) fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// What it was that could not be read.
fn path_of(error: &ignore::Error) -> Option<&Path> {
    match error {
        ignore::Error::WithPath { path, .. } => Some(path),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => {
            path_of(err)
        }
        _ => None,
    }
}

/// Whether it is the folder itself that cannot be read.
fn at_root(error: &ignore::Error) -> bool {
    matches!(error, ignore::Error::WithDepth { depth: 0, .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;

    fn unread_after(errno: Errno, path: Option<&str>) -> Unread {
        let prefix = Some(Name::parse("photos").unwrap());
        let place = Place { path: "/here".into(), prefix, only: None };
        let io = ignore::Error::Io(errno.into());
        let error = match path {
            Some(path) => ignore::Error::WithPath { path: path.into(), err: Box::new(io) },
            None => io,
        };
        let error = ignore::Error::WithDepth { depth: 1, err: Box::new(error) };
        let mut unread = Unread::default();
        failed(&place, path_of(&error), &error, &mut Problems::default(), &mut unread);
        unread
    }

    #[test]
    fn a_folder_that_cannot_be_read_is_not_a_folder_that_is_gone() {
        let [inside, beside] = ["photos/a/b", "photos/ab"].map(|text| Name::parse(text).unwrap());
        for errno in [Errno::MFILE, Errno::ACCESS, Errno::IO, Errno::STALE] {
            let unread = unread_after(errno, Some("/here/a"));
            assert!(unread.covers(&inside) && !unread.covers(&beside), "{errno}");
            assert!(unread_after(errno, Some("/here")).covers(&beside), "{errno}");
            assert!(unread_after(errno, None).covers(&beside), "{errno}");
        }
        for errno in [Errno::NOENT, Errno::NOTDIR] {
            assert!(!unread_after(errno, Some("/here/a")).covers(&inside), "{errno}");
        }
    }
}
