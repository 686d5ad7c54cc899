//! What an owner does that runs low: it takes from the others, and in the end game doubles them.
//!
//! A move takes a round trip, and the victim may announce meanwhile what is taken from it: it comes twice
//! then. So nothing is moved that does not gain more than that, which matters on far lines. Nothing else
//! protects what waits with an owner: two items of each were left to it once, and the last ones then waited
//! with the busiest owner for their turn, while all other lines were idle.
//!
//! Of a batch that several fetch each small file is soon at several of them, who are all idle now and then. A
//! move among them gains some milliseconds, less than a busy machine needs to answer, and a tenth of the
//! batch came twice. So a move to or from one of them must gain `LOW_TIME`, and what one of them was asked for
//! rests with it for `REST_TIME`: nothing goes to and fro. An owner that has the whole keeps nothing.
//!
//! Invariants: as in `shares`. A steal makes the thief's end later and a victim's sooner, and stops when
//! they meet; so does a doubling, when the idle owner is low no more.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Shares;
use super::divide::Speeds;
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
/// A steal must gain so many round trips of the farther one of both.
const STEAL_TRIPS: f64 = 2.0;
/// What an owner that fetches a batch itself was asked for is left to it for so long.
const REST_TIME: Duration = Duration::from_millis(500);

/// One whose share may be taken from.
#[derive(Debug, Clone, Copy)]
struct Victim {
    key: OwnerKey,
    /// Seconds until it is finished with all it holds.
    end: f64,
    /// Where in its share the search goes on, downwards.
    below: u32,
    /// Seconds that moving something from it to the thief must gain.
    least: f64,
}

/// The place of the one who would be finished last; of equals the newest connection.
fn last_to_end(victims: &[Victim]) -> Option<usize> {
    let ends = victims.iter().enumerate();
    ends.max_by(|a, b| a.1.end.total_cmp(&b.1.end)).map(|(at, _)| at)
}

impl Shares {
    /// When the owner's share runs low: takes from the others what it would have sooner.
    pub(super) fn feed(&mut self, now: Time, thief: OwnerKey, edits: &mut Edits) {
        let speeds = self.speeds(now);
        self.feed_with(thief, &speeds, edits);
    }

    /// The same with the speeds of this moment.
    pub(super) fn feed_with(&mut self, thief: OwnerKey, speeds: &Speeds, edits: &mut Edits) {
        if self.missing_count == 0 || !self.owners.contains_key(&thief) {
            return;
        }
        if self.is_low(thief, speeds) {
            self.steal(thief, speeds, edits);
        }
        if self.is_end_game() && self.is_low(thief, speeds) {
            self.duplicate(thief, speeds, edits);
        }
    }

    /// Whether all that is missing is in flight. Before that an idle owner that is fetching the file
    /// itself is idle because it has nothing new yet, not because it is fast.
    fn is_end_game(&self) -> bool {
        self.orphans.is_empty() && self.owners.values().all(|o| o.share_count() == 0)
    }

    /// Moves tails of the shares that would end last, one item after the other, until the thief
    /// would end with them.
    fn steal(&mut self, thief: OwnerKey, speeds: &Speeds, edits: &mut Edits) {
        let mut victims = self.victims(thief, speeds);
        let mut gain = STEAL_GAIN;
        while let Some(last) = last_to_end(&victims) {
            let Victim { key, end, below, least } = victims[last];
            if self.end(thief, speeds) * gain > end {
                return;
            }
            let Some(item) = self.last_movable(speeds.now, key, below, thief) else {
                victims.remove(last);
                continue;
            };
            if self.end_with(thief, item, speeds) * gain + least > end {
                return;
            }
            gain = 1.0;
            self.withdraw(key, item, edits);
            self.give(speeds.now, thief, item, edits);
            let end = self.end(key, speeds);
            victims[last] = Victim { key, end, below: item, least };
        }
    }

    /// Whom the thief may take something from, in the order of their connections.
    fn victims(&self, thief: OwnerKey, speeds: &Speeds) -> Vec<Victim> {
        let Some(to) = self.owners.get(&thief) else { return Vec::new() };
        let others = self.owners.iter().filter(|(key, o)| **key != thief && o.share_count() > 0);
        let victim = |(key, o): (&OwnerKey, &Owner)| Victim {
            key: *key,
            end: self.end(*key, speeds),
            below: u32::MAX,
            least: self.least_gain(o, to),
        };
        others.map(victim).collect()
    }

    /// Seconds that a move between two owners must gain.
    fn least_gain(&self, from: &Owner, to: &Owner) -> f64 {
        let trips = from.round_trip.max(to.round_trip).as_secs_f64() * STEAL_TRIPS;
        match self.is_shared_batch(from) || self.is_shared_batch(to) {
            true => trips.max(LOW_TIME.as_secs_f64()),
            false => trips,
        }
    }

    /// Whether the items are small files, and the owner fetches them itself.
    fn is_shared_batch(&self, owner: &Owner) -> bool {
        self.items.is_batch() && !owner.have.is_full()
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
            self.give(speeds.now, idle, item, edits);
        }
    }

    /// The last item of the victim's share before `below` that the thief can give and that may be taken
    /// from the victim.
    fn last_movable(
        &self,
        now: Time,
        victim: OwnerKey,
        below: u32,
        thief: OwnerKey,
    ) -> Option<u32> {
        let victim = self.owners.get(&victim)?;
        let rest = if self.is_shared_batch(victim) { REST_TIME } else { Duration::ZERO };
        let rested = |item: u32| now.since(self.given[item as usize]) >= rest;
        victim.last_for(self.owners.get(&thief)?, below, rested)
    }

    fn is_low(&self, owner: OwnerKey, speeds: &Speeds) -> bool {
        self.owners.get(&owner).is_some_and(|o| {
            let lasts = o.share_bytes() as f64 / speeds.of(owner);
            o.share_count() < LOW_ITEMS || lasts < LOW_TIME.as_secs_f64()
        })
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
