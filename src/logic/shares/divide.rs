//! Who gets which item: placing, stealing, and the end game.
//!
//! All three compare when an owner would be finished: bytes due over the speed expected.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Shares;
use super::edits::{Edits, OwnerKey};
use super::owner::{Owner, Stage};
use crate::base::Time;

/// An owner is low when its share lasts no longer than this: several round trips and a tick.
const LOW_TIME: Duration = Duration::from_millis(100);
/// An owner is low when its share has fewer items.
const LOW_ITEMS: usize = 2;
/// A steal begins when the thief would have an item sooner by this factor than the victim would
/// end; without it errors of measurement would move items to and fro. It ends when both are even.
const STEAL_GAIN: f64 = 1.1;
/// An item in flight is asked for twice when the second would have it sooner by this factor.
const DUPLICATE_GAIN: f64 = 1.5;
/// What an owner is taken for while nobody has been measured, bytes per second.
const SPEED_ASSUMED: f64 = (16 * 1024 * 1024) as f64;

/// The expected speed of each owner, bytes per second, at least 1.
pub(super) type Speeds = BTreeMap<OwnerKey, f64>;

impl Shares {
    /// What to expect of everybody; who has not shown its speed is taken for an average one.
    pub(super) fn speeds(&self, now: Time) -> Speeds {
        let measured: Vec<f64> =
            self.owners.values().filter_map(|o| o.speed.measured(now)).collect();
        let assumed = match measured.len() {
            0 => SPEED_ASSUMED,
            n => measured.iter().sum::<f64>() / n as f64,
        };
        self.owners.iter().map(|(key, o)| (*key, o.speed.expected(now, assumed))).collect()
    }

    /// Gives missing `items`, ascending and held by nobody, to owners that have them: runs as
    /// long as possible, nobody much beyond the moment at which all would be finished.
    pub(super) fn place(&mut self, now: Time, items: Vec<u32>, edits: &mut Edits) {
        let speeds = self.speeds(now);
        let bytes = items.iter().map(|i| self.items.len(*i)).sum::<u64>()
            + self.owners.values().map(Owner::due).sum::<u64>();
        let level = bytes as f64 / speeds.values().sum::<f64>().max(1.0);
        let mut last = None;
        for item in items {
            let roomy =
                |key: &OwnerKey| self.can_give(*key, item) && self.end(*key, &speeds) < level;
            match last.filter(roomy).or_else(|| self.soonest(item, &speeds)) {
                Some(key) => {
                    last = Some(key);
                    self.give(key, item, edits);
                }
                None => {
                    self.orphans.insert(item);
                }
            }
        }
    }

    /// When the owner's share runs low: takes from the others what it would have sooner.
    pub(super) fn feed(&mut self, now: Time, thief: OwnerKey, edits: &mut Edits) {
        if self.missing_count == 0 || !self.owners.contains_key(&thief) {
            return;
        }
        let speeds = self.speeds(now);
        if self.is_low(thief, &speeds) {
            self.steal(now, thief, &speeds, edits);
        }
        if self.is_end_game() && self.is_low(thief, &speeds) {
            self.duplicate(thief, &speeds, edits);
        }
    }

    /// Whether all that is missing is in flight. Before that an idle owner that is fetching the file
    /// itself is idle because it has nothing new yet, not because it is fast.
    fn is_end_game(&self) -> bool {
        self.orphans.is_empty() && self.owners.values().all(|o| o.share.is_empty())
    }

    /// Moves tails of the shares that would end last, one item after the other, until the thief
    /// would end with them.
    fn steal(&mut self, now: Time, thief: OwnerKey, speeds: &Speeds, edits: &mut Edits) {
        // Where in each victim's share the search goes on, downwards.
        let mut below: BTreeMap<OwnerKey, u32> =
            self.owners.keys().filter(|key| **key != thief).map(|key| (*key, u32::MAX)).collect();
        let mut gain = STEAL_GAIN;
        while let Some(victim) = self.last_to_end(below.keys().copied(), speeds) {
            let end = below.get(&victim).copied().unwrap_or(0);
            let spare = self.owners.get(&victim).is_some_and(|o| o.share.len() > o.promised(now));
            let movable = spare.then(|| self.last_movable(victim, end, thief)).flatten();
            let Some(item) = movable else {
                below.remove(&victim);
                continue;
            };
            if self.end_with(thief, item, speeds) * gain > self.end(victim, speeds) {
                return;
            }
            gain = 1.0;
            below.insert(victim, item);
            self.withdraw(victim, item, edits);
            self.give(thief, item, edits);
        }
    }

