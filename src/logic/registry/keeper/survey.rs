//! A look at the index, in steps: the view of those files that a plan has to do with.
//!
//! Invariant: a step reads under the registry's lock and is short; the plan is made without the lock,
//! and what it wants is held against what has become of the nodes meanwhile (`adopt`). A look ends
//! with the index, or when `CANDIDATES_MAX` files were found; the next one goes on behind it. So the
//! most endangered go first among so many, and no file is passed over.

use std::collections::{BTreeMap, BTreeSet};

use super::super::Registry;
use super::super::index::{Content, names_of};
use super::pairs::PAIRS_MAX;
use super::{CALM_MAX, Calm, CopyTotals, Ordered, TRIM_TIME_MAX};
use crate::base::{Kept, NodeId, Root, Time};
use crate::logic::replication::{
    self, COPIES_MAX, File, Holder, Node, ORDERS_MAX, Order, Plan, Standing, View, copy_time_max,
};
use crate::wire::message::copies::TRIMS_MAX;

/// Files in one view.
const CANDIDATES_MAX: usize = 512;
/// Steps in one look.
const STEPS_MAX: usize = 16;

/// See the module.
#[derive(Debug)]
pub struct Survey {
    view: View,
    after: Option<u64>,
    places: Places,
    steps: usize,
    is_over: bool,
    marks: Vec<(Root, u64)>,
    counted: CopyTotals,
}

/// The files that are gathered because they lack copies which somebody could take.
#[derive(Debug)]
struct Places {
    /// How many more orders there may be.
    most: usize,
    /// Bytes that each node takes which may be given an order, ascending.
    rooms: Vec<u64>,
    /// How many copies each has.
    taken: BTreeSet<(usize, Root)>,
}

impl Places {
    fn of(view: &View, orders: usize) -> Places {
        let takers = view.nodes.values().filter(|node| node.places() > 0);
        let (most, mut rooms) =
            takers.map(|node| (node.places(), node.room)).unzip::<_, _, Vec<_>, Vec<_>>();
        rooms.sort_unstable();
        let most = most.into_iter().sum::<usize>().min(orders).min(ORDERS_MAX);
        Places { most, rooms, taken: BTreeSet::new() }
    }

    /// Whether a node may be given an order that neither has the file nor tries, or has tried.
    fn has_target(&self, view: &View, file: &File) -> bool {
        let with_room = self.rooms.len() - self.rooms.partition_point(|room| *room < file.size);
        let known = file.holders.keys().chain(file.under_way.keys()).chain(&file.barred);
        let takes = |id: &&NodeId| {
            let node = view.nodes.get(id);
            node.is_some_and(|node| node.places() > 0 && node.room >= file.size)
        };
        with_room > known.filter(takes).collect::<BTreeSet<_>>().len()
    }

    /// Whether a file that has so many copies finds a place, and which one makes way for it.
    fn take(&mut self, there: usize, root: Root) -> (bool, Option<Root>) {
        if self.taken.len() < self.most {
            return (self.taken.insert((there, root)), None);
        }
        match self.taken.last().copied() {
            Some((copies, best)) if there < copies => {
                self.taken.remove(&(copies, best));
                (self.taken.insert((there, root)), Some(best))
            }
            _ => (false, None),
        }
    }
}

impl Survey {
    /// What is to be done.
    pub fn plan(&self, now: Time) -> Plan {
        replication::plan(&self.view, now)
    }

    /// How many files the plan is made of.
    #[cfg(test)]
    pub(super) fn gathered(&self) -> usize {
        self.view.files.len()
    }

    /// Whether another step brings more.
    pub fn goes_on(&self) -> bool {
        !self.is_over && self.steps < STEPS_MAX && self.view.files.len() < CANDIDATES_MAX
    }
}

