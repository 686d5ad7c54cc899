//! Keeps as many copies of every file as there are to be: what a tracker remembers for that, and how
//! `logic::replication` is put to work on its index.
//!
//! ```text
//! index ── survey, in steps ──> view of the files not at rest ── plan ──> adopt ──> orders, trims
//!   ^                                 ^                                                │
//!   │ catalogue: it is there          │ doubts, bars, calm, withdrawn                  v
//! nodes <────── answers to register and heartbeat: all that is wanted of the node now ─┘
//! ```
//!
//! Invariant: only what the index says of nodes that are there counts as a copy; what is remembered
//! here makes copies count less, or later, never more. All of it is soft: a tracker that has lost it
//! waits until the nodes have told their files (`is_open`) and plans anew; so does one that misses more
//! than half of its nodes at once. A file is taken for published unless its last publisher said, while
//! it was there, that its person took it back: what is only gone is kept, and what is forgotten, too.
//!
//! Bounds: `pairs::PAIRS_MAX` in each table of orders, trims, blames, doubts and bars (a full one takes no more
//! until something ends), `CALM_MAX` files that have too many copies (more are trimmed later),
//! `WITHDRAWN_MAX` roots that were taken back (the oldest is forgotten first).

mod pairs;
mod policy;
mod survey;
mod why;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

pub use policy::{COPIES_WANTED_MAX, Policy, Rule};
pub use survey::Survey;

use self::pairs::Pairs;
use super::Registry;
use super::node::Node;
use crate::base::{FileEntry, Kept, NodeId, NodeLabel, Root, Time};
use crate::wire::List;
use crate::wire::message::copies::{
    COPIES_MAX, CopyEnd, CopyOrder, Duties, Outcome, SOURCES_MAX, TRIMS_MAX,
};
use crate::wire::message::tracker::CatalogueDelta;

/// How long a copy does not count that two nodes could not make use of, and for how long one that could
/// not is remembered.
const DOUBT_TIME: Duration = Duration::from_secs(3_600);
/// How long a node that could not make a copy is not asked for it again.
const BAR_TIME: Duration = Duration::from_secs(600);
/// How long a node may take to remove a replica; then it counts again.
const TRIM_TIME_MAX: Duration = Duration::from_secs(600);
/// How long a copy may take to be listed when its node has said that it is there.
const LIST_TIME_MAX: Duration = Duration::from_secs(60);
/// How long after its start a tracker waits at most for catalogues that do not come to an end.
const OPEN_TIME_MAX: Duration = Duration::from_secs(600);
/// How long a node that has come back may take to look through its folders and to tell its files.
const SETTLE_TIME_MAX: Duration = Duration::from_secs(3_600);
/// Files whose calm is watched at once.
const CALM_MAX: usize = 65_536;
/// Roots that were taken back and are remembered.
const WITHDRAWN_MAX: usize = 65_536;

/// A copy that was ordered.
#[derive(Debug)]
struct Ordered {
    entry: FileEntry,
    sources: Vec<NodeId>,
    since: Time,
    until: Time,
}

/// Who could not copy something from somebody: that one is asked last. Only with another node, at
/// another address, he is doubted.
#[derive(Debug, Clone, Copy)]
struct Blame {
    by: (NodeId, IpAddr),
    until: Time,
}

/// A node that has gone and is waited for.
#[derive(Debug)]
struct Gone {
    since: Time,
    label: NodeLabel,
}

/// Since when the copies of a file that has too many are the same.
#[derive(Debug, Clone, Copy)]
struct Calm {
    mark: u64,
    since: Time,
    pass: u64,
}

/// Copies in numbers: over one whole look at the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CopyTotals {
    /// Copies that there are to be.
    pub wanted: u64,
    /// Copies that are there, no more of a file than wanted.
    pub there: u64,
    /// Copies that are being made.
    pub under_way: u64,
    /// Replicas that are being removed.
    pub leaving: u64,
    /// Copies that failed since the start.
    pub failed: u64,
    /// Copies made since the start.
    pub made: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Keeper {
    policy: Policy,
    started: Option<Time>,
    is_open: bool,
    orders: Pairs<Ordered>,
    trims: Pairs<Time>,
    blames: Pairs<Blame>,
    doubts: Pairs<Time>,
    bars: Pairs<Time>,
    gone: BTreeMap<NodeId, Gone>,
    calm: BTreeMap<Root, Calm>,
    withdrawn: BTreeMap<Root, u64>,
    withdrawn_in_order: BTreeMap<u64, Root>,
    withdrawn_ever: u64,
    /// Where the look at the index goes on, and how many there have been.
    after: Option<u64>,
    pass: u64,
    /// Of this look so far, and of the last whole one.
    counting: CopyTotals,
    totals: CopyTotals,
}

