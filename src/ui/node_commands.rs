//! The commands of a node.

use std::sync::Arc;
use std::time::Duration;

use super::command::{Command, Download, Scrub};
use super::daemon::{Candidates, Daemon, Reply};
use super::help::Role;
use super::life::{Going, Pace};
use super::outcome::Outcome;
use super::render::transfer_line;
use crate::base::name::printable;
use crate::base::{Fault, FaultKind, Name};
use crate::io::clock;
use crate::node::view::{
    Direction, DownloadReport, From, Listing, LookupHit, TransferRow, TransferState,
};
use crate::node::{Cut, Found, Node};

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
                let hits = all_hits(node.lookup(&name)?, reply);
                Outcome::Found { name, hits }
            }
            Command::LookupContent(name, root) => {
                let (name, found) = match node.whole_name(&name, &root) {
                    Some(whole) => (whole.clone(), node.lookup(&whole)?),
                    None => (name.clone(), node.lookup_content(&name, &root)?),
                };
                Outcome::Found { name, hits: all_hits(found, reply) }
            }
            Command::LookupOr(name, like) => match (node.lookup(&name), like) {
                (Ok(found), _) => Outcome::Found { name, hits: all_hits(found, reply) },
                (Err(fault), Ok(pattern)) if fault.kind != FaultKind::NoOwner => {
                    Outcome::Matches(all_hits(node.find(&pattern)?, reply))
                }
                (Err(fault), Err(why)) if fault.kind == FaultKind::NotFound => return Err(why),
                (Err(fault), _) => return Err(fault),
            },
            Command::Find(pattern) => Outcome::Matches(all_hits(node.find(&pattern)?, reply)),
            Command::Files(pattern) => Outcome::Indexed(whole(node.files(&pattern)?, reply)),
            Command::Why(name, root) => Outcome::Why(node.why(name, root)?),
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
            Command::Doctor => Outcome::Doctor(node.doctor()?),
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

/// What was found; who gets but a part of what somebody has is told so.
fn all_hits(found: Found, reply: &mut dyn Reply) -> Vec<LookupHit> {
    if !found.cut_off.is_empty() {
        let whose = printable(&found.cut_off.join(", ")).into_owned();
        reply.err(&format!("not all of it is shown: too many files of {whose}; ask for fewer\n"));
    }
    found.hits
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What was said on standard error.
    #[derive(Default)]
    struct Heard(String);

    impl Reply for Heard {
        fn out(&mut self, text: &str) {
            panic!("a message among the data: {text}");
        }
        fn err(&mut self, text: &str) {
            self.0.push_str(text);
        }
        fn gone(&self) -> bool {
            false
        }
    }

    #[test]
    fn who_gets_but_a_part_is_told_of_whom() {
        let mut heard = Heard::default();
        all_hits(Found { hits: Vec::new(), cut_off: Vec::new() }, &mut heard);
        assert_eq!(heard.0, "");
        let cut_off = vec!["bob (10.0.0.2:5)".to_owned(), "eve\u{1b} (10.0.0.3:5)".to_owned()];
        all_hits(Found { hits: Vec::new(), cut_off }, &mut heard);
        assert!(heard.0.contains("too many files of bob (10.0.0.2:5), eve"), "{}", heard.0);
        assert!(!heard.0.contains('\u{1b}'));
        whole((vec![1, 2], true), &mut heard);
        assert!(heard.0.ends_with("only the first 2 files are shown; ask for fewer\n"));
    }
}
