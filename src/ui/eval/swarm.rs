//! The swarm that a cell is measured with: nodes of its own, or some of those that run already.
//!
//! A swarm of its own is a tracker and nodes as processes on loopback, their data in a folder of the run; of
//! one that runs see `running`. A process that ends by itself is noticed and told. No copies are made but
//! where they are what is measured.
//!
//! Invariant: whatever way a swarm ends, its processes are killed and its folder is removed, or of one that
//! runs the files that were put into it; if this process is killed, the kernel kills its nodes
//! (`--end-with`).

use std::path::{Path, PathBuf};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;

use super::cell::{Cell, Kind};
use super::orders::{FOLDER, File};
use super::restore;
use super::running::{self, Claimed};
use super::store::{WORK_PREFIX, cannot};
use crate::base::name::printable;
use crate::base::{Fault, FaultKind, Rate, Time};
use crate::io::clock;
use crate::io::generate::{self, GenerateError};
use crate::io::threads::StopToken;
use crate::logic::replication::WANTED;
use crate::ui::ask::quietly;
use crate::ui::process::Process;

/// How long a node may take to hash and announce what it shares.
pub(super) const LISTED_TIME_MAX: Duration = Duration::from_secs(600);
/// How long until all have heard of each other: a few heartbeats.
const HEARD_TIME_MAX: Duration = Duration::from_secs(60);
/// How often is looked whether it has.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Seconds between two heartbeats: nodes hear soon of each other.
const HEARTBEAT: &str = "1";

/// Where swarms come from.
pub(super) enum Ground {
    /// Processes of this program, their data in a folder below this one; each with a line of this rate.
    Own { dir: PathBuf, line: Option<u64> },
    /// Nodes that run, by name, and their tracker.
    Running { tracker: PathBuf, nodes: Vec<(String, PathBuf)> },
}

impl Ground {
    /// The most nodes that a swarm can have.
    pub(super) fn nodes_max(&self) -> usize {
        match self {
            Ground::Own { .. } => usize::MAX,
            Ground::Running { nodes, .. } => nodes.len(),
        }
    }

    /// A swarm for `cell`, whose nodes share `files`, listed with all they have.
    ///
    /// # Errors
    /// A process that does not come up, a full disk; `Unfinished` when stopped.
    pub(super) fn swarm(
        &self,
        cell: &Cell,
        files: &[File],
        stop: &StopToken,
    ) -> Result<Swarm, Fault> {
        match self {
            Ground::Own { dir, line } => Swarm::start(dir, *line, cell, files, stop),
            Ground::Running { tracker, nodes } => {
                running::join(tracker, &nodes[..cell.nodes().min(nodes.len())], files, stop)
            }
        }
    }
}

/// See the module.
pub(super) struct Swarm {
    /// Those that fetch, ask and have the files.
    pub peers: Vec<Peer>,
    /// Their tracker.
    pub tracker: Peer,
    // Behind the processes that use it: fields are dropped in this order.
    pub(super) _traces: Traces,
}

/// A node or a tracker.
pub(super) struct Peer {
    name: String,
    data: PathBuf,
    /// Only of one that was started here.
    process: Mutex<Option<Process>>,
}

/// What is removed when dropped.
#[expect(dead_code, reason = "removed when dropped")]
pub(super) enum Traces {
    Folder(tempfile::TempDir),
    Claimed(Claimed),
}

