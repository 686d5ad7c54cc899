//! What lies in a folder: the files, and what cannot be shared and why.
//!
//! Invariant: symbolic links are not followed, and what is found here is only a list of names: each
//! file is opened again through `Beneath` before a byte of it is read. What could not be looked at is
//! told apart from what is gone: of the former nothing is known. Where an ignore file cannot be
//! read, nothing below its folder is found. Ends with the last folder, or when it is stopped.

use std::ffi::{OsStr, OsString};
use std::fs::{DirEntry, Metadata};
use std::io;
use std::path::Path;
use std::rc::Rc;

use rustix::io::Errno;

use super::patterns::{IGNORE_FILE, Patterns};
use super::problem::{Problems, unreadable};
use super::state::Place;
use crate::base::Name;
use crate::base::limits::FILE_SIZE_MAX;
use crate::base::name::{NameError, PRIVATE_FOLDER};
use crate::io::disk::Fingerprint;

/// Folders that could not be read and are remembered one by one; more count as all.
const UNREAD_MAX: usize = 64;
/// Files told at once: for so many the state is locked, less than a millisecond.
const PAGE_FILES: usize = 1_000;

/// What a walk could not look at.
#[derive(Debug, Default)]
pub(super) struct Unread {
    all: bool,
    below: Vec<Name>,
    /// Folders whose ignore files cannot be read. All below them counts as seen to be gone.
    hidden: Vec<Name>,
}

impl Unread {
    /// Nothing was looked at to the end.
    pub(super) fn all() -> Unread {
        Unread { all: true, ..Unread::default() }
    }

    /// Whether everything was looked at.
    pub(super) fn is_nothing(&self) -> bool {
        !self.all && self.below.is_empty() && self.hidden.is_empty()
    }

    /// Whether a file of that name may be there although it was not seen.
    pub(super) fn covers(&self, name: &Name) -> bool {
        let below = |folders: &[Name]| folders.iter().any(|folder| name.answers(folder));
        (self.all || below(&self.below)) && !below(&self.hidden)
    }

    /// `path` could not be looked at.
    fn add(&mut self, place: &Place, path: &Path) {
        match relative(place, path).map(Name::from_path) {
            Some(_) if self.below.len() >= UNREAD_MAX => self.all = true,
            Some(Ok(name)) => self.below.extend(place.full(name)),
            // What has no name is not shared, and nothing below it is.
            Some(Err(_)) => {}
            None => self.all = true,
        }
    }

    /// Nobody knows what the person wants shared of the folder `path`.
    fn hide(&mut self, place: &Place, path: &Path) {
        let name = relative(place, path).and_then(|relative| Name::from_path(relative).ok());
        self.hidden.extend(name.and_then(|name| place.full(name)));
    }
}

/// `path` below the folder of `place`; `None` for that folder itself.
fn relative<'a>(place: &Place, path: &'a Path) -> Option<&'a Path> {
    path.strip_prefix(&place.path).ok().filter(|relative| !relative.as_os_str().is_empty())
}

/// What an ignore file that cannot be read means.
const HIDDEN: &str = "until then, nothing of its folder is shared";

/// Who is told what a walk comes by.
pub(super) trait Visitor {
    /// The folder, or the file that is shared alone, is looked at next; `named` by a person.
    fn enter(&mut self, path: &Path, named: bool);
    /// Files that can be shared, at most a page: full names, ascending, and states.
    fn found(&mut self, files: Vec<(Name, Fingerprint)>);
}

