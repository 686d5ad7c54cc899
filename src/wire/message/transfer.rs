//! What a requester and an owner say on a chunk connection.
//!
//! ```text
//! requester                 owner
//! Open               ->
//!                    <-     Opened            or Refused, before which a busy owner may say Fetchers
//! Want, Want, …      ->                       edits what the owner may choose from
//!                    <-     Next, Chunk+bytes the next is announced while this one is on the wire
//! Skip               ->                       silence is consent
//! Ack, Working       ->
//! Done or Cancel     ->                       the end of the connection
//!                    <-     Stale             what was announced is no longer so
//!
//! Serving            ->                       others may fetch from me what I have of the set
//!                    <-     Fetchers          these fetch it too, and can be dialled
//!                    <-     Have              the owner, who fetches it too, has these now
//! ```
//!
//! A set is one file, whose items are its chunks, or a batch, whose items are small files. Items
//! are numbered from zero; that number is what `Range`, `Next` and `Chunk` speak of.

use serde::{Deserialize, Serialize};

use crate::base::entry::bounded_size;
use crate::base::limits::BATCH_FILES_MAX;
use crate::base::{Bitmap, NodeLabel, PeerInfo, Ports, Range, Root};
use crate::wire::bounded::{List, Text};

/// Content by root and size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Content {
    /// Which bytes.
    pub root: Root,
    /// How many.
    #[serde(deserialize_with = "bounded_size")]
    pub size: u64,
}

/// What one transfer moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Set {
    /// One file; its items are its chunks.
    File(Content),
    /// Small files, each of one chunk; its items are the files.
    Batch(List<Content, BATCH_FILES_MAX>),
}

impl Set {
    /// The contents of its files.
    pub fn contents(&self) -> &[Content] {
        match self {
            Set::File(content) => std::slice::from_ref(content),
            Set::Batch(list) => list,
        }
    }
}

/// Begins a transfer, or begins it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// What.
    pub set: Set,
    /// Whether the requester will be there again after a restart.
    pub resumable: bool,
}

/// The owner is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// How often this requester opened this set; only the owner counts, it only grows.
    pub attempt: u32,
    /// The items it can send.
    pub have: Bitmap,
    /// Whether it is fetching the set itself, and hopes to have more.
    pub grows: bool,
}

/// Most runs in one message: a WANT of every other chunk of the longest file.
pub const RANGES_MAX: usize = 8_192;

/// Edits what the owner may choose from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Want {
    /// These too.
    pub add: List<Range, RANGES_MAX>,
    /// These no longer.
    pub remove: List<Range, RANGES_MAX>,
    /// How many items may be on the way without an ACK; clamped by the owner.
    pub window: u16,
}

/// What the owner sends after the current item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Next {
    /// Which items.
    pub items: Range,
}

/// The announced items are not wanted any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skip {
    /// Which items.
    pub items: Range,
}

/// Header of a raw run of bytes: one chunk of a file, or several whole files of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Which items, in this order.
    pub items: Range,
    /// Bytes that follow. The receiver knows the number from the items and accepts no other.
    #[serde(deserialize_with = "bounded_size")]
    pub len: u64,
}

/// Items verified and written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// Which.
    pub items: List<Range, 2_048>,
}

/// The requester is alive and busy with what it has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Working;

/// The owner can send these too: it is fetching the set itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Have {
    /// Which.
    pub items: List<Range, 2_048>,
}

/// The requester has a chunk listener, at the address this connection comes from: whoever wants the
/// set may fetch from it what it has already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Serving {
    /// What it is called.
    pub label: NodeLabel,
    /// Its listeners.
    pub ports: Ports,
}

/// Most nodes in one `Fetchers`.
pub const FETCHERS_MAX: usize = 64;

/// Most nodes that an owner names who is too busy to serve: as many as a requester asks at once.
pub const BUSY_NAMES_MAX: usize = 16;

/// Others who fetch the set and serve what they have of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetchers {
    /// Who, and where the owner has met them.
    pub nodes: List<PeerInfo, FETCHERS_MAX>,
}

/// Everything is synced and has its final name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done;

/// The requester gives up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancel {
    /// For the person on the other side.
    pub reason: Text<256>,
}

/// Items the owner no longer has as announced: edited, truncated, deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stale {
    /// Which.
    pub items: List<Range, 1_024>,
}
