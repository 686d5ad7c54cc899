//! Which trackers have called this node back: whoever they tell of it can reach it, too.
//!
//! Nothing is said about it on the wire: a tracker dials the chunk listener and proves who it is, and that is
//! all. Bound: one identity for each tracker that is configured.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use crate::base::NodeId;

/// See the module.
#[derive(Default)]
pub(super) struct CalledBack(Mutex<BTreeMap<usize, (NodeId, bool)>>);

impl CalledBack {
    /// Tracker number `tracker` is this one; another one than before has not called yet.
    pub(super) fn listen_for(&self, tracker: usize, id: NodeId) {
        let mut trackers = self.0.lock();
        let known = trackers.entry(tracker).or_insert((id, false));
        if known.0 != id {
            *known = (id, false);
        }
    }

    /// Somebody has reached the chunk listener.
    pub(super) fn met(&self, id: NodeId) {
        for (tracker, called) in self.0.lock().values_mut() {
            *called |= *tracker == id;
        }
    }

    /// Whether tracker number `tracker` has called.
    pub(super) fn is_met(&self, tracker: usize) -> bool {
        self.0.lock().get(&tracker).is_some_and(|(_, called)| *called)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_tracker_itself_has_called_back_and_another_in_its_place_has_not() {
        let [one, other, stranger] = [1, 2, 3].map(|n| NodeId::from_bytes([n; 32]));
        let called = CalledBack::default();
        called.met(one);
        called.listen_for(0, one);
        called.listen_for(1, other);
        assert!(!called.is_met(0), "before it was known");
        called.met(stranger);
        called.met(one);
        called.listen_for(0, one);
        assert!(called.is_met(0) && !called.is_met(1) && !called.is_met(7));
        called.listen_for(0, other);
        assert!(!called.is_met(0), "another one is there now");
    }
}
