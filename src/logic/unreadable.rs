//! What could not be read lately of what is here: it is offered to nobody for a while, longer each time.
//!
//! Invariant: at most `ITEMS_MAX` items are remembered, and those that come back last are kept; an item that
//! is read again after its time is asked for like any other; what fails while it is out counts once, and what
//! has not failed for long is new. Ends with the node: the next start tries all anew.

use std::collections::BTreeMap;
use std::time::Duration;

use super::ledger::SetKey;
use crate::base::{Bitmap, Time};

/// Items remembered.
const ITEMS_MAX: usize = 4_096;
/// How long an item stays out the first time; it doubles each time.
const OUT_FIRST: Duration = Duration::from_secs(1);
/// Nothing stays out for longer: a disk may be well again.
const OUT_MAX: Duration = Duration::from_secs(600);

/// What cannot be read of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// One of its items.
    Item(u32),
    /// All of it: a large file that cannot be opened.
    All,
}

/// The items, by their sets.
#[derive(Debug, Default)]
pub struct Unreadable(BTreeMap<(SetKey, What), Out>);

#[derive(Debug, Clone, Copy)]
struct Out {
    failures: u32,
    until: Time,
}

impl Unreadable {
    /// Something of `set` could not be read; returns for how long it is offered to nobody.
    pub fn failed(&mut self, now: Time, set: SetKey, what: What) -> Duration {
        let failures = match self.0.get(&(set, what)) {
            // Others had asked for it before: that is one failure.
            Some(out) if now < out.until => return out.until.since(now),
            Some(out) if now < out.until + OUT_MAX => out.failures,
            _ => 0,
        };
        let time = OUT_FIRST.saturating_mul(1 << failures.min(16)).min(OUT_MAX);
        let out = Out { failures: failures.saturating_add(1), until: now + time };
        self.0.insert((set, what), out);
        if self.0.len() > ITEMS_MAX
            && let Some(first) = self.0.iter().min_by_key(|(_, out)| out.until).map(|(key, _)| *key)
        {
            self.0.remove(&first);
        }
        time
    }

    /// Takes from `have` the items of `set` that are offered to nobody now.
    pub fn leave_out(&self, now: Time, set: SetKey, have: &mut Bitmap) {
        let all = self.0.range((set, What::Item(0))..=(set, What::All));
        for ((_, what), _) in all.filter(|(_, out)| now < out.until) {
            match what {
                What::Item(item) => _ = have.remove(*item),
                What::All => *have = Bitmap::none(have.len()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SET: SetKey = [1; 32];

    fn at(secs: u64) -> Time {
        Time::ZERO + Duration::from_secs(secs)
    }

    /// Which of eight items are left out.
    fn out(items: &Unreadable, secs: u64) -> Vec<u32> {
        let mut have = Bitmap::all(8);
        items.leave_out(at(secs), SET, &mut have);
        have.iter_missing().collect()
    }

    #[test]
    fn what_cannot_be_read_comes_back_after_a_wait_that_grows_to_its_bound() {
        let mut items = Unreadable::default();
        let mut now = 0;
        let waits = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600];
        for wait in waits {
            let mut failed = || items.failed(at(now), SET, What::Item(7)).as_secs();
            assert_eq!((failed(), failed()), (wait, wait), "others who asked for it count once");
            now += wait;
        }
        assert_eq!(items.failed(at(now + 600), SET, What::Item(7)).as_secs(), 1, "it was well");
    }

    #[test]
    fn what_cannot_be_read_is_left_out_for_its_time_and_all_of_a_file_that_cannot_be_opened() {
        let mut items = Unreadable::default();
        items.failed(at(0), SET, What::Item(7));
        items.failed(at(1), SET, What::Item(7));
        items.failed(at(1), SET, What::Item(3));
        items.failed(at(1), [2; 32], What::Item(5));
        assert_eq!(out(&items, 1), [3, 7]);
        assert_eq!(out(&items, 2), [7]);
        items.failed(at(2), SET, What::All);
        assert_eq!(out(&items, 2), (0..8).collect::<Vec<_>>());
        assert_eq!(out(&items, 3), [0; 0]);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_what_comes_back_first_is_forgotten() {
        let mut items = Unreadable::default();
        let mut failed = |secs, item| items.failed(at(secs), SET, What::Item(item));
        failed(0, 1);
        failed(1, 1);
        (2..ITEMS_MAX as u32 + 3).for_each(|item| _ = failed(1, item));
        assert_eq!(items.0.len(), ITEMS_MAX);
        let is_there = |item| items.0.contains_key(&(SET, What::Item(item)));
        assert!(is_there(1) && !is_there(2));
    }
}
