//! A log cut at every byte, and cuts that are not at the end.

use parvi_wal::testing::MemStorage;
use parvi_wal::{Fault, Record};

use super::common::{OWNER, copy, everywhere, left_out, log_of, open, segments};

const SEGMENT: u64 = 24 * 1024;

/// 1,000 records in three segments.
fn log() -> (MemStorage, Vec<Record>, Vec<String>) {
    let (storage, records) = log_of(1000, 16, SEGMENT);
    let names = segments(&storage);
    assert_eq!(names.len(), 3, "{names:?}");
    (storage, records, names)
}

/// For each record of `name` where it ends.
fn ends(storage: &MemStorage, name: &str) -> Vec<usize> {
    let bytes = storage.bytes(name);
    let mut ends = Vec::new();
    let mut at = 1024;
    while at < bytes.len() {
        let len = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        let kind = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().unwrap());
        at += 32 + len.next_multiple_of(8);
        if kind < parvi_wal::KIND_RESERVED {
            ends.push(at);
        }
    }
    ends
}

#[test]
fn a_log_cut_at_any_byte_gives_exactly_the_records_before_the_cut() {
    let (storage, records, names) = log();
    let mut before = 0;
    for (at, name) in names.iter().enumerate() {
        let ends = ends(&storage, name);
        let bytes = storage.bytes(name);
        everywhere(bytes.len() as u64 + 1, |cut| {
            let cut = cut as usize;
            let disk = copy(&storage);
            names[at + 1..].iter().for_each(|later| drop(disk.take(later)));
            disk.put(name, bytes[..cut].to_vec());
            let (wal, recovered) = open(&disk, SEGMENT);
            let expected = before + ends.iter().filter(|end| **end <= cut).count();
            assert_eq!(recovered.records.len(), expected, "{name} cut at {cut}");
            assert_eq!(recovered.records, records[..expected]);
            // What is cut in the last segment looks as after a crash, if it has a header.
            let is_last = at + 1 == names.len();
            let whole = cut >= 1024 && (is_last || cut < bytes.len());
            assert_eq!(
                recovered.report.is_whole(),
                whole,
                "{name} cut at {cut}: {}",
                recovered.report
            );
            // It goes on, and nothing comes back from behind the cut.
            if cut.is_multiple_of(97) {
                wal.append_durable(&records[0]).unwrap();
                drop(wal);
                let (_, again) = open(&disk, SEGMENT);
                assert_eq!(again.records[..expected], records[..expected]);
                assert_eq!(again.records[expected..], records[..1]);
            }
        });
        before += ends.len();
    }
}

#[test]
fn a_segment_cut_at_any_byte_before_others_costs_no_record_of_theirs() {
    let (storage, records, names) = log();
    let (first, middle) = (ends(&storage, &names[0]).len(), ends(&storage, &names[1]));
    let bytes = storage.bytes(&names[1]);
    everywhere(bytes.len() as u64, |cut| {
        let disk = copy(&storage);
        disk.put(&names[1], bytes[..cut as usize].to_vec());
        let recovered = parvi_wal::inspect(&disk, &OWNER).unwrap();
        let kept = middle.iter().filter(|end| **end <= cut as usize).count();
        let expected = [&records[..first + kept], &records[first + middle.len()..]].concat();
        assert_eq!(recovered.records, expected, "cut at {cut}");
        assert!(!recovered.report.is_whole(), "cut at {cut}");
        if cut.is_multiple_of(509) {
            let (_, opened) = open(&disk, SEGMENT);
            assert_eq!(opened.records, expected, "cut at {cut}");
        }
    });
}

#[test]
fn torn_end_is_cut_off_and_the_log_goes_on() {
    let (storage, records) = log_of(10, 50, SEGMENT);
    let name = segments(&storage).remove(0);
    let whole = storage.bytes(&name);
    for tail in [vec![0; 4096], vec![0xff; 7], whole[1024..1080].to_vec(), vec![1; 100_000]] {
        let disk = copy(&storage);
        disk.put(&name, [whole.clone(), tail.clone()].concat());
        let (wal, recovered) = open(&disk, 1 << 20);
        let torn = recovered.report.torn.clone().unwrap();
        assert_eq!((torn.offset, torn.bytes), (whole.len() as u64, tail.len() as u64));
        assert_eq!((recovered.records, recovered.report.is_whole()), (records.clone(), true));
        assert_eq!(disk.bytes(&name), whole);
        wal.append_durable(&records[3]).unwrap();
        drop(wal);
        let (_, again) = open(&disk, 1 << 20);
        assert_eq!(again.records.last(), Some(&records[3]));
        assert!(again.report.torn.is_none());
    }
}

