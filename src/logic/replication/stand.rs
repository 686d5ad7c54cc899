//! How it stands with one file at one time: which of its copies count, and for what.
//!
//! Invariant: a node is in one of the lists at most; a copy at a node that has gone for longer than
//! `GRACE`, or that is on its way for longer than `COPY_TIME_MAX`, is in none.

use super::{COPY_TIME_MAX, File, GRACE, Holder, Node, Standing, View};
use crate::base::{NodeId, Time};

/// The copies of a file that count.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Stand {
    /// Verified, at nodes that are there.
    pub(super) there: Vec<NodeId>,
    /// Verified, at nodes that may come back; the last that may is waited for until the moment.
    pub(super) away: Vec<NodeId>,
    pub(super) waits_until: Option<Time>,
    /// On the way.
    pub(super) coming: Vec<NodeId>,
    /// How many there are to be.
    pub(super) wanted: usize,
}

impl Stand {
    pub(super) fn of(file: &File, view: &View, now: Time) -> Stand {
        let wanted = match file.standing {
            // The last copy is nobody's to remove.
            Standing::Published => file.wanted.max(1) as usize,
            Standing::Withdrawn => 0,
        };
        let mut stand = Stand { wanted, ..Stand::default() };
        for id in file.holders.keys() {
            match view.nodes.get(id).map(|node| node.gone_since) {
                Some(None) => stand.there.push(*id),
                Some(Some(gone)) if now.since(gone) < GRACE => {
                    stand.away.push(*id);
                    stand.waits_until = stand.waits_until.max(Some(gone + GRACE));
                }
                Some(Some(_)) | None => {}
            }
        }
        for (id, since) in &file.under_way {
            let counts = view.nodes.get(id).is_some_and(|node| is_expected(node, now));
            if counts && !file.holders.contains_key(id) && now.since(*since) < COPY_TIME_MAX {
                stand.coming.push(*id);
            }
        }
        stand
    }

    /// How many copies are to be ordered.
    pub(super) fn lacking(&self) -> usize {
        let counted = self.there.len() + self.away.len() + self.coming.len();
        self.wanted.saturating_sub(counted)
    }

    /// Nodes that are there and keep it for others.
    pub(super) fn replicas(&self, file: &File) -> Vec<NodeId> {
        let replica = |id: &NodeId| file.holders.get(id) == Some(&Holder::Replica);
        self.there.iter().copied().filter(replica).collect()
    }

    /// How many verified copies at nodes that are there are more than wanted.
    pub(super) fn surplus(&self) -> usize {
        self.there.len().saturating_sub(self.wanted)
    }
}

/// Whether it is there, or may be back soon.
fn is_expected(node: &Node, now: Time) -> bool {
    node.gone_since.is_none_or(|gone| now.since(gone) < GRACE)
}
