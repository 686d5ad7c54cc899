//! How many of each set are served at a time: more than the first few only while that brings more.
//!
//! Where this node's line is what limits it, four runs at a time fill it, and more would only be slower each. Where
//! its requesters' lines are slower than its own, four would leave it idle. Which of the two is so cannot
//! be asked; so it is tried, as TCP Vegas and its like probe for room: now and then one turn more, which
//! stays if it brought at least half of what another line of its own would have.
//!
//! While several sets are fetched they begin level, with as many turns each as the one that can use fewest; one
//! more stays, too, if it makes the worst off of them better. If the level cost so much that its requesters' lines
//! must be what limits it, what was before comes back.
//!
//! Invariant: never fewer than the base nor more than `TURNS_MAX`; on a line that is full, one more at most,
//! and that for one sample in `REST`; what is measured while nobody uses all its turns counts for nothing. Ends when the last
//! set has gone: those who come later have other lines.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{SAMPLE, TURNS};
use crate::base::Time;
use crate::logic::ledger::SetKey;

/// So many at most, whatever they bring.
pub(super) const TURNS_MAX: usize = 32;
/// The first trial comes when connections are up to speed.
const FIRST: Duration = Duration::from_secs(1);
/// The next one after one that brought nothing.
const REST: Duration = Duration::from_secs(5);
/// What a turn has to bring, as a share of what the others bring each.
const GAIN: f64 = 0.5;
/// The same where there are several sets, as a share of what all have.
const GAIN_SEVERAL: f64 = 0.08;
/// The worst off is better off with so many times the pace.
const BETTER: f64 = 1.1;
/// It is harmed with less than such a part of it.
const HARMED: f64 = 0.85;
/// A set is worse off than others with less than such a part of the best one's pace.
const WORSE: f64 = 0.8;
/// Sets are not levelled again before that, when it cost too much.
const LEVEL_REST: Duration = Duration::from_secs(30);
/// The level cost too much when less than such a part of the pace is left.
const LEVEL: f64 = 0.75;

/// The pace is measured over `SAMPLE` at least,
/// and over so many runs of each turn, from the end of one to the end of another.
const RUNS: usize = 8;
/// But for no longer than this, whatever the slowest of the sets has got.
const SAMPLE_MAX: Duration = Duration::from_secs(2);

/// After the sets were levelled fewer will do: what that costs shows at once.
const RUNS_LEVELLED: usize = 4;

/// The paces of a sample, bytes per second: of all sets, and of those that contend for the line the one of the
/// worst off.
#[derive(Debug, Clone, Copy)]
struct Pace {
    all: f64,
    least: f64,
}

/// Whether the sets are sent about as much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Even {
    Yes,
    /// No, and who is worst off could use another turn.
    WithMore,
    /// No, and it could not.
    No,
}

/// What was sent since a moment.
#[derive(Debug)]
struct Sample {
    since: Time,
    runs: usize,
    /// Of each set, runs and bytes.
    sets: BTreeMap<SetKey, (usize, u64)>,
}

/// One more turn is tried.
#[derive(Debug)]
struct Trial {
    before: Pace,
    /// The part of it that the new turns have to bring.
    gain: f64,
}

/// What the sample that is taken is to judge.
#[derive(Debug)]
enum Probe {
    Nothing,
    /// What one more turn brings; `turns` has it.
    Trial(Trial),
    /// What the level costs: all sets' pace and the turns before.
    Level(f64, usize),
}

/// How many there are, what is tried, and how it went.
#[derive(Debug)]
pub(super) struct Climb {
    turns: usize,
    base: usize,
    /// How many have a turn together, all sets.
    served: usize,
    probe: Probe,
    /// When the next trial may begin.
    next: Option<Time>,
    /// Whether one was tried in vain since other sets contend.
    tried: bool,
    /// Whether the sets are to be levelled, and until when they are not.
    is_owed: bool,
    rests: Option<Time>,
    /// When they may be levelled again because they are uneven.
    level_at: Option<Time>,
    sample: Option<Sample>,
    /// So many runs more began before the sets were levelled.
    skip: usize,
}

/// A set that contends for the line, and how many of it would use a turn.
pub(super) type Contender<'a> = (&'a SetKey, usize);

impl Default for Climb {
    fn default() -> Climb {
        Climb {
            turns: TURNS,
            base: TURNS,
            served: TURNS,
            probe: Probe::Nothing,
            next: None,
            tried: false,
            is_owed: false,
            rests: None,
            level_at: None,
            sample: None,
            skip: 0,
        }
    }
}

impl Climb {
    /// How many there are now, of each set.
    pub(super) fn turns(&self) -> usize {
        self.turns
    }

    /// How many have a turn together now, if all is used.
    pub(super) fn served(&self) -> usize {
        self.served
    }

