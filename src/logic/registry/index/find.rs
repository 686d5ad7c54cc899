//! Which files does a pattern mean? Read from the index in steps between which others are served.
//!
//! Invariant: a step reads about `STEP` bytes of names, what it looks at for them counted as bytes, too,
//! and one name more at most; a question reads about `READ_MAX`. Where it stopped
//! is in the answer, so that the next question goes on there. No index of parts of names is kept:
//! their text lies in order in memory and is read at gigabytes a second.

use std::collections::VecDeque;
use std::ops::Bound::{Excluded, Unbounded};

use super::Index;
use super::contents::ContentId;
use super::lookup::CONTENTS_MAX;
use super::names::Block;
use crate::base::limits::{PAGE_BYTES_MAX, PAGE_FILES_MAX};
use crate::base::{Name, NodeId};
use crate::logic::pattern::{Matcher, PatternError};
use crate::wire::List;
use crate::wire::message::find::{FindAnswer, FindQuestion, LISTED_OWNERS_MAX, Listed};

/// Bytes read in one step, in whole blocks: tenths of a millisecond for a text, more for a long glob.
pub(super) const STEP: usize = 256 << 10;
/// Bytes read for one answer, looking at a name counted as `Matcher::cost` says: about a tenth of a
/// second.
const READ_MAX: usize = 128 << 20;
/// Files of one root that are gathered at once; of more, the names are read one by one.
const SAME_ROOT_MAX: usize = 1_000;
/// Looking at a content, at one of its owners, takes as long as reading so many bytes.
const CONTENT_COST: usize = 256;
const OWNER_COST: usize = 64;
/// Most bytes of a listed file beside its name and its owners.
const LISTED_BYTES: usize = 80;

/// Even the largest name fits an empty page.
const _: () = assert!(
    CONTENTS_MAX * (LISTED_BYTES + crate::base::name::NAME_BYTES_MAX + LISTED_OWNERS_MAX * 32)
        <= PAGE_BYTES_MAX
);

/// How a question is answered; the first step finds out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Unknown,
    /// All names are read.
    Through,
    /// The few names of a root are gathered, and looked at.
    Gathered,
}

/// A question as it is being answered.
#[derive(Debug)]
pub struct Finding {
    matcher: Matcher,
    /// Of many owners, where the named ones begin.
    spread: u64,
    after: Option<Name>,
    found: Vec<Listed>,
    bytes: usize,
    /// What has been looked at, counted as bytes.
    read: usize,
    way: Way,
    /// Names of the root that is asked for, behind what was reached.
    gathered: VecDeque<String>,
    is_full: bool,
    is_over: bool,
}

impl Finding {
    /// Begins; `spread` is any number.
    ///
    /// # Errors
    /// The pattern is malformed.
    pub fn new(question: &FindQuestion, spread: u64) -> Result<Finding, PatternError> {
        Ok(Finding {
            matcher: Matcher::new(&question.pattern)?,
            spread,
            after: question.after.clone(),
            found: Vec::new(),
            bytes: 0,
            read: 0,
            way: Way::Unknown,
            gathered: VecDeque::new(),
            is_full: false,
            is_over: false,
        })
    }

    /// Whether another step brings more.
    pub fn goes_on(&self) -> bool {
        !self.is_full && !self.is_over && self.read < READ_MAX
    }

    /// What has been looked at, counted as bytes.
    #[cfg(test)]
    pub(super) fn read(&self) -> usize {
        self.read
    }

    /// Whether the names of its root are too many to be gathered, as a step has found.
    #[cfg(test)]
    pub(super) fn reads_all(&self) -> bool {
        self.way == Way::Through
    }

    /// What was found.
    pub fn answer(self) -> FindAnswer {
        let next = if self.is_over { None } else { self.after };
        FindAnswer { found: List::of(self.found), next }
    }

    /// Takes all contents of one name, or none when they do not fit.
    fn take(&mut self, contents: Vec<Listed>) -> bool {
        let len = |l: &Listed| LISTED_BYTES + l.entry.name.as_str().len() + l.owners.len() * 32;
        let bytes: usize = contents.iter().map(len).sum();
        self.is_full = self.found.len() + contents.len() > PAGE_FILES_MAX
            || self.bytes + bytes > PAGE_BYTES_MAX;
        if !self.is_full {
            self.bytes += bytes;
            self.found.extend(contents);
        }
        !self.is_full
    }

    fn reached(&mut self, name: &str) {
        self.after = Name::parse(name).ok();
    }
}

/// How long ago a node was heard, in seconds.
type Seen<'a> = &'a dyn Fn(&NodeId) -> u32;

