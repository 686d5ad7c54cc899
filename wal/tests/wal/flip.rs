//! Every single bit of a 64 KiB log flipped.

use parvi_wal::Record;
use parvi_wal::testing::MemStorage;

use super::common::{OWNER, copy, everywhere, left_out, open, record, segments};

const SEGMENT: u64 = 24 * 1024;
const LOG_BYTES: u64 = 64 * 1024;
/// How many bytes one disk serves.
const STRIPE: u64 = 64;
/// Of so many flips one is repaired, too.
const SAMPLE: u64 = 37;

/// 64 KiB or a little more: a checkpoint and what came after, in several segments.
fn log() -> (MemStorage, Vec<Record>) {
    let storage = MemStorage::default();
    let (wal, _) = open(&storage, SEGMENT);
    let mut records: Vec<Record> = (0..20).map(|n| record(n, 300)).collect();
    wal.checkpoint(&records).unwrap();
    let size = |storage: &MemStorage| {
        segments(storage).iter().map(|name| storage.bytes(name).len()).sum::<usize>()
    };
    while (size(&storage) as u64) < LOG_BYTES {
        let next = record(records.len() as u64, 450);
        wal.append_durable(&next).unwrap();
        records.push(next);
    }
    (storage, records)
}

/// In which segment byte `at` of the whole log is, and where.
fn place(storage: &MemStorage, mut at: usize) -> (String, usize) {
    for name in segments(storage) {
        let len = storage.bytes(&name).len();
        if at < len {
            return (name, at);
        }
        at -= len;
    }
    panic!("the log ends {at} bytes before");
}

#[test]
fn any_flipped_bit_is_flagged_and_costs_at_most_the_record_it_is_in() {
    let (storage, records) = log();
    assert!(segments(&storage).len() >= 3);
    everywhere(LOG_BYTES / STRIPE, |stripe| {
        let disk = copy(&storage);
        for byte in stripe * STRIPE..(stripe + 1) * STRIPE {
            let (name, at) = place(&storage, byte as usize);
            for bit in 0..8 {
                disk.flip(&name, at, bit);
                let found = look_at(&disk, &name, at as u64, &records);
                if (byte * 8 + u64::from(bit)).is_multiple_of(SAMPLE) {
                    repair(&copy(&disk), &found);
                }
                disk.flip(&name, at, bit);
            }
        }
    });
}

/// What is found with byte `at` of `name` changed: flagged there, at most one record lost.
fn look_at(disk: &MemStorage, name: &str, at: u64, records: &[Record]) -> Vec<Record> {
    let found = parvi_wal::inspect(disk, &OWNER).unwrap();
    let Some(lost) = left_out(&found.records, records) else { panic!("a record was invented") };
    assert!(lost <= 1, "{name} at {at}: {lost} records lost");
    let near = |file: &str, offset: u64| file == name && offset <= at && at < offset + 520;
    let flagged = found.report.damage.iter().any(|d| near(&d.file, d.offset))
        || found.report.torn.iter().any(|t| near(&t.file, t.offset));
    // Even where no record is lost, the flip is noticed: no byte is without a check.
    assert!(flagged, "{name} at {at}:\n{}", found.report);
    found.records
}

/// Opening gives the same records, and so does opening again, without a complaint.
fn repair(disk: &MemStorage, found: &[Record]) {
    let (wal, opened) = open(disk, SEGMENT);
    assert_eq!(opened.records, found);
    drop(wal);
    let (_, again) = open(disk, SEGMENT);
    assert_eq!(again.records, found);
    assert!(again.report.is_whole() && again.report.torn.is_none(), "{}", again.report);
}
