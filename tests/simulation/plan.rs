//! What happens in one run: the nodes, the files, what people order, and what goes wrong.
//!
//! Invariant: all of it follows from the seed, before anything has begun.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use parvi::base::chunk::chunk_count;
use parvi::base::limits::CHUNK_SIZE_MIN;
use parvi::base::{Root, Time};
use parvi::wire::message::transfer::Content;
use parvi_wal::testing::{Operation, Trouble};

use crate::dice::Dice;
use crate::liars::{LIES, Lie};

/// Everything goes wrong before this, and is well again from then on.
pub const HEALED_AT: Time = Time::from_origin(Duration::from_secs(70));

/// After this nothing new goes wrong.
pub const LAST_FAULT: Time = Time::from_origin(Duration::from_secs(60));

/// A file that somebody has.
#[derive(Debug, Clone)]
pub struct FileSpec {
    pub content: Content,
    /// Chunks of a large file; one of a small one.
    pub items: u32,
    pub holders: BTreeSet<usize>,
}

/// A person at `node` downloads `files` at `at`: one large file, or some small ones.
#[derive(Debug, Clone)]
pub struct OrderSpec {
    pub node: usize,
    pub files: Vec<usize>,
    pub at: Time,
}

/// Which disk of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskKind {
    Log,
    Files,
    Orders,
}

/// What goes wrong.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The process is killed; the system keeps what was written.
    Kill {
        node: usize,
        down: Duration,
    },
    /// The machine loses its power.
    Power {
        node: usize,
        down: Duration,
    },
    /// The node ends as a person ends it.
    Stop {
        node: usize,
        down: Duration,
    },
    /// The process stands still.
    Pause {
        node: usize,
        time: Duration,
    },
    /// Nothing passes between the two; `None` is the tracker.
    Partition {
        a: usize,
        b: Option<usize>,
        time: Duration,
    },
    /// A connection breaks, with what is on the way.
    Reset,
    TrackerKill {
        down: Duration,
    },
    /// A disk fails.
    Disk {
        node: usize,
        disk: DiskKind,
        only: Option<Operation>,
        trouble: Trouble,
        time: Duration,
    },
    /// A person pauses a download, and goes on after `time`.
    PausedByPerson {
        order: usize,
        time: Duration,
    },
}

/// One run.
#[derive(Debug, Clone)]
pub struct Plan {
    pub nodes: usize,
    pub files: Vec<FileSpec>,
    pub orders: Vec<OrderSpec>,
    pub faults: Vec<(Time, Fault)>,
    /// Who lies about what it only fetches.
    pub liars: BTreeMap<usize, Lie>,
    /// Which kinds of faults this run knows.
    pub kinds: Vec<Kind>,
    /// In so many of a hundred delicate moments one more goes wrong.
    pub malice: u64,
    /// From each node to each other.
    pub latency: Vec<Vec<Duration>>,
    /// Bytes a second, from each node.
    pub up: Vec<u64>,
    /// How fast each node's clock runs.
    pub drift: Vec<f64>,
}

impl Plan {
    /// The same where every line is so many times as long, and so many times slower.
    #[must_use]
    pub fn with_lines(mut self, longer: u64, slower: u64) -> Plan {
        self.latency.iter_mut().flatten().for_each(|wait| *wait *= longer as u32);
        self.up.iter_mut().for_each(|rate| *rate /= slower);
        self
    }

    /// The plan of `seed`; with `only`, faults of these kinds alone.
    pub fn of_kinds(seed: u64, only: Option<&[Kind]>) -> Plan {
        let mut dice = Dice::new(seed);
        let nodes = dice.within(2, 6) as usize;
        let (files, orders) = wishes(&mut dice, nodes);
        // Each run has its own few kinds of faults, and more of them: so they meet (swarm testing,
        // Groce et al., 2012).
        let kinds: Vec<Kind> = match only {
            Some(only) => only.to_vec(),
            None => (0..dice.within(1, 4)).map(|_| KINDS[dice.below(KINDS.len())]).collect(),
        };
        let faults = faults(&mut dice, &kinds, nodes, orders.len());
        let malice = if dice.chance(70) { dice.within(1, 40) } else { 0 };
        let mut row = |_| (0..nodes).map(|_| dice.millis(1, 80)).collect();
        let latency = (0..nodes).map(&mut row).collect();
        let up = (0..nodes).map(|_| dice.within(1 << 18, 1 << 20) << dice.below(5)).collect();
        let drift = (0..nodes).map(|_| dice.within(950, 1_050) as f64 / 1_000.0).collect();
        let liar = dice.chance(30).then(|| (dice.below(nodes), LIES[dice.below(LIES.len())]));
        let liars = liar.into_iter().collect();
        Plan { nodes, files, orders, faults, liars, kinds, malice, latency, up, drift }
    }
}

