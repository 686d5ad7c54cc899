//! Records become a registry again.
//!
//! Invariant: nothing of what is restored counts as alive: the nodes are remembered, not listed as
//! heard, and their copies are stale until they register. Records that no registry has written are
//! refused, and with them everything; every number in them is checked before it is used.

use std::collections::{BTreeMap, BTreeSet};

use super::{Record, SavedFile, SavedNode};
use crate::base::{Kept, Name, Time};
use crate::logic::registry::Registry;
use crate::logic::registry::index::{CopyKey, IndexError};
use crate::logic::registry::remembered::Remembered;
use crate::wire::message::tracker::Stamp;

/// Why records are no snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// There are fewer than there were, or more.
    #[error("it is not whole")]
    NotWhole,
    /// What stands there contradicts itself.
    #[error("{0}")]
    Nonsense(&'static str),
    /// It is of a tracker that took more in.
    #[error("{0}")]
    TooMuch(#[from] IndexError),
}

/// What has been taken up to now: of each part there is a record at least, if an empty one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Nothing,
    Nodes,
    Files,
    Whole,
    End,
}

/// A registry in the making.
#[derive(Debug)]
pub struct Restoring {
    registry: Registry,
    stage: Stage,
    remembered: Remembered,
    /// What the numbers stand for.
    copies: BTreeMap<u32, CopyKey>,
    whole: BTreeSet<u32>,
    nodes: u64,
    files: u64,
    last: Option<Name>,
}

impl Restoring {
    /// Nothing yet, at `now`; `registry` is a new one.
    pub fn new(now: Time, registry: Registry) -> Restoring {
        Restoring {
            registry,
            stage: Stage::Nothing,
            remembered: Remembered::since(now),
            copies: BTreeMap::new(),
            whole: BTreeSet::new(),
            nodes: 0,
            files: 0,
            last: None,
        }
    }

    /// The next record.
    ///
    /// # Errors
    /// No registry has written it; what was taken before is worth nothing then.
    pub fn take(&mut self, record: Record) -> Result<(), SnapshotError> {
        let stage = match &record {
            Record::Nodes(_) => Stage::Nodes,
            Record::Files(_) => Stage::Files,
            Record::Whole(_) => Stage::Whole,
            Record::End { .. } => Stage::End,
        };
        let steps = (stage as u8).checked_sub(self.stage as u8);
        if steps.is_none_or(|steps| steps > 1) || self.stage == Stage::End {
            return Err(SnapshotError::Nonsense("its parts are not in their order"));
        }
        self.stage = stage;
        match record {
            Record::Nodes(nodes) => nodes.into_vec().into_iter().try_for_each(|n| self.node(n)),
            Record::Files(files) => files.into_vec().into_iter().try_for_each(|f| self.file(&f)),
            Record::Whole(whole) => whole.iter().try_for_each(|(n, stamp)| self.whole(*n, *stamp)),
            Record::End { nodes, files } if (nodes, files) == (self.nodes, self.files) => Ok(()),
            Record::End { .. } => Err(SnapshotError::NotWhole),
        }
    }

    /// The registry.
    ///
    /// # Errors
    /// The records have no end.
    pub fn finish(mut self) -> Result<Registry, SnapshotError> {
        if self.stage != Stage::End {
            return Err(SnapshotError::NotWhole);
        }
        self.registry.list_remembered(self.remembered);
        Ok(self.registry)
    }

    fn node(&mut self, node: SavedNode) -> Result<(), SnapshotError> {
        if self.nodes >= 2 * self.registry.limits.nodes as u64 {
            return Err(SnapshotError::Nonsense("it has more nodes than a tracker lists"));
        }
        self.nodes += 1;
        let (id, number) = (node.info.id, node.number);
        if !self.remembered.insert(node) {
            return Err(SnapshotError::Nonsense("a node is there twice"));
        }
        let Some(number) = number else { return Ok(()) };
        let key = self.registry.index.begin_stale(id);
        match self.copies.insert(number, key) {
            None => Ok(()),
            Some(_) => Err(SnapshotError::Nonsense("two nodes have one number")),
        }
    }

    fn file(&mut self, file: &SavedFile) -> Result<(), SnapshotError> {
        self.files += 1;
        if self.last.as_ref().is_some_and(|last| *last > file.entry.name) {
            return Err(SnapshotError::Nonsense("its names are not in their order"));
        }
        let owner = |(number, kept): &(u32, Kept)| Some((*self.copies.get(number)?, *kept));
        let owners: Option<Vec<(CopyKey, Kept)>> = file.owners.iter().map(owner).collect();
        let owners = owners.filter(|owners| !owners.is_empty());
        let owners = owners.ok_or(SnapshotError::Nonsense("a file's owner is not there"))?;
        self.registry.index.restore(&file.entry, &owners)?;
        self.last = Some(file.entry.name.clone());
        Ok(())
    }

    fn whole(&mut self, number: u32, stamp: Stamp) -> Result<(), SnapshotError> {
        let Some(key) = self.copies.get(&number).filter(|_| self.whole.insert(number)) else {
            return Err(SnapshotError::Nonsense("a list of files is there twice, or not at all"));
        };
        self.registry.index.vouch(*key, stamp);
        Ok(())
    }
}
