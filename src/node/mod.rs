//! A node: three listeners, a registration at each tracker, downloads, uploads, an index.
//!
//! [`Node`] is the whole of it for `ui`: every command is one method. Start binds all listeners
//! before the first thread runs; a tracker that is away does not matter. The order of the end:
//!
//! ```text
//! 1 stop token    downloads halt and keep what arrived, listeners refuse, uploads close
//! 2 registrations wake and send Exit
//! 3 join          every thread; a tracker that does not answer is cut off after two seconds, and
//!                 stragglers are named in the log
//! 4 statistics    written
//! 5 notices       closed: the prompt's reader sees the end
//! ```

mod browse;
mod called_back;
mod claims;
mod config;
mod context;
mod copies;
mod counters;
mod dial;
mod doctor;
mod downloads;
mod errands;
#[cfg(feature = "failpoints")]
mod failing_log;
mod fetch;
mod get;
mod journal;
mod keeping;
mod kept;
mod knock;
mod lookup;
mod orders;
mod registration;
mod repairs;
#[cfg(test)]
mod samples;
mod scrub;
mod serve;
mod start;
mod statistics;
pub mod summary;
mod swarm;
mod throttle;
mod uploads;
pub mod view;
mod why;

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

pub use browse::{Cut, Found};
pub use config::{GetConfig, NodeConfig, ReplicaConfig};
pub use get::get;
pub use journal::describe_record;

use context::Context;
use downloads::Downloads;
use fetch::control::Wish;
use lookup::Query;
use registration::Registration;
use uploads::Uploads;
use view::{
    DownloadReport, FileRow, From, Listing, LookupHit, NodeStatus, Owner, PeerRow, Ready, Stats,
    TransferRow,
};

use crate::base::{Fault, FaultKind, FileEntry, Name, NodeLabel, Rate};
use crate::io::clock;
use crate::io::disk::DataDir;
use crate::io::doctor::{Calls, Started};
use crate::io::index::{Index, IndexError, Shelf};

/// Every thread has so long to end.
const STOP_TIME_MAX: Duration = Duration::from_secs(8);
/// A tracker has so long to answer our `Exit`.
const FAREWELL_TIME_MAX: Duration = Duration::from_secs(2);
/// Names remembered for completion.
const SEEN_NAMES_MAX: usize = 1_000;

/// A line for the person at the prompt, without a time: `ui` adds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice(pub String);

/// A running node.
pub struct Node {
    ctx: Arc<Context>,
    /// Holds the data directory's lock.
    data: DataDir,
    index: Arc<Index>,
    downloads: Arc<Downloads>,
    uploads: Arc<Uploads>,
    registrations: Vec<Arc<Registration>>,
    ready: Ready,
    label: NodeLabel,
    /// `--listen` and `--advertise`.
    listen: (IpAddr, Option<IpAddr>),
    /// Those that the doctor makes.
    calls: Calls,
    started: Started,
    seen: Mutex<std::collections::VecDeque<Name>>,
    statistics: Arc<statistics::Keeper>,
    keeping: Arc<copies::Keeping>,
    scrub: Arc<scrub::Scrubber>,
}

impl Node {
    /// Starts everything; returns when the three listeners serve.
    ///
    /// # Errors
    /// The data directory is in use or cannot be written; a port is taken.
    pub fn start(config: &NodeConfig) -> Result<Arc<Node>, Fault> {
        start::start(config)
    }

    /// Where it serves.
    pub fn ready(&self) -> Ready {
        self.ready.clone()
    }

    /// The next line for the person; blocks. `None` when the node has stopped.
    pub fn next_notice(&self) -> Option<Notice> {
        self.ctx.notices.next().map(Notice)
    }

    /// Its address, as others see it.
    pub fn ip(&self) -> IpAddr {
        let seen = self.registrations.iter().find_map(|r| r.seen_as());
        seen.unwrap_or(self.ready.search.ip())
    }

    /// What `show` tells.
    pub fn status(&self) -> NodeStatus {
        let status = self.index.status();
        let problems = status.problems.into_iter();
        NodeStatus {
            node: self.label.clone(),
            id: self.ctx.me,
            addr: self.ip(),
            data: self.data.path().to_owned(),
            trackers: self.registrations.iter().map(|r| r.row()).collect(),
            hashing: status.hashing,
            looking: self.index.is_looking(),
            keeps: self.keeping.status(),
            files: self.list(Listing::Local),
            problems: problems.map(|p| view::Problem { path: p.path, why: p.why }).collect(),
        }
    }

