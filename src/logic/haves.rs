//! When a requester is told what has arrived here since it was last told (HAVE).
//!
//! Whoever fetches a file tells of each chunk to everybody who fetches from it. One message for each chunk and
//! neighbour is what costs a large swarm its processors: a chunk of 256 KiB makes fifteen of them where sixteen
//! fetch, each a system call, a packet and two threads woken. So what arrives soon after a HAVE waits
//! for the next one, the longer the more are told, up to `WAIT_MAX`; what comes after a pause, as at the
//! beginning when everybody waits for it, is told at once.
//!
//! Invariant: nothing that was gained is lost, or waits for longer than `WAIT_MAX`; what was lost again before it was
//! told is not told. Ends with its connection.

use std::time::Duration;

use crate::base::{Range, Time};

/// From one HAVE to the next, for each requester that is told.
const WAIT_EACH: Duration = Duration::from_millis(5);
/// However many are told: a chunk of a slow line takes longer to send.
const WAIT_MAX: Duration = Duration::from_millis(100);
/// With so few nothing waits.
const FEW: usize = 2;
/// Most runs in one HAVE.
const RUNS_MAX: usize = 2_048;

/// What one requester does not know yet that is here.
#[derive(Debug, Default)]
pub struct Haves {
    gained: Vec<u32>,
    /// When the next HAVE may go.
    due: Time,
    wait: Duration,
}

impl Haves {
    /// More is here, and so many are told. Whether its writer is to be woken: one that waits until
    /// [`due`](Haves::due) comes by itself.
    pub fn gained(&mut self, now: Time, items: impl IntoIterator<Item = u32>, told: usize) -> bool {
        let each = u32::try_from(told).unwrap_or(u32::MAX);
        self.wait =
            if told <= FEW { Duration::ZERO } else { WAIT_EACH.saturating_mul(each).min(WAIT_MAX) };
        self.gained.extend(items);
        !self.gained.is_empty() && self.due <= now
    }

    /// Not all of it is here any more.
    pub fn retain(&mut self, is_here: impl Fn(u32) -> bool) {
        self.gained.retain(|item| is_here(*item));
    }

    /// What a HAVE is to tell now, if one is due.
    pub fn next(&mut self, now: Time) -> Option<Vec<Range>> {
        if self.gained.is_empty() || now < self.due {
            return None;
        }
        self.gained.sort_unstable();
        let mut runs = Range::collect(std::mem::take(&mut self.gained));
        let rest = runs.split_off(runs.len().min(RUNS_MAX));
        self.gained = rest.into_iter().flat_map(Range::iter).collect();
        if self.gained.is_empty() {
            self.due = now + self.wait;
        }
        Some(runs)
    }

    /// A writer with nothing else to do looks again then, whether something has come by then or not.
    pub fn due(&self, now: Time) -> Option<Time> {
        (now < self.due).then_some(self.due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::dice::{at, rounds};

    fn all(runs: Option<Vec<Range>>) -> Vec<u32> {
        runs.into_iter().flatten().flat_map(Range::iter).collect()
    }

    #[test]
    fn what_comes_after_a_pause_is_told_at_once_and_the_next_waits() {
        let mut haves = Haves::default();
        assert!(haves.gained(at(0), [7], 15));
        assert_eq!(all(haves.next(at(0))), [7]);
        assert!(!haves.gained(at(10), [9], 15), "its writer looks at 75 by itself");
        assert!(!haves.gained(at(60), [8], 15));
        assert_eq!((haves.next(at(74)), haves.due(at(74))), (None, Some(at(75))));
        assert_eq!(all(haves.next(at(75))), [8, 9]);
        assert_eq!((haves.next(at(500)), haves.due(at(500))), (None, None));
        assert!(haves.gained(at(500), [1], 15));
    }

    #[test]
    fn nothing_waits_where_few_are_told_nor_longer_than_the_longest_wait() {
        let mut haves = Haves::default();
        for item in 0..3 {
            assert!(haves.gained(at(0), [item], 2));
            assert_eq!(all(haves.next(at(0))), [item]);
        }
        assert!(haves.gained(at(0), [3], 10_000));
        assert_eq!(all(haves.next(at(0))), [3]);
        assert_eq!(haves.due(at(0)), Some(at(100)));
    }

    #[test]
    fn what_was_lost_again_is_not_told() {
        let mut haves = Haves::default();
        haves.gained(at(0), [1, 2, 3], 9);
        haves.retain(|item| item != 2);
        assert_eq!(all(haves.next(at(0))), [1, 3]);
    }

    #[test]
    fn a_long_list_goes_in_pieces_without_waiting() {
        let mut haves = Haves::default();
        let many = RUNS_MAX as u32 * 2 + 1;
        haves.gained(at(0), (0..many).map(|n| n * 2), 100);
        let mut told = Vec::new();
        for _ in 0..3 {
            told.extend(all(haves.next(at(0))));
        }
        assert_eq!(told.len(), many as usize);
    }

    /// A writer that sleeps until it is woken, or until the next HAVE is due, tells all of it in time.
    #[test]
    fn all_that_is_gained_is_told_within_the_longest_wait() {
        rounds(|dice| {
            let (told, often) = (dice.below(40) as usize, dice.below(150) + 1);
            let (mut haves, mut untold, mut alarm) = (Haves::default(), Vec::new(), None);
            for ms in 0..2_000 {
                let gained = (dice.below(often) == 0).then_some((ms as u32, ms));
                untold.extend(gained);
                let items = gained.iter().map(|(item, _)| *item);
                let woken = gained.is_some() && haves.gained(at(ms), items, told);
                if woken || alarm == Some(at(ms)) {
                    let heard = all(haves.next(at(ms)));
                    untold.retain(|(item, _)| !heard.contains(item));
                    alarm = haves.due(at(ms));
                }
                assert!(untold.iter().all(|(_, since)| ms - since <= 100), "{untold:?} at {ms}");
            }
        });
    }
}
