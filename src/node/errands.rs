//! Downloads that no person asked for: copies for others, and what a file was that rots.
//!
//! Invariant: the last free place of all downloads is a person's, and she has all of hers whatever
//! errands run. An errand is not kept for the next start: whoever wants it done says so again, and what
//! had arrived is found then. It ends instead of waiting for ever.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::downloads::{Downloads, RUNNING_MAX, forget_old};
use super::fetch::control::Wish;
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
    /// Whether there is a place for an errand now.
    pub(super) fn has_place(&self) -> bool {
        is_place_left(&self.jobs.lock())
    }

    /// Begins an errand; `None`: there is no place for it now.
    pub(super) fn begin_errand(
        self: &Arc<Self>,
        errand: Errand,
        entry: FileEntry,
    ) -> Option<Arc<Job>> {
        let job = {
            let mut jobs = self.jobs.lock();
            if !is_place_left(&jobs) {
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

    /// A download has ended by itself: what is left of it stays or goes.
    pub(super) fn lets_go(&self, job: &Job, outcome: &Outcome) {
        match outcome {
            Err(fault) if leaves_nothing(job, fault) => self.claims.give_up(job),
            _ => self.claims.over(job),
        }
    }

    /// Before a repair: what rots is put aside, once somebody is there who has what it was.
    pub(super) fn makes_way(&self, job: &Job) -> Result<(), Fault> {
        let Some((Errand::Repair { rotten, .. }, entry)) = &job.errand else { return Ok(()) };
        if rotten.aside {
            return Ok(());
        }
        let stop = || self.ctx.stop.is_stopped() || !job.goes_on();
        let hits = lookup(&self.ctx, job.sought().0, &stop).hits;
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

fn is_place_left(jobs: &BTreeMap<u64, Arc<Job>>) -> bool {
    let running = jobs.values().filter(|job| !job.is_over()).count();
    running + 1 < RUNNING_MAX
}

/// Whether what has arrived goes with a fault: nobody waits for a copy, and what is no copy yet counts
/// against no quota; a repair is tried again, but does not keep the disk full.
fn leaves_nothing(job: &Job, fault: &Fault) -> bool {
    match &job.errand {
        None => false,
        Some((Errand::Copy { .. }, _)) => true,
        Some((Errand::Repair { .. }, _)) => fault.kind == FaultKind::DiskFull,
    }
}

/// A person may cancel an errand, nothing else: whoever wants it done begins it again.
pub(super) fn heeds(job: &Job, wish: Wish) -> Result<(), Fault> {
    match job.errand_words() {
        Some(errand) if wish != Wish::Cancel => Err(Fault::other(format!(
            "transfer {} of {} is {errand}, which is neither paused nor resumed: `cancel {}` ends it, \
             and it is begun again when it is wanted",
            job.id, job.name, job.id
        ))),
        _ => Ok(()),
    }
}

/// Nobody waits for an errand: who wants it done tells of it where that matters.
pub(super) fn tell_errand(job: &Job, outcome: &Outcome) {
    match outcome {
        Ok(_) => log::info!(target: "node", "errand {}: {} is here", job.id, job.name),
        Err(fault) => log::info!(target: "node", "errand {}: {fault}", job.id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::samples::hit;

    fn copy(id: u64) -> Arc<Job> {
        let entry = hit("film", b"film", &[]).entry;
        let errand = Errand::Copy { sought: entry.name.clone(), sources: Vec::new() };
        Job::errand(id, errand, entry)
    }

    #[test]
    fn a_copy_that_fails_leaves_nothing_and_a_download_all() {
        let download = Job::new(1, "film".parse().unwrap(), crate::node::view::From::All);
        for kind in [FaultKind::NoOwner, FaultKind::Network, FaultKind::DiskFull] {
            let fault = Fault::new(kind, "why");
            assert!(leaves_nothing(&copy(2), &fault) && !leaves_nothing(&download, &fault));
        }
    }

    #[test]
    fn an_errand_is_cancelled_but_neither_paused_nor_resumed() {
        assert_eq!(heeds(&copy(7), Wish::Cancel), Ok(()));
        for wish in [Wish::Pause, Wish::Run] {
            let fault = heeds(&copy(7), wish).unwrap_err();
            assert!(fault.text.contains("a copy for others") && fault.text.contains("`cancel 7`"));
        }
    }
}
