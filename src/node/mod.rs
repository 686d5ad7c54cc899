//! A node: search, size and chunk listeners, heartbeat, downloads, uploads.

#![allow(missing_docs, clippy::todo)]
pub mod view;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::base::{Fault, Name, NodeLabel, Rate};
use view::{
    DownloadReport, FileRow, From, Listing, LookupHit, NodeStatus, PeerRow, Ready, Stats,
    TransferRow,
};

/// Chunk bytes inside the cipher, or raw where both ends say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bulk {
    Private,
    Clear,
} // (really lives in io::link; node re-exports)

/// Everything a node is told at its start.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    pub trackers: Vec<String>, // HOST:PORT, resolved again at each attempt
    pub data: PathBuf,
    pub label: Option<NodeLabel>, // default: the host's name, else node-<id>
    pub listen: IpAddr,
    pub advertise: Option<IpAddr>,
    pub port_base: Option<u16>, // search, size, chunk = base, +1, +2
    pub heartbeat: Duration,
    pub ack_timeout: Duration,
    pub up: Option<Rate>,
    pub down: Option<Rate>,
    pub swarm_key: Option<PathBuf>, // file with 64 hex digits (also --swarm-key-file); PARVI_SWARM_KEY holds the key itself
    pub bulk: Bulk,
    pub fsync: bool,
}

/// A line for the person at the prompt: "[HH:MM:SS] download 3 report.pdf done, 12 MiB in 0.4 s from alice, bob".
#[derive(Debug, Clone)]
pub struct Notice(pub String);

pub struct Node;

impl Node {
    /// Starts everything; returns when the three listeners serve. Trackers may be away.
    pub fn start(_config: NodeConfig) -> Result<Arc<Node>, Fault> {
        todo!()
    }
    pub fn ready(&self) -> Ready {
        todo!()
    }
    /// Called from the notices' own thread until it returns None: the node has stopped.
    pub fn next_notice(&self) -> Option<Notice> {
        todo!()
    }
    pub fn status(&self) -> NodeStatus {
        todo!()
    }
    pub fn list(&self, _which: Listing) -> Vec<FileRow> {
        todo!()
    }
    pub fn peers(&self) -> Vec<PeerRow> {
        todo!()
    }
    pub fn transfers(&self) -> Vec<TransferRow> {
        todo!()
    }
    pub fn stats(&self) -> Stats {
        todo!()
    }
    /// Asks tracker index and peers' search listeners; NotFound / Network faults. Blocks ≤ 5 s.
    pub fn lookup(&self, _name: &Name) -> Result<Vec<LookupHit>, Fault> {
        todo!()
    }
    /// Begins in the background (lookup included) and returns the transfer's id; a running or paused download of the same name is continued and its id returned.
    pub fn download(&self, _name: &Name, _from: From) -> Result<u64, Fault> {
        todo!()
    }
    /// Blocks until that download is done, failed or cancelled, at most `within`; Ok(None): still going.
    pub fn wait(&self, _id: u64, _within: Duration) -> Result<Option<Vec<DownloadReport>>, Fault> {
        todo!()
    }
    pub fn cancel(&self, _id: u64) -> Result<(), Fault> {
        todo!()
    }
    pub fn pause(&self, _id: u64) -> Result<(), Fault> {
        todo!()
    }
    pub fn resume(&self, _id: u64) -> Result<(), Fault> {
        todo!()
    }
    /// A file or folder anywhere; returns the name under which it is shared.
    pub fn share(&self, _path: &std::path::Path) -> Result<Name, Fault> {
        todo!()
    }
    pub fn unshare(&self, _name: &Name) -> Result<(), Fault> {
        todo!()
    }
    /// Names seen in lookups lately, for completion.
    pub fn seen_names(&self) -> Vec<Name> {
        todo!()
    }
    /// First call: begin to leave: no new transfers; returns those still moving. `stop` ends for good: joins every thread within seconds.
    pub fn moving(&self) -> Vec<TransferRow> {
        todo!()
    }
    pub fn drain(&self) {
        todo!()
    }
    pub fn stop(&self) {
        todo!()
    }
}

/// One-shot: `parvi get`. No daemon, no registration. `progress` is called about ten times a second with (done, total, sources so far).
pub struct GetConfig {
    pub name: Name,
    pub trackers: Vec<String>,
    pub out: PathBuf,
    pub listen: IpAddr,
    pub swarm_key: Option<PathBuf>,
    pub bulk: Bulk,
    pub fsync: bool,
    pub down: Option<Rate>,
    pub ack_timeout: Duration,
}
pub fn get(
    _config: GetConfig,
    _interrupted: &dyn Fn() -> bool,
    _progress: &mut dyn FnMut(&TransferRow),
) -> Result<Vec<DownloadReport>, Fault> {
    todo!()
}
