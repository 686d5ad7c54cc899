//! Whom a download may connect to, when, and why it waits.
//!
//! ```text
//!            due              connected_to
//!   Waiting ------> Dialling -------------> Connected
//!      ^               |                        |
//!      |   Busy, Lost  v   (backoff)            v        NotHere
//!      +------------------------------------------------------------> Gone --found again--> Waiting
//!           wrong bytes or broken protocol too often, from anywhere -> Banned (for this download)
//! ```
//!
//! Invariant: an owner has at most one connection; a banned one never gets another. The wait grows
//! with every connection that brought no verified item, and is short again after one that did. Where all
//! places are taken, one is given up now and then for somebody who was not tried yet, and waits for 10 s.

mod exchange;
mod words;

use std::collections::BTreeMap;
use std::time::Duration;

use self::exchange::{EXCHANGE_EVERY, EXCHANGED_TIME};
use crate::base::backoff::Backoff;
use crate::base::limits::VIOLATIONS_MAX;
use crate::base::{NodeId, PeerInfo, Time};

/// Waits before an owner is dialled again.
const RETRY_FIRST: Duration = Duration::from_millis(250);
const RETRY_MAX: Duration = Duration::from_secs(15);
/// How often more owners are looked for while some are connected.
const SEARCH_CALM: Duration = Duration::from_secs(15);
/// Waits between searches while nobody is connected.
const SEARCH_FIRST: Duration = Duration::from_secs(1);
const SEARCH_MAX: Duration = Duration::from_secs(20);
/// The most with those who were only heard of: whoever makes up others leaves room for true ones.
const HEARD_MAX: usize = 128;
/// So many owners are dialled as soon as they are heard of: enough to be busy.
const AT_ONCE: usize = 5;
/// Who is heard of later is dialled at a moment drawn from this time. Whoever came first would otherwise
/// have dialled all others who came first, and have no lane left to those who come later: what the first
/// owner gives to these would never come back to those, and it would have to send it again.
const HEARD_TIME: Duration = Duration::from_millis(500);
/// Owners of one set that are kept in mind.
const OWNERS_MAX: usize = 256;

/// How the connection to an owner ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It does not have the content any more.
    NotHere(String),
    /// It cannot serve more now.
    Busy(String),
    /// It has some of it, and serves that when its own download goes on.
    Later(String),
    /// It could not be reached, or the connection broke.
    Lost(String),
}

/// Where an owner stands who has called by himself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Returned {
    /// He is none, or none any more.
    NoOwner,
    /// He is dialled as soon as there is room, if he is not being dialled already.
    Dialled,
    /// He is believed to be connected, and misses us: nobody dials him until that connection, which
    /// is dead at his end, is closed here too.
    LaneIsDead,
}

#[derive(Debug)]
enum State {
    Waiting { due: Time, why: String },
    Dialling,
    Connected,
    Gone { why: String },
    Banned(Ban),
}

/// Why an owner is not asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ban {
    WrongBytes,
    Violations,
}

#[derive(Debug)]
struct Owner {
    info: PeerInfo,
    /// A search has found it: it shares what is wanted. Others fetch that themselves.
    shares: bool,
    state: State,
    backoff: Backoff,
    violations: u32,
    /// Whether it has ever been dialled.
    tried: bool,
    /// Its connection is given up for another.
    given_up: bool,
    /// Whether it has said that it has nothing of what is missing, and nothing else since.
    said_no: bool,
    /// Whether it has said that it is there for that later, and nothing else since.
    says_later: bool,
}

/// The owners of one set, as far as they are known.
#[derive(Debug)]
pub struct Owners {
    owners: BTreeMap<NodeId, Owner>,
    salt: u64,
    /// Whether those who share it are waited for, though none is known.
    patient: bool,
    next_exchange: Time,
    next_search: Time,
    last_search: Time,
    search_backoff: Backoff,
}

impl Owners {
    /// Begins with `peers`, all of them due at once.
    /// `salt` draws whom it takes first: in a large swarm everybody has other neighbours then.
    pub fn new(now: Time, salt: u64, peers: Vec<PeerInfo>) -> Owners {
        let mut owners = Owners {
            owners: BTreeMap::new(),
            salt,
            patient: false,
            next_exchange: now + EXCHANGE_EVERY,
            next_search: now + SEARCH_FIRST,
            last_search: now,
            search_backoff: Backoff::new(SEARCH_FIRST, SEARCH_MAX),
        };
        owners.found(now, peers);
        owners
    }

