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
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::context::Context;
use super::journal::Journal;
use super::throttle::Limiter;
use super::view::{Direction, TransferRow, TransferState};
use crate::base::{Fault, NodeId, Rate, Time};
use crate::io::clock;
use crate::io::link::Closer;
use crate::logic::ledger::{
    Answer, Call, Connection, Knock, KnockBudget, Ledger, Lost, Opened, Opening, Reach, Record,
    SetKey, Waiting,
};

/// An upload that is silent for longer is shown as waiting.
const SILENCE_MAX: Duration = Duration::from_secs(2);

/// Limits remembered of uploads that may come again.
const LIMITS_KEPT: usize = 1_024;

/// An upload that may begin to send.
pub(super) struct Begun {
    pub(super) connection: Connection,
    pub(super) attempt: u32,
    /// What a person holds it to.
    pub(super) limit: Arc<Limiter>,
}

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
    limit: Arc<Limiter>,
    closer: Closer,
}

/// The table of uploads.
pub(super) struct Uploads {
    ctx: Arc<Context>,
    ids: Arc<AtomicU64>,
    journal: Journal,
    durable: bool,
    /// The person knows that the log takes nothing.
    refusing: AtomicBool,
    connections: AtomicU64,
    inner: Mutex<Inner>,
}

struct Inner {
    ledger: Ledger,
    budget: KnockBudget,
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
        let ledger = Ledger::recover(now, ctx.patience, log);
        let number = |w: Waiting| ((w.requester, w.set), ids.fetch_add(1, Ordering::Relaxed));
        let numbers = ledger.waiting(now).into_iter().map(number).collect();
        let (budget, open) = (KnockBudget::default(), BTreeMap::new());
        let inner = Mutex::new(Inner { ledger, budget, open, numbers, limits: BTreeMap::new() });
        let (refusing, connections) = (AtomicBool::new(false), AtomicU64::new(1));
        Uploads { ctx, ids, journal, durable, refusing, connections, inner }
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
    ) -> Result<Begun, Fault> {
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
            Ok(()) => Ok(Begun { connection, attempt: opened.attempt, limit }),
            Err(fault) => {
                // What the log has begun before goes on when it takes records again.
                let refused = || Lost::Cancelled("it could not be logged".into());
                self.end(connection, if opened.goes_on { Lost::Broken } else { refused() });
                if !self.refusing.swap(true, Ordering::Relaxed) {
                    let words = "uploads are refused until the log of them takes records again";
                    self.ctx.notices.tell(format!("{words}: {fault}"));
                }
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
    pub(super) fn end(&self, connection: Connection, how: Lost) {
        let mut inner = self.inner.lock();
        let limit = inner.open.remove(&connection).map(|status| status.limit);
        if how == Lost::Done {
            // Whoever asks for it again begins anew.
            inner.limits.retain(|_, kept| !limit.as_ref().is_some_and(|l| Arc::ptr_eq(l, kept)));
        }
        self.note(inner.ledger.close(clock::now(), connection, how));
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
        self.tidy_log(&guard.ledger);
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

    fn tidy_log(&self, ledger: &Ledger) {
        if !self.journal.wants_checkpoint() {
            return;
        }
        self.journal.checkpoint(&ledger.live());
        if !self.journal.wants_checkpoint() && self.refusing.swap(false, Ordering::Relaxed) {
            self.ctx.notices.tell("the log of uploads takes records again");
        }
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
            let known = peers.get(&peer);
            row.peer = known.map_or_else(|| peer.short(), |info| info.label.to_string());
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

    fn row(&self, now: Time) -> TransferRow {
        let limit = self.limit.rate();
        let (state, reason) = standing(now.since(self.last_moved), limit);
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
            limit: limit.map(Rate::bytes),
            sources: Vec::new(),
        }
    }
}

fn waiting_row(id: u64, waiting: Waiting, limit: Option<Rate>) -> TransferRow {
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
        limit: limit.map(Rate::bytes),
        sources: Vec::new(),
    }
}

/// What is seen from here: whether the requester, the wire or a bound of ours holds it back is not.
fn standing(silent: Duration, limit: Option<Rate>) -> (TransferState, String) {
    if silent < SILENCE_MAX {
        return (TransferState::Moving, String::new());
    }
    let mut reason = format!("nothing sent or acknowledged for {} s", silent.as_secs());
    if let Some(rate) = limit {
        reason.push_str(&format!("; it is limited to {rate}"));
    }
    (TransferState::Waiting, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_upload_says_for_how_long_and_blames_nobody() {
        let (state, reason) = standing(Duration::from_millis(1_999), None);
        assert_eq!((state, reason.as_str()), (TransferState::Moving, ""));
        let (state, reason) = standing(Duration::from_secs(7), None);
        assert_eq!(state, TransferState::Waiting);
        assert_eq!(reason, "nothing sent or acknowledged for 7 s");
        let (_, reason) = standing(Duration::from_secs(7), Some(Rate::per_second(1_024)));
        assert_eq!(reason, "nothing sent or acknowledged for 7 s; it is limited to 1.0 KiB/s");
    }
}
