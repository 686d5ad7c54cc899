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
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::base::Ports;

    fn peer(n: u8) -> PeerInfo {
        PeerInfo {
            id: NodeId::from_bytes([n; 32]),
            label: ["alice", "bob", "eve"][n as usize % 3].parse().unwrap(),
            ip: [10, 0, 0, n].into(),
            ports: Ports { search: 1, size: 2, chunk: 3 },
            files: 1,
        }
    }

    #[test]
    fn the_first_who_are_heard_of_are_due_at_once_and_the_others_in_a_drawn_order() {
        let order = |salt| {
            let mut owners = Owners::new(at(0), salt, Vec::new());
            owners.heard(at(0), (0..9).map(peer).collect());
            let last = at(0) + HEARD_TIME;
            let ids = |peers: Vec<PeerInfo>| peers.iter().map(|p| p.id).collect::<Vec<_>>();
            let first = ids(owners.due(at(0), 9));
            assert_eq!(first.len(), AT_ONCE);
            first.iter().for_each(|id| owners.dialling(*id));
            assert_eq!(owners.due(last, 9).len(), 9 - AT_ONCE);
            assert_eq!(ids(owners.due(last, 1)), ids(owners.due(last, 9))[..1]);
            (first.into_iter().collect::<BTreeSet<_>>(), ids(owners.due(last, 9)))
        };
        let (first, others) = order(70);
        assert!((80..100).any(|salt| order(salt).0 != first), "all begin with the same");
        assert!((80..100).any(|salt| order(salt).1 != others));
    }

    fn at(millis: u64) -> Time {
        Time::ZERO + Duration::from_millis(millis)
    }

    fn lost() -> Standing {
        Standing::Lost("connection refused".into())
    }

    #[test]
    fn nothing_is_hoped_from_those_who_fetch_it_too_once_those_who_share_it_have_said_no() {
        let mut owners = Owners::new(at(0), 0, Vec::new()).patient_if(true);
        owners.heard(at(0), vec![peer(1)]);
        owners.ended(at(0), peer(1).id, Standing::NotHere("no".into()), 0);
        assert!(owners.awaits_answer(), "who shares it may yet be found");
        owners.ended(at(0), peer(1).id, lost(), 0);
        owners.found(at(0), vec![peer(0)]);
        owners.ended(at(0), peer(0).id, lost(), 0);
        assert!(owners.awaits_answer(), "it may come back");
        owners.ended(at(0), peer(0).id, Standing::NotHere("no".into()), 0);
        assert!(!owners.awaits_answer());
        owners.found(at(0), vec![peer(1)]);
        assert!(owners.awaits_answer(), "it shares it by now");
    }

    #[test]
    fn what_nobody_shares_is_hoped_for_until_all_who_fetch_it_have_said_no() {
        let mut owners = Owners::new(at(0), 0, Vec::new());
        owners.heard(at(0), vec![peer(0), peer(1)]);
        owners.ended(at(0), peer(0).id, Standing::NotHere("no".into()), 0);
        assert!(owners.is_nobodys() && owners.awaits_answer(), "bob was not asked yet");
        owners.ended(at(0), peer(1).id, lost(), 0);
        assert!(owners.awaits_answer(), "bob may come back");
        owners.ended(at(0), peer(1).id, Standing::NotHere("no".into()), 0);
        assert!(!owners.awaits_answer());
        owners.found(at(0), vec![peer(2)]);
        assert!(!owners.is_nobodys() && owners.awaits_answer());
    }

    #[test]
    fn whoever_fetches_it_and_says_later_is_hoped_for_until_it_says_no_or_is_away() {
        let mut owners = Owners::new(at(0), 0, vec![peer(0)]);
        owners.heard(at(0), vec![peer(1)]);
        owners.ended(at(0), peer(0).id, Standing::NotHere("no".into()), 0);
        assert!(!owners.awaits_answer(), "bob fetches it himself");
        owners.dialling(peer(1).id);
        owners.ended(at(0), peer(1).id, Standing::Later("it was told to pause".into()), u64::MAX);
        assert!(owners.awaits_answer());
        assert!(owners.why_waiting(at(0)).contains("it was told to pause"));
        owners.dialling(peer(1).id);
        assert!(owners.awaits_answer(), "he is asked again");
        owners.ended(at(250), peer(1).id, lost(), 0);
        assert!(!owners.awaits_answer());
        owners.ended(at(250), peer(1).id, Standing::Later("later".into()), 0);
        assert!(owners.awaits_answer() && !owners.awaits_sharer(), "he may wait for us");
        owners.ended(at(250), peer(1).id, Standing::Busy("all places are taken".into()), 0);
        assert!(!owners.awaits_answer(), "those who have them may wait for us");
        owners.ended(at(250), peer(1).id, Standing::Later("later".into()), 0);
        owners.ended(at(500), peer(1).id, Standing::NotHere("he gave it up".into()), 0);
        assert!(!owners.awaits_answer());
    }

    #[test]
    fn a_lost_owner_is_dialled_again_after_a_growing_wait() {
        let mut owners = Owners::new(at(0), 0, vec![peer(0)]);
        assert_eq!(owners.due(at(0), 9), [peer(0)]);
        owners.dialling(peer(0).id);
        assert!(owners.due(at(0), 9).is_empty(), "one connection an owner");
        owners.ended(at(0), peer(0).id, lost(), u64::MAX);
        assert!(owners.due(at(249), 9).is_empty());
        assert_eq!(owners.due(at(250), 9).len(), 1);
        owners.ended(at(250), peer(0).id, lost(), u64::MAX);
        assert!(owners.due(at(700), 9).is_empty());
        assert_eq!(
            owners.why_waiting(at(250)),
            "alice (10.0.0.0:3): connection refused; next try in 0 s"
        );
    }

    #[test]
    fn an_owner_that_accepts_and_brings_nothing_is_dialled_less_and_less_often() {
        let (mut owners, alice) = (Owners::new(at(0), 0, vec![peer(0)]), peer(0).id);
        for _ in 0..5 {
            owners.connected_to(alice);
            owners.ended(at(0), alice, lost(), u64::MAX);
        }
        assert!(owners.due(at(3_999), 9).is_empty(), "250 ms, doubled four times");
        assert_eq!(owners.due(at(4_000), 9).len(), 1);
        for _ in 0..5 {
            owners.connected_to(alice);
            owners.ended(at(0), alice, lost(), u64::MAX);
        }
        assert!(owners.due(at(14_999), 9).is_empty());
        assert_eq!(owners.due(at(15_000), 9).len(), 1, "never longer than that");
        owners.connected_to(alice);
        owners.useful(alice);
        owners.ended(at(0), alice, lost(), u64::MAX);
        assert_eq!(owners.due(at(250), 9).len(), 1, "it has brought something");
    }

    #[test]
    fn an_owner_without_the_file_comes_back_only_when_a_search_finds_it_again() {
        let mut owners = Owners::new(at(0), 0, vec![peer(1)]);
        owners.ended(at(0), peer(1).id, Standing::NotHere("it was edited".into()), 0);
        assert!(owners.due(at(99_999), 9).is_empty());
        assert!(
            owners.why_waiting(at(0)).contains("it was edited; looking for owners again in 1 s")
        );
        owners.found(at(5), vec![peer(1)]);
        assert_eq!(owners.due(at(5), 9).len(), 1);
    }

    #[test]
    fn an_owner_that_was_not_asked_yet_may_have_everything() {
        let (mut owners, [alice, bob]) =
            (Owners::new(at(0), 0, vec![peer(0), peer(1)]), [0, 1].map(|n| peer(n).id));
        owners.dialling(alice);
        owners.connected_to(alice);
        owners.ended(at(0), alice, Standing::NotHere("edited".into()), 0);
        assert!(owners.awaits_answer(), "there was no room for bob");
        owners.dialling(bob);
        assert!(owners.awaits_answer(), "he is being dialled");
        owners.connected_to(bob);
        owners.ended(at(0), bob, Standing::NotHere("edited".into()), 0);
        assert!(!owners.awaits_answer());
        owners.found(at(1), vec![peer(0)]);
        owners.dialling(alice);
        assert!(!owners.awaits_answer(), "she has said no");
        owners.ended(at(1), alice, lost(), 0);
        assert!(owners.awaits_answer(), "she has not said it again");
    }

    #[test]
    fn a_banned_owner_stays_banned_whatever_happens() {
        let mut owners = Owners::new(at(0), 0, vec![peer(0), peer(2)]);
        owners.ban(peer(2).id);
        assert_eq!(owners.all_banned(), None);
        owners.ended(at(0), peer(2).id, lost(), 0);
        owners.found(at(1), vec![peer(2)]);
        owners.connected_to(peer(2).id);
        assert_eq!(owners.due(at(9_999), 9), [peer(0)]);
        owners.ban(peer(0).id);
        assert!(owners.all_banned().unwrap().contains("alice"));
    }

    #[test]
    fn an_owner_that_breaks_the_protocol_three_times_is_banned_and_the_person_told() {
        let mut owners = Owners::new(at(0), 0, vec![peer(0), peer(2)]);
        let eve = peer(2).id;
        for _ in 1..VIOLATIONS_MAX {
            assert_eq!(owners.broke_protocol(eve), None);
            owners.ended(at(0), eve, lost(), 0);
        }
        owners.connected_to(eve);
        owners.useful(eve);
        assert!(!owners.is_banned(eve), "it may have been a bug that passed");
        let told = "eve (10.0.0.2:3) broke the protocol too often; not asked again";
        assert_eq!(owners.broke_protocol(eve).as_deref(), Some(told));
        assert_eq!(owners.broke_protocol(eve), None, "told once");
        owners.ended(at(0), eve, lost(), 0);
        owners.found(at(1), vec![peer(2)]);
        assert_eq!(owners.due(at(99_999), 9), [peer(0)]);
        owners.connected_to(peer(0).id);
        assert!(owners.why_waiting(at(0)).starts_with("eve (10.0.0.2:3) broke the protocol"));
        assert_eq!(owners.all_banned(), None);
        owners.ban(peer(0).id);
        let words = owners.all_banned().unwrap();
        assert!(words.contains("alice (10.0.0.0:3) sent wrong bytes, eve"), "{words}");
        let mut owners = Owners::new(at(0), 0, vec![peer(2)]);
        (0..VIOLATIONS_MAX).for_each(|_| _ = owners.broke_protocol(eve));
        let words = "every owner broke the protocol too often: eve (10.0.0.2:3)";
        assert_eq!(owners.all_banned().as_deref(), Some(words));
    }

    #[test]
    fn owners_are_looked_for_often_when_nobody_is_connected_and_calmly_otherwise() {
        let mut owners = Owners::new(at(0), 0, vec![]);
        assert!(!owners.search_due(at(999), 0));
        assert!(owners.search_due(at(1_000), u64::MAX));
        assert!(owners.search_due(at(2_000), u64::MAX));
        assert!(!owners.search_due(at(3_500), u64::MAX), "the wait doubles");
        owners.found(at(4_000), vec![peer(0)]);
        owners.connected_to(peer(0).id);
        assert!(owners.search_due(at(4_000), 0));
        assert!(!owners.search_due(at(18_000), 0));
    }

    #[test]
    fn a_stranger_who_calls_joins_only_if_he_may_and_makes_no_more_searches() {
        let mut owners = Owners::new(at(0), 0, vec![peer(0)]);
        owners.ended(at(0), peer(0).id, lost(), u64::MAX);
        let already = owners.returned(at(1), peer(0), false);
        assert_eq!(already, Returned::Dialled, "an owner of this fetch already");
        assert_eq!(owners.due(at(1), 9), [peer(0)]);
        assert!(owners.search_due(at(1_000), u64::MAX));
        owners.connected_to(peer(0).id);
        assert!(owners.search_due(at(9_000), 0), "calm from now on");
        assert_eq!(owners.returned(at(9_100), peer(2), false), Returned::NoOwner);
        assert_eq!(owners.returned(at(9_200), peer(2), false), Returned::NoOwner);
        assert!(!owners.search_due(at(9_999), 0), "not sooner than a second after the last");
        assert!(owners.search_due(at(10_000), 0));
        assert!(owners.due(at(10_000), 9).is_empty(), "he is not dialled");
        assert_eq!(owners.returned(at(10_001), peer(2), true), Returned::Dialled);
        assert_eq!(owners.due(at(10_001), 9), [peer(2)]);
    }

    #[test]
    fn a_connection_makes_room_for_who_was_not_tried_yet_and_for_nobody_else() {
        let mut owners = Owners::new(at(0), 0, vec![peer(0), peer(1)]);
        owners.dialling(peer(0).id);
        owners.connected_to(peer(0).id);
        assert!(!owners.exchange_due(at(99)), "too early");
        assert!(owners.exchange_due(at(100)));
        assert!(!owners.exchange_due(at(199)), "one at a time");
        owners.give_up(peer(0).id);
        owners.ended(at(200), peer(0).id, lost(), u64::MAX);
        assert_eq!(owners.due(at(200), 9), [peer(1)]);
        owners.dialling(peer(1).id);
        owners.connected_to(peer(1).id);
        assert!(owners.due(at(10_199), 9).is_empty(), "the others come first");
        assert_eq!(owners.due(at(10_200), 9), [peer(0)]);
        assert!(!owners.exchange_due(at(10_200)), "it was tried");
        owners.dialling(peer(0).id);
        owners.ended(at(20_000), peer(0).id, lost(), u64::MAX);
        assert_eq!(owners.due(at(20_250), 9), [peer(0)], "it was lost this time");
        owners.found(at(20_300), vec![peer(2), peer(3)]);
        owners.dialling(peer(2).id);
        assert!(!owners.exchange_due(at(20_300)), "peer 2 may take a place");
        owners.connected_to(peer(2).id);
        assert!(owners.exchange_due(at(20_300)));
    }

    #[test]
    fn owners_are_bounded() {
        let many = |from: u16| {
            let id =
                |n: u16| NodeId::from_bytes([n.to_le_bytes(); 16].concat().try_into().unwrap());
            (from..from + 200).map(|n| PeerInfo { id: id(n), ..peer(0) }).collect::<Vec<_>>()
        };
        let mut owners = Owners::new(at(0), 0, many(0));
        owners.found(at(0), many(200));
        assert_eq!(owners.due(at(0), 999).len(), OWNERS_MAX);
        assert_eq!(owners.returned(at(0), peer(2), true), Returned::NoOwner);
    }

    #[test]
    fn an_owner_that_moved_is_dialled_at_its_new_address_at_once() {
        let mut owners = Owners::new(at(0), 0, vec![peer(0)]);
        owners.ended(at(0), peer(0).id, lost(), u64::MAX);
        let moved = PeerInfo { ip: [10, 9, 9, 9].into(), ..peer(0) };
        owners.found(at(1), vec![moved.clone()]);
        assert_eq!(owners.due(at(1), 9), [moved]);
    }

    #[test]
    fn an_owner_that_calls_while_he_is_believed_connected_is_dialled_when_that_lane_is_closed() {
        let (mut owners, alice) = (Owners::new(at(0), 0, vec![peer(0)]), peer(0).id);
        owners.dialling(alice);
        assert_eq!(owners.returned(at(1), peer(0), true), Returned::Dialled, "already under way");
        owners.connected_to(alice);
        owners.useful(alice);
        assert_eq!(owners.returned(at(2), peer(0), true), Returned::LaneIsDead);
        assert!(owners.due(at(9_999), 9).is_empty(), "one connection an owner");
        owners.ended(at(9_999), alice, lost(), u64::MAX);
        assert_eq!(owners.due(at(10_249), 9), [peer(0)]);
    }
}
