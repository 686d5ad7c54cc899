//! The requester's side of one set: which owner is asked for which item.
//!
//! Invariants (`check` in the tests):
//! * an item is in at most one owner's share, and then in flight elsewhere only in the end game
//!   or because it was already on its way when it was moved;
//! * nobody is asked for an item it did not say it has, nor for one its node sent corrupt;
//! * a verified item is in no share and is not awaited by announcement;
//! * a missing item that some connected owner may be asked for is held by one.
//!
//! How it divides. Several owners get disjoint, contiguous shares: a newcomer takes the tails of
//! the shares that would end last until all would end together, so that at first, with nothing
//! measured, all are equal. An owner whose share runs low does the same again with the speeds
//! measured since. This is work stealing (Blumofe and Leiserson, 1999): the idle party does the
//! work of balancing, takes from the far end, and steals stay few; aria2 splits its segments in
//! the same way. When nothing is left to move, an owner that would be notably sooner is given what
//! others have in flight, as in BitTorrent's end game; whichever verifies first wins. A slow or
//! stalled owner thus costs about the one item it sits on.
//!
//! How it ends: `is_complete`. How it waits: `unowned` says what no connected owner has. An
//! owner that stalls, breaks the protocol or sends `CORRUPT_CHUNKS_MAX` corrupt items comes back
//! as `Action::Drop` and has then been forgotten; events of forgotten owners change nothing, save
//! that what they brought may still be verified.
//!
//! Cost, for `n` items and `k` owners: an event costs O(items named · log n + k), and when it makes
//! somebody steal, O((items moved + k) · (k + n/64)) more; a newcomer, a loss and a stale item likewise.

mod divide;
mod edits;
mod having;
mod owner;
#[cfg(test)]
mod sim;
mod speed;
mod steal;
#[cfg(test)]
mod tests;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub use edits::{Action, DropReason, OwnerKey};
pub use view::OwnerView;

use self::edits::Edits;
use self::owner::{Owner, Stage, Was};
use super::items::Items;
use crate::base::limits::CORRUPT_CHUNKS_MAX;
use crate::base::{Bitmap, NodeId, Range, Time};

/// How often `on_tick` must be called at least while the set is incomplete.
pub const TICK: Duration = Duration::from_millis(50);
/// How long an owner may be silent while something is due from it, unless told otherwise.
pub const STALL_TIME_MAX: Duration = Duration::from_secs(20);

/// The longest round trip that is believed: a slow machine takes long to shake hands, too.
const ROUND_TRIP_MAX: Duration = Duration::from_millis(500);

/// What to do with a run whose header has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Read, verify, write.
    Take,
    /// Read, throw away and ACK: all of it is here already.
    Unwanted,
    /// It was not asked for, or comes twice: close the connection, then report it lost.
    Violation,
}

/// What a node did for this download, over all its connections.
#[derive(Debug, Default)]
struct Record {
    verified_bytes: u64,
    corrupt: BTreeSet<u32>,
    /// Those of them that it called stale then: the file was edited while it was sent.
    excused: BTreeSet<u32>,
    corrupt_count: u32,
}

impl Record {
    fn is_banned(&self) -> bool {
        self.corrupt_count >= CORRUPT_CHUNKS_MAX
    }
}

/// Divides one set among its owners.
#[derive(Debug)]
pub struct Shares {
    items: Items,
    patience: Duration,
    verified: Bitmap,
    missing_count: u32,
    missing_bytes: u64,
    /// How many owners hold each item.
    holders: Vec<u16>,
    /// When each item was last put into a share.
    given: Vec<Time>,
    /// Missing items nobody holds: no connected owner may be asked for them.
    orphans: BTreeSet<u32>,
    owners: BTreeMap<OwnerKey, Owner>,
    /// Whose each connection is or was; kept, since verification may outlive a connection.
    nodes: BTreeMap<OwnerKey, NodeId>,
    records: BTreeMap<NodeId, Record>,
}

impl Shares {
    /// A set of which `verified` is here already. A bitmap of another length counts as empty.
    pub fn new(items: Items, verified: Bitmap) -> Shares {
        let count = items.count();
        let verified = if verified.len() == count { verified } else { Bitmap::none(count) };
        let orphans: BTreeSet<u32> = verified.iter_missing().collect();
        Shares {
            missing_count: orphans.len() as u32,
            missing_bytes: orphans.iter().map(|i| items.len(*i)).sum(),
            holders: vec![0; count as usize],
            given: vec![Time::ZERO; count as usize],
            items,
            patience: STALL_TIME_MAX,
            verified,
            orphans,
            owners: BTreeMap::new(),
            nodes: BTreeMap::new(),
            records: BTreeMap::new(),
        }
    }

    /// The same, with another bound for an owner's silence.
    #[must_use]
    pub fn patient_for(mut self, patience: Duration) -> Shares {
        self.patience = patience;
        self
    }

