//! Every single bit of a 64 KiB log flipped.

use parvi_wal::testing::MemStorage;
use parvi_wal::{Record, Wal};

use super::common::{OWNER, copy, everywhere, left_out, open, options, record, segments};

const SEGMENT: u64 = 24 * 1024;
const LOG_BITS: u64 = 64 * 1024 * 8;

/// 64 KiB or a little more: a checkpoint and what came after, in several segments.
fn log() -> (MemStorage, Vec<Record>) {
    let storage = MemStorage::default();
    let (wal, _) = open(&storage, SEGMENT);
    let mut records: Vec<Record> = (0..20).map(|n| record(n, 300)).collect();
    wal.checkpoint(&records).unwrap();
    let size = |storage: &MemStorage| {
        segments(storage).iter().map(|name| storage.bytes(name).len()).sum::<usize>()
    };
    while (size(&storage) as u64) < LOG_BITS / 8 {
        let next = record(records.len() as u64, 450);
        wal.append_durable(&next).unwrap();
        records.push(next);
    }
    (storage, records)
}

/// Flips bit `bit` of all segments taken together.
fn flipped(storage: &MemStorage, bit: u64) -> (MemStorage, String, u64) {
    let disk = copy(storage);
    let mut at = (bit / 8) as usize;
    for name in segments(&disk) {
        let mut bytes = disk.bytes(&name);
        if at < bytes.len() {
            bytes[at] ^= 1 << (bit % 8);
            disk.put(&name, bytes);
            return (disk, name, at as u64);
        }
        at -= bytes.len();
    }
    panic!("the log has no bit {bit}");
}

#[test]
fn any_flipped_bit_is_flagged_and_costs_at_most_the_record_it_is_in() {
    let (storage, records) = log();
    assert!(segments(&storage).len() >= 3);
    everywhere(LOG_BITS, |bit| {
        let (disk, name, at) = flipped(&storage, bit);
        let found = parvi_wal::inspect(&disk, &OWNER).unwrap();
        let lost = left_out(&found.records, &records).expect("a record was invented");
        assert!(lost <= 1, "bit {bit}, {name} at {at}: {lost} records lost");
        let near = |file: &str, offset: u64| file == name && offset <= at && at < offset + 520;
        let flagged = found.report.damage.iter().any(|d| near(&d.file, d.offset))
            || found.report.torn.iter().any(|t| near(&t.file, t.offset));
        // Even where no record is lost, the flip is noticed: no byte is without a check.
        assert!(flagged, "bit {bit}, {name} at {at}:\n{}", found.report);
        if bit % 37 == 0 {
            let (wal, opened) =
                Wal::open(std::sync::Arc::new(disk.clone()), options(SEGMENT)).unwrap();
            assert_eq!(opened.records, found.records, "bit {bit}");
            drop(wal);
            let (_, again) = open(&disk, SEGMENT);
            assert_eq!(again.records, found.records, "bit {bit}, opened again");
            assert!(again.report.is_whole() && again.report.torn.is_none(), "bit {bit}");
        }
    });
}
