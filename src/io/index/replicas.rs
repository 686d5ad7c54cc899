//! Copies for others, as the index has them: noted before they are there, counted, and trimmed.
//!
//! Invariant: a trim removes a file only from `replicated/`, only if the book calls it a copy, and only
//! in the state in which it was hashed to the very root that is named; it is in no catalogue any more
//! before that. What a person shares, downloaded, or put into `replicated/` is never removed.

use std::io;
use std::sync::Arc;

use super::rot::RotKey;
use super::state::{FileKey, Kind, State};
use super::{Index, REPLICATED};
use crate::base::{Name, Root};
use crate::io::disk::{Beneath, Fingerprint, is_no_file};

/// What a trim came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trimmed {
    /// These are gone.
    Gone(Vec<Name>),
    /// No copy for others has this content.
    NotHere,
}

impl State {
    /// Whether a file is a copy for others.
    pub(super) fn is_replica(&self, (id, name): &FileKey, root: &Root) -> bool {
        *id == REPLICATED && self.replicas.get(name) == Some(root)
    }
}

impl Index {
    /// The file that will have this name in `replicated/` is a copy for others.
    ///
    /// # Errors
    /// What the disk says; it must then not get that name.
    pub fn note_replica(&self, name: &Name, root: Root) -> io::Result<()> {
        // One line for each copy, however often it is tried.
        if self.state.lock().replicas.get(name) == Some(&root) {
            return Ok(());
        }
        self.book.lock().add(name, Some(root))?;
        let mut state = self.state.lock();
        state.replicas.insert(name.clone(), root);
        state.refresh(name);
        Ok(())
    }

    /// How many copies for others there are, and their bytes.
    pub fn replicas(&self) -> (u64, u64) {
        let state = self.state.lock();
        let Some(folder) = state.folders.get(&REPLICATED) else { return (0, 0) };
        let ours = |name: &Name, root: &Root| state.replicas.get(name) == Some(root);
        let copies = folder.files.iter().filter(|(name, record)| ours(name, &record.root));
        copies.fold((0, 0), |(n, bytes), (_, record)| (n + 1, bytes + record.print.size))
    }

    /// Whether this content is offered to others, under a name that no other file hides.
    pub fn offers(&self, root: &Root) -> bool {
        let state = self.state.lock();
        let offered = |name: &Name| state.catalogue.get(name).is_some_and(|e| e.root == *root);
        state.sources(root).iter().any(|source| offered(&source.entry.name))
    }

    /// Removes the copies for others of this content.
    ///
    /// # Errors
    /// What the disk says; that copy stays, and is offered again.
    pub fn trim(&self, root: &Root) -> io::Result<Trimmed> {
        let (copies, folder) = {
            let mut state = self.state.lock();
            let sources = state.sources(root).into_iter();
            let copies: Vec<_> = sources
                .filter(|source| state.is_replica(&source.key, root))
                .map(|source| (source.key, source.print))
                .collect();
            copies.iter().for_each(|(key, _)| state.forget(key));
            let folder = state.folders.get(&REPLICATED).and_then(|f| f.beneath.clone());
            let rotten = state.rot.iter();
            let rotten =
                rotten.filter(|((kind, _), l)| *kind == Kind::Replicated && l.root == *root);
            let rotten = rotten.map(|((_, name), line)| ((REPLICATED, name.clone()), line.print()));
            (copies.into_iter().chain(rotten).collect::<Vec<_>>(), folder)
        };
        self.tell();
        let Some(folder) = folder.filter(|_| !copies.is_empty()) else {
            return Ok(Trimmed::NotHere);
        };
        let mut gone = Vec::new();
        for ((_, name), print) in copies {
            if remove(&folder, &name, &print).inspect_err(|_| self.report())? {
                self.no_replica(&name)?;
                gone.push(name);
            }
        }
        self.report();
        Ok(if gone.is_empty() { Trimmed::NotHere } else { Trimmed::Gone(gone) })
    }

    /// Removes what was put aside of copies for others of this content, which are whole again.
    pub fn remove_rotten(&self, root: &Root) {
        let (rotten, folder) = {
            let state = self.state.lock();
            let aside = state.rot.iter().filter(|((kind, _), line)| {
                *kind == Kind::Replicated && line.root == *root && line.was.is_some()
            });
            let aside: Vec<_> = aside.map(|(key, line)| (key.clone(), line.print())).collect();
            (aside, state.folders.get(&REPLICATED).and_then(|f| f.beneath.clone()))
        };
        let Some(folder) = folder else { return };
        for (key, print) in rotten {
            match remove(&folder, &key.1, &print) {
                Ok(_) => self.state.lock().rot.forget(&key),
                Err(e) => log::warn!("could not remove {}, which rots: {e}", key.1),
            }
        }
        self.keep_rot();
    }

    /// What has, or was to have, this name in `replicated/` is no copy for others any more.
    ///
    /// # Errors
    /// What the disk says; it counts as one until the next start then.
    pub fn no_replica(&self, name: &Name) -> io::Result<()> {
        {
            let mut state = self.state.lock();
            state.rot.forget(&(Kind::Replicated, name.clone()) as &RotKey);
            if state.replicas.remove(name).is_none() {
                return Ok(());
            }
            state.refresh(name);
        }
        self.book.lock().add(name, None)
    }
}

/// Removes a file that is in this state, and the folders above it that are empty then. Tells whether it
/// is gone; one in another state was written since, and is left alone.
fn remove(folder: &Arc<Beneath>, name: &Name, print: &Fingerprint) -> io::Result<bool> {
    match folder.open_and_look(name) {
        Err(e) if is_no_file(&e) => return Ok(true),
        Err(e) => return Err(e),
        Ok((_, meta)) if Fingerprint::new(&meta) != *print => return Ok(false),
        Ok(_) => folder.unlink(name)?,
    }
    let mut above = name.parent();
    while let Some(empty) = above {
        if folder.remove_folder(&empty).is_err() {
            break;
        }
        above = empty.parent();
    }
    Ok(true)
}
