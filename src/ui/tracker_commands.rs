//! The commands of a tracker.

use std::sync::Arc;

use super::command::Command;
use super::daemon::{Candidates, Daemon, Reply};
use super::help::Role;
use super::life::Going;
use super::outcome::Outcome;
use crate::base::{Fault, FaultKind, Name};
use crate::logic::pattern::PatternError;
use crate::tracker::{FileRow, Tracker};
use crate::wire::message::copies::WhyQuestion;
use crate::wire::message::find::{FindQuestion, Pattern};

/// A tracker behind a prompt.
pub(super) struct TrackerDaemon(pub Arc<Tracker>);

impl Daemon for TrackerDaemon {
    fn role(&self) -> Role {
        Role::Tracker
    }

    fn label(&self) -> String {
        "tracker".into()
    }

    fn run(&self, command: Command, _reply: &mut dyn Reply) -> Result<Outcome, Fault> {
        match command {
            Command::Peers => Ok(Outcome::TrackerPeers(self.0.peers())),
            Command::Files(pattern) => Ok(Outcome::TrackerFiles(all_files(&self.0, &pattern)?)),
            Command::Why(name, root) => {
                let question = WhyQuestion { name, root };
                let files = self.0.why(&question).files.into_vec();
                match files.is_empty() {
                    true => Err(no_copies(&question.name)),
                    false => Ok(Outcome::Why(files)),
                }
            }
            Command::Stats => Ok(Outcome::TrackerStats(self.0.stats())),
            Command::Doctor => Ok(Outcome::Doctor(self.0.doctor()?)),
            Command::ResetStats => {
                self.0.reset_stats();
                Ok(Outcome::StatsReset)
            }
            _ => Err(Fault::new(FaultKind::Usage, "a tracker has no such command")),
        }
    }

    fn next_notice(&self) -> Option<String> {
        self.0.next_notice()
    }

    /// A tracker moves nothing: transfers run between nodes.
    fn going_on(&self) -> Vec<Going> {
        Vec::new()
    }

    fn stop(&self) {
        self.0.stop();
    }

    fn candidates(&self, _of: Candidates) -> Vec<String> {
        Vec::new()
    }
}

fn no_copies(name: &Name) -> Fault {
    Fault::new(FaultKind::NotFound, format!("no node has told this tracker of {name}"))
}

/// All pages of the files that are meant.
fn all_files(tracker: &Tracker, pattern: &Pattern) -> Result<Vec<FileRow>, Fault> {
    let (mut rows, mut after) = (Vec::new(), None);
    loop {
        let question = FindQuestion { pattern: pattern.clone(), after };
        let usage = |e: PatternError| Fault::new(FaultKind::Usage, e.to_string());
        let (page, next) = tracker.files(&question).map_err(usage)?;
        rows.extend(page);
        after = next;
        if after.is_none() {
            return Ok(rows);
        }
    }
}