impl Index {
    /// One step.
    pub(in crate::logic::registry) fn find(&self, finding: &mut Finding, seen: Seen<'_>) {
        if finding.way == Way::Unknown {
            finding.way = self.way(finding);
        }
        if finding.way == Way::Gathered {
            return self.take_gathered(finding, seen);
        }
        let after = finding.after.take();
        let mut reached = after.as_ref().map(Name::as_str);
        let start = reached.map_or(Unbounded, Excluded);
        let stop = finding.read + STEP;
        finding.is_over = true;
        for (block, first) in self.names.blocks(start) {
            let stopped = self.find_in((block, first), finding, stop, seen);
            let last = stopped.unwrap_or(block.len());
            if last > 0 {
                reached = reached.max(Some(block.name(last - 1).0));
            }
            if stopped.is_some() || finding.read >= stop {
                finding.is_over = false;
                break;
            }
        }
        if let Some(reached) = reached {
            finding.reached(reached);
        }
    }

    /// One block, from the name number `nth` on; returns the number of the one with which to go on,
    /// when `stop` is reached or one does not fit.
    fn find_in(
        &self,
        (block, mut nth): (&Block, usize),
        finding: &mut Finding,
        stop: usize,
        seen: Seen<'_>,
    ) -> Option<usize> {
        let folded = finding.matcher.ignores_case().then(|| block.text().to_ascii_lowercase());
        let text = folded.as_deref().unwrap_or(block.text());
        // Letters beyond ASCII may change their length: those names are looked at one by one.
        let is_plain = folded.is_none() || text.is_ascii();
        finding.read += text.len();
        while nth < block.len() {
            if let Some(needle) = finding.matcher.needle().filter(|_| is_plain) {
                let (start, _) = block.span(nth);
                nth = block.nth_at(start + needle.find(&text.as_bytes()[start..])?);
            }
            let (name, head) = block.name(nth);
            finding.read += finding.matcher.cost(name.len());
            let meant = self.meant(finding, name, head, seen);
            if !meant.is_empty() && !finding.take(meant) {
                return Some(nth);
            }
            nth += 1;
            if finding.read >= stop {
                return Some(nth);
            }
        }
        None
    }

    /// Gathers the names of the files with the root that is asked for, behind what was reached and
    /// ascending, when there are not too many.
    fn way(&self, finding: &mut Finding) -> Way {
        let Some(root) = finding.matcher.root() else { return Way::Through };
        let (least, most) = root.bounds();
        let ids: Vec<ContentId> =
            self.contents.by_root(&least, &most).take(SAME_ROOT_MAX + 1).collect();
        if ids.len() > SAME_ROOT_MAX {
            return Way::Through;
        }
        let after = finding.after.as_ref().map(Name::as_str);
        let names = ids.iter().filter_map(|id| self.name_of(*id));
        let mut names: Vec<&str> = names.filter(|name| after < Some(*name)).collect();
        names.sort_unstable();
        names.dedup();
        finding.gathered = names.into_iter().map(str::to_owned).collect();
        Way::Gathered
    }

    /// Goes on with the names that were gathered. Some may have gone meanwhile.
    fn take_gathered(&self, finding: &mut Finding, seen: Seen<'_>) {
        let stop = finding.read + STEP;
        while let Some(name) = finding.gathered.pop_front() {
            if let Some(head) = self.names.get(&name) {
                let meant = self.meant(finding, &name, head, seen);
                if !finding.take(meant) {
                    return;
                }
            }
            finding.reached(&name);
            if finding.read >= stop {
                return;
            }
        }
        finding.is_over = true;
    }

    /// The contents of a name that are meant and have live owners, the most owned first. What is
    /// looked at for that is counted.
    fn meant(
        &self,
        finding: &mut Finding,
        name: &str,
        head: ContentId,
        seen: Seen<'_>,
    ) -> Vec<Listed> {
        let Finding { matcher, read, spread, .. } = finding;
        let is_meant = |id: ContentId| matcher.means(name, self.contents.root(id));
        if !self.under(head).any(is_meant) {
            *read += (self.under(head).count() - 1) * CONTENT_COST;
            return Vec::new();
        }
        let Ok(name) = Name::parse(name) else { return Vec::new() };
        let cost = |id| CONTENT_COST + self.contents.owners(id).len() * OWNER_COST;
        *read += self.under(head).map(cost).sum::<usize>();
        let name_is_meant = |id: &ContentId| matcher.means(name.as_str(), self.contents.root(*id));
        let contents = self.ranked(head).into_iter().filter(name_is_meant);
        let listed = contents.filter_map(|id| {
            let owners = self.some_owners(id, *spread, LISTED_OWNERS_MAX);
            let seen_s = owners.iter().map(seen).min()?;
            let copies = self.count_owners(id) as u32;
            let entry = self.contents.entry(id, name.clone());
            Some(Listed { entry, copies, stale: copies == 0, seen_s, owners: List::of(owners) })
        });
        listed.take(CONTENTS_MAX).collect()
    }
}
