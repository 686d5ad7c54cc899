//! Who has which file: the tracker's copies of the nodes' catalogues, and one ordered index.
//!
//! Invariant: a copy's stamp says exactly which version of its node's catalogue it is; a page that
//! does not build on that version is not applied. The index is a hint to those who ask, only an
//! owner's own answer counts.
//!
//! ```text
//! names    Name -> [ content {size, root, …, owners: [copy, copy]}, other content {…} ]
//! copies   copy -> { owner, stamp, the Names (shared, not copied) }
//! ```
//!
//! Removal is cheap at once and complete later: a copy that goes is retired, which hides it from
//! every answer, and `sweep` takes its names out in small steps between which others are served.
//!
//! Memory, measured by `memory_per_file_is_as_documented`: about 330 bytes a file of one owner and
//! a name of 40 bytes, and about 40 bytes for each further owner of the same content.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::{FileEntry, Modified, Name, NodeId, Root};
use crate::wire::message::tracker::{CatalogueDelta, Stamp};

/// Names taken out of the index in one step of `sweep`: well below a millisecond.
const SWEEP_STEP: usize = 512;

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

/// A copy's number; never used again, so that a retired copy cannot be taken for a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CopyKey(u32);

#[derive(Debug)]
pub(super) struct Content {
    pub(super) size: u64,
    pub(super) root: Root,
    /// As the last owner to tell of it says; the root does not cover it.
    pub(super) modified: Modified,
    pub(super) executable: bool,
    pub(super) owners: Vec<CopyKey>,
}

#[derive(Debug)]
struct Copy {
    owner: NodeId,
    stamp: Stamp,
    names: BTreeSet<Name>,
    name_bytes: usize,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Index {
    limits: IndexLimits,
    pub(super) names: BTreeMap<Name, Vec<Content>>,
    copies: BTreeMap<CopyKey, Copy>,
    copy_of: BTreeMap<NodeId, CopyKey>,
    retired: Vec<(CopyKey, BTreeSet<Name>)>,
    keys_used: u32,
    /// Pairs of owner and file, retired ones included.
    held: usize,
    name_bytes: usize,
    contents: u64,
    bytes: u64,
}

impl Index {
    /// An empty index.
    pub(super) fn new(limits: IndexLimits) -> Index {
        Index { limits, ..Index::default() }
    }

    /// How far the copy of `owner`'s catalogue reaches; zero where there is none.
    pub(super) fn stamp(&self, owner: &NodeId) -> Stamp {
        self.copy(owner).map(|copy| copy.stamp).unwrap_or_default()
    }

    /// How many files `owner` has here.
    pub(super) fn files_of(&self, owner: &NodeId) -> usize {
        self.copy(owner).map_or(0, |copy| copy.names.len())
    }

    /// Different contents of all names, and their bytes.
    pub(super) fn totals(&self) -> (u64, u64) {
        (self.contents, self.bytes)
    }

    /// Applies a page if it builds on the copy, or begins a new copy; says where the copy is then.
    ///
    /// # Errors
    /// A bound is reached, or the page is malformed; the copy is as before.
    pub(super) fn apply(
        &mut self,
        owner: NodeId,
        page: CatalogueDelta,
    ) -> Result<Stamp, IndexError> {
        let CatalogueDelta { epoch, from, to, .. } = page;
        if to < from {
            return Err(IndexError::Backwards { from, to });
        }
        let replace = from == 0;
        if !replace && self.stamp(&owner) != (Stamp { epoch, version: from }) {
            return Ok(self.stamp(&owner));
        }
        self.check_room(&owner, &page, replace)?;
        if replace {
            self.remove(&owner);
        }
        let key = self.key(owner);
        for name in page.removed.iter() {
            self.remove_file(key, name);
        }
        for entry in page.added.into_vec() {
            self.add_file(key, entry);
        }
        let stamp = Stamp { epoch, version: to };
        if let Some(copy) = self.copies.get_mut(&key) {
            copy.stamp = stamp;
        }
        Ok(stamp)
    }

    /// Retires the copy of `owner`: it is in no answer any more.
    pub(super) fn remove(&mut self, owner: &NodeId) {
        let Some(key) = self.copy_of.remove(owner) else { return };
        let Some(copy) = self.copies.remove(&key) else { return };
        self.retired.push((key, copy.names));
    }

