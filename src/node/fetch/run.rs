//! A download at work: what every part of it asks of the whole.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::control::Wish;
use super::job::Job;
use super::place::Place;
use super::progress::Progress;
use super::resolve::{Wanted, is_meant};
use crate::base::{Fault, FileEntry, PeerInfo};
use crate::io::clock;
use crate::node::context::Context;
use crate::node::lookup::lookup;
use crate::node::view::{DownloadReport, Source, TransferState};

/// Why a part of a download did not arrive.
pub(super) enum Halt {
    /// The person, or the node's end.
    Stopped,
    /// Something that does not pass by itself.
    Fault(Fault),
}

impl From<Fault> for Halt {
    fn from(fault: Fault) -> Halt {
        Halt::Fault(fault)
    }
}

/// A job at work.
pub(super) struct Run<'a> {
    pub(super) ctx: &'a Arc<Context>,
    pub(super) place: &'a Place,
    pub(super) job: &'a Job,
    /// End instead of waiting when nothing moves for so long.
    pub(super) give_up: Option<Duration>,
}

impl Run<'_> {
    pub(super) fn progress(&self) -> &Progress {
        &self.job.progress
    }

    pub(super) fn stopped(&self) -> bool {
        self.ctx.stop.is_stopped() || self.job.control.wish() != Wish::Run
    }

    /// Shows why nothing moves, and waits a little.
    pub(super) fn wait(&self, state: TransferState, why: &str, time: Duration) -> Result<(), Halt> {
        self.progress().set(state, why);
        let slices = (time.as_millis() / 100).max(1);
        for _ in 0..slices {
            if self.stopped() {
                return Err(Halt::Stopped);
            }
            self.job.control.wait(Duration::from_millis(100));
        }
        Ok(())
    }

    pub(super) fn report(
        &self,
        entry: &FileEntry,
        path: PathBuf,
        sources: Vec<Source>,
    ) -> DownloadReport {
        let seconds = clock::now().since(self.job.started).as_secs_f64();
        let (name, root, bytes) = (entry.name.clone(), entry.root, entry.size);
        DownloadReport { name, root, path, bytes, seconds, sources }
    }

    /// Asks again who has all of `files`, within the person's choice.
    pub(super) fn finder(&self, files: &[Wanted]) -> Arc<dyn Fn() -> Vec<PeerInfo> + Send + Sync> {
        let (ctx, from) = (self.ctx.clone(), self.job.from.clone());
        let root = files.first().map(|w| w.entry.root);
        let name = files.first().map_or_else(|| self.job.name.clone(), |w| w.entry.name.clone());
        Arc::new(move || {
            let hits = lookup(&ctx, &name).hits.into_iter();
            hits.filter(|hit| Some(hit.entry.root) == root)
                .flat_map(|hit| hit.owners)
                .filter(|peer| is_meant(peer, &from))
                .collect()
        })
    }
}
