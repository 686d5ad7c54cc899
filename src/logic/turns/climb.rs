//! How many turns are given at a time: more than the first few only while that brings more.
//!
//! Where this node's line is what limits it, four runs at a time fill it, and more would only be slower each. Where
//! its requesters' lines are slower than its own, four would leave it idle. Which of the two is so cannot
//! be asked; so it is tried, as TCP Vegas and its like probe for room: now and then one turn more, which
//! stays if it brought at least half of what another line of its own would have.
//!
//! Invariant: never fewer than `TURNS` nor more than `TURNS_MAX`; on a line that is full, one more at most,
//! and that for one sample in `REST`; what is measured while nobody waits counts for nothing. Ends with the
//! turns of its set.

use std::time::Duration;

use super::TURNS;
use crate::base::Time;

/// So many at most, whatever they bring.
pub(super) const TURNS_MAX: usize = 32;
/// The first trial comes when connections are up to speed.
const FIRST: Duration = Duration::from_secs(1);
/// The next one after one that brought nothing.
const REST: Duration = Duration::from_secs(5);
/// What a turn has to bring, as a share of what the others bring each.
const GAIN: f64 = 0.5;

/// The pace is measured over at least so long,
const SAMPLE: Duration = Duration::from_millis(250);
/// and over so many runs of each turn, from the end of one to the end of another.
const RUNS: usize = 8;

/// What is tried, and how it went.
#[derive(Debug)]
pub(super) struct Climb {
    turns: usize,
    /// While one more is tried: the pace before it, bytes per second.
    before: Option<f64>,
    /// When the next trial may begin.
    next: Option<Time>,
    /// Since when so many runs of so many bytes in all have gone out.
    sample: Option<(Time, usize, u64)>,
}

impl Default for Climb {
    fn default() -> Climb {
        Climb { turns: TURNS, before: None, next: None, sample: None }
    }
}

impl Climb {
    /// How many there are now.
    pub(super) fn turns(&self) -> usize {
        self.turns
    }

    /// A run of `bytes` bytes is out, and somebody waits.
    pub(super) fn sent(&mut self, now: Time, bytes: u64) {
        let Some((since, runs, sum)) = self.sample else {
            self.sample = Some((now, 0, 0));
            return;
        };
        let (took, runs, sum) = (now.since(since), runs + 1, sum + bytes);
        self.sample = Some((since, runs, sum));
        if took >= SAMPLE && runs >= RUNS * self.turns {
            self.measured(now, sum as f64 / took.as_secs_f64());
            self.sample = Some((now, 0, 0));
        }
    }

    /// So many bytes went out a second.
    fn measured(&mut self, now: Time, pace: f64) {
        let next = *self.next.get_or_insert(now + FIRST);
        if let Some(before) = self.before.take() {
            let others = (self.turns - 1) as f64;
            if pace < before * (1.0 + GAIN / others) {
                self.turns -= 1;
                self.next = Some(now + REST);
                return;
            }
        } else if now < next {
            return;
        }
        if self.turns < TURNS_MAX {
            self.before = Some(pace);
            self.turns += 1;
        }
    }

    /// Nobody waits.
    pub(super) fn idle(&mut self) {
        self.sample = None;
        if self.before.take().is_some() {
            self.turns -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::dice::{Dice, at, rounds};

    /// The turns after so many samples where a line carries `line` and each requester takes `each`, and
    /// how many samples had more turns than fill the line.
    fn climb(line: f64, each: f64, samples: u64, dice: &mut Dice) -> (usize, usize) {
        let (mut climb, mut above) = (Climb::default(), 0);
        let fill = (line / each).ceil() as usize;
        for n in 1..=samples {
            above += usize::from(climb.turns() > fill.max(TURNS));
            let noise = 0.98 + dice.below(41) as f64 / 1_000.0;
            climb.measured(at(n * 250), line.min(each * climb.turns() as f64) * noise);
        }
        (climb.turns(), above)
    }

    #[test]
    fn a_full_line_keeps_its_few_turns_and_slow_requesters_get_as_many_as_fill_it() {
        rounds(|dice| {
            let (turns, above) = climb(100.0, 25.0, 400, dice);
            assert!(turns <= TURNS + 1 && above <= 20, "{turns}, {above} too many");
            let (turns, _) = climb(100.0, 10.0, 60, dice);
            assert!((9..=11).contains(&turns), "{turns}");
            let (turns, _) = climb(1e9, 10.0, 400, dice);
            assert!(turns > TURNS_MAX / 2, "{turns}");
        });
    }

    #[test]
    fn a_trial_in_which_nobody_waited_is_no_trial() {
        let mut climb = Climb::default();
        climb.measured(at(0), 1.0);
        climb.measured(at(1_000), 1.0);
        assert_eq!(climb.turns(), TURNS + 1);
        climb.idle();
        assert_eq!(climb.turns(), TURNS);
        climb.idle();
        assert_eq!(climb.turns(), TURNS, "and none goes for nothing");
    }
}
