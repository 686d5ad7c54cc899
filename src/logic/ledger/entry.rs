//! One upload in the ledger.

use std::time::Duration;

use super::events::{Connection, SetKey};
use super::record::Record;
use crate::base::backoff::Backoff;
use crate::base::{NodeId, Time};
use crate::wire::Text;
use crate::wire::message::transfer::Content;

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) content: Option<Content>,
    pub(super) total: u64,
    pub(super) attempt: u32,
    pub(super) resumable: bool,
    pub(super) acked: u64,
    pub(super) logged: u64,
    pub(super) age: Duration,
    pub(super) logged_age: Duration,
    pub(super) phase: Phase,
}

#[derive(Debug)]
pub(super) enum Phase {
    Open(Connection),
    Waiting {
        next: Time,
        knocks: Backoff,
        why: String,
        /// Whether it is not to be called for now, only looked for.
        absent: bool,
    },
    Knocking {
        knocks: Backoff,
    },
    /// Its number among the endings.
    Over(u64),
}

impl Entry {
    pub(super) fn begun(&self, (requester, set): (NodeId, SetKey)) -> Record {
        let Entry { attempt, content, total, .. } = *self;
        Record::Begun { requester, set, attempt, name: Text::of(&self.name), content, total }
    }

    pub(super) fn progress(&self, (requester, set): (NodeId, SetKey)) -> Record {
        Record::Acked { requester, set, bytes: self.acked, age_s: self.age.as_secs() }
    }
}

/// It waits for its requester, until `next` at most.
pub(super) fn waiting(next: Time, knocks: Backoff, why: impl Into<String>) -> Phase {
    Phase::Waiting { next, knocks, why: why.into(), absent: false }
}