impl Registry {
    /// Begins a look, where the one before ended.
    pub fn begin_survey(&self, now: Time) -> Survey {
        let view = self.nodes_in_view(now);
        let places = Places::of(&view, PAIRS_MAX - self.keeper.orders.len());
        Survey {
            view,
            after: self.keeper.after,
            places,
            steps: 0,
            is_over: false,
            marks: Vec::new(),
            counted: CopyTotals::default(),
        }
    }

    /// One step.
    pub fn survey(&self, now: Time, survey: &mut Survey) {
        let mut after = survey.after;
        let goes_on = self.index.survey(&mut after, |content| {
            self.look_at(now, survey, &content);
            survey.view.files.len() < CANDIDATES_MAX
        });
        survey.after = after;
        survey.steps += 1;
        survey.is_over = !goes_on;
    }

    fn look_at(&self, now: Time, survey: &mut Survey, content: &Content) {
        // Nobody has counted all of it: it is left as it is, and in no numbers.
        if content.is_cut {
            return;
        }
        let file = self.file_in_view(now, content, &survey.view);
        let stand = replication::tally(&survey.view, &file, now);
        survey.counted.wanted += stand.wanted as u64;
        survey.counted.there += stand.there.min(stand.wanted) as u64;
        if stand.surplus > 0 {
            survey.marks.push((content.root, mark(&file, &survey.view)));
        }
        let mut is_gathered = stand.surplus > 0 || stand.turns;
        if !is_gathered
            && stand.lacks
            && stand.has_source
            && survey.places.has_target(&survey.view, &file)
        {
            let (fits, gives_way) = survey.places.take(stand.there, content.root);
            gives_way.map(|root| survey.view.files.remove(&root));
            is_gathered = fits;
        }
        if is_gathered {
            survey.view.files.insert(content.root, file);
        }
    }

    /// A view of all nodes and no files.
    pub(super) fn nodes_in_view(&self, now: Time) -> View {
        let here = self.nodes.values().map(|node| {
            let (opted_in, room) = (node.offer.keeps, node.offer.room);
            let gone_since = node.missed_since(now);
            (node.id, Node { gone_since, opted_in, room, ..Node::default() })
        });
        let gone = self
            .keeper
            .gone
            .iter()
            .map(|(id, gone)| (*id, Node { gone_since: Some(gone.since), ..Node::default() }));
        let mut nodes: BTreeMap<NodeId, Node> = gone.chain(here).collect();
        // A node may have taken some of it off its room itself: too little is promised then, for a while.
        for (id, _, Ordered { entry, .. }) in self.keeper.orders.iter() {
            let Some(node) = nodes.get_mut(id) else { continue };
            node.copies += 1;
            node.ahead = node.ahead.saturating_add(entry.size);
            node.room = node.room.saturating_sub(entry.size);
        }
        let (is_complete, patience) = (self.keeper.is_open, self.keeper.policy.patience);
        View { is_complete, patience, nodes, files: BTreeMap::new() }
    }

    /// A file as plans see it.
    pub(super) fn file_in_view(&self, now: Time, content: &Content, view: &View) -> File {
        let Content { root, holders, .. } = content;
        let keeper = &self.keeper;
        let doubts: BTreeSet<NodeId> = keeper.doubts.of_root(root).map(|(id, _)| *id).collect();
        let size = content.size(|id| doubts.contains(id));
        let wanted = keeper.policy.wanted(root, names_of(&self.index, content, size));
        let is_own = holders.values().any(|holder| holder.kept != Kept::Replica);
        let standing = match keeper.withdrawn.contains_key(root) && !is_own {
            true => Standing::Withdrawn,
            false => Standing::Published,
        };
        let mut file = File::new(size, wanted, standing, now);
        // Who tells another size has something else.
        for (id, holder) in holders.iter().filter(|(_, holder)| holder.size == size) {
            let as_what = match holder.kept {
                Kept::Shared | Kept::Downloaded => Holder::Own,
                Kept::Replica => Holder::Replica,
            };
            file.holders.insert(*id, as_what);
            if holder.is_former && self.nodes.contains_key(id) {
                file.unsure.insert(*id);
            }
        }
        let held = |id: &NodeId| file.holders.contains_key(id);
        let ids = |(id, _): (&NodeId, &Time)| *id;
        let doubted = doubts.into_iter().filter(held).collect();
        let leaving = keeper.trims.of_root(root).map(ids).filter(held).collect();
        (file.doubted, file.leaving) = (doubted, leaving);
        file.barred = keeper.bars.of_root(root).map(ids).collect();
        let orders = keeper.orders.of_root(root);
        file.under_way = orders.map(|(id, order)| (*id, order.since)).collect();
        if let Some(calm) = keeper.calm.get(root)
            && calm.mark == mark(&file, view)
        {
            file.changed = calm.since;
        }
        file
    }

