//! Every operation fails, once and for ever, in every way.

use std::sync::Arc;

use parvi_wal::testing::{Failure, MemStorage, Operation, Trouble};
use parvi_wal::{Wal, WalError, WalState};

use super::common::{Dice, count, everywhere, first_seed, log_of, open, options, record, segments};
use super::model::{Model, Owed, Run, Step};

const SEGMENT: u64 = 2600;

/// Steps that rotate and replace; a poisoned log gets a checkpoint in between.
fn live_through(run: &mut Run) {
    use Step::{Checkpoint, Durable, Lazy, Sync};
    let steps = [
        Durable(60),
        Lazy(700),
        Durable(600),
        Lazy(1200),
        Durable(30),
        Sync,
        Checkpoint,
        Lazy(10),
        Durable(900),
        Lazy(600),
        Lazy(600),
        Durable(1300),
        Checkpoint,
        Durable(5),
    ];
    for step in steps {
        run.step(step);
        if run.is_poisoned() {
            run.step(Step::Checkpoint);
        }
    }
}

/// After the failure: with everything kept and with nothing but what is durable.
fn crash_both_ways(run: &Run, seed: u64) {
    let mut dice = Dice(seed);
    let image = run.storage.image();
    let mut survivors = vec![image.survivors().remove(0)];
    survivors.extend((0..3).map(|_| image.random_survivor(&mut || dice.next())));
    for survivor in survivors {
        let (_, found) = open(&MemStorage::from_image(survivor), SEGMENT);
        run.model.check(&found, true);
    }
}

fn operations() -> u64 {
    let mut run = Run::new(MemStorage::default(), SEGMENT);
    live_through(&mut run);
    assert_eq!(run.refused, 0);
    run.storage.operations()
}

#[test]
fn any_operation_that_fails_once_or_for_ever_costs_no_acknowledged_record() {
    let operations = operations();
    let kinds = Trouble::ALL.len() as u64 * 2;
    everywhere(operations * kinds, |case| {
        let (at, kind) = (case / kinds, case % kinds);
        let trouble = Trouble::ALL[(kind / 2) as usize];
        let failure = Failure { at, forever: kind % 2 == 1, only: None, trouble };
        // An interruption or a short count is nobody's business.
        let harmless = !failure.forever && matches!(trouble, Trouble::Eintr | Trouble::Short);
        let storage = MemStorage::default();
        storage.fail(Some(failure));
        let Ok((wal, found)) = Wal::open(Arc::new(storage.clone()), options(SEGMENT)) else {
            assert!(!harmless, "{failure:?}");
            storage.fail(None);
            let (_, found) = open(&storage, SEGMENT);
            return Model::of(&[]).check(&found, true);
        };
        let model = Model::of(&found.records);
        let (wal, segment_bytes) = (Some(wal), SEGMENT);
        let mut run = Run { storage, wal, model, segment_bytes, next: 0, refused: 0 };
        live_through(&mut run);
        assert!(run.refused == 0 || !harmless, "{failure:?}");
        crash_both_ways(&run, case);
        // When the disk is well again the log is, too, after a checkpoint at most.
        run.storage.fail(None);
        if run.is_poisoned() {
            run.step(Step::Checkpoint);
        }
        let refused = run.refused;
        run.step(Step::Durable(100));
        assert_eq!(run.refused, refused, "{failure:?}: still refuses");
        crash_both_ways(&run, case);
        run.restart();
    });
}

#[test]
fn failures_of_one_kind_of_operation_for_ever_cost_no_acknowledged_record() {
    use Operation::{
        Create, Len, List, Open, Read, Remove, Rename, Sync, SyncDir, Truncate, Write,
    };
    let kinds = [List, Open, Create, Rename, Remove, SyncDir, Len, Read, Write, Truncate, Sync];
    let operations = operations();
    everywhere(operations * kinds.len() as u64 * 6, |case| {
        let trouble = Trouble::ALL[(case % 6) as usize];
        let only = Some(kinds[(case / 6) as usize % kinds.len()]);
        let at = case / 6 / kinds.len() as u64;
        let mut run = Run::new(MemStorage::default(), SEGMENT);
        run.storage.fail(Some(Failure { at, forever: true, only, trouble }));
        live_through(&mut run);
        crash_both_ways(&run, case);
        run.storage.fail(None);
        run.restart();
    });
}

