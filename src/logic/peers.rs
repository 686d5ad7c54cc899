//! The peers a node knows: the union of what its trackers list.
//!
//! Invariant: each tracker's list is kept apart, by its own stamps, so that trackers need not
//! agree; a tracker that dies leaves its last list behind, which is what lookups then work with. Of
//! lists that differ, one whose tracker has heard the peer comes before one whose tracker only remembers
//! it, and then the one that was heard last. What a peer says of itself is only shown, and only until a
//! tracker lists it.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::{NodeId, NodeLabel, PeerInfo, Time};
use crate::wire::message::tracker::{PeersDelta, Stamp};

/// Most peers taken from one tracker, which lists no more; what goes beyond is not taken.
const PEERS_MAX: usize = 10_000;
/// Most peers whose own word for their label is kept.
const SAID_MAX: usize = 1_000;

/// One tracker's list, as far as the node has followed it.
#[derive(Debug, Default)]
struct TrackerList {
    stamp: Stamp,
    peers: BTreeMap<NodeId, PeerInfo>,
    /// Those of them whom the tracker has not heard since its start.
    stale: BTreeSet<NodeId>,
    heard: Time,
}

impl TrackerList {
    /// Of lists that differ in a peer, the highest is right.
    fn rank(&self, id: &NodeId) -> (bool, Time) {
        (!self.stale.contains(id), self.heard)
    }
}

/// Every peer the node has been told of, by tracker.
#[derive(Debug)]
pub struct PeerBook {
    me: NodeId,
    lists: Vec<TrackerList>,
    /// What peers say that they are called.
    said: BTreeMap<NodeId, NodeLabel>,
}

/// A peer and when a tracker last confirmed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownPeer {
    /// Where it is.
    pub info: PeerInfo,
    /// When a tracker's answer last had it on the list.
    pub heard: Time,
    /// That tracker only remembers it from before its start.
    pub stale: bool,
}

impl PeerBook {
    /// An empty book of node `me`, with one list for each of `trackers` trackers.
    pub fn new(me: NodeId, trackers: usize) -> PeerBook {
        let lists = (0..trackers).map(|_| TrackerList::default()).collect();
        PeerBook { me, lists, said: BTreeMap::new() }
    }

    /// How far the list of tracker number `tracker` reaches: what the next question says.
    pub fn stamp(&self, tracker: usize) -> Stamp {
        self.lists.get(tracker).map(|l| l.stamp).unwrap_or_default()
    }

    /// Takes a tracker's answer.
    pub fn apply(&mut self, now: Time, tracker: usize, delta: PeersDelta) {
        let Some(list) = self.lists.get_mut(tracker) else { return };
        if delta.reset {
            list.peers.clear();
            list.stale.clear();
        }
        for id in delta.gone.iter() {
            list.peers.remove(id);
            list.stale.remove(id);
        }
        for peer in delta.changed.into_vec() {
            let room = list.peers.len() < PEERS_MAX || list.peers.contains_key(&peer.id);
            if peer.id != self.me && room {
                list.stale.remove(&peer.id);
                list.peers.insert(peer.id, peer);
            }
        }
        list.stale.extend(delta.stale.iter().filter(|id| list.peers.contains_key(id)));
        list.stamp = delta.stamp;
        list.heard = now;
    }

    /// All peers, ascending by identity; where trackers differ, as the module says.
    pub fn all(&self) -> Vec<KnownPeer> {
        let mut union: BTreeMap<NodeId, KnownPeer> = BTreeMap::new();
        for list in &self.lists {
            for (id, info) in &list.peers {
                let rank = |known: &KnownPeer| (!known.stale, known.heard);
                if union.get(id).is_none_or(|known| rank(known) < list.rank(id)) {
                    let (info, stale) = (info.clone(), list.stale.contains(id));
                    union.insert(*id, KnownPeer { info, heard: list.heard, stale });
                }
            }
        }
        union.into_values().collect()
    }

    /// A peer says itself what it is called: a tracker may list it only with the next heartbeat.
    pub fn introduces_itself(&mut self, id: NodeId, label: NodeLabel) {
        if self.said.len() >= SAID_MAX && !self.said.contains_key(&id) {
            self.said.pop_first();
        }
        self.said.insert(id, label);
    }

    /// What the peer is called, for a person to read.
    pub fn label(&self, id: &NodeId) -> Option<NodeLabel> {
        let listed = self.get(id).map(|info| info.label);
        listed.or_else(|| self.said.get(id).cloned())
    }

    /// Whether no tracker that lists the peer has heard it since its start.
    pub fn is_stale(&self, id: &NodeId) -> bool {
        let mut lists = self.lists.iter().filter(|list| list.peers.contains_key(id)).peekable();
        lists.peek().is_some() && lists.all(|list| list.stale.contains(id))
    }

