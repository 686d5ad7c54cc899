//! Reads what is stored and compares it with what it was hashed to: the index's part of a scrub.
//!
//! Invariant: what is called rotten was read twice, from the disk, and was in one state from before the
//! first read until after the last. The cache of hashes is not asked, and what the kernel has in memory
//! is dropped first. Ends when `stop` says so.

use std::fs::File;
use std::io;
use std::ops::Bound::{Excluded, Unbounded};

use rustix::fs::Advice;

use super::rot::{self, Rotten, Stored};
use super::state::{FileKey, FolderId, Kind, State};
use super::{Index, Shelf};
use crate::base::{FileEntry, Name, Root};
use crate::io::disk::beneath::rename_noreplace;
use crate::io::disk::hash::READ_SIZE;
use crate::io::disk::{Fingerprint, HashError, hash_file_through};

/// Names tried for a file that is put aside.
const ASIDE_MAX: u32 = 100;

/// What a look at a stored file came to.
#[derive(Debug)]
pub enum Checked {
    /// It is what it was.
    Right,
    /// It was written or taken away, which is no rot; or it is not in the index any more.
    Changed,
    /// It has other bytes in the same state; it is offered no more.
    Rotten,
    /// It could not be read, which says nothing of its bytes.
    Unreadable(io::Error),
    /// The caller stops.
    Stopped,
}

impl State {
    /// The first live file behind a place and a name, in the order of folders and names.
    fn stored_after(&self, after: Option<&((u8, u32), Name)>) -> Option<Stored> {
        let place = |id: &FolderId| (id.kind as u8, id.nth);
        for (id, folder) in &self.folders {
            let from = match after {
                Some((at, _)) if place(id) < *at => continue,
                Some((at, name)) if place(id) == *at => Excluded(name),
                _ => Unbounded,
            };
            let mut files = folder.files.range::<Name, _>((from, Unbounded));
            if let Some((name, record)) = files.find(|(_, record)| record.live) {
                return Some(Stored { key: (*id, name.clone()), record: *record });
            }
        }
        None
    }
}

impl Index {
    /// The next file that is stored here, behind the place and the name of another.
    pub fn stored_after(&self, after: Option<&((u8, u32), Name)>) -> Option<Stored> {
        self.state.lock().stored_after(after)
    }

    /// Bytes of all files that are stored here.
    pub fn stored_bytes(&self) -> u64 {
        let state = self.state.lock();
        let files = state.folders.values().flat_map(|folder| folder.files.values());
        files.map(|record| record.print.size).sum()
    }

    /// Reads a stored file, asking `stop` before each `READ_SIZE` bytes.
    pub fn check(&self, stored: &Stored, stop: &(dyn Fn() -> bool + Sync)) -> Checked {
        let Some(file) = self.open_stored(stored).transpose() else { return Checked::Changed };
        let looked = file.and_then(|file| {
            let found = hash_from_disk(&file, stored.size(), stop)?;
            if found == stored.record.root {
                return Ok((found, None));
            }
            // Once more: memory errs, too.
            let again = hash_from_disk(&file, stored.size(), stop)?;
            Ok((again, Some(Fingerprint::of(&file)?)))
        });
        match looked {
            Ok((found, _)) if found == stored.record.root => Checked::Right,
            Ok((found, Some(print))) if print == stored.record.print => {
                let mut state = self.state.lock();
                if !state.is_known(&stored.key, &print) {
                    return Checked::Changed;
                }
                state.forget(&stored.key);
                let copy = state.is_replica(&stored.key, &stored.record.root);
                state.rot.condemn(&stored.key, &stored.record, (&print, found), copy);
                drop(state);
                self.keep_rot();
                self.tell();
                Checked::Rotten
            }
            Ok(_) => Checked::Changed,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Checked::Stopped,
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Checked::Changed,
            Err(e) => Checked::Unreadable(e),
        }
    }

    fn open_stored(&self, stored: &Stored) -> io::Result<Option<File>> {
        let source = self.state.lock().source_of(&stored.key, &stored.record);
        source.map_or(Ok(None), |source| source.open())
    }

