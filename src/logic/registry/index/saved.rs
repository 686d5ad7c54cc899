//! The index as a snapshot has it: read in steps, and made again.
//!
//! Invariant: a step looks at about `STEP_WORK` names and owners and gives about `STEP_BYTES`; where it
//! stopped, the next one goes on, within the contents of one name too, whatever has changed between.

use std::collections::BTreeMap;
use std::ops::Bound::{Included, Unbounded};

use super::contents::ContentId;
use super::{Copy, CopyKey, Index, IndexError};
use crate::base::limits::PAGE_FILES_MAX;
use crate::base::{FileEntry, Kept, Name, NodeId};
use crate::logic::registry::snapshot::{OWNERS_KEPT_MAX, SavedFile};
use crate::wire::List;
use crate::wire::message::tracker::{Held, Stamp};

/// Names and owners looked at in one step: tenths of a millisecond.
const STEP_WORK: usize = 4_096;
/// Bytes that a step gives.
const STEP_BYTES: usize = 64 << 10;
/// Of them, most of a file beside its name and its owners.
const FILE_BYTES: usize = 80;
/// An owner's number, and as what it has the file, have at most so many.
const OWNER_BYTES: usize = 6;

/// A record fits: the last file of a step may be one with the most owners.
const _: () = assert!(
    STEP_BYTES + FILE_BYTES + crate::base::name::NAME_BYTES_MAX + OWNERS_KEPT_MAX * OWNER_BYTES
        <= crate::base::limits::FRAME_MAX / 2
);

/// Where a way through the index is.
#[derive(Debug)]
pub(in crate::logic::registry) struct Cursor {
    /// Work in one step.
    step: usize,
    /// Within the contents of this name, or in front of it.
    at: Option<Name>,
    /// The last of those that was looked at.
    after: Option<ContentId>,
    is_over: bool,
}

impl Default for Cursor {
    fn default() -> Cursor {
        Cursor { step: STEP_WORK, at: None, after: None, is_over: false }
    }
}

impl Cursor {
    /// Looks at so few in one step.
    #[cfg(test)]
    pub(in crate::logic::registry) fn in_steps_of(step: usize) -> Cursor {
        Cursor { step, ..Cursor::default() }
    }

    /// Whether another step brings more.
    pub(in crate::logic::registry) fn goes_on(&self) -> bool {
        !self.is_over
    }
}

impl Index {
    /// The next files that any of `copies` has, with the numbers of those.
    pub(in crate::logic::registry) fn save_step(
        &self,
        cursor: &mut Cursor,
        copies: &BTreeMap<CopyKey, (NodeId, Stamp)>,
    ) -> Vec<SavedFile> {
        let (mut files, mut bytes, mut work) = (Vec::new(), 0, 0);
        let at = cursor.at.take();
        let start = at.as_ref().map_or(Unbounded, |name| Included(name.as_str()));
        for (name, head) in self.names.from(start) {
            let within = at.as_ref().is_some_and(|at| at.as_str() == name);
            let after = cursor.after.take().filter(|_| within);
            let Ok(name) = Name::parse(name) else { continue };
            work += 1;
            let mut ids: Vec<ContentId> = self.under(head).collect();
            ids.sort_unstable();
            for id in ids.into_iter().filter(|id| after.is_none_or(|after| *id > after)) {
                let owners = self.contents.owners(id);
                work += owners.len();
                let owners = owners.iter().filter(|held| copies.contains_key(&held.key()));
                let owners: Vec<(u32, Kept)> =
                    owners.map(|held| (held.key().number(), held.kept())).collect();
                if !owners.is_empty() {
                    bytes += FILE_BYTES + name.as_str().len() + owners.len() * OWNER_BYTES;
                    let entry = self.contents.entry(id, name.clone());
                    files.push(SavedFile { entry, owners: List::of(owners) });
                }
                if work >= cursor.step || bytes >= STEP_BYTES || files.len() >= PAGE_FILES_MAX {
                    (cursor.at, cursor.after) = (Some(name), Some(id));
                    return files;
                }
            }
        }
        cursor.is_over = true;
        files
    }

    /// Grows with whatever a snapshot of the index tells of.
    pub(in crate::logic::registry) fn changes(&self) -> u64 {
        self.changes
    }

    /// The copy of `owner`'s catalogue.
    pub(in crate::logic::registry) fn copy_key(&self, owner: &NodeId) -> Option<CopyKey> {
        self.copy_of.get(owner).copied()
    }

    /// Whose copy it is, and how far it reaches; none when it is retired.
    pub(in crate::logic::registry) fn copy_of(&self, key: CopyKey) -> Option<(NodeId, Stamp)> {
        self.copies.get(&key).map(|copy| (copy.owner, copy.stamp))
    }

    /// Begins a copy that nobody has confirmed.
    pub(in crate::logic::registry) fn begin_stale(&mut self, owner: NodeId) -> CopyKey {
        let key = self.key(owner);
        if let Some(copy) = self.copies.get_mut(&key) {
            copy.stale = true;
        }
        key
    }

    /// `owners` had this file.
    ///
    /// # Errors
    /// There is no room for so many.
    pub(in crate::logic::registry) fn restore(
        &mut self,
        entry: &FileEntry,
        owners: &[(CopyKey, Kept)],
    ) -> Result<(), IndexError> {
        for (key, kept) in owners {
            let more = (1, entry.name.as_str().len());
            self.check_room(self.copies.get(key).map_or((0, 0), Copy::size), more)?;
            self.add_file(*key, &Held { entry: entry.clone(), kept: *kept });
        }
        Ok(())
    }

    /// The copy is what its owner had at `stamp`.
    pub(in crate::logic::registry) fn vouch(&mut self, key: CopyKey, stamp: Stamp) {
        if let Some(copy) = self.copies.get_mut(&key) {
            copy.stamp = stamp;
        }
    }

    /// `owner` is here and counts his catalogue in `epoch`: what is kept of that is his.
    pub(in crate::logic::registry) fn confirm(&mut self, owner: &NodeId, epoch: u64) {
        let copy = self.copy_of.get(owner).and_then(|key| self.copies.get_mut(key));
        if let Some(copy) = copy.filter(|copy| copy.stamp.epoch == epoch) {
            copy.stale = false;
        }
    }
}