    /// Asks also the idle owner for items in flight, the ones expected last first, as long as it
    /// would have them notably sooner.
    fn duplicate(&mut self, idle: OwnerKey, speeds: &Speeds, edits: &mut Edits) {
        let mut late: Vec<(f64, u32)> = self
            .in_flight(speeds)
            .into_iter()
            .filter(|(item, flight)| {
                self.can_give(idle, *item) && flight.holders == self.holders[*item as usize]
            })
            .map(|(item, flight)| (flight.soonest, item))
            .collect();
        late.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        for (soonest, item) in late {
            let gains = self.end_with(idle, item, speeds) * DUPLICATE_GAIN < soonest;
            if !gains || !self.is_low(idle, speeds) {
                return;
            }
            self.give(idle, item, edits);
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
    /// it is already sending it; tells whether one of them will be sooner.
    fn rivals(&mut self, speeds: &Speeds, owner: OwnerKey, item: u32, edits: &mut Edits) -> bool {
        let mine = self.in_flight_end(owner, item, speeds);
        let others: Vec<OwnerKey> = self
            .owners
            .iter()
            .filter(|(key, o)| **key != owner && o.holds(item))
            .map(|(key, _)| *key)
            .collect();
        if others.iter().any(|key| self.eta(*key, item, speeds) <= mine) {
            return true;
        }
        for key in others {
            self.withdraw(key, item, edits);
        }
        false
    }

    /// Puts the item into the owner's share.
    fn give(&mut self, owner: OwnerKey, item: u32, edits: &mut Edits) {
        let len = self.items.len(item);
        if let Some(state) = self.owners.get_mut(&owner) {
            state.ask(item, len);
            self.holders[item as usize] += 1;
            self.orphans.remove(&item);
            edits.add(owner, item);
        }
    }

    /// Whether the item is missing and the owner may be asked for it and is not yet.
    fn can_give(&self, owner: OwnerKey, item: u32) -> bool {
        let able = |o: &Owner| o.have.contains(item) && !o.holds(item);
        !self.verified.contains(item) && self.owners.get(&owner).is_some_and(able)
    }

    /// Who can give the item and would be finished first; of equals the oldest connection.
    fn soonest(&self, item: u32, speeds: &Speeds) -> Option<OwnerKey> {
        let able = self.owners.keys().copied().filter(|key| self.can_give(*key, item));
        able.min_by(|a, b| self.end(*a, speeds).total_cmp(&self.end(*b, speeds)))
    }

    /// Which of `keys` would be finished last.
    fn last_to_end(
        &self,
        keys: impl Iterator<Item = OwnerKey>,
        speeds: &Speeds,
    ) -> Option<OwnerKey> {
        keys.max_by(|a, b| self.end(*a, speeds).total_cmp(&self.end(*b, speeds)))
    }

    /// The last item of the victim's share before `below` that the thief can give.
    fn last_movable(&self, victim: OwnerKey, below: u32, thief: OwnerKey) -> Option<u32> {
        let share = &self.owners.get(&victim)?.share;
        share.range(..below).rev().copied().find(|item| self.can_give(thief, *item))
    }

    fn is_low(&self, owner: OwnerKey, speeds: &Speeds) -> bool {
        self.owners.get(&owner).is_some_and(|o| {
            let lasts = o.share_bytes() as f64 / speed(owner, speeds);
            o.share.len() < LOW_ITEMS || lasts < LOW_TIME.as_secs_f64()
        })
    }

    /// Seconds until the owner is finished with all it holds.
    fn end(&self, owner: OwnerKey, speeds: &Speeds) -> f64 {
        self.owners.get(&owner).map_or(f64::MAX, |o| o.due() as f64 / speed(owner, speeds))
    }

    /// The same with one item more.
    fn end_with(&self, owner: OwnerKey, item: u32, speeds: &Speeds) -> f64 {
        self.end(owner, speeds) + self.items.len(item) as f64 / speed(owner, speeds)
    }

    /// Seconds until the owner has sent the item, which it holds.
    fn eta(&self, owner: OwnerKey, item: u32, speeds: &Speeds) -> f64 {
        self.owners.get(&owner).map_or(f64::MAX, |o| o.ahead_of(item) as f64 / speed(owner, speeds))
    }

    /// Seconds until the owner has sent the item, which it is announcing.
    fn in_flight_end(&self, owner: OwnerKey, item: u32, speeds: &Speeds) -> f64 {
        let bytes = |o: &Owner| o.flying_bytes() + self.items.len(item);
        self.owners.get(&owner).map_or(f64::MAX, |o| bytes(o) as f64 / speed(owner, speeds))
    }

    /// What is announced or on the wire, and when it is expected.
    fn in_flight(&self, speeds: &Speeds) -> BTreeMap<u32, Flight> {
        let mut flights = BTreeMap::new();
        for (key, state) in &self.owners {
            for (item, stage) in &state.flying {
                if *stage == Stage::Arrived {
                    continue;
                }
                let flight =
                    flights.entry(*item).or_insert(Flight { holders: 0, soonest: f64::MAX });
                flight.holders += 1;
                flight.soonest = flight.soonest.min(self.eta(*key, *item, speeds));
            }
        }
        flights
    }
}

/// An item in flight.
struct Flight {
    /// From how many owners.
    holders: u16,
    /// Seconds until the first of them has sent it.
    soonest: f64,
}

fn speed(owner: OwnerKey, speeds: &Speeds) -> f64 {
    speeds.get(&owner).copied().unwrap_or(1.0)
}