fn wishes(dice: &mut Dice, nodes: usize) -> (Vec<FileSpec>, Vec<OrderSpec>) {
    let (mut files, mut orders) = (Vec::new(), Vec::new());
    for _ in 0..dice.within(1, 4) {
        let first = files.len();
        let owner = dice.below(nodes);
        let mut holders = BTreeSet::from([owner]);
        if nodes > 2 && dice.chance(40) {
            holders.insert((owner + 1) % nodes);
        }
        let small = dice.chance(35);
        for _ in 0..if small { dice.within(2, 12) } else { 1 } {
            let size = match small {
                true => dice.within(1, CHUNK_SIZE_MIN),
                false if dice.chance(15) => dice.within(40, 120) * CHUNK_SIZE_MIN + 5,
                false => dice.within(2, 24) * CHUNK_SIZE_MIN + 1,
            };
            let root = Root::of(format!("file {}", files.len()).as_bytes());
            let (content, items) = (Content { root, size }, chunk_count(size));
            files.push(FileSpec { content, items, holders: holders.clone() });
        }
        for node in (0..nodes).filter(|node| !holders.contains(node)) {
            if orders.is_empty() || dice.chance(60) {
                let at = Time::ZERO + dice.millis(2_000, 20_000);
                orders.push(OrderSpec { node, files: (first..files.len()).collect(), at });
            }
        }
    }
    (files, orders)
}

fn faults(dice: &mut Dice, kinds: &[Kind], nodes: usize, orders: usize) -> Vec<(Time, Fault)> {
    let count = dice.within(2, 16);
    let fault = |_| {
        let at = Time::ZERO + dice.millis(2_500, 55_000);
        (at, one_fault(dice, kinds, nodes, orders))
    };
    let mut all: Vec<(Time, Fault)> = (0..count).map(fault).collect();
    all.sort_by_key(|(at, _)| *at);
    all
}

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Kill,
    Power,
    Stop,
    Pause,
    Partition,
    Reset,
    TrackerKill,
    Disk,
    PausedByPerson,
}

impl Kind {
    /// The kind that is called so here.
    pub fn named(name: &str) -> Option<Kind> {
        KINDS.into_iter().find(|kind| format!("{kind:?}") == name)
    }
}

/// All kinds; those that cost most come more often.
const KINDS: [Kind; 14] = [
    Kind::Kill,
    Kind::Kill,
    Kind::Kill,
    Kind::Power,
    Kind::Power,
    Kind::Power,
    Kind::Partition,
    Kind::Partition,
    Kind::Stop,
    Kind::Pause,
    Kind::Reset,
    Kind::TrackerKill,
    Kind::Disk,
    Kind::PausedByPerson,
];

/// Something that goes wrong, of one of these kinds.
pub fn one_fault(dice: &mut Dice, kinds: &[Kind], nodes: usize, orders: usize) -> Fault {
    let kind = kinds[dice.below(kinds.len())];
    let node = dice.below(nodes);
    let wait = match dice.below(10) {
        0..=1 => dice.millis(5, 300),
        2..=6 => dice.millis(200, 8_000),
        _ => dice.millis(1_000, 45_000),
    };
    match kind {
        Kind::Kill => Fault::Kill { node, down: wait },
        Kind::Power => Fault::Power { node, down: wait },
        Kind::Stop => Fault::Stop { node, down: wait },
        Kind::Pause => Fault::Pause { node, time: wait },
        Kind::Partition => {
            let other = (node + 1 + dice.below(nodes - 1)) % nodes;
            Fault::Partition { a: node, b: dice.chance(80).then_some(other), time: wait }
        }
        Kind::Reset => Fault::Reset,
        Kind::TrackerKill => Fault::TrackerKill { down: wait },
        Kind::Disk => Fault::Disk {
            node,
            disk: [DiskKind::Log, DiskKind::Files, DiskKind::Files, DiskKind::Orders]
                [dice.below(4)],
            only: dice.chance(70).then(|| {
                [Operation::Sync, Operation::Write, Operation::SyncDir, Operation::Rename]
                    [dice.below(4)]
            }),
            trouble: [Trouble::Eio, Trouble::Enospc, Trouble::Part, Trouble::Late][dice.below(4)],
            time: wait,
        },
        Kind::PausedByPerson => Fault::PausedByPerson { order: dice.below(orders), time: wait },
    }
}
