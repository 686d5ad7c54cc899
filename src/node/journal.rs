//! The log of uploads on the disk: `.parvi/wal/`.
//!
//! Invariant: records are appended while the uploads are locked, so that their order is the order of
//! decisions, and a checkpoint covers all of them; what must be durable is waited for after the lock
//! is released, so that many openings share one sync. A log that takes nothing refuses uploads, in
//! words; searches and downloads go on. It is behind then: endings that it did not take are in no
//! record, so a checkpoint is due as soon as one can be written, which also mends a log that has
//! given its file up. Ends with the node; a crash loses nothing that was promised.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parvi_wal::{Activity, Disk, Options, Report, Wal, WalError};

use crate::base::{Fault, FaultKind, NodeId};
use crate::io::failpoint::fail_point;
use crate::logic::ledger::{LOG_KIND, Record};
use crate::logic::statistics::Log;

/// The log.
pub(super) struct Journal {
    wal: Wal,
    /// Something was not taken since the last checkpoint.
    behind: AtomicBool,
}

impl Journal {
    /// Opens the log and reads it; damage is told in the log of messages and keeps nobody from
    /// starting.
    ///
    /// # Errors
    /// The disk is unusable, or somebody else has the log.
    pub(super) fn open(path: &Path, me: NodeId) -> Result<(Journal, Vec<Record>), Fault> {
        let storage = Disk::new(path).map_err(|e| fault(&e))?;
        #[cfg(feature = "failpoints")]
        let storage = super::failing_log::FailingLog(storage);
        let opened = Wal::open(Arc::new(storage), Options::new(*me.as_bytes()));
        let (wal, recovered) = opened.map_err(|e| fault(&e))?;
        if let Some((level, words)) = words_of_damage(&recovered.report) {
            let (path, report) = (path.display(), &recovered.report);
            log::log!(target: "wal", level, "the log of uploads in {path} {words}: {report}");
        }
        let records = recovered.records.iter().filter_map(|record| {
            let read = Record::from_log(record.kind, &record.payload);
            read.inspect_err(|e| log::error!(target: "wal", "a record is not understood: {e}")).ok()
        });
        Ok((Journal::of(wal), records.collect()))
    }

    /// One that ends with the test.
    #[cfg(test)]
    pub(super) fn in_memory() -> Journal {
        let disk = parvi_wal::testing::MemStorage::default();
        Journal::of(Wal::open(Arc::new(disk), Options::new([1; 32])).unwrap().0)
    }

    fn of(wal: Wal) -> Journal {
        Journal { wal, behind: AtomicBool::new(false) }
    }

    /// Appends a record in its order, durable with the next one that must be. Call it with the
    /// uploads locked.
    ///
    /// # Errors
    /// The log takes nothing now.
    pub(super) fn append(&self, record: &Record) -> Result<(), Fault> {
        let bytes = record.to_log().map_err(|e| Fault::other(e.to_string()))?;
        let record = parvi_wal::Record::new(LOG_KIND, bytes);
        let asked = fail_point!("journal.append").map_err(refused);
        self.taken(asked.and_then(|()| self.wal.append_lazy(&record).map(drop)))
    }

    /// Makes all that was appended durable. Call it without the uploads locked.
    ///
    /// # Errors
    /// The log takes nothing now.
    pub(super) fn sync(&self) -> Result<(), Fault> {
        let asked = fail_point!("journal.sync").map_err(refused);
        self.taken(asked.and_then(|()| self.wal.sync()))
    }

    fn taken(&self, taken: Result<(), WalError>) -> Result<(), Fault> {
        taken.map_err(|e| {
            self.behind.store(true, Ordering::Relaxed);
            fault(&e)
        })
    }

    fn is_behind(&self) -> bool {
        self.behind.load(Ordering::Relaxed)
    }

    /// What the log has done since this was last asked.
    pub(super) fn take_activity(&self) -> Log {
        let Activity { appends, bytes, syncs, checkpoints } = self.wal.take_activity();
        Log { appends, bytes, syncs, checkpoints, recovered: 0 }
    }

    /// Whether a checkpoint is due.
    pub(super) fn wants_checkpoint(&self) -> bool {
        self.is_behind() || self.wal.wants_checkpoint()
    }

    /// Replaces the log by what is live. Call it with the uploads locked.
    pub(super) fn checkpoint(&self, live: &[Record]) {
        let encoded = live.iter().map(Record::to_log);
        let records: Result<Vec<_>, _> = encoded
            .map(|bytes| bytes.map(|bytes| parvi_wal::Record::new(LOG_KIND, bytes)))
            .collect();
        let records = match records {
            Ok(records) => records,
            Err(e) => {
                log::error!(target: "wal", "cannot write a checkpoint: {e}");
                return;
            }
        };
        match self.wal.checkpoint(&records) {
            Ok(_) => self.behind.store(false, Ordering::Relaxed),
            Err(e) => log::debug!(target: "wal", "cannot write a checkpoint, tries again: {e}"),
        }
    }
}

/// How damage is told, of any kind: the report alone cannot know of each record whether somebody was
/// told that it was durable.
fn words_of_damage(report: &Report) -> Option<(log::Level, &'static str)> {
    match (report.is_whole(), report.damage.is_empty()) {
        (true, true) => None,
        (true, false) => Some((log::Level::Warn, "has bytes that are not what was written")),
        (false, _) => Some((log::Level::Error, "is damaged; some may have to be asked for again")),
    }
}