    /// What `list` tells.
    pub fn list(&self, which: Listing) -> Vec<FileRow> {
        let row =
            |entry: FileEntry| FileRow { name: entry.name, size: entry.size, root: entry.root };
        self.index.list(shelf(which)).into_iter().map(row).collect()
    }

    /// The peers that trackers list, by name.
    pub fn peers(&self) -> Vec<PeerRow> {
        let now = clock::now();
        let known = self.ctx.peers.lock().all();
        let row = |peer: crate::logic::peers::KnownPeer| PeerRow {
            node: peer.info.label.clone(),
            id: peer.info.id,
            addr: peer.info.chunk(),
            files: u64::from(peer.info.files),
            last_seen_s: now.since(peer.heard).as_secs(),
            stale: peer.stale,
        };
        let mut rows: Vec<PeerRow> = known.into_iter().map(row).collect();
        rows.sort_by(|a, b| (&a.node, a.id).cmp(&(&b.node, b.id)));
        rows
    }

    /// Downloads and uploads, oldest first.
    pub fn transfers(&self) -> Vec<TransferRow> {
        let mut rows = self.downloads.rows();
        rows.extend(self.uploads.rows());
        rows.sort_by_key(|row| row.id);
        rows
    }

    /// How it stands, and what it has done since the last reset.
    pub fn stats(&self) -> Stats {
        let status = self.index.status();
        Stats {
            uptime_s: self.started.ago().as_secs(),
            files: status.files,
            file_bytes: status.bytes,
            hashing: status.hashing,
            looking: self.index.is_looking(),
            index: self.index.sizes(),
            peers: self.ctx.peers.lock().all().len() as u64,
            ..Stats::of(&self.statistics.all())
        }
    }

    /// Counts from zero from now on, over restarts too.
    ///
    /// # Errors
    /// The disk does not take it.
    pub fn reset_stats(&self) -> Result<(), Fault> {
        self.statistics.reset()
    }

    /// Who has this file, or what lies below this folder: one entry for each name and content.
    ///
    /// # Errors
    /// Nobody has it; those who should cannot be reached; nobody could be asked.
    pub fn lookup(&self, name: &Name) -> Result<Found, Fault> {
        let found = self.hits(&Arc::new(Query::Name(name.clone())), self.own_files(name))?;
        self.remember([name.clone()]);
        Ok(found)
    }

    /// What this node has under a name.
    fn own_files(&self, name: &Name) -> Vec<FileEntry> {
        let mut all: Vec<FileEntry> = Vec::new();
        loop {
            let after = all.last().map(|entry| entry.name.clone());
            let (mut page, more) = self.index.find(name, after.as_ref());
            let empty = page.is_empty();
            all.append(&mut page);
            if !more || empty {
                return all;
            }
        }
    }

    /// The asker is an owner like any other.
    fn add_own(&self, hits: &mut Vec<LookupHit>, mine: Vec<FileEntry>) {
        let mut only_mine = Vec::new();
        for entry in mine {
            let me = Owner {
                node: self.label.clone(),
                id: self.ctx.me,
                addr: self.ready.chunk,
                complete: true,
                here: true,
                part: None,
            };
            match hits.binary_search_by(|h| (&h.name, &h.root).cmp(&(&entry.name, &entry.root))) {
                Ok(at) => hits[at].owners.push(me),
                Err(_) => {
                    let FileEntry { name, size, root, .. } = entry;
                    only_mine.push(LookupHit { name, size, root, owners: vec![me] });
                }
            }
        }
        hits.append(&mut only_mine);
        hits.sort_by(|a, b| (&a.name, &a.root).cmp(&(&b.name, &b.root)));
    }

    /// Begins a download in the background and returns its id; one of the same name that is going
    /// on or paused is continued.
    ///
    /// # Errors
    /// Too many downloads are running.
    pub fn download(&self, name: &Name, from: From) -> Result<u64, Fault> {
        self.remember([name.clone()]);
        self.downloads.begin(name, from)
    }

    /// Waits for the end of a download, at most `within`; `Ok(None)`: it is still going on.
    ///
    /// # Errors
    /// What the download failed with; no such download.
    pub fn wait(&self, id: u64, within: Duration) -> Result<Option<Vec<DownloadReport>>, Fault> {
        self.downloads.wait(id, within)
    }

