//! What becomes of a node's copy when the node goes, comes back or tells all its files anew.
//!
//! Invariant: a node has at most one copy that answers and one former copy. A former one was all that
//! the node had to tell; it is in no answer and still says which files the node probably has, so that a
//! restart is not taken for the loss of all of them: a node that has just started may still be looking
//! through its folders. It ends when the new copy is whole or its time is over, and gives way where the
//! index has no more room.
//!
//! ```text
//!          park, supersede               expire: the node stayed away,
//! copy ──────────────────────> former ──────────────────────────────────> retired
//!      <──────────────────────           or the new copy is whole
//!          unpark: same epoch
//! ```
//!
//! Whatever a former copy has and the new one has not, was not taken back by that.

use super::{Copy, CopyKey, Index};
use crate::base::NodeId;
use crate::wire::message::tracker::Stamp;

impl Copy {
    pub(super) fn empty(owner: NodeId) -> Copy {
        let (files, name_bytes, stamp) = (0, 0, Stamp::default());
        let (is_whole, is_former, stale) = (false, false, false);
        Copy { owner, stamp, files, name_bytes, is_whole, is_former, stale }
    }
}

impl Index {
    /// The node has left: its copy is in no answer any more, and known for a while.
    pub(in crate::logic::registry) fn park(&mut self, owner: &NodeId) {
        self.supersede(owner);
    }

    /// The node is back and its catalogue is still counted as before: it has all that it had.
    pub(in crate::logic::registry) fn unpark(&mut self, owner: &NodeId, epoch: u64) {
        let former = self.former_of.get(owner).copied();
        let Some(key) = former.filter(|_| !self.copy_of.contains_key(owner)) else { return };
        if let Some(copy) = self.copies.get_mut(&key)
            && copy.stamp.epoch == epoch
        {
            copy.is_former = false;
            self.changes += 1;
            self.former_of.remove(owner);
            self.copy_of.insert(*owner, key);
        }
    }

    /// The node, which has looked through its folders, says how far its catalogue is. A copy that is as
    /// far is whole.
    pub(in crate::logic::registry) fn told(&mut self, owner: &NodeId, catalogue: Stamp) {
        let key = self.copy_of.get(owner);
        if let Some(copy) = key.and_then(|key| self.copies.get_mut(key)) {
            copy.is_whole |= copy.stamp == catalogue;
        }
    }

    /// Whether all that the node has to tell is here, or was.
    pub(in crate::logic::registry) fn is_whole(&self, owner: &NodeId) -> bool {
        self.copy(owner).is_some_and(|copy| copy.is_whole)
    }

    /// The time of the former copy is over, or the new one is whole.
    pub(in crate::logic::registry) fn expire(&mut self, owner: &NodeId) {
        if let Some(former) = self.former_of.remove(owner) {
            self.retire(former);
        }
    }

    /// The nodes that have a former copy.
    pub(in crate::logic::registry) fn formers(&self) -> impl Iterator<Item = &NodeId> {
        self.former_of.keys()
    }

    /// All former copies go: the index needs their room.
    pub(super) fn expire_all(&mut self) {
        for (_, former) in std::mem::take(&mut self.former_of) {
            self.retire(former);
        }
    }

    /// The copy that answers becomes the former one, if it was whole and has no less.
    pub(super) fn supersede(&mut self, owner: &NodeId) {
        let Some(key) = self.copy_of.remove(owner) else { return };
        self.changes += 1;
        let files = |key: &CopyKey| self.copies.get(key).map_or(0, |copy| copy.files);
        // One that restarts again and again had most when it was not looking for it.
        let is_more = self.former_of.get(owner).is_none_or(|older| files(older) <= files(&key));
        match self.copies.get_mut(&key) {
            Some(copy) if copy.is_whole && is_more => {
                copy.is_former = true;
                if let Some(older) = self.former_of.insert(*owner, key) {
                    self.retire(older);
                }
            }
            _ => self.retire(key),
        }
    }

    /// Hides a copy for ever; `sweep` takes it out of the records.
    fn retire(&mut self, key: CopyKey) {
        // Of an empty copy nothing has to be taken out.
        match self.copies.remove(&key) {
            Some(copy) if copy.files > 0 => _ = self.retired.insert(key),
            _ => self.free_keys.push(key),
        }
    }
}
