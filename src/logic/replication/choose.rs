//! Chooses targets and trims, file by file, the most endangered first.
//!
//! Invariant: no order to a node that has the file, was told to copy it, or could not; none beyond a
//! node's room or its `COPIES_MAX`, with what is on the way and what this plan has ordered already; no
//! trim of a person's own file, and none while a copy of that file is on the way.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::stand::Stand;
use super::why::Obstacle;
use super::{
    AHEAD_MAX, COPIES_MAX, FEW, File, Node, ORDERS_MAX, Order, Plan, SOURCES_MAX, Standing,
    TRIMS_MAX, Trim, View,
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
        plan.cancelled.extend(stand.cancelled().map(|target| (**root, target)));
        plan.spared.extend(spared(root, stand).map(|holder| Trim { root: **root, holder }));
        let room = ORDERS_MAX - plan.orders.len();
        let lacking = stand.lacking().min(room);
        // Most files lack nothing, and choosing costs a hash a node.
        let targets = match lacking {
            0 => Vec::new(),
            _ => targets(view, &load, (root, file), stand).unwrap_or_default(),
        };
        for target in targets.into_iter().take(lacking) {
            load.add(target, file.size);
            let sources = stand.sources().take(SOURCES_MAX).collect();
            plan.orders.push(Order { root: **root, target, sources });
        }
        let room = TRIMS_MAX - plan.trims.len();
        let trims = trims(view, now, (root, file), stand).into_iter().take(room);
        plan.trims.extend(trims.map(|holder| Trim { root: **root, holder }));
    }
    plan
}

/// What is on the way to each node: how many copies, and their bytes.
pub(super) struct Load(BTreeMap<NodeId, Ahead>);

#[derive(Clone, Copy, Default)]
struct Ahead {
    copies: usize,
    bytes: u64,
    /// Bytes of those that are not taken off the node's room yet.
    fresh: u64,
}

impl Load {
    pub(super) fn of(view: &View) -> Load {
        let busy = view.nodes.iter().filter(|(_, node)| node.copies > 0);
        Load(
            busy.map(|(id, node)| {
                (*id, Ahead { copies: node.copies, bytes: node.ahead, fresh: 0 })
            })
            .collect(),
        )
    }

    fn add(&mut self, node: NodeId, size: u64) {
        let ahead = self.0.entry(node).or_default();
        ahead.copies += 1;
        ahead.bytes = ahead.bytes.saturating_add(size);
        ahead.fresh = ahead.fresh.saturating_add(size);
    }

    /// What keeps a node from taking `size` bytes more.
    fn obstacle(&self, id: &NodeId, node: &Node, size: u64) -> Option<Obstacle> {
        let Ahead { copies, bytes, fresh } = self.0.get(id).copied().unwrap_or_default();
        if fresh.saturating_add(size) > node.room {
            return Some(Obstacle::NoRoom);
        }
        let busy = copies >= COPIES_MAX || (copies >= FEW && bytes >= AHEAD_MAX);
        busy.then_some(Obstacle::Busy)
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
    if stand.sources().next().is_none() {
        return Err(Obstacle::NoSource);
    }
    let knows = |id: &NodeId| file.holders.contains_key(id) || file.under_way.contains_key(id);
    let free = view
        .nodes
        .iter()
        .filter(|(id, node)| node.gone_since.is_none() && node.opted_in && !knows(id));
    let (mut chosen, mut obstacle) = (Vec::new(), Obstacle::NoTarget);
    for (id, node) in free {
        if file.barred.contains(id) {
            obstacle = obstacle.max(Obstacle::Failed);
            continue;
        }
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

/// Of the replicas that were to be removed, those that are missing now, the first choice of targets
/// first.
fn spared(root: &Root, stand: &Stand) -> impl Iterator<Item = NodeId> {
    let mut leaving = stand.leaving.clone();
    leaving.sort_by_cached_key(|id| Reverse(score(root, id)));
    leaving.into_iter().take(stand.missing())
}

/// The replicas that may go now, the last choice of targets first.
fn trims(view: &View, now: Time, (root, file): (&Root, &File), stand: &Stand) -> Vec<NodeId> {
    let is_calm = now.since(file.changed) >= view.patience.calm;
    let settled = file.standing == Standing::Withdrawn || stand.coming.is_empty();
    if !is_calm || !settled {
        return Vec::new();
    }
    let mut replicas = stand.replicas(file);
    replicas.sort_by_cached_key(|id| score(root, id));
    replicas.truncate(stand.surplus(file));
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
