//! Downloads that no person asked for: copies for others, and what a file was that rots.
//!
//! Invariant: the last free place of all downloads is a person's, and she has all of hers whatever
//! errands run. An errand is not kept for the next start: whoever wants it done says so again, and what
//! had arrived is found then. It ends instead of waiting for ever.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::downloads::{Downloads, RUNNING_MAX, forget_old};
use super::fetch::job::{Errand, Job, Outcome};
use super::fetch::place::Place;
use super::lookup::lookup;
use crate::base::{Fault, FaultKind, FileEntry};
use crate::io::index::{Rotten, Shelf};

/// Where errands put what they bring, where that is not among the downloads.
pub(super) struct Elsewhere {
    pub(super) shared: Arc<Place>,
    pub(super) replicated: Arc<Place>,
}

impl Downloads {
    /// Begins an errand; `None`: there is no place for it now.
    pub(super) fn begin_errand(
        self: &Arc<Self>,
        errand: Errand,
        entry: FileEntry,
    ) -> Option<Arc<Job>> {
        let job = {
            let mut jobs = self.jobs.lock();
            let running = jobs.values().filter(|job| !job.is_over()).count();
            if running + 1 >= RUNNING_MAX {
                return None;
            }
            forget_old(&mut jobs);
            let job = Job::errand(self.ids.fetch_add(1, Ordering::Relaxed), errand, entry);
            self.claims.begin(&job);
            jobs.insert(job.id, job.clone());
            job
        };
        // One that cannot be started has ended with that.
        self.start_or_end(&job).ok();
        Some(job)
    }

    /// Where what a download brings is put.
    pub(super) fn place_of(&self, job: &Job) -> &Place {
        match job.shelf() {
            Shelf::Local => &self.elsewhere.shared,
            Shelf::Downloaded => &self.place,
            Shelf::Replicated => &self.elsewhere.replicated,
        }
    }

    /// Before a repair: what rots is put aside, once somebody is there who has what it was.
    pub(super) fn makes_way(&self, job: &Job) -> Result<(), Fault> {
        let Some((Errand::Repair(rotten), entry)) = &job.errand else { return Ok(()) };
        if rotten.aside {
            return Ok(());
        }
        let stop = || self.ctx.stop.is_stopped() || !job.goes_on();
        let hits = lookup(&self.ctx, &entry.name, &stop).hits;
        let has = hits.iter().any(|hit| {
            (hit.entry.root, hit.entry.size) == (entry.root, entry.size) && !hit.owners.is_empty()
        });
        if !has {
            let text = format!("nobody else is there who has {} as it was", entry.name);
            return Err(Fault::new(FaultKind::NoOwner, text));
        }
        self.put_aside(rotten).map_err(|e| {
            Fault::other(format!("could not put {} aside, which rots: {e}", entry.name))
        })
    }

    fn put_aside(&self, rotten: &Rotten) -> io::Result<()> {
        let Some(index) = &self.place.index else { return Ok(()) };
        let aside = index.put_aside(rotten)?;
        log::info!(target: "node", "{} rots and is called {aside} now", rotten.entry.name);
        Ok(())
    }
}

/// Nobody waits for an errand: who wants it done tells of it where that matters.
pub(super) fn tell_errand(job: &Job, outcome: &Outcome) {
    match outcome {
        Ok(_) => log::info!(target: "node", "errand {}: {} is here", job.id, job.name),
        Err(fault) => log::info!(target: "node", "errand {}: {fault}", job.id),
    }
}