/// Tells `visitor` every file of `place` that can be shared. `patterns` tells whether ignore files
/// count: those in folders a person fills do, one that was downloaded does not. Ends early when
/// `stop` says so. Tells what was not looked at.
pub(super) fn walk(
    place: &Place,
    patterns: bool,
    problems: &mut Problems,
    stop: &dyn Fn() -> bool,
    visitor: &mut dyn Visitor,
) -> Unread {
    let (unread, page) = (Unread::default(), Vec::new());
    let mut walk = Walk { place, problems, unread, page, visitor };
    if let Some(only) = &place.only {
        walk.look_at_one(only);
        walk.tell();
        return walk.unread;
    }
    let mut folders = vec![(place.path.clone(), None)];
    while let Some((folder, above)) = folders.pop() {
        let Some((entries, rules)) = walk.open(&folder, above, patterns) else { continue };
        for (name, entry) in entries {
            if stop() {
                return Unread::all();
            }
            if walk.visit(&name, &entry, rules.as_deref()) {
                folders.push((entry.path(), rules.clone()));
            }
        }
    }
    walk.tell();
    walk.unread
}

/// What lies in a folder, ascending by name.
type Entries = Vec<(OsString, DirEntry)>;

/// A walk under way.
struct Walk<'a> {
    place: &'a Place,
    problems: &'a mut Problems,
    unread: Unread,
    /// What was found and not told yet.
    page: Vec<(Name, Fingerprint)>,
    visitor: &'a mut dyn Visitor,
}

impl Walk<'_> {
    /// The file that is shared alone.
    fn look_at_one(&mut self, only: &Name) {
        let path = self.place.path.join(only.as_path());
        self.visitor.enter(&path, false);
        match std::fs::symlink_metadata(&path) {
            Ok(meta) => self.look(&path, &meta),
            Err(error) => {
                self.unread.all = !is_gone(&error);
                self.problems.add(&path, unreadable(&error));
            }
        }
    }

    /// What lies in `folder`, and the rules there; `None`: nothing of it can be shared.
    fn open(
        &mut self,
        folder: &Path,
        above: Option<Rc<Patterns>>,
        patterns: bool,
    ) -> Option<(Entries, Option<Rc<Patterns>>)> {
        self.visitor.enter(folder, folder == self.place.path);
        let entries = entries(folder).map_err(|error| self.failed(folder, &error)).ok()?;
        if !patterns || !entries.iter().any(|(name, _)| name == IGNORE_FILE) {
            return Some((entries, above));
        }
        match Patterns::read(folder, above) {
            Ok(rules) => Some((entries, Some(Rc::new(rules)))),
            Err(error) => {
                // Out of descriptors, it is read soon, and says what it said before.
                match is_out_of_files(&error) {
                    true => self.unread.add(self.place, folder),
                    false => self.unread.hide(self.place, folder),
                }
                let why = format!("{}; {HIDDEN}", unreadable(&error));
                self.problems.add(&folder.join(IGNORE_FILE), why);
                None
            }
        }
    }

    /// Takes a file; tells whether it is a folder to walk.
    fn visit(&mut self, name: &OsStr, entry: &DirEntry, rules: Option<&Patterns>) -> bool {
        let path = entry.path();
        let kind = match entry.file_type() {
            Ok(kind) => kind,
            Err(error) => {
                self.failed(&path, &error);
                return false;
            }
        };
        if is_left_out(name) || rules.is_some_and(|rules| rules.leave_out(&path, kind.is_dir())) {
            return false;
        }
        if kind.is_dir() {
            return true;
        }
        match entry.metadata() {
            Ok(meta) => self.look(&path, &meta),
            Err(error) => self.failed(&path, &error),
        }
        false
    }

    /// One thing that is not a folder: shared, or a problem.
    fn look(&mut self, path: &Path, meta: &Metadata) {
        match shareable(self.place, path, meta) {
            Ok(name) => {
                self.page.push((name, Fingerprint::new(meta)));
                if self.page.len() >= PAGE_FILES {
                    self.tell();
                }
            }
            Err(None) => {}
            Err(Some(why)) => self.problems.add(path, why),
        }
    }

    /// Tells what was found, in the order in which it is kept: neighbours are found together.
    fn tell(&mut self) {
        let mut page = std::mem::take(&mut self.page);
        page.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        self.visitor.found(page);
    }

    /// `path` could not be looked at: it has gone meanwhile, or nothing is known of it.
    fn failed(&mut self, path: &Path, error: &io::Error) {
        let gone = is_gone(error);
        if !gone {
            self.unread.add(self.place, path);
        }
        if !gone || path == self.place.path {
            self.problems.add(path, unreadable(error));
        }
    }
}

