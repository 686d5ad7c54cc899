//! What is asked of a node's search listener: who has this name?

use serde::{Deserialize, Serialize};

use crate::base::limits::PAGE_FILES_MAX;
use crate::base::{FileEntry, Name};
use crate::wire::bounded::List;

/// What do you have under this name: the file, or everything below the folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchQuestion {
    /// File or folder.
    pub name: Name,
    /// Only names behind this one: the last of the page before.
    pub after: Option<Name>,
}

/// Most parts in one answer.
pub const PARTS_MAX: usize = 1_000;
/// Most bytes that their names may have, so that a page with them fits its frame.
pub const PARTS_BYTES_MAX: usize = 128 * 1024;

/// A file that the asked node is fetching, and serves as far as it is verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// What it will be.
    pub entry: FileEntry,
    /// Chunks that are here.
    pub have: u32,
    /// Chunks of the whole.
    pub of: u32,
}

/// One page of what the asked node has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchAnswer {
    /// What is complete, ascending by name.
    pub files: List<FileEntry, PAGE_FILES_MAX>,
    /// What is not, on the first page only; what does not fit is left out.
    pub parts: List<Part, PARTS_MAX>,
    /// Ask again, after the last name.
    pub more: bool,
}