    /// Does what a plan wants, as far as it still can be.
    pub fn adopt(&mut self, now: Time, survey: &Survey, plan: Plan) {
        for (root, target) in plan.cancelled {
            self.keeper.orders.remove(&target, &root);
        }
        for spared in plan.spared {
            self.keeper.trims.remove(&spared.holder, &spared.root);
        }
        for order in plan.orders {
            let size = survey.view.files.get(&order.root).map_or(0, |file| file.size);
            self.order(now, order, size);
        }
        for trim in plan.trims {
            let of_node = self.keeper.trims.of_node(&trim.holder).count();
            if of_node < TRIMS_MAX {
                self.keeper.trims.insert(trim.holder, trim.root, now + TRIM_TIME_MAX);
            }
        }
        self.remember(now, survey);
    }

    fn order(&mut self, now: Time, order: Order, size: u64) {
        let Order { root, target, sources } = order;
        let is_there = self.nodes.get(&target).is_some_and(|node| node.offer.keeps);
        let of_node = self.keeper.orders.of_node(&target).count();
        let Some(entry) = self.index.entry_of(&root, size) else { return };
        if is_there && of_node < COPIES_MAX && !self.keeper.orders.contains(&target, &root) {
            let until = now + copy_time_max(entry.size);
            let ordered = Ordered { entry, sources, since: now, until };
            self.keeper.orders.insert(target, root, ordered);
        }
    }

    /// Since when the copies are the same, how many there are, and where the next look begins.
    fn remember(&mut self, now: Time, survey: &Survey) {
        let keeper = &mut self.keeper;
        let pass = keeper.pass;
        for (root, mark) in &survey.marks {
            let known = keeper.calm.get(root).filter(|calm| calm.mark == *mark);
            let since = known.map_or(now, |calm| calm.since);
            if keeper.calm.len() < CALM_MAX || keeper.calm.contains_key(root) {
                keeper.calm.insert(*root, Calm { mark: *mark, since, pass });
            }
        }
        keeper.counting.wanted += survey.counted.wanted;
        keeper.counting.there += survey.counted.there;
        keeper.after = survey.after;
        if survey.is_over {
            keeper.after = None;
            keeper.calm.retain(|_, calm| calm.pass == pass);
            keeper.pass += 1;
            let CopyTotals { wanted, there, .. } = std::mem::take(&mut keeper.counting);
            keeper.totals = CopyTotals { wanted, there, ..keeper.totals };
        }
    }
}

/// Differs when other copies count.
fn mark(file: &File, view: &View) -> u64 {
    let counts = |id: &&NodeId| {
        let is_there = view.nodes.get(id).is_some_and(|node| node.gone_since.is_none());
        is_there && !file.unsure.contains(id) && !file.doubted.contains(id)
    };
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[u8::from(file.standing == Standing::Withdrawn)]);
    hasher.update(&file.wanted.to_le_bytes());
    file.holders.keys().filter(counts).for_each(|id| _ = hasher.update(id.as_bytes()));
    let mut mark = [0; 8];
    hasher.finalize_xof().fill(&mut mark);
    u64::from_le_bytes(mark)
}
