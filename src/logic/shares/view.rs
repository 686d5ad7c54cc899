//! What can be asked of a download's shares: progress, why it waits, who does what. Changes nothing.

use std::time::Duration;

use super::owner::Owner;
use super::{OwnerKey, Record, Shares};
use crate::base::{Bitmap, NodeId, Range, Time};
use crate::logic::items::Items;

/// An owner shows in so long what it brings.
const TRIED_TIME: Duration = Duration::from_millis(200);
/// And in so many round trips: what is on its way when a far one is given up comes for nothing.
const TRIED_TRIPS: u32 = 40;

/// What one connected owner is doing, for `transfers` and the log.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnerView {
    /// The connection.
    pub owner: OwnerKey,
    /// Whose it is.
    pub node: NodeId,
    /// Items it will be sending, not announced yet.
    pub share: u32,
    /// Items it announced, is sending, or has sent without them being verified yet.
    pub in_flight: Vec<Range>,
    /// Measured bytes per second; `None` before the first byte.
    pub speed: Option<f64>,
}

impl Shares {
    /// Whether every item is verified.
    pub fn is_complete(&self) -> bool {
        self.missing_count == 0
    }

    /// What is verified.
    pub fn verified(&self) -> &Bitmap {
        &self.verified
    }

    /// Bytes not verified yet.
    pub fn missing_bytes(&self) -> u64 {
        self.missing_bytes
    }

    /// The items not verified yet.
    pub fn missing(&self) -> Vec<Range> {
        Range::collect(self.verified.iter_missing())
    }

    /// Missing items that no connected owner can give: why a download waits.
    pub fn unowned(&self) -> Vec<Range> {
        Range::collect(self.orphans.iter().copied())
    }

    /// Whether the node is banned from this download.
    pub fn is_banned(&self, node: &NodeId) -> bool {
        self.records.get(node).is_some_and(Record::is_banned)
    }

    /// Whether some missing item came corrupt from every one of `nodes`, none of whom has said that
    /// it became stale: asking them further completes nothing.
    pub fn is_hopeless(&self, nodes: &[NodeId]) -> bool {
        let spoilt = |node: &NodeId, item: u32| {
            let record = self.records.get(node);
            record.is_some_and(|r| r.corrupt.contains(&item) && !r.excused.contains(&item))
        };
        let first = nodes.first().and_then(|node| self.records.get(node));
        first.is_some_and(|record| {
            let mut items = record.corrupt.iter().filter(|i| !self.verified.contains(**i));
            items.any(|item| nodes.iter().all(|node| spoilt(node, *item)))
        })
    }

    /// Whether a connected owner holds nothing of what is missing, while something is missing that
    /// no connected owner has: opening it anew may bring what it has meanwhile.
    pub fn is_useless(&self, owner: OwnerKey) -> bool {
        !self.orphans.is_empty()
            && self.owners.get(&owner).is_some_and(|o| !o.grows && self.has_nothing(o))
    }

    /// Whether a connected owner has taken back something that it had told of: it may have that again later, and
    /// says so when it is asked.
    pub fn took_back(&self, owner: OwnerKey) -> bool {
        self.owners.get(&owner).is_some_and(|o| o.took_back)
    }

    /// Whether something that is missing may come from a connected owner, other than what it may have
    /// later.
    pub fn is_source(&self, owner: OwnerKey) -> bool {
        self.owners.get(&owner).is_none_or(|o| !self.has_nothing(o))
    }

    fn has_nothing(&self, owner: &Owner) -> bool {
        !self.owes_a_word(&owner.node)
            && owner.flying.is_empty()
            && owner.have.iter().all(|item| self.verified.contains(item))
    }

    /// Whether the node sent corrupt items of which it has not said that they became stale; that word comes
    /// right behind them, also behind the last of all.
    fn owes_a_word(&self, node: &NodeId) -> bool {
        let record = self.records.get(node);
        record.is_some_and(|r| r.corrupt.iter().any(|item| !r.excused.contains(item)))
    }

    /// The owner that has brought least since it was connected, a while ago, and has nothing under way: the
    /// one to give up for another. Only those who fetch it themselves go: who shares it may be the only source
    /// of something, and bring it when our turn comes.
    pub fn least(&self, now: Time) -> Option<OwnerKey> {
        let lasted = |o: &Owner| now.since(o.since);
        let spare = |o: &Owner| {
            o.grows
                && o.flying.is_empty()
                && lasted(o) >= TRIED_TIME.max(o.round_trip * TRIED_TRIPS)
        };
        let pace = |o: &Owner| o.brought as f64 / lasted(o).as_secs_f64();
        let spare = self.owners.iter().filter(|(_, o)| spare(o));
        spare.min_by(|a, b| pace(a.1).total_cmp(&pace(b.1))).map(|(key, _)| *key)
    }

    /// Whether nobody who is connected has anything of what is missing, or is sending it.
    pub fn is_idle(&self) -> bool {
        self.orphans.len() == self.missing_count as usize
    }

    /// Verified bytes from each node that sent any.
    pub fn sources(&self) -> impl Iterator<Item = (NodeId, u64)> + '_ {
        self.records
            .iter()
            .filter(|(_, record)| record.verified_bytes > 0)
            .map(|(node, record)| (*node, record.verified_bytes))
    }

    /// The items of the set.
    pub fn items(&self) -> &Items {
        &self.items
    }

    /// What each connected owner is doing.
    pub fn owners(&self, now: Time) -> Vec<OwnerView> {
        self.owners
            .iter()
            .map(|(key, state)| OwnerView {
                owner: *key,
                node: state.node,
                share: state.share_count() as u32,
                in_flight: Range::collect(state.flying.keys().copied()),
                speed: state.speed.measured(now),
            })
            .collect()
    }
}
