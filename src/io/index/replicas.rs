//! Copies for others, as the index has them: noted before they are there, counted, and trimmed.
//!
//! Invariant: a trim removes a file only from `replicated/`, only if the book calls it a copy, and only
//! in the state in which it was hashed to the very root that is named, or found to rot; it is in no
//! catalogue any more before that, and in it again if it cannot be removed. What a person shares,
//! downloaded, or put into `replicated/` is never removed, whether it rots or not.

use std::io;
use std::sync::Arc;

use super::rot::RotKey;
use super::state::{FileKey, Record, State};
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

    /// A file has come or gone: counted, if it is a copy for others.
    pub(super) fn count_replica(&mut self, key: &FileKey, record: &Record, has_come: bool) {
        if !self.is_replica(key, &record.root) {
            return;
        }
        let (copies, bytes) = self.kept;
        self.kept = match has_come {
            true => (copies + 1, bytes.saturating_add(record.print.size)),
            false => (copies.saturating_sub(1), bytes.saturating_sub(record.print.size)),
        };
    }

    /// The copies for others that are here and their bytes, counted anew.
    pub(super) fn count_replicas(&self) -> (u64, u64) {
        let Some(folder) = self.folders.get(&REPLICATED) else { return (0, 0) };
        let ours = |name: &Name, root: &Root| self.replicas.get(name) == Some(root);
        let copies = folder.files.iter().filter(|(name, record)| ours(name, &record.root));
        copies.fold((0, 0), |(n, bytes), (_, record)| (n + 1, bytes + record.print.size))
    }

    /// What the book says of a name.
    fn book(&mut self, name: &Name, root: Option<Root>) {
        let key = (REPLICATED, name.clone());
        let folder = self.folders.get(&REPLICATED);
        let record = folder.and_then(|folder| folder.files.get(name)).copied();
        if let Some(record) = &record {
            self.count_replica(&key, record, false);
        }
        match root {
            Some(root) => self.replicas.insert(name.clone(), root),
            None => self.replicas.remove(name),
        };
        if let Some(record) = &record {
            self.count_replica(&key, record, true);
        }
        self.refresh(name);
    }

    /// The copies of a content that rot: where they lie, what the book calls them, and their state.
    fn rotten_copies(&self, root: &Root) -> Vec<RottenCopy> {
        let rotten = self.rot.iter().filter(|(_, line)| line.copy && line.root == *root);
        let all = rotten.map(|(key, line)| RottenCopy {
            key: key.clone(),
            called: line.proper_name().clone(),
            print: line.print(),
        });
        all.filter(|copy| self.replicas.get(&copy.called) == Some(root)).collect()
    }
}

/// A copy for others that rots.
struct RottenCopy {
    key: RotKey,
    called: Name,
    print: Fingerprint,
}

impl Index {
    /// The file that will have this name in `replicated/` is a copy for others. Tells whether that is
    /// news.
    ///
    /// # Errors
    /// What the disk says; it must then not get that name.
    pub fn note_replica(&self, name: &Name, root: Root) -> io::Result<bool> {
        // One line for each copy, however often it is tried.
        if self.state.lock().replicas.get(name) == Some(&root) {
            return Ok(false);
        }
        self.book.lock().add(name, Some(root))?;
        self.state.lock().book(name, Some(root));
        Ok(true)
    }

    /// How many copies for others there are, and their bytes.
    pub fn replicas(&self) -> (u64, u64) {
        self.state.lock().kept
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
        let (copies, manifest, rotten, folder) = {
            let mut state = self.state.lock();
            let folder = state.folders.get(&REPLICATED).and_then(|f| f.beneath.clone());
            let Some(folder) = folder else { return Ok(Trimmed::NotHere) };
            let copies = state.with_root(root).filter(|(key, _)| state.is_replica(key, root));
            let copies: Vec<_> = copies.map(|(key, record)| (key.clone(), *record)).collect();
            // What goes with the last file of this content.
            let manifest = state.manifests.get(root).cloned();
            copies.iter().for_each(|(key, _)| state.forget(key));
            (copies, manifest, state.rotten_copies(root), folder)
        };
        self.tell();
        let (mut gone, mut failed) = (Vec::new(), Ok(()));
        for (key, record) in copies {
            match remove(&folder, &key.1, &record.print) {
                Ok(false) => {}
                Ok(true) => {
                    failed = failed.and(self.no_replica(&key.1, root));
                    gone.push(key.1);
                }
                Err(e) => {
                    self.state.lock().insert(&key, record, manifest.clone());
                    failed = Err(e);
                }
            }
        }
        for RottenCopy { key, called, print } in rotten {
            match remove(&folder, &key.1, &print) {
                Ok(false) => {}
                Ok(true) => {
                    self.state.lock().rot.forget(&key);
                    // Its name may be that of a whole copy by now.
                    if key.1 == called || is_nothing(&folder, &called) {
                        failed = failed.and(self.no_replica(&called, root));
                    }
                    gone.push(key.1);
                }
                Err(e) => failed = Err(e),
            }
        }
        self.keep_rot();
        self.tell();
        self.report();
        failed?;
        Ok(if gone.is_empty() { Trimmed::NotHere } else { Trimmed::Gone(gone) })
    }

    /// Removes what was put aside of copies for others of this content, which are whole again.
    pub fn remove_rotten(&self, root: &Root) {
        let (rotten, folder) = {
            let state = self.state.lock();
            let folder = state.folders.get(&REPLICATED).and_then(|f| f.beneath.clone());
            (state.rotten_copies(root), folder)
        };
        let Some(folder) = folder else { return };
        for RottenCopy { key, called, print } in rotten {
            if key.1 == called {
                continue;
            }
            match remove(&folder, &key.1, &print) {
                Ok(true) => self.state.lock().rot.forget(&key),
                // It was written since, and is the person's.
                Ok(false) => {}
                Err(e) => log::warn!("could not remove {}, which rots: {e}", key.1),
            }
        }
        self.keep_rot();
    }

    /// What has, or was to have, this name in `replicated/` is no copy of this content any more.
    ///
    /// # Errors
    /// What the disk says; it counts as one again after the next start then.
    pub fn no_replica(&self, name: &Name, root: &Root) -> io::Result<()> {
        {
            let mut state = self.state.lock();
            if state.replicas.get(name) != Some(root) {
                return Ok(());
            }
            state.book(name, None);
        }
        self.book.lock().add(name, None)
    }
}

fn is_nothing(folder: &Beneath, name: &Name) -> bool {
    folder.open_and_look(name).is_err_and(|e| is_no_file(&e))
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
