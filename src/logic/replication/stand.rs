//! How it stands with one file at one time: which of its copies count, and for what.
//!
//! Invariant: a node is in one of the lists at most; a copy at a node that has gone for longer than
//! the grace, or that is on its way for too long, is in none.

use super::{File, Holder, Node, Patience, Standing, View, copy_time_max};
use crate::base::{NodeId, Time};

/// The copies of a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Stand {
    /// Verified, at nodes that are there.
    pub(super) there: Vec<NodeId>,
    /// Verified, at nodes that may come back or have not told all yet; the last that may come back is
    /// waited for until the moment.
    pub(super) away: Vec<NodeId>,
    pub(super) waits_until: Option<Time>,
    /// On the way.
    pub(super) coming: Vec<NodeId>,
    /// At nodes that are there, from whom it could not be copied. They do not count.
    pub(super) doubted: Vec<NodeId>,
    /// At nodes that are there, and were told to remove it. They do not count.
    pub(super) leaving: Vec<NodeId>,
    /// How many there are to be.
    pub(super) wanted: usize,
}

impl Stand {
    pub(super) fn of(file: &File, view: &View, now: Time) -> Stand {
        let wanted = match file.standing {
            // The last copy is nobody's to remove.
            Standing::Published => file.wanted.max(1) as usize,
            Standing::Withdrawn => 0,
        };
        let mut stand = Stand { wanted, ..Stand::default() };
        for id in file.holders.keys() {
            if let Some(node) = view.nodes.get(id) {
                stand.count(file, *id, node, view.patience, now);
            }
        }
        for (id, since) in &file.under_way {
            let counts =
                view.nodes.get(id).is_some_and(|node| is_expected(node, view.patience, now));
            let in_time = now.since(*since) < copy_time_max(file.size);
            if counts && in_time && !file.holders.contains_key(id) {
                stand.coming.push(*id);
            }
        }
        stand
    }

    fn count(&mut self, file: &File, id: NodeId, node: &Node, patience: Patience, now: Time) {
        match node.gone_since {
            None if file.doubted.contains(&id) => self.doubted.push(id),
            None if file.leaving.contains(&id) => self.leaving.push(id),
            None if file.unsure.contains(&id) => self.away.push(id),
            None => self.there.push(id),
            Some(_) if file.doubted.contains(&id) || file.leaving.contains(&id) => {}
            Some(gone) if now.since(gone) < patience.grace => {
                self.away.push(id);
                self.waits_until = self.waits_until.max(Some(gone + patience.grace));
            }
            Some(_) => {}
        }
    }

    /// How many copies are missing: of those that are leaving some may stay, the rest is ordered.
    pub(super) fn missing(&self) -> usize {
        let counted = self.there.len() + self.away.len() + self.coming.len();
        self.wanted.saturating_sub(counted)
    }

    /// How many copies are to be ordered.
    pub(super) fn lacking(&self) -> usize {
        self.missing().saturating_sub(self.leaving.len())
    }

    /// Nodes that are to end the copy that they are making: there are enough.
    pub(super) fn cancelled(&self) -> impl Iterator<Item = NodeId> {
        let enough = self.there.len() >= self.wanted;
        self.coming.iter().copied().filter(move |_| enough)
    }

    /// Nodes that are there and keep it for others.
    pub(super) fn replicas(&self, file: &File) -> Vec<NodeId> {
        let replica = |id: &NodeId| file.holders.get(id) == Some(&Holder::Replica);
        self.there.iter().copied().filter(replica).collect()
    }

    /// How many replicas may go: as many as there are beyond what is wanted of replicas and one
    /// person's own copy. That somebody has a file as his own is his word alone, so that however many
    /// say so, they do not replace the replicas of others.
    pub(super) fn surplus(&self, file: &File) -> usize {
        let replicas = self.replicas(file).len();
        let own = (self.there.len() - replicas).min(1);
        (replicas + own).saturating_sub(self.wanted).min(replicas)
    }

    /// Who can be named as a source: first those of whom nothing bad is known.
    pub(super) fn sources(&self) -> impl Iterator<Item = NodeId> {
        self.there.iter().chain(&self.leaving).chain(&self.doubted).copied()
    }
}

/// How it stands with one file, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Copies there are to be.
    pub wanted: usize,
    /// Copies that are there.
    pub there: usize,
    /// Whether copies are missing.
    pub lacks: bool,
    /// Replicas that are too many.
    pub surplus: usize,
    /// Whether copies are being made that are not wanted any more, or removed that are missing.
    pub turns: bool,
    /// Whether anybody is there who has it.
    pub has_source: bool,
}

/// How it stands with a file, which need not be in the view.
pub fn tally(view: &View, file: &File, now: Time) -> Tally {
    let stand = Stand::of(file, view, now);
    Tally {
        wanted: stand.wanted,
        there: stand.there.len(),
        lacks: stand.missing() > 0,
        surplus: stand.surplus(file),
        turns: stand.cancelled().next().is_some()
            || (!stand.leaving.is_empty() && stand.missing() > 0),
        has_source: stand.sources().next().is_some(),
    }
}

/// Whether it is there, or may be back soon.
fn is_expected(node: &Node, patience: Patience, now: Time) -> bool {
    node.gone_since.is_none_or(|gone| now.since(gone) < patience.grace)
}
