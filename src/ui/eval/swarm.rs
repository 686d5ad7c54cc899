//! The swarm that a cell is measured with: nodes of its own, or some of those that run already.
//!
//! A swarm of its own is a tracker and nodes as processes on loopback, their data in a folder of the run. One
//! that runs is what `run.sh` started from the current folder: its data directories are below `volumes/`,
//! containers' too, and so are its control sockets. Asking those directly is what `docker exec … parvi ctl`
//! does, without the tenth of a second that starting a process in a container takes.
//!
//! Invariant: whatever way a swarm ends, its processes are killed and its folder is removed, or of one that
//! runs the files that were put into it; if this process is killed, the kernel kills its nodes
//! (`--end-with`).

use std::path::{Path, PathBuf};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;

use super::orders::{FOLDER, File};
use super::store::{WORK_PREFIX, cannot};
use crate::base::{Fault, FaultKind, Rate, Time};
use crate::io::clock;
use crate::io::generate::{self, GenerateError};
use crate::io::threads::StopToken;
use crate::ui::ask::quietly;
use crate::ui::process::Process;

/// How long a node may take to hash and announce what it shares.
const LISTED_TIME_MAX: Duration = Duration::from_secs(600);
/// How long until all have heard of each other: a few heartbeats.
const HEARD_TIME_MAX: Duration = Duration::from_secs(60);
/// How often is looked whether it has.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Seconds between two heartbeats: nodes hear soon of each other.
const HEARTBEAT: &str = "1";
/// Where `run.sh` keeps data directories.
const VOLUMES: &str = "volumes";

/// Where swarms come from.
pub(super) enum Ground {
    /// Processes of this program, their data in a folder below this one; each with a line of this rate.
    Own { dir: PathBuf, line: Option<u64> },
    /// Nodes that run, by name, and their tracker.
    Running { tracker: PathBuf, nodes: Vec<(String, PathBuf)> },
}

impl Ground {
    /// The swarm that `run.sh` has started from `folder`.
    ///
    /// # Errors
    /// `Network`: no tracker, or no two nodes, run there.
    pub(super) fn running(folder: &Path) -> Result<Ground, Fault> {
        let volumes = folder.join(VOLUMES);
        let tracker = volumes.join("tracker");
        let runs = |data: &Path| quietly(data, &["stats"], Some(Duration::from_secs(5)));
        let missing = |why: String| {
            let text = format!(
                "no swarm runs from {}: {why}; start one with ./run.sh -s 1 -n 4 -d",
                folder.display()
            );
            Fault::new(FaultKind::Network, text)
        };
        runs(&tracker).map_err(|fault| missing(fault.text))?;
        let entries = std::fs::read_dir(&volumes).map_err(|e| missing(e.to_string()))?;
        let named =
            entries.flatten().filter_map(|e| Some((e.file_name().into_string().ok()?, e.path())));
        let mut nodes: Vec<_> =
            named.filter(|(name, data)| name != "tracker" && runs(data).is_ok()).collect();
        // node2 before node10.
        nodes.sort_by_key(|(name, _)| (name.len(), name.clone()));
        if nodes.len() < 2 {
            return Err(missing(format!("{} nodes are there, two are needed", nodes.len())));
        }
        Ok(Ground::Running { tracker, nodes })
    }

    /// The most nodes that a swarm can have.
    pub(super) fn nodes_max(&self) -> usize {
        match self {
            Ground::Own { .. } => usize::MAX,
            Ground::Running { nodes, .. } => nodes.len(),
        }
    }