/// What lies in `folder`.
fn entries(folder: &Path) -> io::Result<Entries> {
    let entries = std::fs::read_dir(folder)?;
    let mut entries = entries
        .map(|entry| entry.map(|entry| (entry.file_name(), entry)))
        .collect::<io::Result<Entries>>()?;
    entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    Ok(entries)
}

/// What `path`, which is no folder, is shared as; or why it is not, unless it is our own.
fn shareable(place: &Place, path: &Path, meta: &Metadata) -> Result<Name, Option<String>> {
    if meta.is_symlink() {
        return Err(Some("a symbolic link; links are not followed".into()));
    }
    if !meta.is_file() {
        return Err(Some("not a regular file".into()));
    }
    if meta.len() > FILE_SIZE_MAX {
        return Err(Some(format!("larger than {FILE_SIZE_MAX} bytes")));
    }
    let relative = relative(place, path).ok_or(None)?;
    match Name::from_path(relative).map(|name| place.full(name).ok_or(NameError::TooLong)) {
        Ok(Ok(name)) => Ok(name),
        Err(NameError::Private) => Err(None),
        Ok(Err(why)) | Err(why) => Err(Some(why.to_string())),
    }
}

/// What is never shared: our own, and what programs leave while they write.
fn is_left_out(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    [PRIVATE_FOLDER, IGNORE_FILE, ".git"].iter().any(|own| name == own.as_bytes())
        || name.ends_with(b".part")
        || name.ends_with(b"~")
}

/// Whether the system says that it is not there. Any other failure, as of a disk or for want of
/// descriptors, says nothing of what is there.
pub(super) fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Out of descriptors or memory, here or in the whole system: it passes.
fn is_out_of_files(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nobody;

    impl Visitor for Nobody {
        fn enter(&mut self, _: &Path, _: bool) {}
        fn found(&mut self, _: Vec<(Name, Fingerprint)>) {}
    }

    fn unread_after(errno: Errno, path: &str) -> Unread {
        let prefix = Some(Name::parse("photos").unwrap());
        let place = Place { path: "/here".into(), prefix, only: None };
        let (problems, visitor) = (&mut Problems::default(), &mut Nobody);
        let (unread, page) = (Unread::default(), Vec::new());
        let mut walk = Walk { place: &place, problems, unread, page, visitor };
        walk.failed(Path::new(path), &errno.into());
        walk.unread
    }

    #[test]
    fn a_folder_that_cannot_be_read_is_not_a_folder_that_is_gone() {
        let [inside, beside] = ["photos/a/b", "photos/ab"].map(|text| Name::parse(text).unwrap());
        for errno in [Errno::MFILE, Errno::ACCESS, Errno::IO, Errno::STALE] {
            let unread = unread_after(errno, "/here/a");
            assert!(unread.covers(&inside) && !unread.covers(&beside), "{errno}");
            assert!(unread_after(errno, "/here").covers(&beside), "{errno}");
        }
        for errno in [Errno::NOENT, Errno::NOTDIR] {
            assert!(!unread_after(errno, "/here/a").covers(&inside), "{errno}");
        }
    }

    #[test]
    fn what_is_hidden_is_not_kept_however_much_else_could_not_be_read() {
        let [inside, beside] = ["photos/a/b", "photos/ab"].map(|text| Name::parse(text).unwrap());
        let mut unread = unread_after(Errno::IO, "/here");
        let place = Place { path: "/here".into(), prefix: Name::parse("photos").ok(), only: None };
        unread.hide(&place, Path::new("/here/a"));
        assert!(!unread.covers(&inside) && unread.covers(&beside));
    }
}
