//! The power cut after every storage operation, with what may survive; also while recovering, twice.

use std::sync::atomic::{AtomicU64, Ordering};

use parvi_wal::testing::{Image, MemStorage};

use super::common::{Dice, count, everywhere, first_seed, open, record};
use super::model::{Model, Run, Step};

const SEGMENT: u64 = 2600;

/// A disk as it was after one operation, and what is owed then.
struct Moment {
    image: Image,
    model: Model,
}

/// All of the log's life: creation, rotation, checkpoints, lazy and durable records, a restart.
fn life(seed: u64) -> Vec<Moment> {
    use Step::{Checkpoint, Durable, Lazy, Sync};
    let mut dice = Dice(seed);
    let fixed = [
        Durable(60),
        Lazy(700),
        Lazy(20),
        Durable(600),
        Lazy(90),
        Lazy(1200),
        Durable(30),
        Checkpoint,
        Lazy(10),
        Durable(900),
        Sync,
        Lazy(600),
        Lazy(600),
        Lazy(1300),
        Durable(10),
        Checkpoint,
        Checkpoint,
        Durable(5),
        Lazy(100),
        Lazy(100),
    ];
    let more = (0..20).map(|_| Step::random(&mut dice));
    let storage = MemStorage::default();
    storage.seed(seed);
    storage.record();
    let mut moments = Vec::new();
    let mut run = Run::new(storage.clone(), SEGMENT);
    keep(&storage, &mut moments, &Model::of(&[]), &Model::of(&[]));
    for (at, step) in fixed.into_iter().chain(more).enumerate() {
        storage.record();
        if at == 25 {
            let during = run.model.clone();
            run.restart();
            keep(&storage, &mut moments, &during, &run.model);
            continue;
        }
        let during = run.during(step);
        run.step(step);
        keep(&storage, &mut moments, &during, &run.model);
    }
    moments
}

/// The moments of one step: in its middle `during` is owed, at its end `after`.
fn keep(storage: &MemStorage, moments: &mut Vec<Moment>, during: &Model, after: &Model) {
    let images = storage.recorded();
    for image in images {
        moments.push(Moment { image, model: during.clone() });
    }
    moments.push(Moment { image: storage.image(), model: after.clone() });
}

/// Recovers from `image`; every disk on the way is returned.
fn recover(image: Image, model: &Model, seed: u64) -> Vec<Image> {
    let storage = MemStorage::from_image(image);
    storage.seed(seed);
    storage.record();
    let (wal, found) = open(&storage, SEGMENT);
    let images = storage.recorded();
    model.check(&found, true);
    // It takes records, and returns the same ones again.
    wal.append_durable(&record(1 << 40, 30)).unwrap();
    drop(wal);
    let (_, again) = open(&storage, SEGMENT);
    assert_eq!(again.records.split_last().unwrap().1, found.records);
    assert!(again.report.is_whole(), "after recovery:\n{}", again.report);
    images
}

#[test]
fn a_crash_at_any_operation_whatever_survives_loses_nothing_acknowledged() {
    let states = AtomicU64::new(0);
    for seed in first_seed()..first_seed() + count(4) {
        let moments = life(1000 + seed);
        everywhere(moments.len() as u64, |at| {
            let Moment { image, model } = &moments[at as usize];
            for survivor in image.survivors() {
                recover(survivor, model, at);
                states.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let states = states.into_inner();
    println!("{states} states");
    assert!(states >= 10_000, "only {states} states");
}

#[test]
fn a_process_killed_at_any_operation_and_the_power_cut_after_recovery_lose_nothing() {
    let moments = life(3000);
    everywhere(moments.len() as u64, |at| {
        let Moment { image, model } = &moments[at as usize];
        let storage = MemStorage::from_image(image.clone());
        storage.record();
        let (_wal, found) = open(&storage, SEGMENT);
        model.check(&found, true);
        // The power may go while recovery runs on what the system, not the disk, still knows.
        for during in storage.recorded() {
            for survivor in during.survivors() {
                model.check(&open(&MemStorage::from_image(survivor), SEGMENT).1, true);
            }
        }
        // What recovery returned may be acted upon: from here on it is as good as acknowledged.
        for survivor in storage.image().survivors() {
            let (_, again) = open(&MemStorage::from_image(survivor), SEGMENT);
            Model::of(&found.records).check(&again, true);
        }
    });
}

#[test]
fn a_crash_during_recovery_and_another_during_the_next_lose_nothing_either() {
    let states = AtomicU64::new(0);
    for seed in first_seed()..first_seed() + count(1) {
        let moments = life(2000 + seed);
        everywhere(moments.len() as u64, |at| {
            let Moment { image, model } = &moments[at as usize];
            let mut dice = Dice(at << 20 | seed);
            let survivors = image.survivors();
            for _ in 0..4 {
                let once = survivors[dice.below(survivors.len() as u64) as usize].clone();
                for during in recover(once, model, dice.next()) {
                    let twice = during.random_survivor(&mut || dice.next());
                    let again = recover(twice, model, dice.next());
                    let during = again[dice.below(again.len() as u64) as usize].clone();
                    recover(during.random_survivor(&mut || dice.next()), model, dice.next());
                    states.fetch_add(2, Ordering::Relaxed);
                }
            }
        });
    }
    let states = states.into_inner();
    println!("{states} states");
    assert!(states >= 10_000, "only {states} states");
}
