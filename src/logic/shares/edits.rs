//! What one event makes the requester tell its owners, gathered and then said once.
//!
//! Invariant: an item given and taken back within one event is not mentioned at all.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::Range;

/// One connection attempt to an owner, numbered by the caller; never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OwnerKey(pub u64);

/// Why an owner's connection is to be closed. It has been forgotten already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DropReason {
    /// Its node sent too many corrupt items; it stays banned for this download.
    Banned,
    /// Nothing came for too long though something was due. It may be dialled again.
    Stalled,
    /// It broke the protocol.
    Violation,
}

/// What to tell an owner, or do with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send WANT. The runs are ascending and disjoint, never more than a WANT may have.
    Want {
        /// To whom.
        owner: OwnerKey,
        /// These too.
        add: Vec<Range>,
        /// These no longer.
        remove: Vec<Range>,
        /// Items that may be on the way without an ACK.
        window: u16,
    },
    /// Send SKIP.
    Skip {
        /// To whom.
        owner: OwnerKey,
        /// What was announced and is not wanted, or was sent and is worthless.
        items: Range,
    },
    /// Close the connection.
    Drop {
        /// Whose.
        owner: OwnerKey,
        /// Why.
        reason: DropReason,
    },
}

/// The edits of one event.
#[derive(Debug, Default)]
pub(super) struct Edits {
    changes: BTreeMap<OwnerKey, Change>,
    drops: Vec<(OwnerKey, DropReason)>,
}

#[derive(Debug, Default)]
struct Change {
    add: BTreeSet<u32>,
    remove: BTreeSet<u32>,
    skip: BTreeSet<u32>,
}

impl Edits {
    pub(super) fn add(&mut self, owner: OwnerKey, item: u32) {
        let change = self.changes.entry(owner).or_default();
        if !change.remove.remove(&item) {
            change.add.insert(item);
        }
    }

    pub(super) fn remove(&mut self, owner: OwnerKey, item: u32) {
        let change = self.changes.entry(owner).or_default();
        if !change.add.remove(&item) {
            change.remove.insert(item);
        }
    }

    pub(super) fn skip(&mut self, owner: OwnerKey, item: u32) {
        self.changes.entry(owner).or_default().skip.insert(item);
    }

    pub(super) fn drop(&mut self, owner: OwnerKey, reason: DropReason) {
        self.drops.push((owner, reason));
    }

    /// Drops first; then per owner what it shall skip, before what it shall add.
    pub(super) fn into_actions(mut self, window: u16) -> Vec<Action> {
        let mut out = Vec::new();
        for (owner, reason) in self.drops {
            self.changes.remove(&owner);
            out.push(Action::Drop { owner, reason });
        }
        for (owner, Change { add, remove, skip }) in self.changes {
            out.extend(Range::collect(skip).into_iter().map(|items| Action::Skip { owner, items }));
            if !(add.is_empty() && remove.is_empty()) {
                let (add, remove) = (Range::collect(add), Range::collect(remove));
                out.push(Action::Want { owner, add, remove, window });
            }
        }
        out
    }
}
