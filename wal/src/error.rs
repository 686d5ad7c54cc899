//! What can go wrong with a log that the caller must hear of.
//!
//! Invariant: a message says what was attempted, on what, what was wrong, and what to do about it.
//! Damage that recovery could live with is not here but in the [`Report`](crate::Report).

use std::io;
use std::sync::Arc;

use crate::record::{KIND_RESERVED, PAYLOAD_MAX};

/// Why the log could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum WalError {
    /// The storage said no.
    #[error("could not {action} {file} of the log: {source}{}", advice(.source))]
    Io {
        /// What was attempted, as a verb.
        action: &'static str,
        /// On which file of the log's directory.
        file: String,
        /// What the storage said.
        source: io::Error,
    },
    /// Another process, or another handle of this one, has the directory.
    #[error("the log in {path} is in use by {}; stop it first", owner(*.pid))]
    Locked {
        /// The directory.
        path: String,
        /// The process that holds the lock, when it has said so.
        pid: Option<u32>,
    },
    /// The record is longer than the format allows.
    #[error("a record of {bytes} bytes does not fit in the log: at most {PAYLOAD_MAX}; split it")]
    TooLong {
        /// Its payload's length.
        bytes: usize,
    },
    /// The record's kind belongs to the log itself.
    #[error("kind {kind:#x} is reserved for the log: choose one below {KIND_RESERVED:#x}")]
    KindReserved {
        /// The kind that was asked for.
        kind: u32,
    },
    /// A write or sync failed in a way that leaves the end of the log unknown.
    #[error("the log takes no records since {reason}; write a checkpoint to go on")]
    Poisoned {
        /// The failure, in words.
        reason: Arc<str>,
    },
    /// Records were appended after the live set had been chosen.
    #[error("the live set covers record {covers}, the log is at {last}; choose it again")]
    Overtaken {
        /// The last record that the live set takes into account.
        covers: u64,
        /// The last record of the log.
        last: u64,
    },
    /// Sequence numbers ran out: only a forged log can get there.
    #[error("the sequence numbers in {file} leave no room; move the log's directory away")]
    Exhausted {
        /// Where the largest number was seen.
        file: String,
    },
}

impl WalError {
    /// For `map_err`: `action` on `file` failed.
    pub(crate) fn io(action: &'static str, file: &str) -> impl FnOnce(io::Error) -> WalError {
        let file = file.to_owned();
        move |source| WalError::Io { action, file, source }
    }

    /// Whether freeing space on the disk is what helps.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, WalError::Io { source, .. } if is_full(source))
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        _ if is_full(error) => "; free some space",
        io::ErrorKind::PermissionDenied => "; make the directory writable for this user",
        io::ErrorKind::ReadOnlyFilesystem => "; mount the file system writable",
        _ => "",
    }
}

fn owner(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}
