//! What a node, or a one-shot `get`, is told at its start.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::view::From;
use crate::base::{Name, NodeLabel, Rate};
use crate::io::link::{Bulk, SwarmKey};
use crate::logic::scrub::ScrubPace;

/// Everything a node is told at its start.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// `HOST:PORT` each, resolved anew at every attempt.
    pub trackers: Vec<String>,
    /// Its data directory, made if missing.
    pub data: PathBuf,
    /// What people call it; otherwise the machine's name.
    pub label: Option<NodeLabel>,
    /// Listeners and outgoing sockets are bound to it.
    pub listen: IpAddr,
    /// The address under which it wants to be listed.
    pub advertise: Option<IpAddr>,
    /// Search, size and chunk listen on this port and the two behind it; otherwise on any.
    pub port_base: Option<u16>,
    /// Between two heartbeats.
    pub heartbeat: Duration,
    /// How long a transfer may stand still before its connection is given up.
    pub ack_timeout: Duration,
    /// Bound of all uploads together.
    pub up: Option<Rate>,
    /// Bound of all downloads together.
    pub down: Option<Rate>,
    /// Only nodes with the same key meet.
    pub swarm_key: Option<SwarmKey>,
    /// Whether chunk bytes stay inside the cipher.
    pub bulk: Bulk,
    /// Whether data must be on the disk before a file gets its final name.
    pub fsync: bool,
    /// Whether what was downloaded is offered to others.
    pub share_downloaded: bool,
    /// What is kept for others.
    pub replicas: ReplicaConfig,
    /// How fast what is stored is read and compared.
    pub scrub: ScrubPace,
}

/// What a node keeps for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReplicaConfig {
    /// Whether it takes copies at all. Those that are here stay.
    pub off: bool,
    /// Most bytes of them; otherwise a tenth of the disk.
    pub quota: Option<u64>,
}

/// Everything a one-shot `get` is told.
#[derive(Debug, Clone)]
pub struct GetConfig {
    /// File or folder.
    pub name: Name,
    /// From whom, or which content of several; that, unless the name with `@` and the root behind it
    /// is the name of something.
    pub from: From,
    /// `HOST:PORT` each.
    pub trackers: Vec<String>,
    /// Where it arrives.
    pub out: PathBuf,
    /// Outgoing sockets are bound to it.
    pub listen: IpAddr,
    /// Only nodes with the same key meet.
    pub swarm_key: Option<SwarmKey>,
    /// Whether chunk bytes stay inside the cipher.
    pub bulk: Bulk,
    /// Whether data must be on the disk before a file gets its final name.
    pub fsync: bool,
    /// Bound of the download.
    pub down: Option<Rate>,
    /// How long a transfer may stand still before its connection is given up; after three times
    /// that without a byte `get` ends.
    pub ack_timeout: Duration,
}
