//! What a tracker keeps on its disk of the nodes and their files, as records, for its next start.
//!
//! Invariant: a copy of a catalogue that is kept under its stamp is whole: its node need not send it
//! again. Records are made in steps between which others are served, so the index changes meanwhile;
//! a copy that changed is kept as it was met, without a stamp, and its node sends it anew.
//!
//! ```text
//! Nodes …    who is listed, and by which number a node is meant below
//! Files …    names, ascending, with the numbers of those who have them
//! Whole …    the copies that did not change since their node was told of, with their stamps
//! End        how many there were
//! ```
//!
//! `saving` makes them, `restoring` reads them; how they become bytes, `tracker::snapshot` says.

mod restoring;
mod saving;

use serde::{Deserialize, Serialize};

pub use restoring::{Restoring, SnapshotError};
pub use saving::Saving;

use crate::base::limits::{PAGE_FILES_MAX, PAGE_PEERS_MAX};
use crate::base::{FileEntry, Kept, PeerInfo};
use crate::wire::List;
use crate::wire::message::tracker::Stamp;

/// Most owners of one content: nodes that the registry lists, those of an earlier tracker included.
pub(super) const OWNERS_KEPT_MAX: usize = 20_000;

/// One piece of what is kept; well below the largest that the codec takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// Who is listed.
    Nodes(List<SavedNode, PAGE_PEERS_MAX>),
    /// What they have.
    Files(List<SavedFile, PAGE_FILES_MAX>),
    /// Whose files are all there, up to which version.
    Whole(List<(u32, Stamp), PAGE_PEERS_MAX>),
    /// That was all.
    End {
        /// Nodes told of.
        nodes: u64,
        /// Contents told of.
        files: u64,
    },
}

/// A node as it was listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedNode {
    /// Where it was.
    pub info: PeerInfo,
    /// Its interval, seconds: how long it is waited for follows from the longest.
    pub heartbeat_s: u16,
    /// For how long it had not been heard, seconds.
    pub silent_s: u32,
    /// What stands for it among the owners; none: it has no file here.
    pub number: Option<u32>,
}

/// A content of a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedFile {
    /// The file.
    pub entry: FileEntry,
    /// The numbers of those who have it, and as what.
    pub owners: List<(u32, Kept), OWNERS_KEPT_MAX>,
}

#[cfg(test)]
mod tests;