    /// Stops a download for good; what had arrived is removed, unless another one wants it.
    ///
    /// # Errors
    /// No such download, or it is over.
    pub fn cancel(&self, id: u64) -> Result<(), Fault> {
        self.downloads.say(id, Wish::Cancel)
    }

    /// Lets a download stand still.
    ///
    /// # Errors
    /// No such download, or it is over.
    pub fn pause(&self, id: u64) -> Result<(), Fault> {
        self.downloads.say(id, Wish::Pause)
    }

    /// Goes on with a download that is paused, was cancelled or failed.
    ///
    /// # Errors
    /// No such download, or it is complete.
    pub fn resume(&self, id: u64) -> Result<(), Fault> {
        self.downloads.resume(id)
    }

    /// Holds one transfer to a rate, at once, until it is over; without a rate to none.
    ///
    /// # Errors
    /// No such transfer, or it is over.
    pub fn limit(&self, id: u64, rate: Option<Rate>) -> Result<(), Fault> {
        self.downloads.limit(id, rate, &|| self.uploads.limit(id, rate))
    }

    /// Shares a file or folder from anywhere; returns its name.
    ///
    /// # Errors
    /// No such path; the name is taken.
    pub fn share(&self, path: &Path) -> Result<Name, Fault> {
        self.index.share(path).map_err(share_fault)
    }

    /// Shares a name no longer; the file stays where it is.
    ///
    /// # Errors
    /// Nothing of that name is shared.
    pub fn unshare(&self, name: &Name) -> Result<(), Fault> {
        self.index.unshare(name).map_err(share_fault)
    }

    /// Names seen lately, for completion.
    pub fn seen_names(&self) -> Vec<Name> {
        self.seen.lock().iter().cloned().collect()
    }

    fn remember(&self, names: impl IntoIterator<Item = Name>) {
        let mut seen = self.seen.lock();
        for name in names.into_iter().take(SEEN_NAMES_MAX) {
            seen.retain(|known| *known != name);
            seen.push_front(name);
        }
        seen.truncate(SEEN_NAMES_MAX);
    }

    /// Transfers that are not over, also those that wait or are paused.
    pub fn going_on(&self) -> Vec<TransferRow> {
        let mut rows = self.downloads.going_on();
        rows.extend(self.uploads.rows());
        rows
    }

    /// Ends the node: every thread is joined. Calling it again does nothing.
    pub fn stop(&self) {
        if self.ctx.stop.is_stopped() {
            return;
        }
        self.ctx.stop.stop();
        self.registrations.iter().for_each(|r| r.wake());
        if !self.ctx.group.join_all(FAREWELL_TIME_MAX).is_empty() {
            self.registrations.iter().for_each(|r| r.cut());
        }
        for straggler in self.ctx.group.join_all(STOP_TIME_MAX) {
            log::warn!(target: "node", "thread {straggler} did not end in time");
        }
        self.statistics.write();
        self.ctx.notices.close();
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape map_err wants")]
fn share_fault(error: IndexError) -> Fault {
    let kind = match error {
        IndexError::Clash { .. } | IndexError::Withheld { .. } => FaultKind::Exists,
        IndexError::NotShared { .. } => FaultKind::NotFound,
        _ => FaultKind::Other,
    };
    Fault::new(kind, error.to_string())
}

fn shelf(which: Listing) -> Shelf {
    match which {
        Listing::Local => Shelf::Local,
        Listing::Downloaded => Shelf::Downloaded,
        Listing::Replicated => Shelf::Replicated,
    }
}

fn hit_view(hit: lookup::Hit) -> LookupHit {
    let owner = |peer: crate::base::PeerInfo, part: Option<(u32, u32)>| Owner {
        addr: peer.chunk(),
        id: peer.id,
        node: peer.label,
        complete: part.is_none(),
        here: false,
        part,
    };
    let owners = hit.owners.into_iter().map(|peer| owner(peer, None));
    let fetchers = hit.fetchers.into_iter().map(|f| owner(f.peer, Some((f.have, f.of))));
    LookupHit {
        name: hit.entry.name,
        size: hit.entry.size,
        root: hit.entry.root,
        owners: owners.chain(fetchers).collect(),
    }
}