impl Keeper {
    pub(super) fn new(policy: Policy) -> Keeper {
        Keeper { policy, ..Keeper::default() }
    }

    fn withdraw(&mut self, root: Root) {
        self.publish(&root);
        self.withdrawn_ever += 1;
        self.withdrawn.insert(root, self.withdrawn_ever);
        self.withdrawn_in_order.insert(self.withdrawn_ever, root);
        if self.withdrawn.len() > WITHDRAWN_MAX
            && let Some((_, oldest)) = self.withdrawn_in_order.pop_first()
        {
            self.withdrawn.remove(&oldest);
        }
    }

    fn publish(&mut self, root: &Root) {
        if let Some(number) = self.withdrawn.remove(root) {
            self.withdrawn_in_order.remove(&number);
        }
    }

    /// What is wanted of a node now.
    fn duties(&self, id: &NodeId) -> Duties {
        let copy = |(root, order): (&Root, &Ordered)| {
            let mut sources = order.sources.clone();
            sources.sort_by_key(|source| self.blames.contains(source, root));
            CopyOrder { entry: order.entry.clone(), sources: List::of(sources) }
        };
        let copies = self.orders.of_node(id).take(COPIES_MAX).map(copy).collect();
        let trims = self.trims.of_node(id).take(TRIMS_MAX).map(|(root, _)| *root).collect();
        Duties { copies: List::of(copies), trims: List::of(trims) }
    }

    /// `by` could not copy it from `whom`.
    fn blame(&mut self, now: Time, by: (NodeId, IpAddr), whom: NodeId, root: Root) {
        let until = now + DOUBT_TIME;
        match self.blames.get_mut(&whom, &root) {
            Some(blame) if blame.by.0 == by.0 || blame.by.1 == by.1 => blame.until = until,
            Some(_) => _ = self.doubts.insert(whom, root, until),
            None => _ = self.blames.insert(whom, root, Blame { by, until }),
        }
    }

    /// Ends what has taken its time.
    fn expire(&mut self, now: Time) {
        let late = self.orders.remove_where(|order| order.until <= now);
        for (id, root) in late {
            self.totals.failed += 1;
            self.bars.insert(id, root, now + BAR_TIME);
        }
        for table in [&mut self.trims, &mut self.doubts, &mut self.bars] {
            table.remove_where(|until| *until <= now);
        }
        self.blames.remove_where(|blame| blame.until <= now);
    }

    /// A node will not be back soon: what was asked of it is asked of others.
    fn forget(&mut self, id: &NodeId) {
        self.gone.remove(id);
        self.orders.remove_node(id);
        self.trims.remove_node(id);
    }

    /// Safe mode, as after a start: what was not removed yet stays.
    fn close(&mut self, now: Time) {
        self.is_open = false;
        self.started = Some(now);
        self.trims = Pairs::default();
    }
}

impl Registry {
    /// A node is on the list, for the first time or again.
    pub(super) fn keep_on_register(&mut self, id: &NodeId) -> Duties {
        self.keeper.gone.remove(id);
        if let Some(node) = self.nodes.get(id) {
            self.index.unpark(id, node.announced.epoch);
        }
        self.told(id);
        self.keeper.duties(id)
    }

    /// A node has left the list.
    pub(super) fn keep_on_gone(&mut self, now: Time, node: &Node) {
        self.index.park(&node.id);
        let since = node.missed_since(now).unwrap_or(now);
        if self.keeper.gone.len() < self.limits.nodes {
            self.keeper.gone.insert(node.id, Gone { since, label: node.label.clone() });
        }
    }

    /// A node has told how it is.
    pub(super) fn keep_on_heartbeat(
        &mut self,
        now: Time,
        id: &NodeId,
        outcomes: &[Outcome],
    ) -> Duties {
        self.told(id);
        outcomes.iter().for_each(|outcome| self.keep_on_outcome(now, *id, outcome));
        self.keeper.duties(id)
    }

    /// What became of an order. Of one that was not given nothing is believed, nor of nodes that have
    /// nothing to do with it.
    fn keep_on_outcome(&mut self, now: Time, id: NodeId, outcome: &Outcome) {
        let (root, keeper) = (outcome.root, &mut self.keeper);
        let Some(order) = keeper.orders.get_mut(&id, &root) else { return };
        let CopyEnd::Failed { blamed, .. } = &outcome.end else {
            order.until = order.until.min(now + LIST_TIME_MAX);
            return;
        };
        let sources = std::mem::take(&mut order.sources);
        keeper.orders.remove(&id, &root);
        keeper.totals.failed += 1;
        keeper.bars.insert(id, root, now + BAR_TIME);
        let Some(node) = self.nodes.get(&id) else { return };
        let by = (id, node.probes.source.addr.ip());
        let content = self.index.content(&root);
        let holds = |whom: &NodeId| content.as_ref().is_some_and(|c| c.holders.contains_key(whom));
        let named: BTreeSet<NodeId> = blamed.iter().take(SOURCES_MAX).copied().collect();
        let named = named.into_iter().filter(|whom| *whom != id);
        for whom in named.filter(|whom| sources.contains(whom) || holds(whom)) {
            self.keeper.blame(now, by, whom, root);
        }
    }

