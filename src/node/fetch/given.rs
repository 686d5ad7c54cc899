//! What others may have of a set while it is fetched here, and what they say of each other.
//!
//! Invariant: only what is verified is shown; it is lent from the fetch's beginning until that is halted
//! or everything has its name and is shared. Whom others name is dialled only if the person's choice of
//! owners is theirs.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;

use super::file::content;
use super::resolve::{Wanted, is_meant};
use super::set::Fetch;
use super::sink::Sink;
use crate::base::{Bitmap, FileEntry, Manifest, Name, PeerInfo, Root};
use crate::io::clock;
use crate::io::disk::LentBatch;
use crate::io::index::Index;
use crate::wire::message::search::Part;
use crate::wire::message::transfer::{Content, Set};

/// Where what is verified of a set is read.
#[derive(Debug, Clone)]
pub(in crate::node) enum Lent {
    /// A file's part.
    Part(Arc<File>),
    /// Small files.
    Small(Arc<LentBatch>),
}

/// A set that is fetched here and lent.
pub(in crate::node) struct Growing {
    /// What is verified.
    pub(in crate::node) have: Bitmap,
    /// Whether more may come.
    pub(in crate::node) hopes: bool,
    /// What it is called.
    pub(in crate::node) name: Name,
}

/// Which item of `set` each file is.
pub(super) fn items_of(set: &Set, files: &[Wanted]) -> Vec<(FileEntry, u32)> {
    let numbers: BTreeMap<Content, u32> = match set {
        Set::File(only) => [(*only, 0)].into(),
        Set::Batch(list) => list.iter().copied().zip(0..).collect(),
    };
    let number =
        |wanted: &Wanted| Some((wanted.entry.clone(), *numbers.get(&content(&wanted.entry))?));
    files.iter().filter_map(number).collect()
}

/// Which of the `count` items of `set` are shared here.
pub(in crate::node) fn shared(index: &Index, set: &Set, count: u32) -> Bitmap {
    let is_shared = |content: &Content| {
        index.entry_of(&content.root).is_some_and(|entry| entry.size == content.size)
    };
    match set {
        Set::File(content) if is_shared(content) => Bitmap::all(count),
        Set::File(_) => Bitmap::none(count),
        Set::Batch(list) => {
            let mut shared = Bitmap::none(count);
            for (item, _) in (0_u32..).zip(list.iter()).filter(|(_, c)| is_shared(c)) {
                shared.insert(item);
            }
            shared
        }
    }
}

impl Fetch {
    /// Where what is verified is read, while it may be served. What a person withholds is not: of a
    /// batch that is each file's own.
    pub(super) fn lent(&self) -> Option<Lent> {
        let lent = self.lent.lock().clone()?;
        let withheld = |entry: &FileEntry| self.withholds(&entry.name);
        let gone = !self.files.is_empty()
            && !self.items.is_batch()
            && self.files.iter().all(|(entry, _)| withheld(entry));
        (!gone).then_some(lent)
    }

    fn withholds(&self, name: &Name) -> bool {
        self.index.as_ref().is_some_and(|index| index.withholds(name))
    }

    /// What is here, while it may be served.
    pub(super) fn growing(&self) -> Option<Growing> {
        self.lent()?;
        let state = self.state.lock();
        let (have, hopes) = (state.shares.verified().clone(), state.hopes());
        Some(Growing { have, hopes, name: self.name.clone() })
    }

    /// Those of its files that answer for `name` and can be had here in part, at most `room` of them.
    pub(super) fn parts(&self, name: &Name, room: usize) -> Vec<Part> {
        if self.lent().is_none() || !self.is_going_on() {
            return Vec::new();
        }
        let (verified, items) = (self.state.lock().shares.verified().clone(), self.items.count());
        let part = |(entry, item): &(FileEntry, u32)| {
            let (have, of) = match self.items.is_batch() {
                true => (u32::from(verified.contains(*item)), 1),
                false => (verified.count(), items),
            };
            let offered = have > 0 && entry.name.answers(name) && !self.withholds(&entry.name);
            offered.then(|| Part { entry: entry.clone(), have, of })
        };
        self.files.iter().filter_map(part).take(room).collect()
    }

    /// Which items are shared, whatever becomes of the fetch.
    pub(super) fn shared(&self) -> Bitmap {
        match &self.index {
            Some(index) => shared(index, &self.set, self.items.count()),
            None => Bitmap::none(self.items.count()),
        }
    }

    /// Whether it is the file `root`.
    pub(super) fn is_of(&self, root: &Root) -> bool {
        matches!(&self.set, Set::File(content) if content.root == *root)
    }

    /// What the chunks of a file must hash to, while they are fetched.
    pub(super) fn manifest(&self) -> Option<Manifest> {
        match self.sink.read().as_ref() {
            Some(Sink::File { manifest, .. }) => Some(manifest.clone()),
            _ => None,
        }
    }

    /// Others fetch the set too: they are asked for what they have, if the person's choice is theirs.
    pub(super) fn found(&self, peers: Vec<PeerInfo>) {
        let meant = |peer: &PeerInfo| peer.id != self.ctx.me && is_meant(peer, &self.from);
        let peers: Vec<PeerInfo> = peers.into_iter().filter(meant).collect();
        self.company.met(&peers);
        self.state.lock().owners.heard(clock::now(), peers);
        self.changed.notify_all();
    }
}
