//! Who has a root, and as what: for those who count copies.
//!
//! Invariant: a step of `survey` looks at about `STEP` records and goes on behind the last root it has
//! told of. A root that stands under more than `NAMES_MAX` names is told with the holders under the
//! first of them, and says that it is so.

use std::collections::BTreeMap;

use super::Index;
use super::contents::ContentId;
use crate::base::{FileEntry, Kept, Name, NodeId, Root, RootPrefix};

/// Records looked at in one step: below a millisecond.
const STEP: usize = 4_096;
/// Names of one root that are looked at.
const NAMES_MAX: usize = 1_024;
/// Different roots with the same first eight bytes that are told of; nobody meets a second by chance.
const ALIKE_MAX: usize = 8;
/// Names of one root that are given out.
const TOLD_NAMES_MAX: usize = 16;

/// As what a node has a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::logic::registry) struct HolderOf {
    pub(in crate::logic::registry) kept: Kept,
    /// It is known from a former copy only, or from one that its node has not confirmed.
    pub(in crate::logic::registry) is_former: bool,
}

/// A root, and who has it.
#[derive(Debug)]
pub(in crate::logic::registry) struct Content {
    pub(in crate::logic::registry) root: Root,
    pub(in crate::logic::registry) size: u64,
    pub(in crate::logic::registry) holders: BTreeMap<NodeId, HolderOf>,
    /// There are more names, and perhaps more holders.
    pub(in crate::logic::registry) is_cut: bool,
    ids: Vec<ContentId>,
}

/// Some names of a content.
pub(in crate::logic::registry) fn names_of<'a>(
    index: &'a Index,
    content: &'a Content,
) -> impl Iterator<Item = &'a str> {
    content.ids.iter().take(TOLD_NAMES_MAX).filter_map(|id| index.name_of(*id))
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
            work += ids.len();
            let is_cut = ids.len() > NAMES_MAX;
            *after = Some(head);
            let goes_on = self.contents_of(&ids, is_cut).into_iter().all(&mut look);
            if is_cut || work >= STEP || !goes_on {
                return self.contents.in_order(*after).next().is_some();
            }
        }
        *after = None;
        false
    }

    /// Who has a root; none where nobody has, or had not long ago.
    pub(in crate::logic::registry) fn content(&self, root: &Root) -> Option<Content> {
        let ids: Vec<ContentId> = self.contents.by_root(root, root).take(NAMES_MAX + 1).collect();
        let is_cut = ids.len() > NAMES_MAX;
        self.contents_of(&ids, is_cut).pop()
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

    /// The file of a root, as it is to be asked for.
    pub(in crate::logic::registry) fn entry_of(&self, root: &Root) -> Option<FileEntry> {
        let id = self.contents.by_root(root, root).next()?;
        let name = Name::parse(self.name_of(id)?).ok()?;
        Some(self.contents.entry(id, name))
    }

    /// The records by root; nearly always they are of one.
    fn contents_of(&self, ids: &[ContentId], is_cut: bool) -> Vec<Content> {
        let mut found: Vec<Content> = Vec::new();
        for id in ids {
            let root = *self.contents.root(*id);
            let nth = found.iter().position(|content| content.root == root);
            let nth = match nth {
                Some(nth) => nth,
                None if found.len() >= ALIKE_MAX => continue,
                None => {
                    let (size, holders, ids) =
                        (self.contents.size(*id), BTreeMap::new(), Vec::new());
                    found.push(Content { root, size, holders, is_cut, ids });
                    found.len() - 1
                }
            };
            found[nth].ids.push(*id);
            self.add_holders(*id, &mut found[nth].holders);
        }
        found
    }

    /// What is told now counts before what was told before, a person's own file before a replica.
    fn add_holders(&self, id: ContentId, holders: &mut BTreeMap<NodeId, HolderOf>) {
        for held in self.contents.owners(id) {
            let Some(copy) = self.copies.get(&held.key()) else { continue };
            let fresh = HolderOf { kept: held.kept(), is_former: copy.is_former || copy.stale };
            let known = holders.entry(copy.owner).or_insert(fresh);
            if (fresh.is_former, fresh.kept) < (known.is_former, known.kept) {
                *known = fresh;
            }
        }
    }
}
