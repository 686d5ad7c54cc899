//! Fetches everything a job stands for: who has it, what is there already, what is missing (`sets`).

use std::sync::Arc;
use std::time::Duration;

use super::control::Wish;
use super::file::Results;
use super::finder::Finder;
use super::job::{Job, Outcome};
use super::place::{Place, There};
use super::resolve::{Wanted, resolve};
use super::run::{GiveUp, Halt, Run};
use crate::base::{Fault, FaultKind, Name};
use crate::node::context::Context;
use crate::node::view::TransferState;

/// A download that stands still looks so often whether the node ends.
const REST_SLICE: Duration = Duration::from_millis(200);

/// Between two looks for owners that are all away.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Why a download goes no further. No thread of it touches its parts any more.
pub(in crate::node) enum Ended {
    /// Complete, or failed; what is left of it is kept for another try.
    ByItself(Outcome),
    /// The person gave it up.
    Cancelled,
    /// The node ends; the next one goes on.
    NodeStops,
}

/// Fetches a job, however long that takes. Who calls tells it its outcome, and is told what its name
/// stands for, to keep that: whatever happens, these files are what it brings.
pub(in crate::node) fn download(
    job: &Job,
    ctx: &Arc<Context>,
    place: &Place,
    give_up: Option<Duration>,
    keep: &(dyn Fn(Vec<Wanted>) + Sync),
) -> Ended {
    let give_up = give_up.map(GiveUp::All);
    let finder = &Finder::new(ctx, job);
    loop {
        // What is paused from before a restart is not even looked for.
        if let Some(ended) = rest(job, ctx) {
            return ended;
        }
        let patient = job.patient || job.files().is_some();
        let (halted, turn, slot) = (None, None, None);
        let run = Run { ctx, place, job, patient, give_up, halted, turn, slot, finder, keep };
        match run.once() {
            Ok(outcome) => return Ended::ByItself(outcome),
            Err(Halt::Fault(fault) | Halt::All(fault)) => return Ended::ByItself(Err(fault)),
            Err(Halt::Stopped | Halt::GaveWay) => {}
        }
    }
}

/// Stands still while the person wants that; `None`: it goes on. What was cancelled is so even when
/// the node ends.
fn rest(job: &Job, ctx: &Context) -> Option<Ended> {
    loop {
        match job.control.wish() {
            Wish::Cancel => return Some(Ended::Cancelled),
            _ if ctx.stop.is_stopped() => return Some(Ended::NodeStops),
            Wish::Run => return None,
            Wish::Pause => {
                let words = format!("by you; `resume {}` goes on", job.id);
                job.progress.set(TransferState::Paused, words);
                job.control.wait(REST_SLICE);
            }
        }
    }
}

/// Words for what has not come to its end, and whose parts are kept.
pub(in crate::node) fn unfinished(job: &Job, how: &str) -> Fault {
    Fault::new(
        FaultKind::Unfinished,
        format!("{} was {how}; what arrived is kept, download it again to go on", job.name),
    )
}

impl Run<'_> {
    /// One go at the whole download.
    fn once(&self) -> Result<Outcome, Halt> {
        self.progress().set(TransferState::Preparing, "looking for owners");
        let known = self.job.files();
        let wanted = match &known {
            Some(files) => files.to_vec(),
            None => {
                let found = self.find()?;
                (self.keep)(found.clone());
                found
            }
        };
        if self.stopped() {
            return Err(Halt::Stopped);
        }
        if let Some(claims) = &self.place.claims {
            claims.wants(self.job, wanted.iter().map(|w| w.entry.root));
        }
        let total = wanted.iter().map(|w| w.entry.size).sum();
        self.progress().begin(total, 0);
        let (mut results, mut missing) = self.look_around(wanted)?;
        if known.is_some() && !missing.is_empty() {
            self.find_owners(&mut missing);
        }
        results.extend(self.fetch_all(missing)?);
        Ok(sum_up(&self.job.name, results))
    }

    /// The files and their owners. Who goes on after a restart waits for them.
    fn find(&self) -> Result<Vec<Wanted>, Halt> {
        loop {
            match resolve(self.ctx, &self.job.name, &self.job.from, &|| self.stopped()) {
                _ if self.stopped() => return Err(Halt::Stopped),
                Err(fault) if self.job.patient && is_absence(fault.kind) => {
                    let words = format!("{fault}; looks again every {} s", LOOK_EVERY.as_secs());
                    self.wait(TransferState::Waiting, &words, LOOK_EVERY)?;
                }
                other => return Ok(other?),
            }
        }
    }

    /// What is there already, what is in the way, and what is missing.
    fn look_around(&self, wanted: Vec<Wanted>) -> Result<(Results, Vec<Wanted>), Halt> {
        self.progress().set(TransferState::Preparing, "looking at what is here already");
        let (mut results, mut missing, mut here) = (Vec::new(), Vec::new(), Vec::new());
        let mut absent = Absent::default();
        for w in wanted {
            if absent.covers(&w.entry.name, self.place) {
                missing.push(w);
                continue;
            }
            match self.place.look(&w.entry, &|| self.stopped()) {
                There::Stopped => return Err(Halt::Stopped),
                There::Nothing => missing.push(w),
                There::Same => {
                    self.progress().found(w.entry.size);
                    here.push(w.entry);
                }
                There::Other(words) => results.push(Err(Fault::new(
                    FaultKind::Exists,
                    format!(
                        "{} was not downloaded: {words}; move it away and ask again",
                        w.entry.name
                    ),
                ))),
            }
        }
        let names = here.iter().map(|entry| entry.name.clone()).collect::<Vec<_>>();
        self.place.make_durable(&names).map_err(|e| {
            let (count, folder) = (here.len(), self.place.path.display());
            Fault::other(format!("could not sync {count} files that are in {folder} already: {e}"))
        })?;
        for entry in &here {
            let path = self.place.path_of(&entry.name);
            results.push(Ok(self.report(entry, path, Vec::new())));
        }
        Ok((results, missing))
    }
}

/// A folder that is not there: nothing below it is looked for. Files come sorted by their names.
#[derive(Default)]
struct Absent {
    /// The folder above the last file.
    above: Option<Name>,
    missing: Option<Name>,
}

impl Absent {
    fn covers(&mut self, name: &Name, place: &Place) -> bool {
        if self.missing.as_ref().is_some_and(|folder| name.is_below(folder)) {
            return true;
        }
        let above = name.parent();
        if above != self.above {
            self.missing = above.as_ref().and_then(|above| place.missing(above));
            self.above = above;
        }
        self.missing.is_some()
    }
}

/// Whether nobody was there who has it, which passes.
fn is_absence(kind: FaultKind) -> bool {
    matches!(kind, FaultKind::NotFound | FaultKind::NoOwner | FaultKind::Network)
}

/// All reports, or the worst fault with how much did arrive.
fn sum_up(name: &Name, results: Results) -> Outcome {
    let (mut reports, mut faults) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(report) => reports.push(report),
            Err(fault) => faults.push(fault),
        }
    }
    reports.sort_by(|a, b| a.name.cmp(&b.name));
    let Some(first) = faults.first() else { return Ok(Arc::new(reports)) };
    if reports.is_empty() && faults.len() == 1 {
        return Err(first.clone());
    }
    let text = format!(
        "{name}: {} files are here, {} are not; the first: {}",
        reports.len(),
        faults.len(),
        first.text
    );
    Err(Fault::new(first.kind, text))
}
