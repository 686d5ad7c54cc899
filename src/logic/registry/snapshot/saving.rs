//! A registry becomes records, a step at a time.
//!
//! Invariant: a step looks at a bounded number of nodes, names or owners, whatever their number in
//! all; a name that stands there from the first step to the last is told once. Ends with `End`.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};

use super::{Record, SavedNode};
use crate::base::limits::PAGE_PEERS_MAX;
use crate::base::{NodeId, Time};
use crate::logic::registry::Registry;
use crate::logic::registry::index::{CopyKey, Cursor};
use crate::wire::List;
use crate::wire::message::tracker::Stamp;

/// What comes next.
#[derive(Debug)]
enum Stage {
    /// The nodes behind this one.
    Nodes(Option<NodeId>),
    Files,
    /// The copies behind this one.
    Whole(Option<CopyKey>),
    End,
    Over,
}

/// A way through a registry.
#[derive(Debug)]
pub struct Saving {
    stage: Stage,
    /// The copies as their nodes were told of.
    copies: BTreeMap<CopyKey, (NodeId, Stamp)>,
    nodes: u64,
    files: u64,
    /// For the files.
    cursor: Cursor,
}

impl Default for Saving {
    fn default() -> Saving {
        Saving {
            stage: Stage::Nodes(None),
            copies: BTreeMap::new(),
            nodes: 0,
            files: 0,
            cursor: Cursor::default(),
        }
    }
}

impl Saving {
    /// Looks at so few files in one step.
    #[cfg(test)]
    pub(super) fn in_steps_of(step: usize) -> Saving {
        Saving { cursor: Cursor::in_steps_of(step), ..Saving::default() }
    }
}

impl Registry {
    /// Grows with whatever a snapshot tells of.
    pub fn revision(&self) -> u64 {
        self.peers.version() + self.index.changes()
    }

    /// The next record; none when all has been told.
    pub fn save_step(&self, now: Time, saving: &mut Saving) -> Option<Record> {
        match std::mem::replace(&mut saving.stage, Stage::Over) {
            Stage::Nodes(after) => Some(self.save_nodes(now, saving, after)),
            Stage::Files => {
                let files = self.index.save_step(&mut saving.cursor, &saving.copies);
                saving.files += files.len() as u64;
                let goes_on = saving.cursor.goes_on();
                saving.stage = if goes_on { Stage::Files } else { Stage::Whole(None) };
                Some(Record::Files(List::of(files)))
            }
            Stage::Whole(after) => Some(self.save_whole(saving, after)),
            Stage::End => Some(Record::End { nodes: saving.nodes, files: saving.files }),
            Stage::Over => None,
        }
    }

    fn save_nodes(&self, now: Time, saving: &mut Saving, after: Option<NodeId>) -> Record {
        let mut saved = Vec::new();
        let behind = after.map_or(Unbounded, Excluded);
        for info in self.peers.listed(behind).take(PAGE_PEERS_MAX) {
            let Some((heartbeat_s, silent_s)) = self.habits(now, &info.id) else { continue };
            let number = self.index.copy_key(&info.id);
            saved.push(SavedNode {
                info: info.clone(),
                heartbeat_s,
                silent_s,
                number: number.map(CopyKey::number),
            });
            saving.copies.extend(number.and_then(|key| Some((key, self.index.copy_of(key)?))));
        }
        saving.nodes += saved.len() as u64;
        saving.stage = match saved.last() {
            Some(last) if saved.len() == PAGE_PEERS_MAX => Stage::Nodes(Some(last.info.id)),
            _ => Stage::Files,
        };
        Record::Nodes(List::of(saved))
    }

    fn save_whole(&self, saving: &mut Saving, after: Option<CopyKey>) -> Record {
        let behind = (after.map_or(Unbounded, Excluded), Unbounded);
        let page: Vec<(CopyKey, (NodeId, Stamp))> =
            saving.copies.range(behind).take(PAGE_PEERS_MAX).map(|(k, s)| (*k, *s)).collect();
        saving.stage = match page.last() {
            Some((last, _)) if page.len() == PAGE_PEERS_MAX => Stage::Whole(Some(*last)),
            _ => Stage::End,
        };
        let unchanged =
            page.into_iter().filter(|(key, was)| self.index.copy_of(*key) == Some(*was));
        Record::Whole(List::of(unchanged.map(|(key, (_, stamp))| (key.number(), stamp)).collect()))
    }
}
