//! What could not be read lately of what is here: it is offered to nobody for a while, longer each time.
//!
//! Invariant: at most `ITEMS_MAX` items are remembered, and those that come back last are kept; an item that
//! is read again after its time is asked for like any other. Ends with the node: the next start tries all anew.

use std::collections::BTreeMap;
use std::time::Duration;

use super::ledger::SetKey;
use crate::base::Time;

/// Items remembered.
const ITEMS_MAX: usize = 4_096;
/// How long an item stays out the first time; it doubles each time.
const OUT_FIRST: Duration = Duration::from_secs(1);
/// Nothing stays out for longer: a disk may be well again.
const OUT_MAX: Duration = Duration::from_secs(600);

/// The items, by their sets.
#[derive(Debug, Default)]
pub struct Unreadable(BTreeMap<(SetKey, u32), Out>);

#[derive(Debug, Clone, Copy)]
struct Out {
    failures: u32,
    until: Time,
}

impl Unreadable {
    /// An item of `set` could not be read; returns for how long it is offered to nobody.
    pub fn failed(&mut self, now: Time, set: SetKey, item: u32) -> Duration {
        let failures = self.0.get(&(set, item)).map_or(0, |out| out.failures);
        let time = OUT_FIRST.saturating_mul(1 << failures.min(16)).min(OUT_MAX);
        let out = Out { failures: failures.saturating_add(1), until: now + time };
        self.0.insert((set, item), out);
        if self.0.len() > ITEMS_MAX
            && let Some(first) = self.0.iter().min_by_key(|(_, out)| out.until).map(|(key, _)| *key)
        {
            self.0.remove(&first);
        }
        time
    }

    /// The items of `set` that are offered to nobody now, ascending.
    pub fn of(&self, now: Time, set: SetKey) -> impl Iterator<Item = u32> + '_ {
        let all = self.0.range((set, 0)..=(set, u32::MAX));
        all.filter(move |(_, out)| now < out.until).map(|((_, item), _)| *item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SET: SetKey = [1; 32];

    fn at(secs: u64) -> Time {
        Time::ZERO + Duration::from_secs(secs)
    }

    fn out(items: &Unreadable, secs: u64) -> Vec<u32> {
        items.of(at(secs), SET).collect()
    }

    #[test]
    fn what_cannot_be_read_comes_back_after_a_wait_that_grows_to_its_bound() {
        let mut items = Unreadable::default();
        let waits: Vec<u64> = (0..12).map(|_| items.failed(at(0), SET, 7).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
        items.failed(at(0), SET, 3);
        items.failed(at(0), [2; 32], 5);
        assert_eq!(out(&items, 0), [3, 7]);
        assert_eq!(out(&items, 1), [7]);
        assert_eq!(out(&items, 600), [0; 0]);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_what_comes_back_first_is_forgotten() {
        let mut items = Unreadable::default();
        items.failed(at(0), SET, 1);
        items.failed(at(0), SET, 1);
        (2..ITEMS_MAX as u32 + 3).for_each(|item| _ = items.failed(at(0), SET, item));
        assert_eq!(items.0.len(), ITEMS_MAX);
        assert!(items.0.contains_key(&(SET, 1)) && !items.0.contains_key(&(SET, 2)));
    }
}
