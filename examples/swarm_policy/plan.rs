//! What is played: how many nodes, which lines, who comes late and who leaves; and what came of it.
//!
//! The bound is the time below which no plan whatsoever can be: a chunk takes `chunk / B` a hop and is
//! in one hop more places at most twice as often, so with M chunks and N requesters whose lines carry B
//! bytes per second each way it is (F/B)(1 + floor(log2 N)/M). With k first owners it is
//! (F/B)(1 + S/M), S the sum of 1 - k 2^t / N over all t from 0 for which that is positive: as long as
//! fewer than N have anything, so many lines down are idle for a chunk's time. Latency is in neither.

use std::collections::BTreeMap;
use std::time::Duration;

use parvi::logic::items::Items;
use parvi::wire::message::Kind;

/// 100 Mbit/s.
pub(crate) const RATE: f64 = 12_500_000.0;
/// Bytes of a chunk; a file has at most 256 of this size.
pub(crate) const CHUNK: u64 = 256 * 1024;

/// The lines, and who stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scene {
    /// All lines are equal.
    Equal,
    /// Every second requester has a quarter of it.
    Half,
    /// One requester has a hundredth of it.
    Crawler,
    /// A tenth leaves for good in the middle, a tenth comes in the middle.
    Churn,
}

impl Scene {
    #[cfg(test)]
    pub(crate) const ALL: [Scene; 4] = [Scene::Equal, Scene::Half, Scene::Crawler, Scene::Churn];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Scene::Equal => "equal",
            Scene::Half => "half at 1/4",
            Scene::Crawler => "one at 1 %",
            Scene::Churn => "churn",
        }
    }
}

/// One run.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) scene: Scene,
    /// Requesters.
    pub(crate) nodes: usize,
    /// Who has the file from the beginning.
    pub(crate) sources: usize,
    pub(crate) chunks: u32,
    /// Bytes of each file, where it is a batch of small ones that is fetched.
    pub(crate) small: Option<u64>,
    /// One way.
    pub(crate) latency: Duration,
    /// Bytes that a line sends at a time.
    pub(crate) piece: u64,
    pub(crate) seed: u64,
    /// Files that are fetched besides, from the same first owners.
    pub(crate) others: Vec<Fetched>,
}

/// A file, and which of the requesters' machines fetch it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fetched {
    pub(crate) chunks: u32,
    pub(crate) nodes: usize,
    /// The first of them; they follow one another.
    pub(crate) first: usize,
}

/// A machine's part in the swarm of a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    pub(crate) file: usize,
    pub(crate) machine: usize,
}

impl Fetched {
    pub(crate) fn bytes(self) -> u64 {
        u64::from(self.chunks) * CHUNK
    }
}

impl Plan {
    pub(crate) fn bytes(&self) -> u64 {
        u64::from(self.chunks) * self.small.unwrap_or(CHUNK)
    }

    /// What is fetched, file by file.
    pub(crate) fn items(&self) -> Vec<Items> {
        let first = match self.small {
            Some(size) => Items::files(vec![size; self.chunks as usize]),
            None => Items::chunks(self.bytes()),
        };
        let others = self.others.iter().map(|file| Items::chunks(file.bytes()));
        [first].into_iter().chain(others).collect()
    }

    /// All files, the one that the table is about first.
    pub(crate) fn files(&self) -> Vec<Fetched> {
        let one = Fetched { chunks: self.chunks, nodes: self.nodes, first: 0 };
        [one].into_iter().chain(self.others.iter().copied()).collect()
    }

    /// Who takes part in what; of the first file a machine and its part have one number.
    pub(crate) fn parts(&self) -> Vec<Part> {
        let part = |(file, of): (usize, Fetched)| {
            let requesters = (of.first..of.first + of.nodes).map(|n| self.sources + n);
            (0..self.sources).chain(requesters).map(move |machine| Part { file, machine })
        };
        self.files().into_iter().enumerate().flat_map(part).collect()
    }

