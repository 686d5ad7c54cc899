//! The uploads of a node: who opened what, on which connection, how far it is.
//!
//! Invariant: for one requester and one set at most one connection is current; opening again
//! closes the older one, so a thread that wakes up late finds its connection gone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::context::Context;
use super::view::{Direction, TransferRow, TransferState};
use crate::base::{NodeId, Time};
use crate::io::clock;
use crate::io::link::Closer;
use crate::logic::attempts::{Attempts, Connection, SetKey};

/// An upload that is silent for longer is shown as waiting.
const SILENCE_MAX: Duration = Duration::from_secs(2);

/// One upload, as `transfers` shows it.
pub(super) struct UploadStatus {
    pub(super) peer: NodeId,
    pub(super) name: String,
    pub(super) attempt: u32,
    pub(super) total: u64,
    pub(super) acked: u64,
    pub(super) sent: u64,
    pub(super) began: Time,
    pub(super) last_moved: Time,
    pub(super) key: SetKey,
    closer: Closer,
}

/// The table of uploads that are connected now.
pub(super) struct Uploads {
    ctx: Arc<Context>,
    ids: Arc<AtomicU64>,
    attempts: Mutex<Attempts>,
    open: Mutex<BTreeMap<u64, UploadStatus>>,
}

impl Uploads {
    pub(super) fn new(ctx: Arc<Context>, ids: Arc<AtomicU64>) -> Uploads {
        Uploads { ctx, ids, attempts: Attempts::new().into(), open: BTreeMap::new().into() }
    }

    /// A requester opens a set: takes over from its older connection. Returns id and attempt.
    pub(super) fn begin(
        &self,
        peer: NodeId,
        key: SetKey,
        name: String,
        total: u64,
        closer: Closer,
    ) -> (u64, u32) {
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let opened = self.attempts.lock().open(peer, key, Connection(id));
        let now = clock::now();
        let status = UploadStatus {
            peer,
            name,
            attempt: opened.attempt,
            total,
            acked: 0,
            sent: 0,
            began: now,
            last_moved: now,
            key,
            closer,
        };
        let mut open = self.open.lock();
        if let Some(Connection(older)) = opened.older
            && let Some(status) = open.get(&older)
        {
            status.closer.close();
        }
        open.insert(id, status);
        (id, opened.attempt)
    }

    /// Bytes of an upload left or were acknowledged.
    pub(super) fn moved(&self, id: u64, sent: u64, acked: u64) {
        if let Some(status) = self.open.lock().get_mut(&id) {
            status.sent += sent;
            status.acked += acked;
            status.last_moved = clock::now();
        }
    }

    /// The connection of an upload has ended.
    pub(super) fn end(&self, id: u64) {
        if let Some(status) = self.open.lock().remove(&id) {
            self.attempts.lock().close(status.peer, status.key, Connection(id));
        }
    }

    /// All rows, oldest first. A requester may have opened before its name came from a tracker, so
    /// names are looked up here.
    pub(super) fn rows(&self) -> Vec<TransferRow> {
        let now = clock::now();
        let rows = self.open.lock().iter().map(|(id, s)| (s.peer, s.row(*id, now))).collect();
        self.named(rows)
    }

    fn named(&self, rows: Vec<(NodeId, TransferRow)>) -> Vec<TransferRow> {
        let peers = self.ctx.peers.lock();
        let name = |(peer, mut row): (NodeId, TransferRow)| {
            let known = peers.get(&peer);
            row.peer = known.map_or_else(|| peer.short(), |info| info.label.to_string());
            row
        };
        rows.into_iter().map(name).collect()
    }
}

impl UploadStatus {
    fn row(&self, id: u64, now: Time) -> TransferRow {
        let (state, reason) = standing(now.since(self.last_moved));
        TransferRow {
            id,
            dir: Direction::Up,
            name: self.name.clone(),
            peer: String::new(),
            state,
            reason,
            done: self.acked,
            total: self.total,
            attempt: self.attempt,
            rate: (self.sent as f64 / now.since(self.began).as_secs_f64().max(0.1)) as u64,
            sources: Vec::new(),
        }
    }
}

/// What is seen from here: whether the requester, the wire or our own bound holds it back is not.
fn standing(silent: Duration) -> (TransferState, String) {
    if silent < SILENCE_MAX {
        return (TransferState::Moving, String::new());
    }
    let reason = format!("nothing sent or acknowledged for {} s", silent.as_secs());
    (TransferState::Waiting, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_upload_says_for_how_long_and_blames_nobody() {
        let (state, reason) = standing(Duration::from_millis(1_999));
        assert_eq!((state, reason.as_str()), (TransferState::Moving, ""));
        let (state, reason) = standing(Duration::from_secs(7));
        assert_eq!(state, TransferState::Waiting);
        assert_eq!(reason, "nothing sent or acknowledged for 7 s");
    }
}
