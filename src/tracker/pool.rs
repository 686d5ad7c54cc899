//! The fixed pool of workers, and the thread that hands them what became readable.
//!
//! Invariant: the number of threads does not depend on the number of connections; a quarter of the
//! workers never shake hands, so that strangers cannot keep the nodes that are in from being heard.
//!
//! ```text
//!             ┌─ handshakes (256 places) ─────> 12 workers ─┐
//! poller ─────┤                                             ├──> answered, parked again
//!             └─ questions (16,384 places) ───> all 16 ─────┘
//! ```
//!
//! A place holds a number, not a connection. When a queue is full, the connection that wanted a
//! place is closed. When a queue has not been empty for half a second, those who keep workers for
//! too long are cut off (`Sessions::cut_slow`). The pool ends when the poller thread does: it owns
//! the senders.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded, select};

use super::service::{Asker, Service, Then};
use super::sessions::{Sessions, Work};
use crate::base::Time;
use crate::io::clock;
use crate::io::link::{Link, LinkConfig, LinkError, accept_over};
use crate::io::threads::{Group, StopToken};
use crate::logic::registry::{ClosedBy, SessionToken};

/// Worker threads.
pub(super) const WORKERS: usize = 16;
/// Those of them that only answer questions.
const WORKERS_RESERVED: usize = WORKERS / 4;
/// Places for connections that wait to shake hands.
const HANDSHAKES_MAX: usize = 256;
/// Places for sessions that wait for an answer: more than there can be sessions.
const QUESTIONS_MAX: usize = 16_384;
/// How often the poller thread looks at those who are late.
const CHECK_INTERVAL: Duration = Duration::from_millis(250);
/// How long a queue may be non-empty until somebody is cut off.
const CROWDED_AFTER: Duration = Duration::from_millis(500);
/// A parked session is readable when it is taken; its first byte is there.
const FIRST_BYTE_TIME_MAX: Duration = Duration::from_secs(1);

/// What the workers need.
#[derive(Clone)]
pub(super) struct Pool {
    pub(super) service: Arc<Service>,
    pub(super) config: Arc<LinkConfig>,
    pub(super) stop: StopToken,
}

/// The receiving ends.
#[derive(Clone)]
struct Queues {
    handshakes: Receiver<u64>,
    questions: Receiver<u64>,
}

impl Pool {
    /// Starts the workers and the poller thread.
    pub(super) fn start(&self, group: &Group) -> io::Result<()> {
        let (handshake, handshakes) = bounded(HANDSHAKES_MAX);
        let (question, questions) = bounded(QUESTIONS_MAX);
        let queues = Queues { handshakes, questions };
        for n in 0..WORKERS {
            let (pool, queues) = (self.clone(), queues.clone());
            group.spawn(format!("worker {n}"), move || {
                if n < WORKERS_RESERVED { pool.answer_only(&queues) } else { pool.work(&queues) }
            })?;
        }
        let pool = self.clone();
        group.spawn("poller", move || {
            let mut desk = Desk {
                sessions: &pool.service.sessions,
                handshakes: Line::new(handshake),
                questions: Line::new(question),
            };
            desk.run(&pool);
        })
    }

    fn answer_only(&self, queues: &Queues) {
        while let Ok(token) = queues.questions.recv() {
            self.serve(token);
        }
    }

    fn work(&self, queues: &Queues) {
        loop {
            select! {
                recv(queues.questions) -> token => match token {
                    Ok(token) => self.serve(token),
                    Err(_) => return,
                },
                recv(queues.handshakes) -> token => match token {
                    Ok(token) => self.let_in(token),
                    Err(_) => return,
                },
            }
        }
    }

