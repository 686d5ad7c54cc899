//! Who has which file: the tracker's copies of the nodes' catalogues, in one index ordered by name.
//!
//! Invariant: a copy's stamp says exactly which version of its node's catalogue it is; a page that
//! does not build on that version is not applied. The index is a hint to those who ask, only an
//! owner's own answer counts.
//!
//! ```text
//! names      blocks of text in order, one number a name ──┐
//! contents   records {size, root, …, owners: copies} <────┘   and all roots in order
//! others     further contents of a name that has several
//! copies     copy -> { owner, stamp, how many files }
//! ```
//!
//! Removal is cheap at once and complete later: a copy that goes is retired, which hides it from
//! every answer, and `sweep` goes through the records and takes it out of them in small steps between
//! which others are served; all copies that have retired by then in one pass.
//!
//! A copy whose node has gone, or tells all its files anew, is kept as its former one for a while: it is
//! in no answer, but known to who counts copies (`former.rs`, `holders.rs`).
//!
//! Memory, measured by `memory_per_file_is_as_documented` and `bench/index.sh`: about 120 bytes a
//! file beside its name, one owner or two; from the third on about 20 for three, then 4 each.

mod contents;
mod find;
mod former;
mod holders;
mod limits;
mod lookup;
mod names;
mod owners;
mod saved;
mod sweep;

use std::collections::{BTreeMap, BTreeSet};

use self::contents::{ContentId, Contents};
pub use self::find::Finding;
pub(super) use self::holders::{Content, names_of};
pub use self::limits::{IndexError, IndexLimits};
pub use self::lookup::CONTENTS_MAX;
use self::names::Names;
use self::owners::Holding;
pub(super) use self::saved::Cursor;
use self::sweep::Pass;
use crate::base::NodeId;
use crate::wire::message::tracker::{CatalogueDelta, Held, Stamp};

/// A copy's number; used again only when a pass has taken it out of all records, so that a retired
/// copy cannot be taken for a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CopyKey(u32);

impl CopyKey {
    /// The number, for a snapshot.
    pub(super) fn number(self) -> u32 {
        self.0
    }
}

#[derive(Debug)]
struct Copy {
    owner: NodeId,
    stamp: Stamp,
    files: usize,
    name_bytes: usize,
    /// It has been all that its node had to tell.
    is_whole: bool,
    /// It is in no answer any more.
    is_former: bool,
    /// From a snapshot, and its owner has not confirmed it.
    stale: bool,
}

