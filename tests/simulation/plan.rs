//! What happens in one run: the nodes, the files, what people order, and what goes wrong.
//!
//! Invariant: all of it follows from the seed, before anything has begun.

use std::collections::BTreeSet;
use std::time::Duration;

use parvi::base::chunk::chunk_count;
use parvi::base::limits::CHUNK_SIZE_MIN;
use parvi::base::{Root, Time};
use parvi::wire::message::transfer::Content;
use parvi_wal::testing::{Operation, Trouble};

use crate::dice::Dice;

/// Everything goes wrong before this, and is well again from then on.
pub const HEALED_AT: Time = Time::from_origin(Duration::from_secs(70));

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
    /// From each node to each other.
    pub latency: Vec<Vec<Duration>>,
    /// Bytes a second, from each node.
    pub up: Vec<u64>,
    /// How fast each node's clock runs.
    pub drift: Vec<f64>,
}

impl Plan {
    /// The plan of `seed`.
    pub fn of(seed: u64) -> Plan {
        let mut dice = Dice::new(seed);
        let nodes = dice.within(2, 5) as usize;
        let (files, orders) = wishes(&mut dice, nodes);
        let faults = faults(&mut dice, nodes, orders.len());
        let mut row = |_| (0..nodes).map(|_| dice.millis(1, 80)).collect();
        let latency = (0..nodes).map(&mut row).collect();
        let up = (0..nodes).map(|_| dice.within(1 << 18, 1 << 20) << dice.below(5)).collect();
        let drift = (0..nodes).map(|_| dice.within(950, 1_050) as f64 / 1_000.0).collect();
        Plan { nodes, files, orders, faults, latency, up, drift }
    }

    /// A run in which nothing goes wrong but `faults`.
    pub fn with(mut self, faults: Vec<(Time, Fault)>) -> Plan {
        self.faults = faults;
        self
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

fn faults(dice: &mut Dice, nodes: usize, orders: usize) -> Vec<(Time, Fault)> {
    // Each run has its own few kinds of faults, and more of them: so they meet (swarm testing,
    // Groce et al., 2012).
    let kinds: Vec<usize> = (0..dice.within(1, 4)).map(|_| dice.below(KINDS)).collect();
    let count = dice.within(2, 16);
    let fault = |_| {
        let at = Time::ZERO + dice.millis(2_500, 55_000);
        let kind = kinds[dice.below(kinds.len())];
        (at, one_fault(dice, kind, nodes, orders))
    };
    let mut all: Vec<(Time, Fault)> = (0..count).map(fault).collect();
    all.sort_by_key(|(at, _)| *at);
    all
}

/// How many kinds `one_fault` knows.
const KINDS: usize = 9;

fn one_fault(dice: &mut Dice, kind: usize, nodes: usize, orders: usize) -> Fault {
    let node = dice.below(nodes);
    let wait = if dice.chance(70) { dice.millis(200, 8_000) } else { dice.millis(1_000, 45_000) };
    match kind {
        0 => Fault::Kill { node, down: wait },
        1 => Fault::Power { node, down: wait },
        2 => Fault::Stop { node, down: wait },
        3 => Fault::Pause { node, time: wait },
        4 => {
            let other = (node + 1 + dice.below(nodes - 1)) % nodes;
            Fault::Partition { a: node, b: dice.chance(80).then_some(other), time: wait }
        }
        5 => Fault::Reset,
        6 => Fault::TrackerKill { down: wait },
        7 => Fault::Disk {
            node,
            disk: if dice.chance(40) { DiskKind::Log } else { DiskKind::Files },
            only: dice.chance(70).then(|| {
                [Operation::Sync, Operation::Write, Operation::SyncDir, Operation::Rename]
                    [dice.below(4)]
            }),
            trouble: [Trouble::Eio, Trouble::Enospc, Trouble::Part, Trouble::Late][dice.below(4)],
            time: wait,
        },
        _ => Fault::PausedByPerson { order: dice.below(orders), time: wait },
    }
}
