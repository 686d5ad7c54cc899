//! The commands of a node.

use std::sync::Arc;
use std::time::Duration;

use super::command::{Command, Download, Scrub};
use super::daemon::{Candidates, Daemon, Reply};
use super::help::Role;
use super::life::{Going, Pace};
use super::outcome::Outcome;
use super::render::transfer_line;
use crate::base::{Fault, FaultKind, Name};
use crate::io::clock;
use crate::node::view::{Direction, DownloadReport, From, Listing, TransferRow, TransferState};
use crate::node::{Cut, Node};

/// One look at a download that is waited for; also how soon a gone asker is noticed.
const WAIT_STEP: Duration = Duration::from_millis(250);
/// How often a waiting asker is told how far it is.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// A node behind a prompt.
pub(super) struct NodeDaemon(pub Arc<Node>);

impl Daemon for NodeDaemon {
    fn role(&self) -> Role {
        Role::Node
    }

    fn label(&self) -> String {
        self.0.ready().node.to_string()
    }

    fn run(&self, command: Command, reply: &mut dyn Reply) -> Result<Outcome, Fault> {
        let node = &self.0;
        Ok(match command {
            Command::GetIp => Outcome::Ip(node.ip()),
            Command::Show => Outcome::Status(node.status()),
            Command::List(which) => Outcome::Files(node.list(which)),
            Command::Lookup(name) => {
                let hits = node.lookup(&name)?;
                Outcome::Found { name, hits }
            }
            Command::LookupContent(name, root) => {
                let (name, hits) = match node.whole_name(&name, &root) {
                    Some(whole) => (whole.clone(), node.lookup(&whole)?),
                    None => (name.clone(), node.lookup_content(&name, &root)?),
                };
                Outcome::Found { name, hits }
            }
            Command::LookupOr(name, like) => match (node.lookup(&name), like) {
                (Ok(hits), _) => Outcome::Found { name, hits },
                (Err(fault), Ok(pattern)) if fault.kind != FaultKind::NoOwner => {
                    Outcome::Matches(node.find(&pattern)?)
                }
                (Err(fault), Err(why)) if fault.kind == FaultKind::NotFound => return Err(why),
                (Err(fault), _) => return Err(fault),
            },
            Command::Find(pattern) => Outcome::Matches(node.find(&pattern)?),
            Command::Files(pattern) => Outcome::Indexed(whole(node.files(&pattern)?, reply)),
            Command::Browse(other) => Outcome::Files(whole(node.browse(&other)?, reply)),
            Command::Download(download) => self.download(download, reply)?,
            Command::Cancel(id) => node.cancel(id).map(|()| changed(id, "cancelled"))?,
            Command::Pause(id) => node.pause(id).map(|()| changed(id, "paused"))?,
            Command::Resume(id) => node.resume(id).map(|()| changed(id, "resumed"))?,
            Command::Limit { id, rate } => {
                node.limit(id, rate)?;
                Outcome::Limited { id, rate }
            }
            Command::Share(path) => Outcome::Shared(node.share(&path)?),
            Command::Unshare(name) => {
                node.unshare(&name)?;
                Outcome::Unshared(name)
            }
            Command::Peers => Outcome::Peers(node.peers()),
            Command::Transfers => Outcome::Transfers(node.transfers()),
            Command::Stats => Outcome::Stats(Box::new(node.stats())),
            Command::Scrub(Scrub::Status) => Outcome::Scrub(Box::new(node.scrub_status())),
            Command::Scrub(Scrub::Now) => Outcome::Scrub(Box::new(node.scrub_now())),
            Command::Scrub(Scrub::Repair(name)) => {
                node.scrub_repair(&name)?;
                Outcome::Scrub(Box::new(node.scrub_status()))
            }
            Command::ResetStats => node.reset_stats().map(|()| Outcome::StatsReset)?,
            Command::Help(_) | Command::Exit { .. } => {
                return Err(Fault::new(FaultKind::Usage, "a node has no such command"));
            }
        })
    }

    fn next_notice(&self) -> Option<String> {
        self.0.next_notice().map(|notice| notice.0)
    }

    fn going_on(&self) -> Vec<Going> {
        let going = |row: &TransferRow| Going {
            id: row.id,
            pace: pace(row.state),
            line: transfer_line(row),
        };
        self.0.going_on().iter().map(going).collect()
    }

    fn stop(&self) {
        self.0.stop();
    }

    fn candidates(&self, of: Candidates) -> Vec<String> {
        let node = &self.0;
        match of {
            Candidates::Local => {
                node.list(Listing::Local).iter().map(|f| f.name.as_str().to_owned()).collect()
            }
            Candidates::Seen => node.seen_names().iter().map(|n| n.as_str().to_owned()).collect(),
            Candidates::Peers => node.peers().iter().map(|p| p.node.to_string()).collect(),
            Candidates::Transfers => {
                let over = [TransferState::Done, TransferState::Failed, TransferState::Cancelled];
                let rows = node.transfers();
                let live =
                    rows.iter().filter(|t| t.dir == Direction::Down || !over.contains(&t.state));
                live.map(|t| t.id.to_string()).collect()
            }
        }
    }
}

impl NodeDaemon {
    fn download(&self, ask: Download, reply: &mut dyn Reply) -> Result<Outcome, Fault> {
        let Download { mut name, root, from, wait } = ask;
        let mut from = from.unwrap_or_default();
        if let Some(root) = root {
            match self.0.whole_name(&name, &root) {
                Some(whole) => name = whole,
                None => from = From::Content(root),
            }
        }
        let id = self.0.download(&name, from)?;
        if !wait {
            return Ok(Outcome::Started { id, name });
        }
        let reports = self.wait(id, &name, reply)?;
        Ok(Outcome::Downloaded { name, reports })
    }

    fn wait(
        &self,
        id: u64,
        name: &Name,
        reply: &mut dyn Reply,
    ) -> Result<Vec<DownloadReport>, Fault> {
        let mut told = clock::now();
        loop {
            if let Some(reports) = self.0.wait(id, WAIT_STEP)? {
                return Ok(reports);
            }
            if reply.gone() {
                let text = format!("download {id} of {name} goes on in the background");
                return Err(Fault::new(FaultKind::Unfinished, text));
            }
            if clock::now().since(told) >= PROGRESS_EVERY {
                told = clock::now();
                if let Some(row) = self.0.transfers().iter().find(|row| row.id == id) {
                    reply.err(&format!("{}\n", transfer_line(row)));
                }
            }
        }
    }
}

/// The list; who gets but a part of it is told so.
fn whole<T>((list, is_cut_off): Cut<T>, reply: &mut dyn Reply) -> Vec<T> {
    if is_cut_off {
        reply.err(&format!("only the first {} files are shown; ask for fewer\n", list.len()));
    }
    list
}

fn pace(state: TransferState) -> Pace {
    match state {
        TransferState::Moving | TransferState::Finishing => Pace::Moves,
        TransferState::Preparing => Pace::Prepares,
        _ => Pace::Waits,
    }
}

fn changed(id: u64, to: &'static str) -> Outcome {
    Outcome::Changed { id, to }
}
