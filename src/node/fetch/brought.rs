//! Who has brought what of a set.
//!
//! Invariant: each verified item counts once, for who sent it first. Ends with the fetch.

use std::collections::BTreeMap;

use super::set::Fetch;
use crate::base::NodeLabel;
use crate::node::view::Source;

impl Fetch {
    /// Bytes that owners sent and that are verified.
    pub(super) fn verified_bytes(&self) -> u64 {
        let state = self.state.lock();
        let sent = (0_u32..).zip(&state.origins).filter(|(_, origin)| origin.is_some());
        sent.map(|(item, _)| self.items.len(item)).sum()
    }

    /// Who sent how much of the set.
    pub(super) fn sources(&self) -> Vec<Source> {
        let state = self.state.lock();
        let mut sums: BTreeMap<NodeLabel, u64> = BTreeMap::new();
        for (item, origin) in (0_u32..).zip(&state.origins) {
            if let Some(label) = origin {
                *sums.entry(label.clone()).or_default() += self.items.len(item);
            }
        }
        sums.into_iter().map(|(node, bytes)| Source { node, bytes }).collect()
    }

    /// Who sent one item.
    pub(super) fn sources_of(&self, item: u32) -> Vec<Source> {
        let state = self.state.lock();
        let origin = state.origins.get(item as usize).cloned().flatten();
        origin.map(|node| Source { node, bytes: self.items.len(item) }).into_iter().collect()
    }
}