    fn let_in(&self, token: u64) {
        let sessions = &self.service.sessions;
        let Some(pipe) = sessions.begin_handshake(clock::now(), token) else { return };
        let remote = pipe.remote();
        match accept_over(pipe, &self.config) {
            Ok(link) => sessions.establish(clock::now(), token, link),
            Err(e) => {
                log::debug!("no handshake with {remote}: {e}");
                sessions.forget(token, ClosedBy::Tracker);
            }
        }
    }

    fn serve(&self, token: u64) {
        let sessions = &self.service.sessions;
        let Some(mut link) = sessions.take(clock::now(), token) else { return };
        match self.converse(token, &mut link) {
            Ok(Then::Stay) => sessions.park(clock::now(), token, link),
            Ok(Then::Close) => self.end(token, ClosedBy::Tracker),
            Err(e) => {
                log::debug!("lost {} at {}: {e}", link.peer.short(), link.remote);
                let by = match e {
                    LinkError::Closed => ClosedBy::Peer,
                    _ => ClosedBy::Tracker,
                };
                self.end(token, by);
            }
        }
    }

    /// Answers one question, and those that had been read together with it.
    fn converse(&self, token: u64, link: &mut Link) -> Result<Then, LinkError> {
        let asker = Asker { session: SessionToken(token), id: link.peer, ip: link.remote.ip() };
        loop {
            let question = match link.recv(FIRST_BYTE_TIME_MAX) {
                // Nothing came after all.
                Err(e) if e.is_survivable() => return Ok(Then::Stay),
                received => received?,
            };
            let (answer, then) = self.service.answer(asker, question);
            link.send(answer)?;
            if then == Then::Close || self.stop.is_stopped() {
                return Ok(Then::Close);
            }
            if !link.reader.has_buffered() {
                return Ok(Then::Stay);
            }
        }
    }

    fn end(&self, token: u64, seen: ClosedBy) {
        let by = self.service.sessions.forget(token, seen);
        self.service.on_closed(SessionToken(token), by);
    }
}

/// A queue to the workers, and since when it has not been empty.
struct Line {
    places: Sender<u64>,
    crowded_since: Option<Time>,
}

impl Line {
    fn new(places: Sender<u64>) -> Line {
        Line { places, crowded_since: None }
    }

    fn is_crowded(&mut self, now: Time) -> bool {
        if self.places.is_empty() {
            self.crowded_since = None;
            return false;
        }
        now.since(*self.crowded_since.get_or_insert(now)) >= CROWDED_AFTER
    }
}

/// The poller thread's.
struct Desk<'a> {
    sessions: &'a Sessions,
    handshakes: Line,
    questions: Line,
}

impl Desk<'_> {
    fn run(&mut self, pool: &Pool) {
        let mut checked = clock::now();
        while !pool.stop.is_stopped() {
            let ready = match self.sessions.poller().wait(CHECK_INTERVAL) {
                Ok(ready) => ready,
                Err(e) => {
                    log::error!("could not wait for connections: {e}");
                    pool.stop.wait(CHECK_INTERVAL);
                    continue;
                }
            };
            for event in ready {
                self.hand_over(pool, event.token);
            }
            let now = clock::now();
            if now.since(checked) >= CHECK_INTERVAL {
                checked = now;
                self.check(now);
            }
        }
    }

    fn hand_over(&self, pool: &Pool, token: u64) {
        let line = match self.sessions.work(token) {
            Some(Work::Handshake) => &self.handshakes,
            Some(Work::Question) => &self.questions,
            None => return,
        };
        if let Err(TrySendError::Full(_)) = line.places.try_send(token) {
            log::warn!("the workers cannot keep up: a connection was closed");
            self.sessions.close(token);
            pool.service.on_closed(SessionToken(token), ClosedBy::Tracker);
        }
    }

    fn check(&mut self, now: Time) {
        self.sessions.close_idle(now);
        if self.handshakes.is_crowded(now) {
            self.sessions.cut_slow(now, Work::Handshake);
        }
        if self.questions.is_crowded(now) {
            self.sessions.cut_slow(now, Work::Question);
        }
    }
}
