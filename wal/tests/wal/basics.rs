//! A log that nothing happens to: what goes in comes out, checkpoints replace, limits hold.

use parvi_wal::testing::MemStorage;
use parvi_wal::{
    Activity, Disk, KIND_RESERVED, Options, PAYLOAD_MAX, Record, Storage, Wal, WalError, WalState,
};

use super::common::{OWNER, log_of, open, options, record, segments};

#[test]
fn a_new_log_is_empty_and_what_is_appended_comes_back_in_order() {
    let storage = MemStorage::default();
    let (wal, first) = open(&storage, 4096);
    assert_eq!((first.records.len(), first.report), (0, parvi_wal::Report::default()));
    let mut expected = Vec::new();
    for number in 0..100 {
        let record = record(number, number as usize * 7);
        let seq =
            if number % 3 == 0 { wal.append_lazy(&record) } else { wal.append_durable(&record) };
        assert_eq!(wal.last_record(), seq.unwrap());
        expected.push(record);
    }
    assert!(segments(&storage).len() > 3, "it did not rotate");
    drop(wal);
    let (_, again) = open(&storage, 4096);
    assert_eq!(again.records, expected);
    assert!(again.report.is_whole() && again.report.torn.is_none(), "{}", again.report);
}

#[test]
fn a_log_goes_on_where_it_ended_through_many_openings() {
    let storage = MemStorage::default();
    let mut expected = Vec::new();
    for round in 0..50 {
        let (wal, recovered) = open(&storage, 2048);
        assert_eq!(recovered.records, expected, "round {round}");
        assert!(recovered.report.is_whole() && !recovered.report.rewritten);
        for number in 0..round % 7 {
            let record = record(round * 100 + number, 90);
            wal.append_durable(&record).unwrap();
            expected.push(record);
        }
    }
}

#[test]
fn a_checkpoint_replaces_what_was_before_and_removes_its_files() {
    let (storage, records) = log_of(60, 100, 2048);
    let (wal, _) = open(&storage, 8192);
    let before = wal.bytes_since_checkpoint();
    assert!(before > 60 * 132, "{before}");
    let done = wal.checkpoint(&records[40..]).unwrap();
    assert_eq!(segments(&storage).len(), 1);
    assert_eq!(done.bytes, storage.bytes(&segments(&storage)[0]).len() as u64);
    assert_eq!((wal.bytes_since_checkpoint(), done.untidy.len()), (0, 0));
    wal.append_durable(&record(1000, 10)).unwrap();
    drop(wal);
    let (wal, again) = open(&storage, 2048);
    assert_eq!(again.records[..20], records[40..]);
    assert_eq!(again.records[20..], [record(1000, 10)]);
    assert!(again.report.is_whole() && !again.report.rewritten);
    assert_eq!(wal.bytes_since_checkpoint(), record(1000, 10).stored_len());
}

#[test]
fn a_live_set_that_was_chosen_too_early_is_refused() {
    let (storage, records) = log_of(3, 20, 4096);
    let (wal, _) = open(&storage, 4096);
    let covers = wal.last_record();
    wal.append_lazy(&record(9, 9)).unwrap();
    let refused = wal.checkpoint_through(covers, &records).unwrap_err();
    assert!(matches!(refused, WalError::Overtaken { .. }), "{refused}");
    wal.checkpoint_through(wal.last_record(), &records).unwrap();
}

#[test]
fn records_that_do_not_fit_are_refused_and_leave_no_trace() {
    let (storage, _) = log_of(1, 20, 1 << 20);
    let (wal, _) = open(&storage, 1 << 20);
    let before = wal.bytes_since_checkpoint();
    let long = Record::new(1, vec![1; PAYLOAD_MAX + 1]);
    assert!(matches!(wal.append_durable(&long), Err(WalError::TooLong { .. })));
    let kind = Record::new(KIND_RESERVED, []);
    assert!(matches!(wal.append_lazy(&kind), Err(WalError::KindReserved { .. })));
    assert!(matches!(wal.checkpoint(&[long]), Err(WalError::TooLong { .. })));
    assert_eq!(wal.bytes_since_checkpoint(), before);
    let longest = Record::new(KIND_RESERVED - 1, vec![1; PAYLOAD_MAX]);
    wal.append_durable(&longest).unwrap();
    wal.append_durable(&Record::new(0, [])).unwrap();
    drop(wal);
    let (_, again) = open(&storage, 1 << 20);
    assert_eq!(again.records[1..], [longest, Record::new(0, [])]);
}

