//! Which files are to be copied where, so that each has as many live copies as it is to have.
//!
//! [`plan`] is a function of what a tracker sees and of the time: the same view gives the same plan, and a
//! view that needs nothing gives an empty one. What must be remembered is in the view, as moments.
//!
//! ```text
//! copies that count   at a node that is there, or was within the grace, or on the way there; not one
//!                     that another node could not copy, nor one that is being removed
//! too few             -> trims are taken back, then orders: to nodes that opted in and have room, by
//!                        rendezvous hashing
//! enough without them -> orders are taken back
//! too many            -> trims: of replicas only, after a calm time, never below what is wanted of
//!                        replicas and one own copy at nodes that are there: that a person has a
//!                        file is that node's word alone, and two who lie must not have the only
//!                        replica removed
//! withdrawn           -> trims: of all replicas, after the calm time
//! publisher vanished  -> its files are kept, and repaired, as if it were there
//! not all seen yet    -> nothing: a tracker that has just started knows of no copy that is missing
//! ```
//!
//! Targets follow from root and node alone (rendezvous hashing: D. G. Thaler, C. V. Ravishankar, 1998), so
//! that two trackers choose alike, and a node that comes or goes changes little. Nothing is ever moved for
//! the sake of balance. Bounded: `ORDERS_MAX` and `TRIMS_MAX` a plan, `COPIES_MAX` on the way to a node
//! and few large ones (`AHEAD_MAX`), the most endangered files first.
//!
//! ```
//! use std::time::Duration;
//! use parvi::base::{NodeId, Root, Time};
//! use parvi::logic::replication::{File, Holder, Node, Standing, View, plan};
//!
//! let [alice, bob] = [1, 2].map(|n| NodeId::from_bytes([n; 32]));
//! let (mut view, film) = (View { is_complete: true, ..View::default() }, Root::of(b"film"));
//! for id in [alice, bob] {
//!     view.nodes.insert(id, Node { opted_in: true, room: 1_000, ..Node::default() });
//! }
//! let mut file = File::new(4, 2, Standing::Published, Time::ZERO);
//! file.holders.insert(alice, Holder::Own);
//! view.files.insert(film, file);
//!
//! let orders = plan(&view, Time::ZERO).orders;
//! assert_eq!((orders.len(), orders[0].target, &orders[0].sources), (1, bob, &vec![alice]));
//! ```

mod choose;
mod stand;
#[cfg(test)]
mod tests;
mod why;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::base::{NodeId, Root, Time};
pub use crate::wire::message::copies::{COPIES_MAX, SOURCES_MAX};

pub use choose::plan;
pub use stand::{Tally, tally};
pub use why::{Obstacle, Why, why};

/// Copies of a file, its publisher's too, where nothing else is said.
pub const WANTED: u32 = 2;
/// A node that is away for less keeps its copies counted: so a restart costs nothing.
pub const GRACE: Duration = Duration::from_secs(60);
/// Copies that are too many are trimmed when nothing has changed for them for so long.
pub const CALM: Duration = Duration::from_secs(300);
/// Bytes on the way to one node from which on it is given no more than two copies at once.
pub const AHEAD_MAX: u64 = 64 << 20;
/// That many.
const FEW: usize = 2;
/// Orders in one plan.
pub const ORDERS_MAX: usize = 256;
/// Trims in one plan.
pub const TRIMS_MAX: usize = 256;

/// How long a copy may be on its way until it is made elsewhere: an hour, and longer for what is large.
pub fn copy_time_max(size: u64) -> Duration {
    const SLOWEST: u64 = 1 << 20;
    Duration::from_secs(3_600 + size / SLOWEST)
}

/// How patient plans are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// See `GRACE`.
    pub grace: Duration,
    /// See `CALM`.
    pub calm: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience { grace: GRACE, calm: CALM }
    }
}

/// What a tracker sees.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct View {
    /// Whether all nodes that there may be had the time to tell what they have. Not soon after a start
    /// of the tracker.
    pub is_complete: bool,
    /// How patient it is.
    pub patience: Patience,
    /// All nodes it knows of, those too that have gone not long ago.
    pub nodes: BTreeMap<NodeId, Node>,
    /// Files that are looked at. Those with as many copies as they are to have may be left out.
    pub files: BTreeMap<Root, File>,
}

/// One node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Node {
    /// When it was last heard, if it is not there now.
    pub gone_since: Option<Time>,
    /// Whether it keeps copies for others.
    pub opted_in: bool,
    /// Bytes that it still takes, copies on the way taken off.
    pub room: u64,
    /// Copies on the way to it.
    pub copies: usize,
    /// Bytes of those.
    pub ahead: u64,
}

impl Node {
    /// How many copies more it may be given.
    pub fn places(&self) -> usize {
        let most = match self {
            Node { gone_since: Some(_), .. } | Node { opted_in: false, .. } => 0,
            Node { ahead: AHEAD_MAX.., .. } => FEW,
            _ => COPIES_MAX,
        };
        most.saturating_sub(self.copies)
    }
}

/// One content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Bytes.
    pub size: u64,
    /// How many copies there are to be, its publishers' too.
    pub wanted: u32,
    /// What its publisher says of it.
    pub standing: Standing,
    /// Who has all of it, verified.
    pub holders: BTreeMap<NodeId, Holder>,
    /// Holders that are there again and have not told all their files yet: they count as if away.
    pub unsure: BTreeSet<NodeId>,
    /// Holders from whom another node could not copy it.
    pub doubted: BTreeSet<NodeId>,
    /// Holders that were told to remove it.
    pub leaving: BTreeSet<NodeId>,
    /// Who was told to copy it and has not finished, since when.
    pub under_way: BTreeMap<NodeId, Time>,
    /// Who could not copy it, not long ago.
    pub barred: BTreeSet<NodeId>,
    /// Since when the copies that count have been these, without a break.
    pub changed: Time,
}

impl File {
    /// One that nobody is known to have yet.
    pub fn new(size: u64, wanted: u32, standing: Standing, changed: Time) -> File {
        File {
            size,
            wanted,
            standing,
            holders: BTreeMap::new(),
            unsure: BTreeSet::new(),
            doubted: BTreeSet::new(),
            leaving: BTreeSet::new(),
            under_way: BTreeMap::new(),
            barred: BTreeSet::new(),
            changed,
        }
    }
}

/// What the publisher of a file says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is published, or was when its last publisher vanished.
    Published,
    /// A publisher that is there took it back, or put another content in its place, and no other
    /// publishes it.
    Withdrawn,
}

/// As what a node has a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// The person's: shared or downloaded. Nobody else removes it.
    Own,
    /// Kept for others.
    Replica,
}

/// What is to be done now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Copies to be made.
    pub orders: Vec<Order>,
    /// Replicas to be removed.
    pub trims: Vec<Trim>,
    /// Orders, by root and target, that are not wanted any more.
    pub cancelled: Vec<(Root, NodeId)>,
    /// Replicas that were to be removed and are to stay.
    pub spared: Vec<Trim>,
}

/// A copy to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Of what.
    pub root: Root,
    /// At which node.
    pub target: NodeId,
    /// Nodes that are there and have it.
    pub sources: Vec<NodeId>,
}

/// A replica to be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trim {
    /// Of what.
    pub root: Root,
    /// At which node.
    pub holder: NodeId,
}
