//! Many threads at once: one sync serves many, order holds, a failed sync reaches all who wait.

use std::any::Any;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parvi_wal::testing::{Failure, MemStorage, Operation, Trouble};
use parvi_wal::{Record, Storage, StorageFile, Wal, WalError, WalState};

use super::common::{open, options, record, segments};

const THREADS: u64 = 16;
const EACH: u64 = 60;

/// A disk whose syncs take a moment, as real ones do, and may be told to fail.
#[derive(Clone, Default)]
struct Slow {
    disk: MemStorage,
    syncs: Arc<AtomicU64>,
    fails: Arc<AtomicBool>,
    /// The next sync loses its data at once and says so late.
    loses: Arc<AtomicBool>,
}

struct SlowFile(Arc<dyn StorageFile>, Slow);

impl StorageFile for SlowFile {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(into, offset)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.0.write_at(bytes, offset)
    }
    fn truncate(&self, len: u64) -> io::Result<()> {
        self.0.truncate(len)
    }
    fn sync(&self) -> io::Result<()> {
        if self.1.loses.swap(false, Ordering::SeqCst) {
            let (only, trouble) = (Some(Operation::Sync), Trouble::Eio);
            self.1.disk.fail(Some(Failure { at: 0, forever: true, only, trouble }));
            let lost = self.0.sync();
            self.1.disk.fail(None);
            std::thread::park_timeout(Duration::from_millis(60));
            return lost;
        }
        std::thread::park_timeout(Duration::from_millis(2));
        self.1.syncs.fetch_add(1, Ordering::SeqCst);
        if self.1.fails.load(Ordering::SeqCst) {
            return Err(io::Error::from_raw_os_error(5));
        }
        self.0.sync()
    }
}

impl Storage for Slow {
    fn lock(&self) -> Result<Box<dyn Any + Send + Sync>, WalError> {
        self.disk.lock()
    }
    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        Ok(Arc::new(SlowFile(self.disk.open(name)?, self.clone())))
    }
    fn create(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        Ok(Arc::new(SlowFile(self.disk.create(name)?, self.clone())))
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }
    fn sync_dir(&self) -> io::Result<()> {
        self.disk.sync_dir()
    }
    fn salt(&self) -> io::Result<u64> {
        self.disk.salt()
    }
}

fn numbered(thread: u64, number: u64) -> Record {
    Record::new(thread as u32, [number.to_le_bytes(), [9; 8]].concat())
}

/// Each thread's records in order, all of them.
fn assert_ordered(records: &[Record], each: u64) {
    let mut next: BTreeMap<u32, u64> = BTreeMap::new();
    for record in records {
        let next = next.entry(record.kind).or_default();
        assert_eq!(record, &numbered(record.kind.into(), *next));
        *next += 1;
    }
    assert!(next.values().all(|n| *n == each) && next.len() as u64 == THREADS);
}

#[test]
fn one_sync_serves_many_threads_and_each_keeps_its_order() {
    let slow = Slow::default();
    let (wal, _) = Wal::open(Arc::new(slow.clone()), options(16 * 1024)).unwrap();
    let before = slow.syncs.load(Ordering::SeqCst);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let wal = &wal;
            scope.spawn(move || {
                for number in 0..EACH {
                    let record = numbered(thread, number);
                    match number % 4 {
                        0 => wal.append_lazy(&record).unwrap(),
                        _ => wal.append_durable(&record).unwrap(),
                    };
                }
            });
        }
    });
    let syncs = slow.syncs.load(Ordering::SeqCst) - before;
    assert!(segments(&slow.disk).len() > 2, "it should have rotated meanwhile");
    assert!(syncs < THREADS * EACH / 4, "{syncs} syncs for {} records", THREADS * EACH);
    // Every thread ended with a durable record: a power cut takes nothing.
    let survivor = slow.disk.image().survivors().remove(0);
    let (_, found) = open(&MemStorage::from_image(survivor), 16 * 1024);
    assert_ordered(&found.records, EACH);
}

