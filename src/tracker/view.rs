//! What a tracker tells about itself: rows for `ui`, with the JSON field names of the contract.

use std::net::SocketAddr;

use serde::Serialize;

use crate::base::{Name, NodeId, NodeLabel, Root};

/// One line of `peers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PeerRow {
    /// Its label.
    pub node: NodeLabel,
    /// Its identity.
    pub id: NodeId,
    /// Its chunk listener.
    pub addr: SocketAddr,
    /// Files it shares, as far as the index has them.
    pub files: u64,
    /// Seconds since it was heard; at least so many when it is stale.
    pub last_seen_s: u64,
    /// Known from before the tracker's start only.
    pub stale: bool,
    /// Whether the tracker could dial it back at `addr`; null while that is not known.
    pub reachable: Option<bool>,
}

/// One line of `files`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileRow {
    /// Its name.
    pub name: Name,
    /// Bytes.
    pub size: u64,
    /// BLAKE3.
    pub root: Root,
    /// How many nodes have it; stale ones are not counted.
    pub copies: u32,
    /// None of the owners below has been heard since the tracker's start.
    pub stale: bool,
    /// Seconds since one of the owners below was heard.
    pub last_seen_s: u32,
    /// Some of those who have it.
    pub owners: Vec<NodeLabel>,
}

/// What `stats` tells: now, or counted since the start or the last reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct TrackerStats {
    /// Nodes listed now.
    pub peers: u64,
    /// Further ones, known from before the tracker's start only.
    pub stale: u64,
    /// Different files in the index now.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Connections open now.
    pub connections: u64,
    /// Registrations taken.
    pub registrations: u64,
    /// Heartbeats answered.
    pub heartbeats: u64,
    /// Lookups answered.
    pub lookups: u64,
    /// Questions refused.
    pub refused: u64,
    /// Copies that there are to be, of all files, the publishers' counted.
    pub copies_wanted: u64,
    /// Copies that are there, of no file more than wanted.
    pub copies_there: u64,
    /// Copies that are being made.
    pub copies_under_way: u64,
    /// Replicas that are being removed.
    pub copies_leaving: u64,
    /// Copies made since the start.
    pub copies_made: u64,
    /// Copies that failed since the start.
    pub copies_failed: u64,
    /// Seconds since the start.
    pub uptime_s: u64,
}
