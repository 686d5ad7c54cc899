//! Whose turn it is to be sent a run, when more is fetched from here than can be served at full speed.
//!
//! A line that is divided among a hundred requesters brings each its first chunk after a hundred chunks'
//! time, and until then none of them has anything to pass on. So of each set a few are served at a time, a run
//! each, in the order in which they asked: what leaves is complete soon, and others have it from whoever got it.
//! That whole pieces sent one after the other spread soonest is known from Mundinger, Weber and Weiss
//! ("Optimal scheduling of peer-to-peer file dissemination", 2008); here it is a few instead of one, since
//! a line must not be idle between two runs; more where its requesters' lines are slower (`climb`).
//!
//! The kernel divides a line among connections, so a set that many fetch would have several times as much of
//! it as one that a single requester fetches. So while several sets are fetched, each has as many turns as the one that
//! can use fewest; and again more where that makes the worst off better, or brings more together. This is
//! max-min fairness (Bertsekas and Gallager, "Data Networks", 1992) by counting runs.
//!
//! Invariants: whoever asks gets its turn after those of its set who asked before, and before they get another;
//! no set waits for another; one that takes much longer than the line would need, or does not use its turn, holds
//! up nobody: its turn counts no more then, though it may go on. How it ends: a set is forgotten
//! when nobody of it has a turn, waits for one or had one lately.

mod climb;
mod queue;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use self::climb::{Climb, Contender};
use self::queue::{LATELY, Queue};
use crate::base::Time;
use crate::logic::ledger::SetKey;

/// So many of a set are served at a time, unless more bring more, or others fetch another set.
pub const TURNS: usize = 4;
/// A turn counts for so long at least, whatever was measured.
const TURN_MIN: Duration = Duration::from_millis(250);
/// And no longer than this, whatever was measured.
const TURN_MAX: Duration = Duration::from_secs(60);
/// A turn counts for so many times what it should take.
const PATIENCE: f64 = 2.0;
/// The pace is measured over at least so long.
const SAMPLE: Duration = Duration::from_millis(250);
/// The best of so many of them is what the line can do: requesters come and go.
const SAMPLES: usize = 32;
/// And so many of them tell what goes out just now.
const LATEST: usize = 4;

/// What comes of asking for a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It is yours, until you say that it is over.
    Yours,
    /// Ask again when you are among the `granted`, or at this time.
    Later(Time),
}

/// The turns of all sets that are fetched from a node.
#[derive(Debug, Default)]
pub struct Turns {
    sets: BTreeMap<SetKey, Queue>,
    granted: Vec<u64>,
    /// Since when so many bytes have gone out.
    sample: Option<(Time, u64)>,
    /// The latest paces that were measured, bytes per second.
    paces: VecDeque<f64>,
    /// How many of each set are served at a time.
    climb: Climb,
}

impl Turns {
    /// `who`, who fetches `set`, has a run of `bytes` bytes to send.
    pub fn ask(&mut self, now: Time, set: &SetKey, who: u64, bytes: u64) -> Turn {
        let some = !self.sets.is_empty();
        self.sets.retain(|_, queue| !queue.is_over(now));
        if some && self.sets.is_empty() {
            // What was found out is true of those who were here then.
            *self = Turns::default();
        }
        self.sets.entry(*set).or_default().ask(who, bytes);
        self.promote(now);
        let turns = self.climb.turns();
        match self.sets.get(set) {
            Some(queue) if !queue.is_going(who) => {
                let free = queue.free_at(now, turns).unwrap_or(now + TURN_MIN);
                // Another set may have gone by then, of which nobody tells.
                let soon = if self.sets.len() > 1 { now + LATELY } else { free };
                Turn::Later(free.min(soon))
            }
            _ => {
                self.granted.retain(|one| *one != who);
                Turn::Yours
            }
        }
    }

    /// Its run of `bytes` bytes is out; or, with none, it has nothing to send, needs no turn or is gone.
    pub fn over(&mut self, now: Time, set: &SetKey, who: u64, bytes: u64) {
        if let Some(queue) = self.sets.get_mut(set) {
            queue.over(now, who, bytes);
        }
        self.measure(now, bytes);
        if bytes > 0 {
            self.climb.sent(now, set, bytes);
            self.climb.measure(now, contenders(&self.sets, now));
        }
        self.promote(now);
    }

    /// Who was given a turn since the last call and has not asked yet: they are to be woken.
    pub fn granted(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.granted)
    }

    /// Gives away what is free.
    fn promote(&mut self, now: Time) {
        self.sets.retain(|_, queue| !queue.is_over(now));
        self.climb.contend(now, self.latest(), contenders(&self.sets, now));
        let (turns, served) = (self.climb.turns(), self.climb.served());
        let (pace, mut is_full) = (self.pace(), false);
        for queue in self.sets.values_mut() {
            while queue.live(now) < turns
                && let Some((who, bytes)) = queue.next()
            {
                queue.goes(who, now + lasts(pace, served, bytes));
                self.granted.push(who);
            }
            is_full |= queue.live(now) >= turns;
        }
        if !is_full {
            self.climb.idle();
        }
    }

    fn measure(&mut self, now: Time, bytes: u64) {
        let (since, sum) = self.sample.unwrap_or((now, 0));
        let (took, sum) = (now.since(since), sum + bytes);
        self.sample = Some((since, sum));
        if took >= SAMPLE {
            self.paces.truncate(SAMPLES - 1);
            self.paces.push_front(sum as f64 / took.as_secs_f64());
            self.sample = Some((now, 0));
        }
    }

    /// What went out lately, bytes per second; zero before it is known.
    fn latest(&self) -> f64 {
        let latest = self.paces.iter().take(LATEST);
        latest.clone().sum::<f64>() / latest.len().max(1) as f64
    }

    /// What the line can do, bytes per second; zero before it is known.
    fn pace(&self) -> f64 {
        self.paces.iter().copied().fold(0.0, f64::max)
    }
}