#[test]
fn bytes_wrong_with_records_behind_them_are_corruption_and_kept_aside() {
    let (storage, records) = log_of(10, 50, SEGMENT);
    let name = segments(&storage).remove(0);
    let mut bytes = storage.bytes(&name);
    let end = ends(&storage, &name)[4];
    bytes[end + 40] ^= 4;
    storage.put(&name, bytes.clone());
    let (wal, recovered) = open(&storage, SEGMENT);
    let expected = [&records[..5], &records[6..]].concat();
    assert_eq!(recovered.records, expected);
    let [damage] = &recovered.report.damage[..] else { panic!("{}", recovered.report) };
    assert_eq!((damage.file.as_str(), damage.offset), (name.as_str(), end as u64));
    let Fault::Corrupt(lost) = &damage.what else { panic!("{damage}") };
    assert_eq!((lost.first_record, lost.last_record, lost.was_durable), (6, Some(6), true));
    assert_eq!(recovered.report.set_aside, [format!("{name}.bad")]);
    assert_eq!(storage.bytes(&format!("{name}.bad")), bytes);
    wal.append_durable(&records[0]).unwrap();
    drop(wal);
    let (_, again) = open(&storage, SEGMENT);
    assert_eq!(again.records, [expected, vec![records[0].clone()]].concat());
    assert!(again.report.is_whole(), "{}", again.report);
}

#[test]
fn bytes_cut_out_of_the_middle_are_noticed_though_all_the_rest_is_valid() {
    let (storage, records) = log_of(10, 50, SEGMENT);
    let name = segments(&storage).remove(0);
    let ends = ends(&storage, &name);
    let mut bytes = storage.bytes(&name);
    bytes.drain(ends[4]..ends[6]);
    storage.put(&name, bytes);
    let (_, recovered) = open(&storage, SEGMENT);
    assert_eq!(recovered.records, [&records[..5], &records[7..]].concat());
    let Fault::Corrupt(lost) = &recovered.report.damage[0].what else { panic!() };
    assert_eq!((lost.bytes, lost.first_record, lost.last_record), (0, 6, Some(7)));
}

#[test]
fn a_piece_copied_over_another_never_repeats_a_record() {
    let (storage, records) = log_of(12, 48, SEGMENT);
    let name = segments(&storage).remove(0);
    let bytes = storage.bytes(&name);
    for (from, to) in [(2, 6), (8, 3)] {
        let ends = ends(&storage, &name);
        let piece = bytes[ends[from]..ends[from + 1]].to_vec();
        let mut changed = bytes.clone();
        changed.splice(ends[to]..ends[to + 1], piece);
        let disk = copy(&storage);
        disk.put(&name, changed);
        let (_, recovered) = open(&disk, SEGMENT);
        assert!(left_out(&recovered.records, &records).is_some(), "{from} over {to}");
        assert!(!recovered.report.is_whole());
    }
}

#[test]
fn a_payload_with_its_checksum_does_not_pass_under_the_header_of_another() {
    let (storage, records) = log_of(12, 48, SEGMENT);
    let name = segments(&storage).remove(0);
    let ends = ends(&storage, &name);
    let bytes = storage.bytes(&name);
    // Records 1 and 10 have the same length; 28 is where the checksum and the payload begin.
    assert_eq!(ends[1] - ends[0], ends[10] - ends[9]);
    let mut changed = bytes.clone();
    changed[ends[0] + 28..ends[1]].copy_from_slice(&bytes[ends[9] + 28..ends[10]]);
    storage.put(&name, changed);
    let (_, recovered) = open(&storage, SEGMENT);
    assert_eq!(recovered.records, [&records[..1], &records[2..]].concat());
    assert!(!recovered.report.is_whole());
}
