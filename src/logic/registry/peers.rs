//! The list of live nodes as a log of changes, so that a heartbeat carries only what is new.
//!
//! Invariant: an asker that applies each delta in order holds exactly the list, itself left out.
//! Every change has a version of its own; a later change of the same node replaces the earlier.
//!
//! ```text
//! version   1   2   3   4   5   6   7   8          at most TOMBSTONES_MAX of the versions are
//!           A  -B-  C  -D-  A'  E  -F-  G          tombstones (-X-); the oldest make room, and
//!                   ^floor                         `floor` is the last one forgotten
//! ```
//!
//! An asker below the floor may hold a node whose end is forgotten, so it starts again from
//! nothing (`reset`). A reset takes several pages, whose versions may lie below the floor too:
//! the epoch of a stamp is therefore the list's own epoch plus the floor at which the asker began,
//! and an asker that began at today's floor has missed nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{self, Excluded, Unbounded};

use crate::base::limits::PAGE_PEERS_MAX;
use crate::base::{NodeId, PeerInfo};
use crate::wire::List;
use crate::wire::message::tracker::{PeersDelta, Stamp};

/// Nodes whose end is remembered.
pub const TOMBSTONES_MAX: usize = 4_096;

/// A page fits its frame: a peer has at most 128 bytes, an identity 32.
const _: () = assert!(PAGE_PEERS_MAX * (128 + 32 + 32) <= 400 * 1024);

#[derive(Debug)]
enum Change {
    Listed {
        info: PeerInfo,
        /// Not heard since the start.
        stale: bool,
    },
    Gone(NodeId),
}

/// See the module.
#[derive(Debug)]
pub(super) struct PeerList {
    epoch: u64,
    version: u64,
    floor: u64,
    changes: BTreeMap<u64, Change>,
    /// Under which version a node's last change is.
    version_of: BTreeMap<NodeId, u64>,
    tombstones: BTreeSet<u64>,
}

impl PeerList {
    /// An empty list; `epoch` tells it from the list of an earlier process.
    pub(super) fn new(epoch: u64) -> PeerList {
        PeerList {
            epoch,
            version: 0,
            floor: 0,
            changes: BTreeMap::new(),
            version_of: BTreeMap::new(),
            tombstones: BTreeSet::new(),
        }
    }

    /// Lists a node, or what is new about it. Nothing new is no change.
    pub(super) fn list(&mut self, info: PeerInfo, stale: bool) {
        if self.listing(&info.id) != Some((&info, stale)) {
            self.change(info.id, Change::Listed { info, stale });
        }
    }

    /// Takes a node off the list.
    pub(super) fn remove(&mut self, id: NodeId) {
        if self.get(&id).is_none() {
            return;
        }
        self.change(id, Change::Gone(id));
        self.tombstones.insert(self.version);
        if self.tombstones.len() > TOMBSTONES_MAX {
            self.forget_oldest_tombstone();
        }
    }

    /// What is listed of a node.
    pub(super) fn get(&self, id: &NodeId) -> Option<&PeerInfo> {
        self.listing(id).map(|(info, _)| info)
    }

    fn listing(&self, id: &NodeId) -> Option<(&PeerInfo, bool)> {
        match self.changes.get(self.version_of.get(id)?)? {
            Change::Listed { info, stale } => Some((info, *stale)),
            Change::Gone(_) => None,
        }
    }

    /// Who is listed, ascending by identity.
    pub(super) fn listed(&self, behind: Bound<NodeId>) -> impl Iterator<Item = &PeerInfo> {
        self.version_of.range((behind, Unbounded)).filter_map(|(id, _)| self.get(id))
    }

