//! Who gets which item when it needs an owner, and who keeps it when two have it; `steal` is what an owner
//! that runs low does.
//!
//! All compare when an owner would be finished: bytes due over the speed expected.

use super::Shares;
use super::edits::{Edits, OwnerKey};
use super::owner::{Owner, Stage};
use crate::base::Time;

/// What an owner is taken for while nobody has been measured, bytes per second.
const SPEED_ASSUMED: f64 = (16 * 1024 * 1024) as f64;

/// The expected speed of each owner at one moment, bytes per second, at least 1; by connection.
pub(super) struct Speeds {
    pub(super) now: Time,
    each: Vec<(OwnerKey, f64)>,
}

impl Speeds {
    /// Of one owner.
    pub(super) fn of(&self, owner: OwnerKey) -> f64 {
        let at = self.each.binary_search_by_key(&owner, |(key, _)| *key);
        at.ok().and_then(|at| self.each.get(at)).map_or(1.0, |(_, speed)| *speed)
    }

    fn sum(&self) -> f64 {
        self.each.iter().map(|(_, speed)| speed).sum()
    }
}

impl Shares {
    /// What to expect of everybody; who has not shown its speed is taken for an average one.
    pub(super) fn speeds(&self, now: Time) -> Speeds {
        let measured = self.owners.values().filter_map(|o| o.speed.measured(now));
        let (sum, count) = measured.fold((0.0, 0), |(sum, count), one| (sum + one, count + 1));
        let assumed = if count == 0 { SPEED_ASSUMED } else { sum / f64::from(count) };
        let expected = |o: &Owner| o.speed.expected(now, assumed);
        let each = self.owners.iter().map(|(key, o)| (*key, expected(o))).collect();
        Speeds { now, each }
    }

    /// Gives missing `items`, ascending and held by nobody, to owners that have them: runs as
    /// long as possible, nobody much beyond the moment at which all would be finished.
    pub(super) fn place(&mut self, now: Time, items: Vec<u32>, edits: &mut Edits) {
        let speeds = self.speeds(now);
        let bytes = items.iter().map(|i| self.items.len(*i)).sum::<u64>()
            + self.owners.values().map(Owner::due).sum::<u64>();
        let level = bytes as f64 / speeds.sum().max(1.0);
        let mut last = None;
        for item in items {
            let roomy =
                |key: &OwnerKey| self.can_give(*key, item) && self.end(*key, &speeds) < level;
            match last.filter(roomy).or_else(|| self.soonest(item, &speeds)) {
                Some(key) => {
                    last = Some(key);
                    self.give(now, key, item, edits);
                }
                None => {
                    self.orphans.insert(item);
                }
            }
        }
    }

    /// The owner announced the item: whoever would be later with it lets it go.
    pub(super) fn announced(
        &mut self,
        now: Time,
        speeds: &Speeds,
        owner: OwnerKey,
        item: u32,
        edits: &mut Edits,
    ) {
        let Some(state) = self.owners.get(&owner) else { return };
        let held = state.holds(item);
        if state.flying.contains_key(&item) {
            return;
        }
        if self.verified.contains(item) || !state.have.contains(item) {
            edits.skip(owner, item);
            return;
        }
        if self.holders[item as usize] > u16::from(held) && self.rivals(speeds, owner, item, edits)
        {
            edits.skip(owner, item);
            self.leave(owner, item);
            return;
        }
        let len = self.items.len(item);
        if let Some(state) = self.owners.get_mut(&owner) {
            state.fly(item, len, Stage::Announced);
            state.heard = now;
        }
        if !held {
            self.holders[item as usize] += 1;
            self.orphans.remove(&item);
        }
    }

    /// Takes the item from every other holder that would be later with it than `owner`, unless
    /// it is already sending it; tells whether one of them will be sooner. What `owner` has begun to send
    /// before a SKIP can come to it stays with it, unless another is on its way with it, too.
    fn rivals(&mut self, speeds: &Speeds, owner: OwnerKey, item: u32, edits: &mut Edits) -> bool {
        let Some(state) = self.owners.get(&owner) else { return false };
        let begins = state.flying_bytes() as f64 / speeds.of(owner);
        let mine = begins + self.items.len(item) as f64 / speeds.of(owner);
        let in_time = begins >= state.round_trip.as_secs_f64();
        let others: Vec<OwnerKey> = self
            .owners
            .iter()
            .filter(|(key, o)| **key != owner && o.holds(item))
            .map(|(key, _)| *key)
            .collect();
        let flies =
            |key| self.owners.get(key).is_some_and(|o: &Owner| o.flying.contains_key(&item));
        let sooner = |key: &OwnerKey| self.eta(*key, item, speeds) <= mine;
        if others.iter().any(|key| (in_time || flies(key)) && sooner(key)) {
            return true;
        }
        for key in others {
            self.withdraw(key, item, edits);
        }
        false
    }

    /// Puts the item into the owner's share.
    pub(super) fn give(&mut self, now: Time, owner: OwnerKey, item: u32, edits: &mut Edits) {
        let len = self.items.len(item);
        if let Some(state) = self.owners.get_mut(&owner) {
            state.ask(item, len);
            self.given[item as usize] = now;
            self.holders[item as usize] += 1;
            self.orphans.remove(&item);
            edits.add(owner, item);
        }
    }

    /// Whether the item is missing and the owner may be asked for it and is not yet.
    pub(super) fn can_give(&self, owner: OwnerKey, item: u32) -> bool {
        let able = |o: &Owner| o.have.contains(item) && !o.holds(item);
        !self.verified.contains(item) && self.owners.get(&owner).is_some_and(able)
    }

    /// Who can give the item and would be finished first; of equals the oldest connection.
    fn soonest(&self, item: u32, speeds: &Speeds) -> Option<OwnerKey> {
        let able = self.owners.keys().copied().filter(|key| self.can_give(*key, item));
        able.min_by(|a, b| self.end(*a, speeds).total_cmp(&self.end(*b, speeds)))
    }

    /// Seconds until the owner is finished with all it holds.
    pub(super) fn end(&self, owner: OwnerKey, speeds: &Speeds) -> f64 {
        self.owners.get(&owner).map_or(f64::MAX, |o| o.due() as f64 / speeds.of(owner))
    }

    /// The same with one item more.
    pub(super) fn end_with(&self, owner: OwnerKey, item: u32, speeds: &Speeds) -> f64 {
        self.end(owner, speeds) + self.items.len(item) as f64 / speeds.of(owner)
    }

    /// Seconds until the owner has sent the item, which it holds.
    pub(super) fn eta(&self, owner: OwnerKey, item: u32, speeds: &Speeds) -> f64 {
        self.owners.get(&owner).map_or(f64::MAX, |o| o.ahead_of(item) as f64 / speeds.of(owner))
    }
}
