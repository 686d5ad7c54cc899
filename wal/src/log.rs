//! The open log: appending, group commit, rotation, checkpoints.
//!
//! Invariant: `synced` grows only by a sync that succeeded on a file that never failed one, and a
//! durable append returns only when `synced` has reached it. States:
//!
//! ```text
//!          append, rotate, checkpoint
//!             +--------+
//!             v        |     sync failed, cut back failed, new segment in doubt
//!   open --> READY ----+-----------------------------------------------+
//!             ^                                                         v
//!             +------------ checkpoint into a new segment --------- POISONED
//! ```
//!
//! One lock guards the end of the log. The thread that syncs (the leader) gives it up meanwhile;
//! who comes then writes his record and waits, and the next leader syncs for all of them. The leader
//! wakes the next one first, and then each whom it served. Rotation and checkpoints keep the lock,
//! after the leader is back. Dropping a log syncs nothing.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::end::State;
use crate::error::WalError;
use crate::make::{self, Unmade};
use crate::record::{KIND_RESERVED, KIND_SEAL, PAYLOAD_MAX, Record};
use crate::segment::Header;
use crate::storage::{Storage, patiently};
use crate::wait::{Served, Told};

/// What the caller decides about a log.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whose log it is; segments of anybody else are not read.
    pub owner: [u8; 32],
    /// A segment that would grow beyond this is followed by the next, in bytes.
    pub segment_bytes: u64,
    /// So much after a checkpoint the next is due, or as much as the live set took if that is more.
    pub checkpoint_bytes: u64,
}

impl Options {
    /// Segments of 4 MiB, a checkpoint every 8 MiB.
    pub fn new(owner: [u8; 32]) -> Options {
        Options { owner, segment_bytes: 4 << 20, checkpoint_bytes: 8 << 20 }
    }
}

/// Whether a log takes records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WalState {
    /// It does.
    Ready,
    /// Not until a checkpoint succeeds.
    Poisoned {
        /// The failure, in words.
        reason: Arc<str>,
    },
}

/// What a checkpoint did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checkpointed {
    /// How much the log takes on the disk now.
    pub bytes: u64,
    /// What of the older segments could not be removed, and why; the next checkpoint tries again.
    pub untidy: Vec<String>,
}

/// What a log has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Activity {
    /// Records appended.
    pub appends: u64,
    /// Bytes of these, with all that a record has besides its payload, and of checkpoints.
    pub bytes: u64,
    /// Syncs that made appended records durable, each for all that were waiting.
    pub syncs: u64,
    /// Checkpoints.
    pub checkpoints: u64,
}

/// A log, open in this process and in no other. Threads share it by reference.
pub struct Wal {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) options: Options,
    pub(crate) state: Mutex<State>,
    pub(crate) changed: Condvar,
    /// Held, not used.
    pub(crate) _lock: Box<dyn Any + Send + Sync>,
}

impl Wal {
    /// Appends `record` and returns its sequence number when it is durable.
    ///
    /// # Errors
    /// Nothing was acknowledged. Unless the log is poisoned it goes on without the record; in both
    /// cases a crash before the next sync may bring the record back.
    pub fn append_durable(&self, record: &Record) -> Result<u64, WalError> {
        let mut state = self.state.lock();
        let seq = self.write(&mut state, record)?;
        self.commit(state, seq)?;
        Ok(seq)
    }

    /// Appends `record` in its order, to become durable with the next one that must be.
    ///
    /// # Errors
    /// As [`Wal::append_durable`].
    pub fn append_lazy(&self, record: &Record) -> Result<u64, WalError> {
        self.write(&mut self.state.lock(), record)
    }

    /// Makes all that was appended durable.
    ///
    /// # Errors
    /// The log is poisoned.
    pub fn sync(&self) -> Result<(), WalError> {
        let state = self.state.lock();
        state.refuse_poisoned()?;
        let seq = state.written;
        self.commit(state, seq)
    }

