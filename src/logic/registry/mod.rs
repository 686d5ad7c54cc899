//! Which nodes are alive, where they are and what they have: the tracker's decisions.
//!
//! Invariant: at any moment an identity is listed at most once, and only the session that
//! registered it last speaks for it. State is soft: it lives in memory, and a new tracker knows
//! everything again once the nodes have registered there. What it kept on its disk meanwhile
//! (`snapshot`) is a hint, said to be stale, until the node that it is about has registered.
//!
//! ```text
//!              Register                    Exit
//! (unknown) ────────────> listed, open ────────────> gone "intentionally"
//!                           │  ^   │ 3 heartbeats' silence
//!            hung up        │  │   └───────────────> gone "not intentionally"
//!            without Exit   v  │ Register                   ^
//!                        listed, lost ──── 2 s ─────────────┘
//! ```
//!
//! A session that the tracker itself closed (a missed deadline, a bad frame) is lost too, but is
//! waited for as long as a silent one. Another process with the same identity is refused while the
//! first one is surely alive; otherwise it is a restart and takes over.

mod dial_back;
mod index;
mod keeper;
mod membership;
mod node;
mod peers;
mod remembered;
mod snapshot;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

pub use dial_back::{DIALS_PER_MINUTE, DialOutcome, FAILURES_MAX};
pub use index::{CONTENTS_MAX, Finding, IndexError, IndexLimits};
pub use keeper::{COPIES_WANTED_MAX, CopyTotals, Policy, Rule, Survey};
pub use node::{HEARTBEAT, RECONNECT_GRACE};
pub use peers::TOMBSTONES_MAX;
pub use snapshot::{Record, Restoring, Saving, SnapshotError};

use crate::base::{FileEntry, NodeId, NodeLabel, Time};
use crate::wire::message::tracker::{
    CatalogueAnswer, CatalogueDelta, Heartbeat, HeartbeatAnswer, LookupAnswer, LookupQuestion,
    PeersAnswer, PeersQuestion, Refused, Why,
};
use dial_back::DialLimits;
use index::Index;
use keeper::Keeper;
use node::Node;
use peers::PeerList;
use remembered::Remembered;

/// A connection's number; never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionToken(pub u64);

/// Who ended a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClosedBy {
    /// The node's side: its process, or the kernel on behalf of a killed one.
    Peer,
    /// The tracker: a deadline, a bad frame, no room.
    Tracker,
}

/// What the tracker is to do or to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// A node is on the list.
    Joined {
        /// Its label.
        label: NodeLabel,
        /// Its chunk listener.
        addr: SocketAddr,
    },
    /// A node is off the list.
    Left {
        /// Its label.
        label: NodeLabel,
        /// It said goodbye.
        intentionally: bool,
        /// Why it was taken off, when it did not.
        why: String,
    },
    /// Dial `addr`, expect `id`, and tell `on_dial_back`.
    DialBack {
        /// Who should answer.
        id: NodeId,
        /// Where.
        addr: SocketAddr,
    },
    /// This connection speaks for nobody any more.
    Close(SessionToken),
}

/// How much the registry takes in.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Nodes in all.
    pub nodes: usize,
    /// Identities from one address.
    pub per_address: usize,
    /// The index.
    pub index: IndexLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { nodes: 10_000, per_address: 1_024, index: IndexLimits::default() }
    }
}

/// A listed node, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRow {
    /// Its label.
    pub label: NodeLabel,
    /// Its identity.
    pub id: NodeId,
    /// Its chunk listener.
    pub addr: SocketAddr,
    /// Files in the index.
    pub files: usize,
    /// Since it was heard; at least so long, when that was by an earlier tracker.
    pub silence: Duration,
    /// Not heard since the start: an earlier tracker on the same disk listed it.
    pub stale: bool,
    /// Whether a dial-back met it at `addr`; none while that is not known.
    pub reachable: Option<bool>,
}

/// See the module.
#[derive(Debug)]
pub struct Registry {
    limits: Limits,
    nodes: BTreeMap<NodeId, Node>,
    sessions: BTreeMap<SessionToken, NodeId>,
    per_address: BTreeMap<IpAddr, usize>,
    peers: PeerList,
    index: Index,
    dials: DialLimits,
    keeper: Keeper,
    remembered: Remembered,
}

impl Registry {
    /// An empty registry; `epoch` is random and tells its lists from those of an earlier one.
    pub fn new(epoch: u64, limits: Limits) -> Registry {
        Registry::with_policy(epoch, limits, Policy::default())
    }

    /// The same, with so many copies of files.
    pub fn with_policy(epoch: u64, limits: Limits, policy: Policy) -> Registry {
        Registry {
            limits,
            nodes: BTreeMap::new(),
            sessions: BTreeMap::new(),
            per_address: BTreeMap::new(),
            peers: PeerList::new(epoch),
            index: Index::new(limits.index),
            dials: DialLimits::default(),
            keeper: Keeper::new(policy),
            remembered: Remembered::default(),
        }
    }