    /// Files that rot, and are offered to nobody.
    pub fn rotten(&self) -> Vec<Rotten> {
        self.state.lock().rot.told()
    }

    /// Those of them that nobody was told of yet.
    pub fn rot_news(&self) -> Vec<Rotten> {
        self.state.lock().rot.take_news()
    }

    /// Puts a file that rots aside, as `NAME.rotten` beside its name, which is free then.
    ///
    /// # Errors
    /// What the disk says; it lies elsewhere; it is in another state by now.
    pub fn put_aside(&self, rotten: &Rotten) -> io::Result<Name> {
        let FileEntry { name, .. } = &rotten.entry;
        let key: FileKey = (rotten.shelf.folder(), name.clone());
        let (print, folder) = {
            let state = self.state.lock();
            let line = state.rot.get(&(key.0.kind, name.clone()));
            let folder = state.folders.get(&key.0).and_then(|folder| folder.beneath.clone());
            (line.map(rot::Line::print), folder)
        };
        let (Some(print), Some(folder)) = (print, folder) else {
            return Err(io::Error::other("it does not lie in this node's own folders"));
        };
        let above = folder.open_parent(name)?;
        if Fingerprint::at(std::os::fd::AsFd::as_fd(&above), name.file_name())? != print {
            return Err(io::Error::other("it was written meanwhile, and is hashed again"));
        }
        for aside in aside_names(name) {
            match rename_noreplace(&above, name.file_name(), &above, aside.file_name()) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(e),
                Ok(()) => {
                    let folder = std::os::fd::AsFd::as_fd(&above);
                    let now = Fingerprint::at(folder, aside.file_name())?;
                    let mut state = self.state.lock();
                    state.rot.put_aside(&(key.0.kind, name.clone()), &aside, &now);
                    drop(state);
                    self.keep_rot();
                    return Ok(aside);
                }
            }
        }
        Err(io::Error::other(format!("{ASIDE_MAX} files beside it are called {name}.rotten")))
    }

    /// Makes what is known of rot durable. A failure is logged: then it is known until the end of the
    /// node, or until it is tried again.
    pub(super) fn keep_rot(&self) {
        let mut kept = self.rot_kept.lock();
        let (edits, bytes) = {
            let state = self.state.lock();
            if state.rot.edits == *kept {
                return;
            }
            (state.rot.edits, state.rot.bytes())
        };
        match bytes.and_then(|bytes| rot::save(&self.rot_path, &bytes)) {
            Ok(()) => *kept = edits,
            Err(e) => log::warn!("cannot keep what rots in {}: {e}", self.rot_path.display()),
        }
    }
}

/// The root of what the disk has, not the memory; nothing of it stays there either.
fn hash_from_disk(file: &File, size: u64, stop: &(dyn Fn() -> bool + Sync)) -> io::Result<Root> {
    forget_pages(file);
    let hashed = hash_file_through(file, size, &mut vec![0; READ_SIZE], stop);
    forget_pages(file);
    match hashed {
        Ok(manifest) => Ok(manifest.root()),
        Err(HashError::Stopped) => Err(io::ErrorKind::Interrupted.into()),
        Err(HashError::Io(e)) => Err(e),
    }
}

/// A file system that cannot do that reads from memory.
fn forget_pages(file: &File) {
    rustix::fs::fadvise(file, 0, None, Advice::DontNeed).ok();
}

/// `NAME.rotten`, `NAME.rotten.2` and so on, as far as these are names.
fn aside_names(name: &Name) -> impl Iterator<Item = Name> {
    let text = move |n: u32| match n {
        1 => format!("{name}.rotten"),
        n => format!("{name}.rotten.{n}"),
    };
    (1..=ASIDE_MAX).filter_map(move |n| Name::parse(&text(n)).ok())
}

/// The shelf of a folder, for people.
impl From<Kind> for Shelf {
    fn from(kind: Kind) -> Shelf {
        match kind {
            Kind::Shared | Kind::Share => Shelf::Local,
            Kind::Downloaded => Shelf::Downloaded,
            Kind::Replicated => Shelf::Replicated,
        }
    }
}
