//! The uploads of a node: who opened what, on which connection, how far it is, and who is waited
//! for.
//!
//! Invariant: the ledger decides, this table carries out: for one requester and one set at most one
//! connection is current; opening again closes the older one, so a thread that wakes up late finds
//! its connection gone. An upload keeps its number for people from its first opening to its end.

mod rows;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use rows::waiting_row;

use super::context::Context;
use super::journal::{Journal, Refusals};
use super::throttle::Limiter;
use super::view::TransferRow;
use crate::base::{Fault, NodeId, PeerInfo, Rate, Time};
use crate::io::clock;
use crate::io::link::Closer;
use crate::logic::ledger::{
    Answer, Call, Connection, Knock, KnockBudget, Ledger, Lost, Met, Opened, Opening, Reach,
    Record, SetKey, Waiting,
};

/// Limits remembered of uploads that may come again.
const LIMITS_KEPT: usize = 1_024;

/// An upload that may begin to send. Dropped without a word, as in a panic, it waits for its
/// requester like one whose connection broke.
pub(super) struct Begun<'a> {
    uploads: &'a Uploads,
    pub(super) connection: Connection,
    pub(super) attempt: u32,
    /// What a person holds it to.
    pub(super) limit: Arc<Limiter>,
}

impl Begun<'_> {
    /// Its connection has ended.
    pub(super) fn end(self, how: Lost) {
        // Once: of a connection that is not current any more nothing happens.
        self.uploads.end(self.connection, how);
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        self.uploads.end(self.connection, Lost::Broken);
    }
}

/// One upload that is connected, as `transfers` shows it.
struct Connected {
    /// For people.
    id: u64,
    peer: NodeId,
    set: SetKey,
    name: String,
    attempt: u32,
    total: u64,
    acked: u64,
    sent: u64,
    began: Time,
    last_moved: Time,
    limit: Arc<Limiter>,
    closer: Closer,
}

/// The table of uploads.
pub(super) struct Uploads {
    ctx: Arc<Context>,
    ids: Arc<AtomicU64>,
    journal: Journal,
    durable: bool,
    connections: AtomicU64,
    inner: Mutex<Inner>,
}

struct Inner {
    ledger: Ledger,
    budget: KnockBudget,
    refusals: Refusals,
    open: BTreeMap<Connection, Connected>,
    /// Numbers for people, of what is open or waited for.
    numbers: BTreeMap<(NodeId, SetKey), u64>,
    /// What each of these is held to; a limit that was set outlives lost connections.
    limits: BTreeMap<(NodeId, SetKey), Arc<Limiter>>,
}

impl Uploads {
    /// The table that the log remembers. With `durable` an opening is on the disk before it is
    /// answered.
    pub(super) fn new(
        ctx: Arc<Context>,
        ids: Arc<AtomicU64>,
        journal: Journal,
        log: Vec<Record>,
        durable: bool,
    ) -> Uploads {
        let now = clock::now();
        ctx.statistics.note(|s| s.log.recovered += log.len() as u64);
        let ledger = Ledger::recover(now, ctx.patience, log);
        let number = |w: Waiting| ((w.requester, w.set), ids.fetch_add(1, Ordering::Relaxed));
        let numbers = ledger.waiting(now).into_iter().map(number).collect();
        let (budget, open) = (KnockBudget::default(), BTreeMap::new());
        let (limits, refusals) = (BTreeMap::new(), Refusals::default());
        let inner = Mutex::new(Inner { ledger, budget, refusals, open, numbers, limits });
        Uploads { ctx, ids, journal, durable, connections: AtomicU64::new(1), inner }
    }

