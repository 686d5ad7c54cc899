//! The invariants of turns, whoever asks, finishes, dawdles or leaves, in any order.

use std::collections::{BTreeSet, VecDeque};

use super::*;
use crate::logic::dice::{Dice, at, rounds};

const RUN: u64 = 256 * 1024;

/// Turns of some sets, `who % sets` is the set of each, and what must be true of them.
struct Model {
    turns: Turns,
    sets: u64,
    /// Who has asked and had no turn, in order.
    queue: VecDeque<u64>,
    now: u64,
}

impl Model {
    fn new(sets: u64) -> Model {
        Model { turns: Turns::default(), sets, queue: VecDeque::new(), now: 0 }
    }

    fn set(&self, who: u64) -> SetKey {
        [(who % self.sets) as u8; 32]
    }

    fn going(&self) -> BTreeMap<u64, Time> {
        self.turns.sets.values().flat_map(|queue| queue.going().clone()).collect()
    }

    fn ask(&mut self, who: u64) -> Turn {
        let before = self.going();
        if !before.contains_key(&who) && !self.queue.contains(&who) {
            self.queue.push_back(who);
        }
        let turn = self.turns.ask(at(self.now), &self.set(who), who, RUN);
        self.check(&before, Some(who));
        let told = turn == Turn::Yours;
        assert!(!told || !self.turns.granted.contains(&who), "{who} is woken for what it knows");
        assert_eq!(told, self.going().contains_key(&who), "{who}");
        if let Turn::Later(then) = turn {
            assert!(then > at(self.now), "{who} would ask without end");
            assert!(then <= at(self.now) + TURN_MAX, "{who} sleeps for too long");
        }
        turn
    }

    fn over(&mut self, who: u64, bytes: u64) {
        self.queue.retain(|one| *one != who);
        let mut before = self.going();
        before.remove(&who);
        self.turns.over(at(self.now), &self.set(who), who, bytes);
        self.check(&before, None);
        assert!(!self.going().contains_key(&who) && !self.queue.contains(&who), "{who} is gone");
    }

    /// Who has got a turn was first of its set in the queue; the line is not left idle, nor divided among too
    /// many. All but `asker`, who is told, are to be woken.
    fn check(&mut self, before: &BTreeMap<u64, Time>, asker: Option<u64>) {
        let going = self.going();
        let news: BTreeSet<u64> =
            going.keys().copied().filter(|who| !before.contains_key(who)).collect();
        for who in &news {
            let lasts = going[who].since(at(self.now));
            assert!((TURN_MIN..=TURN_MAX).contains(&lasts), "{who} has its turn for {lasts:?}");
            let told = asker == Some(*who) || self.turns.granted.contains(who);
            assert!(told, "{who} is not woken");
        }
        self.queue.retain(|who| !going.contains_key(who));
        let turns = self.turns.climb.turns();
        for (set, queue) in &self.turns.sets {
            let waiting = queue.waiting();
            let of_set = self.queue.iter().copied().filter(|who| self.set(*who) == *set);
            assert_eq!(waiting, of_set.collect::<VecDeque<_>>(), "who waits, in order");
            let live = queue.live(at(self.now));
            assert!(live >= turns || waiting.is_empty(), "{waiting:?} wait for nothing");
            let news = news.iter().any(|who| self.set(*who) == *set);
            assert!(!news || live <= turns, "{live} are served");
        }
    }

    fn one_of_those_who_go(&self, dice: &mut Dice) -> Option<u64> {
        let going = self.going();
        going.keys().nth(dice.below(going.len() as u64) as usize).copied()
    }
}

#[test]
fn never_are_more_served_and_nobody_is_passed_over() {
    rounds(|dice| {
        let (mut model, crowd) = (Model::new(1 + dice.below(4)), 1 + dice.below(40));
        // A line of any pace, also one that needs hours for a run.
        model.over(crowd, 0);
        model.now += 1_000;
        model.over(crowd, 1 << dice.below(24));
        for _ in 0..200 {
            model.now += dice.below(120);
            match dice.below(10) {
                0..5 => {
                    model.ask(dice.below(crowd));
                }
                5..8 => {
                    if let Some(who) = model.one_of_those_who_go(dice) {
                        model.over(who, RUN);
                    }
                }
                8 => model.over(dice.below(crowd), 0),
                _ => {
                    let granted = model.turns.granted();
                    let twice: BTreeSet<u64> = granted.iter().copied().collect();
                    assert!(model.turns.granted().is_empty(), "told twice");
                    assert!(twice.len() <= granted.len());
                }
            }
        }
    });
}

/// Nobody finishes: each who waits has its turn all the same, when it asks again at the time it was told.
#[test]
fn nobody_starves_when_all_others_dawdle() {
    rounds(|dice| {
        let (mut model, crowd) = (Model::new(1 + dice.below(4)), 5 + dice.below(40));
        model.over(crowd, dice.below(10) * RUN);
        model.now += 300;
        for who in 0..crowd {
            model.ask(who);
        }
        let last = crowd - 1;
        let mut asked = 0;
        while let Turn::Later(then) = model.ask(last) {
            model.now = then.since(Time::ZERO).as_millis() as u64 + 1;
            asked += 1;
            assert!(asked <= crowd, "{last} waits without end");
        }
    });
}

/// Everybody asks again at once: nobody has more than two turns more than another, one of which goes on.
#[test]
fn all_who_keep_asking_have_as_many_turns() {
    rounds(|dice| {
        let (mut model, crowd) = (Model::new(1), TURNS as u64 + 1 + dice.below(30));
        let mut served = vec![0_u32; crowd as usize];
        for who in 0..crowd {
            model.ask(who);
        }
        for _ in 0..crowd * 4 {
            model.now += dice.below(20);
            let who =
                model.going().into_iter().min_by_key(|(who, until)| (*until, *who)).unwrap().0;
            served[who as usize] += 1;
            model.over(who, RUN);
            model.ask(who);
        }
        let (least, most) = (served.iter().min().unwrap(), served.iter().max().unwrap());
        assert!(most - least <= 2, "{served:?}");
    });
}
