//! The uploads that were begun and are not over: what the log must remember of them, when a
//! requester that is gone is knocked at, and when an upload ends for good.
//!
//! ```text
//!         open (Begun)            done, cancelled, gone (Ended)
//! ( ) ──────────────────> Open ─────────────────────────────────> ( )
//!                         │  ▲                                     ▲
//!         connection lost │  │ open (Begun, attempt + 1)           │
//!                         ▼  │                                     │
//! recovered ──────────> Waiting ──────── expired (Ended) ──────────┤
//!                         ▲  │ due                                 │
//!      coming, later, away│  ▼                                     │
//!                        Knocking ─── done, cancelled, gone (Ended)┘
//! ```
//!
//! Invariants: while an upload is not over its attempts only grow; one connection at most is current
//! for a requester and a set, so that one which comes back takes over from its old connection; a
//! transfer that is resumable ends in exactly one `Ended` (I3); nothing here sends bytes: after a
//! knock only the requester's own `Open` does (I6). Bounded: what is too much is taken from the
//! requester that has most, see `expiry`.
//!
//! ```
//! use std::time::Duration;
//! use parvi::base::{NodeId, Time};
//! use parvi::logic::ledger::{Answer, Connection, Ledger, Lost, Opening, Reach, Record};
//!
//! let (bob, set) = (NodeId::from_bytes([2; 32]), [7; 32]);
//! let mut ledger = Ledger::new(Duration::from_secs(20));
//! let (name, content) = ("film".into(), None);
//! let opening = Opening { requester: bob, set, name, content, total: 10, resumable: true };
//! let (opened, record) = ledger.open(opening, Connection(1));
//! assert_eq!((opened.attempt, matches!(record, Some(Record::Begun { .. }))), (1, true));
//!
//! assert_eq!(ledger.close(Time::ZERO, Connection(1), Lost::Broken), None, "it is not over");
//! let later = Time::ZERO + Duration::from_secs(20);
//! assert_eq!(ledger.due(later, &|_| Reach::Call).len(), 1, "bob is knocked at");
//! let record = ledger.answered(later, bob, set, Answer::Done, 0);
//! assert!(matches!(record, Some(Record::Ended { .. })));
//! ```

mod budget;
mod calls;
mod due;
mod entry;
mod events;
mod expiry;
mod record;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

pub use budget::{ADDRESSES_MAX, DIALS_PER_MINUTE, FAILURES_MAX, KnockBudget, Met, RETRY_AFTER};
pub use calls::{CALLS_MAX, Call, Calls};
pub use events::{Answer, Connection, Knock, Lost, Opened, Opening, Reach, SetKey, Waiting};
pub use expiry::{AGE_MAX, UNFINISHED_MAX, UNFINISHED_PER_REQUESTER_MAX};
pub use record::{End, LOG_KIND, NAME_BYTES_MAX, Record};

use entry::{Entry, Phase, waiting};

use crate::base::backoff::Backoff;
use crate::base::{NodeId, Time};
use crate::wire::Text;

/// Ended uploads whose attempts are remembered.
pub const ENDED_MAX: usize = 4_096;
/// Longest wait between two knocks, in ACK timeouts: so that all is over soon after whatever was in
/// the way has gone.
const KNOCK_PAUSES_MAX: u32 = 2;
/// Between two looks at whether a requester that nobody lists is there again, or whether a call that
/// was not made can be.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// After a start, a requester has so long to come by itself.
const START_PAUSE: Duration = Duration::from_secs(2);
/// How long a requester that says it comes has for that.
const COMING_TIME_MAX: Duration = Duration::from_secs(20);
/// A record of progress is due after so many parts of the whole.
const PROGRESS_PARTS: u64 = 16;

/// All of them.
#[derive(Debug)]
pub struct Ledger {
    patience: Duration,
    entries: BTreeMap<(NodeId, SetKey), Entry>,
    current: BTreeMap<Connection, (NodeId, SetKey)>,
    /// The ended ones by when they ended.
    ended: BTreeMap<u64, (NodeId, SetKey)>,
    endings: u64,
    /// The highest attempt of those forgotten.
    floor: u32,
    ticked: Option<Time>,
    /// When each requester was last called.
    called: BTreeMap<NodeId, Time>,
}

impl Ledger {
    /// An empty one; a requester that is gone is knocked at after `patience`.
    pub fn new(patience: Duration) -> Ledger {
        Ledger {
            patience,
            entries: BTreeMap::new(),
            current: BTreeMap::new(),
            ended: BTreeMap::new(),
            endings: 0,
            floor: 0,
            ticked: None,
            called: BTreeMap::new(),
        }
    }

