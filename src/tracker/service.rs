//! What each question means: it is put to the registry, and what follows from it is done.
//!
//! Invariant: the registry's lock is held for one decision at a time, and never while anything is
//! sent, dialled, told or closed. Everything here may be called from any worker.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crossbeam_channel::Sender;
use parking_lot::{Mutex, RwLock, RwLockWriteGuard};

use super::sessions::Sessions;
use super::view::{FileRow, PeerRow, TrackerStats};
use crate::base::{FileEntry, Name, NodeId, Time};
use crate::io::clock;
use crate::io::notices::Notices;
use crate::io::threads::StopToken;
use crate::logic::pattern::PatternError;
use crate::logic::registry::{ClosedBy, DialOutcome, Effect, Finding, Registry, SessionToken};
use crate::wire::Message;
use crate::wire::message::copies::{WhyAnswer, WhyQuestion};
use crate::wire::message::find::{FindAnswer, FindQuestion};
use crate::wire::message::tracker::{Bye, OWNERS_MAX, Refused, Register, Why};

/// Questions that look at much of the index and are answered at once; there are four times as many
/// workers.
const FINDING_MAX: usize = 4;

/// Who asks such a question just now, by address: one question each, so that nobody has all places.
type Finders = Mutex<BTreeSet<IpAddr>>;

/// One of such questions that are being answered, until it is dropped: a panic gives it
/// back as well.
struct Slot<'a>(&'a Finders, IpAddr);

impl Slot<'_> {
    fn take(finders: &Finders, ip: IpAddr) -> Option<Slot<'_>> {
        let mut taken = finders.lock();
        let is_free = taken.len() < FINDING_MAX && taken.insert(ip);
        // Not `then_some`: a slot that is made and dropped takes the lock, and frees another's place.
        is_free.then(|| Slot(finders, ip))
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.0.lock().remove(&self.1);
    }
}

/// Somebody to be dialled back.
#[derive(Debug, Clone, Copy)]
pub(super) struct DialBack {
    pub(super) id: NodeId,
    pub(super) addr: SocketAddr,
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker {
    pub(super) session: SessionToken,
    pub(super) id: NodeId,
    pub(super) ip: IpAddr,
}

/// What becomes of a session after its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Stay,
    Close,
}

#[derive(Default)]
struct Counters {
    registrations: AtomicU64,
    heartbeats: AtomicU64,
    lookups: AtomicU64,
    refused: AtomicU64,
}

/// See the module.
pub(super) struct Service {
    registry: RwLock<Registry>,
    pub(super) sessions: Arc<Sessions>,
    pub(super) notices: Notices,
    dials: Sender<DialBack>,
    finders: Finders,
    counters: Counters,
    started: Time,
}

impl Service {
    pub(super) fn new(
        registry: Registry,
        sessions: Arc<Sessions>,
        dials: Sender<DialBack>,
    ) -> Service {
        Service {
            registry: RwLock::new(registry),
            sessions,
            notices: Notices::new("tracker"),
            dials,
            finders: Finders::default(),
            counters: Counters::default(),
            started: clock::now(),
        }
    }

    /// Answers one question.
    pub(super) fn answer(&self, asker: Asker, question: Message) -> (Message, Then) {
        match self.decide(asker, question) {
            Ok(answer) => answer,
            Err(refused) => {
                self.counters.refused.fetch_add(1, Relaxed);
                log::debug!("refused {}: {}", asker.id.short(), refused.text.shown());
                let fatal = refused.why == Why::Unexpected;
                (refused.into(), if fatal { Then::Close } else { Then::Stay })
            }
        }
    }

