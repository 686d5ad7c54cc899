//! The cells of an evaluation: what is measured with which parameters, and what came out.
//!
//! ```text
//! weak     peers x concurrency x sizes   each peer fetches `concurrency` files of its own, all at once
//! strong   peers x sizes                 one number of files, divided among the peers
//! many     peers x sizes                 one file that one owner has and all peers fetch
//! search   a sweep of each of            lookups of names that are there, one after the other, by
//!          index, concurrency, peers     `concurrency` askers at each peer
//! restore  the largest size              seconds until each file has two copies again
//! ```
//!
//! Invariant: the cells follow from the settings alone, in this order, none twice.

use serde::{Deserialize, Serialize};

use super::settings::Settings;
use crate::base::{Fault, FaultKind};
use crate::ui::args::What;
use crate::ui::render;

/// Files that strong scaling divides, for each of the most peers.
const STRONG_FILES_PER_PEER: u32 = 2;
/// Peers that answer while index and concurrency change.
const SEARCH_PEERS: u32 = 4;
/// Files that are to have their copies again.
const RESTORE_FILES: u32 = 16;
/// Nodes that die, one after the other: nearly all of the time is grace, the same each time.
const RESTORE_DEATHS: u32 = 2;
/// Nodes beyond those that die: two for the copies and one to spare.
const RESTORE_NODES: u32 = 3;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    Weak,
    Strong,
    Many,
    Search,
    Restore,
}

impl Kind {
    /// In a word.
    pub(super) fn word(self) -> &'static str {
        match self {
            Kind::Weak => "weak",
            Kind::Strong => "strong",
            Kind::Many => "many",
            Kind::Search => "search",
            Kind::Restore => "restore",
        }
    }
}

/// One measurement's parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Cell {
    /// What.
    pub kind: Kind,
    /// Peers that fetch or ask at once; to restore, all nodes.
    pub peers: u32,
    /// Downloads or lookups of one peer at once.
    pub concurrency: u32,
    /// Bytes of each file.
    pub size: u64,
    /// Files: of weak scaling for each peer, else in all.
    pub files: u32,
}

/// What one round came to.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Round {
    /// From the first request to the last answer, seconds.
    pub seconds: f64,
    /// Bytes fetched.
    pub bytes: u64,
    /// Requests: downloads, lookups, files that were restored.
    pub requests: u64,
    /// Seconds of the requests: all, or evenly spaced quantiles of many.
    pub times: Vec<f64>,
}

/// A cell that is finished.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Measured {
    /// Its parameters.
    pub cell: Cell,
    /// The rounds that count.
    pub rounds: Vec<Round>,
}

impl Cell {
    /// Nodes that it takes.
    pub(super) fn nodes(&self) -> usize {
        let peers = self.peers as usize;
        match self.kind {
            // Who fetches needs somebody else to fetch from.
            Kind::Weak | Kind::Strong | Kind::Search => peers.max(2),
            Kind::Many => peers + 1,
            Kind::Restore => peers,
        }
    }

    /// Rounds, the first one included where it does not count.
    pub(super) fn rounds(&self, settings: &Settings) -> u32 {
        match self.kind {
            // Each kills a node, and there is nothing to warm up.
            Kind::Restore => RESTORE_DEATHS,
            _ => settings.rounds + 1,
        }
    }

    /// A name for folders and results: `weak-p4-c1-s1048576-f1`.
    pub(super) fn id(&self) -> String {
        let Cell { kind, peers, concurrency, size, files } = self;
        format!("{}-p{peers}-c{concurrency}-s{size}-f{files}", kind.word())
    }

    /// For people.
    pub(super) fn words(&self) -> String {
        let (peers, at_once, files) = (self.peers, self.concurrency, self.files);
        let peers = if peers == 1 { "1 peer".to_owned() } else { format!("{peers} peers") };
        let size = render::size(self.size);
        match self.kind {
            Kind::Weak => format!("weak: {peers}, {at_once} at once, each a file of {size}"),
            Kind::Strong => format!("strong: {files} files of {size} divided among {peers}"),
            Kind::Many => format!("one file to many: {size} to {peers}"),
            Kind::Search => format!("search: {peers}, {at_once} at once, {files} files"),
            Kind::Restore => format!("restore: {files} files of {size} at {peers}"),
        }
    }
}

