//! Whole segments that are not what or where they should be.

use parvi_wal::testing::MemStorage;
use parvi_wal::{Fault, Options, Record, Recovered, Wal};

use super::common::{copy, log_of, open, record, segments};

const SEGMENT: u64 = 4096;

fn log() -> (MemStorage, Vec<Record>, Vec<String>) {
    let (storage, records) = log_of(60, 100, SEGMENT);
    let names = segments(&storage);
    assert!(names.len() >= 3, "{names:?}");
    (storage, records, names)
}

/// Opens twice: what the first said, once the second has the same records and no complaint.
fn open_twice(storage: &MemStorage) -> Recovered {
    let (_, first) = open(storage, SEGMENT);
    let (_, second) = open(storage, SEGMENT);
    assert_eq!(first.records, second.records);
    assert!(second.report.is_whole(), "the second time:\n{}", second.report);
    first
}

#[test]
fn each_missing_segment_is_missed_and_the_records_of_the_others_are_kept() {
    let (storage, records, names) = log();
    for missing in &names {
        let disk = copy(&storage);
        disk.take(missing);
        let found = open_twice(&disk);
        let said = |d: &parvi_wal::Damage| matches!(d.what, Fault::Missing { .. });
        assert!(found.report.damage.iter().any(said), "{missing}:\n{}", found.report);
        let lost = super::common::left_out(&found.records, &records).unwrap();
        assert!(lost > 0 && lost < 40, "{missing}: {lost} lost");
    }
    let disk = copy(&storage);
    names.iter().for_each(|name| drop(disk.take(name)));
    let found = open_twice(&disk);
    assert_eq!(found.report.damage[0].what, Fault::Gone);
}

#[test]
fn swapped_segments_are_put_in_order_by_what_they_say_of_themselves() {
    let (storage, records, names) = log();
    for (one, other) in [(0, 1), (1, 2), (0, 2)] {
        let disk = copy(&storage);
        let (a, b) = (disk.bytes(&names[one]), disk.bytes(&names[other]));
        disk.put(&names[one], b);
        disk.put(&names[other], a);
        let found = open_twice(&disk);
        assert_eq!(found.records, records);
        let misnamed = |d: &&parvi_wal::Damage| matches!(d.what, Fault::Misnamed { .. });
        assert_eq!(found.report.damage.iter().filter(misnamed).count(), 2, "{}", found.report);
    }
}

#[test]
fn a_doubled_segment_is_used_once() {
    let (storage, records, names) = log();
    for (which, name) in names.iter().enumerate() {
        for place in ["00000000000000ff.seg", &names[(which + 1) % names.len()]] {
            let disk = copy(&storage);
            let replaced = names.contains(&place.to_owned());
            disk.put(place, disk.bytes(name));
            let found = open_twice(&disk);
            let doubled = Fault::Doubled { original: name.clone() };
            assert!(found.report.damage.iter().any(|d| d.what == doubled), "{}", found.report);
            let lost = super::common::left_out(&found.records, &records).unwrap();
            assert_eq!(lost > 0, replaced, "{name} as {place}");
            assert!(!segments(&disk).contains(&place.to_owned()) || replaced);
        }
    }
}

#[test]
fn a_segment_of_another_node_is_kept_aside_unread() {
    let (storage, records, names) = log();
    let stranger = MemStorage::default();
    stranger.seed(99);
    let options = Options { owner: [9; 32], ..super::common::options(SEGMENT) };
    let (theirs, _) = Wal::open(std::sync::Arc::new(stranger.clone()), options).unwrap();
    for number in 0..60 {
        theirs.append_durable(&record(5000 + number, 100)).unwrap();
    }
    let from = segments(&stranger);
    for place in ["0000000000000100.seg", &names[1], &names[2]] {
        let disk = copy(&storage);
        let replaced = names.contains(&place.to_owned());
        disk.put(place, stranger.bytes(&from[1]));
        let found = open_twice(&disk);
        let foreign = Fault::Foreign([9; 32]);
        assert!(found.report.damage.iter().any(|d| d.what == foreign), "{}", found.report);
        let lost = super::common::left_out(&found.records, &records).unwrap();
        assert_eq!(lost > 0, replaced, "{place}: {lost}");
        assert!(disk.names().contains(&format!("{place}.bad")), "{:?}", disk.names());
    }
}

#[test]
fn a_segment_from_an_earlier_life_of_the_same_node_does_not_fit() {
    let (storage, _, names) = log();
    let earlier = MemStorage::default();
    earlier.seed(1234);
    let (wal, _) = open(&earlier, SEGMENT);
    for number in 0..60 {
        wal.append_durable(&record(number + 7000, 100 + number as usize % 9)).unwrap();
    }
    let disk = copy(&storage);
    disk.put(&names[1], earlier.bytes(&segments(&earlier)[1]));
    let found = open_twice(&disk);
    let said = found.report.damage.iter().filter(|d| d.what == Fault::Unchained).count();
    assert_eq!(said, 2, "{}", found.report);
    assert!(disk.names().contains(&format!("{}.bad", names[1])), "{:?}", disk.names());
}

