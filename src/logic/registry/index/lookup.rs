//! Questions to the index about one name or one folder, in pages.
//!
//! Invariant: a page holds all contents of each of its names (at most `CONTENTS_MAX`, the most
//! owned first), since the next page begins behind its last name.

use std::cmp::Reverse;
use std::ops::Bound::{Excluded, Included};

use super::contents::ContentId;
use super::owners::Holding;
use super::{Copy, Index};
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
    pub(in crate::logic::registry) fn lookup(
        &self,
        question: &LookupQuestion,
        spread: u64,
    ) -> LookupAnswer {
        let mut page = Page::default();
        let wanted = question.name.as_str();
        let after = question.after.as_ref().map(Name::as_str);
        let exact = self.names.get(wanted).filter(|_| after.is_none_or(|after| after < wanted));
        // The folder's files are neighbours in the order of the names.
        let below = format!("{wanted}/");
        let start = match after {
            Some(after) if after >= below.as_str() => Excluded(after),
            _ => Included(below.as_str()),
        };
        let below = self.names.from(start).take_while(|(name, _)| name.starts_with(&below));
        for (name, head) in exact.map(|head| (wanted, head)).into_iter().chain(below) {
            if !page.take(self.found(name, head, spread)) {
                break;
            }
        }
        LookupAnswer { found: List::of(page.found), more: page.more }
    }

    /// All contents of a name that have live owners, the most owned first.
    fn found(&self, name: &str, head: ContentId, spread: u64) -> Vec<Found> {
        let Ok(name) = Name::parse(name) else { return Vec::new() };
        let told = self.ranked(head).into_iter().filter_map(|id| {
            let owners = self.some_owners(id, spread, OWNERS_MAX);
            let entry = || self.contents.entry(id, name.clone());
            (!owners.is_empty()).then(|| Found { entry: entry(), owners: List::of(owners) })
        });
        told.take(CONTENTS_MAX).collect()
    }

    /// All contents of a name, the most owned first.
    pub(super) fn ranked(&self, head: ContentId) -> Vec<ContentId> {
        let mut contents: Vec<ContentId> = self.under(head).collect();
        let rank =
            |id: &ContentId| (Reverse(self.contents.owners(*id).len()), *self.contents.root(*id));
        contents.sort_by_key(rank);
        contents
    }

    /// At most so many of those who have a content: first those whose copies count, then stale ones.
    pub(super) fn some_owners(&self, id: ContentId, spread: u64, most: usize) -> Vec<NodeId> {
        let owners = self.contents.owners(id);
        let (early, late) = owners.split_at((spread % owners.len().max(1) as u64) as usize);
        let copies = self.live(late).chain(self.live(early));
        let (stale, fresh): (Vec<&Copy>, Vec<&Copy>) = copies.partition(|copy| copy.stale);
        fresh.into_iter().chain(stale).map(|copy| copy.owner).take(most).collect()
    }

    /// At most so many of those who have `file`, as `some_owners` orders them.
    pub(in crate::logic::registry) fn owners_of(
        &self,
        file: &FileEntry,
        most: usize,
    ) -> Vec<NodeId> {
        let Some(head) = self.names.get(file.name.as_str()) else { return Vec::new() };
        let same = self.under(head).find(|id| self.contents.is(*id, file));
        same.map_or_else(Vec::new, |id| self.some_owners(id, 0, most))
    }

    /// How many have a content for sure.
    pub(super) fn count_owners(&self, id: ContentId) -> usize {
        self.live(self.contents.owners(id)).filter(|copy| !copy.stale).count()
    }

    /// The copies that answer.
    fn live(&self, held: &[Holding]) -> impl Iterator<Item = &Copy> {
        held.iter().filter_map(|held| self.answering(held.key()))
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
