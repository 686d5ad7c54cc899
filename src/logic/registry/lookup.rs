//! Questions to the index: one name, a folder, or everything, in pages.
//!
//! Invariant: a page holds all contents of each of its names (at most `CONTENTS_MAX`, the most
//! owned first), since the next page begins behind its last name.

use std::cmp::Reverse;
use std::ops::Bound::{self, Excluded, Included, Unbounded};

use super::index::{Content, Index};
use crate::base::limits::{PAGE_BYTES_MAX, PAGE_FILES_MAX};
use crate::base::{FileEntry, Name, NodeId};
use crate::wire::List;
use crate::wire::message::tracker::{Found, LookupAnswer, LookupQuestion, OWNERS_MAX};

/// Most contents told of one name.
pub const CONTENTS_MAX: usize = 64;

/// Most bytes of a found file beside its name and its owners.
const FOUND_BYTES: usize = 80;

/// Even the largest name fits an empty page.
const _: () = assert!(
    CONTENTS_MAX * (FOUND_BYTES + crate::base::name::NAME_BYTES_MAX + OWNERS_MAX * 32)
        <= PAGE_BYTES_MAX
);

impl Index {
    /// Answers a node's question. Of many owners `spread` chooses where the named ones begin, so
    /// that different askers are sent to different owners.
    pub(super) fn lookup(&self, question: &LookupQuestion, spread: u64) -> LookupAnswer {
        let mut page = Page::default();
        let wanted = &question.name;
        let after = question.after.as_ref();
        let exact = self.names.get_key_value(wanted).filter(|_| after.is_none_or(|a| a < wanted));
        let below = self.below(wanted, after);
        for (name, contents) in exact.into_iter().chain(below) {
            if !page.take(self.found(name, contents, spread)) {
                break;
            }
        }
        LookupAnswer { found: List::of(page.found), more: page.more }
    }

    /// Everything there is, behind `after`: one page, and whether there is more.
    pub(super) fn files(&self, after: Option<&Name>, spread: u64) -> (Vec<Found>, bool) {
        let mut page = Page::default();
        for (name, contents) in self.names.range((after.map_or(Unbounded, Excluded), Unbounded)) {
            if !page.take(self.found(name, contents, spread)) {
                break;
            }
        }
        (page.found, page.more)
    }

    /// What lies below the folder, behind `after`. The folder's files are neighbours in the order
    /// of the names: they begin at the least name that can follow `folder/`.
    fn below<'a>(
        &'a self,
        folder: &'a Name,
        after: Option<&Name>,
    ) -> impl Iterator<Item = (&'a Name, &'a Vec<Content>)> {
        let least = Name::parse(&format!("{}/\u{1}", folder.as_str())).ok();
        let start: Option<Bound<Name>> = least.map(|least| match after {
            Some(after) if *after >= least => Excluded(after.clone()),
            _ => Included(least),
        });
        let range = start.map(|start| self.names.range((start, Unbounded)));
        range.into_iter().flatten().take_while(|(name, _)| name.is_below(folder))
    }

    fn found(&self, name: &Name, contents: &[Content], spread: u64) -> Vec<Found> {
        let mut contents: Vec<&Content> = contents.iter().collect();
        contents.sort_by_key(|content| (Reverse(content.owners.len()), content.root));
        let told = contents.into_iter().filter_map(|content| {
            let owners = self.some_owners(content, spread);
            let Content { size, root, modified, executable, .. } = *content;
            let entry = FileEntry { name: name.clone(), size, root, modified, executable };
            (!owners.is_empty()).then(|| Found { entry, owners: List::of(owners) })
        });
        told.take(CONTENTS_MAX).collect()
    }

    fn some_owners(&self, content: &Content, spread: u64) -> Vec<NodeId> {
        let count = content.owners.len().max(1) as u64;
        let (early, late) = content.owners.split_at((spread % count) as usize);
        let live = late.iter().chain(early).filter_map(|key| self.owner(*key));
        live.take(OWNERS_MAX).collect()
    }
}

/// An answer that grows until it is full.
#[derive(Default)]
struct Page {
    found: Vec<Found>,
    bytes: usize,
    more: bool,
}

impl Page {
    /// Takes all contents of one name, or none when they do not fit.
    fn take(&mut self, contents: Vec<Found>) -> bool {
        let bytes: usize = contents.iter().map(encoded_len).sum();
        let fits = self.found.len() + contents.len() <= PAGE_FILES_MAX
            && self.bytes + bytes <= PAGE_BYTES_MAX;
        if !fits {
            self.more = true;
            return false;
        }
        self.bytes += bytes;
        self.found.extend(contents);
        true
    }
}

/// At most what it takes on the wire.
fn encoded_len(found: &Found) -> usize {
    FOUND_BYTES + found.entry.name.as_str().len() + found.owners.len() * 32
}
