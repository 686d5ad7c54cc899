//! What a node shares, and how it changed: what it tells the tracker and answers searches from.
//!
//! Invariants: each change has a version of its own, one above the one before; a receiver that
//! applies the pages of `delta` in order, from whatever stamp, ends with exactly these files; names
//! that are gone are remembered only as long as they are fewer than the files, then the counting
//! starts anew in the next epoch and receivers start from nothing. That a name is gone says nothing of
//! why; what the person took back is told by its root, as a change of its own, and not for ever: of
//! what is forgotten, receivers keep the copies they keep.
//!
//! ```text
//! version      1      2      3      4      5
//! changes      a      -      -      b      c       (a name stands only at its last change)
//! files        a             -             c       (b is gone: version 4 is its tombstone)
//! delta(3) =   from 3 to 5: added c, removed b
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound::{Excluded, Included, Unbounded};

use crate::base::limits::{PAGE_BYTES_MAX, PAGE_FILES_MAX};
use crate::base::{FileEntry, Kept, Modified, Name, Root};
use crate::logic::pattern::Matcher;
use crate::wire::bounded::List;
use crate::wire::message::tracker::{CatalogueDelta, Held, Stamp};

/// Names that are gone and remembered at least.
const TOMBSTONES_MIN: usize = 1_000;
/// Roots that were taken back and are remembered; the oldest are forgotten first.
const TAKEN_BACK_MAX: usize = 65_536;
/// Work for one page of a search, in bytes read as `Matcher::cost` counts them: some milliseconds,
/// whatever the pattern, since all others wait for as long.
const SEARCH_COST_MAX: usize = 1 << 20;
/// What coming to the next name costs.
const NEXT_NAME_COST: usize = 32;

/// What a node shares, by name.
#[derive(Debug)]
pub struct Catalogue {
    stamp: Stamp,
    files: BTreeMap<Name, Filed>,
    /// Names that are gone, with the version at which they went.
    gone: BTreeMap<Name, u64>,
    /// What changed at each version, unless it has changed again since.
    changes: BTreeMap<u64, Change>,
    /// The versions at which roots were taken back, ascending.
    taken_back: VecDeque<u64>,
    bytes: u64,
}

#[derive(Debug)]
enum Change {
    /// The file of this name, or that there is none any more.
    Of(Name),
    /// The person took this back.
    TakenBack(Root),
}

#[derive(Debug, Clone, Copy)]
struct Filed {
    version: u64,
    size: u64,
    root: Root,
    modified: Modified,
    executable: bool,
    kept: Kept,
}

impl Catalogue {
    /// Nothing yet; `epoch` is drawn at random, so that no earlier one is continued.
    pub fn new(epoch: u64) -> Catalogue {
        Catalogue {
            stamp: Stamp { epoch, version: 0 },
            files: BTreeMap::new(),
            gone: BTreeMap::new(),
            changes: BTreeMap::new(),
            taken_back: VecDeque::new(),
            bytes: 0,
        }
    }

    /// Where the counting stands.
    pub fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// How many files.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The file of that very name.
    pub fn get(&self, name: &Name) -> Option<FileEntry> {
        self.files.get(name).map(|filed| filed.entry(name))
    }

    /// Adds `entry`, or puts it in the place of the file of its name. Tells whether that was a
    /// change.
    pub fn set(&mut self, entry: FileEntry, kept: Kept) -> bool {
        let old = self.files.get(&entry.name);
        if old.is_some_and(|old| old.kept == kept && old.entry(&entry.name) == entry) {
            return false;
        }
        let version = self.next_version();
        let FileEntry { name, size, root, modified, executable } = entry;
        let filed = Filed { version, size, root, modified, executable, kept };
        if let Some(old) = self.files.insert(name.clone(), filed) {
            self.changes.remove(&old.version);
            self.bytes -= old.size;
        }
        if let Some(old) = self.gone.remove(&name) {
            self.changes.remove(&old);
        }
        self.bytes += size;
        self.changes.insert(version, Change::Of(name));
        true
    }

    /// Takes the file of that name out. Tells whether there was one.
    pub fn remove(&mut self, name: &Name) -> bool {
        let Some(old) = self.files.remove(name) else { return false };
        self.bytes -= old.size;
        self.changes.remove(&old.version);
        let version = self.next_version();
        self.changes.insert(version, Change::Of(name.clone()));
        self.gone.insert(name.clone(), version);
        if self.gone.len() > TOMBSTONES_MIN.max(self.files.len()) {
            self.start_anew();
        }
        true
    }

    /// The person took this content back.
    pub fn take_back(&mut self, root: Root) {
        let version = self.next_version();
        self.changes.insert(version, Change::TakenBack(root));
        self.taken_back.push_back(version);
        if self.taken_back.len() > TAKEN_BACK_MAX
            && let Some(oldest) = self.taken_back.pop_front()
        {
            self.changes.remove(&oldest);
        }
    }

