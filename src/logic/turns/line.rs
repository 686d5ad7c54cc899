//! Turns on a line: what each set and requester gets in the end, when the kernel divides a line evenly among
//! those who are served.

use std::collections::BTreeMap;

use super::*;
use crate::logic::dice::{Dice, at, rounds};

const RUN: u64 = 256 * 1024;
/// What the line carries in a step of 10 ms: 12.5 MiB/s.
const LINE: f64 = 128.0 * 1024.0;
const STEP: u64 = 10;

/// One requester: what its own line carries in a step, what is left of its run, and what it has got.
struct Requester {
    set: SetKey,
    own: f64,
    left: Option<f64>,
    /// What it got in the last step of a run beyond that.
    ahead: f64,
    got: f64,
    runs: u32,
    /// The longest that it waited for a turn, in milliseconds, and since when it waits.
    waited: u64,
    asked: u64,
}

struct Line {
    turns: Turns,
    all: Vec<Requester>,
    now: u64,
}

impl Line {
    /// Sets of so many requesters, each with a line of such a part of the owner's.
    fn new(sets: &[(u64, f64)]) -> Line {
        let mut line = Line { turns: Turns::default(), all: Vec::new(), now: 0 };
        sets.iter().for_each(|(count, own)| line.join(*count, *own));
        line
    }

    fn join(&mut self, count: u64, own: f64) {
        let number = self.all.last().map_or(0, |last| last.set[0] + 1);
        for _ in 0..count {
            let (own, asked) = (own * LINE, self.now);
            self.all.push(Requester {
                set: [number; 32],
                own,
                left: None,
                ahead: 0.0,
                got: 0.0,
                runs: 0,
                waited: 0,
                asked,
            });
        }
    }

    /// The last of them leaves.
    fn leave(&mut self) {
        if let Some(one) = self.all.pop() {
            self.turns.over(at(self.now), &one.set, self.all.len() as u64, 0);
        }
    }

    fn play(&mut self, ms: u64) {
        for _ in 0..ms / STEP {
            self.now += STEP;
            for who in 0..self.all.len() {
                if self.all[who].left.is_none() {
                    self.ask(who);
                }
            }
            self.flow();
        }
    }

    fn ask(&mut self, who: usize) {
        let one = &mut self.all[who];
        if self.turns.ask(at(self.now), &one.set, who as u64, RUN) == Turn::Yours {
            one.left = Some(RUN as f64 - one.ahead);
            one.waited = one.waited.max(self.now - one.asked);
        }
    }

    /// A step's bytes: as even as those who have less of a line allow.
    fn flow(&mut self) {
        let mut going: Vec<usize> = (0..self.all.len()).collect();
        going.retain(|who| self.all[*who].left.is_some());
        going.sort_by(|a, b| self.all[*a].own.total_cmp(&self.all[*b].own));
        let mut room = LINE;
        for (n, who) in going.iter().enumerate() {
            let one = &mut self.all[*who];
            let bytes = one.own.min(room / (going.len() - n) as f64);
            room -= bytes;
            one.got += bytes;
            let left = one.left.unwrap_or(0.0) - bytes;
            one.left = Some(left).filter(|left| *left > 0.0);
            one.ahead = (-left).max(0.0);
            if one.left.is_none() {
                (one.runs, one.asked) = (one.runs + 1, self.now);
                self.turns.over(at(self.now), &one.set, *who as u64, RUN);
                // Its writer has more to send at once.
                self.ask(*who);
            }
        }
    }

    /// What each set is sent in so many milliseconds, as parts of what the line could carry.
    fn shares(&mut self, ms: u64) -> Vec<f64> {
        let sums = |line: &Line| {
            let mut sums: BTreeMap<SetKey, f64> = BTreeMap::new();
            line.all.iter().for_each(|one| *sums.entry(one.set).or_default() += one.got);
            sums
        };
        let before = sums(self);
        self.play(ms);
        let could = LINE * (ms / STEP) as f64;
        sums(self)
            .iter()
            .map(|(set, sum)| (sum - before.get(set).unwrap_or(&0.0)) / could)
            .collect()
    }
}