    /// The peer with this identity.
    pub fn get(&self, id: &NodeId) -> Option<PeerInfo> {
        let lists = self.lists.iter().filter(|l| l.peers.contains_key(id));
        lists.max_by_key(|l| l.rank(id)).and_then(|l| l.peers.get(id).cloned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Ports;
    use crate::wire::List;
    use std::time::Duration;

    fn peer(n: u8, ip: [u8; 4]) -> PeerInfo {
        PeerInfo {
            id: NodeId::from_bytes([n; 32]),
            label: format!("node{n}").parse().unwrap(),
            ip: ip.into(),
            ports: Ports { search: 1, size: 2, chunk: 3 },
            files: 1,
        }
    }

    fn delta(version: u64, reset: bool, changed: Vec<PeerInfo>, gone: Vec<NodeId>) -> PeersDelta {
        let stamp = Stamp { epoch: 1, version };
        let (changed, gone) = (List::of(changed), List::of(gone));
        PeersDelta { stamp, reset, more: false, changed, stale: List::default(), gone }
    }

    fn at(secs: u64) -> Time {
        Time::ZERO + Duration::from_secs(secs)
    }

    #[test]
    fn the_union_of_two_trackers_survives_the_death_of_one() {
        let (me, alice, bob) = (peer(0, [1; 4]), peer(1, [10, 0, 0, 1]), peer(2, [10, 0, 0, 2]));
        let mut book = PeerBook::new(me.id, 2);
        book.apply(at(1), 0, delta(1, true, vec![me, alice.clone()], vec![]));
        book.apply(at(2), 1, delta(9, true, vec![bob.clone()], vec![]));
        let ids: Vec<_> = book.all().into_iter().map(|p| p.info.id).collect();
        assert_eq!(ids, [alice.id, bob.id], "the node itself is no peer of its own");
        assert_eq!(book.stamp(0).version, 1);
        assert_eq!(book.stamp(1).version, 9);
    }

    #[test]
    fn the_tracker_heard_last_decides_where_a_peer_is() {
        let (old, new) = (peer(1, [10, 0, 0, 1]), peer(1, [10, 0, 0, 9]));
        let mut book = PeerBook::new(NodeId::from_bytes([0; 32]), 2);
        book.apply(at(1), 0, delta(1, true, vec![old.clone()], vec![]));
        book.apply(at(5), 1, delta(1, true, vec![new.clone()], vec![]));
        assert_eq!(book.get(&new.id), Some(new.clone()));
        book.apply(at(6), 1, delta(2, false, vec![], vec![new.id]));
        assert_eq!(book.get(&old.id), Some(old), "the other tracker still lists it");
    }

    #[test]
    fn a_tracker_that_has_heard_a_peer_is_right_before_one_that_remembers_it() {
        let (old, new) = (peer(1, [10, 0, 0, 1]), peer(1, [10, 0, 0, 9]));
        for remembers in 0..2 {
            let mut book = PeerBook::new(NodeId::from_bytes([0; 32]), 2);
            let stale = PeersDelta {
                stale: List::of(vec![old.id]),
                ..delta(1, true, vec![old.clone()], vec![])
            };
            book.apply(at(1), 1 - remembers, delta(1, true, vec![new.clone()], vec![]));
            book.apply(at(5), remembers, stale);
            assert_eq!(book.get(&new.id), Some(new.clone()));
            let known = KnownPeer { info: new.clone(), heard: at(1), stale: false };
            assert_eq!(book.all(), [known]);
            // It comes to the other one too.
            book.apply(at(6), remembers, delta(2, false, vec![old.clone()], vec![]));
            assert_eq!((book.get(&old.id), book.all()[0].heard), (Some(old.clone()), at(6)));
        }
    }

    #[test]
    fn a_tracker_that_lists_ever_more_peers_is_followed_up_to_the_bound() {
        let numbered = |n: usize| {
            let mut id = [9; 32];
            id[..8].copy_from_slice(&n.to_be_bytes());
            PeerInfo { id: NodeId::from_bytes(id), ..peer(1, [1; 4]) }
        };
        let mut book = PeerBook::new(NodeId::from_bytes([0; 32]), 1);
        for page in 0..11_u64 {
            let first = page as usize * 1_000;
            let peers = (first..first + 1_000).map(numbered).collect();
            book.apply(at(page), 0, delta(page, false, peers, vec![]));
        }
        assert_eq!(book.all().len(), PEERS_MAX);
        let moved = PeerInfo { ip: [7; 4].into(), ..numbered(0) };
        book.apply(at(99), 0, delta(99, false, vec![moved.clone()], vec![]));
        assert_eq!(book.get(&moved.id), Some(moved), "those that are known still move");
    }

    #[test]
    fn a_reset_empties_the_list_first() {
        let mut book = PeerBook::new(NodeId::from_bytes([0; 32]), 1);
        book.apply(at(1), 0, delta(1, true, vec![peer(1, [1; 4]), peer(2, [2; 4])], vec![]));
        book.apply(at(2), 0, delta(1, true, vec![peer(3, [3; 4])], vec![]));
        assert_eq!(book.all().len(), 1);
    }

    #[test]
    fn what_a_peer_says_it_is_called_is_shown_until_a_tracker_lists_it() {
        let id =
            |n: u16| NodeId::from_bytes([n as u8, (n >> 8) as u8].repeat(16).try_into().unwrap());
        let mut book = PeerBook::new(id(9_999), 1);
        let label = |text: &str| text.parse::<NodeLabel>().unwrap();
        assert_eq!(book.label(&id(1)), None);
        book.introduces_itself(id(1), label("slow"));
        assert_eq!((book.label(&id(1)), book.get(&id(1))), (Some(label("slow")), None));
        let mut info = peer(1, [10, 0, 0, 1]);
        info.id = id(1);
        book.lists[0].peers.insert(info.id, info.clone());
        assert_eq!(book.label(&id(1)), Some(info.label));
        for n in 2..2_000 {
            book.introduces_itself(id(n), label("many"));
        }
        assert_eq!(book.said.len(), SAID_MAX);
    }
}