/// Whether a person knows that the log takes nothing. Kept with the uploads, and asked and told with
/// them locked, as a checkpoint is written: so it never says so after the log was mended.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    told: bool,
}

impl Refusals {
    /// An upload was refused. Tells whether that is to be said: once, and only while it is so.
    pub(super) fn refused(&mut self, journal: &Journal) -> bool {
        journal.is_behind() && !std::mem::replace(&mut self.told, true)
    }

    /// A checkpoint was tried. Tells whether it is to be said that the log takes records again.
    pub(super) fn over(&mut self, journal: &Journal) -> bool {
        !journal.is_behind() && std::mem::take(&mut self.told)
    }
}

/// A record in words, for a person who looks at the log.
pub fn describe_record(record: &parvi_wal::Record) -> String {
    let read = Record::from_log(record.kind, &record.payload);
    read.map_or_else(|why| format!("not understood: {why}"), |record| record.to_string())
}

/// What a fail point says, as the log would.
fn refused(source: io::Error) -> WalError {
    WalError::Io { action: "write to", file: "the end".to_owned(), source }
}

fn fault(error: &WalError) -> Fault {
    let kind = if error.is_disk_full() { FaultKind::DiskFull } else { FaultKind::Other };
    Fault::new(kind, error.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parvi_wal::testing::{Failure, MemStorage, Operation, Trouble};
    use parvi_wal::{Damage, Lost};

    use super::*;
    use crate::logic::ledger::End;

    fn open(disk: &MemStorage) -> (Journal, Vec<Record>) {
        let (wal, recovered) = Wal::open(Arc::new(disk.clone()), Options::new([1; 32])).unwrap();
        let read = |r: &parvi_wal::Record| Record::from_log(r.kind, &r.payload).unwrap();
        (Journal::of(wal), recovered.records.iter().map(read).collect())
    }

    fn over(set: u8) -> Record {
        Record::Ended { requester: NodeId::from_bytes([2; 32]), set: [set; 32], end: End::Done }
    }

    fn fail(disk: &MemStorage, only: Operation, trouble: Trouble) {
        disk.fail(Some(Failure { at: 0, forever: true, only: Some(only), trouble }));
    }

    #[test]
    fn a_log_without_room_says_so_and_tells_all_in_a_checkpoint_when_there_is_some() {
        let disk = MemStorage::default();
        let (journal, _) = open(&disk);
        journal.append(&over(1)).unwrap();
        fail(&disk, Operation::Write, Trouble::Enospc);
        assert_eq!(journal.append(&over(2)).unwrap_err().kind, FaultKind::DiskFull);
        assert!(journal.is_behind() && journal.wants_checkpoint());
        journal.checkpoint(&[over(1)]);
        assert!(journal.is_behind() && journal.wants_checkpoint(), "there is no room for that");
        disk.fail(None);
        journal.checkpoint(&[over(1), over(2)]);
        assert!(!journal.is_behind() && !journal.wants_checkpoint());
        journal.append(&over(3)).unwrap();
        drop(journal);
        assert_eq!(open(&disk).1, [over(1), over(2), over(3)]);
    }

    #[test]
    fn a_log_whose_sync_failed_takes_nothing_until_a_checkpoint_has_mended_it() {
        let disk = MemStorage::default();
        let (journal, _) = open(&disk);
        journal.append(&over(1)).unwrap();
        fail(&disk, Operation::Sync, Trouble::Eio);
        journal.sync().unwrap_err();
        disk.fail(None);
        journal.append(&over(2)).unwrap_err();
        assert!(journal.wants_checkpoint());
        journal.checkpoint(&[over(1)]);
        assert!(!journal.wants_checkpoint());
        journal.append(&over(3)).unwrap();
        journal.sync().unwrap();
        drop(journal);
        assert_eq!(open(&disk).1, [over(1), over(3)]);
    }

    #[test]
    fn a_refusal_is_told_once_and_only_while_the_log_takes_nothing() {
        let disk = MemStorage::default();
        let (journal, _) = open(&disk);
        let mut refusals = Refusals::default();
        journal.append(&over(1)).unwrap();
        fail(&disk, Operation::Sync, Trouble::Eio);
        journal.sync().unwrap_err();
        assert!(refusals.refused(&journal) && !refusals.refused(&journal), "once");
        assert!(!refusals.over(&journal), "not yet");
        disk.fail(None);
        journal.checkpoint(&[over(1)]);
        assert!(refusals.over(&journal) && !refusals.over(&journal));

        fail(&disk, Operation::Sync, Trouble::Eio);
        journal.append(&over(2)).unwrap();
        journal.sync().unwrap_err();
        disk.fail(None);
        journal.checkpoint(&[over(1)]);
        assert!(!refusals.refused(&journal), "the log was mended before that could be told");
    }

    #[test]
    fn damage_that_a_crash_may_explain_is_told_too() {
        let damage = |was_durable| Damage {
            file: "1.wal".into(),
            offset: 64,
            what: parvi_wal::Fault::Corrupt(Lost {
                bytes: 9,
                first_record: 5,
                last_record: Some(5),
                was_durable,
            }),
        };
        let told = |damage| {
            let report = Report { damage, ..Report::default() };
            words_of_damage(&report).map(|(level, _)| level)
        };
        assert_eq!(told(vec![]), None);
        assert_eq!(told(vec![damage(false)]), Some(log::Level::Warn));
        assert_eq!(told(vec![damage(false), damage(true)]), Some(log::Level::Error));
    }
}
