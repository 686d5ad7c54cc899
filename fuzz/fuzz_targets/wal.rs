//! Recovery of a log that is noise, or a good one with edits: it opens, invents nothing, and opens
//! the next time without a complaint.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use parvi_wal::testing::{Image, MemStorage};
use parvi_wal::{Options, Record, Wal};

const OWNER: [u8; 32] = [7; 32];

/// A log of several segments, and what is in it.
static LOG: LazyLock<(Image, Vec<Record>, Vec<String>)> = LazyLock::new(|| {
    let disk = MemStorage::default();
    let wal = open(&disk).0;
    let mut records: Vec<Record> = (0..4).map(|n| Record::new(n, vec![n as u8; 90])).collect();
    wal.checkpoint(&records).expect("a good disk");
    for n in 4..40 {
        let record = Record::new(n, vec![n as u8; n as usize * 3]);
        wal.append_durable(&record).expect("a good disk");
        records.push(record);
    }
    let segments = disk.names().into_iter().filter(|name| name.ends_with(".seg")).collect();
    (disk.image(), records, segments)
});

fn open(disk: &MemStorage) -> (Wal, parvi_wal::Recovered) {
    let options = Options { segment_bytes: 2048, ..Options::new(OWNER) };
    Wal::open(Arc::new(disk.clone()), options).expect("no content keeps a log from opening")
}

fuzz_target!(|bytes: &[u8]| {
    let Some((mode, bytes)) = bytes.split_first() else { return };
    let (image, records, segments) = &*LOG;
    let disk =
        if mode % 2 == 0 { MemStorage::default() } else { MemStorage::from_image(image.clone()) };
    if mode % 2 == 0 {
        disk.put("0000000000000001.seg", bytes.to_vec());
    } else {
        bytes.chunks_exact(4).for_each(|edit| change(&disk, segments, edit));
    }
    let (wal, found) = open(&disk);
    if mode % 2 == 1 {
        let mut rest = found.records.iter().peekable();
        for record in records {
            rest.next_if_eq(&record);
        }
        assert!(rest.peek().is_none(), "a record was invented");
        let lost = records.len() - found.records.len();
        assert!(
            lost == 0 || !found.report.is_whole() || found.report.torn.is_some() || is_cut(bytes)
        );
    }
    wal.append_durable(&Record::new(99, *b"on it goes")).expect("a good disk");
    drop(wal);
    let again = open(&disk).1;
    assert_eq!(again.records.split_last().expect("one at least").1, found.records);
    assert!(again.report.is_whole() && again.report.torn.is_none());
});

/// Changes a byte, or cuts a segment there when there is nothing to change to.
fn change(disk: &MemStorage, segments: &[String], edit: &[u8]) {
    let name = &segments[usize::from(edit[0]) % segments.len()];
    let mut bytes = disk.bytes(name);
    let at = usize::from(u16::from_le_bytes([edit[1], edit[2]])) % bytes.len().max(1);
    match edit[3] {
        0 => bytes.truncate(at),
        mask => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= mask),
    }
    disk.put(name, bytes);
}

/// A cut between two records of the last segment looks like a log that ends there.
fn is_cut(bytes: &[u8]) -> bool {
    bytes.chunks_exact(4).any(|edit| edit[3] == 0)
}