    /// Takes a few names of retired copies out; whether more are left.
    pub(super) fn sweep(&mut self) -> bool {
        for _ in 0..SWEEP_STEP {
            let Some((key, names)) = self.retired.last_mut() else { return false };
            let key = *key;
            match names.pop_last() {
                Some(name) => self.disown(key, &name),
                None => drop(self.retired.pop()),
            }
        }
        !self.retired.is_empty()
    }

    /// The owner behind a copy; none when the copy is retired.
    pub(super) fn owner(&self, key: CopyKey) -> Option<NodeId> {
        self.copies.get(&key).map(|copy| copy.owner)
    }

    fn copy(&self, owner: &NodeId) -> Option<&Copy> {
        self.copies.get(self.copy_of.get(owner)?)
    }

    fn key(&mut self, owner: NodeId) -> CopyKey {
        if let Some(&key) = self.copy_of.get(&owner) {
            return key;
        }
        self.keys_used += 1;
        let key = CopyKey(self.keys_used);
        let copy = Copy { owner, stamp: Stamp::default(), names: BTreeSet::new(), name_bytes: 0 };
        self.copies.insert(key, copy);
        self.copy_of.insert(owner, key);
        key
    }

    /// Counts every file of the page as new: near the bound that may refuse a little early.
    fn check_room(
        &self,
        owner: &NodeId,
        page: &CatalogueDelta,
        replace: bool,
    ) -> Result<(), IndexError> {
        let limits = self.limits;
        let (count, bytes) = match self.copy(owner) {
            Some(copy) if !replace => (copy.names.len(), copy.name_bytes),
            _ => (0, 0),
        };
        let more = page.added.len();
        let more_bytes: usize = page.added.iter().map(|entry| entry.name.as_str().len()).sum();
        if count + more > limits.files_per_node || bytes + more_bytes > limits.name_bytes_per_node {
            let (files, name_bytes) = (limits.files_per_node, limits.name_bytes_per_node);
            return Err(IndexError::NodeFull { files, name_bytes });
        }
        if self.held + more > limits.files || self.name_bytes + more_bytes > limits.name_bytes {
            return Err(IndexError::Full { files: limits.files });
        }
        Ok(())
    }

    fn add_file(&mut self, key: CopyKey, entry: FileEntry) {
        self.remove_file(key, &entry.name);
        let FileEntry { name, size, root, modified, executable } = entry;
        let name = self.names.get_key_value(&name).map_or(name, |(known, _)| known.clone());
        let len = name.as_str().len();
        let Some(copy) = self.copies.get_mut(&key) else { return };
        copy.names.insert(name.clone());
        copy.name_bytes += len;
        self.held += 1;
        self.name_bytes += len;
        let contents = self.names.entry(name).or_default();
        if let Some(known) = contents.iter_mut().find(|c| c.root == root && c.size == size) {
            known.owners.push(key);
            (known.modified, known.executable) = (modified, executable);
            return;
        }
        if contents.is_empty() {
            // One content is the rule, and `push` would make room for four.
            contents.reserve_exact(1);
        }
        contents.push(Content { size, root, modified, executable, owners: vec![key] });
        self.contents += 1;
        self.bytes += size;
    }

    fn remove_file(&mut self, key: CopyKey, name: &Name) {
        let Some(copy) = self.copies.get_mut(&key) else { return };
        if copy.names.remove(name) {
            copy.name_bytes -= name.as_str().len();
            self.disown(key, name);
        }
    }

    /// Takes the copy out of the owners of `name`, and what has no owner then out of the index.
    fn disown(&mut self, key: CopyKey, name: &Name) {
        self.held -= 1;
        self.name_bytes -= name.as_str().len();
        let Some(contents) = self.names.get_mut(name) else { return };
        let place = contents.iter().enumerate().find_map(|(nth, content)| {
            Some((nth, content.owners.iter().position(|owner| *owner == key)?))
        });
        let Some((nth, position)) = place else { return };
        contents[nth].owners.swap_remove(position);
        if contents[nth].owners.is_empty() {
            self.bytes -= contents.swap_remove(nth).size;
            self.contents -= 1;
        }
        if contents.is_empty() {
            self.names.remove(name);
        }
    }
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
