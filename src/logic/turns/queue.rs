//! The turns of one set: who has one, who waits for one.
//!
//! Invariants: nobody stands in it twice; who waits goes in the order in which they asked. Ends when
//! nobody goes, waits or has lately gone.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::base::Time;

/// Who has had a turn or asked for one less than so long ago will want another: between two runs a requester has
/// nothing to ask for until its WANT or its ACK is here.
pub(super) const LATELY: Duration = Duration::from_millis(500);
/// Who takes so much longer than a turn counts is no contender any more.
const SLOW: Duration = Duration::from_secs(5);

/// One set.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Who has a turn, and until when it counts.
    going: BTreeMap<u64, Time>,
    /// Who waits for one, and how many bytes it is to send.
    waiting: VecDeque<(u64, u64)>,
    /// When somebody had bytes sent to the end.
    served: BTreeMap<u64, Time>,
}

impl Queue {
    /// Puts `who` into the queue, unless it is there or has a turn.
    pub(super) fn ask(&mut self, who: u64, bytes: u64) {
        if !self.is_going(who) && !self.waiting.iter().any(|(one, _)| *one == who) {
            self.waiting.push_back((who, bytes));
        }
    }

    /// It has sent so many bytes, or has nothing to send.
    pub(super) fn over(&mut self, now: Time, who: u64, bytes: u64) {
        self.going.remove(&who);
        self.waiting.retain(|(one, _)| *one != who);
        if bytes > 0 {
            self.served.retain(|_, then| now.since(*then) < LATELY);
            self.served.insert(who, now);
        }
    }

    /// The next one; it must be said that it `goes`.
    pub(super) fn next(&mut self) -> Option<(u64, u64)> {
        self.waiting.pop_front()
    }

    /// It has a turn that counts until then.
    pub(super) fn goes(&mut self, who: u64, until: Time) {
        self.going.insert(who, until);
    }

    /// Whether it has a turn.
    pub(super) fn is_going(&self, who: u64) -> bool {
        self.going.contains_key(&who)
    }

    /// Whether somebody waits.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// How many turns count now.
    pub(super) fn live(&self, now: Time) -> usize {
        self.going.values().filter(|until| **until > now).count()
    }

    /// When fewer than `turns` count, if nobody finishes before; `None` if that is so now.
    pub(super) fn free_at(&self, now: Time, turns: usize) -> Option<Time> {
        let mut live: Vec<Time> = self.going.values().copied().filter(|end| *end > now).collect();
        live.sort_unstable();
        live.len().checked_sub(turns).and_then(|at| live.get(at)).copied()
    }

    /// How many are served now, wait, or have just been served.
    pub(super) fn members(&self, now: Time) -> usize {
        let again = |who: &u64| {
            !self.going.contains_key(who) && !self.waiting.iter().any(|(one, _)| one == who)
        };
        let lately = self.lately(now).filter(|who| again(who)).count();
        self.using(now).count() + self.waiting.len() + lately
    }

    /// Whether anybody would use the line now.
    pub(super) fn contends(&self, now: Time) -> bool {
        self.is_waiting() || self.using(now).next().is_some() || self.lately(now).next().is_some()
    }

    /// Who has a turn and is not so slow that the line can hardly be what holds it up.
    fn using(&self, now: Time) -> impl Iterator<Item = &u64> {
        self.going.iter().filter(move |(_, until)| **until + SLOW > now).map(|(who, _)| who)
    }

    /// Who has just been served.
    fn lately(&self, now: Time) -> impl Iterator<Item = &u64> {
        self.served.iter().filter(move |(_, then)| now.since(**then) < LATELY).map(|(who, _)| who)
    }

    /// Whether it may be forgotten.
    pub(super) fn is_over(&self, now: Time) -> bool {
        self.going.is_empty() && !self.contends(now)
    }
}

#[cfg(test)]
impl Queue {
    /// Who has a turn, and until when it counts.
    pub(super) fn going(&self) -> &BTreeMap<u64, Time> {
        &self.going
    }

    /// Who waits, in order.
    pub(super) fn waiting(&self) -> VecDeque<u64> {
        self.waiting.iter().map(|(who, _)| *who).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::dice::at;

    #[test]
    fn who_has_just_been_served_still_counts_and_who_takes_too_long_does_not() {
        let mut queue = Queue::default();
        queue.ask(1, 10);
        queue.ask(2, 10);
        queue.ask(2, 10);
        assert_eq!((queue.members(at(0)), queue.contends(at(0))), (2, true));
        assert_eq!(
            (queue.next(), queue.next(), queue.next()),
            (Some((1, 10)), Some((2, 10)), None)
        );
        queue.goes(1, at(100));
        queue.goes(2, at(200));
        assert_eq!((queue.live(at(99)), queue.free_at(at(99), 2)), (2, Some(at(100))));
        assert_eq!((queue.live(at(150)), queue.free_at(at(150), 2)), (1, None));
        assert_eq!((queue.members(at(5_099)), queue.members(at(5_100))), (2, 1));
        queue.over(at(5_150), 2, 10);
        assert_eq!((queue.members(at(5_649)), queue.contends(at(5_649))), (1, true));
        assert_eq!((queue.members(at(5_650)), queue.contends(at(5_650))), (0, false));
        assert!(!queue.is_over(at(5_650)), "one goes on");
        queue.over(at(5_651), 1, 0);
        assert!(queue.is_over(at(5_651)), "and had nothing sent");
    }
}
