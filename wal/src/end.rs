//! The end of the log, as the lock guards it: where the next record goes, what is durable.
//!
//! Invariant: `synced <= written`, and `written` is the last record in the active segment; a failed
//! append changes neither. Once poisoned it appends nothing until a new segment takes over.

use std::sync::Arc;

use crate::error::WalError;
use crate::log::Activity;
use crate::make::Active;
use crate::record::{self, KIND_SEAL, RECORD_LEN_MAX, Record};
use crate::segment::HEADER_LEN;
use crate::wait::Waiters;

/// The end of the log.
pub(crate) struct State {
    pub active: Active,
    /// Other segments since the checkpoint, and older ones that are still to be removed.
    pub older: Vec<String>,
    pub next_segment: u64,
    /// The last record written, and the last one durable.
    pub written: u64,
    pub synced: u64,
    /// The last number that a file may have by a failure: a checkpoint's are above all before it.
    pub used: u64,
    /// A leader is at it, without the lock.
    pub syncing: bool,
    /// Who waits for the next sync.
    pub waiters: Waiters,
    pub poison: Option<Arc<str>>,
    /// What `synced` was at each poisoning: a waiter from before can tell what became of its record.
    pub poisonings: Vec<u64>,
    /// Bytes of records behind the live set, in segments that are finished.
    pub since_checkpoint: u64,
    /// What the live set of the last checkpoint took.
    pub live_bytes: u64,
    /// What was done since somebody last asked.
    pub activity: Activity,
    pub scratch: Vec<u8>,
}

impl State {
    /// The end of a log whose last segment is `active`, with all up to `written` durable.
    pub(crate) fn new(active: Active, next_segment: u64, written: u64) -> State {
        State {
            live_bytes: active.base,
            active,
            older: Vec::new(),
            next_segment,
            written,
            synced: written,
            used: written,
            syncing: false,
            waiters: Waiters::default(),
            poison: None,
            poisonings: Vec::new(),
            since_checkpoint: 0,
            activity: Activity::default(),
            scratch: Vec::with_capacity(RECORD_LEN_MAX),
        }
    }

    pub(crate) fn bytes_since_checkpoint(&self) -> u64 {
        self.since_checkpoint + self.active.end - self.active.base
    }

    pub(crate) fn is_full_for(&self, record: &Record, segment_bytes: u64) -> bool {
        // A segment with nothing but its beginning takes a record of any length.
        let begun = self.active.end > self.active.base || self.active.base > HEADER_LEN as u64;
        begun && self.active.end + record.stored_len() > segment_bytes
    }

    /// Writes one record at the end of the active segment, or leaves that as it was.
    pub(crate) fn append(&mut self, (kind, payload): (u32, &[u8])) -> Result<(), WalError> {
        self.scratch.clear();
        let seqs = (self.written + 1, self.synced);
        let crc = record::encode(&mut self.scratch, self.active.seed, seqs, (kind, payload));
        if let Err(error) = self.active.write(&self.scratch) {
            self.used = self.used.max(self.written + 1);
            return match self.active.cut_back() {
                Ok(()) => Err(error),
                Err(uncut) => Err(self.poisoned_by(uncut)),
            };
        }
        if kind != KIND_SEAL {
            self.active.running = record::chain(self.active.running, crc);
            self.activity.appends += 1;
            self.activity.bytes += self.scratch.len() as u64;
        }
        self.written += 1;
        Ok(())
    }

    /// Goes on from a checkpoint whose end is record `last`.
    pub(crate) fn begin_from(&mut self, active: Active, last: u64) {
        let before = std::mem::replace(&mut self.active, active);
        self.older.push(before.name);
        self.written = last;
        self.synced = last;
        self.poison = None;
        self.since_checkpoint = 0;
        self.live_bytes = self.active.base;
        self.activity.checkpoints += 1;
        self.activity.bytes += self.active.end;
        self.waiters.tell_durable();
    }

    /// What has become of record `seq`, appended when there were `epoch` poisonings; nothing yet when
    /// it is `None`.
    pub(crate) fn outcome(&self, epoch: usize, seq: u64) -> Option<Result<(), WalError>> {
        let poisoned = self.poisonings.get(epoch).copied();
        if poisoned.unwrap_or(self.synced) >= seq {
            return Some(Ok(()));
        }
        poisoned.map(|_| Err(self.lost()))
    }

    pub(crate) fn refuse_poisoned(&self) -> Result<(), WalError> {
        if self.poison.is_some() { Err(self.lost()) } else { Ok(()) }
    }

    /// What everybody hears whose record was not durable at a poisoning.
    pub(crate) fn lost(&self) -> WalError {
        let reason = self.poison.clone().unwrap_or_else(|| "a failure that is over".into());
        WalError::Poisoned { reason }
    }

    pub(crate) fn poison(&mut self, error: &WalError) {
        // An empty segment in doubt begins behind a seal.
        self.used = self.used.max(self.written + 1);
        if self.poison.is_none() {
            self.poison = Some(error.to_string().into());
            self.poisonings.push(self.synced);
            self.waiters.tell_to_look();
        }
    }

    pub(crate) fn poisoned_by(&mut self, error: WalError) -> WalError {
        self.poison(&error);
        error
    }
}