    /// The ledger that wrote these records. Whoever did not end is knocked at soon.
    pub fn recover(now: Time, patience: Duration, log: impl IntoIterator<Item = Record>) -> Ledger {
        let mut ledger = Ledger::new(patience);
        for record in log {
            ledger.replay(now, record);
        }
        ledger
    }

    fn replay(&mut self, now: Time, record: Record) {
        match record {
            Record::Begun { requester, set, attempt, name, content, total } => {
                let phase =
                    waiting(now + START_PAUSE, self.fresh_pause(), "this node has restarted");
                let known = self.entries.get(&(requester, set));
                let acked = known.map_or(0, |entry| entry.acked);
                let name = name.as_str().to_owned();
                let entry = Entry {
                    name,
                    content,
                    total,
                    attempt,
                    resumable: true,
                    acked,
                    logged: acked,
                    // It was opened: whatever age it had is over, as in `open`.
                    age: Duration::ZERO,
                    logged_age: Duration::ZERO,
                    phase,
                };
                self.entries.insert((requester, set), entry);
            }
            Record::Acked { requester, set, bytes, age_s } => {
                if let Some(entry) = self.entries.get_mut(&(requester, set)) {
                    entry.acked = bytes.min(entry.total);
                    entry.logged = entry.acked;
                    entry.age = Duration::from_secs(age_s).min(AGE_MAX);
                    entry.logged_age = entry.age;
                }
            }
            Record::Ended { requester, set, .. } => {
                self.entries.remove(&(requester, set));
            }
        }
    }

    /// A requester opens a set on `connection`. The record must be durable before a byte leaves.
    pub fn open(&mut self, opening: Opening, connection: Connection) -> (Opened, Option<Record>) {
        let key = (opening.requester, opening.set);
        let known = self.entries.remove(&key);
        let attempt = known.as_ref().map_or(self.floor, |e| e.attempt).saturating_add(1);
        let (mut older, mut acked) = (None, 0);
        let Opening { name, content, total, mut resumable, .. } = opening;
        let goes_on = known.as_ref().is_some_and(|known| !matches!(known.phase, Phase::Over(_)));
        if let Some(known) = known {
            match known.phase {
                Phase::Open(before) if before != connection => older = Some(before),
                Phase::Over(number) => {
                    self.ended.remove(&number);
                }
                _ => {}
            }
            if goes_on {
                acked = known.acked;
                // What the log has begun must end there too, whoever opens it now.
                resumable |= known.resumable;
            }
        }
        if let Some(older) = older {
            self.current.remove(&older);
        }
        let entry = Entry {
            name,
            content,
            total,
            attempt,
            resumable,
            acked,
            logged: acked,
            age: Duration::ZERO,
            logged_age: Duration::ZERO,
            phase: Phase::Open(connection),
        };
        let begun = resumable.then(|| entry.begun(key));
        self.entries.insert(key, entry);
        self.current.insert(connection, key);
        (Opened { attempt, older, goes_on, acked }, begun)
    }

    /// Bytes were acknowledged on a connection; now and then that is worth a record.
    pub fn acked(&mut self, connection: Connection, bytes: u64) -> Option<Record> {
        let key = *self.current.get(&connection)?;
        let entry = self.entries.get_mut(&key)?;
        entry.acked = entry.acked.saturating_add(bytes).min(entry.total);
        let due =
            entry.resumable && entry.acked - entry.logged >= (entry.total / PROGRESS_PARTS).max(1);
        due.then(|| {
            entry.logged = entry.acked;
            entry.progress(key)
        })
    }

    /// A connection has ended. Of one that is not current any more nothing happens.
    pub fn close(&mut self, now: Time, connection: Connection, how: Lost) -> Option<Record> {
        let key = self.current.remove(&connection)?;
        // Who was silent for that long on an open connection has had the time.
        let next = if how == Lost::Silent { now } else { now + self.patience };
        let pause = self.fresh_pause();
        let entry = self.entries.get_mut(&key)?;
        let end = match how {
            Lost::Done => End::Done,
            Lost::Cancelled(reason) => End::Cancelled(Text::of(&reason)),
            Lost::Broken | Lost::Silent if entry.resumable => {
                entry.phase = waiting(next, pause, "the connection was lost");
                return None;
            }
            Lost::Broken | Lost::Silent => End::Cancelled(Text::of("the connection was lost")),
        };
        self.end(key, end)
    }