#[test]
fn a_set_that_one_wants_gets_as_much_of_the_line_as_one_that_eight_want() {
    for (many, few) in [(8, 1), (64, 1), (64, 2), (5, 4)] {
        let mut line = Line::new(&[(many, 1.0)]);
        line.play(3_000);
        line.join(few, 1.0);
        let shares = line.shares(3_000);
        let least = shares.iter().copied().fold(f64::MAX, f64::min);
        assert!(least > 0.42, "{many} and {few}: {shares:?}");
        let later = line.shares(10_000);
        assert!(later.iter().all(|share| *share > 0.45), "{many} and {few}: {later:?}");
    }
}

#[test]
fn whoever_is_alone_again_has_the_whole_line_as_before() {
    let mut line = Line::new(&[(8, 0.25), (1, 1.0)]);
    line.play(3_000);
    line.leave();
    line.play(1_000);
    let share = line.shares(2_000)[0];
    assert!(share > 0.95, "{share}");
}

#[test]
fn slow_requesters_of_one_set_leave_the_line_to_another_and_do_not_lose_their_own() {
    // Eight with a tenth each, and one that could fill the line: half of it each is fair.
    let mut line = Line::new(&[(8, 0.1), (1, 1.0)]);
    line.play(10_000);
    let shares = line.shares(10_000);
    assert!(shares[0] > 0.38 && shares[1] > 0.38, "{shares:?}");
    // Eight and one with a twentieth: nobody is in another's way.
    let mut line = Line::new(&[(8, 0.05)]);
    line.play(20_000);
    line.join(1, 0.05);
    let shares = line.shares(10_000);
    assert!(shares[0] > 0.25 && shares[1] > 0.045, "{shares:?}");
}

#[test]
fn a_level_that_was_not_judged_yet_when_it_ended_costs_nothing_that_was_climbed() {
    let mut line = Line::new(&[(16, 0.05)]);
    line.play(60_000);
    let climbed = line.turns.climb.turns();
    assert!(climbed > 12, "{climbed}");
    for _ in 0..4 {
        // Somebody fetches one run of another set.
        line.join(1, 1.0);
        line.play(100);
        line.leave();
        line.play(1_000);
    }
    line.play(20_000);
    assert!(line.turns.climb.turns() + 1 >= climbed, "{} of {climbed}", line.turns.climb.turns());
}

#[test]
fn what_was_found_out_about_some_is_forgotten_when_they_are_gone() {
    let mut line = Line::new(&[(16, 0.05)]);
    line.play(30_000);
    assert!(line.turns.climb.turns() > TURNS);
    while !line.all.is_empty() {
        line.leave();
    }
    line.play(1_000);
    line.join(8, 1.0);
    line.play(500);
    assert_eq!(line.turns.climb.turns(), TURNS);
}

/// Nobody starves, the line is used as far as requesters' lines let it, and where theirs are as good as the
/// owner's all sets are even.
#[test]
fn whatever_is_fetched_by_whomever_nobody_starves_and_the_line_is_used() {
    rounds(|dice: &mut Dice| {
        let own = [1.0, 1.0, 0.3, 0.1][dice.below(4) as usize];
        let sets: Vec<(u64, f64)> =
            (0..2 + dice.below(2)).map(|_| (1 + dice.below(8), own)).collect();
        let mut line = Line::new(&sets);
        line.play(if own < 1.0 { 20_000 } else { 4_000 });
        let shares = line.shares(4_000);
        let most: f64 = sets.iter().map(|(count, own)| *count as f64 * own).sum();
        let used: f64 = shares.iter().sum();
        assert!(used > 0.6 * most.min(1.0), "{sets:?}: {shares:?}");
        let longest = line.all.iter().map(|one| one.waited).max().unwrap();
        assert!(longest < 3_000, "{sets:?}: one waited {longest} ms");
        assert!(line.all.iter().all(|one| one.runs > 2), "{sets:?}");
        if own >= 1.0 {
            let fair = 1.0 / sets.len() as f64;
            assert!(shares.iter().all(|share| *share > 0.75 * fair), "{sets:?}: {shares:?}");
        }
    });
}