impl Swarm {
    fn start(
        dir: &Path,
        line: Option<u64>,
        cell: &Cell,
        files: &[File],
        stop: &StopToken,
    ) -> Result<Swarm, Fault> {
        let folder = tempfile::Builder::new().prefix(WORK_PREFIX).tempdir_in(dir);
        let folder = folder.map_err(|e| cannot("make a folder in", dir, &e))?;
        let place = folder.path().canonicalize().map_err(|e| cannot("find", folder.path(), &e))?;
        let names: Vec<String> = (1..=cell.nodes()).map(|n| format!("peer{n}")).collect();
        let shared: Vec<PathBuf> = names.iter().map(|n| place.join(n).join("shared")).collect();
        fill(&shared, files, stop)?;
        let mut words = ["tracker", "--listen", "127.0.0.1:0"].map(str::to_owned).to_vec();
        words.extend(copies(cell));
        let (tracker, ready) = Peer::start("tracker", &place, words)?;
        let addr = ready.rsplit('=').next().unwrap_or_default().to_owned();
        let mut swarm = Swarm { peers: Vec::new(), tracker, _traces: Traces::Folder(folder) };
        for name in &names {
            let node =
                ["node", "--listen", "127.0.0.1", "--heartbeat", HEARTBEAT, "--tracker", &addr];
            let mut words: Vec<String> = node.map(str::to_owned).to_vec();
            if let Some(line) = line.map(|line| Rate::per_second(line).bytes().to_string()) {
                words.extend(["--up".into(), line.clone(), "--down".into(), line]);
            }
            words.extend(["--name".into(), name.clone()]);
            swarm.peers.push(Peer::start(name, &place, words)?.0);
        }
        swarm.wait_listed(files, &vec![0; cell.nodes()], stop)?;
        Ok(swarm)
    }

    /// How many files the tracker lists of each peer.
    pub(super) fn listed(&self) -> Result<Vec<u64>, Fault> {
        let rows = self.tracker.ask(&["peers"])?;
        let rows = rows.as_array().cloned().unwrap_or_default();
        let of = |peer: &Peer| {
            let row = rows.iter().find(|row| row["node"] == peer.name.as_str());
            row.and_then(|row| row["files"].as_u64()).unwrap_or(0)
        };
        Ok(self.peers.iter().map(of).collect())
    }

    /// Waits until the tracker lists all `files`, beside the `before` of each peer.
    pub(super) fn wait_listed(
        &self,
        files: &[File],
        before: &[u64],
        stop: &StopToken,
    ) -> Result<(), Fault> {
        let mut wanted = before.to_vec();
        for owner in files.iter().flat_map(|file| &file.owners) {
            wanted[*owner] += 1;
        }
        self.until("the peers have not announced their files", LISTED_TIME_MAX, stop, || {
            let listed = self.listed()?;
            let all = listed.iter().zip(&wanted).all(|(listed, wanted)| listed >= wanted);
            Ok(all.then_some(()))
        })
    }

    /// Waits until every peer knows all others, as they do in a swarm that has run for a while.
    ///
    /// # Errors
    /// They do not meet; `Unfinished` when stopped.
    pub(super) fn wait_acquainted(&self, stop: &StopToken) -> Result<(), Fault> {
        let others = self.peers.len() - 1;
        self.until("the peers have not heard of each other", HEARD_TIME_MAX, stop, || {
            for peer in &self.peers {
                if peer.ask(&["peers"])?.as_array().map_or(0, Vec::len) < others {
                    return Ok(None);
                }
            }
            Ok(Some(()))
        })
    }

    /// Looks until there is something.
    ///
    /// # Errors
    /// `what`, when it takes longer than `within`; a process that has ended; `Unfinished` when stopped.
    pub(super) fn until<T>(
        &self,
        what: &str,
        within: Duration,
        stop: &StopToken,
        mut look: impl FnMut() -> Result<Option<T>, Fault>,
    ) -> Result<T, Fault> {
        let began: Time = clock::now();
        loop {
            self.check()?;
            if let Some(found) = look()? {
                return Ok(found);
            }
            if clock::now().since(began) > within {
                let text = format!("{what} within {} s", within.as_secs());
                return Err(Fault::new(FaultKind::Network, text));
            }
            if stop.wait(LOOK_EVERY) {
                return Err(interrupted());
            }
        }
    }

    /// Whether all that were started here, and not killed here, still run.
    ///
    /// # Errors
    /// How the first of them has ended.
    pub(super) fn check(&self) -> Result<(), Fault> {
        let all = std::iter::once(&self.tracker).chain(&self.peers);
        all.filter_map(Peer::ended).next().map_or(Ok(()), Err)
    }

    /// Ends whatever is waited for: kills what was started here, cancels what was asked of others.
    pub(super) fn give_up(&self) {
        self.peers.iter().for_each(Peer::give_up);
    }
}

