//! When a connection makes room for another: where all places are taken and somebody was not tried yet.
//!
//! Invariant: none while somebody is being dialled, and only for somebody who never was, so that it ends: with
//! the last of those who are known. Which one goes, `Shares::least` says.

use std::time::Duration;

use super::{Owner, Owners, State};
use crate::base::{NodeId, Time};

/// So often at most a connection is given up for one to somebody who was not tried yet.
pub(super) const EXCHANGE_EVERY: Duration = Duration::from_millis(100);
/// Who was given up for another is not tried again before.
pub(super) const EXCHANGED_TIME: Duration = Duration::from_secs(10);

impl Owners {
    /// Whether a connection is to be given up now, all places being taken, for one to somebody who was not
    /// tried yet; counts as having done so. In a large swarm those who came first are connected to each
    /// other, and give to many who came later, from whom they get nothing back.
    pub fn exchange_due(&mut self, now: Time) -> bool {
        let waits =
            |o: &Owner| !o.tried && matches!(o.state, State::Waiting { due, .. } if due <= now);
        let dials = self.owners.values().any(|o| matches!(o.state, State::Dialling));
        let is_due = now >= self.next_exchange && !dials && self.owners.values().any(waits);
        if is_due {
            self.next_exchange = now + EXCHANGE_EVERY;
        }
        is_due
    }

    /// The connection to `node` makes room for another: when it has ended, that was no fault of the node's.
    pub fn give_up(&mut self, node: NodeId) {
        if let Some(owner) = self.owners.get_mut(&node) {
            owner.given_up = true;
        }
    }
}
