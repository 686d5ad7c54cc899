//! A bounded table of nodes and roots, to be read by either.
//!
//! Invariant: what is in one order is in the other. A full table takes no more.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::{NodeId, Root};

/// Pairs in one table.
pub(super) const PAIRS_MAX: usize = 65_536;

const FIRST_ROOT: Root = Root::from_bytes([0; 32]);
const LAST_ROOT: Root = Root::from_bytes([255; 32]);
const FIRST_NODE: NodeId = NodeId::from_bytes([0; 32]);
const LAST_NODE: NodeId = NodeId::from_bytes([255; 32]);

/// See the module.
#[derive(Debug)]
pub(super) struct Pairs<V> {
    by_node: BTreeMap<(NodeId, Root), V>,
    by_root: BTreeSet<(Root, NodeId)>,
}

impl<V> Default for Pairs<V> {
    fn default() -> Pairs<V> {
        Pairs { by_node: BTreeMap::new(), by_root: BTreeSet::new() }
    }
}

impl<V> Pairs<V> {
    pub(super) fn len(&self) -> usize {
        self.by_node.len()
    }

    /// Takes a pair in, or what is new of it; whether there was room.
    pub(super) fn insert(&mut self, node: NodeId, root: Root, value: V) -> bool {
        let fits = self.len() < PAIRS_MAX || self.by_node.contains_key(&(node, root));
        if fits {
            self.by_node.insert((node, root), value);
            self.by_root.insert((root, node));
        }
        fits
    }

    pub(super) fn remove(&mut self, node: &NodeId, root: &Root) -> Option<V> {
        let value = self.by_node.remove(&(*node, *root))?;
        self.by_root.remove(&(*root, *node));
        Some(value)
    }

    pub(super) fn get_mut(&mut self, node: &NodeId, root: &Root) -> Option<&mut V> {
        self.by_node.get_mut(&(*node, *root))
    }

    pub(super) fn contains(&self, node: &NodeId, root: &Root) -> bool {
        self.by_node.contains_key(&(*node, *root))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&NodeId, &Root, &V)> {
        self.by_node.iter().map(|((node, root), value)| (node, root, value))
    }

    pub(super) fn of_node(&self, node: &NodeId) -> impl Iterator<Item = (&Root, &V)> {
        let range = self.by_node.range((*node, FIRST_ROOT)..=(*node, LAST_ROOT));
        range.map(|((_, root), value)| (root, value))
    }

    pub(super) fn of_root(&self, root: &Root) -> impl Iterator<Item = (&NodeId, &V)> {
        let range = self.by_root.range((*root, FIRST_NODE)..=(*root, LAST_NODE));
        range.filter_map(|(root, node)| Some((node, self.by_node.get(&(*node, *root))?)))
    }

    pub(super) fn remove_node(&mut self, node: &NodeId) {
        let roots: Vec<Root> = self.of_node(node).map(|(root, _)| *root).collect();
        roots.iter().for_each(|root| _ = self.remove(node, root));
    }

    /// Takes out what `is_over`, and says what that was.
    pub(super) fn remove_where(&mut self, is_over: impl Fn(&V) -> bool) -> Vec<(NodeId, Root)> {
        let over = self.by_node.iter().filter(|(_, value)| is_over(value));
        let over: Vec<(NodeId, Root)> = over.map(|(pair, _)| *pair).collect();
        over.iter().for_each(|(node, root)| _ = self.remove(node, root));
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_table_takes_no_more_and_both_orders_agree() {
        let mut pairs = Pairs::default();
        let node = |n: usize| NodeId::from_bytes([(n % 7) as u8; 32]);
        let root = |n: usize| Root::of(&n.to_le_bytes());
        for n in 0..PAIRS_MAX {
            assert!(pairs.insert(node(n), root(n), n));
        }
        assert!(!pairs.insert(node(1), Root::of(b"more"), 0) && pairs.insert(node(3), root(3), 4));
        assert_eq!(pairs.of_root(&root(3)).collect::<Vec<_>>(), [(&node(3), &4)]);
        assert_eq!(pairs.remove_where(|n| *n == 4).len(), 2);
        pairs.remove_node(&node(0));
        assert!(pairs.of_node(&node(0)).next().is_none() && pairs.by_root.len() == pairs.len());
    }
}
