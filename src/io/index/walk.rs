//! What lies in a folder: the files, and what cannot be shared and why.
//!
//! Invariant: symbolic links are not followed, and what is found here is only a list of names: each
//! file is opened again through `Beneath` before a byte of it is read.

use std::io;
use std::path::Path;

use ignore::{DirEntry, WalkBuilder};

use super::problem::Problems;
use super::state::Place;
use crate::base::Name;
use crate::base::limits::FILE_SIZE_MAX;
use crate::base::name::{NameError, PRIVATE_FOLDER};
use crate::io::disk::Fingerprint;

/// Patterns of what is not shared, as in `.gitignore`; one in any folder, for what is below it.
const IGNORE_FILE: &str = ".parviignore";

/// Calls `found` for every file of `place` that can be shared: its full name and its state.
/// `patterns` tells whether ignore files count: those in folders a person fills do, one that was
/// downloaded does not. Ends early when `stop` says so, and tells whether it came to the end.
pub(super) fn walk(
    place: &Place,
    patterns: bool,
    problems: &mut Problems,
    stop: &dyn Fn() -> bool,
    found: &mut dyn FnMut(Name, Fingerprint),
) -> bool {
    if let Some(only) = &place.only {
        match std::fs::symlink_metadata(place.path.join(only.as_path())) {
            Ok(meta) => look(place, only.as_path(), &meta, problems, found),
            Err(error) => problems.add(&place.path.join(only.as_path()), error),
        }
        return true;
    }
    let mut builder = WalkBuilder::new(&place.path);
    builder.standard_filters(false).follow_links(false).filter_entry(|e| !is_left_out(e));
    if patterns {
        builder.add_custom_ignore_filename(IGNORE_FILE);
    }
    for entry in builder.build() {
        if stop() {
            return false;
        }
        match entry {
            Ok(entry) => visit(place, &entry, problems, found),
            Err(error) if is_gone(&error) => {}
            Err(error) => problems.add(&place.path, error),
        }
    }
    true
}

fn visit(
    place: &Place,
    entry: &DirEntry,
    problems: &mut Problems,
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
        Err(error) if is_gone(&error) => {}
        Err(error) => problems.add(entry.path(), error),
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

fn is_gone(error: &ignore::Error) -> bool {
    error.io_error().is_some_and(|e| e.kind() == io::ErrorKind::NotFound) && !at_root(error)
}

/// Whether it is the folder itself that cannot be read.
fn at_root(error: &ignore::Error) -> bool {
    matches!(error, ignore::Error::WithDepth { depth: 0, .. })
}
