//! Which files are there? Asked of a tracker's index, and of a node's search listener about its own.
//!
//! A question is answered in pages of bounded work: an answer may hold nothing and still say where
//! to go on. A node's own files come without owners: it is the owner.

use serde::{Deserialize, Serialize};

use crate::base::limits::PAGE_FILES_MAX;
use crate::base::{FileEntry, Name, NodeId, RootPrefix};
use crate::wire::bounded::{List, Text};

/// Most bytes of a pattern.
pub const PATTERN_BYTES_MAX: usize = 256;
/// Most owners named for one file of a list.
pub const LISTED_OWNERS_MAX: usize = 8;

/// Which files are meant. What each matches, `logic::pattern` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pattern {
    /// Every file.
    All,
    /// Names in which this text is.
    Contains {
        /// The text.
        text: Text<PATTERN_BYTES_MAX>,
        /// Capital letters are as good as small ones.
        ignore_case: bool,
    },
    /// Names like this, with `*`, `**`, `?` and `[…]`.
    Glob {
        /// The pattern.
        text: Text<PATTERN_BYTES_MAX>,
        /// Capital letters are as good as small ones.
        ignore_case: bool,
    },
    /// Files with these bytes, whatever they are called.
    Root(RootPrefix),
}

/// Asks for one page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindQuestion {
    /// Which.
    pub pattern: Pattern,
    /// Only names behind this one: `next` of the answer before.
    pub after: Option<Name>,
}

/// One file of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// The file.
    pub entry: FileEntry,
    /// How many nodes have it; stale ones are not counted.
    pub copies: u32,
    /// None of the named ones has been heard since the tracker's start.
    pub stale: bool,
    /// Seconds since one of the named ones was heard.
    pub seen_s: u32,
    /// Some of them.
    pub owners: List<NodeId, LISTED_OWNERS_MAX>,
}

/// One page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindAnswer {
    /// Ascending by name; all contents of a name on one page.
    pub found: List<Listed, PAGE_FILES_MAX>,
    /// Where to go on; none: that was all.
    pub next: Option<Name>,
}
