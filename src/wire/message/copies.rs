//! What a tracker asks a node to keep for others, what the node says of it, and why a file has the
//! copies it has.
//!
//! Told as a state, not as events: every answer to a heartbeat says all that the tracker wants of the
//! node at that time. A copy is named until the node's catalogue has it, until the node tells how it
//! failed, or until it is not wanted any more; a trim until the catalogue has it no more. So nothing is
//! lost with a connection, and carrying out an order twice does no harm.

use serde::{Deserialize, Serialize};

use crate::base::entry::bounded_size;
use crate::base::{FileEntry, Kept, Name, NodeId, NodeLabel, Root, RootPrefix};
use crate::wire::bounded::{List, Text};

/// Most copies ordered of a node at once.
pub const COPIES_MAX: usize = 16;
/// Most replicas named in one answer that are to be removed.
pub const TRIMS_MAX: usize = 64;
/// Most sources named for one copy; the node finds others by itself.
pub const SOURCES_MAX: usize = 8;
/// Most outcomes in one heartbeat; the rest follows with the next.
pub const OUTCOMES_MAX: usize = 64;
/// Most contents of a name that are told of.
pub const WHY_FILES_MAX: usize = 16;
/// Most copies of one content that are named.
pub const WHY_COPIES_MAX: usize = 64;

/// What a node does for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Offer {
    /// Whether it keeps copies.
    pub keeps: bool,
    /// Bytes that it still takes.
    pub room: u64,
    /// Whether it has looked through all its folders: what its catalogue has not, it has not.
    pub settled: bool,
}

/// A copy that the receiver is to make and keep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyOrder {
    /// The file.
    pub entry: FileEntry,
    /// Some of those who have it.
    pub sources: List<NodeId, SOURCES_MAX>,
}

/// All that a tracker wants of a node now.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Duties {
    /// Copies to be made. What was ordered before and is not here is not wanted any more.
    pub copies: List<CopyOrder, COPIES_MAX>,
    /// Replicas to be removed.
    pub trims: List<Root, TRIMS_MAX>,
}

/// What became of a copy that was ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Of what.
    pub root: Root,
    /// How it ended.
    pub end: CopyEnd,
}

/// How a copy ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum CopyEnd {
    /// It is here, verified. Only the catalogue counts; this says that it will be there.
    Kept,
    /// It is not.
    Failed {
        /// Why.
        why: CopyFault,
        /// Who has not given what they say they have.
        blamed: List<NodeId, SOURCES_MAX>,
    },
}

/// Why a copy could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CopyFault {
    /// Neither the disk nor the quota has room for it.
    NoRoom,
    /// Nobody who has it could be reached.
    NoSource,
    /// This node does not keep this copy: its person does not want it.
    Refused,
    /// What came was not what was asked for.
    Broken,
}

/// Why has this file the copies it has?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyQuestion {
    /// The file. Where there is none of that name and it reads like a root, all files with that root.
    pub name: Name,
    /// Only the content with this root.
    pub root: Option<RootPrefix>,
}

/// This is why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyAnswer {
    /// Each content.
    pub files: List<WhyFile, WHY_FILES_MAX>,
}

/// How it stands with the copies of one content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyFile {
    /// One of its names.
    pub name: Name,
    /// Bytes.
    #[serde(deserialize_with = "bounded_size")]
    pub size: u64,
    /// BLAKE3.
    pub root: Root,
    /// Copies there are to be; 0 of what was withdrawn.
    pub wanted: u32,
    /// Copies that count.
    pub there: u32,
    /// Who has it.
    pub copies: List<WhyCopy, WHY_COPIES_MAX>,
    /// Who was told to copy it and has not finished.
    pub coming: List<WhyComing, WHY_COPIES_MAX>,
    /// All of it in a sentence, and what keeps copies from being made.
    pub text: Text<512>,
}

/// One copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyCopy {
    /// At which node.
    pub node: NodeId,
    /// What it is called; empty text where that is not known any more.
    pub label: Text<64>,
    /// As what.
    pub kept: Kept,
    /// Whether it counts.
    pub state: CopyState,
    /// Seconds since the node was heard.
    pub seen_s: u32,
}

/// Whether a copy counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CopyState {
    /// Its node is there.
    There,
    /// Its node has gone not long ago and is waited for.
    Away,
    /// Who was told to copy it from there could not.
    Doubted,
    /// Its node was told to remove it.
    Leaving,
}

/// One copy that is being made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyComing {
    /// At which node.
    pub node: NodeId,
    /// What it is called.
    pub label: NodeLabel,
    /// Seconds since it was ordered.
    pub since_s: u32,
}