    pub(crate) fn machines(&self) -> usize {
        let last = self.files().into_iter().map(|of| of.first + of.nodes).max();
        self.sources + last.unwrap_or(0)
    }

    /// The line of a machine, bytes per second.
    pub(crate) fn rate(&self, node: usize) -> f64 {
        match self.scene {
            Scene::Half if node >= self.sources && node % 2 == 1 => RATE / 4.0,
            Scene::Crawler if node == self.sources => RATE / 100.0,
            _ => RATE,
        }
    }

    /// Whether a node's line is slower than others.
    pub(crate) fn is_slow(&self, node: usize) -> bool {
        self.rate(node) < RATE
    }

    /// Whether a node comes in the middle, or leaves then.
    pub(crate) fn comes_late(&self, node: usize) -> bool {
        self.is_first(node) && self.scene == Scene::Churn && node % 10 == 3
    }

    pub(crate) fn leaves(&self, node: usize) -> bool {
        self.is_first(node) && self.scene == Scene::Churn && node % 10 == 7
    }

    /// Whether it fetches the first file.
    fn is_first(&self, node: usize) -> bool {
        (self.sources..self.sources + self.nodes).contains(&node)
    }

    /// Seconds that the fast ones need at least.
    pub(crate) fn bound(&self) -> f64 {
        let idle = |t: i32| 1.0 - self.sources as f64 * 2_f64.powi(t) / self.nodes as f64;
        let hops = match self.sources {
            1 => f64::from(self.nodes.max(1).ilog2()),
            _ => (0..32).map(|t| idle(t).max(0.0)).sum(),
        };
        self.bytes() as f64 / RATE * (1.0 + hops / f64::from(self.chunks))
    }

    /// Seconds until the middle.
    pub(crate) fn middle(&self) -> Duration {
        Duration::from_secs_f64(self.bound() / 2.0)
    }

    /// Seconds that all need at least: the slowest line, and what all lines up can carry.
    pub(crate) fn bound_of_all(&self) -> f64 {
        let file = self.bytes() as f64;
        let all = self.sources + self.nodes;
        let slowest = (0..all).map(|n| self.rate(n)).fold(RATE, f64::min);
        let up: f64 = (0..all).map(|n| self.rate(n)).sum();
        let late = if self.scene == Scene::Churn { self.middle().as_secs_f64() } else { 0.0 };
        self.bound().max(file / slowest).max(self.nodes as f64 * file / up).max(late + file / RATE)
    }
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Seconds until each node that stayed was done, from its own beginning, and whether it is slow.
    pub(crate) times: Vec<(f64, bool)>,
    /// Seconds from the first beginning until the last of each file was done.
    pub(crate) files: Vec<f64>,
    /// The same of the first file: all who stayed, and the fast ones.
    pub(crate) makespan: f64,
    pub(crate) fast: f64,
    /// Who stayed and was not done when it was given up.
    pub(crate) unfinished: usize,
    /// Bytes sent by the first owners, and arrived at all requesters for nothing.
    pub(crate) first_sent: u64,
    pub(crate) twice: u64,
    /// Messages and their bytes, by kind.
    pub(crate) said: BTreeMap<Kind, (u64, u64)>,
    /// Dials refused since the owner was busy.
    pub(crate) busy: u64,
    /// Owners dropped for silence, and for breaking the protocol.
    pub(crate) stalled: u64,
    pub(crate) violations: u64,
    pub(crate) events: u64,
}

impl Outcome {
    /// All messages and their bytes.
    pub(crate) fn messages(&self) -> (u64, u64) {
        self.said.values().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }

    /// The share `q` of those who stayed needed at most so many seconds.
    pub(crate) fn quantile(&self, q: f64) -> f64 {
        let mut times: Vec<f64> = self.times.iter().map(|(time, _)| *time).collect();
        times.sort_by(f64::total_cmp);
        let at = (times.len() as f64 * q).ceil() as usize;
        times.get(at.saturating_sub(1)).copied().unwrap_or(0.0)
    }
}
