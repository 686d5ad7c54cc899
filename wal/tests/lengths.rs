//! Lengths that lie: seen before memory is reserved for them.
//!
//! A counting allocator notes the largest reservation of one call. The file is a test program of
//! its own, and its tests count per thread.
#![allow(unsafe_code, reason = "an allocator cannot be written without")]
#![allow(clippy::unwrap_used, reason = "a test program")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use parvi_wal::testing::MemStorage;
use parvi_wal::{Fault, Options, PAYLOAD_MAX, Record, Wal, inspect};

/// The largest reservation that any log may cause.
const RESERVED_MAX: usize = 64 * 1024;
const OWNER: [u8; 32] = [7; 32];
/// Where the third record begins: after the header and two records of 40 bytes.
const THIRD: usize = 1024 + 2 * 40;

struct Noting;

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

fn note(bytes: usize) {
    LARGEST.with(|largest| largest.set(largest.get().max(bytes)));
}

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Noting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps `dealloc`'s contract.
        unsafe { System.dealloc(at, layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller keeps `alloc_zeroed`'s contract.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        // SAFETY: the caller keeps `realloc`'s contract.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Noting = Noting;

/// The largest reservation while `work` ran on this thread.
fn largest_of<T>(work: impl FnOnce() -> T) -> (usize, T) {
    LARGEST.with(|largest| largest.set(0));
    let done = work();
    (LARGEST.with(Cell::get), done)
}

/// Five records of eight bytes, and three long ones, so that a lie may point into the file.
fn log() -> (MemStorage, Vec<Record>, String) {
    let storage = MemStorage::default();
    let (wal, _) = Wal::open(Arc::new(storage.clone()), Options::new(OWNER)).unwrap();
    let mut records: Vec<Record> = (0..5_u64).map(|n| Record::new(1, n.to_le_bytes())).collect();
    records.extend((0..3).map(|n| Record::new(2, vec![n; 60_000])));
    records.iter().for_each(|r| assert!(wal.append_durable(r).unwrap() > 0));
    let name = storage.names().into_iter().find(|name| name.ends_with(".seg")).unwrap();
    (storage, records, name)
}

/// A CRC-32 as the format has it, bit by bit.
fn crc(mut sum: u32, bytes: &[u8]) -> u32 {
    sum = !sum;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 };
        }
    }
    !sum
}

/// Writes `number` at `at` of the third record, and makes the header's check right again.
fn forge(bytes: &mut [u8], at: usize, number: u32) {
    let seed = crc(0, &[&bytes[56..64], &bytes[48..56]].concat());
    bytes[THIRD + at..THIRD + at + 4].copy_from_slice(&number.to_le_bytes());
    let head = crc(seed, &bytes[THIRD..THIRD + 24]);
    bytes[THIRD + 24..THIRD + 28].copy_from_slice(&head.to_le_bytes());
}

fn lengths() -> [u32; 11] {
    let cap = PAYLOAD_MAX as u32;
    [0, 1, 9, 127, 128, cap, cap + 1, 1 << 30, (1 << 31) - 1, 1 << 31, u32::MAX]
}

#[test]
fn the_allocator_notes_what_it_should() {
    assert!(largest_of(|| vec![0_u8; RESERVED_MAX + 1]).0 > RESERVED_MAX);
    assert!(largest_of(|| vec![0_u8; 100]).0 < 200);
}

#[test]
fn a_length_that_lies_costs_its_record_and_no_memory() {
    let (storage, records, name) = log();
    let whole = storage.bytes(&name);
    let expected = [&records[..2], &records[3..]].concat();
    for length in lengths() {
        for with_right_check in [false, true] {
            let mut bytes = whole.clone();
            bytes[THIRD..THIRD + 4].copy_from_slice(&length.to_le_bytes());
            if with_right_check {
                forge(&mut bytes, 0, length);
            }
            storage.put(&name, bytes);
            let (largest, found) = largest_of(|| inspect(&storage, &OWNER).unwrap());
            assert_eq!(found.records, expected, "length {length}");
            let damage = &found.report.damage[0];
            assert!(matches!(damage.what, Fault::Corrupt(_)) && damage.offset == THIRD as u64);
            assert!(largest <= RESERVED_MAX, "length {length}: {largest} bytes at once");
        }
    }
}

#[test]
fn a_huge_file_of_noise_or_zeros_takes_one_window_of_memory() {
    let (storage, records, name) = log();
    let whole = storage.bytes(&name);
    for byte in [0, 0xff, 1] {
        storage.put(&name, [whole.clone(), vec![byte; 3 << 20]].concat());
        let (largest, found) = largest_of(|| inspect(&storage, &OWNER).unwrap());
        assert_eq!((found.records, found.report.is_whole()), (records.clone(), true));
        assert!(largest <= RESERVED_MAX, "{largest} bytes at once");
    }
}

#[test]
fn an_unknown_kind_of_the_logs_own_is_named_and_its_record_left_out() {
    let (storage, records, name) = log();
    let mut bytes = storage.bytes(&name);
    forge(&mut bytes, 4, 0x8000_0077);
    let seed = crc(0, &[&bytes[56..64], &bytes[48..56]].concat());
    let record = &bytes[THIRD..THIRD + 40];
    let body = crc(crc(seed, &record[..24]), &record[32..]);
    bytes[THIRD + 28..THIRD + 32].copy_from_slice(&body.to_le_bytes());
    storage.put(&name, bytes);
    let found = inspect(&storage, &OWNER).unwrap();
    assert_eq!(found.records, [&records[..2], &records[3..]].concat());
    assert_eq!(found.report.damage[0].what, Fault::UnknownKind(0x8000_0077));
    // A kind of the caller's is the caller's business.
    let (wal, _) = Wal::open(Arc::new(storage.clone()), Options::new(OWNER)).unwrap();
    let strange = Record::new(0x7fff_ffff, *b"whatever");
    wal.append_durable(&strange).unwrap();
    drop(wal);
    assert_eq!(inspect(&storage, &OWNER).unwrap().records.last(), Some(&strange));
}

#[test]
fn numbers_at_the_end_of_their_range_stop_nothing() {
    let (storage, _, name) = log();
    let whole = storage.bytes(&name);
    for (at, number) in [(48, u64::MAX), (80, u64::MAX), (88, u64::MAX), (80, 1 << 61)] {
        let mut bytes = whole.clone();
        for copy in [0, 512] {
            bytes[copy + at..copy + at + 8].copy_from_slice(&number.to_le_bytes());
            let sum = crc(0, &bytes[copy..copy + 508]);
            bytes[copy + 508..copy + 512].copy_from_slice(&sum.to_le_bytes());
        }
        let disk = MemStorage::from_image(storage.image());
        disk.put(&name, bytes);
        let opened = Wal::open(Arc::new(disk), Options::new(OWNER));
        let (wal, _) = opened.unwrap_or_else(|e| panic!("{at}: {number}: {e}"));
        wal.append_durable(&Record::new(1, [])).unwrap();
    }
}