    /// Whether the log takes records.
    pub fn state(&self) -> WalState {
        match &self.state.lock().poison {
            Some(reason) => WalState::Poisoned { reason: Arc::clone(reason) },
            None => WalState::Ready,
        }
    }

    /// The sequence number of the last record appended.
    pub fn last_record(&self) -> u64 {
        self.state.lock().written
    }

    /// What was done since the log was opened, or since this was last asked.
    pub fn take_activity(&self) -> Activity {
        std::mem::take(&mut self.state.lock().activity)
    }

    /// How many bytes were appended since the last checkpoint.
    pub fn bytes_since_checkpoint(&self) -> u64 {
        self.state.lock().bytes_since_checkpoint()
    }

    /// Whether a checkpoint is due: enough was appended, or the log is poisoned.
    pub fn wants_checkpoint(&self) -> bool {
        let state = self.state.lock();
        let since = state.bytes_since_checkpoint();
        let due = self.options.checkpoint_bytes.max(state.live_bytes);
        state.poison.is_some() || since >= due
    }

    /// Writes `record` at the end, in a new segment if it does not fit in this one.
    fn write(&self, state: &mut MutexGuard<'_, State>, record: &Record) -> Result<u64, WalError> {
        validate(record)?;
        state.refuse_poisoned()?;
        while state.is_full_for(record, self.options.segment_bytes) {
            if state.syncing {
                self.changed.wait(state);
            } else {
                self.rotate(state)?;
            }
            state.refuse_poisoned()?;
        }
        state.append((record.kind, &record.payload))?;
        Ok(state.written)
    }

