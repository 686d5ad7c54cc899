//! The commands of a tracker.

use std::sync::Arc;

use super::command::Command;
use super::daemon::{Candidates, Daemon, Reply};
use super::help::Role;
use super::life::Going;
use super::outcome::Outcome;
use crate::base::{Fault, FaultKind};
use crate::tracker::{FileRow, Tracker};

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
            Command::Files => Ok(Outcome::TrackerFiles(all_files(&self.0))),
            Command::Stats => Ok(Outcome::TrackerStats(self.0.stats())),
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

/// All pages of the index.
fn all_files(tracker: &Tracker) -> Vec<FileRow> {
    let (mut rows, mut more) = tracker.files(None);
    while more && let Some(last) = rows.last().map(|row| row.name.clone()) {
        let (page, further) = tracker.files(Some(&last));
        more = further && !page.is_empty();
        rows.extend(page);
    }
    rows
}