impl Peer {
    fn start(name: &str, place: &Path, mut words: Vec<String>) -> Result<(Peer, String), Fault> {
        let peer = Peer::running(name, &place.join(name));
        words.extend(["--headless".into(), "--log-file".into(), peer.log().display().to_string()]);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (process, ready) = Process::start(&words, &peer.data)?;
        *peer.process.lock() = Some(process);
        Ok((peer, ready))
    }

    /// One that was running before.
    pub(super) fn running(name: &str, data: &Path) -> Peer {
        Peer { name: name.to_owned(), data: data.to_owned(), process: Mutex::new(None) }
    }

    /// That it has ended, which nobody told it to, with its last words.
    fn ended(&self) -> Option<Fault> {
        let status = self.process.lock().as_mut()?.ended()?;
        let log = std::fs::read(self.log()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let last = log.lines().rfind(|line| !line.is_empty()).unwrap_or("nothing");
        let name = &self.name;
        Some(Fault::other(format!(
            "{name} has ended by itself ({status}); its log says at last: {}",
            printable(last)
        )))
    }

    /// Beside its data.
    fn log(&self) -> PathBuf {
        self.data.with_extension("log")
    }

    /// What it is called.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The JSON answer to a command.
    ///
    /// # Errors
    /// The command's own, or nobody there.
    pub(super) fn ask(&self, words: &[&str]) -> Result<Value, Fault> {
        let told = |text: &str| format!("{} at {}: {}", words.join(" "), self.name, text.trim());
        let (code, answer) = quietly(&self.data, words, None)
            .map_err(|fault| Fault::new(fault.kind, told(&fault.text)))?;
        if code != 0 {
            return Err(Fault::other(told(&answer)));
        }
        serde_json::from_str(&answer).map_err(|e| Fault::other(told(&format!("no JSON: {e}"))))
    }

    /// Kills it, if it was started here: no goodbye, as if its machine had lost power.
    pub(super) fn kill(&self) -> bool {
        self.process.lock().take().is_some()
    }

    fn give_up(&self) {
        if self.kill() {
            return;
        }
        let is_ours = |name: &str| name.strip_prefix(FOLDER).is_some_and(|n| n.starts_with('/'));
        let ours = |row: &&Value| row["name"].as_str().is_some_and(is_ours);
        let cancelled = self.ask(&["transfers"]).and_then(|rows| {
            let rows = rows.as_array().cloned().unwrap_or_default();
            let ids = rows.iter().filter(|row| row["dir"] == "down").filter(ours);
            ids.map(|row| row["id"].to_string())
                .try_for_each(|id| self.ask(&["cancel", &id]).map(|_| ()))
        });
        if let Err(fault) = cancelled {
            log::warn!("cannot cancel what was asked: {fault}");
        }
    }
}

/// The tracker's flags on copies: none are made, unless they are what is measured.
fn copies(cell: &Cell) -> Vec<String> {
    match cell.kind {
        Kind::Restore => {
            let grace = restore::GRACE.as_secs().to_string();
            vec!["--replicas".into(), WANTED.to_string(), "--replica-grace".into(), grace]
        }
        _ => vec!["--replicas".into(), "1".into()],
    }
}

/// Writes `files` into the shared folders of their owners.
pub(super) fn fill(shared: &[PathBuf], files: &[File], stop: &StopToken) -> Result<(), Fault> {
    for file in files {
        let mut places = file.owners.iter().map(|owner| shared[*owner].join(&file.name));
        let Some(first) = places.next() else { continue };
        generate::generate_file(&first, file.size, file.seed).map_err(|e| not_filled(&e))?;
        for other in places {
            let folder = other.parent().unwrap_or(&other);
            std::fs::create_dir_all(folder).map_err(|e| cannot("make", folder, &e))?;
            // One copy on the disk serves both: nobody writes to shared files.
            std::fs::hard_link(&first, &other).map_err(|e| cannot("link", &other, &e))?;
        }
        if stop.is_stopped() {
            return Err(interrupted());
        }
    }
    Ok(())
}

fn not_filled(e: &GenerateError) -> Fault {
    match e {
        GenerateError::Io { path, source } => cannot("write", path, source),
        GenerateError::Exists(_) => Fault::new(FaultKind::Exists, e.to_string()),
    }
}

/// Somebody wants it to end.
pub(super) fn interrupted() -> Fault {
    Fault::new(FaultKind::Unfinished, "interrupted")
}
