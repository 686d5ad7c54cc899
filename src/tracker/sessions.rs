//! Every connection of the tracker: who waits, who is being served, who has to make room.
//!
//! Invariant: a connection is parked in the poller, or in the hands of one worker, never both; it
//! leaves the table exactly once, and whoever takes it out ends it.
//!
//! ```text
//!         accept             readable            shaken hands
//! (new) ─────────> pending ────────────> pending ────────────> parked ──readable──> served ─┐
//!                  parked                served                   ^                         │
//!                    │                     │                      └────────answered─────────┘
//!                    └─ 5 s, or the oldest ┴─ 5 s in all            unregistered: 30 s, or the
//!                       of 65                                       oldest of 257, and out
//! ```
//!
//! When others wait for a worker, those served for longer than `PATIENCE` are cut off.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::base::Time;
use crate::base::limits::{HANDSHAKE_TIME_MAX, PENDING_MAX};
use crate::io::link::{Closer, Link, Pipe};
use crate::io::poll::Poller;
use crate::logic::registry::ClosedBy;

/// Connections that have shaken hands and not registered; the oldest makes room.
pub(super) const UNREGISTERED_MAX: usize = 256;
/// How long one of those may be silent.
const UNREGISTERED_IDLE_MAX: Duration = Duration::from_secs(30);
/// How long a handshake may keep a worker when others wait.
const PATIENCE_HANDSHAKE: Duration = Duration::from_secs(1);
/// How long a question may keep a worker when others wait: a full page over a slow Wi-Fi.
const PATIENCE_QUESTION: Duration = Duration::from_secs(3);

/// What a readable connection needs of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// To be let in.
    Handshake,
    /// To be answered.
    Question,
}

struct Pending {
    pipe: Arc<dyn Pipe>,
    since: Time,
    served: bool,
}

struct Session {
    /// None while a worker has it.
    link: Option<Link>,
    closer: Closer,
    registered: bool,
    /// When it was last parked or taken.
    since: Time,
    /// We ended it, whatever its worker will see.
    cut: bool,
}

#[derive(Default)]
struct Table {
    next: u64,
    pending: BTreeMap<u64, Pending>,
    sessions: BTreeMap<u64, Session>,
    unregistered: BTreeSet<u64>,
}

/// See the module.
pub(super) struct Sessions {
    poller: Poller,
    table: Mutex<Table>,
}

impl Sessions {
    pub(super) fn new() -> io::Result<Sessions> {
        Ok(Sessions { poller: Poller::new()?, table: Mutex::default() })
    }

    /// Where parked connections are waited for.
    pub(super) fn poller(&self) -> &Poller {
        &self.poller
    }

