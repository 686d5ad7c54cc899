//! What stands under the names: sizes, roots and owners, in records of a fixed size.
//!
//! Invariant: a record in use stands in `roots` once. A number is used again only after its record
//! was taken out. Records lie in runs that never move, so that taking one more in never copies all.

use std::collections::BTreeSet;
use std::ops::Bound::{Excluded, Unbounded};

use super::CopyKey;
use super::names::BlockId;
use super::owners::{Holding, OwnerLists, Owners};
use crate::base::{FileEntry, Kept, Modified, Name, Root};

/// Records in one run: 256 KiB.
const RUN: usize = 4_096;
/// The executable bit in `Record::size`; a size is far below it.
const EXECUTABLE: u64 = 1 << 63;

/// A record's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ContentId(pub(super) u32);

/// One content of one name.
#[derive(Debug)]
struct Record {
    root: Root,
    /// Bytes, and `EXECUTABLE`.
    size: u64,
    /// As the last owner to tell of it says, like the executable bit; the root does not cover them.
    secs: i64,
    nanos: u32,
    block: BlockId,
    owners: Owners,
}

/// What is added here is added to every file.
const _: () = assert!(size_of::<Record>() == 64);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Contents {
    runs: Vec<Vec<Record>>,
    free: Vec<ContentId>,
    /// The first eight bytes of each root in use.
    roots: BTreeSet<(u64, ContentId)>,
    lists: OwnerLists,
}

fn first_bytes(root: &Root) -> u64 {
    let (first, _) = root.as_bytes().split_first_chunk().unwrap_or((&[0; 8], &[]));
    u64::from_be_bytes(*first)
}

impl Contents {
    /// How many.
    pub(super) fn len(&self) -> usize {
        self.roots.len()
    }

    /// One more than the largest number there ever was.
    pub(super) fn end(&self) -> u32 {
        self.runs.last().map_or(0, |last| (self.runs.len() - 1) * RUN + last.len()) as u32
    }

    /// The number `n`, when it may be one.
    pub(super) fn id(&self, n: u32) -> Option<ContentId> {
        (n < self.end()).then_some(ContentId(n))
    }

    /// Takes in what `entry` says, as `owner` has it.
    pub(super) fn insert(&mut self, entry: &FileEntry, owner: Holding) -> ContentId {
        let record = Record {
            root: entry.root,
            size: entry.size | if entry.executable { EXECUTABLE } else { 0 },
            secs: entry.modified.secs,
            nanos: entry.modified.nanos,
            block: BlockId::NOWHERE,
            owners: Owners::one(owner),
        };
        let id = self.free.pop().unwrap_or(ContentId(self.end()));
        let (run, at) = (id.0 as usize / RUN, id.0 as usize % RUN);
        if run == self.runs.len() {
            self.runs.push(Vec::with_capacity(RUN));
        }
        match self.runs[run].get_mut(at) {
            Some(place) => *place = record,
            None => self.runs[run].push(record),
        }
        self.roots.insert((first_bytes(&entry.root), id));
        id
    }

    /// Takes a content out that nobody has any more; says how large it was.
    pub(super) fn remove(&mut self, id: ContentId) -> u64 {
        let record = self.record_mut(id);
        record.owners = Owners::default();
        let (root, size) = (record.root, record.size & !EXECUTABLE);
        self.roots.remove(&(first_bytes(&root), id));
        self.free.push(id);
        size
    }

    fn record(&self, id: ContentId) -> &Record {
        &self.runs[id.0 as usize / RUN][id.0 as usize % RUN]
    }

    fn record_mut(&mut self, id: ContentId) -> &mut Record {
        &mut self.runs[id.0 as usize / RUN][id.0 as usize % RUN]
    }

    /// The file, under its name.
    pub(super) fn entry(&self, id: ContentId, name: Name) -> FileEntry {
        let record = self.record(id);
        let (size, executable) = (record.size & !EXECUTABLE, record.size & EXECUTABLE != 0);
        let modified = Modified { secs: record.secs, nanos: record.nanos };
        FileEntry { name, size, root: record.root, modified, executable }
    }

    /// Its root.
    pub(super) fn root(&self, id: ContentId) -> &Root {
        &self.record(id).root
    }

    /// Whether `entry` is this content.
    pub(super) fn is(&self, id: ContentId, entry: &FileEntry) -> bool {
        let record = self.record(id);
        record.root == entry.root && record.size & !EXECUTABLE == entry.size
    }

    /// Who has it, ascending; nobody: the number is free.
    pub(super) fn owners(&self, id: ContentId) -> &[Holding] {
        self.lists.of(&self.record(id).owners)
    }

    /// One more has it, and says of it what `entry` says.
    pub(super) fn add_owner(&mut self, id: ContentId, entry: &FileEntry, owner: Holding) {
        let record = &mut self.runs[id.0 as usize / RUN][id.0 as usize % RUN];
        record.size = entry.size | if entry.executable { EXECUTABLE } else { 0 };
        (record.secs, record.nanos) = (entry.modified.secs, entry.modified.nanos);
        self.lists.add(&mut record.owners, owner);
    }

    /// One less has it; as what, if he had.
    pub(super) fn remove_owner(&mut self, id: ContentId, owner: CopyKey) -> Option<Kept> {
        let record = &mut self.runs[id.0 as usize / RUN][id.0 as usize % RUN];
        self.lists.remove(&mut record.owners, owner)
    }

    /// Where its name is.
    pub(super) fn block(&self, id: ContentId) -> BlockId {
        self.record(id).block
    }

    /// Its name is there now.
    pub(super) fn set_block(&mut self, id: ContentId, block: BlockId) {
        self.record_mut(id).block = block;
    }

    /// The first bytes of every root behind `after`, and what has such a root, in order.
    pub(super) fn in_order(
        &self,
        after: Option<u64>,
    ) -> impl Iterator<Item = (u64, ContentId)> + '_ {
        let start = after.map_or(Unbounded, |after| Excluded((after, ContentId(u32::MAX))));
        self.roots.range((start, Unbounded)).copied()
    }

    /// The contents whose roots have the same first bytes as `root`.
    pub(super) fn alike(&self, root: &Root) -> impl Iterator<Item = ContentId> + '_ {
        let first = first_bytes(root);
        let range = (first, ContentId(0))..=(first, ContentId(u32::MAX));
        self.roots.range(range).map(|(_, id)| *id)
    }

    /// Bytes.
    pub(super) fn size(&self, id: ContentId) -> u64 {
        self.record(id).size & !EXECUTABLE
    }

    /// The contents whose roots begin as `least` does and do not lie behind `most`, by root.
    pub(super) fn by_root(&self, least: &Root, most: &Root) -> impl Iterator<Item = ContentId> {
        let range = (first_bytes(least), ContentId(0))..=(first_bytes(most), ContentId(u32::MAX));
        let within = move |id: &ContentId| (*least..=*most).contains(self.root(*id));
        self.roots.range(range).map(|(_, id)| *id).filter(within)
    }
}
