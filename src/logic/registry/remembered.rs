//! Nodes that an earlier tracker on the same disk listed, and that this one has not heard yet.
//!
//! Invariant: none of them counts as alive, and each is gone after a bounded time: it has registered,
//! which takes it out, or the time of them all is over. They are listed meanwhile, said to be stale,
//! so that whoever asks right after a restart is told where to look.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Registry;
use super::node::{BEATS_MISSED_MAX, HEARTBEAT};
use super::snapshot::SavedNode;
use crate::base::{NodeId, Time};

/// They are waited for at least as long: a node tries a tracker that was away again within 30 s.
const WAIT_MIN: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Debug)]
pub(super) struct Remembered {
    nodes: BTreeMap<NodeId, SavedNode>,
    since: Time,
    /// The longest interval of any of them.
    heartbeat: Duration,
}

impl Default for Remembered {
    fn default() -> Remembered {
        Remembered::since(Time::ZERO)
    }
}

impl Remembered {
    /// Nobody yet.
    pub(super) fn since(now: Time) -> Remembered {
        Remembered { nodes: BTreeMap::new(), since: now, heartbeat: Duration::ZERO }
    }

    /// One more; whether it is new.
    pub(super) fn insert(&mut self, node: SavedNode) -> bool {
        let seconds = node.heartbeat_s.clamp(HEARTBEAT.0, HEARTBEAT.1);
        self.heartbeat = self.heartbeat.max(Duration::from_secs(seconds.into()));
        self.nodes.insert(node.info.id, node).is_none()
    }

    /// It has registered, or left.
    pub(super) fn remove(&mut self, id: &NodeId) -> Option<SavedNode> {
        self.nodes.remove(id)
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &SavedNode> {
        self.nodes.values()
    }

    /// How many.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// For how long it has not been heard, seconds: at least, since nobody knows how long no
    /// tracker ran.
    pub(super) fn silent_s(&self, now: Time, node: &SavedNode) -> u32 {
        let here = u32::try_from(now.since(self.since).as_secs()).unwrap_or(u32::MAX);
        node.silent_s.saturating_add(here)
    }

    /// One of them.
    pub(super) fn get(&self, id: &NodeId) -> Option<&SavedNode> {
        self.nodes.get(id)
    }

    /// Those whose time is over, which is all of them at once.
    pub(super) fn overdue(&mut self, now: Time) -> BTreeMap<NodeId, SavedNode> {
        let wait = WAIT_MIN.max(self.heartbeat * BEATS_MISSED_MAX);
        if now.since(self.since) < wait { BTreeMap::new() } else { std::mem::take(&mut self.nodes) }
    }
}

impl Registry {
    /// Lists those whom an earlier tracker listed; for a registry that has not heard anybody.
    pub(super) fn list_remembered(&mut self, remembered: Remembered) {
        for node in remembered.iter() {
            self.peers.list(node.info.clone(), true);
        }
        self.remembered = remembered;
    }

    /// Nodes that are listed and have not been heard since the start.
    pub fn stale(&self) -> usize {
        self.remembered.len()
    }

    /// A node's interval and its silence, seconds.
    pub(super) fn habits(&self, now: Time, id: &NodeId) -> Option<(u16, u32)> {
        if let Some(node) = self.nodes.get(id) {
            let silent = u32::try_from(now.since(node.last_heard).as_secs()).unwrap_or(u32::MAX);
            return Some((node.heartbeat.as_secs() as u16, silent));
        }
        let node = self.remembered.get(id)?;
        Some((node.heartbeat_s, self.remembered.silent_s(now, node)))
    }
}
