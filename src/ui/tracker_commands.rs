//! The commands of a tracker.

use std::sync::Arc;

use super::command::Command;
use super::daemon::{Candidates, Daemon, Reply};
use super::help::Role;
use super::outcome::Outcome;
use crate::base::{Fault, FaultKind};
use crate::tracker::Tracker;

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
            Command::Files => Ok(Outcome::TrackerFiles(self.all_files())),
            Command::Stats => Ok(Outcome::TrackerStats(self.0.stats())),
            _ => Err(Fault::new(FaultKind::Usage, "a tracker has no such command")),
        }
    }

    fn next_notice(&self) -> Option<String> {
        self.0.next_notice()
    }

    fn drain(&self) {}

    /// A tracker moves nothing: transfers run between nodes.
    fn moving(&self) -> Vec<String> {
        Vec::new()
    }

    fn stop(&self) {
        self.0.stop();
    }

    fn candidates(&self, _of: Candidates) -> Vec<String> {
        Vec::new()
    }
}

impl TrackerDaemon {
    /// The whole index, page by page, so that the tracker's lock is never held for long.
    fn all_files(&self) -> Vec<crate::tracker::FileRow> {
        let mut all = Vec::new();
        loop {
            let last = all.last().map(|row: &crate::tracker::FileRow| row.name.clone());
            let (mut page, more) = self.0.files(last.as_ref());
            let empty = page.is_empty();
            all.append(&mut page);
            if !more || empty {
                return all;
            }
        }
    }
}