#[test]
fn recovery_that_fails_at_any_operation_leaves_all_for_the_next() {
    let mut run = Run::new(MemStorage::default(), SEGMENT);
    live_through(&mut run);
    let mut dice = Dice(3);
    (0..12).for_each(|_| run.step(Step::Durable(200 + dice.below(300) as usize)));
    drop(run.wal.take());
    // Torn, and with corruption in the middle, so that it has much to do.
    let name = segments(&run.storage).remove(0);
    let mut bytes = run.storage.bytes(&name);
    let mut images = vec![run.storage.image()];
    bytes[1500] ^= 1;
    run.storage.put(&name, bytes);
    images.push(run.storage.image());
    for image in images {
        let storage = MemStorage::from_image(image.clone());
        let (wal, expected) = open(&storage, SEGMENT);
        drop(wal);
        let operations = storage.operations();
        everywhere(operations * 12, |case| {
            let (at, kind) = (case / 12, case % 12);
            let trouble = Trouble::ALL[(kind / 2) as usize];
            let storage = MemStorage::from_image(image.clone());
            storage.fail(Some(Failure { at, forever: kind % 2 == 1, only: None, trouble }));
            let first = Wal::open(Arc::new(storage.clone()), options(SEGMENT)).map(|(_, r)| r);
            storage.fail(None);
            let bad_disk = first.as_ref().is_ok_and(|r| r.records != expected.records);
            let unread = first.as_ref().is_ok_and(|r| !r.report.is_whole());
            assert!(!bad_disk || unread, "{trouble:?} at {at}: lost without a word");
            if !bad_disk {
                let (_, again) = open(&storage, SEGMENT);
                assert_eq!(again.records, expected.records, "{trouble:?} at {at}");
            }
        });
    }
}

/// The storage that fails its syncs.
fn failing(operation: Operation, at: u64) -> Failure {
    Failure { at, forever: false, only: Some(operation), trouble: Trouble::Eio }
}

#[test]
fn nothing_is_acknowledged_after_a_failed_sync_and_the_file_is_not_synced_again() {
    let (storage, _) = log_of(3, 50, 1 << 20);
    let (wal, _) = open(&storage, 1 << 20);
    wal.append_lazy(&record(10, 50)).unwrap();
    storage.fail(Some(Failure { forever: true, ..failing(Operation::Sync, storage.operations()) }));
    assert!(matches!(wal.append_durable(&record(11, 50)), Err(WalError::Poisoned { .. })));
    // The disk seems well again; only a new file may be relied on.
    storage.fail(None);
    let operations = storage.operations();
    for _ in 0..3 {
        assert!(matches!(wal.append_durable(&record(12, 50)), Err(WalError::Poisoned { .. })));
        assert!(matches!(wal.append_lazy(&record(12, 50)), Err(WalError::Poisoned { .. })));
        assert!(matches!(wal.sync(), Err(WalError::Poisoned { .. })));
    }
    assert_eq!(storage.operations(), operations, "a poisoned file was touched");
    let WalState::Poisoned { reason } = wal.state() else { panic!("it should be poisoned") };
    assert!(reason.contains("could not sync") && wal.wants_checkpoint(), "{reason}");
    let old = segments(&storage);
    wal.checkpoint(&[record(10, 50)]).unwrap();
    assert_eq!(wal.state(), WalState::Ready);
    assert!(segments(&storage).iter().all(|name| !old.contains(name)), "the same file again");
    wal.append_durable(&record(13, 50)).unwrap();
    let survivor = storage.image().survivors().remove(0);
    let (_, found) = open(&MemStorage::from_image(survivor), 1 << 20);
    assert_eq!(found.records, [record(10, 50), record(13, 50)]);
}