    fn decide(&self, asker: Asker, question: Message) -> Result<(Message, Then), Refused> {
        let (now, session) = (clock::now(), asker.session);
        let answer = match question {
            Message::Register(register) => self.register(now, asker, &register)?,
            Message::Heartbeat(heartbeat) => {
                self.counters.heartbeats.fetch_add(1, Relaxed);
                self.registry.write().on_heartbeat(now, session, &heartbeat)?.into()
            }
            Message::CatalogueDelta(page) => {
                self.registry.write().on_catalogue(now, session, &page)?.into()
            }
            Message::PeersQuestion(question) => {
                self.registry.read().peers(&asker.id, &question).into()
            }
            Message::LookupQuestion(question) => {
                self.counters.lookups.fetch_add(1, Relaxed);
                self.registry.read().lookup(&question, clock::random_u64()).into()
            }
            Message::FindQuestion(question) => {
                self.counters.lookups.fetch_add(1, Relaxed);
                self.find(asker.ip, &question)?.into()
            }
            Message::WhyQuestion(question) => {
                self.counters.lookups.fetch_add(1, Relaxed);
                let _slot = self.slot(asker.ip)?;
                self.why(&question).into()
            }
            Message::Exit(_) => {
                let effects = self.registry.write().on_exit(now, session)?;
                self.perform(effects);
                return Ok((Bye.into(), Then::Close));
            }
            other => {
                let text = format!("this is a tracker; it does not answer a {:?}", other.kind());
                return Err(Refused::new(Why::Unexpected, text));
            }
        };
        Ok((answer, Then::Stay))
    }

    /// Answers which files there are, a few questions at a time: each keeps a worker busy for long.
    fn find(&self, ip: IpAddr, question: &FindQuestion) -> Result<FindAnswer, Refused> {
        let malformed = |e: PatternError| Refused::new(Why::Unexpected, e.to_string());
        let finding = Finding::new(question, clock::random_u64()).map_err(malformed)?;
        let _slot = self.slot(ip)?;
        Ok(self.find_all(finding))
    }