#[test]
fn a_checkpoint_from_an_earlier_life_does_not_replace_the_log() {
    let (storage, records, _) = log();
    let earlier = MemStorage::default();
    earlier.seed(4321);
    let (wal, _) = open(&earlier, SEGMENT);
    for _ in 0..20 {
        wal.checkpoint(&[record(7000, 50)]).unwrap();
    }
    let name = segments(&earlier).remove(0);
    storage.put(&name, earlier.bytes(&name));
    let found = open_twice(&storage);
    assert_eq!(super::common::left_out(&records, &found.records), Some(1), "{}", found.report);
    assert!(!found.report.is_whole());
}

#[test]
fn a_record_of_another_segment_does_not_pass_without_its_salt() {
    let (storage, records, names) = log();
    let (first, mut last) = (storage.bytes(&names[0]), storage.bytes(&names[2]));
    // A record with a number that would fit, but from a segment with another salt.
    let one_more = MemStorage::default();
    one_more.seed(77);
    let (wal, _) = open(&one_more, 1 << 20);
    records
        .iter()
        .chain([&record(900, 100)])
        .for_each(|r| assert!(wal.append_lazy(r).unwrap() > 0));
    let bytes = one_more.bytes(&segments(&one_more)[0]);
    let seals = 2;
    for _ in 0..seals {
        wal.append_lazy(&record(901, 100)).unwrap();
    }
    let grown = one_more.bytes(&segments(&one_more)[0]);
    last.extend_from_slice(&grown[bytes.len()..]);
    last.extend_from_slice(&first[1024..1200]);
    storage.put(&names[2], last);
    let found = open_twice(&storage);
    assert_eq!(found.records, records);
    assert!(found.report.torn.is_some());
}

#[test]
fn one_bad_copy_of_a_header_costs_nothing_and_two_cost_the_segment() {
    let (storage, records, names) = log();
    let whole = storage.bytes(&names[1]);
    for (at, what) in [(16, Fault::HeaderCopy), (512 + 56, Fault::HeaderCopy)] {
        let disk = copy(&storage);
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        disk.put(&names[1], bytes);
        let found = open_twice(&disk);
        assert_eq!((found.records, &found.report.damage[0].what), (records.clone(), &what));
    }
    let disk = copy(&storage);
    disk.put(&names[1], [vec![0; 1024], whole[1024..].to_vec()].concat());
    let found = open_twice(&disk);
    assert!(found.report.damage.iter().any(|d| d.what == Fault::Header));
    assert!(found.records.len() < records.len());
    assert!(disk.names().contains(&format!("{}.bad", names[1])));
}

#[test]
fn a_checkpoint_with_a_hole_or_without_its_end_says_so() {
    let (storage, records, _) = log();
    let (wal, _) = open(&storage, SEGMENT);
    wal.checkpoint(&records).unwrap();
    let name = segments(&storage).remove(0);
    let bytes = storage.bytes(&name);
    for (change, lost) in [(0, 0), (40, 0), (200, 2)] {
        let disk = copy(&storage);
        disk.put(&name, bytes[..bytes.len() - change].to_vec());
        let found = open_twice(&disk);
        assert_eq!(super::common::left_out(&found.records, &records), Some(lost));
        assert_eq!(found.report.is_whole(), change == 0, "{}", found.report);
    }
    let disk = copy(&storage);
    let mut hole = bytes.clone();
    hole[2000] ^= 1;
    disk.put(&name, hole);
    let found = open_twice(&disk);
    assert_eq!(super::common::left_out(&found.records, &records), Some(1));
    let incomplete = |d: &parvi_wal::Damage| {
        matches!(d.what, Fault::CheckpointIncomplete { expected: 60, found: 59 })
    };
    assert!(found.report.damage.iter().any(incomplete), "{}", found.report);
}

#[test]
fn a_damaged_file_never_replaces_one_that_was_kept_before() {
    let (storage, _, names) = log();
    let bad = format!("{}.bad", names[1]);
    storage.put(&bad, b"kept before".to_vec());
    storage.put(&names[1], b"noise".to_vec());
    let found = open_twice(&storage);
    assert_eq!(storage.bytes(&bad), b"kept before");
    assert_eq!(found.report.set_aside, [format!("{}.1.bad", names[1])]);
    assert_eq!(storage.bytes(&found.report.set_aside[0]), b"noise");
}

#[test]
fn names_that_are_no_segments_are_left_alone() {
    let (storage, records, names) = log();
    let odd = ["notes.txt", "1.seg", "000000000000000G.seg", "ffffffffffffffff.seg.bad", ".seg"];
    odd.iter().for_each(|name| storage.put(name, b"mine".to_vec()));
    storage.put("ffffffffffffffff.seg", b"noise with a high number".to_vec());
    let found = open_twice(&storage);
    assert_eq!(found.records, records);
    assert!(odd.iter().all(|name| storage.bytes(name) == b"mine"));
    assert!(names.iter().all(|name| storage.names().contains(name)));
    assert!(!storage.names().contains(&"ffffffffffffffff.seg".to_owned()));
}
