//! Who has a root, and as what: for those who count copies.
//!
//! Invariant: whatever is asked, a bounded number of records and owners is looked at: `STEP` and one root
//! more in a step of `survey`, which goes on behind the last root it has told of; `NAMES_MAX` names and
//! `OWNERS_MAX` owners of one root, which is told of as cut then. What says only a part of a root's
//! names or owners is enough for nobody to order or to remove a copy.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::contents::ContentId;
use super::owners::Holding;
use super::{CopyKey, Index};
use crate::base::{FileEntry, Kept, Name, NodeId, Root, RootPrefix};

/// Records and owners looked at in one step: about a millisecond.
const STEP: usize = 2_048;
/// Names looked at of one root, and of all with the same first eight bytes: nobody meets a second such
/// root by chance.
const NAMES_MAX: usize = 1_024;
/// Owners of these that are looked at; one counts once for each name.
const OWNERS_MAX: usize = 4_096;
/// Names of one root that are given out.
const TOLD_NAMES_MAX: usize = 16;

/// As what a node has a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::logic::registry) struct HolderOf {
    pub(in crate::logic::registry) kept: Kept,
    /// It is known from a former copy only, or from one that its node has not confirmed.
    pub(in crate::logic::registry) is_former: bool,
    /// Bytes, as it says.
    pub(in crate::logic::registry) size: u64,
}

/// A root, and who has it.
#[derive(Debug)]
pub(in crate::logic::registry) struct Content {
    pub(in crate::logic::registry) root: Root,
    pub(in crate::logic::registry) holders: BTreeMap<NodeId, HolderOf>,
    /// There are more names, and perhaps more holders.
    pub(in crate::logic::registry) is_cut: bool,
    ids: Vec<ContentId>,
}

impl Content {
    /// The size that most holders tell, those in doubt left out: a root has one size, so whoever tells
    /// another lies. Of as many the size that more have as their own, and then the smaller one: what is
    /// said to be too large for everybody would never be found to be a lie.
    pub(in crate::logic::registry) fn size(&self, is_doubted: impl Fn(&NodeId) -> bool) -> u64 {
        let mut told: BTreeMap<u64, (usize, usize)> = BTreeMap::new();
        for (id, HolderOf { kept, size, .. }) in &self.holders {
            let (all, own) = told.entry(*size).or_default();
            if !is_doubted(id) {
                *all += 1;
                *own += usize::from(*kept != Kept::Replica);
            }
        }
        let most = told.into_iter().max_by_key(|(size, counts)| (*counts, Reverse(*size)));
        most.map_or(0, |(size, _)| size)
    }
}

/// Some names of a content that is so large.
pub(in crate::logic::registry) fn names_of<'a>(
    index: &'a Index,
    content: &'a Content,
    size: u64,
) -> impl Iterator<Item = &'a str> {
    let ids = content.ids.iter().filter(move |id| index.contents.size(**id) == size);
    ids.take(TOLD_NAMES_MAX).filter_map(|id| index.name_of(*id))
}

impl Index {
    /// One step through all roots, behind those whose first bytes are `after`: tells of each, and says
    /// whether there are more. `look` may stop it.
    pub(in crate::logic::registry) fn survey(
        &self,
        after: &mut Option<u64>,
        mut look: impl FnMut(Content) -> bool,
    ) -> bool {
        let mut entries = self.contents.in_order(*after).peekable();
        let (mut work, mut ids) = (0, Vec::new());
        while let Some((head, first)) = entries.next() {
            ids.clear();
            ids.push(first);
            while let Some((_, id)) = entries.next_if(|(other, _)| *other == head) {
                if ids.len() > NAMES_MAX {
                    break;
                }
                ids.push(id);
            }
            *after = Some(head);
            let (contents, looked_at) = self.contents_of(&mut ids);
            work += looked_at;
            if !contents.into_iter().all(&mut look) || ids.len() > NAMES_MAX || work >= STEP {
                return self.contents.in_order(*after).next().is_some();
            }
        }
        *after = None;
        false
    }

    /// Who has a root; none where nobody has, or had not long ago.
    pub(in crate::logic::registry) fn content(&self, root: &Root) -> Option<Content> {
        let (contents, _) = self.contents_of(&mut self.alike(root));
        contents.into_iter().find(|content| content.root == *root)
    }

