//! The sets that are being fetched now, so that an owner who knocks finds the fetch he is missed in,
//! and those lately done, so that he hears that.
//!
//! Invariant: an entry lives no longer than its fetch; nothing here keeps one alive. One download at
//! a time has the turn of a set. `DONE_MAX` sets are remembered as done, the oldest goes first.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::given::{Growing, Lent};
use super::resolve::is_meant;
use super::set::Fetch;
use crate::base::{Bitmap, Manifest, Name, PeerInfo, Root};
use crate::io::clock;
use crate::logic::batch::set_key;
use crate::logic::ledger::SetKey;
use crate::logic::owners::Returned;
use crate::wire::message::search::{PARTS_BYTES_MAX, PARTS_MAX, Part};

/// Sets remembered as done.
const DONE_MAX: usize = 4096;

/// All of them.
#[derive(Default)]
pub(in crate::node) struct Fetching {
    now: Mutex<BTreeMap<SetKey, Weak<Fetch>>>,
    turns: Mutex<BTreeSet<SetKey>>,
    done: Mutex<VecDeque<SetKey>>,
}

/// The right to fetch a set, until it is dropped.
pub(super) struct Turn<'a> {
    fetching: &'a Fetching,
    set: SetKey,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.fetching.turns.lock().remove(&self.set);
    }
}

impl Fetching {
    /// The turn of a set, unless somebody has it.
    pub(super) fn turn(&self, set: SetKey) -> Option<Turn<'_>> {
        // Made only for who gets it: dropped, it would give away another's.
        let is_free = self.turns.lock().insert(set);
        is_free.then(|| Turn { fetching: self, set })
    }

    /// A fetch begins. Whoever fetches the set from here already may have what it begins with.
    pub(super) fn begin(&self, fetch: &Arc<Fetch>) {
        let mut all = self.now.lock();
        all.retain(|_, fetch| fetch.strong_count() > 0);
        all.insert(set_key(&fetch.set), Arc::downgrade(fetch));
        drop(all);
        if let Some(growing) = fetch.growing() {
            fetch.swarm.gained(&growing.have.iter().collect::<Vec<_>>());
        }
    }

    /// These sets are here, under their names.
    pub(in crate::node) fn done(&self, sets: impl IntoIterator<Item = SetKey>) {
        let mut done = self.done.lock();
        for set in sets {
            if done.contains(&set) {
                continue;
            }
            done.push_back(set);
            if done.len() > DONE_MAX {
                done.pop_front();
            }
        }
    }

    /// Whether a set was done lately.
    pub(in crate::node) fn was_done(&self, set: &SetKey) -> bool {
        self.done.lock().contains(set)
    }

    /// What is here of a set that is being fetched.
    pub(in crate::node) fn growing(&self, set: &SetKey) -> Option<Growing> {
        self.of(set)?.growing()
    }

    /// The files that answer for `name`, are being fetched and can be had here in part: the large ones
    /// first, and no more than an answer takes.
    pub(in crate::node) fn parts(&self, name: &Name) -> Vec<Part> {
        let mut all: Vec<_> = self.now.lock().values().filter_map(Weak::upgrade).collect();
        all.sort_by_key(|fetch| fetch.items.is_batch());
        let mut parts: Vec<Part> = Vec::new();
        for fetch in all {
            let room = PARTS_MAX - parts.len();
            parts.append(&mut fetch.parts(name, room));
        }
        parts.sort_by(|a, b| (b.of, &a.entry.name).cmp(&(a.of, &b.entry.name)));
        let mut bytes = 0;
        parts.retain(|part| {
            bytes += part.entry.name.as_str().len();
            bytes <= PARTS_BYTES_MAX
        });
        parts
    }

    /// Where what is verified of a set that is being fetched may be read.
    pub(in crate::node) fn lent(&self, set: &SetKey) -> Option<Lent> {
        self.of(set)?.lent()
    }

    /// What is here of the file `root` that is being fetched and may be served, and what its chunks must
    /// hash to.
    pub(in crate::node) fn manifest(&self, root: &Root) -> Option<(Bitmap, Manifest)> {
        let all: Vec<_> = self.now.lock().values().filter_map(Weak::upgrade).collect();
        let fetch = all.into_iter().find(|fetch| fetch.is_of(root))?;
        Some((fetch.growing()?.have, fetch.manifest()?))
    }

    /// Whether an item of a set that is being fetched is verified, and may be served.
    pub(in crate::node) fn lends(&self, set: &SetKey, item: u32) -> bool {
        self.of(set).is_some_and(|fetch| fetch.lent().is_some() && fetch.has(item))
    }

    /// Others fetch `set` too, and serve what they have.
    pub(in crate::node) fn found(&self, set: &SetKey, peers: Vec<PeerInfo>) {
        if let Some(fetch) = self.of(set) {
            fetch.found(peers);
        }
    }

    fn of(&self, set: &SetKey) -> Option<Arc<Fetch>> {
        let fetch = self.now.lock().get(set).and_then(Weak::upgrade)?;
        fetch.is_going_on().then_some(fetch)
    }

    /// `caller` knocks for `set`, and a tracker lists him or not. An owner of the fetch is dialled at
    /// once, and so is who becomes one: listed, and meant by the person's choice. For anybody else
    /// the next search comes sooner. Tells whether he is dialled; `None`: the set is not being
    /// fetched. A lane to him is dead, since he misses us: it is closed, so that he is dialled anew.
    pub(in crate::node) fn knocked(
        &self,
        set: &SetKey,
        caller: PeerInfo,
        listed: Option<PeerInfo>,
    ) -> Option<bool> {
        let fetch = self.of(set)?;
        let may_join = listed.as_ref().is_some_and(|peer| is_meant(peer, &fetch.from));
        let peer = listed.unwrap_or(caller);
        let id = peer.id;
        let mut state = fetch.state.lock();
        let returned = state.owners.returned(clock::now(), peer, may_join);
        if returned == Returned::LaneIsDead {
            state.close_lanes_to(id);
        }
        drop(state);
        fetch.changed.notify_all();
        Some(returned != Returned::NoOwner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_has_the_turn_of_a_set() {
        let fetching = Fetching::default();
        let first = fetching.turn([1; 32]);
        assert!(first.is_some() && fetching.turn([1; 32]).is_none());
        assert!(fetching.turn([2; 32]).is_some(), "another set");
        drop(first);
        assert!(fetching.turn([1; 32]).is_some());
    }

    #[test]
    fn what_is_remembered_as_done_is_bounded_and_nothing_twice() {
        let fetching = Fetching::default();
        let key = |n: usize| *blake3::hash(&n.to_le_bytes()).as_bytes();
        fetching.done((0..=DONE_MAX).map(key));
        assert!(!fetching.was_done(&key(0)));
        fetching.done([key(1), key(2)]);
        assert!(fetching.was_done(&key(1)) && fetching.was_done(&key(DONE_MAX)));
    }
}
