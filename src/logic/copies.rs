//! What a node keeps for others: which copies it makes now, how much room it offers, and what it tells
//! each tracker of those that ended.
//!
//! Trackers say their wishes as a state (`wire/message/copies.rs`), each its own; what any of them wants
//! is made once, and all that want it hear how it ended.
//!
//! ```text
//! ordered --a slot is free, there is room--> under way --> kept, or failed --told, and gone--> forgotten
//!    |  wanted no more: dropped                  |  wanted no more: goes on, and is trimmed later
//!    +--no room, withheld, not kept here---------+------> failed
//! ```
//!
//! Invariant: at most `AT_ONCE` are under way; what is promised and what is here stay within the quota,
//! and the disk's reserve stays free. An end is told to each tracker until that has answered, or wants
//! the copy no more; ordered again after that, it is tried again. What one tracker wants is not trimmed
//! for another. A trim that failed is tried again after `TRIM_AGAIN`. Bounded by what trackers may say:
//! `COPIES_MAX` copies and `TRIMS_MAX` trims each.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::base::{Name, Root, Time};
use crate::wire::List;
use crate::wire::message::copies::{CopyEnd, CopyOrder, Duties, OUTCOMES_MAX, Outcome};

/// Copies under way at once.
pub const AT_ONCE: usize = 2;
/// The disk keeps a twentieth of itself free, at most `RESERVE_MAX`.
const RESERVE_PART: u64 = 20;
/// Bytes.
const RESERVE_MAX: u64 = 10 << 30;
/// What is given to others, if nobody says otherwise: a tenth of the disk.
const QUOTA_PART: u64 = 10;
/// From a trim that failed to the next try: a disk that refuses it does not change its mind soon.
pub const TRIM_AGAIN: Duration = Duration::from_secs(300);

/// A disk, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Disk {
    /// All of it.
    pub size: u64,
    /// What is free to us.
    pub free: u64,
}

impl Disk {
    /// What stays free, whatever is offered.
    pub fn reserve(self) -> u64 {
        (self.size / RESERVE_PART).min(RESERVE_MAX)
    }

    /// Bytes of copies that there may be, if a person says nothing.
    pub fn quota(self) -> u64 {
        self.size / QUOTA_PART
    }
}

/// What bounds the copies now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Space {
    /// Bytes of copies that there may be.
    pub quota: u64,
    /// Bytes of copies that there are.
    pub used: u64,
    /// The disk they are on.
    pub disk: Disk,
}

/// What a node keeps for others, and does for that.
#[derive(Debug, Default)]
pub struct Copies {
    trackers: BTreeMap<usize, Tracker>,
    /// Bytes of each copy that is being made.
    under_way: BTreeMap<Root, u64>,
    /// Trims that failed, and when each is due again.
    untrimmed: BTreeMap<Root, Time>,
}

/// What one tracker wants, and is to be told.
#[derive(Debug, Default)]
struct Tracker {
    orders: BTreeMap<Root, CopyOrder>,
    trims: BTreeSet<Root>,
    ended: BTreeMap<Root, CopyEnd>,
}

impl Copies {
    /// A tracker has answered: this is all that it wants now, and it has heard of these ends.
    pub fn hear(&mut self, tracker: usize, duties: Duties, told: &[Outcome]) {
        let tracker = self.trackers.entry(tracker).or_default();
        tracker.orders = duties.copies.into_vec().into_iter().map(|o| (o.entry.root, o)).collect();
        tracker.trims = duties.trims.into_vec().into_iter().collect();
        for outcome in told {
            if tracker.ended.get(&outcome.root) == Some(&outcome.end) {
                tracker.ended.remove(&outcome.root);
            }
        }
        tracker.ended.retain(|root, _| tracker.orders.contains_key(root));
    }

    /// What a tracker is to be told next.
    pub fn outcomes(&self, tracker: usize) -> List<Outcome, OUTCOMES_MAX> {
        let ended = self.trackers.get(&tracker).into_iter().flat_map(|t| &t.ended);
        let outcome = |(root, end): (&Root, &CopyEnd)| Outcome { root: *root, end: end.clone() };
        List::of(ended.map(outcome).take(OUTCOMES_MAX).collect())
    }

    /// The copies that are wanted and neither under way nor ended, each once.
    pub fn waiting(&self) -> Vec<CopyOrder> {
        let mut waiting = BTreeMap::new();
        for tracker in self.trackers.values() {
            let open = tracker.orders.iter().filter(|(root, _)| {
                !tracker.ended.contains_key(root) && !self.under_way.contains_key(root)
            });
            waiting.extend(open);
        }
        waiting.into_values().cloned().collect()
    }

    /// Whether one more may be under way.
    pub fn has_slot(&self) -> bool {
        self.under_way.len() < AT_ONCE
    }

    /// A copy is being made.
    pub fn begin(&mut self, root: Root, size: u64) {
        self.under_way.insert(root, size);
    }

    /// Those that are being made.
    pub fn under_way(&self) -> impl Iterator<Item = &Root> {
        self.under_way.keys()
    }

    /// A copy has ended, or was not begun; whoever wants it hears so. Tells whether anybody does.
    pub fn end(&mut self, root: &Root, end: &CopyEnd) -> bool {
        self.under_way.remove(root);
        let mut wanted = false;
        for tracker in self.trackers.values_mut().filter(|t| t.orders.contains_key(root)) {
            tracker.ended.insert(*root, end.clone());
            wanted = true;
        }
        wanted
    }

    /// The copies that are to be removed now.
    pub fn trims(&mut self, now: Time) -> Vec<Root> {
        self.untrimmed.retain(|_, due| now < *due);
        let waits = |root: &Root| {
            let ordered = self.trackers.values().any(|tracker| tracker.orders.contains_key(root));
            ordered || self.under_way.contains_key(root) || self.untrimmed.contains_key(root)
        };
        let all: BTreeSet<Root> = self.trackers.values().flat_map(|t| &t.trims).copied().collect();
        all.into_iter().filter(|root| !waits(root)).collect()
    }

    /// A copy could not be removed.
    pub fn trim_failed(&mut self, root: Root, now: Time) {
        self.untrimmed.insert(root, now + TRIM_AGAIN);
    }

    /// A copy is gone, or was none: it is not tried again until its tracker says so again.
    pub fn trimmed(&mut self, root: &Root) {
        self.trackers.values_mut().for_each(|tracker| _ = tracker.trims.remove(root));
    }

    /// Bytes that may still be promised, those under way taken off.
    pub fn room(&self, space: &Space) -> u64 {
        let promised: u64 = self.under_way.values().fold(0, |sum, size| sum.saturating_add(*size));
        let quota = space.quota.saturating_sub(space.used);
        let free = space.disk.free.saturating_sub(space.disk.reserve());
        quota.min(free).saturating_sub(promised)
    }
}

/// What a copy is called where its name is taken by another content: `@ROOT/NAME`, of the root its first
/// eight digits. `None`: that is no name.
pub fn own_name(name: &Name, root: &Root) -> Option<Name> {
    Name::parse(&format!("@{}/{name}", root.short())).ok()
}

/// What others call a copy that may be kept here under its [`own_name`].
pub fn common_name(name: &Name, root: &Root) -> Name {
    let own = format!("@{}/", root.short());
    let common = name.as_str().strip_prefix(&own).and_then(|common| Name::parse(common).ok());
    common.unwrap_or_else(|| name.clone())
}

#[cfg(test)]
#[path = "copies_tests.rs"]
mod tests;