/// Who would use the line now, and how many of each.
fn contenders(
    sets: &BTreeMap<SetKey, Queue>,
    now: Time,
) -> impl Iterator<Item = Contender<'_>> + '_ {
    let contend = sets.iter().filter(move |(_, queue)| queue.contends(now));
    contend.map(move |(set, queue)| (set, queue.members(now)))
}

/// For how long a turn counts: what the line needs for it when so many share it, and some patience.
fn lasts(pace: f64, served: usize, bytes: u64) -> Duration {
    if pace <= 0.0 {
        return TURN_MIN;
    }
    let takes = served as f64 * bytes as f64 / pace.max(1.0) * PATIENCE;
    Duration::from_secs_f64(takes.min(TURN_MAX.as_secs_f64())).max(TURN_MIN)
}

#[cfg(test)]
mod line;
#[cfg(test)]
mod random;

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: u64 = 256 * 1024;
    const SET: SetKey = [1; 32];

    fn at(ms: u64) -> Time {
        Time::from_origin(Duration::from_millis(ms))
    }

    fn ask_all(turns: &mut Turns, now: Time, count: u64) {
        for who in 0..count {
            turns.ask(now, &SET, who, RUN);
        }
    }

    #[test]
    fn a_few_go_at_a_time_and_the_others_in_the_order_in_which_they_asked() {
        let mut turns = Turns::default();
        let first: Vec<u64> =
            (0..10).filter(|n| turns.ask(at(0), &SET, *n, RUN) == Turn::Yours).collect();
        assert_eq!(first, [0, 1, 2, 3]);
        turns.granted();
        turns.over(at(1), &SET, 2, RUN);
        assert_eq!(turns.granted(), [4]);
        assert_eq!(turns.ask(at(1), &SET, 2, RUN), Turn::Later(at(250)));
        let order: Vec<u64> = (5..10)
            .flat_map(|_| {
                let going = *turns.sets[&SET].going().keys().next().unwrap();
                turns.over(at(2), &SET, going, RUN);
                turns.granted()
            })
            .collect();
        assert_eq!(order, [5, 6, 7, 8, 9], "who had a turn goes before who had none");
    }

    #[test]
    fn who_takes_too_long_or_does_not_use_its_turn_holds_up_nobody() {
        let mut turns = Turns::default();
        ask_all(&mut turns, at(0), 5);
        assert_eq!(turns.ask(at(249), &SET, 4, RUN), Turn::Later(at(250)));
        assert_eq!(turns.ask(at(250), &SET, 4, RUN), Turn::Yours);
        assert_eq!(turns.ask(at(250), &SET, 0, RUN), Turn::Yours, "it may go on");
    }

    #[test]
    fn on_a_slow_line_a_turn_counts_for_as_long_as_that_needs() {
        let mut turns = Turns::default();
        turns.over(at(0), &SET, 9, 0);
        turns.over(at(1_000), &SET, 9, RUN);
        ask_all(&mut turns, at(1_000), TURNS as u64);
        let takes = 1_000 * TURNS as u64;
        assert_eq!(turns.ask(at(1_000), &SET, 7, RUN), Turn::Later(at(1_000 + 2 * takes)));
    }

    #[test]
    fn as_many_go_as_bring_more_together() {
        // Each run takes 100 ms, however many go.
        let mut turns = Turns::default();
        let mut goes: BTreeMap<u64, u64> = BTreeMap::new();
        ask_all(&mut turns, at(0), 12);
        goes.extend((0..TURNS as u64).map(|who| (who, 100)));
        for now in (0..15_000).step_by(20) {
            let ended: Vec<u64> =
                goes.iter().filter(|(_, end)| **end <= now).map(|(who, _)| *who).collect();
            for who in ended {
                goes.remove(&who);
                turns.over(at(now), &SET, who, RUN);
                if turns.ask(at(now), &SET, who, RUN) == Turn::Yours {
                    goes.insert(who, now + 100);
                }
                goes.extend(turns.granted().into_iter().map(|who| (who, now + 100)));
            }
        }
        let most = turns.climb.turns();
        assert!((11..=13).contains(&most), "{most} of twelve go at a time");
    }

    #[test]
    fn who_leaves_gives_its_turn_and_its_place_away() {
        let mut turns = Turns::default();
        ask_all(&mut turns, at(0), 7);
        turns.granted();
        turns.over(at(1), &SET, 4, 0);
        assert!(turns.granted().is_empty(), "it had none yet");
        turns.over(at(1), &SET, 0, 0);
        assert_eq!(turns.granted(), [5]);
    }
}