    fn slot(&self, ip: IpAddr) -> Result<Slot<'_>, Refused> {
        let text = || {
            format!(
                "{FINDING_MAX} such questions are being answered, or one from {ip}; ask again soon"
            )
        };
        let slot = Slot::take(&self.finders, ip.to_canonical());
        slot.ok_or_else(|| Refused::new(Why::Busy, text()))
    }

    /// Lets others in between two steps.
    fn find_all(&self, mut finding: Finding) -> FindAnswer {
        while finding.goes_on() {
            self.registry.read().find(clock::now(), &mut finding);
        }
        finding.answer()
    }

    fn register(&self, now: Time, asker: Asker, register: &Register) -> Result<Message, Refused> {
        let Asker { session, id, ip } = asker;
        let decided = self.registry.write().on_register(now, session, id, ip, register);
        let (registered, effects) = decided?;
        self.counters.registrations.fetch_add(1, Relaxed);
        self.sessions.mark_registered(session.0);
        self.perform(effects);
        Ok(registered.into())
    }

    /// A connection has ended.
    pub(super) fn on_closed(&self, session: SessionToken, by: ClosedBy) {
        self.registry.write().on_session_closed(clock::now(), session, by);
    }

    /// What `decide` says of the registry as it is.
    pub(super) fn read<T>(&self, decide: impl FnOnce(&Registry) -> T) -> T {
        decide(&self.registry.read())
    }

    /// Once a second. One pass of the sweep, so that nobody who replaces his copy all the time holds
    /// the next tick up.
    pub(super) fn tick(&self, stop: &StopToken) {
        let effects = self.registry.write().on_tick(clock::now());
        self.perform(effects);
        while !stop.is_stopped() {
            let mut registry = self.registry.write();
            let more = registry.sweep();
            // Fairly: whoever waits goes first.
            RwLockWriteGuard::unlock_fair(registry);
            if !more {
                break;
            }
        }
        self.keep_copies(stop);
    }

    /// Looks at some of the files, and orders copies and their removal where that is due. What is to
    /// be done is thought out while others are served.
    fn keep_copies(&self, stop: &StopToken) {
        let mut survey = self.registry.read().begin_survey(clock::now());
        while survey.goes_on() && !stop.is_stopped() {
            self.registry.read().survey(clock::now(), &mut survey);
        }
        let plan = survey.plan(clock::now());
        self.registry.write().adopt(clock::now(), &survey, plan);
    }

    /// Why a file has the copies it has.
    pub(super) fn why(&self, question: &WhyQuestion) -> WhyAnswer {
        self.registry.read().why(clock::now(), question)
    }

    /// A dial-back has ended.
    pub(super) fn on_dialled(&self, dial: DialBack, outcome: DialOutcome) {
        self.registry.write().on_dial_back(clock::now(), &dial.id, dial.addr, outcome);
    }

    fn perform(&self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Joined { label, addr } => {
                    self.notices.tell(format!("{label} joined ({addr})"));
                }
                Effect::Left { label, intentionally: true, .. } => {
                    self.notices.tell(format!("{label} exited intentionally"));
                }
                Effect::Left { label, why, .. } => {
                    self.notices.tell(format!("{label} exited not intentionally ({why})"));
                }
                Effect::Close(SessionToken(token)) => self.sessions.close(token),
                Effect::DialBack { id, addr } => {
                    let dial = DialBack { id, addr };
                    if self.dials.try_send(dial).is_err() {
                        self.on_dialled(dial, DialOutcome::NotTried);
                    }
                }
            }
        }
    }

    /// By name, for people.
    pub(super) fn peers(&self) -> Vec<PeerRow> {
        let registry = self.registry.read();
        let rows = registry.nodes(clock::now()).map(|row| PeerRow {
            node: row.label,
            id: row.id,
            addr: row.addr,
            files: row.files as u64,
            last_seen_s: row.silence.as_secs(),
            stale: row.stale,
            reachable: row.reachable,
        });
        let mut rows: Vec<PeerRow> = rows.collect();
        drop(registry);
        rows.sort_by(|a, b| (&a.node, a.id).cmp(&(&b.node, b.id)));
        rows
    }

    /// One page of the files that are meant, and where to go on.
    pub(super) fn files(
        &self,
        question: &FindQuestion,
    ) -> Result<(Vec<FileRow>, Option<Name>), PatternError> {
        let answer = self.find_all(Finding::new(question, 0)?);
        // An answer on the wire names a few owners; here there is room for more.
        let owners = |file: &FileEntry| {
            self.read(|registry| {
                let ids = registry.owners(file, OWNERS_MAX).into_iter();
                ids.filter_map(|id| registry.label(&id).cloned()).collect()
            })
        };
        let rows = answer.found.into_vec().into_iter().map(|listed| FileRow {
            owners: owners(&listed.entry),
            name: listed.entry.name,
            size: listed.entry.size,
            root: listed.entry.root,
            copies: listed.copies,
            stale: listed.stale,
            last_seen_s: listed.seen_s,
        });
        Ok((rows.collect(), answer.next))
    }

    pub(super) fn reset_stats(&self) {
        let Counters { registrations, heartbeats, lookups, refused } = &self.counters;
        for counter in [registrations, heartbeats, lookups, refused] {
            counter.store(0, Relaxed);
        }
    }

    pub(super) fn stats(&self) -> TrackerStats {
        let ((peers, files, bytes), stale, copies) =
            self.read(|r| (r.totals(), r.stale(), r.copies()));
        let (pending, unregistered, registered) = self.sessions.counts();
        let Counters { registrations, heartbeats, lookups, refused } = &self.counters;
        TrackerStats {
            peers: peers as u64,
            stale: stale as u64,
            files,
            bytes,
            connections: (pending + unregistered + registered) as u64,
            registrations: registrations.load(Relaxed),
            heartbeats: heartbeats.load(Relaxed),
            lookups: lookups.load(Relaxed),
            refused: refused.load(Relaxed),
            copies_wanted: copies.wanted,
            copies_there: copies.there,
            copies_under_way: copies.under_way,
            copies_leaving: copies.leaving,
            copies_made: copies.made,
            copies_failed: copies.failed,
            uptime_s: clock::now().since(self.started).as_secs(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_has_one_place_and_all_together_four() {
        let finders = Finders::default();
        let ip = |n: u8| IpAddr::from([10, 0, 0, n]);
        let first = Slot::take(&finders, ip(1)).unwrap();
        assert!(Slot::take(&finders, ip(1)).is_none(), "one asker has two places");
        let others: Vec<Slot<'_>> = (2..=4).map(|n| Slot::take(&finders, ip(n)).unwrap()).collect();
        assert!(Slot::take(&finders, ip(5)).is_none(), "a fifth is served");
        drop(first);
        assert!(Slot::take(&finders, ip(2)).is_none(), "a refused question freed another's place");
        assert!(Slot::take(&finders, ip(1)).is_some());
        drop(others);
        assert!(finders.lock().is_empty());
    }
}
