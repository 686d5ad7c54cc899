//! The tracker: it knows the live nodes and what they have, and answers those who ask.
//!
//! Invariant: a fixed number of threads, whatever the number of nodes: an acceptor, a poller, 16
//! workers, a ticker, 2 diallers, one that writes the index down. A session is parked between its
//! questions, so that a heartbeat costs no handshake and a quiet node costs no thread. On the disk are
//! the identity and the index (`snapshot`), which is there at once after a restart, as a hint: the
//! nodes register again.
//!
//! ```text
//! accept.rs ──> sessions.rs <──> pool.rs ──> service.rs ──> logic::registry
//!               (the table)      (workers)   (meaning)      (decisions)
//!                                               ^  └──> io::notices, dialler.rs
//!                          ticker, snapshot ────┘
//! ```
//!
//! Shutdown, in this order: no new connections (the acceptor ends); every connection is shut, which
//! frees the workers; the index is written; poller, workers, ticker, diallers and the writer are joined;
//! notices end; the data directory is unlocked. Running transfers between nodes are not touched.
//!
//! Bounds and what happens at them: 64 connections that have not shaken hands, then the oldest is
//! closed; 256 that have not registered, likewise; 10,000 nodes, 1,024 from one address, then
//! refused; queues see `pool.rs`, the index see `logic::registry`.

mod accept;
mod dialler;
mod doctor;
mod pool;
mod service;
mod sessions;
mod snapshot;
mod view;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::bounded;
use parking_lot::Mutex;

pub use view::{FileRow, PeerRow, TrackerStats};

use crate::base::{Fault, FaultKind, Name, NodeId};
use crate::io::clock;
use crate::io::disk::DataDir;
use crate::io::doctor::{Calls, Started};
use crate::io::link::{Bulk, LinkConfig, StaticKey, SwarmKey};
use crate::io::listen::Listener;
use crate::io::threads::{Group, StopToken};
use crate::logic::pattern::{Matcher, PatternError};
use crate::logic::registry::{Policy, Rule};
use crate::logic::replication::{Patience, WANTED};
use crate::wire::message::copies::{WhyAnswer, WhyQuestion};
use crate::wire::message::find::{FindQuestion, Pattern};
use pool::Pool;
use service::Service;
use sessions::Sessions;
use snapshot::Loaded;

/// How often the registry looks at who is gone.
const TICK: Duration = Duration::from_secs(1);
/// How long the threads may take to end: a dial-back in progress is the slowest.
const JOIN_TIME_MAX: Duration = Duration::from_secs(12);

/// Everything a tracker is told at its start.
#[derive(Debug, Clone)]
pub struct TrackerConfig {
    /// Where to listen; port 0 takes any.
    pub listen: SocketAddr,
    /// Its data directory; made if missing.
    pub data: PathBuf,
    /// Only nodes with the same key meet.
    pub swarm_key: Option<SwarmKey>,
    /// As for nodes; a tracker moves no chunks.
    pub bulk: Bulk,
    /// How many copies of files there are to be.
    pub replicas: Replicas,
}

/// How many copies of files there are to be, and how patiently they are made and removed.
#[derive(Debug, Clone)]
pub struct Replicas {
    /// Copies of a file of which nothing else is said, its publisher's counted; 1: no others.
    pub copies: u32,
    /// Files like these have so many; the first that fits counts.
    pub rules: Vec<(Pattern, u32)>,
    /// See `logic::replication`.
    pub patience: Patience,
}

impl Default for Replicas {
    fn default() -> Replicas {
        Replicas { copies: WANTED, rules: Vec::new(), patience: Patience::default() }
    }
}

impl Replicas {
    fn policy(self) -> Result<Policy, Fault> {
        let Replicas { copies, rules, patience } = self;
        let rule = |(pattern, copies): (Pattern, u32)| {
            let matcher = Matcher::new(&pattern);
            let usage = |e: PatternError| Fault::new(FaultKind::Usage, e.to_string());
            Ok(Rule { matcher: matcher.map_err(usage)?, copies })
        };
        let rules = rules.into_iter().map(rule).collect::<Result<Vec<Rule>, Fault>>()?;
        Ok(Policy { copies, rules, patience })
    }
}

/// A running tracker. Dropping it does not stop it; `stop` does.
pub struct Tracker {
    id: NodeId,
    addr: SocketAddr,
    service: Arc<Service>,
    stop: StopToken,
    group: Group,
    data: Mutex<Option<DataDir>>,
    /// Its data directory.
    path: PathBuf,
    /// Whether a swarm key is used.
    closed: bool,
    /// Those that the doctor makes.
    calls: Calls,
    started: Started,
}

