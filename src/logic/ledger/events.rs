//! What the ledger is told and what it answers.

use crate::base::NodeId;
use crate::wire::message::transfer::Content;

/// A set's key, see `batch::set_key`.
pub type SetKey = [u8; 32];

/// A connection, numbered by the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Connection(pub u64);

/// A requester opens a set.
#[derive(Debug, Clone)]
pub struct Opening {
    /// Who.
    pub requester: NodeId,
    /// What.
    pub set: SetKey,
    /// What people call it.
    pub name: String,
    /// What it is, when it is one file.
    pub content: Option<Content>,
    /// Bytes in all.
    pub total: u64,
    /// Whether the requester will be there again after a restart; otherwise the upload ends with its
    /// connection and is not logged.
    pub resumable: bool,
}

/// An upload was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// For OPENED; the first is 1.
    pub attempt: u32,
    /// The connection that was current until now: close it.
    pub older: Option<Connection>,
    /// Whether it was begun before and is not over.
    pub goes_on: bool,
    /// Bytes that arrived before.
    pub acked: u64,
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lost {
    /// The requester said DONE.
    Done,
    /// The requester said CANCEL.
    Cancelled(String),
    /// The requester was silent for an ACK timeout.
    Silent,
    /// In any other way.
    Broken,
}

/// Whether a requester may be called now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// It may, and that counts.
    Call,
    /// Nobody says where it is.
    Absent,
    /// Its address was called often enough.
    TooOften,
}

/// Whom to knock at, and for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Knock {
    /// Whom.
    pub requester: NodeId,
    /// For what.
    pub set: SetKey,
    /// What that is, when it is one file.
    pub content: Option<Content>,
}

/// What came of a knock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The requester opens the set again by itself.
    Coming,
    /// It has everything.
    Done,
    /// It does not want it any more.
    Cancelled(String),
    /// Not now.
    Later(String),
    /// It was not reached.
    Away(String),
    /// It was not asked, for a reason that lies here.
    NotTried(String),
}

/// An upload that waits for its requester.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Who fetches.
    pub requester: NodeId,
    /// What.
    pub set: SetKey,
    /// What people call it.
    pub name: String,
    /// Bytes in all.
    pub total: u64,
    /// Bytes that arrived.
    pub acked: u64,
    /// How often it was opened.
    pub attempt: u32,
    /// Why it waits, and what happens next.
    pub reason: String,
}
