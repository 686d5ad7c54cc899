//! What an owner has changes while it is connected: it gains, or must take back.
//!
//! Invariant: as in `shares`; words are no sign that an owner sends, or one that only talks would keep
//! what it was asked for. A list that names what the set does not have, or more than it has, is a
//! violation and ends the owner.

use super::Shares;
use super::edits::{Action, DropReason, Edits, OwnerKey};
use crate::base::{Range, Time};

impl Shares {
    /// The owner has these too: it is fetching the set itself.
    pub fn on_have(&mut self, now: Time, owner: OwnerKey, items: &[Range]) -> Vec<Action> {
        let mut edits = Edits::default();
        let Some(state) = self.owners.get_mut(&owner) else { return Vec::new() };
        if !self.items.bound(items) {
            self.expel(now, owner, DropReason::Violation, &mut edits);
            return self.settle(now, edits);
        }
        let corrupt = self.records.get(&state.node).map(|record| &record.corrupt);
        let mut unowned = Vec::new();
        for item in items.iter().flat_map(|run| run.iter()) {
            if !corrupt.is_some_and(|corrupt| corrupt.contains(&item))
                && state.have.insert(item)
                && self.orphans.contains(&item)
            {
                unowned.push(item);
            }
        }
        unowned.sort_unstable();
        self.place(now, unowned, &mut edits);
        self.feed(now, owner, &mut edits);
        self.settle(now, edits)
    }

    /// The owner no longer has these. Nobody is to blame, but for a list that names what the set
    /// does not have, or more than it has.
    pub fn on_stale(&mut self, now: Time, owner: OwnerKey, items: &[Range]) -> Vec<Action> {
        let mut edits = Edits::default();
        let Some(state) = self.owners.get_mut(&owner) else { return Vec::new() };
        if !self.items.bound(items) {
            self.expel(now, owner, DropReason::Violation, &mut edits);
            return self.settle(now, edits);
        }
        // Who takes back what it has not told of has given the set up. A single file that was edited is
        // another matter: the rest of its batch may be on its way there.
        let all: u64 = items.iter().map(|run| u64::from(run.count)).sum();
        let untold = items.iter().flat_map(|run| run.iter()).any(|item| !state.have.contains(item));
        if untold || all == u64::from(self.items.count()) {
            state.grows = false;
        }
        let mut freed = Vec::new();
        let node = state.node;
        for item in items.iter().flat_map(|run| run.iter()) {
            if let Some(record) = self.records.get_mut(&node)
                && record.corrupt.contains(&item)
            {
                record.excused.insert(item);
            }
            let Some(state) = self.owners.get_mut(&owner) else { break };
            let was_told = state.have.remove(item);
            state.took_back |= was_told;
            if was_told && self.leave(owner, item) {
                freed.push(item);
            }
        }
        self.place(now, freed, &mut edits);
        self.feed(now, owner, &mut edits);
        self.settle(now, edits)
    }
}
