//! Stand-in until the tracker room is merged.
#![allow(missing_docs, clippy::todo)]
use crate::base::{Fault, Name, NodeId, NodeLabel, Root};
use serde::Serialize;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

#[derive(Debug, Clone)]
pub struct TrackerConfig {
    pub listen: SocketAddr,
    pub data: PathBuf,
    pub swarm_key: Option<PathBuf>,
    pub bulk: crate::node::Bulk,
}

#[derive(Debug, Clone, Serialize)]
pub struct PeerRow {
    pub node: NodeLabel,
    pub id: NodeId,
    pub addr: SocketAddr,
    pub files: u64,
    pub last_seen_s: u64,
}

#[derive(Debug, Clone, Serialize)]
pub struct FileRow {
    pub name: Name,
    pub size: u64,
    pub root: Root,
    pub owners: Vec<NodeLabel>,
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct TrackerStats {
    pub peers: u64,
    pub files: u64,
    pub uptime_s: u64,
}

pub struct Tracker;

impl Tracker {
    pub fn start(_config: TrackerConfig) -> Result<Arc<Tracker>, Fault> {
        todo!()
    }
    pub fn addr(&self) -> SocketAddr {
        todo!()
    }
    pub fn next_notice(&self) -> Option<String> {
        todo!()
    }
    pub fn peers(&self) -> Vec<PeerRow> {
        todo!()
    }
    pub fn files(&self) -> Vec<FileRow> {
        todo!()
    }
    pub fn stats(&self) -> TrackerStats {
        todo!()
    }
    pub fn stop(&self) {
        todo!()
    }
}