#[test]
fn a_million_finished_transfers_leave_the_log_below_16_mib() {
    let storage = MemStorage::default();
    let (wal, _) = Wal::open(std::sync::Arc::new(storage.clone()), Options::new(OWNER)).unwrap();
    let begin = |n: u64| Record::new(1, [[n as u8; 64], [n as u8; 64]].concat());
    let mut checkpoints = 0;
    for number in 0..1_000_000_u64 {
        wal.append_lazy(&begin(number)).unwrap();
        wal.append_lazy(&Record::new(2, number.to_le_bytes())).unwrap();
        wal.append_lazy(&Record::new(3, number.to_le_bytes())).unwrap();
        if wal.wants_checkpoint() {
            // A handful are never finished at any moment.
            let live: Vec<Record> = (number.saturating_sub(8)..=number).map(begin).collect();
            wal.checkpoint_through(wal.last_record(), &live).unwrap();
            checkpoints += 1;
        }
    }
    assert!(checkpoints > 10, "{checkpoints} checkpoints");
    assert!(storage.peak_bytes() < 16 << 20, "{} bytes", storage.peak_bytes());
}

#[test]
fn a_log_tells_what_it_has_done_since_somebody_asked() {
    let (wal, _) = open(&MemStorage::default(), 1 << 20);
    assert_eq!(wal.take_activity(), Activity::default());
    wal.append_lazy(&record(1, 100)).unwrap();
    wal.append_durable(&record(2, 50)).unwrap();
    wal.sync().unwrap();
    let bytes = wal.bytes_since_checkpoint();
    let appended = Activity { appends: 2, bytes, syncs: 1, checkpoints: 0 };
    assert!(bytes > 150 && wal.take_activity() == appended, "one sync for both, none for nothing");
    let bytes = wal.checkpoint(&[record(2, 50)]).unwrap().bytes;
    assert_eq!(wal.take_activity(), Activity { bytes, checkpoints: 1, ..Activity::default() });
    assert_eq!(wal.take_activity(), Activity::default());
}

#[test]
fn a_large_live_set_does_not_ask_for_a_checkpoint_at_every_step() {
    let storage = MemStorage::default();
    let options = Options { checkpoint_bytes: 4096, ..options(8192) };
    let (wal, _) = Wal::open(std::sync::Arc::new(storage), options).unwrap();
    let live: Vec<Record> = (0..1000).map(|n| record(n, 100)).collect();
    wal.checkpoint(&live).unwrap();
    for number in 0..500 {
        wal.append_lazy(&record(number, 100)).unwrap();
        assert!(!wal.wants_checkpoint(), "after {number}");
    }
    for number in 0..600 {
        wal.append_lazy(&record(number, 100)).unwrap();
    }
    assert!(wal.wants_checkpoint());
}

#[test]
fn a_real_directory_keeps_a_log_over_rotations_checkpoints_and_openings() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("wal");
    let mut expected = Vec::new();
    for round in 0..4 {
        let (wal, recovered) = Wal::open_dir(&path, options(4096)).unwrap();
        assert_eq!(recovered.records, expected, "{}", recovered.report);
        assert!(recovered.report.is_whole(), "{}", recovered.report);
        assert_eq!(wal.state(), WalState::Ready);
        for number in 0..50 {
            let record = record(round * 50 + number, 200);
            wal.append_durable(&record).unwrap();
            expected.push(record);
        }
        if round == 2 {
            expected.drain(..120);
            wal.checkpoint(&expected).unwrap();
        }
    }
    let disk = Disk::read_only(&path);
    let expected_names =
        |name: &String| name.ends_with(".seg") || name == "lock" || name == "started";
    assert!(disk.list().unwrap().iter().all(expected_names));
}