    /// An owner answered OPENED with what it has, and whether it `grows`: it is fetching the set itself.
    /// At most 64 at once, or events become slow.
    pub fn on_opened(
        &mut self,
        now: Time,
        owner: OwnerKey,
        node: NodeId,
        (have, grows): (Bitmap, bool),
    ) -> Vec<Action> {
        let mut edits = Edits::default();
        self.nodes.insert(owner, node);
        let record = self.records.entry(node).or_default();
        if record.is_banned() || have.len() != self.items.count() {
            let banned = record.is_banned();
            edits.drop(owner, if banned { DropReason::Banned } else { DropReason::Violation });
            return self.settle(now, edits);
        }
        // Of one that has it all nothing more is hoped for.
        let grows = grows && !have.is_full();
        let mut have = have;
        for item in &record.corrupt {
            have.remove(*item);
        }
        let unowned = self.orphans.iter().copied().filter(|i| have.contains(*i)).collect();
        self.owners.insert(owner, Owner::new(now, node, have, grows));
        self.place(now, unowned, &mut edits);
        self.feed(now, owner, &mut edits);
        self.settle(now, edits)
    }

    /// How long a question to the owner and its answer are under way, as far as is known: nothing is
    /// moved that gains less. Without a word of it an owner is next door.
    pub fn on_distance(&mut self, owner: OwnerKey, round_trip: Duration) {
        if let Some(state) = self.owners.get_mut(&owner) {
            state.round_trip = round_trip.min(ROUND_TRIP_MAX);
        }
    }

    /// The owner announced what it sends next. Silence agrees; the answer may be a SKIP.
    pub fn on_next(&mut self, now: Time, owner: OwnerKey, items: Range) -> Vec<Action> {
        let mut edits = Edits::default();
        let Some(state) = self.owners.get_mut(&owner) else { return Vec::new() };
        if !self.items.contain(items) || items.iter().any(|i| !state.asked.contains(i)) {
            self.expel(now, owner, DropReason::Violation, &mut edits);
            return self.settle(now, edits);
        }
        let speeds = self.speeds(now);
        for item in items.iter() {
            self.announced(now, &speeds, owner, item, &mut edits);
        }
        self.feed_with(owner, &speeds, &mut edits);
        self.settle(now, edits)
    }

    /// The header of a run arrived from the owner, whose bytes follow.
    pub fn on_chunk_begun(&mut self, now: Time, owner: OwnerKey, items: Range) -> Verdict {
        let Some(state) = self.owners.get_mut(&owner) else { return Verdict::Unwanted };
        let fits = self.items.contain(items)
            && (items.count == 1 || self.items.is_batch())
            && items.iter().all(|i| state.asked.contains(i));
        if !fits {
            return Verdict::Violation;
        }
        state.heard = now;
        state.begin_run(self.items.bytes(items));
        let mut verdict = Verdict::Unwanted;
        for item in items.iter() {
            state.begin(item);
            if self.verified.contains(item) {
                continue;
            }
            verdict = Verdict::Take;
            if state.fly(item, self.items.len(item), Stage::Begun) == Was::Absent {
                self.holders[item as usize] += 1;
                self.orphans.remove(&item);
            }
        }
        state.wind(now);
        verdict
    }

    /// Bytes of a run arrived, wanted or not; report all of them, at least every 64 KiB or so.
    pub fn on_bytes(&mut self, now: Time, owner: OwnerKey, bytes: u64) {
        if let Some(state) = self.owners.get_mut(&owner) {
            state.receive(now, bytes);
            state.wind(now);
        }
    }

    /// Items from the owner are verified and written. Those that were here already are ignored.
    pub fn on_verified(&mut self, now: Time, owner: OwnerKey, items: Range) -> Vec<Action> {
        let mut edits = Edits::default();
        let run = if self.items.contain(items) { items } else { Range { first: 0, count: 0 } };
        for item in run.iter() {
            self.leave(owner, item);
            if self.verified.insert(item) {
                self.credit(owner, item);
                self.orphans.remove(&item);
                self.revoke(item, &mut edits);
            }
        }
        if let Some(state) = self.owners.get_mut(&owner) {
            state.heard = now;
        }
        self.feed(now, owner, &mut edits);
        self.settle(now, edits)
    }

    /// An item from the owner is not what its hash says. Its node is not asked for it again, and
    /// after `CORRUPT_CHUNKS_MAX` of them for nothing at all.
    pub fn on_corrupt(&mut self, now: Time, owner: OwnerKey, item: u32) -> Vec<Action> {
        let mut edits = Edits::default();
        let Some(node) = self.nodes.get(&owner).copied() else { return Vec::new() };
        let record = self.records.entry(node).or_default();
        record.corrupt.insert(item);
        record.corrupt_count = record.corrupt_count.saturating_add(1);
        let banned = record.is_banned();
        let same: Vec<OwnerKey> =
            self.owners.iter().filter(|(_, o)| o.node == node).map(|(key, _)| *key).collect();
        for key in same {
            if banned {
                self.expel(now, key, DropReason::Banned, &mut edits);
            } else {
                self.disown(now, key, item, &mut edits);
            }
        }
        self.feed(now, owner, &mut edits);
        self.settle(now, edits)
    }

