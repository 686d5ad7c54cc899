//! The log of uploads on the disk: `.parvi/wal/`.
//!
//! Invariant: records are appended while the uploads are locked, so that their order is the order of
//! decisions, and a checkpoint covers all of them; what must be durable is waited for after the lock
//! is released, so that many openings share one sync. A log that takes nothing refuses uploads, in
//! words; searches and downloads go on. Ends with the node; a crash loses nothing that was promised.

use std::path::Path;

use parvi_wal::{Options, Wal, WalError};

use crate::base::{Fault, FaultKind, NodeId};
use crate::logic::ledger::{LOG_KIND, Record};

/// The log.
pub(super) struct Journal {
    wal: Wal,
}

impl Journal {
    /// Opens the log and reads it; damage is told in the log of messages and keeps nobody from
    /// starting.
    ///
    /// # Errors
    /// The disk is unusable, or somebody else has the log.
    pub(super) fn open(path: &Path, me: NodeId) -> Result<(Journal, Vec<Record>), Fault> {
        let opened = Wal::open_dir(path, Options::new(*me.as_bytes()));
        let (wal, recovered) = opened.map_err(|e| fault(&e))?;
        if !recovered.report.is_whole() {
            log::error!(
                target: "wal",
                "the log of uploads in {} is damaged; some may have to be asked for again: {}",
                path.display(),
                recovered.report
            );
        }
        let records = recovered.records.iter().filter_map(|record| {
            let read = Record::from_log(record.kind, &record.payload);
            read.inspect_err(|e| log::error!(target: "wal", "a record is not understood: {e}")).ok()
        });
        Ok((Journal { wal }, records.collect()))
    }

    /// Appends a record in its order, durable with the next one that must be. Call it with the
    /// uploads locked.
    ///
    /// # Errors
    /// The log takes nothing now.
    pub(super) fn append(&self, record: &Record) -> Result<(), Fault> {
        let bytes = record.to_log().map_err(|e| Fault::other(e.to_string()))?;
        let record = parvi_wal::Record::new(LOG_KIND, bytes);
        self.wal.append_lazy(&record).map(drop).map_err(|e| fault(&e))
    }

    /// Makes all that was appended durable. Call it without the uploads locked.
    ///
    /// # Errors
    /// The log takes nothing now.
    pub(super) fn sync(&self) -> Result<(), Fault> {
        self.wal.sync().map_err(|e| fault(&e))
    }

    /// Whether a checkpoint is due.
    pub(super) fn wants_checkpoint(&self) -> bool {
        self.wal.wants_checkpoint()
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
        if let Err(e) = self.wal.checkpoint(&records) {
            log::warn!(target: "wal", "cannot write a checkpoint, tries again: {e}");
        }
    }
}

/// A record in words, for a person who looks at the log.
pub fn describe_record(record: &parvi_wal::Record) -> String {
    let read = Record::from_log(record.kind, &record.payload);
    read.map_or_else(|why| format!("not understood: {why}"), |record| record.to_string())
}

fn fault(error: &WalError) -> Fault {
    let kind = if error.is_disk_full() { FaultKind::DiskFull } else { FaultKind::Other };
    Fault::new(kind, error.to_string())
}