#[test]
fn a_failed_sync_fails_all_who_wait_for_it_and_none_is_acknowledged_after() {
    let slow = Slow::default();
    let (wal, _) = Wal::open(Arc::new(slow.clone()), options(1 << 20)).unwrap();
    let acknowledged = parking_lot::Mutex::new(Vec::new());
    let syncs_at_failure = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (wal, slow) = (&wal, &slow);
            let (acknowledged, at_failure) = (&acknowledged, &syncs_at_failure);
            scope.spawn(move || {
                for number in 0..EACH {
                    if thread == 0 && number == 5 {
                        slow.fails.store(true, Ordering::SeqCst);
                        at_failure.store(slow.syncs.load(Ordering::SeqCst), Ordering::SeqCst);
                    }
                    match wal.append_durable(&numbered(thread, number)) {
                        Ok(_) => acknowledged.lock().push(numbered(thread, number)),
                        Err(WalError::Poisoned { .. }) => return,
                        Err(e) => panic!("{e}"),
                    }
                }
                panic!("thread {thread} never heard of the failure");
            });
        }
    });
    assert!(matches!(wal.state(), WalState::Poisoned { .. }));
    let after = slow.syncs.load(Ordering::SeqCst) - syncs_at_failure.load(Ordering::SeqCst);
    assert!(after <= 2, "{after} syncs after the failure was switched on");
    let survivor = slow.disk.image().survivors().remove(0);
    let (_, found) = open(&MemStorage::from_image(survivor), 1 << 20);
    // A sync that succeeded may have taken in more than it was asked for.
    let acknowledged = acknowledged.into_inner();
    assert!(acknowledged.len() >= 5 && found.report.is_whole());
    assert!(acknowledged.iter().all(|record| found.records.contains(record)));
}

#[test]
fn no_rotation_makes_up_for_a_sync_that_is_about_to_fail() {
    let slow = Slow::default();
    let (wal, _) = Wal::open(Arc::new(slow.clone()), options(2000)).unwrap();
    slow.loses.store(true, Ordering::SeqCst);
    let acknowledged = parking_lot::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        // One leads, one waits for him, one wants a new segment meanwhile.
        for (number, len) in [(0, 100), (1, 100), (2, 1500)] {
            let (wal, acknowledged) = (&wal, &acknowledged);
            scope.spawn(move || {
                let record = record(number, len);
                if wal.append_durable(&record).is_ok() {
                    acknowledged.lock().push(record);
                }
            });
            std::thread::park_timeout(Duration::from_millis(15));
        }
    });
    let survivor = slow.disk.image().survivors().remove(0);
    let (_, found) = open(&MemStorage::from_image(survivor), 2000);
    let acknowledged = acknowledged.into_inner();
    assert!(acknowledged.iter().all(|record| found.records.contains(record)), "{acknowledged:?}");
    assert!(matches!(wal.state(), WalState::Poisoned { .. }));
}

#[test]
fn checkpoints_and_appends_at_once_neither_hang_nor_lose_what_came_after() {
    let slow = Slow::default();
    let (wal, _) = Wal::open(Arc::new(slow.clone()), options(4096)).unwrap();
    let last: Vec<u64> = std::thread::scope(|scope| {
        let appenders: Vec<_> = (0..4)
            .map(|thread| {
                let wal = &wal;
                scope.spawn(move || {
                    (0..EACH).map(|n| wal.append_durable(&numbered(thread, n)).unwrap()).last()
                })
            })
            .collect();
        for _ in 0..20 {
            wal.checkpoint(&[]).unwrap();
        }
        appenders.into_iter().filter_map(|a| a.join().unwrap()).collect()
    });
    // No checkpoint comes after the last record: what was appended since the last one is there.
    let through = wal.last_record();
    assert!(last.iter().all(|seq| *seq <= through));
    wal.checkpoint_through(through, &[numbered(1, 1)]).unwrap();
    wal.append_durable(&numbered(2, 2)).unwrap();
    drop(wal);
    let (_, found) = open(&slow.disk, 4096);
    assert_eq!(found.records, [numbered(1, 1), numbered(2, 2)]);
    assert!(found.report.is_whole());
}
