//! Whose turn it is to be sent a run, when more fetch a set from here than can be served at full speed.
//!
//! A line that is divided among a hundred requesters brings each its first chunk after a hundred chunks'
//! time, and until then none of them has anything to pass on. So a few are served at a time, a run each,
//! in the order in which they asked: what leaves is complete soon, and others have it from whoever got it.
//! That whole pieces sent one after the other spread soonest is known from Mundinger, Weber and Weiss
//! ("Optimal scheduling of peer-to-peer file dissemination", 2008); here it is a few instead of one, since
//! a line must not be idle between two runs; more where its requesters' lines are slower (`climb`).
//!
//! Invariants: whoever asks gets its turn after those who asked before, and before they get another; one
//! that takes much longer than the line would need, or does not use its turn, holds up nobody: its turn
//! counts no more then, though it may go on. How it ends: with the last transfer of the set.

mod climb;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use self::climb::Climb;
use crate::base::Time;

/// So many are served at a time, unless more bring more.
pub const TURNS: usize = 4;
/// A turn counts for so long at least, whatever was measured.
const TURN_MIN: Duration = Duration::from_millis(250);
/// And no longer than this, whatever was measured.
const TURN_MAX: Duration = Duration::from_secs(60);
/// A turn counts for so many times what it should take.
const PATIENCE: f64 = 2.0;
/// The pace is measured over at least so long.
const SAMPLE: Duration = Duration::from_millis(250);

/// What comes of asking for a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It is yours, until you say that it is over.
    Yours,
    /// Ask again when you are among the `granted`, or at this time.
    Later(Time),
}

/// The turns of one set.
#[derive(Debug, Default)]
pub struct Turns {
    /// Who has a turn, and until when it counts.
    going: BTreeMap<u64, Time>,
    /// Who waits for one, and how many bytes it is to send.
    waiting: VecDeque<(u64, u64)>,
    granted: Vec<u64>,
    /// Since when so many bytes have gone out.
    sample: Option<(Time, u64)>,
    /// The best pace seen, bytes per second; zero before the first.
    pace: f64,
    /// How many are served at a time.
    climb: Climb,
}

impl Turns {
    /// `who` has a run of `bytes` bytes to send.
    pub fn ask(&mut self, now: Time, who: u64, bytes: u64) -> Turn {
        if !self.going.contains_key(&who) && !self.waiting.iter().any(|(one, _)| *one == who) {
            self.waiting.push_back((who, bytes));
        }
        let ends = self.promote(now);
        if self.going.contains_key(&who) {
            self.granted.retain(|one| *one != who);
            return Turn::Yours;
        }
        Turn::Later(ends.unwrap_or(now + TURN_MIN))
    }

    /// Its run of `bytes` bytes is out; or, with none, it has nothing to send, needs no turn or is gone.
    pub fn over(&mut self, now: Time, who: u64, bytes: u64) {
        self.going.remove(&who);
        self.waiting.retain(|(one, _)| *one != who);
        self.measure(now, bytes);
        if bytes > 0 {
            self.climb.sent(now, bytes);
        }
        self.promote(now);
    }

    /// Who was given a turn since the last call and has not asked yet: they are to be woken.
    pub fn granted(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.granted)
    }

    /// Gives away what is free; tells when the next turn ends to count, if none is free.
    fn promote(&mut self, now: Time) -> Option<Time> {
        loop {
            let mut counted: Vec<Time> =
                self.going.values().copied().filter(|until| *until > now).collect();
            let turns = self.climb.turns();
            if counted.len() >= turns {
                counted.sort_unstable();
                return counted.get(counted.len() - turns).copied();
            }
            let Some((who, bytes)) = self.waiting.pop_front() else {
                self.climb.idle();
                return None;
            };
            self.going.insert(who, now + self.lasts(bytes));
            self.granted.push(who);
        }
    }

    fn measure(&mut self, now: Time, bytes: u64) {
        let (since, sum) = self.sample.unwrap_or((now, 0));
        let (took, sum) = (now.since(since), sum + bytes);
        self.sample = Some((since, sum));
        if took >= SAMPLE {
            self.pace = self.pace.max(sum as f64 / took.as_secs_f64());
            self.sample = Some((now, 0));
        }
    }

    /// For how long a turn counts: what the line needs for it when it is shared, and some patience.
    fn lasts(&self, bytes: u64) -> Duration {
        let takes = self.climb.turns() as f64 * bytes as f64 / self.pace.max(1.0) * PATIENCE;
        if self.pace <= 0.0 {
            return TURN_MIN;
        }
        Duration::from_secs_f64(takes.min(TURN_MAX.as_secs_f64())).max(TURN_MIN)
    }
}

#[cfg(test)]
mod random;

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: u64 = 256 * 1024;

    fn at(ms: u64) -> Time {
        Time::from_origin(Duration::from_millis(ms))
    }

    fn ask_all(turns: &mut Turns, now: Time, count: u64) {
        for who in 0..count {
            turns.ask(now, who, RUN);
        }
    }

    #[test]
    fn a_few_go_at_a_time_and_the_others_in_the_order_in_which_they_asked() {
        let mut turns = Turns::default();
        let first: Vec<u64> =
            (0..10).filter(|n| turns.ask(at(0), *n, RUN) == Turn::Yours).collect();
        assert_eq!(first, [0, 1, 2, 3]);
        turns.granted();
        turns.over(at(1), 2, RUN);
        assert_eq!(turns.granted(), [4]);
        assert_eq!(turns.ask(at(1), 2, RUN), Turn::Later(at(250)));
        let order: Vec<u64> = (5..10)
            .flat_map(|_| {
                let going = *turns.going.keys().next().unwrap();
                turns.over(at(2), going, RUN);
                turns.granted()
            })
            .collect();
        assert_eq!(order, [5, 6, 7, 8, 9], "who had a turn goes before who had none");
    }

    #[test]
    fn who_takes_too_long_or_does_not_use_its_turn_holds_up_nobody() {
        let mut turns = Turns::default();
        ask_all(&mut turns, at(0), 5);
        assert_eq!(turns.ask(at(249), 4, RUN), Turn::Later(at(250)));
        assert_eq!(turns.ask(at(250), 4, RUN), Turn::Yours);
        assert_eq!(turns.ask(at(250), 0, RUN), Turn::Yours, "it may go on");
    }

    #[test]
    fn on_a_slow_line_a_turn_counts_for_as_long_as_that_needs() {
        let mut turns = Turns::default();
        turns.over(at(0), 9, 0);
        turns.over(at(1_000), 9, RUN);
        ask_all(&mut turns, at(1_000), TURNS as u64);
        let takes = 1_000 * TURNS as u64;
        assert_eq!(turns.ask(at(1_000), 7, RUN), Turn::Later(at(1_000 + 2 * takes)));
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
                turns.over(at(now), who, RUN);
                if turns.ask(at(now), who, RUN) == Turn::Yours {
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
        turns.over(at(1), 4, 0);
        assert!(turns.granted().is_empty(), "it had none yet");
        turns.over(at(1), 0, 0);
        assert_eq!(turns.granted(), [5]);
    }
}