    /// Grows with every change.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    fn change(&mut self, id: NodeId, change: Change) {
        self.version += 1;
        if let Some(earlier) = self.version_of.insert(id, self.version) {
            self.changes.remove(&earlier);
            self.tombstones.remove(&earlier);
        }
        self.changes.insert(self.version, change);
    }

    fn forget_oldest_tombstone(&mut self) {
        let Some(oldest) = self.tombstones.pop_first() else { return };
        self.floor = oldest;
        if let Some(Change::Gone(id)) = self.changes.remove(&oldest) {
            self.version_of.remove(&id);
        }
    }

    /// One page of what `asker` does not know yet, it being at `from`.
    pub(super) fn delta(&self, asker: &NodeId, from: Stamp) -> PeersDelta {
        let reset = !self.can_continue(from);
        let start = if reset { self.restart() } else { from };
        let (mut changed, mut unheard, mut gone) = (Vec::new(), Vec::new(), Vec::new());
        let mut reached = start.version;
        let mut more = false;
        for (&version, change) in self.changes.range((Excluded(start.version), Unbounded)) {
            if changed.len() == PAGE_PEERS_MAX || gone.len() == PAGE_PEERS_MAX {
                more = true;
                break;
            }
            match change {
                Change::Listed { info, stale } if info.id != *asker => {
                    changed.push(info.clone());
                    unheard.extend(stale.then_some(info.id));
                }
                Change::Gone(id) if !reset && id != asker => gone.push(*id),
                Change::Listed { .. } | Change::Gone(_) => {}
            }
            reached = version;
        }
        let version = if more { reached } else { self.version };
        let stamp = Stamp { epoch: start.epoch, version };
        let (changed, stale, gone) = (List::of(changed), List::of(unheard), List::of(gone));
        PeersDelta { stamp, reset, more, changed, stale, gone }
    }

    fn restart(&self) -> Stamp {
        Stamp { epoch: self.epoch.wrapping_add(self.floor), version: 0 }
    }

    fn can_continue(&self, from: Stamp) -> bool {
        let began_at = from.epoch.wrapping_sub(self.epoch);
        let ours = began_at <= self.floor && from.version <= self.version;
        ours && (from.version >= self.floor || began_at == self.floor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Ports;
    use proptest::prelude::*;

    /// What an asker holds after its deltas.
    #[derive(Default)]
    struct Asker {
        stamp: Stamp,
        peers: BTreeMap<NodeId, PeerInfo>,
        resets: u32,
    }

    impl Asker {
        fn ask(&mut self, list: &PeerList) -> bool {
            let delta = list.delta(&id(u32::MAX), self.stamp);
            if delta.reset {
                self.peers.clear();
                self.resets += 1;
            }
            for info in delta.changed.iter() {
                self.peers.insert(info.id, info.clone());
            }
            for id in delta.gone.iter() {
                self.peers.remove(id);
            }
            self.stamp = delta.stamp;
            delta.more
        }

        fn catch_up(&mut self, list: &PeerList) {
            while self.ask(list) {}
            let listed: Vec<&NodeId> =
                list.version_of.keys().filter(|id| list.get(id).is_some()).collect();
            assert_eq!(self.peers.keys().collect::<Vec<_>>(), listed);
            for (id, info) in &self.peers {
                assert_eq!(Some(info), list.get(id));
            }
        }
    }

    fn id(n: u32) -> NodeId {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        NodeId::from_bytes(bytes)
    }

    fn info(n: u32, port: u16) -> PeerInfo {
        PeerInfo {
            id: id(n),
            label: "alice".parse().unwrap(),
            ip: [10, 0, 0, 1].into(),
            ports: Ports { search: port, size: port, chunk: port },
            files: 0,
        }
    }

    #[test]
    fn nothing_new_is_an_empty_delta_and_no_reset() {
        let mut list = PeerList::new(7);
        list.list(info(1, 1), false);
        let mut eve = Asker::default();
        eve.catch_up(&list);
        list.list(info(1, 1), false);
        let delta = list.delta(&id(u32::MAX), eve.stamp);
        assert!(!delta.reset && !delta.more && delta.changed.is_empty() && delta.gone.is_empty());
    }

    #[test]
    fn the_asker_is_not_on_its_own_list() {
        let mut list = PeerList::new(7);
        list.list(info(1, 1), false);
        list.list(info(2, 1), false);
        let delta = list.delta(&id(1), Stamp::default());
        assert_eq!(delta.changed.iter().map(|p| p.id).collect::<Vec<_>>(), [id(2)]);
    }

    #[test]
    fn a_stamp_of_another_process_or_of_the_future_starts_again() {
        let mut list = PeerList::new(7);
        list.list(info(1, 1), false);
        for stamp in [Stamp { epoch: 8, version: 1 }, Stamp { epoch: 7, version: 2 }] {
            assert!(list.delta(&id(9), stamp).reset, "{stamp:?} was taken for ours");
        }
    }

    #[test]
    fn ten_thousand_nodes_arrive_in_pages() {
        let mut list = PeerList::new(u64::MAX);
        (0..10_000).for_each(|n| list.list(info(n, 1), false));
        let mut eve = Asker::default();
        let mut pages = 1;
        while eve.ask(&list) {
            pages += 1;
        }
        assert_eq!((pages, eve.peers.len(), eve.resets), (10, 10_000, 1));
    }

    #[test]
    fn an_asker_below_the_forgotten_ends_starts_again_and_gets_through() {
        let mut list = PeerList::new(u64::MAX - 5);
        (0..6_000).for_each(|n| list.list(info(n, 1), false));
        let mut bob = Asker::default();
        bob.catch_up(&list);
        (0..TOMBSTONES_MAX as u32).for_each(|n| list.remove(id(n)));
        bob.catch_up(&list);
        list.remove(id(TOMBSTONES_MAX as u32));
        assert_eq!(list.changes.len(), 6_000 - 1, "tombstones are bounded");
        bob.catch_up(&list);
        assert_eq!(bob.resets, 1, "bob had seen every end that is forgotten");

        let mut eve = Asker::default();
        (0..2_000).for_each(|n| list.list(info(n, 2), false));
        assert!(eve.ask(&list), "there is a second page");
        (0..2_000).for_each(|n| list.remove(id(n)));
        (6_000..9_000).for_each(|n| list.list(info(n, 2), false));
        (6_000..9_000).for_each(|n| list.remove(id(n)));
        eve.catch_up(&list);
        assert_eq!(eve.resets, 2, "ends were forgotten between eve's pages");
    }

    proptest! {
        #[test]
        fn deltas_from_any_stamp_give_the_full_list(
            steps in prop::collection::vec((0_u32..12, 0_u16..4, 0_usize..3), 1..200),
        ) {
            let mut list = PeerList::new(41);
            let mut askers: [Asker; 3] = Default::default();
            for (n, port, asker) in steps {
                if port == 0 { list.remove(id(n)) } else { list.list(info(n, port), false) }
                if n % 3 == 0 { askers[asker].catch_up(&list) }
            }
            for asker in &mut askers {
                asker.catch_up(&list);
                prop_assert!(asker.resets <= 1);
            }
        }
    }
}