    /// A new connection; the oldest that has not shaken hands makes room.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub(super) fn admit(&self, now: Time, pipe: Arc<dyn Pipe>) -> io::Result<()> {
        let mut table = self.table.lock();
        if table.pending.len() >= PENDING_MAX
            && let Some((_, oldest)) = table.pending.pop_first()
        {
            oldest.pipe.shutdown();
        }
        let token = table.next;
        table.next += 1;
        self.wait_for(token, pipe.fd())?;
        table.pending.insert(token, Pending { pipe, since: now, served: false });
        Ok(())
    }

    /// What a token that became readable needs; none when it is gone.
    pub(super) fn work(&self, token: u64) -> Option<Work> {
        let table = self.table.lock();
        if table.pending.contains_key(&token) {
            return Some(Work::Handshake);
        }
        table.sessions.contains_key(&token).then_some(Work::Question)
    }

    /// A worker begins a handshake.
    pub(super) fn begin_handshake(&self, now: Time, token: u64) -> Option<Arc<dyn Pipe>> {
        let mut table = self.table.lock();
        let pending = table.pending.get_mut(&token)?;
        (pending.since, pending.served) = (now, true);
        Some(Arc::clone(&pending.pipe))
    }

    /// The handshake is done; the oldest session that has not registered makes room.
    pub(super) fn establish(&self, now: Time, token: u64, link: Link) {
        let mut table = self.table.lock();
        if table.pending.remove(&token).is_none() {
            return;
        }
        if table.unregistered.len() >= UNREGISTERED_MAX
            && let Some(oldest) = table.unregistered.pop_first()
        {
            table.end(oldest);
        }
        let closer = link.closer();
        let session = Session { link: None, closer, registered: false, since: now, cut: false };
        table.sessions.insert(token, session);
        table.unregistered.insert(token);
        self.park_in(&mut table, now, token, link);
    }

    /// A worker takes a session to serve it.
    pub(super) fn take(&self, now: Time, token: u64) -> Option<Link> {
        let mut table = self.table.lock();
        let session = table.sessions.get_mut(&token)?;
        session.since = now;
        session.link.take()
    }

    /// The session speaks for a node from now on.
    pub(super) fn mark_registered(&self, token: u64) {
        let mut table = self.table.lock();
        if let Some(session) = table.sessions.get_mut(&token) {
            session.registered = true;
            table.unregistered.remove(&token);
        }
    }

    /// A worker gives a session back; one that was ended meanwhile is dropped here.
    pub(super) fn park(&self, now: Time, token: u64, link: Link) {
        self.park_in(&mut self.table.lock(), now, token, link);
    }

    fn park_in(&self, table: &mut Table, now: Time, token: u64, link: Link) {
        let Some(session) = table.sessions.get_mut(&token) else { return };
        match self.wait_for(token, link.fd()) {
            Ok(()) => (session.link, session.since) = (Some(link), now),
            Err(e) => log::warn!("could not wait for {}: {e}", link.remote),
        }
    }

    fn wait_for(&self, token: u64, fd: Option<std::os::fd::BorrowedFd<'_>>) -> io::Result<()> {
        let fd = fd.ok_or(io::ErrorKind::Unsupported)?;
        self.poller.park(token, fd)
    }

    /// A worker has seen a connection's end. `seen` is whose doing it looks like.
    pub(super) fn forget(&self, token: u64, seen: ClosedBy) -> ClosedBy {
        let mut table = self.table.lock();
        table.pending.remove(&token);
        table.unregistered.remove(&token);
        match table.sessions.remove(&token) {
            Some(session) if !session.cut => seen,
            _ => ClosedBy::Tracker,
        }
    }

    /// Ends a connection, wherever it is.
    pub(super) fn close(&self, token: u64) {
        self.table.lock().end(token);
    }

    /// Ends those that have been silent for too long. A registered one is the registry's affair.
    pub(super) fn close_idle(&self, now: Time) {
        let mut table = self.table.lock();
        let late = |since: Time, max: Duration| now.since(since) > max;
        let pending = table.pending.iter();
        let mut idle: Vec<u64> = pending
            .filter(|(_, p)| !p.served && late(p.since, HANDSHAKE_TIME_MAX))
            .map(|(token, _)| *token)
            .collect();
        idle.extend(table.unregistered.iter().filter(|token| {
            let session = table.sessions.get(token);
            session.is_some_and(|s| s.link.is_some() && late(s.since, UNREGISTERED_IDLE_MAX))
        }));
        for token in idle {
            table.end(token);
        }
    }

    /// Others wait: ends what has kept a worker for too long.
    pub(super) fn cut_slow(&self, now: Time, work: Work) {
        let mut table = self.table.lock();
        let late = |since: Time, patience: Duration| now.since(since) > patience;
        match work {
            Work::Handshake => {
                let served = table.pending.values().filter(|p| p.served);
                served
                    .filter(|p| late(p.since, PATIENCE_HANDSHAKE))
                    .for_each(|p| p.pipe.shutdown());
            }
            Work::Question => {
                let served = table.sessions.values_mut().filter(|s| s.link.is_none());
                for session in served.filter(|s| late(s.since, PATIENCE_QUESTION)) {
                    session.cut = true;
                    session.closer.close();
                }
            }
        }
    }

    /// Ends everything.
    pub(super) fn close_all(&self) {
        let mut table = self.table.lock();
        for (_, pending) in std::mem::take(&mut table.pending) {
            pending.pipe.shutdown();
        }
        for (_, session) in std::mem::take(&mut table.sessions) {
            session.closer.close();
        }
        table.unregistered.clear();
    }

    /// Connections: not yet let in, not registered, registered.
    pub(super) fn counts(&self) -> (usize, usize, usize) {
        let table = self.table.lock();
        let unregistered = table.unregistered.len();
        (table.pending.len(), unregistered, table.sessions.len() - unregistered)
    }
}

impl Table {
    fn end(&mut self, token: u64) {
        if let Some(pending) = self.pending.remove(&token) {
            pending.pipe.shutdown();
        }
        if let Some(session) = self.sessions.remove(&token) {
            session.closer.close();
        }
        self.unregistered.remove(&token);
    }
}
