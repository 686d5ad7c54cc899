//! What `scrub` and `show` tell of what is stored and kept for others, as data.

use serde::Serialize;

use super::Listing;
use crate::base::{Name, Root};
use crate::io::index::Shelf;

/// What a node keeps for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct KeptStatus {
    /// Whether it takes copies.
    pub keeps: bool,
    /// Copies that are here.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Bytes that it still takes.
    pub room: u64,
}

/// How the reading of what is stored stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScrubStatus {
    /// Whether a round is under way.
    pub reading: bool,
    /// Whether none begins by itself.
    pub off: bool,
    /// Rounds that came to their end.
    pub rounds: u64,
    /// Files read in this round, or the last one.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Bytes that are stored.
    pub stored: u64,
    /// Bytes a second; none where there is no bound, or nothing is read now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<u64>,
    /// Seconds until the next round begins.
    pub next_in_s: u64,
    /// Files that rot.
    pub rotten: Vec<RottenRow>,
    /// Files that the disk does not give.
    pub unread: Vec<Unread>,
}

/// A file that rots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RottenRow {
    /// What it is called.
    pub name: Name,
    /// Where it lies.
    pub folder: Listing,
    /// Bytes.
    pub size: u64,
    /// What it was.
    pub root: Root,
    /// What it is now.
    pub found: Root,
    /// Whether its bytes were put aside, as NAME.rotten.
    pub aside: bool,
    /// What becomes of it.
    pub state: RotState,
}

/// What becomes of a file that rots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RotState {
    /// It is the person's, who may have changed it.
    Yours,
    /// It is to be fetched.
    Waiting,
    /// It is being fetched.
    Fetching,
    /// It is here again as it was.
    Repaired,
    /// The last try to fetch it failed, in words; it is tried again.
    Failed(String),
}

/// A file that the disk does not give.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unread {
    /// What it is called.
    pub name: Name,
    /// Why.
    pub why: String,
}

impl From<Shelf> for Listing {
    fn from(shelf: Shelf) -> Listing {
        match shelf {
            Shelf::Local => Listing::Local,
            Shelf::Downloaded => Listing::Downloaded,
            Shelf::Replicated => Listing::Replicated,
        }
    }
}