impl Tracker {
    /// Starts a tracker; it serves when this returns.
    ///
    /// # Errors
    /// The data directory is in use or cannot be used, a key cannot be read, the address is taken.
    pub fn start(config: TrackerConfig) -> Result<Arc<Tracker>, Fault> {
        let TrackerConfig { listen, data, swarm_key, bulk, replicas } = config;
        let policy = replicas.policy()?;
        let data = DataDir::open_private(&data)?;
        let link = link_config(&data, swarm_key, bulk)?;
        let listener = Listener::bind(listen).map_err(|e| Fault::other(e.to_string()))?;
        let (addr, id) = (listener.local_addr(), link.key.public());
        let sessions = Sessions::new()
            .map_err(|e| Fault::other(format!("could not wait for connections: {e}")))?;
        let (dial, dials) = bounded(dialler::QUEUE_MAX);
        let index = data.private("index");
        let Loaded { registry, words } = snapshot::load(&index, clock::now(), policy);
        let service = Arc::new(Service::new(registry, Arc::new(sessions), dial));
        words.into_iter().for_each(|words| service.notices.tell(words));
        let (stop, group) = (StopToken::new(), Group::new("tracker"));
        let calls = Calls::new(listen.ip(), link.swarm.clone(), group.clone());
        let tracker = Tracker {
            path: data.path().to_owned(),
            closed: link.swarm.is_some(),
            calls: calls.map_err(|e| Fault::other(e.to_string()))?,
            started: Started::now(),
            id,
            addr,
            service: Arc::clone(&service),
            stop: stop.clone(),
            group: group.clone(),
            data: Mutex::new(Some(data)),
        };
        let pool = Pool { service, config: Arc::new(link), stop };
        let started = pool
            .start(&group)
            .and_then(|()| dialler::start(&pool, &dials, listen.ip(), &group))
            .and_then(|()| start_ticker(&pool, &group))
            .and_then(|()| snapshot::start(&pool.service, index, &pool.stop, &group))
            .and_then(|()| accept::start(&pool, listener, &group));
        if let Err(e) = started {
            tracker.stop();
            return Err(Fault::other(format!("could not start the tracker's threads: {e}")));
        }
        Ok(Arc::new(tracker))
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its identity.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// The next line for people, without a time: who joined, who left. Waits for it; none means
    /// that the tracker has stopped. For one thread.
    pub fn next_notice(&self) -> Option<String> {
        self.service.notices.next()
    }

    /// The listed nodes.
    pub fn peers(&self) -> Vec<PeerRow> {
        self.service.peers()
    }

    /// One page of the files that are meant, and the name behind which to go on, if there is more.
    ///
    /// # Errors
    /// The pattern is malformed.
    pub fn files(
        &self,
        question: &FindQuestion,
    ) -> Result<(Vec<FileRow>, Option<Name>), PatternError> {
        self.service.files(question)
    }

    /// Why a file has the copies it has.
    pub fn why(&self, question: &WhyQuestion) -> WhyAnswer {
        self.service.why(question)
    }

    /// Counters.
    pub fn stats(&self) -> TrackerStats {
        self.service.stats()
    }

    /// Counts from zero from now on.
    pub fn reset_stats(&self) {
        self.service.reset_stats();
    }

    /// Ends it for good: joins every thread, within seconds. Safe to call twice.
    pub fn stop(&self) {
        self.stop.stop();
        let sessions = &self.service.sessions;
        if let Err(e) = sessions.poller().wake() {
            log::warn!("could not wake the poller: {e}");
        }
        sessions.close_all();
        let left = self.group.join_all(JOIN_TIME_MAX);
        if !left.is_empty() {
            log::error!("still running at the tracker's end: {}", left.join(", "));
        }
        // What was accepted while the rest was being shut.
        sessions.close_all();
        self.service.notices.close();
        self.data.lock().take();
    }
}

fn start_ticker(pool: &Pool, group: &Group) -> std::io::Result<()> {
    let (service, stop) = (Arc::clone(&pool.service), pool.stop.clone());
    group.spawn("ticker", move || {
        while !stop.wait(TICK) {
            service.tick(&stop);
        }
    })
}

fn link_config(data: &DataDir, swarm: Option<SwarmKey>, bulk: Bulk) -> Result<LinkConfig, Fault> {
    let key = StaticKey::load_or_create(&data.private("id"));
    let key = key.map_err(|e| Fault::other(e.to_string()))?;
    Ok(LinkConfig::new(key, swarm, bulk))
}

#[cfg(test)]
mod tests;