impl Copy {
    /// How many files, and how many bytes their names have.
    fn size(&self) -> (usize, usize) {
        (self.files, self.name_bytes)
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Index {
    limits: IndexLimits,
    names: Names,
    contents: Contents,
    others: BTreeMap<ContentId, Vec<ContentId>>,
    copies: BTreeMap<CopyKey, Copy>,
    copy_of: BTreeMap<NodeId, CopyKey>,
    former_of: BTreeMap<NodeId, CopyKey>,
    /// Retired since the pass began.
    retired: BTreeSet<CopyKey>,
    pass: Pass,
    keys_used: u32,
    free_keys: Vec<CopyKey>,
    /// Pairs of owner and file, retired ones included.
    held: usize,
    name_bytes: usize,
    bytes: u64,
    /// Copies begun, changed and retired.
    changes: u64,
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
        self.copy(owner).map_or(0, |copy| copy.files)
    }

    /// Different contents of all names, and their bytes.
    pub(super) fn totals(&self) -> (u64, u64) {
        (self.contents.len() as u64, self.bytes)
    }

    /// Whether a page is applied: it builds on the copy, or begins a new one.
    pub(super) fn takes(&self, owner: &NodeId, page: &CatalogueDelta) -> bool {
        let CatalogueDelta { epoch, from, .. } = *page;
        from == 0 || self.stamp(owner) == (Stamp { epoch, version: from })
    }

    /// Applies a page if it builds on the copy, or begins a new copy; says where the copy is then.
    ///
    /// # Errors
    /// A bound is reached, or the page is malformed; the copy is as before.
    pub(super) fn apply(
        &mut self,
        owner: NodeId,
        page: &CatalogueDelta,
    ) -> Result<Stamp, IndexError> {
        let CatalogueDelta { epoch, from, to, .. } = *page;
        if to < from {
            return Err(IndexError::Backwards { from, to });
        }
        if !self.takes(&owner, page) {
            return Ok(self.stamp(&owner));
        }
        let replace = from == 0;
        let size = self.copy(&owner).filter(|_| !replace).map_or((0, 0), Copy::size);
        let more: usize = page.added.iter().map(|held| held.entry.name.as_str().len()).sum();
        let room = self.check_room(size, (page.added.len(), more));
        if matches!(room, Err(IndexError::Full { .. })) {
            self.expire_all();
        }
        room?;
        if replace {
            self.supersede(&owner);
        }
        let key = self.key(owner);
        for name in page.removed.iter() {
            self.remove_file(key, name.as_str());
        }
        for held in page.added.iter() {
            self.add_file(key, held);
        }
        let stamp = Stamp { epoch, version: to };
        if let Some(copy) = self.copies.get_mut(&key) {
            copy.stamp = stamp;
        }
        self.changes += 1;
        Ok(stamp)
    }

    /// The copy, if it answers: it is not retired, nor a former one.
    fn answering(&self, key: CopyKey) -> Option<&Copy> {
        self.copies.get(&key).filter(|copy| !copy.is_former)
    }

    fn copy(&self, owner: &NodeId) -> Option<&Copy> {
        self.copies.get(self.copy_of.get(owner)?)
    }

    fn key(&mut self, owner: NodeId) -> CopyKey {
        if let Some(&key) = self.copy_of.get(&owner) {
            return key;
        }
        let key = self.free_keys.pop().unwrap_or_else(|| {
            self.keys_used += 1;
            CopyKey(self.keys_used)
        });
        let copy = Copy::empty(owner);
        self.copies.insert(key, copy);
        self.copy_of.insert(owner, key);
        key
    }

    fn add_file(&mut self, key: CopyKey, held: &Held) {
        let Held { entry, kept } = held;
        let (name, holding) = (entry.name.as_str(), Holding::new(key, *kept));
        self.remove_file(key, name);
        let Some(copy) = self.copies.get_mut(&key) else { return };
        copy.files += 1;
        copy.name_bytes += name.len();
        self.held += 1;
        self.name_bytes += name.len();
        let head = self.names.get(name);
        let same = head.and_then(|head| self.under(head).find(|id| self.contents.is(*id, entry)));
        if let Some(same) = same {
            return self.contents.add_owner(same, entry, holding);
        }
        self.bytes += entry.size;
        let id = self.contents.insert(entry, holding);
        if let Some(head) = head {
            self.contents.set_block(id, self.contents.block(head));
            self.others.entry(head).or_default().push(id);
            return;
        }
        let (contents, others) = (&mut self.contents, &self.others);
        self.names.insert(name, id, |head, block| tell(contents, others, head, block));
    }

    fn remove_file(&mut self, key: CopyKey, name: &str) {
        if !self.disown(key, name) {
            return;
        }
        if let Some(copy) = self.copies.get_mut(&key) {
            copy.files -= 1;
            copy.name_bytes -= name.len();
        }
    }

    /// Takes the copy out of the owners of `name`, and what has no owner then out of the index;
    /// whether it was one.
    fn disown(&mut self, key: CopyKey, name: &str) -> bool {
        let Some(head) = self.names.get(name) else { return false };
        let ids: Vec<ContentId> = self.under(head).collect();
        let had = ids.iter().find(|id| self.contents.remove_owner(**id, key).is_some());
        let Some(id) = had.copied() else { return false };
        self.held -= 1;
        self.name_bytes -= name.len();
        if self.contents.owners(id).is_empty() {
            self.bytes -= self.contents.remove(id);
            self.unlist(name, head, ids.into_iter().filter(|other| *other != id).collect());
        }
        true
    }

    /// Of what stands under `name`, `left` is left.
    fn unlist(&mut self, name: &str, head: ContentId, mut left: Vec<ContentId>) {
        self.others.remove(&head);
        let first = (!left.is_empty()).then(|| left.remove(0));
        if let Some(first) = first
            && !left.is_empty()
        {
            self.others.insert(first, left);
        }
        let (contents, others) = (&mut self.contents, &self.others);
        let moved = |head, block| tell(contents, others, head, block);
        match first {
            Some(first) => self.names.insert(name, first, moved),
            None => self.names.remove(name, moved),
        }
    }

    /// All that stands under the name that `head` stands for.
    fn under(&self, head: ContentId) -> impl Iterator<Item = ContentId> {
        std::iter::once(head).chain(self.others.get(&head).into_iter().flatten().copied())
    }

    /// The name of a content.
    fn name_of(&self, id: ContentId) -> Option<&str> {
        let block = self.contents.block(id);
        let beside = |head| self.others.get(&head).is_some_and(|others| others.contains(&id));
        self.names.name_in(block, |head| head == id).or_else(|| self.names.name_in(block, beside))
    }
}

/// What stands under a name is in another block now.
fn tell(
    contents: &mut Contents,
    others: &BTreeMap<ContentId, Vec<ContentId>>,
    head: ContentId,
    block: names::BlockId,
) {
    for id in std::iter::once(&head).chain(others.get(&head).into_iter().flatten()) {
        contents.set_block(*id, block);
    }
}

#[cfg(test)]
mod tests;
