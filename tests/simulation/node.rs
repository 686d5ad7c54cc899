//! A node: what its machine keeps, and what its process has in memory.
//!
//! Invariant: a process ends with everything it has in memory; what its disks keep is decided by
//! how it ended. A process that was started again has another life, and hears nothing of before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parvi::base::{NodeId, Time};
use parvi::logic::ledger::{Connection, KnockBudget, Ledger, Record, SetKey};
use parvi::logic::peers::PeerBook;
use parvi::logic::registry::SessionToken;
use parvi::logic::spread::Spread;
use parvi_wal::testing::MemStorage;
use parvi_wal::{Options, Wal};

use crate::fetching::Job;
use crate::network::ConnId;
use crate::serving::Serving;
use crate::tracker::id;

/// The ACK timeout.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// How a machine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Up,
    /// Its process stands still.
    Paused,
    /// No process; the system answers that nobody listens.
    Ended,
    /// No power: nothing answers.
    Dark,
}

/// A node.
pub struct Node {
    pub n: usize,
    pub state: State,
    pub life: u64,
    pub boot: Time,
    pub drift: f64,
    /// `.parvi/wal`.
    pub log: MemStorage,
    /// Parts and final names.
    pub files: MemStorage,
    /// `.parvi`, where orders are kept.
    pub orders: MemStorage,
    pub process: Option<Process>,
}

/// What a process has in memory.
pub struct Process {
    pub wal: Wal,
    pub ledger: Ledger,
    pub budget: KnockBudget,
    pub book: PeerBook,
    pub session: Option<SessionToken>,
    pub serving: BTreeMap<ConnId, Serving>,
    /// What was handed out of each set.
    pub spreads: BTreeMap<SetKey, Spread>,
    pub connections: u64,
    /// The last one on which each upload was opened, and its attempt.
    pub newest: BTreeMap<(usize, SetKey), (Connection, u32)>,
    pub jobs: BTreeMap<usize, Job>,
    runs: u64,
    pub away: BTreeSet<NodeId>,
    /// Sets that were done in this life.
    pub done: BTreeSet<SetKey>,
    /// Since when the line up is free again.
    pub line_free: Time,
    pub ticks: u64,
}

impl Node {
    pub fn new(n: usize, drift: f64, seed: u64) -> Node {
        let (log, files, orders) = Default::default();
        let log: MemStorage = log;
        log.seed(seed ^ n as u64);
        let (state, life, boot) = (State::Ended, 0, Time::ZERO);
        Node { n, state, life, boot, drift, log, files, orders, process: None }
    }

    /// What the process's own clock says.
    pub fn local(&self, now: Time) -> Time {
        Time::ZERO + now.since(self.boot).mul_f64(self.drift)
    }

    /// Starts a process: recovers the log. Returns its records and what the log says of damage.
    pub fn start(&mut self, now: Time) -> Result<(Vec<parvi_wal::Record>, Option<String>), String> {
        let options = Options {
            checkpoint_bytes: 4_096,
            segment_bytes: 2_048,
            ..Options::new(*id(self.n).as_bytes())
        };
        let opened = Wal::open(Arc::new(self.log.clone()), options);
        let (wal, recovered) = opened.map_err(|e| e.to_string())?;
        self.boot = now;
        self.life += 1;
        self.state = State::Up;
        let known = recovered.records.iter();
        let known = known.map(|r| Record::from_log(r.kind, &r.payload).expect("our own record"));
        let ledger = Ledger::recover(self.local(now), PATIENCE, known);
        let damage = (!recovered.report.is_whole()).then(|| recovered.report.to_string());
        self.process = Some(Process {
            wal,
            ledger,
            budget: KnockBudget::default(),
            book: PeerBook::new(id(self.n), 1),
            session: None,
            serving: BTreeMap::new(),
            connections: 0,
            newest: BTreeMap::new(),
            jobs: BTreeMap::new(),
            runs: 0,
            away: BTreeSet::new(),
            done: BTreeSet::new(),
            line_free: now,
            spreads: BTreeMap::new(),
            ticks: 0,
        });
        Ok((recovered.records, damage))
    }
}

impl Process {
    /// A number for a connection that is opened.
    pub fn number(&mut self) -> Connection {
        self.connections += 1;
        Connection(self.connections)
    }

    /// A number for a try at an order, never used again: a dial of a try that is over may still be on its
    /// way when the person has ordered the same anew.
    pub fn next_run(&mut self) -> u64 {
        self.runs += 1;
        self.runs
    }
}
