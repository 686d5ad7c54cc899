//! What is asked of a node's size listener: size, chunks held, manifest.

use serde::{Deserialize, Serialize};

use crate::base::entry::bounded_size;
use crate::base::limits::CHUNK_COUNT_MAX;
use crate::base::manifest::ChunkValue;
use crate::base::{Bitmap, Root};
use crate::wire::bounded::List;

/// Asks about one content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SizeQuestion {
    /// Which.
    pub root: Root,
    /// Whether the chunk values are wanted too.
    pub manifest: bool,
}

/// What the asked node has of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SizeAnswer {
    /// Bytes of the whole file.
    #[serde(deserialize_with = "bounded_size")]
    pub size: u64,
    /// The chunks it can send.
    pub have: Bitmap,
    /// One value a chunk, or none when not asked for. To be checked against the root.
    pub values: List<ChunkValue, { CHUNK_COUNT_MAX as usize }>,
}
