//! What one owner hands out to many, whatever they want, skip, acknowledge, and whoever leaves.

use std::collections::BTreeMap;

use super::*;
use crate::logic::dice::{Dice, rounds};
use crate::logic::spread::CROWD;

const ITEMS: u32 = 24;

/// A requester's transfer, and what of it counts as handed out: true once it was acknowledged.
struct One {
    upload: Upload,
    handed: BTreeMap<u32, bool>,
}

struct Model {
    spread: Spread,
    all: Vec<One>,
    /// Copies that those who are gone have acknowledged.
    kept: BTreeMap<u32, u16>,
}

fn some(dice: &mut Dice) -> Range {
    let first = dice.below(u64::from(ITEMS)) as u32;
    range(first, 1 + dice.below(u64::from(ITEMS - first)) as u32)
}

impl Model {
    fn join(&mut self) {
        let upload = Upload::new(Items::chunks(u64::from(ITEMS) * 256 * KIB), Bitmap::all(ITEMS));
        self.spread.join();
        self.all.push(One { upload, handed: BTreeMap::new() });
    }

    fn leave(&mut self, at: usize) {
        let mut one = self.all.remove(at);
        one.upload.leave(&mut self.spread);
        self.spread.leave();
        let acked = one.handed.into_iter().filter(|(_, acked)| *acked);
        acked.for_each(|(item, _)| *self.kept.entry(item).or_default() += 1);
    }

    /// One who is still counted is asked for what goes out next.
    fn step(&mut self, at: usize) {
        let One { upload, handed } = &mut self.all[at];
        let wanted: Vec<u32> = upload.wanted.iter().copied().collect();
        let copies: Vec<u16> = wanted.iter().map(|item| self.spread.copies(*item)).collect();
        let alone = self.spread.is_alone();
        let has_step = upload.has_step(&self.spread).is_some();
        let step = upload.next(&mut self.spread);
        assert!(step.is_some() || !has_step, "a turn for nothing");
        let sends = matches!(step, Some(Step::Send(_)));
        assert!(has_step || !sends, "{step:?} comes without a turn");
        if let Some(Step::Announce(run)) = step {
            assert!(run.count == 1 && wanted.contains(&run.first), "{run:?} of {wanted:?}");
            let place = wanted.iter().position(|item| *item == run.first).unwrap();
            let rarest = copies.iter().min().unwrap();
            assert!(alone || copies[place] == *rarest, "{run:?} of {wanted:?} with {copies:?}");
            assert!(upload.ready.len() <= self.spread.ahead(), "announced too far ahead");
            assert_eq!(handed.insert(run.first, false), None, "{run:?} twice to one");
        }
    }

    fn hear(&mut self, at: usize, dice: &mut Dice) {
        let One { upload, handed } = &mut self.all[at];
        let run = some(dice);
        match dice.below(6) {
            0..3 => upload.on_want(&want(&[run], &[some(dice)], 1 + dice.below(9) as u16)).unwrap(),
            3 => {
                let sent: Vec<u32> = run.iter().filter(|i| upload.sent.contains(*i)).collect();
                upload.on_ack(&ack(&[run])).unwrap();
                for item in sent {
                    handed.entry(item).and_modify(|acked| *acked = true);
                }
            }
            4 => {
                upload.on_skip(&skip(run), &mut self.spread).unwrap();
                handed.retain(|item, acked| *acked || !run.iter().contains(item));
            }
            _ => {
                upload.on_stale(run, &mut self.spread);
                handed.retain(|item, acked| *acked || !run.iter().contains(item));
            }
        }
    }

    fn check(&self) {
        for item in 0..ITEMS {
            let here = self.all.iter().filter(|one| one.handed.contains_key(&item)).count() as u16;
            let copies = here + self.kept.get(&item).copied().unwrap_or(0);
            assert_eq!(self.spread.copies(item), copies, "copies of item {item}");
        }
        assert_eq!(self.spread.is_alone(), self.all.len() <= 1);
        assert_eq!(self.spread.ahead() == 1, self.all.len() > CROWD as usize);
    }
}

#[test]
fn nothing_goes_out_twice_while_something_wanted_did_not_and_no_count_drifts() {
    rounds(|dice| {
        let mut model =
            Model { spread: Spread::new(ITEMS), all: Vec::new(), kept: BTreeMap::new() };
        let most = 1 + dice.below(12) as usize;
        for _ in 0..300 {
            let at = dice.below(model.all.len() as u64) as usize;
            match dice.below(20) {
                0 | 1 if model.all.len() < most => model.join(),
                2 if !model.all.is_empty() => model.leave(at),
                3..12 if !model.all.is_empty() => model.step(at),
                _ if !model.all.is_empty() => model.hear(at, dice),
                _ => {}
            }
            model.check();
        }
    });
}