/// The cells that `what` means.
///
/// # Errors
/// `Usage`: nothing is left to measure, or what a running swarm is not for.
pub(super) fn cells(what: What, settings: &Settings) -> Result<Vec<Cell>, Fault> {
    let usage = |text: &str| Err(Fault::new(FaultKind::Usage, text));
    let mut cells = Vec::new();
    if matches!(what, What::Weak | What::All) {
        cells.extend(weak(settings));
    }
    if matches!(what, What::Strong | What::All) {
        cells.extend(strong(settings));
        cells.extend(many(settings));
    }
    if matches!(what, What::Search | What::All) {
        cells.extend(search(settings));
    }
    if matches!(what, What::Restore | What::All) && !settings.compose {
        cells.push(restore(settings));
    } else if what == What::Restore {
        return usage(
            "eval restore kills nodes, so only those that it has started itself; leave out --compose",
        );
    }
    Ok(cells)
}

fn weak(s: &Settings) -> Vec<Cell> {
    let mut cells = Vec::new();
    for (&peers, &concurrency) in
        s.peers.iter().flat_map(|p| s.concurrency.iter().map(move |c| (p, c)))
    {
        let cell = |&size| Cell { kind: Kind::Weak, peers, concurrency, size, files: concurrency };
        cells.extend(s.sizes.iter().map(cell));
    }
    cells
}

/// The smallest size: with the largest, one peer alone would take most of the run.
fn strong(s: &Settings) -> Vec<Cell> {
    let files = s.most_peers() * STRONG_FILES_PER_PEER;
    let concurrency = s.concurrency.last().copied().unwrap_or(1);
    let size = s.sizes.first().copied().unwrap_or(1);
    let cell = |&peers| Cell { kind: Kind::Strong, peers, concurrency, size, files };
    s.peers.iter().map(cell).collect()
}

fn many(s: &Settings) -> Vec<Cell> {
    let cell = |peers, size| Cell { kind: Kind::Many, peers, concurrency: 1, size, files: 1 };
    s.peers.iter().flat_map(|&p| s.sizes.iter().map(move |&size| cell(p, size))).collect()
}

/// One parameter at a time, the others at their usual values.
fn search(s: &Settings) -> Vec<Cell> {
    let usual = s.peers.iter().copied().rfind(|p| *p <= SEARCH_PEERS).unwrap_or(s.most_peers());
    let first = |list: &[u32]| list.first().copied().unwrap_or(1);
    let (alone, small) = (first(&s.concurrency), first(&s.index));
    let size = 64; // Names are searched, not bytes.
    let cell =
        |peers, concurrency, files| Cell { kind: Kind::Search, peers, concurrency, size, files };
    let mut cells: Vec<Cell> = s.index.iter().map(|&files| cell(usual, alone, files)).collect();
    cells.extend(s.concurrency.iter().map(|&c| cell(usual, c, small)));
    cells.extend(s.peers.iter().map(|&p| cell(p, alone, small)));
    cells.sort_unstable();
    cells.dedup();
    cells
}

fn restore(s: &Settings) -> Cell {
    let size = s.sizes.last().copied().unwrap_or(1);
    let peers = RESTORE_DEATHS + RESTORE_NODES;
    Cell { kind: Kind::Restore, peers, concurrency: 1, size, files: RESTORE_FILES }
}

#[cfg(test)]
mod tests {
    use super::super::settings::tests::settings;
    use super::*;

    #[test]
    fn the_cells_are_all_that_the_settings_mean_and_none_twice() {
        let of = |what| cells(what, &settings()).unwrap();
        assert_eq!(of(What::Weak).len(), 3 * 2 * 2);
        assert_eq!(of(What::Strong).len(), 3 + 3 * 2);
        assert_eq!(of(What::Search).len(), 5, "100 and 1000 files; 2 at once; 1 and 2 peers");
        assert_eq!(of(What::Restore).len(), 1);
        let all = of(What::All);
        assert_eq!(all.len(), 12 + 9 + 5 + 1);
        let ids: std::collections::BTreeSet<String> = all.iter().map(Cell::id).collect();
        assert_eq!(ids.len(), all.len(), "each has a name of its own");
    }

    #[test]
    fn strong_scaling_divides_the_same_files_among_any_number_of_peers() {
        let all = cells(What::Strong, &settings()).unwrap();
        let strong = all.iter().filter(|cell| cell.kind == Kind::Strong);
        assert!(strong.clone().all(|cell| cell.files == 8 && cell.size == 1 << 10));
        assert_eq!(strong.map(|cell| cell.peers).collect::<Vec<_>>(), [1, 2, 4]);
    }

    #[test]
    fn nodes_of_others_are_not_killed() {
        let running = Settings { compose: true, ..settings() };
        assert_eq!(cells(What::Restore, &running).unwrap_err().kind, FaultKind::Usage);
        let all = cells(What::All, &running).unwrap();
        assert!(all.iter().all(|cell| cell.kind != Kind::Restore));
    }
}
