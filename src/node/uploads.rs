//! The uploads of a node: who opened what, on which connection, how far it is, and who is waited
//! for.
//!
//! Invariant: the ledger decides, this table carries out: for one requester and one set at most one
//! connection is current; opening again closes the older one, so a thread that wakes up late finds
//! its connection gone. An upload keeps its number for people from its first opening to its end.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::context::Context;
use super::journal::Journal;
use super::view::{Direction, TransferRow, TransferState};
use crate::base::{Fault, NodeId, Time};
use crate::io::clock;
use crate::io::link::Closer;
use crate::logic::ledger::{
    Answer, Call, Connection, Knock, KnockBudget, Ledger, Lost, Opened, Opening, Reach, Record,
    SetKey, Waiting,
};

/// An upload that is silent for longer is shown as waiting.
const SILENCE_MAX: Duration = Duration::from_secs(2);

/// One upload that is connected, as `transfers` shows it.
struct Connected {
    /// For people.
    id: u64,
    peer: NodeId,
    name: String,
    attempt: u32,
    total: u64,
    acked: u64,
    sent: u64,
    began: Time,
    last_moved: Time,
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
    open: BTreeMap<Connection, Connected>,
    /// Numbers for people, of what is open or waited for.
    numbers: BTreeMap<(NodeId, SetKey), u64>,
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
        let ledger = Ledger::recover(now, ctx.patience, log);
        let number = |w: Waiting| ((w.requester, w.set), ids.fetch_add(1, Ordering::Relaxed));
        let numbers = ledger.waiting(now).into_iter().map(number).collect();
        let (budget, open) = (KnockBudget::default(), BTreeMap::new());
        let inner = Mutex::new(Inner { ledger, budget, open, numbers });
        Uploads { ctx, ids, journal, durable, connections: AtomicU64::new(1), inner }
    }

    /// A requester opens a set: takes over from its older connection. Returns the connection's
    /// number and the attempt; the log has it then.
    ///
    /// # Errors
    /// The log takes nothing now: the upload is not begun.
    pub(super) fn begin(
        &self,
        opening: Opening,
        from: IpAddr,
        closer: Closer,
    ) -> Result<(Connection, u32), Fault> {
        let connection = Connection(self.connections.fetch_add(1, Ordering::Relaxed));
        let (opened, logged) = {
            let mut inner = self.inner.lock();
            let key = (opening.requester, opening.set);
            let fresh = || self.ids.fetch_add(1, Ordering::Relaxed);
            let id = *inner.numbers.entry(key).or_insert_with(fresh);
            let status = Connected::new(id, &opening, closer);
            inner.budget.proved(clock::now(), from, opening.requester);
            let (opened, record) = inner.ledger.open(opening, connection);
            if let Some(older) = opened.older.and_then(|older| inner.open.get(&older)) {
                older.closer.close();
            }
            let Opened { attempt, acked, .. } = opened;
            inner.open.insert(connection, Connected { attempt, acked, ..status });
            (opened, record.map(|record| self.journal.append(&record)))
        };
        let logged = match logged {
            Some(Ok(())) if self.durable => self.journal.sync(),
            Some(other) => other,
            None => Ok(()),
        };
        match logged {
            Ok(()) => Ok((connection, opened.attempt)),
            Err(fault) => {
                // What the log has begun before is not over because of this.
                let refused = || Lost::Cancelled("it could not be logged".into());
                self.end(connection, if opened.goes_on { Lost::Broken } else { refused() });
                Err(fault)
            }
        }
    }

    /// Appends what needs not be durable at once. Lost, it costs one more knock.
    fn note(&self, records: impl IntoIterator<Item = Record>) {
        for record in records {
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

    /// Bytes of an upload were acknowledged.
    pub(super) fn acked(&self, connection: Connection, bytes: u64) {
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
    pub(super) fn end(&self, connection: Connection, how: Lost) {
        let mut inner = self.inner.lock();
        self.note(inner.ledger.close(clock::now(), connection, how));
        inner.open.remove(&connection);
        inner.forget_numbers();
    }

    /// Nothing of a set is here any more: what was begun of it for `requester` is over.
    pub(super) fn gone(&self, requester: NodeId, set: SetKey) {
        let mut inner = self.inner.lock();
        self.note(inner.ledger.gone(requester, set));
        inner.forget_numbers();
    }

    /// Lets time pass, tidies the log, and tells who is to be called now, and where.
    pub(super) fn tick(&self) -> Vec<Call> {
        let now = clock::now();
        let mut guard = self.inner.lock();
        self.note(guard.ledger.tick(now));
        if self.journal.wants_checkpoint() {
            self.journal.checkpoint(&guard.ledger.live());
        }
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
        let found = found.into_inner();
        let call = |knock: Knock| Some(Call { peer: found.get(&knock.requester)?.clone(), knock });
        knocks.into_iter().filter_map(call).collect()
    }

    /// What came of a call, and whether it met whom it was for.
    pub(super) fn answered(&self, call: &Call, met: bool, answer: Answer) {
        let mut inner = self.inner.lock();
        let (now, random) = (clock::now(), clock::random_u64());
        inner.budget.met(now, call.peer.ip, call.peer.id, met);
        let knock = &call.knock;
        self.note(inner.ledger.answered(now, knock.requester, knock.set, answer, random));
        inner.forget_numbers();
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
        inner.budget.renewed(ip);
        inner.ledger.returned(clock::now(), requester);
    }

    /// All rows, oldest first. A requester may have opened before its name came from a tracker, so
    /// names are looked up here.
    pub(super) fn rows(&self) -> Vec<TransferRow> {
        let now = clock::now();
        let inner = self.inner.lock();
        let connected = inner.open.values().map(|status| (status.peer, status.row(now)));
        let waiting = inner.ledger.waiting(now).into_iter().map(|waiting| {
            let number = inner.numbers.get(&(waiting.requester, waiting.set));
            (waiting.requester, waiting_row(number.copied().unwrap_or_default(), waiting))
        });
        let mut rows: Vec<(NodeId, TransferRow)> = connected.chain(waiting).collect();
        drop(inner);
        rows.sort_by_key(|(_, row)| row.id);
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

impl Inner {
    /// Numbers live as long as their uploads.
    fn forget_numbers(&mut self) {
        let Inner { ledger, numbers, .. } = self;
        numbers.retain(|(requester, set), _| ledger.is_unfinished(*requester, *set));
    }
}

impl Connected {
    fn new(id: u64, opening: &Opening, closer: Closer) -> Connected {
        let now = clock::now();
        Connected {
            id,
            peer: opening.requester,
            name: opening.name.clone(),
            attempt: 0,
            total: opening.total,
            acked: 0,
            sent: 0,
            began: now,
            last_moved: now,
            closer,
        }
    }

    fn row(&self, now: Time) -> TransferRow {
        let (state, reason) = standing(now.since(self.last_moved));
        TransferRow {
            id: self.id,
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

fn waiting_row(id: u64, waiting: Waiting) -> TransferRow {
    TransferRow {
        id,
        dir: Direction::Up,
        name: waiting.name,
        peer: String::new(),
        state: TransferState::Waiting,
        reason: waiting.reason,
        done: waiting.acked,
        total: waiting.total,
        attempt: waiting.attempt,
        rate: 0,
        sources: Vec::new(),
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