    /// Waits until `seq` is durable, or syncs for everybody who waits.
    fn commit<'a>(&'a self, mut state: MutexGuard<'a, State>, seq: u64) -> Result<(), WalError> {
        let epoch = state.poisonings.len();
        loop {
            if let Some(outcome) = state.outcome(epoch, seq) {
                return outcome;
            }
            if !state.syncing {
                let served = self.lead(&mut state);
                // A leader syncs its own record too.
                let outcome = state.outcome(epoch, seq).unwrap_or_else(|| Err(state.lost()));
                drop(state);
                served.tell();
                return outcome;
            }
            let waiter = state.waiters.join(seq);
            drop(state);
            match waiter.wait() {
                Told::Durable => return Ok(()),
                Told::Look => state = self.state.lock(),
            }
        }
    }

    /// One sync, without the lock, for all that is written. Whom it served is to be told.
    fn lead(&self, state: &mut MutexGuard<'_, State>) -> Served {
        state.syncing = true;
        let (file, reached) = (Arc::clone(&state.active.file), state.written);
        let synced = MutexGuard::unlocked(state, || patiently(|| file.sync()));
        state.syncing = false;
        match synced {
            Ok(()) => {
                state.synced = state.synced.max(reached);
                state.activity.syncs += 1;
            }
            Err(e) => {
                let error = WalError::io("sync", &state.active.name)(e);
                state.poison(&error);
            }
        }
        // Rotations and checkpoints.
        self.changed.notify_all();
        let synced = state.synced;
        state.waiters.after_sync(synced)
    }

    /// Ends the active segment and begins the next, which is durable before the seal names it.
    fn rotate(&self, state: &mut State) -> Result<(), WalError> {
        // The seal takes a number too.
        let header = self.next_header(state, state.written + 2)?;
        let next = match make::segment(&*self.storage, &header, &[]) {
            Ok(next) => next,
            Err(Unmade::Never(error)) => return Err(error),
            Err(Unmade::Perhaps(error)) => return Err(state.poisoned_by(error)),
        };
        let sealed = state.append((KIND_SEAL, &header.seq.to_le_bytes())).and_then(|()| {
            let synced = patiently(|| state.active.file.sync());
            synced.map_err(WalError::io("sync", &state.active.name))
        });
        sealed.map_err(|error| state.poisoned_by(error))?;
        state.synced = state.written;
        state.activity.syncs += 1;
        state.waiters.tell_durable();
        state.since_checkpoint += state.active.end - state.active.base;
        let full = std::mem::replace(&mut state.active, next);
        state.older.push(full.name);
        self.changed.notify_all();
        Ok(())
    }

    /// A header for the segment after the active one; its number is used up.
    fn next_header(&self, state: &mut State, first_record: u64) -> Result<Header, WalError> {
        let salt = patiently(|| self.storage.salt());
        let salt = salt.map_err(WalError::io("draw a random number for", "a segment"))?;
        let seq = state.next_segment;
        state.next_segment += 1;
        Ok(Header {
            checkpoint: false,
            owner: self.options.owner,
            seq,
            salt,
            previous: state.active.seq,
            previous_running: state.active.running,
            first_record,
            live: 0,
            durable: state.synced,
        })
    }

    /// Replaces the whole log by `live`, the records that still matter, in a new segment, and
    /// removes the old ones. It also ends a poisoning.
    ///
    /// Nothing may be appended between choosing `live` and this call: it would be forgotten.
    /// [`Wal::checkpoint_through`] watches over that. Appends wait while the live set is written.
    ///
    /// # Errors
    /// The log is as it was, or poisoned; the old segments are there in any case.
    pub fn checkpoint(&self, live: &[Record]) -> Result<Checkpointed, WalError> {
        self.replace(live, None)
    }

    /// As [`Wal::checkpoint`], if record `covers` is the last one that was appended.
    ///
    /// # Errors
    /// [`WalError::Overtaken`] when it is not; else as [`Wal::checkpoint`].
    pub fn checkpoint_through(
        &self,
        covers: u64,
        live: &[Record],
    ) -> Result<Checkpointed, WalError> {
        self.replace(live, Some(covers))
    }

    fn replace(&self, live: &[Record], covers: Option<u64>) -> Result<Checkpointed, WalError> {
        live.iter().try_for_each(validate)?;
        let mut state = self.state.lock();
        while state.syncing {
            self.changed.wait(&mut state);
        }
        if let Some(covers) = covers.filter(|covers| *covers != state.written) {
            return Err(WalError::Overtaken { covers, last: state.written });
        }
        let first_record = state.written.max(state.used) + 1;
        let mut header = self.next_header(&mut state, first_record)?;
        (header.checkpoint, header.live) = (true, live.len() as u64);
        match make::segment(&*self.storage, &header, live) {
            Ok(active) => state.begin_from(active, first_record + header.live),
            Err(Unmade::Never(error)) => return Err(error),
            Err(Unmade::Perhaps(error)) => {
                state.used = first_record + header.live;
                return Err(state.poisoned_by(error));
            }
        }
        self.changed.notify_all();
        let untidy = remove_all(&*self.storage, &mut state.older);
        Ok(Checkpointed { bytes: state.active.end, untidy })
    }
}

impl fmt::Debug for Wal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wal").field("options", &self.options).finish_non_exhaustive()
    }
}

/// Removes `names`, oldest first, as far as the storage lets; what is left stays in `names`.
pub(crate) fn remove_all(storage: &dyn Storage, names: &mut Vec<String>) -> Vec<String> {
    let mut untidy = Vec::new();
    names.retain(|name| {
        let removed = match patiently(|| storage.remove(name)) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        };
        let error = removed.map_err(WalError::io("remove", name)).err();
        untidy.extend(error.iter().map(ToString::to_string));
        error.is_some()
    });
    // A name that comes back after a crash is removed at the next start.
    let synced = patiently(|| storage.sync_dir());
    let error = synced.map_err(WalError::io("sync the directory of", "removed segments")).err();
    untidy.extend(error.iter().map(ToString::to_string));
    untidy
}

fn validate(record: &Record) -> Result<(), WalError> {
    if record.payload.len() > PAYLOAD_MAX {
        return Err(WalError::TooLong { bytes: record.payload.len() });
    }
    if record.kind >= KIND_RESERVED {
        return Err(WalError::KindReserved { kind: record.kind });
    }
    Ok(())
}