    /// Waits also for those who share it and are not known, if `patient`.
    #[must_use]
    pub fn patient_if(self, patient: bool) -> Owners {
        Owners { patient, ..self }
    }

    /// Takes the answer of a search: new owners are due at once, and so are those that had gone.
    /// Beyond `OWNERS_MAX` nobody new is taken.
    pub fn found(&mut self, now: Time, peers: Vec<PeerInfo>) {
        self.learn(now, Duration::ZERO, peers, true);
    }

    /// Takes those of whom others tell that they fetch the set, too: like a search's answer, but due one
    /// after the other, in the order that `salt` draws.
    pub fn heard(&mut self, now: Time, peers: Vec<PeerInfo>) {
        self.learn(now, HEARD_TIME, peers, false);
    }

    fn learn(&mut self, now: Time, within: Duration, mut peers: Vec<PeerInfo>, shares: bool) {
        // Whoever tells of them has an order of its own, the same for everybody.
        peers.sort_by_cached_key(|peer| self.rank(&peer.id));
        let most = if shares { OWNERS_MAX } else { HEARD_MAX };
        for info in peers {
            if self.owners.len() >= most && !self.owners.contains_key(&info.id) {
                continue;
            }
            let few = self.owners.len() < AT_ONCE;
            let within = if few { Duration::ZERO } else { within };
            let wait = within.mul_f64(self.rank(&info.id) as f64 / u64::MAX as f64);
            let due = || State::Waiting { due: now + wait, why: "not tried yet".into() };
            let owner = self.owners.entry(info.id).or_insert_with(|| Owner {
                info: info.clone(),
                shares,
                state: due(),
                backoff: Backoff::new(RETRY_FIRST, RETRY_MAX),
                violations: 0,
                tried: false,
                given_up: false,
                said_no: false,
                says_later: false,
            });
            owner.shares |= shares;
            if !owner.info.is_at_same_place(&info) {
                owner.info = info;
                if matches!(owner.state, State::Waiting { .. }) {
                    owner.state = due();
                }
            }
            if matches!(owner.state, State::Gone { .. }) {
                owner.state = due();
            }
        }
    }

    /// Somebody has called by himself, so he is there. An owner's time has come; who is none becomes
    /// one if he `may_join`. Otherwise the next search comes as soon as one may: calls of strangers
    /// make none more.
    pub fn returned(&mut self, now: Time, peer: PeerInfo, may_join: bool) -> Returned {
        let id = peer.id;
        if may_join || self.owners.contains_key(&id) {
            // It may be fetching that itself.
            self.learn(now, Duration::ZERO, vec![peer], false);
        }
        let Some(owner) = self.owners.get_mut(&id) else {
            self.next_search = self.next_search.min(self.last_search + SEARCH_FIRST);
            return Returned::NoOwner;
        };
        match &mut owner.state {
            State::Banned(_) => Returned::NoOwner,
            State::Connected => Returned::LaneIsDead,
            State::Waiting { due, .. } => {
                *due = now;
                Returned::Dialled
            }
            State::Dialling | State::Gone { .. } => Returned::Dialled,
        }
    }

    /// Up to `room` owners whose time has come; the caller dials them and says so.
    pub fn due(&self, now: Time, room: usize) -> Vec<PeerInfo> {
        let ready = |o: &&Owner| matches!(o.state, State::Waiting { due, .. } if due <= now);
        let mut due: Vec<&Owner> = self.owners.values().filter(ready).collect();
        due.sort_by_cached_key(|o| self.rank(&o.info.id));
        due.into_iter().take(room).map(|o| o.info.clone()).collect()
    }