    /// A swarm of `nodes` that share `files`, listed with all they have.
    ///
    /// # Errors
    /// A process that does not come up, a full disk; `Unfinished` when stopped.
    pub(super) fn swarm(
        &self,
        nodes: usize,
        files: &[File],
        stop: &StopToken,
    ) -> Result<Swarm, Fault> {
        match self {
            Ground::Own { dir, line } => Swarm::start(dir, *line, nodes, files, stop),
            Ground::Running { tracker, nodes: all } => {
                Swarm::join(tracker, &all[..nodes.min(all.len())], files, stop)
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
    _traces: Traces,
}

/// A node or a tracker.
pub(super) struct Peer {
    name: String,
    data: PathBuf,
    /// Only of one that was started here.
    process: Mutex<Option<Process>>,
}

/// What is to be removed.
enum Traces {
    Folder(#[expect(dead_code, reason = "removed when dropped")] tempfile::TempDir),
    Files(Vec<PathBuf>),
}

impl Drop for Traces {
    fn drop(&mut self) {
        let Traces::Files(folders) = self else { return };
        for folder in folders {
            match std::fs::remove_dir_all(&*folder) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    log::warn!("cannot remove {}: {e}", folder.display());
                }
                _ => {}
            }
        }
    }
}

impl Swarm {
    fn start(
        dir: &Path,
        line: Option<u64>,
        nodes: usize,
        files: &[File],
        stop: &StopToken,
    ) -> Result<Swarm, Fault> {
        let folder = tempfile::Builder::new().prefix(WORK_PREFIX).tempdir_in(dir);
        let folder = folder.map_err(|e| cannot("make a folder in", dir, &e))?;
        let place = folder.path().canonicalize().map_err(|e| cannot("find", folder.path(), &e))?;
        let names: Vec<String> = (1..=nodes).map(|n| format!("peer{n}")).collect();
        let shared: Vec<PathBuf> = names.iter().map(|n| place.join(n).join("shared")).collect();
        fill(&shared, files, stop)?;
        let listen = ["tracker", "--listen", "127.0.0.1:0"].map(str::to_owned).to_vec();
        let (tracker, ready) = Peer::start("tracker", &place, listen)?;
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
        swarm.wait_listed(files, &vec![0; nodes], stop)?;
        Ok(swarm)
    }

    fn join(
        tracker: &Path,
        nodes: &[(String, PathBuf)],
        files: &[File],
        stop: &StopToken,
    ) -> Result<Swarm, Fault> {
        let peer = |(name, data): (&str, &Path)| Peer {
            name: name.to_owned(),
            data: data.to_owned(),
            process: Mutex::new(None),
        };
        let peers: Vec<Peer> = nodes.iter().map(|(n, data)| peer((n, data))).collect();
        let folder = |data: &Path, kind: &str| data.join(kind).join(FOLDER);
        let traces =
            peers.iter().flat_map(|p| ["shared", "downloaded"].map(|k| folder(&p.data, k)));
        let traces = Traces::Files(traces.collect());
        let shared: Vec<PathBuf> = peers.iter().map(|p| p.data.join("shared")).collect();
        let swarm = Swarm { peers, tracker: peer(("tracker", tracker)), _traces: traces };
        // Those of the cell before are removed, and soon not listed any more.
        until(
            "the files of an earlier measurement are still listed",
            LISTED_TIME_MAX,
            stop,
            || {
                let rows = swarm.tracker.ask(&["files", FOLDER])?;
                Ok(rows.as_array().is_none_or(Vec::is_empty).then_some(()))
            },
        )?;
        let before = swarm.listed()?;
        fill(&shared, files, stop)?;
        swarm.wait_listed(files, &before, stop)?;
        Ok(swarm)
    }

    /// How many files the tracker lists of each peer.
    fn listed(&self) -> Result<Vec<u64>, Fault> {
        let rows = self.tracker.ask(&["peers"])?;
        let rows = rows.as_array().cloned().unwrap_or_default();
        let of = |peer: &Peer| {
            let row = rows.iter().find(|row| row["node"] == peer.name.as_str());
            row.and_then(|row| row["files"].as_u64()).unwrap_or(0)
        };
        Ok(self.peers.iter().map(of).collect())
    }

    /// Waits until the tracker lists all `files`, beside the `before` of each peer.
    fn wait_listed(&self, files: &[File], before: &[u64], stop: &StopToken) -> Result<(), Fault> {
        let mut wanted = before.to_vec();
        for owner in files.iter().flat_map(|file| &file.owners) {
            wanted[*owner] += 1;
        }
        until("the peers have not announced their files", LISTED_TIME_MAX, stop, || {
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
        until("the peers have not heard of each other", HEARD_TIME_MAX, stop, || {
            for peer in &self.peers {
                if peer.ask(&["peers"])?.as_array().map_or(0, Vec::len) < others {
                    return Ok(None);
                }
            }
            Ok(Some(()))
        })
    }

    /// Ends whatever is waited for: kills what was started here, cancels what was asked of others.
    pub(super) fn give_up(&self) {
        self.peers.iter().for_each(Peer::give_up);
    }
}

impl Peer {
    fn start(name: &str, place: &Path, mut words: Vec<String>) -> Result<(Peer, String), Fault> {
        let (data, log) = (place.join(name), place.join(format!("{name}.log")));
        words.extend(["--headless".into(), "--log-file".into(), log.display().to_string()]);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (process, ready) = Process::start(&words, &data)?;
        Ok((Peer { name: name.to_owned(), data, process: Mutex::new(Some(process)) }, ready))
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
        let ours = |row: &&Value| row["name"].as_str().is_some_and(|n| n.starts_with(FOLDER));
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

/// Writes `files` into the shared folders of their owners.
fn fill(shared: &[PathBuf], files: &[File], stop: &StopToken) -> Result<(), Fault> {
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

/// Looks until there is something.
///
/// # Errors
/// `what`, when it takes longer than `within`; `Unfinished` when stopped.
pub(super) fn until<T>(
    what: &str,
    within: Duration,
    stop: &StopToken,
    mut look: impl FnMut() -> Result<Option<T>, Fault>,
) -> Result<T, Fault> {
    let began: Time = clock::now();
    loop {
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

/// Somebody wants it to end.
pub(super) fn interrupted() -> Fault {
    Fault::new(FaultKind::Unfinished, "interrupted")
}
