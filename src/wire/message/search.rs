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

/// One page of what the asked node has, all of it complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchAnswer {
    /// Ascending by name.
    pub files: List<FileEntry, PAGE_FILES_MAX>,
    /// Ask again, after the last name.
    pub more: bool,
}
