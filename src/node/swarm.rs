//! Who fetches a set from this node: what all transfers of one set share.
//!
//! Invariants: what one transfer hands out counts for all of them (`logic::spread`); when this node
//! is fetching the set itself, each of them is told what has arrived, once; those who serve what they
//! have are told of each other as soon as they say so; what was promised of a part is taken back when
//! that is lent no more, since a later fetch may find less of it; whoever waits for its turn is woken
//! when that has come (`logic::turns`, one queue for all sets). Locks are taken in this order: members, a
//! transfer's state, the spread, the turns, the writers. A set is forgotten with its last transfer and fetch.

mod queue;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Weak};

use parking_lot::{Condvar, Mutex, MutexGuard};

use queue::Queue;

use crate::base::{Bitmap, PeerInfo, Range, Time};
use crate::io::clock;
use crate::logic::haves::Haves;
use crate::logic::ledger::{Connection, SetKey};
use crate::logic::spread::Spread;
use crate::logic::turns::Turn;
use crate::logic::upload::{Step, Upload};
use crate::wire::message::transfer::{BUSY_NAMES_MAX, FETCHERS_MAX, Fetchers, Have, Stale};
use crate::wire::{List, Message};

/// Most messages about others that wait for a requester to read.
const OUTBOX_MAX: usize = 128;

/// All sets that somebody fetches from here, or that are fetched here.
#[derive(Default)]
pub(super) struct Swarms {
    sets: Mutex<BTreeMap<SetKey, Weak<Swarm>>>,
    queue: Arc<Queue>,
}

/// One set.
pub(super) struct Swarm {
    key: SetKey,
    queue: Arc<Queue>,
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
    connection: Connection,
    swarm: Arc<Swarm>,
}

pub(super) struct State {
    pub(super) upload: Upload,
    /// Messages that are not part of the upload's own steps.
    pub(super) outbox: VecDeque<Message>,
    /// What the requester does not know yet that is here.
    haves: Haves,
    /// Whether its requester was told that more may come, since this node is fetching the set itself.
    grows: bool,
    pub(super) ended: bool,
}

/// What a transfer's writer does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ahead {
    /// A step of the upload.
    Step(Step),
    /// Nothing, until it is woken, or until this time if there is one: others are served before, or more is
    /// to be told then.
    Nothing(Option<Time>),
}

/// A transfer's place among those of its set, until it is dropped.
pub(super) struct Joined {
    connection: Connection,
    outgoing: Arc<Outgoing>,
}

impl Swarms {
    /// The set `key` of `count` items.
    pub(super) fn of(&self, key: SetKey, count: u32) -> Arc<Swarm> {
        let mut all = self.sets.lock();
        if let Some(swarm) = all.get(&key).and_then(Weak::upgrade) {
            return swarm;
        }
        all.retain(|_, swarm| swarm.strong_count() > 0);
        let (queue, members) = (self.queue.clone(), Mutex::default());
        let spread = Mutex::new(Spread::new(count));
        let swarm = Arc::new(Swarm { key, queue, spread, members });
        all.insert(key, Arc::downgrade(&swarm));
        swarm
    }

    /// Some of those who fetch the set `key` from here and serve what they have: for one who finds no
    /// place here. `draw` says which, so that many who come are not all sent to the same.
    pub(super) fn some_of(&self, key: &SetKey, draw: u64) -> Vec<PeerInfo> {
        let swarm = self.sets.lock().get(key).and_then(Weak::upgrade);
        swarm.map_or_else(Vec::new, |swarm| swarm.some(draw))
    }
}

impl Swarm {
    /// A transfer begins; `grows`: its requester was told that more may come.
    pub(super) fn join(
        self: &Arc<Swarm>,
        connection: Connection,
        upload: Upload,
        grows: bool,
    ) -> Joined {
        let (outbox, haves, ended) = (VecDeque::new(), Haves::default(), false);
        let state = Mutex::new(State { upload, outbox, haves, grows, ended });
        let swarm = self.clone();
        let outgoing = Arc::new(Outgoing { state, wake: Condvar::new(), connection, swarm });
        let member = Member { outgoing: outgoing.clone(), info: None };
        self.queue.enter(connection, outgoing.clone());
        self.members.lock().insert(connection, member);
        self.spread.lock().join();
        Joined { connection, outgoing }
    }

    fn some(&self, draw: u64) -> Vec<PeerInfo> {
        let members = self.members.lock();
        let all: Vec<&PeerInfo> = members.values().filter_map(|one| one.info.as_ref()).collect();
        let first = draw.checked_rem(all.len() as u64).unwrap_or(0) as usize;
        let (before, onwards) = all.split_at(first);
        onwards.iter().chain(before).take(BUSY_NAMES_MAX).map(|info| (*info).clone()).collect()
    }

    /// Items have arrived here: whoever fetches the set from this node may have them.
    pub(super) fn gained(&self, items: &[u32]) {
        if !items.is_empty() {
            let (now, members) = (clock::now(), self.members.lock());
            members.values().for_each(|one| one.outgoing.gained(now, items, members.len()));
        }
    }