    /// In which place this download takes a node.
    fn rank(&self, node: &NodeId) -> u64 {
        let word = node.as_bytes().first_chunk::<8>().map_or(0, |b| u64::from_le_bytes(*b));
        // SplitMix64's last step (Steele, Lea, Flood, 2014): any two salts give unlike orders.
        let mixed = (word ^ self.salt).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb)
    }

    /// A connection to `node` is being made.
    pub fn dialling(&mut self, node: NodeId) {
        self.set_state(node, State::Dialling);
        if let Some(owner) = self.owners.get_mut(&node) {
            (owner.tried, owner.given_up) = (true, false);
        }
    }

    /// The owner has accepted the transfer. That alone does not shorten the next wait: one that
    /// accepts and then breaks the protocol is dialled less and less often.
    pub fn connected_to(&mut self, node: NodeId) {
        self.set_state(node, State::Connected);
        if let Some(owner) = self.owners.get_mut(&node) {
            (owner.said_no, owner.says_later) = (false, false);
        }
        self.search_backoff.succeed();
    }

    /// The owner sent an item that was verified: should it be lost, it is dialled again soon.
    pub fn useful(&mut self, node: NodeId) {
        if let Some(owner) = self.owners.get_mut(&node) {
            owner.backoff.succeed();
        }
    }

    /// Its connection ended; `random` jitters the wait until the next one.
    pub fn ended(&mut self, now: Time, node: NodeId, how: Standing, random: u64) {
        let Some(owner) = self.owners.get_mut(&node) else { return };
        if matches!(owner.state, State::Banned(_)) {
            return;
        }
        owner.said_no = matches!(how, Standing::NotHere(_));
        owner.says_later = matches!(how, Standing::Later(_));
        owner.state = match how {
            Standing::NotHere(why) => State::Gone { why },
            _ if std::mem::take(&mut owner.given_up) => {
                State::Waiting { due: now + EXCHANGED_TIME, why: "others were tried".into() }
            }
            Standing::Busy(why) | Standing::Later(why) | Standing::Lost(why) => {
                State::Waiting { due: now + owner.backoff.fail(random), why }
            }
        };
    }

    /// It sent wrong bytes too often: never again in this download.
    pub fn ban(&mut self, node: NodeId) {
        self.set_state(node, State::Banned(Ban::WrongBytes));
    }

    /// It sent a message that is malformed or forbidden. The last that it may send bans it for this
    /// download; returns the words for the person then.
    pub fn broke_protocol(&mut self, node: NodeId) -> Option<String> {
        let owner = self.owners.get_mut(&node)?;
        owner.violations += 1;
        if owner.violations != VIOLATIONS_MAX {
            return None;
        }
        let words = format!("{} {}; not asked again", owner.info.shown(), Ban::Violations.words());
        self.set_state(node, State::Banned(Ban::Violations));
        Some(words)
    }

    /// Whether an owner may still have everything: one that was not asked yet, could not be reached or
    /// broke off. Who has said no is asked again when a search finds him, but nothing is hoped from him;
    /// nor from those who were only heard of, who fetch it themselves, unless they say that they are there for
    /// it later. Where nobody else is known, who shares it may yet be found by one who is `patient`; for others
    /// those who fetch it count.
    pub fn awaits_answer(&self) -> bool {
        let mut all = self.owners.values();
        self.awaits_sharer() || all.any(|o| (o.says_later || self.is_nobodys()) && o.may_have_all())
    }

    /// The same of those alone who share it: what they bring is waited for by nobody who waits for us.
    pub fn awaits_sharer(&self) -> bool {
        if self.is_nobodys() {
            return self.patient;
        }
        self.owners.values().any(|o| o.shares && o.may_have_all())
    }

    /// Whether nobody is known who shares it.
    pub fn is_nobodys(&self) -> bool {
        !self.owners.values().any(|o| o.shares)
    }

    /// Whether `node` is banned.
    pub fn is_banned(&self, node: NodeId) -> bool {
        self.owners.get(&node).is_some_and(|o| matches!(o.state, State::Banned(_)))
    }

    /// Owners with an accepted transfer.
    pub fn connected(&self) -> usize {
        self.owners.values().filter(|o| matches!(o.state, State::Connected)).count()
    }

    /// Whether more owners should be looked for now; counts as having begun to.
    pub fn search_due(&mut self, now: Time, random: u64) -> bool {
        if now < self.next_search {
            return false;
        }
        let calm = self.connected() > 0;
        let wait = if calm { SEARCH_CALM } else { self.search_backoff.fail(random) };
        (self.last_search, self.next_search) = (now, now + wait);
        true
    }

    fn set_state(&mut self, node: NodeId, state: State) {
        if let Some(owner) = self.owners.get_mut(&node)
            && !matches!(owner.state, State::Banned(_))
        {
            owner.state = state;
        }
    }
}

impl Owner {
    fn may_have_all(&self) -> bool {
        matches!(self.state, State::Waiting { .. } | State::Dialling) && !self.said_no
    }
}

impl Ban {
    const fn words(self) -> &'static str {
        match self {
            Ban::WrongBytes => "sent wrong bytes too often",
            Ban::Violations => "broke the protocol too often",
        }
    }
}

#[cfg(test)]
#[path = "owners_tests.rs"]
mod tests;
