//! What nodes and trackers say to each other.
//!
//! ```text
//! node                         tracker
//! Register            ->       identity proved by the link, address seen by the tracker
//!                     <-       Registered, or Refused
//! CatalogueDelta …    ->       pages, until the tracker's copy is at the node's version
//!                     <-       CatalogueAnswer to each
//! Heartbeat           ->       every 10 s, on the same connection
//!                     <-       HeartbeatAnswer: what changed among the peers, what to keep for others
//! Exit                ->  <-   Bye
//! ```
//!
//! `PeersQuestion` and `LookupQuestion` need no registration: a one-shot `get` asks them too.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::copies::{Duties, OUTCOMES_MAX, Offer, Outcome};
use crate::base::limits::{PAGE_FILES_MAX, PAGE_PEERS_MAX};
use crate::base::{FileEntry, Kept, Name, NodeId, NodeLabel, PeerInfo, Ports, Root};
use crate::wire::bounded::{List, Text};

/// How far a catalogue has come: versions count only within one epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Stamp {
    /// Drawn anew whenever the counting starts anew.
    pub epoch: u64,
    /// Grows by one with each change.
    pub version: u64,
}

/// Puts the sender's node on the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Register {
    /// Drawn by each process at its start: tells a restart from a second node with a copied key.
    pub instance: u64,
    /// What people call the node.
    pub label: NodeLabel,
    /// Its listeners.
    pub ports: Ports,
    /// The address under which it wants to be listed, if not the one it comes from.
    pub advertise: Option<IpAddr>,
    /// Seconds between its heartbeats; clamped by the tracker.
    pub heartbeat_s: u16,
    /// Its catalogue.
    pub catalogue: Stamp,
    /// What it does for others.
    pub offer: Offer,
}

/// The node is on the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    /// The address the node's connection came from.
    pub seen_as: IpAddr,
    /// How far the tracker's copy of the node's catalogue reaches.
    pub catalogue: Stamp,
    /// What the tracker wants of it.
    pub duties: Duties,
}

/// The node is alive.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Heartbeat {
    /// How far the node's list of peers reaches.
    pub peers: Stamp,
    /// The node's catalogue.
    pub catalogue: Stamp,
    /// What it does for others.
    pub offer: Offer,
    /// What became of copies that this tracker ordered, until it has answered.
    pub outcomes: List<Outcome, OUTCOMES_MAX>,
}

/// What changed among the peers since a stamp.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PeersDelta {
    /// Where the list is after this delta.
    pub stamp: Stamp,
    /// The receiver's list is to be emptied first: this delta begins at nothing.
    pub reset: bool,
    /// More waits behind this page.
    pub more: bool,
    /// New or changed.
    pub changed: List<PeerInfo, PAGE_PEERS_MAX>,
    /// Those of them whom the tracker only remembers from before its start.
    pub stale: List<NodeId, PAGE_PEERS_MAX>,
    /// No longer there.
    pub gone: List<NodeId, PAGE_PEERS_MAX>,
}

/// Answer to a heartbeat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeartbeatAnswer {
    /// The peers.
    pub peers: PeersDelta,
    /// How far the tracker's copy of the node's catalogue reaches.
    pub catalogue: Stamp,
    /// What the tracker wants of it.
    pub duties: Duties,
}

/// A file of a catalogue, and as what the node has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The file.
    pub entry: FileEntry,
    /// As what.
    pub kept: Kept,
}

impl Held {
    /// One that the person shares.
    pub fn shared(entry: FileEntry) -> Held {
        Held { entry, kept: Kept::Shared }
    }
}

/// One page of changes of the sender's catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogueDelta {
    /// The epoch of both versions.
    pub epoch: u64,
    /// The version on which this page builds; zero is the empty catalogue.
    pub from: u64,
    /// The version after it.
    pub to: u64,
    /// New or changed files.
    pub added: List<Held, PAGE_FILES_MAX>,
    /// Names no longer listed, for whatever reason: deleted, rotten, away, to be hashed again.
    pub removed: List<Name, PAGE_FILES_MAX>,
    /// What the node's person shared and shares no more by an act of his own: he unshared, deleted or
    /// edited it. Nothing else takes a file back.
    pub taken_back: List<Root, PAGE_FILES_MAX>,
}

/// Where the tracker's copy is after a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogueAnswer {
    /// As for a heartbeat: the next page builds on this.
    pub catalogue: Stamp,
}

/// The node leaves on purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit;

/// The tracker has taken it off the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bye;

/// Asks for the list of nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeersQuestion {
    /// How far the asker's list reaches.
    pub peers: Stamp,
}

/// The list, or what changed of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeersAnswer {
    /// The peers.
    pub peers: PeersDelta,
}

/// Most owners named for one file; more would not make a download faster.
pub const OWNERS_MAX: usize = 64;

/// Who has this file, or what lies below this folder?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookupQuestion {
    /// File or folder.
    pub name: Name,
    /// Only names behind this one: the last of the page before.
    pub after: Option<Name>,
}

/// One file and who has it. Two contents under one name are two of these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The file.
    pub entry: FileEntry,
    /// Some of its owners.
    pub owners: List<NodeId, OWNERS_MAX>,
}

/// What the index has. A hint: only the owner's own answer counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookupAnswer {
    /// Ascending by name.
    pub found: List<Found, PAGE_FILES_MAX>,
    /// Ask again, after the last name.
    pub more: bool,
}

/// Why somebody says no; decides what the asker does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Why {
    /// Another live node shows the same identity.
    IdentityInUse {
        /// Where it is.
        at: SocketAddr,
        /// How long ago it was heard, seconds.
        heard_s: u32,
    },
    /// A bound is reached; later may help.
    Busy,
    /// The question does not fit here: wrong listener, or out of turn.
    Unexpected,
    /// Not shared here, or no longer.
    NotHere,
    /// The asker must register first.
    NotRegistered,
    /// On the way out.
    Stopping,
    /// Some of it is here, and is offered again when the download that it belongs to goes on.
    Later,
}

/// No.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// For the program.
    pub why: Why,
    /// For the person.
    pub text: Text<512>,
}

impl Refused {
    /// A refusal with its words.
    pub fn new(why: Why, text: impl Into<String>) -> Refused {
        Refused { why, text: Text::of(text) }
    }
}
