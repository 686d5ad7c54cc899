//! Who fetches a set from this node: what all transfers of one set share.
//!
//! Invariants: what one transfer hands out counts for all of them (`logic::spread`); when this node
//! is fetching the set itself, each of them is told what has arrived, once; those who serve what they
//! have are told of each other as soon as they say so; what was promised of a part is taken back when
//! that is lent no more, since a later fetch may find less of it. Locks are taken in this order:
//! members, a transfer's state, the spread. A set is forgotten with its last transfer and fetch.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Weak};

use parking_lot::{Condvar, Mutex};

use crate::base::{PeerInfo, Range};
use crate::logic::ledger::{Connection, SetKey};
use crate::logic::spread::Spread;
use crate::logic::upload::{Step, Upload};
use crate::wire::message::transfer::{FETCHERS_MAX, Fetchers, Have, Stale};
use crate::wire::{List, Message};

/// Most runs in one `Have`.
const HAVE_RUNS_MAX: usize = 2_048;

/// Most messages about others that wait for a requester to read.
const OUTBOX_MAX: usize = 128;

/// All sets that somebody fetches from here, or that are fetched here.
#[derive(Default)]
pub(super) struct Swarms(Mutex<BTreeMap<SetKey, Weak<Swarm>>>);

/// One set.
pub(super) struct Swarm {
    spread: Mutex<Spread>,
    members: Mutex<BTreeMap<Connection, Member>>,
}

struct Member {
    outgoing: Arc<Outgoing>,
    /// Where it serves what it has.
    info: Option<PeerInfo>,
}

/// What the two halves of a transfer share, and what others tell its requester through.
pub(super) struct Outgoing {
    pub(super) state: Mutex<State>,
    pub(super) wake: Condvar,
    swarm: Arc<Swarm>,
}

pub(super) struct State {
    pub(super) upload: Upload,
    /// Messages that are not part of the upload's own steps.
    pub(super) outbox: VecDeque<Message>,
    /// What the requester does not know yet that is here.
    gained: Vec<u32>,
    /// Whether it is served from the part of a fetch.
    lent: bool,
    pub(super) ended: bool,
}

/// A transfer's place among those of its set, until it is dropped.
pub(super) struct Joined {
    connection: Connection,
    outgoing: Arc<Outgoing>,
}

impl Swarms {
    /// The set `key` of `count` items.
    pub(super) fn of(&self, key: SetKey, count: u32) -> Arc<Swarm> {
        let mut all = self.0.lock();
        if let Some(swarm) = all.get(&key).and_then(Weak::upgrade) {
            return swarm;
        }
        all.retain(|_, swarm| swarm.strong_count() > 0);
        let spread = Mutex::new(Spread::new(count));
        let swarm = Arc::new(Swarm { spread, members: Mutex::default() });
        all.insert(key, Arc::downgrade(&swarm));
        swarm
    }
}

impl Swarm {
    /// A transfer begins; `lent`: of the part of a fetch.
    pub(super) fn join(
        self: &Arc<Swarm>,
        connection: Connection,
        upload: Upload,
        lent: bool,
    ) -> Joined {
        let (outbox, gained, ended) = (VecDeque::new(), Vec::new(), false);
        let state = Mutex::new(State { upload, outbox, gained, lent, ended });
        let swarm = self.clone();
        let outgoing = Arc::new(Outgoing { state, wake: Condvar::new(), swarm });
        let member = Member { outgoing: outgoing.clone(), info: None };
        self.members.lock().insert(connection, member);
        self.spread.lock().join();
        Joined { connection, outgoing }
    }

    /// Items have arrived here: whoever fetches the set from this node may have them.
    pub(super) fn gained(&self, items: &[u32]) {
        if !items.is_empty() {
            self.members.lock().values().for_each(|member| member.outgoing.gained(items));
        }
    }

    /// The part of the fetch is lent no more.
    pub(super) fn withdrawn(&self) {
        self.members.lock().values().for_each(|member| member.outgoing.withdrawn());
    }
}

impl Joined {
    pub(super) fn outgoing(&self) -> &Arc<Outgoing> {
        &self.outgoing
    }

    /// The requester serves what it has, at `info`: all who do hear of each other. It says so once;
    /// what it says later is not passed on, or one could keep all others busy.
    pub(super) fn serves(&self, info: &PeerInfo) {
        let mut members = self.outgoing.swarm.members.lock();
        if members.get(&self.connection).is_none_or(|member| member.info.is_some()) {
            return;
        }
        let mut others = Vec::new();
        for (connection, member) in members.iter_mut() {
            if *connection == self.connection {
                member.info = Some(info.clone());
            } else if let Some(other) = &member.info {
                others.push(other.clone());
                member.outgoing.say([Fetchers { nodes: List::of(vec![info.clone()]) }.into()]);
            }
        }
        let pages = others.chunks(FETCHERS_MAX);
        self.outgoing.say(pages.map(|page| Fetchers { nodes: List::of(page.to_vec()) }.into()));
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        let swarm = &self.outgoing.swarm;
        swarm.members.lock().remove(&self.connection);
        let mut state = self.outgoing.state.lock();
        let mut spread = swarm.spread.lock();
        state.upload.leave(&mut spread);
        spread.leave();
    }
}