    /// Nothing but what is `kept` can be had here any more, or can be hoped for.
    pub(super) fn withdrawn(&self, kept: &Bitmap) {
        self.members.lock().values().for_each(|member| member.outgoing.withdrawn(kept));
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
        drop((state, spread));
        self.outgoing.over(clock::now(), 0);
        swarm.queue.leave(self.connection);
        swarm.queue.wake_granted();
    }
}

impl Outgoing {
    /// More is here; so many requesters are told.
    pub(super) fn gained(&self, now: Time, items: &[u32], told: usize) {
        let mut state = self.state.lock();
        let fresh = state.upload.on_gained(items);
        // Nobody asks for what he was not told of.
        if !fresh.is_empty() && state.haves.gained(now, fresh, told) {
            self.wake.notify_all();
        }
    }

    /// What was promised, but for what is `kept`, is not here any more, nor will more come. Who has not
    /// been promised anything hears nothing.
    pub(super) fn withdrawn(&self, kept: &Bitmap) {
        let mut state = self.state.lock();
        let promised = state.upload.have().iter().any(|item| !kept.contains(item));
        if !promised && !state.grows {
            return;
        }
        state.grows = false;
        let gone = Range::collect(kept.iter_missing());
        for items in &gone {
            state.upload.on_stale(*items, &mut self.swarm.spread.lock());
        }
        state.haves.retain(|item| kept.contains(item));
        state.outbox.push_back(Stale { items: List::of(gone) }.into());
        self.wake.notify_all();
    }

    /// Items of the set.
    pub(super) fn count(&self) -> u32 {
        self.state.lock().upload.items().count()
    }

    /// Items cannot be had here for a while: all others who were promised them hear so.
    pub(super) fn others_lose(&self, items: Range) {
        let members = self.swarm.members.lock();
        let others = members.iter().filter(|(connection, _)| **connection != self.connection);
        others.for_each(|(_, other)| other.outgoing.loses(items));
    }

    fn loses(&self, items: Range) {
        let mut state = self.state.lock();
        if !items.iter().any(|item| state.upload.have().contains(item)) {
            return;
        }
        state.upload.on_stale(items, &mut self.swarm.spread.lock());
        state.haves.retain(|item| !items.iter().contains(&item));
        state.outbox.push_back(Stale { items: List::of(vec![items]) }.into());
        self.wake.notify_all();
    }

    /// Tells of others, unless the requester has not read for long: it finds them by searching, too.
    fn say(&self, messages: impl IntoIterator<Item = Message>) {
        let mut state = self.state.lock();
        let room = OUTBOX_MAX.saturating_sub(state.outbox.len());
        state.outbox.extend(messages.into_iter().take(room));
        self.wake.notify_all();
    }

    /// The last byte of a run is out.
    pub(super) fn sent(&self, items: Range) {
        let bytes = {
            let mut state = self.state.lock();
            state.upload.on_sent(items);
            state.upload.items().bytes(items)
        };
        self.over(clock::now(), bytes);
        self.swarm.queue.wake_granted();
    }

    /// Its turn is over, with so many bytes.
    fn over(&self, now: Time, bytes: u64) {
        self.swarm.queue.turns().over(now, &self.swarm.key, self.connection.0, bytes);
    }

    /// Its writer looks again what there is to do.
    fn nudge(&self) {
        // Whoever has looked and not yet begun to wait has the lock.
        drop(self.state.lock());
        self.wake.notify_all();
    }

    /// Wakes those whose turn has come. Tells whether there were any: the own lock was free meanwhile
    /// then, and only then, so who would have waited must look again what there is to do.
    pub(super) fn wake_granted(&self, state: &mut MutexGuard<'_, State>) -> bool {
        let granted = self.swarm.queue.turns().granted();
        if granted.is_empty() {
            return false;
        }
        MutexGuard::unlocked(state, || self.swarm.queue.wake(&granted));
        true
    }

    /// Does something with the transfer and with what was handed out of its set.
    pub(super) fn with_spread<T>(&self, act: impl FnOnce(&mut State, &mut Spread) -> T) -> T {
        act(&mut self.state.lock(), &mut self.swarm.spread.lock())
    }
}

impl State {
    /// What is to be said now, but for the upload's own steps.
    pub(super) fn next_message(&mut self, now: Time) -> Option<Message> {
        if let Some(message) = self.outbox.pop_front() {
            return Some(message);
        }
        let runs = self.haves.next(now)?;
        Some(Have { items: List::of(runs) }.into())
    }

    /// The upload's next step, when its turn has come.
    pub(super) fn next_step(&mut self, outgoing: &Outgoing, now: Time) -> Ahead {
        let mut spread = outgoing.swarm.spread.lock();
        let mut turns = outgoing.swarm.queue.turns();
        let (set, who) = (&outgoing.swarm.key, outgoing.connection.0);
        match self.upload.has_step(&spread) {
            None => turns.over(now, set, who, 0),
            Some(bytes) => match turns.ask(now, set, who, bytes) {
                Turn::Later(at) => {
                    let told = self.haves.due(now);
                    return Ahead::Nothing(Some(told.map_or(at, |told| told.min(at))));
                }
                Turn::Yours => {}
            },
        }
        let told = self.haves.due(now);
        self.upload.next(&mut spread).map_or(Ahead::Nothing(told), Ahead::Step)
    }
}

#[cfg(test)]
#[path = "swarm_tests.rs"]
mod tests;
