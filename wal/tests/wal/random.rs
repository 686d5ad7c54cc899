//! Random lives of a log against the model: append, sync, rotate, checkpoint, fail, restart, crash.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use parvi_wal::testing::{Failure, MemStorage, Trouble};

use super::common::{Dice, count, everywhere, first_seed, open};
use super::model::{Model, Run, Step};

const SEQUENCES: u64 = 100_000;

fn sequence(seed: u64) {
    let mut dice = Dice(seed.rotate_left(32));
    let segment_bytes = 1100 + dice.below(4000);
    let storage = MemStorage::default();
    storage.seed(seed);
    let mut run = Run::new(storage, segment_bytes);
    let faulty = dice.below(4) == 0;
    for _ in 0..dice.below(24) {
        match dice.below(20) {
            0 if !faulty => run.restart(),
            1 => crash(&mut run, &mut dice),
            2..5 if faulty => {
                let at = run.storage.operations() + dice.below(8);
                let trouble = Trouble::ALL[dice.below(6) as usize];
                run.storage.fail(Some(Failure { at, forever: false, only: None, trouble }));
            }
            _ => run.step(Step::random(&mut dice)),
        }
        if run.is_poisoned() && dice.below(2) == 0 {
            run.step(Step::Checkpoint);
        }
    }
    crash(&mut run, &mut dice);
}

/// The power goes and comes back, sometimes once more while the log recovers.
fn crash(run: &mut Run, dice: &mut Dice) {
    let mut storage =
        MemStorage::from_image(run.storage.image().random_survivor(&mut || dice.next()));
    storage.seed(dice.next());
    if dice.below(3) == 0 {
        storage.record();
        let (_, found) = open(&storage, run.segment_bytes);
        run.model.check(&found, true);
        let images = storage.recorded();
        let during = &images[dice.below(images.len() as u64) as usize];
        storage = MemStorage::from_image(during.random_survivor(&mut || dice.next()));
        storage.seed(dice.next());
    }
    let (wal, found) = open(&storage, run.segment_bytes);
    run.model.check(&found, true);
    run.model = Model::of(&found.records);
    run.wal = Some(wal);
    run.storage = storage;
}

#[test]
fn random_lives_lose_nothing_acknowledged_and_invent_nothing() {
    if let Ok(seed) = std::env::var("WAL_SEED") {
        return sequence(seed.parse().unwrap());
    }
    everywhere(count(SEQUENCES), |nth| {
        let seed = first_seed() + nth;
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| sequence(seed))) {
            eprintln!("again with WAL_SEED={seed}");
            resume_unwind(panic);
        }
    });
}