impl Outgoing {
    /// More is here.
    pub(super) fn gained(&self, items: &[u32]) {
        let mut state = self.state.lock();
        let fresh = state.upload.on_gained(items);
        if !fresh.is_empty() {
            state.gained.extend(fresh);
            self.wake.notify_all();
        }
    }

    /// What was promised of a part is not here any more.
    pub(super) fn withdrawn(&self) {
        let mut state = self.state.lock();
        if !state.lent || state.upload.have().is_empty() {
            return;
        }
        let all = Range { first: 0, count: state.upload.items().count() };
        state.upload.on_stale(all, &mut self.swarm.spread.lock());
        state.gained.clear();
        state.outbox.push_back(Stale { items: List::of(vec![all]) }.into());
        self.wake.notify_all();
    }

    /// Tells of others, unless the requester has not read for long: it finds them by searching, too.
    fn say(&self, messages: impl IntoIterator<Item = Message>) {
        let mut state = self.state.lock();
        let room = OUTBOX_MAX.saturating_sub(state.outbox.len());
        state.outbox.extend(messages.into_iter().take(room));
        self.wake.notify_all();
    }

    /// Does something with the transfer and with what was handed out of its set.
    pub(super) fn with_spread<T>(&self, act: impl FnOnce(&mut State, &mut Spread) -> T) -> T {
        act(&mut self.state.lock(), &mut self.swarm.spread.lock())
    }
}

impl State {
    /// What is to be said now, but for the upload's own steps. What has arrived here is told in one
    /// piece between two chunks.
    pub(super) fn next_message(&mut self) -> Option<Message> {
        if let Some(message) = self.outbox.pop_front() {
            return Some(message);
        }
        if self.gained.is_empty() {
            return None;
        }
        self.gained.sort_unstable();
        let mut runs = Range::collect(std::mem::take(&mut self.gained));
        let rest = runs.split_off(runs.len().min(HAVE_RUNS_MAX));
        self.gained = rest.into_iter().flat_map(Range::iter).collect();
        Some(Have { items: List::of(runs) }.into())
    }

    /// The upload's next step.
    pub(super) fn next_step(&mut self, outgoing: &Outgoing) -> Option<Step> {
        self.upload.next(&mut outgoing.swarm.spread.lock())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Bitmap;
    use crate::logic::items::Items;
    use crate::node::samples::peer;

    fn join(swarm: &Arc<Swarm>, connection: u64) -> Joined {
        let upload = Upload::new(Items::chunks(1_000_000), Bitmap::none(4));
        swarm.join(Connection(connection), upload, true)
    }

    fn told(joined: &Joined) -> usize {
        joined.outgoing.state.lock().outbox.len()
    }

    #[test]
    fn those_who_serve_hear_of_each_other_once_whatever_one_of_them_says() {
        let swarm = Swarms::default().of([1; 32], 4);
        let [alice, bob, silent] = [1, 2, 3].map(|n| join(&swarm, n));
        alice.serves(&peer(0));
        bob.serves(&peer(1));
        assert_eq!([&alice, &bob, &silent].map(told), [1, 1, 0]);
        (0..1_000).for_each(|n| bob.serves(&PeerInfo { files: n, ..peer(1) }));
        assert_eq!(told(&alice), 1);
    }

    #[test]
    fn what_waits_for_a_requester_that_does_not_read_is_bounded() {
        let swarm = Swarms::default().of([1; 32], 4);
        let alice = join(&swarm, 0);
        alice.serves(&peer(0));
        (1..1_000).for_each(|n| join(&swarm, n).serves(&peer(1)));
        assert_eq!(told(&alice), OUTBOX_MAX);
    }

    #[test]
    fn what_was_promised_of_a_part_is_taken_back_once_and_what_is_shared_is_not() {
        let swarm = Swarms::default().of([1; 32], 4);
        let lent = join(&swarm, 1);
        let whole = Upload::new(Items::chunks(1_000_000), Bitmap::all(4));
        let shared = swarm.join(Connection(2), whole, false);
        swarm.gained(&[2]);
        (0..2).for_each(|_| swarm.withdrawn());
        let mut state = lent.outgoing.state.lock();
        let all = List::of(vec![Range { first: 0, count: 4 }]);
        assert_eq!(state.next_message(), Some(Stale { items: all }.into()));
        assert_eq!((state.next_message(), state.upload.have().count()), (None, 0));
        drop(state);
        assert!(shared.outgoing.state.lock().upload.have().is_full());
        swarm.gained(&[1]);
        assert_eq!(lent.outgoing.state.lock().upload.have().count(), 1, "a later fetch has some");
    }

    #[test]
    fn what_arrives_here_is_told_once() {
        let swarm = Swarms::default().of([1; 32], 4);
        let alice = join(&swarm, 1);
        swarm.gained(&[2, 0]);
        swarm.gained(&[0]);
        let mut state = alice.outgoing.state.lock();
        let have = Have { items: List::of(vec![Range::one(0), Range::one(2)]) };
        assert_eq!(state.next_message(), Some(have.into()));
        assert_eq!(state.next_message(), None);
    }
}