    /// The node's copy may be whole now.
    fn told(&mut self, id: &NodeId) {
        if let Some(node) = self.nodes.get(id).filter(|node| node.offer.settled) {
            self.index.told(id, node.announced);
        }
    }

    /// A page of a node's catalogue was taken in.
    pub(super) fn keep_on_page(&mut self, id: &NodeId, page: &CatalogueDelta) {
        for held in page.added.iter() {
            let root = held.entry.root;
            // What it says again of its own accord clears no doubt.
            if self.keeper.orders.remove(id, &root).is_some() {
                self.keeper.totals.made += 1;
                self.keeper.blames.remove(id, &root);
                self.keeper.doubts.remove(id, &root);
            }
            if held.kept != Kept::Replica {
                self.keeper.publish(&root);
            }
        }
        // What it says while it tells all its files anew may be older than what others have said since.
        if self.index.is_whole(id) {
            let taken_back: BTreeSet<Root> = page.taken_back.iter().copied().collect();
            taken_back.into_iter().for_each(|root| self.keep_on_taken_back(root));
        }
        self.told(id);
        let trims: Vec<Root> = self.keeper.trims.of_node(id).map(|(root, _)| *root).collect();
        for root in trims {
            if !self.index.has(id, &root) {
                self.keeper.trims.remove(id, &root);
            }
        }
    }

    /// A person took a content back. It is withdrawn if nobody has it any more but who keeps it for
    /// others; a person who has gone not long ago still has it.
    fn keep_on_taken_back(&mut self, root: Root) {
        if self.index.is_own(&root) {
            return;
        }
        let Some(content) = self.index.content(&root) else { return };
        if self.keeper.orders.of_root(&root).next().is_some() || !content.holders.is_empty() {
            self.keeper.withdraw(root);
        }
    }

    /// Once a second.
    pub(super) fn keep_on_tick(&mut self, now: Time) {
        let grace = self.keeper.policy.patience.grace;
        self.keeper.expire(now);
        let late = self.keeper.gone.iter().filter(|(_, gone)| now.since(gone.since) >= grace);
        for id in late.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.keeper.forget(&id);
        }
        let is_waited_for = |id: &NodeId| match self.nodes.get(id) {
            Some(node) => !self.index.is_whole(id) && now.since(node.registered) < SETTLE_TIME_MAX,
            None => self.keeper.gone.contains_key(id),
        };
        let former = self.index.formers().filter(|id| !is_waited_for(id)).copied();
        for id in former.collect::<Vec<_>>() {
            self.index.expire(&id);
        }
        if self.nodes.is_empty() || self.misses_most(now) {
            self.keeper.close(now);
        }
        if !self.keeper.is_open {
            let started = *self.keeper.started.get_or_insert(now);
            self.keeper.is_open = self.has_heard_all(now.since(started));
        }
    }

    /// Whether more than half of the nodes, and more than one, have gone within the grace or are
    /// overdue: then the network is more likely to be broken than they are.
    fn misses_most(&self, now: Time) -> bool {
        let overdue = self.nodes.values().filter(|node| node.missed_since(now).is_some());
        let missed = overdue.count() + self.keeper.gone.len();
        missed > 1 && 2 * missed > self.nodes.len() + self.keeper.gone.len()
    }

    /// Whether every node that there may be had the time to come back and to tell its files, since the
    /// first one was heard. Who is remembered is waited for, as long as that lasts.
    fn has_heard_all(&self, up: Duration) -> bool {
        if self.nodes.is_empty() || self.remembered.len() > 0 {
            return false;
        }
        let longest = self.nodes.values().map(|node| node.heartbeat * 2).max();
        let least = longest.unwrap_or_default().max(self.keeper.policy.patience.grace);
        let is_whole = || self.nodes.keys().all(|id| self.index.is_whole(id));
        up >= least && (up >= OPEN_TIME_MAX.max(least) || is_whole())
    }

    /// Copies in numbers.
    pub fn copies(&self) -> CopyTotals {
        let Keeper { orders, trims, totals, .. } = &self.keeper;
        CopyTotals { under_way: orders.len() as u64, leaving: trims.len() as u64, ..*totals }
    }
}

#[cfg(test)]
mod tests;