    /// The node behind a session, now heard.
    fn heard(&mut self, now: Time, session: SessionToken) -> Result<NodeId, Refused> {
        let node = self.sessions.get(&session).and_then(|id| self.nodes.get_mut(id));
        let Some(node) = node else {
            let text = "this connection is not registered here; register first";
            return Err(Refused::new(Why::NotRegistered, text));
        };
        node.last_heard = now;
        Ok(node.id)
    }

    /// A page of a node's catalogue.
    ///
    /// # Errors
    /// Refused when not registered, or when the index has no room.
    pub fn on_catalogue(
        &mut self,
        now: Time,
        session: SessionToken,
        page: &CatalogueDelta,
    ) -> Result<CatalogueAnswer, Refused> {
        let id = self.heard(now, session)?;
        let is_news = self.index.takes(&id, page);
        match self.index.apply(id, page) {
            Ok(catalogue) if !is_news => Ok(CatalogueAnswer { catalogue }),
            Ok(catalogue) => {
                self.keep_on_page(&id, page);
                self.relist(&id);
                Ok(CatalogueAnswer { catalogue })
            }
            Err(why @ IndexError::Backwards { .. }) => {
                Err(Refused::new(Why::Unexpected, why.to_string()))
            }
            Err(why) => Err(Refused::new(Why::Busy, why.to_string())),
        }
    }

    /// The number of files of a node has changed.
    fn relist(&mut self, id: &NodeId) {
        if let Some(node) = self.nodes.get(id) {
            self.peers.list(node.info(self.index.files_of(id)), false);
        }
    }

    /// A node is alive.
    ///
    /// # Errors
    /// Refused when not registered.
    pub fn on_heartbeat(
        &mut self,
        now: Time,
        session: SessionToken,
        heartbeat: &Heartbeat,
    ) -> Result<HeartbeatAnswer, Refused> {
        let id = self.heard(now, session)?;
        if let Some(node) = self.nodes.get_mut(&id) {
            (node.offer, node.announced) = (heartbeat.offer, heartbeat.catalogue);
        }
        let duties = self.keep_on_heartbeat(now, &id, &heartbeat.outcomes);
        let peers = self.peers.delta(&id, heartbeat.peers);
        Ok(HeartbeatAnswer { peers, catalogue: self.index.stamp(&id), duties })
    }

    /// Takes a few files of nodes that left out of memory; whether the pass goes on.
    pub fn sweep(&mut self) -> bool {
        self.index.sweep()
    }

    /// The list of nodes for anybody.
    pub fn peers(&self, asker: &NodeId, question: &PeersQuestion) -> PeersAnswer {
        PeersAnswer { peers: self.peers.delta(asker, question.peers) }
    }

    /// The index for anybody; `spread` is any number, see `Index::lookup`.
    pub fn lookup(&self, question: &LookupQuestion, spread: u64) -> LookupAnswer {
        self.index.lookup(question, spread)
    }

    /// One step of an answer about many files.
    pub fn find(&self, now: Time, finding: &mut Finding) {
        let seen = |id: &NodeId| self.habits(now, id).map_or(u32::MAX, |(_, silent_s)| silent_s);
        self.index.find(finding, &seen);
    }

    /// At most so many of those who have a file.
    pub fn owners(&self, file: &FileEntry, most: usize) -> Vec<NodeId> {
        self.index.owners_of(file, most)
    }

    /// The listed nodes.
    pub fn nodes(&self, now: Time) -> impl Iterator<Item = NodeRow> {
        let heard = self.nodes.values().map(move |node| NodeRow {
            label: node.label.clone(),
            id: node.id,
            addr: node.addr(),
            files: self.index.files_of(&node.id),
            silence: now.since(node.last_heard),
            stale: false,
            reachable: node.probes.listed().reachable(),
        });
        let stale = self.remembered.iter().map(move |node| NodeRow {
            label: node.info.label.clone(),
            id: node.info.id,
            addr: node.info.chunk(),
            files: self.index.files_of(&node.info.id),
            silence: Duration::from_secs(self.remembered.silent_s(now, node).into()),
            stale: true,
            reachable: None,
        });
        heard.chain(stale)
    }

    /// What a listed node is called.
    pub fn label(&self, id: &NodeId) -> Option<&NodeLabel> {
        self.peers.get(id).map(|info| &info.label)
    }

    /// Nodes that were heard, different files, and the bytes of those.
    pub fn totals(&self) -> (usize, u64, u64) {
        let (files, bytes) = self.index.totals();
        (self.nodes.len(), files, bytes)
    }
}

#[cfg(test)]
mod tests;