    /// A requester opens a set: takes over from its older connection. The log has it then.
    ///
    /// # Errors
    /// The log takes nothing now: the upload is not begun.
    pub(super) fn begin(
        &self,
        opening: Opening,
        from: IpAddr,
        closer: Closer,
    ) -> Result<Begun<'_>, Fault> {
        let connection = Connection(self.connections.fetch_add(1, Ordering::Relaxed));
        let (opened, limit, logged) = {
            let mut inner = self.inner.lock();
            let key = (opening.requester, opening.set);
            let fresh = || self.ids.fetch_add(1, Ordering::Relaxed);
            let id = *inner.numbers.entry(key).or_insert_with(fresh);
            let limit = inner.limits.entry(key).or_default().clone();
            let status = Connected::new(id, &opening, limit.clone(), closer);
            inner.budget.proved(clock::now(), from, opening.requester);
            let (opened, record) = inner.ledger.open(opening, connection);
            self.ctx.statistics.note(|s| match opened.goes_on {
                true => s.retries.uploads_reopened += 1,
                false => s.uploads.begun += 1,
            });
            if let Some(older) = opened.older.and_then(|older| inner.open.get(&older)) {
                older.closer.close();
            }
            let Opened { attempt, acked, .. } = opened;
            inner.open.insert(connection, Connected { attempt, acked, ..status });
            (opened, limit, record.map(|record| self.journal.append(&record)))
        };
        let logged = match logged {
            Some(Ok(())) if self.durable => self.journal.sync(),
            Some(other) => other,
            None => Ok(()),
        };
        match logged {
            Ok(()) => Ok(Begun { uploads: self, connection, attempt: opened.attempt, limit }),
            Err(fault) => {
                // What the log has begun before goes on when it takes records again.
                let refused = || Lost::Cancelled("it could not be logged".into());
                self.end(connection, if opened.goes_on { Lost::Broken } else { refused() });
                if self.inner.lock().refusals.refused(&self.journal) {
                    let words = "uploads are refused until the log of them takes records again";
                    self.ctx.notices.tell(format!("{words}: {fault}"));
                }
                Err(fault)
            }
        }
    }

    /// Counts what the log has done since the last time.
    pub(super) fn count_log(&self) {
        let done = self.journal.take_activity();
        self.ctx.statistics.note(|s| s.log.merge(done));
    }

    /// Appends what needs not be durable at once. Lost, it costs one more knock.
    fn note(&self, records: impl IntoIterator<Item = Record>) {
        for record in records {
            if let Record::Ended { end, .. } = &record {
                self.ctx.statistics.note(|s| s.uploads.ended(end));
            }
            if let Err(fault) = self.journal.append(&record) {
                log::warn!(target: "upload", "{fault}");
            }
        }
    }

    /// Bytes of an upload left.
    pub(super) fn sent(&self, connection: Connection, bytes: u64) {
        if let Some(status) = self.inner.lock().open.get_mut(&connection) {
            status.sent += bytes;
            status.last_moved = clock::now();
        }
    }

    /// Bytes of an upload were acknowledged, for the first time.
    pub(super) fn acked(&self, connection: Connection, bytes: u64) {
        if bytes == 0 {
            return;
        }
        let mut inner = self.inner.lock();
        self.note(inner.ledger.acked(connection, bytes));
        if let Some(status) = inner.open.get_mut(&connection) {
            status.acked = (status.acked + bytes).min(status.total);
            status.last_moved = clock::now();
        }
    }

    /// When a byte last left, or was acknowledged: while any does, nobody is given up.
    pub(super) fn last_moved(&self, connection: Connection) -> Option<Time> {
        self.inner.lock().open.get(&connection).map(|status| status.last_moved)
    }

    /// The connection of an upload has ended.
    fn end(&self, connection: Connection, how: Lost) {
        let mut inner = self.inner.lock();
        let (status, is_done) = (inner.open.remove(&connection), how == Lost::Done);
        if is_done {
            // Whoever asks for it again begins anew.
            let limit = status.as_ref().map(|status| &status.limit);
            inner.limits.retain(|_, kept| !limit.is_some_and(|limit| Arc::ptr_eq(limit, kept)));
        }
        let was_current = inner.ledger.is_current(connection);
        let ended = inner.ledger.close(clock::now(), connection, how);
        if let (true, None, Some(Connected { peer, set, .. })) = (was_current, &ended, status) {
            let waits = inner.ledger.is_unfinished(peer, set);
            self.ctx.statistics.note(|s| match waits {
                true => s.uploads.interrupted += 1,
                false => s.uploads.left(is_done),
            });
        }
        self.note(ended);
        inner.forget_numbers();
    }

    /// Nothing of a set is here any more: what was begun of it for `requester` is over.
    pub(super) fn gone(&self, requester: NodeId, set: SetKey) {
        let mut inner = self.inner.lock();
        self.note(inner.ledger.gone(requester, set));
        inner.forget_numbers();
    }

    /// Holds the upload with this number to `rate`; false: there is none.
    pub(super) fn limit(&self, id: u64, rate: Option<Rate>) -> bool {
        let mut inner = self.inner.lock();
        let key = inner.numbers.iter().find(|(_, number)| **number == id).map(|(key, _)| *key);
        key.inspect(|key| inner.limits.entry(*key).or_default().set(rate)).is_some()
    }

    /// Lets time pass, tidies the log, and tells who is to be called now, and where.
    pub(super) fn tick(&self) -> Vec<Call> {
        let now = clock::now();
        let mut guard = self.inner.lock();
        self.note(guard.ledger.tick(now));
        self.tidy_log(&mut guard);
        let Inner { ledger, budget, .. } = &mut *guard;
        let peers = self.ctx.peers.lock();
        let (budget, found) = (RefCell::new(budget), RefCell::new(BTreeMap::new()));
        let reach = |id: &NodeId| {
            let Some(peer) = peers.get(id) else { return Reach::Absent };
            if !budget.borrow_mut().take(now, peer.ip, *id) {
                return Reach::TooOften;
            }
            found.borrow_mut().insert(*id, peer);
            Reach::Call
        };
        let knocks = ledger.due(now, &reach);
        drop(peers);
        guard.forget_numbers();
        let mut found = found.into_inner();
        let by_requester = knocks.chunk_by(|a, b| a.requester == b.requester);
        let call = |knocks: &[Knock]| {
            Some(Call { peer: found.remove(&knocks[0].requester)?, knocks: knocks.to_vec() })
        };
        by_requester.filter_map(call).collect()
    }

    fn tidy_log(&self, inner: &mut Inner) {
        if !self.journal.wants_checkpoint() {
            return;
        }
        self.journal.checkpoint(&inner.ledger.live());
        if inner.refusals.over(&self.journal) {
            self.ctx.notices.tell("the log of uploads takes records again");
        }
    }

    /// Whether the requester of a knock is still missed.
    pub(super) fn is_missed(&self, knock: &Knock) -> bool {
        self.inner.lock().ledger.is_knocked(knock.requester, knock.set)
    }

    /// What came of a knock.
    pub(super) fn heard(&self, knock: &Knock, answer: Answer) {
        self.ctx.statistics.note(|s| s.retries.knocked(&answer));
        let mut inner = self.inner.lock();
        let (now, random) = (clock::now(), clock::random_u64());
        self.note(inner.ledger.answered(now, knock.requester, knock.set, answer, random));
        inner.forget_numbers();
    }

    /// A call is over: whether it met whom it was for.
    pub(super) fn called(&self, peer: &PeerInfo, met: Met) {
        self.inner.lock().budget.met(clock::now(), peer.ip, peer.id, met);
    }

    /// Whether a call to somebody at `ip` may be made now.
    #[cfg(test)]
    pub(super) fn may_call(&self, peer: &PeerInfo) -> bool {
        self.inner.lock().budget.take(clock::now(), peer.ip, peer.id)
    }

    /// The requesters that are waited for.
    pub(super) fn waited_for(&self) -> Vec<NodeId> {
        let mut all: Vec<NodeId> =
            self.inner.lock().ledger.waiting(clock::now()).iter().map(|w| w.requester).collect();
        all.dedup();
        all
    }

    /// A tracker lists a requester that was away.
    pub(super) fn returned(&self, requester: NodeId, ip: IpAddr) {
        let mut inner = self.inner.lock();
        let now = clock::now();
        inner.budget.renewed(now, ip);
        inner.ledger.returned(now, requester);
    }

    /// All rows, oldest first. A requester may have opened before its name came from a tracker, so
    /// names are looked up here.
    pub(super) fn rows(&self) -> Vec<TransferRow> {
        let now = clock::now();
        let inner = self.inner.lock();
        let connected = inner.open.values().map(|status| (status.peer, status.row(now)));
        let waiting = inner.ledger.waiting(now).into_iter().map(|waiting| {
            let key = (waiting.requester, waiting.set);
            let id = inner.numbers.get(&key).copied().unwrap_or_default();
            let limit = inner.limits.get(&key).and_then(|limit| limit.rate());
            (waiting.requester, waiting_row(id, waiting, limit))
        });
        let mut rows: Vec<(NodeId, TransferRow)> = connected.chain(waiting).collect();
        drop(inner);
        rows.sort_by_key(|(_, row)| row.id);
        self.named(rows)
    }

    fn named(&self, rows: Vec<(NodeId, TransferRow)>) -> Vec<TransferRow> {
        let peers = self.ctx.peers.lock();
        let name = |(peer, mut row): (NodeId, TransferRow)| {
            row.peer = peers.label(&peer).map_or_else(|| peer.short(), |label| label.to_string());
            row
        };
        rows.into_iter().map(name).collect()
    }
}

