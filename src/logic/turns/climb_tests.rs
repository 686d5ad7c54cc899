//! How turns are climbed: on lines of one set, on a flicker of sets, and what a trial has to bring.

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
        let pace = line.min(each * climb.turns() as f64) * noise;
        measured(&mut climb, n * 250, pace);
    }
    (climb.turns(), above)
}

/// One set is sent that much a second.
fn measured(climb: &mut Climb, ms: u64, pace: f64) {
    climb.contend(at(ms), 0.0, std::iter::empty());
    climb.measured(at(ms), Pace { all: pace, least: pace }, Even::Yes, 1);
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
    measured(&mut climb, 0, 1.0);
    measured(&mut climb, 1_000, 1.0);
    assert_eq!(climb.turns(), TURNS + 1);
    climb.idle();
    assert_eq!(climb.turns(), TURNS);
    climb.idle();
    assert_eq!(climb.turns(), TURNS, "and none goes for nothing");
}

#[test]
fn sets_that_come_and_go_leave_no_turn_behind() {
    // Another set visits during every trial, and no level is due: each such trial ends as none.
    let mut climb = Climb::default();
    let both: [SetKey; 2] = [[1; 32], [2; 32]];
    let mut ms = 0;
    for _ in 0..200 {
        while !matches!(climb.probe, Probe::Trial(_)) {
            ms += 250;
            measured(&mut climb, ms, 1.0);
        }
        let tried = climb.turns();
        climb.rests = Some(at(ms + 60_000));
        climb.contend(at(ms), 0.0, both.iter().map(|set| (set, 2)));
        assert_eq!(climb.turns(), tried - 1, "the trial is over");
    }
    assert_eq!(climb.turns(), TURNS);
}

#[test]
fn a_trial_stays_if_it_brings_something_and_harms_nobody_or_helps_the_worst_off() {
    let trial = Trial { before: Pace { all: 100.0, least: 20.0 }, gain: GAIN_SEVERAL };
    for (all, least, good, why) in [
        (110.0, 20.0, true, "more for all"),
        (107.0, 20.0, false, "too little"),
        (110.0, 18.0, true, "the worst off hardly feels it"),
        (130.0, 16.0, false, "it harms the worst off"),
        (100.0, 23.0, true, "better for the worst off"),
        (100.0, 21.0, false, "hardly better for the worst off"),
        (70.0, 40.0, false, "better for the worst off at too high a price"),
    ] {
        assert_eq!(trial.is_good(Pace { all, least }), good, "{why}");
    }
}