#[test]
fn a_failed_write_is_cut_back_and_only_it_failed() {
    for trouble in [Trouble::Part, Trouble::Late, Trouble::Enospc, Trouble::Eio] {
        let (storage, mut records) = log_of(3, 50, 1 << 20);
        let (wal, _) = open(&storage, 1 << 20);
        let name = segments(&storage).remove(0);
        let before = storage.bytes(&name);
        storage.fail(Some(Failure { trouble, ..failing(Operation::Write, storage.operations()) }));
        let error = wal.append_durable(&record(10, 3000)).unwrap_err();
        let full = matches!(trouble, Trouble::Part | Trouble::Enospc);
        assert_eq!(error.is_disk_full(), full, "{error}");
        assert_eq!(storage.bytes(&name), before, "{trouble:?}");
        assert_eq!(wal.state(), WalState::Ready);
        records.push(record(11, 50));
        wal.append_durable(&record(11, 50)).unwrap();
        drop(wal);
        assert_eq!(open(&storage, 1 << 20).1.records, records);
    }
}

#[test]
fn a_refused_record_that_a_crash_brings_back_does_not_discredit_the_checkpoint_after_it() {
    let (storage, records) = log_of(3, 50, 1 << 20);
    let (wal, _) = open(&storage, 1 << 20);
    let at = storage.operations();
    storage.fail(Some(Failure { trouble: Trouble::Late, ..failing(Operation::Write, at) }));
    wal.append_lazy(&record(10, 50)).unwrap_err();
    storage.fail(None);
    storage.record();
    wal.checkpoint(&[record(11, 50)]).unwrap();
    let mut model = Model::of(&records);
    model.histories[0].push((record(10, 50), Owed::Perhaps));
    model.histories.extend(Model::of(&[record(11, 50)]).histories);
    for survivor in storage.recorded().iter().flat_map(parvi_wal::testing::Image::survivors) {
        model.check(&open(&MemStorage::from_image(survivor), 1 << 20).1, true);
    }
}

#[test]
fn a_cut_back_that_fails_poisons_the_log() {
    let (storage, _) = log_of(3, 50, 1 << 20);
    let (wal, _) = open(&storage, 1 << 20);
    let at = storage.operations();
    storage.fail(Some(Failure { at, forever: true, only: None, trouble: Trouble::Part }));
    wal.append_lazy(&record(10, 3000)).unwrap_err();
    storage.fail(None);
    assert!(matches!(wal.state(), WalState::Poisoned { .. }));
}

#[test]
fn a_full_disk_refuses_records_until_there_is_space() {
    let (storage, records) = log_of(3, 50, 2000);
    let (wal, _) = open(&storage, 2000);
    let at = storage.operations();
    let trouble = Trouble::Enospc;
    for only in [Operation::Write, Operation::Create] {
        storage.fail(Some(Failure { at, forever: true, only: Some(only), trouble }));
        for _ in 0..5 {
            assert!(wal.append_durable(&record(5, 1500)).unwrap_err().is_disk_full());
        }
    }
    storage.fail(None);
    wal.append_durable(&record(5, 1500)).unwrap();
    drop(wal);
    let (_, found) = open(&storage, 2000);
    assert_eq!(found.records, [records, vec![record(5, 1500)]].concat());
    assert!(found.report.is_whole(), "{}", found.report);
}

#[test]
fn random_failures_at_random_moments_are_survived() {
    everywhere(count(2000), |nth| {
        let seed = first_seed() + nth;
        let mut dice = Dice(seed << 32);
        let mut run = Run::new(MemStorage::default(), SEGMENT);
        for _ in 0..30 {
            if dice.below(4) == 0 {
                let at = run.storage.operations() + dice.below(6);
                let trouble = Trouble::ALL[dice.below(6) as usize];
                run.storage.fail(Some(Failure {
                    at,
                    forever: dice.below(3) == 0,
                    only: None,
                    trouble,
                }));
            } else if dice.below(3) == 0 {
                run.storage.fail(None);
            }
            run.step(Step::random(&mut dice));
            if run.is_poisoned() && dice.below(2) == 0 {
                run.step(Step::Checkpoint);
            }
        }
        crash_both_ways(&run, seed);
    });
}
