//! What a node says of one of its files.

use serde::{Deserialize, Serialize};

use super::limits::FILE_SIZE_MAX;
use super::name::Name;
use super::root::Root;

/// A modification time: seconds since 1970 and nanoseconds within the second.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Modified {
    /// Seconds since 1970; negative before.
    pub secs: i64,
    /// Nanoseconds, below 1,000,000,000. A peer's larger value is clamped where it is used.
    pub nanos: u32,
}

/// A file somebody shares.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FileEntry {
    /// Path below the shared folder.
    pub name: Name,
    /// Bytes.
    #[serde(deserialize_with = "bounded_size")]
    pub size: u64,
    /// BLAKE3 of the bytes.
    pub root: Root,
    /// Kept by the downloader; not covered by the root.
    pub modified: Modified,
    /// Whether the owner may execute it; kept by the downloader.
    pub executable: bool,
}

/// As what a node has a file.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub enum Kept {
    /// Its person shares it.
    #[default]
    Shared,
    /// Its person fetched it.
    Downloaded,
    /// A copy for others, made because a tracker asked for it, and removed when one does.
    Replica,
}

/// A size as a peer claims it, refused above the largest file taken.
///
/// # Errors
/// A size above `FILE_SIZE_MAX`.
pub fn bounded_size<'de, D: serde::Deserializer<'de>>(d: D) -> Result<u64, D::Error> {
    let size = u64::deserialize(d)?;
    if size > FILE_SIZE_MAX {
        return Err(serde::de::Error::custom(format_args!(
            "a file of {size} bytes is above the limit"
        )));
    }
    Ok(size)
}
