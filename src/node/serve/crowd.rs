//! How many chunk connections each requester has: one must not take the place of all others.
//!
//! Invariant: an identity is counted once for each `Place` that lives, and has at most
//! `PLACES_MAX`. Strangers can make themselves identities; this bounds what each of them gets.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use crate::base::NodeId;

/// Chunk connections of one requester at once: a quarter of all. A requester opens one a set, three
/// sets a download; more than ten downloads from one owner wait for each other.
const PLACES_MAX: usize = 32;

/// The requesters that are connected.
#[derive(Debug, Default)]
pub(in crate::node) struct Crowd(Mutex<BTreeMap<NodeId, usize>>);

/// One connection's place; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Place<'a> {
    crowd: &'a Crowd,
    peer: NodeId,
}

impl Crowd {
    /// A place for one more connection of `peer`, if it may have one.
    pub(super) fn enter(&self, peer: NodeId) -> Option<Place<'_>> {
        let mut counts = self.0.lock();
        let count = counts.entry(peer).or_default();
        if *count >= PLACES_MAX {
            return None;
        }
        *count += 1;
        Some(Place { crowd: self, peer })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut counts = self.crowd.0.lock();
        if let Some(count) = counts.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_who_has_all_its_places_waits_for_one_and_others_do_not() {
        let crowd = Crowd::default();
        let [eve, bob] = [1, 2].map(|n| NodeId::from_bytes([n; 32]));
        let mut places: Vec<_> = (0..PLACES_MAX).map(|_| crowd.enter(eve).unwrap()).collect();
        assert!(crowd.enter(eve).is_none());
        assert!(crowd.enter(bob).is_some());
        places.pop();
        places.push(crowd.enter(eve).unwrap());
        assert!(crowd.enter(eve).is_none());
        drop(places);
        assert!(crowd.0.lock().is_empty(), "who has left is not remembered");
    }
}