    /// Who contends for the line now, which carried so many bytes a second lately: a set that can use fewer turns
    /// than all others begins a level.
    pub(super) fn contend<'a>(
        &mut self,
        now: Time,
        pace: f64,
        sets: impl Iterator<Item = Contender<'a>>,
    ) {
        let members: Vec<usize> = sets.map(|(_, members)| members).collect();
        let fewest = members.iter().copied().min().filter(|_| members.len() > 1);
        let base = fewest.map_or(TURNS, |fewest| fewest.clamp(1, TURNS));
        if base != self.base {
            self.end_trial();
            self.is_owed = base < self.base;
            self.turns = self.turns.max(base);
            (self.base, self.sample, self.tried, self.next) = (base, None, false, None);
        }
        if self.is_owed && self.rests.is_none_or(|until| until <= now) {
            self.end_trial();
            // A level that was not judged yet knows better what was before.
            if let Probe::Nothing = self.probe {
                self.probe = Probe::Level(pace, self.turns);
            }
            (self.turns, self.is_owed, self.sample) = (base, false, None);
            (self.skip, self.level_at) = (self.served, Some(now + LEVEL_REST));
        }
        let turns = self.turns;
        self.served = match members.len() {
            0 | 1 => turns,
            _ => members.iter().map(|members| turns.min(*members)).sum(),
        };
    }

    /// A run of `bytes` bytes of `set` is out.
    pub(super) fn sent(&mut self, now: Time, set: &SetKey, bytes: u64) {
        match &mut self.sample {
            None if self.skip > 0 => self.skip -= 1,
            None => self.sample = Some(Sample::new(now)),
            Some(sample) => {
                sample.runs += 1;
                let (runs, sum) = sample.sets.entry(*set).or_default();
                (*runs, *sum) = (*runs + 1, *sum + bytes);
            }
        }
    }

    /// Judges what was tried by what was sent since, when that is enough, and tries something. The sets are
    /// those that contend.
    pub(super) fn measure<'a>(&mut self, now: Time, sets: impl Iterator<Item = Contender<'a>>) {
        let Some(sample) = &self.sample else { return };
        let runs = if let Probe::Level(..) = self.probe { RUNS_LEVELLED } else { RUNS };
        let took = now.since(sample.since);
        if took < SAMPLE || sample.runs < runs * self.served {
            return;
        }
        let of = |set: &SetKey| sample.sets.get(set).copied().unwrap_or_default();
        let sets: Vec<(usize, u64, usize)> =
            sets.map(|(set, members)| (of(set).0, of(set).1, members)).collect();
        let enough =
            |(done, _, members): &(usize, u64, usize)| *done >= runs * self.turns.min(*members);
        if sets.len() > 1 && took < SAMPLE_MAX && !sets.iter().all(enough) {
            return;
        }
        let pace = |bytes: u64| bytes as f64 / took.as_secs_f64();
        let all = pace(sample.sets.values().map(|(_, bytes)| bytes).sum());
        let worst = sets.iter().min_by_key(|(_, bytes, _)| *bytes).filter(|_| sets.len() > 1);
        let (least, members) = worst.map_or((all, 0), |(_, bytes, n)| (pace(*bytes), *n));
        let best = sets.iter().map(|(_, bytes, _)| pace(*bytes)).fold(0.0, f64::max);
        let even = match worst.is_none() || least >= best * WORSE {
            true => Even::Yes,
            false if members > self.turns => Even::WithMore,
            false => Even::No,
        };
        let takers = sets.iter().filter(|(_, _, members)| *members > self.turns).count();
        self.sample = Some(Sample::new(now));
        self.measured(now, Pace { all, least }, even, takers);
    }

    fn measured(&mut self, now: Time, pace: Pace, even: Even, takers: usize) {
        let probe = std::mem::replace(&mut self.probe, Probe::Nothing);
        if let Probe::Level(before, turns) = probe {
            if pace.all < before * LEVEL {
                (self.turns, self.sample) = (turns.max(self.base), None);
                (self.rests, self.next) = (Some(now + LEVEL_REST), Some(now + FIRST));
            }
            // Too short to compare a trial with.
            return;
        }
        // Where there are several sets it is known at once what one more brings.
        let first = if self.base < TURNS { Duration::ZERO } else { FIRST };
        let next = *self.next.get_or_insert(now + first);
        if let Probe::Trial(trial) = probe {
            if !trial.is_good(pace) {
                self.turns -= 1;
                (self.next, self.tried) = (Some(now + REST), true);
                return;
            }
        } else if now < next && (self.tried || even != Even::WithMore) {
            // More are served than was level, and who is worst off has nothing of it.
            let is_time = self.level_at.is_none_or(|then| then <= now);
            self.is_owed |= is_time && even == Even::No && self.turns > self.base;
            return;
        }
        if takers > 0 && self.turns < TURNS_MAX {
            // Where it would harm another set that shows by itself.
            let several = self.base < TURNS;
            let gain = if several { GAIN_SEVERAL } else { GAIN / self.served.max(1) as f64 };
            self.probe = Probe::Trial(Trial { before: pace, gain });
            self.turns += 1;
        }
    }

    /// No set uses all that it may.
    pub(super) fn idle(&mut self) {
        self.sample = None;
        self.end_trial();
    }

    /// One that cannot be judged any more was none.
    fn end_trial(&mut self) {
        if let Probe::Trial(_) = self.probe {
            (self.turns, self.probe) = (self.turns - 1, Probe::Nothing);
        }
    }
}

impl Sample {
    fn new(since: Time) -> Sample {
        Sample { since, runs: 0, sets: BTreeMap::new() }
    }
}

impl Trial {
    /// Whether it brought enough, to all together or to the worst off.
    fn is_good(&self, now: Pace) -> bool {
        let Pace { all, least } = self.before;
        let brings = now.all >= all * (1.0 + self.gain) && now.least >= least * HARMED;
        brings || (now.least >= least * BETTER && now.all >= all * LEVEL)
    }
}

#[cfg(test)]
#[path = "climb_tests.rs"]
mod tests;