    /// The files that answer for `wanted`, ascending, behind `after`: at most a page, and whether
    /// there are more.
    pub fn find(&self, wanted: &Name, after: Option<&Name>) -> (Vec<FileEntry>, bool) {
        let mut page = Page::new();
        let exact = self.files.get_key_value(wanted).filter(|_| after.is_none_or(|a| a < wanted));
        for (name, filed) in exact.into_iter().chain(self.below(wanted, after)) {
            if !page.takes(name) {
                return (page.files, true);
            }
            page.files.push(filed.entry(name));
        }
        (page.files, false)
    }

    /// The files that are meant, ascending, behind `after`: at most a page, of bounded work,
    /// and where to go on, if that was not all.
    pub fn search(
        &self,
        matcher: &Matcher,
        after: Option<&Name>,
    ) -> (Vec<FileEntry>, Option<Name>) {
        let (mut page, mut cost) = (Page::new(), 0);
        let mut reached = after;
        let behind = self.files.range::<Name, _>((after.map_or(Unbounded, Excluded), Unbounded));
        for (name, filed) in behind {
            if cost >= SEARCH_COST_MAX {
                return (page.files, reached.cloned());
            }
            let text = name.as_str();
            cost += NEXT_NAME_COST + text.len();
            if matcher.may_mean(text) {
                cost += matcher.cost(text.len());
                if matcher.means(text, &filed.root) {
                    if !page.takes(name) {
                        return (page.files, reached.cloned());
                    }
                    page.files.push(filed.entry(name));
                }
            }
            reached = Some(name);
        }
        (page.files, None)
    }

    /// All files, ascending by name.
    pub fn iter(&self) -> impl Iterator<Item = FileEntry> + '_ {
        self.files.iter().map(|(name, filed)| filed.entry(name))
    }

    /// The next page of changes for somebody who is at `from`; from nothing, when that is not a
    /// version of this epoch.
    pub fn delta(&self, from: Stamp) -> CatalogueDelta {
        let known = from.epoch == self.stamp.epoch && from.version <= self.stamp.version;
        let from = if known { from.version } else { 0 };
        let (mut page, mut to) = (Page::new(), self.stamp.version);
        let mut last = from;
        for (version, change) in self.changes.range((Excluded(from), Unbounded)) {
            let fits = match change {
                Change::Of(name) => page.takes(name),
                Change::TakenBack(root) => page.takes_bytes(root.as_bytes().len()),
            };
            if !fits {
                to = last;
                break;
            }
            match change {
                Change::TakenBack(root) => page.taken_back.push(*root),
                Change::Of(name) => match self.files.get(name) {
                    Some(filed) => {
                        page.files.push(Held { entry: filed.entry(name), kept: filed.kept });
                    }
                    None => page.gone.push(name.clone()),
                },
            }
            last = *version;
        }
        CatalogueDelta {
            epoch: self.stamp.epoch,
            from,
            to,
            added: List::of(page.files),
            removed: List::of(page.gone),
            taken_back: List::of(page.taken_back),
        }
    }

    fn below<'a>(
        &'a self,
        folder: &'a Name,
        after: Option<&Name>,
    ) -> impl Iterator<Item = (&'a Name, &'a Filed)> {
        // The least name there can be below the folder; without one, nothing is below it.
        let first = Name::parse(&format!("{}/\u{1}", folder.as_str())).ok();
        first.into_iter().flat_map(move |first| {
            let start = match after {
                Some(after) if *after >= first => Excluded(after.clone()),
                _ => Included(first),
            };
            self.files.range((start, Unbounded)).take_while(|(name, _)| name.is_below(folder))
        })
    }

    fn next_version(&mut self) -> u64 {
        self.stamp.version += 1;
        self.stamp.version
    }

    /// Forgets what is gone: receivers begin at nothing, in a new epoch.
    fn start_anew(&mut self) {
        self.stamp = Stamp { epoch: self.stamp.epoch.wrapping_add(1), version: 0 };
        self.gone.clear();
        self.changes.clear();
        self.taken_back.clear();
        for (name, filed) in &mut self.files {
            self.stamp.version += 1;
            filed.version = self.stamp.version;
            self.changes.insert(filed.version, Change::Of(name.clone()));
        }
    }
}

impl Filed {
    fn entry(&self, name: &Name) -> FileEntry {
        let Filed { size, root, modified, executable, .. } = *self;
        FileEntry { name: name.clone(), size, root, modified, executable }
    }
}

/// A page as it fills: bounded in number and in bytes of names.
struct Page<F> {
    files: Vec<F>,
    gone: Vec<Name>,
    taken_back: Vec<Root>,
    bytes: usize,
}

impl<F> Page<F> {
    fn new() -> Page<F> {
        Page { files: Vec::new(), gone: Vec::new(), taken_back: Vec::new(), bytes: 0 }
    }

    /// Whether `name` still fits; its bytes are then counted.
    fn takes(&mut self, name: &Name) -> bool {
        self.takes_bytes(name.as_str().len())
    }

    fn takes_bytes(&mut self, more: usize) -> bool {
        let bytes = self.bytes + more;
        let items = self.files.len() + self.gone.len() + self.taken_back.len();
        let fits = items < PAGE_FILES_MAX && bytes <= PAGE_BYTES_MAX;
        if fits {
            self.bytes = bytes;
        }
        fits
    }
}

#[cfg(test)]
#[path = "catalogue_tests.rs"]
mod tests;
