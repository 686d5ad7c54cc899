//! Who has brought how many bytes.
//!
//! Invariant: the bytes of those listed and of the rest are all there were. At most `SOURCES_MAX` are
//! listed; of one more, who has brought least joins the rest, and begins anew when it comes again. So
//! nobody is listed with more than it has brought.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::base::NodeLabel;

/// Most nodes listed.
pub const SOURCES_MAX: usize = 64;

/// Bytes by node.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sources {
    listed: BTreeMap<NodeLabel, u64>,
    rest: u64,
}

impl Sources {
    /// A node has brought so many bytes.
    pub fn add(&mut self, node: &NodeLabel, bytes: u64) {
        self.take(node, bytes);
        self.make_room();
    }

    /// As if all that `other` was told had been told here.
    pub fn merge(&mut self, other: &Sources) {
        other.listed.iter().for_each(|(node, bytes)| self.take(node, *bytes));
        self.rest += other.rest;
        self.make_room();
    }

    fn take(&mut self, node: &NodeLabel, bytes: u64) {
        match self.listed.get_mut(node) {
            Some(sum) => *sum += bytes,
            None => drop(self.listed.insert(node.clone(), bytes)),
        }
    }

    fn make_room(&mut self) {
        while self.listed.len() > SOURCES_MAX {
            let least = self.listed.iter().min_by_key(|(_, bytes)| **bytes);
            let Some(node) = least.map(|(node, _)| node.clone()) else { return };
            self.rest += self.listed.remove(&node).unwrap_or(0);
        }
    }

    /// Those listed, who has brought most first.
    pub fn listed(&self) -> Vec<(&NodeLabel, u64)> {
        let mut all: Vec<_> = self.listed.iter().map(|(node, bytes)| (node, *bytes)).collect();
        all.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        all
    }

    /// What all others have brought.
    pub fn rest(&self) -> u64 {
        self.rest
    }

    /// What all have brought.
    pub fn total(&self) -> u64 {
        self.listed.values().sum::<u64>() + self.rest
    }

    /// Whether it is what `add` leads to.
    pub(super) fn is_sound(&self) -> bool {
        self.listed.len() <= SOURCES_MAX
    }
}