    /// Whether somebody has a root as his person's own file, or had not long ago; or may: there are
    /// more names than are looked at.
    pub(in crate::logic::registry) fn is_own(&self, root: &Root) -> bool {
        let ids = self.alike(root);
        let (mut left, mut same) =
            (OWNERS_MAX, ids.iter().filter(|id| self.contents.root(**id) == root));
        let is_own =
            |held: &Holding| held.kept() != Kept::Replica && self.copies.contains_key(&held.key());
        ids.len() > NAMES_MAX
            || same.any(|id| {
                let owners = self.contents.owners(*id);
                let looked_at = owners.len().min(left);
                left -= looked_at;
                looked_at < owners.len() || owners[..looked_at].iter().any(is_own)
            })
    }

    /// Whether a node has a root, or had not long ago; or may: there are more names than are looked at.
    pub(in crate::logic::registry) fn has(&self, node: &NodeId, root: &Root) -> bool {
        let ids = self.alike(root);
        let keys = [self.copy_of.get(node), self.former_of.get(node)];
        let holds = |id: &ContentId| {
            let owners = self.contents.owners(*id);
            let at = |key: &CopyKey| owners.binary_search_by_key(key, |held| held.key());
            keys.into_iter().flatten().any(|key| at(key).is_ok())
        };
        let mut same = ids.iter().filter(|id| self.contents.root(**id) == root);
        ids.len() > NAMES_MAX || same.any(holds)
    }

    /// The different contents under a name.
    pub(in crate::logic::registry) fn roots_of(&self, name: &Name) -> Vec<Root> {
        let head = self.names.get(name.as_str());
        let ids = head.into_iter().flat_map(|head| self.ranked(head));
        ids.map(|id| *self.contents.root(id)).collect()
    }

    /// Roots that begin so.
    pub(in crate::logic::registry) fn roots_from(
        &self,
        prefix: &RootPrefix,
        most: usize,
    ) -> Vec<Root> {
        let (least, last) = prefix.bounds();
        let ids = self.contents.by_root(&least, &last).take(NAMES_MAX);
        let mut roots: Vec<Root> = ids.map(|id| *self.contents.root(id)).collect();
        roots.sort_unstable();
        roots.dedup();
        roots.truncate(most);
        roots
    }

    /// The file of a root that is so large, as it is to be asked for: under the name that most have.
    pub(in crate::logic::registry) fn entry_of(&self, root: &Root, size: u64) -> Option<FileEntry> {
        let ids = self.alike(root).into_iter();
        let fits =
            |id: &ContentId| self.contents.root(*id) == root && self.contents.size(*id) == size;
        let rank = |id: &ContentId| (self.contents.owners(*id).len(), Reverse(*id));
        let id = ids.filter(fits).max_by_key(rank)?;
        let name = Name::parse(self.name_of(id)?).ok()?;
        Some(self.contents.entry(id, name))
    }

    /// What has a root with the same first bytes: `NAMES_MAX` at most, and one more where there are
    /// more.
    fn alike(&self, root: &Root) -> Vec<ContentId> {
        self.contents.alike(root).take(NAMES_MAX + 1).collect()
    }

    /// The records by root, nearly always of one; and how much was looked at.
    fn contents_of(&self, ids: &mut [ContentId]) -> (Vec<Content>, usize) {
        let is_cut = ids.len() > NAMES_MAX;
        let mut left = OWNERS_MAX;
        let root = |id: &ContentId| *self.contents.root(*id);
        ids.sort_by_key(root);
        let contents = ids.chunk_by(|a, b| root(a) == root(b)).map(|ids| {
            let (root, holders, ids) = (root(&ids[0]), BTreeMap::new(), ids.to_vec());
            let mut content = Content { root, holders, is_cut, ids };
            for nth in 0..content.ids.len() {
                self.add_holders(nth, &mut content, &mut left);
            }
            content
        });
        let contents = contents.collect();
        (contents, ids.len() + OWNERS_MAX - left)
    }

    /// What is told now counts before what was told before, a person's own file before a replica.
    fn add_holders(&self, nth: usize, content: &mut Content, left: &mut usize) {
        let id = content.ids[nth];
        let (owners, size) = (self.contents.owners(id), self.contents.size(id));
        let looked_at = owners.len().min(*left);
        *left -= looked_at;
        content.is_cut |= looked_at < owners.len();
        for held in &owners[..looked_at] {
            let Some(copy) = self.copies.get(&held.key()) else { continue };
            let is_former = copy.is_former || copy.stale;
            let fresh = HolderOf { kept: held.kept(), is_former, size };
            let known = content.holders.entry(copy.owner).or_insert(fresh);
            if (fresh.is_former, fresh.kept) < (known.is_former, known.kept) {
                *known = fresh;
            }
        }
    }
}

#[cfg(test)]
#[path = "holders_tests.rs"]
mod tests;