    /// The owner's connection is gone: what it held goes to the others, or waits for one.
    pub fn on_lost(&mut self, now: Time, owner: OwnerKey) -> Vec<Action> {
        let mut edits = Edits::default();
        self.forget(now, owner, &mut edits);
        self.settle(now, edits)
    }

    /// Time has passed, at most `TICK`: drops who stalls, then lets who is idle help.
    pub fn on_tick(&mut self, now: Time) -> Vec<Action> {
        let mut edits = Edits::default();
        let keys: Vec<OwnerKey> = self.owners.keys().copied().collect();
        for key in &keys {
            if self.owners.get(key).is_some_and(|o| stalls(o, now, self.patience)) {
                self.expel(now, *key, DropReason::Stalled, &mut edits);
            }
        }
        let speeds = self.speeds(now);
        for key in keys {
            self.feed_with(key, &speeds, &mut edits);
        }
        self.settle(now, edits)
    }

    /// Takes the item from the owner; tells whether it is missing and nobody holds it now.
    fn leave(&mut self, owner: OwnerKey, item: u32) -> bool {
        let Some(state) = self.owners.get_mut(&owner) else { return false };
        if state.take(item, self.items.len(item)) == Was::Absent {
            return false;
        }
        let holders = &mut self.holders[item as usize];
        *holders -= 1;
        *holders == 0 && !self.verified.contains(item)
    }

    /// A verified item counts for the node that sent it.
    fn credit(&mut self, owner: OwnerKey, item: u32) {
        let len = self.items.len(item);
        self.missing_count -= 1;
        self.missing_bytes -= len;
        if let Some(node) = self.nodes.get(&owner) {
            self.records.entry(*node).or_default().verified_bytes += len;
        }
    }

    /// Tells the owner not to send the item, where that comes in time, and takes it from it then;
    /// tells whether it is missing and nobody holds it now.
    fn withdraw(&mut self, owner: OwnerKey, item: u32, edits: &mut Edits) -> bool {
        let Some(state) = self.owners.get(&owner) else { return false };
        match state.flying.get(&item) {
            Some(Stage::Announced) => edits.skip(owner, item),
            None if state.is_asked_for(item) => edits.remove(owner, item),
            Some(Stage::Begun | Stage::Arrived) | None => return false,
        }
        self.leave(owner, item)
    }

    /// Nobody else needs to send a verified item. What is on the wire cannot be called back.
    fn revoke(&mut self, item: u32, edits: &mut Edits) {
        if self.holders[item as usize] == 0 {
            return;
        }
        let keys: Vec<OwnerKey> = self.owners.keys().copied().collect();
        for key in keys {
            self.withdraw(key, item, edits);
        }
    }

    /// The owner must not be asked for the item any more.
    fn disown(&mut self, now: Time, owner: OwnerKey, item: u32, edits: &mut Edits) {
        let Some(state) = self.owners.get_mut(&owner) else { return };
        state.have.remove(item);
        let mut orphaned = self.withdraw(owner, item, edits);
        if self.owners.get(&owner).is_some_and(|state| state.holds(item)) {
            // It arrived. No ACK will come for it: a SKIP frees its place in the window.
            edits.skip(owner, item);
            orphaned = self.leave(owner, item);
        }
        if orphaned {
            self.place(now, vec![item], edits);
        }
    }

    /// The owner's connection is to be closed.
    fn expel(&mut self, now: Time, owner: OwnerKey, reason: DropReason, edits: &mut Edits) {
        self.forget(now, owner, edits);
        edits.drop(owner, reason);
    }

    /// The owner is gone; what only it held goes to the others.
    fn forget(&mut self, now: Time, owner: OwnerKey, edits: &mut Edits) {
        let Some(state) = self.owners.remove(&owner) else { return };
        let mut freed = Vec::new();
        for item in state.held() {
            let holders = &mut self.holders[item as usize];
            *holders -= 1;
            if *holders == 0 && !self.verified.contains(item) {
                freed.push(item);
            }
        }
        self.place(now, freed, edits);
    }

    /// Ends an event.
    fn settle(&mut self, now: Time, edits: Edits) -> Vec<Action> {
        for state in self.owners.values_mut() {
            state.wind(now);
        }
        edits.into_actions(self.items.window())
    }
}

/// Whether the owner has been silent for too long without it being our fault.
fn stalls(owner: &Owner, now: Time, patience: Duration) -> bool {
    owner.due() > 0 && !owner.waits_for_us() && now.since(owner.heard) >= patience
}
