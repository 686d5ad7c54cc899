//! What a node tells about itself: rows for `ui`, with the JSON field names of the contract.

mod scrub;
mod stats;

use std::net::SocketAddr;

use serde::Serialize;

pub use scrub::{KeptStatus, RotState, RottenRow, ScrubStatus, Unread};
pub use stats::Stats;

use crate::base::{Name, NodeId, NodeLabel, Root, RootPrefix};

/// The addresses at which a node serves, for the `ready` line.
#[derive(Debug, Clone, Serialize)]
pub struct Ready {
    /// The node's label.
    pub node: NodeLabel,
    /// Its identity.
    pub id: NodeId,
    /// Search listener.
    pub search: SocketAddr,
    /// Size listener.
    pub size: SocketAddr,
    /// Chunk listener.
    pub chunk: SocketAddr,
}

/// One owner of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Owner {
    /// The owner's label.
    pub node: NodeLabel,
    /// The owner's identity.
    pub id: NodeId,
    /// Its chunk listener.
    pub addr: SocketAddr,
    /// Whether it has every chunk.
    pub complete: bool,
    /// Whether it is the asking node itself.
    #[serde(skip)]
    pub here: bool,
    /// How many chunks it has, and of how many, while it fetches the file.
    #[serde(skip)]
    pub part: Option<(u32, u32)>,
}

impl Owner {
    /// How much of the file it has, for people.
    pub fn held(&self) -> String {
        match self.part {
            _ if self.complete => "complete".into(),
            Some((have, of)) if of > 1 => format!("{have} of {of} chunks"),
            _ => "in part".into(),
        }
    }
}

/// One content under one name, and who has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LookupHit {
    /// The file's name.
    pub name: Name,
    /// Bytes.
    pub size: u64,
    /// BLAKE3.
    pub root: Root,
    /// Who has it; never empty.
    pub owners: Vec<Owner>,
}

/// Bytes that came from one owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Source {
    /// The owner's label.
    pub node: NodeLabel,
    /// Verified bytes it sent.
    pub bytes: u64,
}

/// A file that has arrived.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DownloadReport {
    /// Its name.
    pub name: Name,
    /// BLAKE3.
    pub root: Root,
    /// Where it is now.
    #[serde(serialize_with = "shown_path")]
    pub path: std::path::PathBuf,
    /// Bytes of the file.
    pub bytes: u64,
    /// From the command to its final name.
    pub seconds: f64,
    /// Who sent how much; empty when it was there already.
    pub sources: Vec<Source>,
}

/// Which way a transfer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// To somebody else.
    Up,
    /// To this node.
    Down,
}

/// Where a transfer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TransferState {
    /// Finding owners, asking sizes, checking what is there.
    Preparing,
    /// Bytes move.
    Moving,
    /// Nothing moves; `reason` says why and what comes next.
    Waiting,
    /// Stopped by a person or a full disk; `reason` says which.
    Paused,
    /// Syncing and naming.
    Finishing,
    /// Complete.
    Done,
    /// Given up; `reason` says why.
    Failed,
    /// Stopped by a person, or by the node's end.
    Cancelled,
}

/// One line of `transfers`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TransferRow {
    /// For `cancel`, `pause`, `resume`.
    pub id: u64,
    /// Up or down.
    pub dir: Direction,
    /// File or folder.
    pub name: String,
    /// The other side; for a download all its owners.
    pub peer: String,
    /// Where it stands.
    pub state: TransferState,
    /// Why it waits, failed or is paused; empty otherwise.
    pub reason: String,
    /// Verified bytes down, acknowledged bytes up.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
    /// How often it was opened.
    pub attempt: u32,
    /// Bytes per second, lately.
    pub rate: u64,
    /// What a person holds it to, bytes per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// For a download: who sent how much so far.
    pub sources: Vec<Source>,
}

/// One line of `peers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PeerRow {
    /// Its label.
    pub node: NodeLabel,
    /// Its identity.
    pub id: NodeId,
    /// Its chunk listener.
    pub addr: SocketAddr,
    /// Files it shares, as far as its tracker knows.
    pub files: u64,
    /// Seconds since it was heard.
    pub last_seen_s: u64,
    /// Its tracker has not heard it since the tracker's start.
    pub stale: bool,
}

/// One line of a node's `files`: what a tracker's index says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IndexedFile {
    /// Its name.
    pub name: Name,
    /// Bytes.
    pub size: u64,
    /// BLAKE3.
    pub root: Root,
    /// How many nodes have it; stale ones are not counted.
    pub copies: u32,
    /// The tracker has heard none of the owners below since its start.
    pub stale: bool,
    /// Seconds since the tracker heard one of the owners below.
    pub last_seen_s: u32,
    /// Some of those who have it: labels, or starts of identities.
    pub owners: Vec<String>,
}

/// One line of `list` and `show`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileRow {
    /// Its name.
    pub name: Name,
    /// Bytes.
    pub size: u64,
    /// BLAKE3.
    pub root: Root,
}

/// A file that is not shared although it lies in the folder, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The path, made printable.
    pub path: String,
    /// Why.
    pub why: String,
}

/// How it stands with one tracker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TrackerRow {
    /// As given.
    pub addr: String,
    /// Whether the node is registered there now.
    pub connected: bool,
    /// Why not, and when it tries again; empty when connected.
    pub reason: String,
}

/// What `show` tells.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NodeStatus {
    /// The node's label.
    pub node: NodeLabel,
    /// Its identity.
    pub id: NodeId,
    /// Its address, as others see it.
    pub addr: std::net::IpAddr,
    /// Its data directory.
    #[serde(serialize_with = "shown_path")]
    pub data: std::path::PathBuf,
    /// Its trackers.
    pub trackers: Vec<TrackerRow>,
    /// Files still to be hashed.
    pub hashing: u64,
    /// Whether it still looks through its folders for the first time: more may be found.
    pub looking: bool,
    /// What it keeps for others.
    pub keeps: KeptStatus,
    /// What it shares.
    pub files: Vec<FileRow>,
    /// What it cannot share.
    pub problems: Vec<Problem>,
}

/// A path as text; what is not UTF-8 in it is shown as U+FFFD, because JSON has no other way.
fn shown_path<S: serde::Serializer>(path: &std::path::Path, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(&path.display())
}

/// Which folder `list` shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Listing {
    /// What the user shares.
    Local,
    /// What was downloaded.
    Downloaded,
    /// What is kept for others.
    Replicated,
}

/// From whom to download.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum From {
    /// All owners in parallel.
    #[default]
    All,
    /// One: its label, its identity or the start of it, or its address.
    One(String),
    /// All owners of one of several contents: its root, or the start of it.
    Content(RootPrefix),
}