impl Inner {
    /// Numbers live as long as their uploads; so do limits, but for those that were set.
    fn forget_numbers(&mut self) {
        let Inner { ledger, numbers, limits, .. } = self;
        numbers.retain(|(requester, set), _| ledger.is_unfinished(*requester, *set));
        let mut room = LIMITS_KEPT;
        limits.retain(|key, limit| {
            let kept = numbers.contains_key(key) || limit.rate().is_some() && room > 0;
            room = room.saturating_sub(usize::from(kept));
            kept
        });
    }
}

impl Connected {
    fn new(id: u64, opening: &Opening, limit: Arc<Limiter>, closer: Closer) -> Connected {
        let now = clock::now();
        Connected {
            id,
            peer: opening.requester,
            set: opening.set,
            name: opening.name.clone(),
            attempt: 0,
            total: opening.total,
            acked: 0,
            sent: 0,
            began: now,
            last_moved: now,
            limit,
            closer,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::node::samples;
    use crate::node::view::TransferState;

    fn opening(set: u8) -> Opening {
        Opening {
            requester: NodeId::from_bytes([2; 32]),
            set: [set; 32],
            name: "film".into(),
            content: None,
            total: 10,
            resumable: true,
        }
    }

    #[test]
    fn an_upload_whose_thread_panics_waits_for_its_requester_as_one_that_was_cut_off() {
        let (_, uploads) = samples::uploads();
        let here = Ipv4Addr::LOCALHOST.into();
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _begun = uploads.begin(opening(7), here, Closer::of_nothing()).unwrap();
            assert_eq!(uploads.rows()[0].state, TransferState::Moving);
            std::panic::resume_unwind(Box::new("a fault of ours"));
        }));
        assert!(panicked.is_err());
        let row = &uploads.rows()[0];
        assert!(row.reason.starts_with("the connection was lost"), "{row:?}");
        assert_eq!(uploads.rows().len(), 1);
        assert!(uploads.inner.lock().open.is_empty());
    }

    #[test]
    fn an_upload_that_ended_with_a_word_ends_once() {
        let (_, uploads) = samples::uploads();
        let here = Ipv4Addr::LOCALHOST.into();
        uploads.begin(opening(7), here, Closer::of_nothing()).unwrap().end(Lost::Done);
        assert!(uploads.rows().is_empty());
    }
}
