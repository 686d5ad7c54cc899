//! At whom a set was opened: which opening is one more try, for `stats`.
//!
//! The attempt that an owner says is no answer. It counts on over all that has ended, so that an old
//! connection is never taken for a new one, and where it has forgotten what has ended it begins above that:
//! the first opening may well be its seventh attempt. Only after a restart there is nothing better to go by.
//!
//! Bound: one identity for each owner that was connected; ends with the set's fetch.

use std::collections::BTreeSet;

use crate::base::NodeId;

/// The owners at which a set was opened.
pub(super) struct Openings {
    /// The download was begun before this start of the node.
    continued: bool,
    owners: BTreeSet<NodeId>,
}

impl Openings {
    pub(super) fn new(continued: bool) -> Openings {
        Openings { continued, owners: BTreeSet::new() }
    }

    /// `owner` has opened the set, for the `attempt`th time as it counts. Whether it had done so before
    /// for this download.
    pub(super) fn is_again(&mut self, owner: NodeId, attempt: u32) -> bool {
        !self.owners.insert(owner) || (self.continued && attempt > 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_opened_again_where_it_was_opened_before_whatever_an_owner_counts() {
        let [alice, bob] = [1, 2].map(|n| NodeId::from_bytes([n; 32]));
        let mut openings = Openings::new(false);
        assert!(!openings.is_again(alice, 7), "alice has ended six others");
        assert!(!openings.is_again(bob, 1));
        assert!(openings.is_again(alice, 8), "the connection was lost");

        let mut after_restart = Openings::new(true);
        assert!(after_restart.is_again(alice, 2), "begun before the restart");
        assert!(!after_restart.is_again(bob, 1), "bob is new to it");
        assert!(after_restart.is_again(bob, 2));
    }
}
