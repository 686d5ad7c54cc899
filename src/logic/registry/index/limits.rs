//! How much the index takes in, and how it says that it is full.
//!
//! Invariant: nothing is taken in beyond a bound, whoever tells of it: a node's page or a snapshot.

use super::Index;

/// How much the index takes in.
#[derive(Debug, Clone, Copy)]
pub struct IndexLimits {
    /// Files of one node.
    pub files_per_node: usize,
    /// Files of all nodes; one that n nodes have counts n times.
    pub files: usize,
    /// Bytes of one node's names.
    pub name_bytes_per_node: usize,
    /// Bytes of all nodes' names.
    pub name_bytes: usize,
}

impl Default for IndexLimits {
    fn default() -> Self {
        IndexLimits {
            files_per_node: 1_000_000,
            files: 4_000_000,
            name_bytes_per_node: 128 << 20,
            name_bytes: 512 << 20,
        }
    }
}

/// Why a page was not taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// The node has more than its share.
    #[error(
        "this tracker indexes at most {files} files and {name_bytes} bytes of names of one node; \
         the rest is found by asking the node itself"
    )]
    NodeFull {
        /// The bound on files.
        files: usize,
        /// The bound on the bytes of their names.
        name_bytes: usize,
    },
    /// All nodes together have more than there is room for.
    #[error("this tracker's index is full at {files} files; the rest is found by asking the nodes")]
    Full {
        /// The bound on files.
        files: usize,
    },
    /// A page that ends before it begins.
    #[error("a catalogue page from version {from} to {to} goes backwards")]
    Backwards {
        /// Where it begins.
        from: u64,
        /// Where it ends.
        to: u64,
    },
}

impl Index {
    /// Whether there is room for `more` files, and bytes of their names, beside `size` of the same
    /// node. Every file of a page counts as new: near the bound that may refuse a little early.
    pub(super) fn check_room(
        &self,
        size: (usize, usize),
        more: (usize, usize),
    ) -> Result<(), IndexError> {
        let limits = self.limits;
        if size.0 + more.0 > limits.files_per_node || size.1 + more.1 > limits.name_bytes_per_node {
            let (files, name_bytes) = (limits.files_per_node, limits.name_bytes_per_node);
            return Err(IndexError::NodeFull { files, name_bytes });
        }
        if self.held + more.0 > limits.files || self.name_bytes + more.1 > limits.name_bytes {
            return Err(IndexError::Full { files: limits.files });
        }
        Ok(())
    }
}