    /// A requester asks for a set again of which nothing is here any more.
    pub fn gone(&mut self, requester: NodeId, set: SetKey) -> Option<Record> {
        let entry = self.entries.get(&(requester, set))?;
        let waits = matches!(entry.phase, Phase::Waiting { .. } | Phase::Knocking { .. });
        if waits { self.end((requester, set), End::Gone) } else { None }
    }

    /// Whether `connection` is the one on which the set was opened last.
    pub fn is_current(&self, connection: Connection) -> bool {
        self.current.contains_key(&connection)
    }

    /// Whether what came of a knock is still waited for: the requester has not come meanwhile.
    pub fn is_knocked(&self, requester: NodeId, set: SetKey) -> bool {
        let entry = self.entries.get(&(requester, set));
        entry.is_some_and(|entry| matches!(entry.phase, Phase::Knocking { .. }))
    }

    /// Whether an upload is open or waits for its requester.
    pub fn is_unfinished(&self, requester: NodeId, set: SetKey) -> bool {
        let entry = self.entries.get(&(requester, set));
        entry.is_some_and(|entry| !matches!(entry.phase, Phase::Over(_)))
    }

    /// What came of a knock. `random` spreads the next one.
    pub fn answered(
        &mut self,
        now: Time,
        requester: NodeId,
        set: SetKey,
        answer: Answer,
        random: u64,
    ) -> Option<Record> {
        let key = (requester, set);
        let entry = self.entries.get_mut(&key)?;
        // It may have opened the set again meanwhile, or have been answered elsewhere.
        let Phase::Knocking { knocks } = &mut entry.phase else { return None };
        let (wait, why) = match answer {
            Answer::Done => return self.end(key, End::Done),
            Answer::Cancelled(reason) => return self.end(key, End::Cancelled(Text::of(&reason))),
            // A failure unless it opens the set: that would make the pauses short again.
            Answer::Coming => {
                let wait = knocks.fail(random).max(COMING_TIME_MAX);
                (wait, "the requester is about to open it again".to_owned())
            }
            Answer::Later(why) => (knocks.fail(random), format!("the requester says: {why}")),
            Answer::Away(why) => (knocks.fail(random), format!("the requester is away: {why}")),
            Answer::NotTried(why) => (LOOK_EVERY, format!("it could not be called: {why}")),
        };
        entry.phase = waiting(now + wait, knocks.clone(), why);
        None
    }

    /// The uploads that wait for their requester.
    pub fn waiting(&self, now: Time) -> Vec<Waiting> {
        let row = |(key, entry): (&(NodeId, SetKey), &Entry)| {
            let reason = match &entry.phase {
                Phase::Waiting { next, why, absent, .. } => {
                    let does = if *absent { "looks" } else { "knocks" };
                    format!("{why}; {does} again in {} s", next.since(now).as_secs())
                }
                Phase::Knocking { .. } => "knocking at the requester".to_owned(),
                Phase::Open(_) | Phase::Over(_) => return None,
            };
            let Entry { total, acked, attempt, .. } = *entry;
            let name = entry.name.clone();
            Some(Waiting { requester: key.0, set: key.1, name, total, acked, attempt, reason })
        };
        self.entries.iter().filter_map(row).collect()
    }

    /// The records of all that is not over: what a checkpoint of the log keeps.
    pub fn live(&self) -> Vec<Record> {
        let unfinished = |e: &Entry| e.resumable && !matches!(e.phase, Phase::Over(_));
        let entries = self.entries.iter().filter(|(_, entry)| unfinished(entry));
        entries.flat_map(|(key, entry)| [entry.begun(*key), entry.progress(*key)]).collect()
    }

    /// It is over; the record says so, if it was ever logged.
    fn end(&mut self, key: (NodeId, SetKey), end: End) -> Option<Record> {
        let entry = self.entries.get_mut(&key)?;
        if matches!(entry.phase, Phase::Over(_)) {
            return None;
        }
        let was = std::mem::replace(&mut entry.phase, Phase::Over(self.endings));
        let resumable = entry.resumable;
        if let Phase::Open(connection) = was {
            self.current.remove(&connection);
        }
        self.ended.insert(self.endings, key);
        self.endings += 1;
        while self.ended.len() > ENDED_MAX {
            let Some((_, oldest)) = self.ended.pop_first() else { break };
            let forgotten = self.entries.remove(&oldest);
            self.floor = self.floor.max(forgotten.map_or(0, |entry| entry.attempt));
        }
        resumable.then_some(Record::Ended { requester: key.0, set: key.1, end })
    }

    fn fresh_pause(&self) -> Backoff {
        Backoff::new(self.patience, self.patience.saturating_mul(KNOCK_PAUSES_MAX))
    }
}
