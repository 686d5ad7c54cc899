//! What the log remembers of uploads, and how a log becomes a ledger again.
//!
//! Invariant: the records of a log, in their order, give the ledger that wrote them, but for what
//! was not durable yet; a record of an upload that is not known changes nothing.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::SetKey;
use crate::base::NodeId;
use crate::wire::Text;
use crate::wire::codec::{self, CodecError};
use crate::wire::message::transfer::Content;

/// Longest name of an upload in the log, bytes.
pub const NAME_BYTES_MAX: usize = 1_024;

/// What a record of an upload is called in a log that has other kinds too.
pub const LOG_KIND: u32 = 1;

/// One line of an upload's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// It was opened, for the first time or again. Durable before the first byte leaves.
    Begun {
        /// Who fetches.
        requester: NodeId,
        /// What.
        set: SetKey,
        /// How often that was opened.
        attempt: u32,
        /// What people call it.
        name: Text<NAME_BYTES_MAX>,
        /// What it is, when it is one file.
        content: Option<Content>,
        /// Bytes in all.
        total: u64,
    },
    /// How far it is. May be lost.
    Acked {
        /// Who fetches.
        requester: NodeId,
        /// What.
        set: SetKey,
        /// Bytes that the requester has verified and written.
        bytes: u64,
        /// For how long nobody has had it open while this node ran, seconds.
        age_s: u64,
    },
    /// It is over. When this is lost the requester is asked once more.
    Ended {
        /// Who fetched.
        requester: NodeId,
        /// What.
        set: SetKey,
        /// How it ended.
        end: End,
    },
}

impl Record {
    /// The bytes for the log, of kind `LOG_KIND`.
    ///
    /// # Errors
    /// It is longer than a frame, which none is.
    pub fn to_log(&self) -> Result<Vec<u8>, CodecError> {
        codec::encode(self)
    }

    /// What the log has kept.
    ///
    /// # Errors
    /// In words: another kind, or not what was written.
    pub fn from_log(kind: u32, payload: &[u8]) -> Result<Record, String> {
        if kind != LOG_KIND {
            return Err(format!("kind {kind}"));
        }
        codec::decode(payload).map_err(|e| e.to_string())
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = |set: &SetKey| NodeId::from_bytes(*set).short();
        match self {
            Record::Begun { requester, set: key, attempt, name, total, .. } => {
                let (who, name) = (requester.short(), name.shown());
                write!(f, "begun {} for {who}: {name}, {total} bytes, attempt {attempt}", set(key))
            }
            Record::Acked { requester, set: key, bytes, age_s } => {
                write!(
                    f,
                    "acked {} for {}: {bytes} bytes, {age_s} s old",
                    set(key),
                    requester.short()
                )
            }
            Record::Ended { requester, set: key, end } => {
                write!(f, "ended {} for {}: {end:?}", set(key), requester.short())
            }
        }
    }
}

/// How an upload ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// The requester has it, synced and named.
    Done,
    /// The requester does not want it any more.
    Cancelled(Text<256>),
    /// This node does not have the file any more.
    Gone,
    /// The requester was away for too long.
    Expired,
    /// Too many uploads are unfinished; this one waited longest.
    Crowded,
}
