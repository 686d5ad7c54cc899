//! Chooses targets and trims, file by file, the most endangered first.
//!
//! Invariant: no order to a node that has the file, or was told to copy it; none beyond a node's room or
//! its `COPIES_MAX`, with what is on the way and what this plan has ordered already; no trim of a
//! person's own file, and none while a copy of that file is on the way.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::stand::Stand;
use super::why::Obstacle;
use super::{
    CALM, COPIES_MAX, File, Node, ORDERS_MAX, Order, Plan, SOURCES_MAX, Standing, TRIMS_MAX, Trim,
    View,
};
use crate::base::{NodeId, Root, Time};

/// What is to be done now.
pub fn plan(view: &View, now: Time) -> Plan {
    let mut plan = Plan::default();
    if !view.is_complete {
        return plan;
    }
    let mut load = Load::of(view);
    let stands = view.files.iter().map(|(root, file)| (root, file, Stand::of(file, view, now)));
    let mut stands: Vec<_> = stands.collect();
    stands.sort_by_key(|(root, _, stand)| (stand.there.len(), **root));
    for (root, file, stand) in &stands {
        let room = ORDERS_MAX - plan.orders.len();
        let lacking = stand.lacking().min(room);
        // Most files lack nothing, and choosing costs a hash a node.
        let targets = match lacking {
            0 => Vec::new(),
            _ => targets(view, &load, (root, file), stand).unwrap_or_default(),
        };
        for target in targets.into_iter().take(lacking) {
            load.add(target, file.size);
            let sources = stand.there.iter().copied().take(SOURCES_MAX).collect();
            plan.orders.push(Order { root: **root, target, sources });
        }
        let room = TRIMS_MAX - plan.trims.len();
        let trims = trims(now, (root, file), stand).into_iter().take(room);
        plan.trims.extend(trims.map(|holder| Trim { root: **root, holder }));
    }
    plan
}

/// What is on the way to each node: how many copies, and their bytes.
pub(super) struct Load(BTreeMap<NodeId, (usize, u64)>);

impl Load {
    pub(super) fn of(view: &View) -> Load {
        let mut load = Load(BTreeMap::new());
        for file in view.files.values() {
            let targets = file.under_way.keys().filter(|id| !file.holders.contains_key(id));
            targets.for_each(|id| load.add(*id, file.size));
        }
        load
    }

    fn add(&mut self, node: NodeId, size: u64) {
        let (copies, bytes) = self.0.entry(node).or_default();
        *copies += 1;
        *bytes = bytes.saturating_add(size);
    }

    /// What keeps a node from taking `size` bytes more.
    fn obstacle(&self, id: &NodeId, node: &Node, size: u64) -> Option<Obstacle> {
        let (copies, bytes) = self.0.get(id).copied().unwrap_or_default();
        if bytes.saturating_add(size) > node.room {
            return Some(Obstacle::NoRoom);
        }
        (copies >= COPIES_MAX).then_some(Obstacle::Busy)
    }
}

/// The nodes that may take a copy, the first choice first.
///
/// # Errors
/// What keeps all of them from it.
pub(super) fn targets(
    view: &View,
    load: &Load,
    (root, file): (&Root, &File),
    stand: &Stand,
) -> Result<Vec<NodeId>, Obstacle> {
    if stand.there.is_empty() {
        return Err(Obstacle::NoSource);
    }
    let knows = |id: &NodeId| file.holders.contains_key(id) || file.under_way.contains_key(id);
    let free = view
        .nodes
        .iter()
        .filter(|(id, node)| node.gone_since.is_none() && node.opted_in && !knows(id));
    let (mut chosen, mut obstacle) = (Vec::new(), Obstacle::NoTarget);
    for (id, node) in free {
        match load.obstacle(id, node, file.size) {
            None => chosen.push(*id),
            // Who is only busy will have room soon.
            Some(found) => obstacle = obstacle.max(found),
        }
    }
    if chosen.is_empty() {
        return Err(obstacle);
    }
    chosen.sort_by_cached_key(|id| Reverse(score(root, id)));
    Ok(chosen)
}

/// The replicas that may go now, the last choice of targets first.
fn trims(now: Time, (root, file): (&Root, &File), stand: &Stand) -> Vec<NodeId> {
    let is_calm = now.since(file.changed) >= CALM;
    let settled = file.standing == Standing::Withdrawn || stand.coming.is_empty();
    if !is_calm || !settled {
        return Vec::new();
    }
    let mut replicas = stand.replicas(file);
    replicas.sort_by_cached_key(|id| score(root, id));
    replicas.truncate(stand.surplus());
    replicas
}

/// How much a node is meant for a file: the highest is the first choice. The identity settles a draw.
fn score(root: &Root, node: &NodeId) -> ([u8; 8], NodeId) {
    let mut hasher = blake3::Hasher::new();
    hasher.update(root.as_bytes()).update(node.as_bytes());
    let mut score = [0; 8];
    hasher.finalize_xof().fill(&mut score);
    (score, *node)
}
