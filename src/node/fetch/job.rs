//! One download as the person ordered it: a name, which is a file or everything below a folder.
//!
//! ```text
//!   Preparing -> Moving <-> Waiting -> Finishing -> Done
//!       any of these --pause--> Paused --resume--> Preparing
//!       any of these --cancel, a fault--> Cancelled, Failed   (what arrived is kept)
//! ```
//!
//! Invariant: the outcome is set once, after every thread of the download has ended.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::control::{Control, Wish};
use super::file::{self, Halt, Results};
use super::place::{Place, There};
use super::progress::Progress;
use super::resolve::{Wanted, is_meant, resolve};
use crate::base::{Fault, FaultKind, FileEntry, Name, PeerInfo, Time};
use crate::io::{clock, threads};
use crate::logic::batch::{self, PlannedSet};
use crate::node::context::Context;
use crate::node::lookup::lookup;
use crate::node::view::{
    Direction, DownloadReport, From as Choice, Source, TransferRow, TransferState,
};
use crate::wire::message::transfer::Set;

/// Sets of one download fetched at the same time, to hide the ends of each behind the others.
const SETS_AT_ONCE: usize = 3;

/// What a download came to.
pub(in crate::node) type Outcome = Result<Vec<DownloadReport>, Fault>;

/// One download. Shared by its threads and by whoever asks about it.
pub(in crate::node) struct Job {
    pub(in crate::node) id: u64,
    pub(in crate::node) name: Name,
    pub(in crate::node) from: Choice,
    pub(in crate::node) control: Control,
    pub(in crate::node) progress: Arc<Progress>,
    started: Time,
    outcome: Mutex<Option<Outcome>>,
    ended: Condvar,
}

impl Job {
    pub(in crate::node) fn new(id: u64, name: Name, from: Choice) -> Arc<Job> {
        Arc::new(Job {
            id,
            name,
            from,
            control: Control::new(),
            progress: Arc::new(Progress::new()),
            started: clock::now(),
            outcome: Mutex::new(None),
            ended: Condvar::new(),
        })
    }

    /// Fetches it, however long that takes; the outcome is there when this returns.
    pub(in crate::node) fn run(
        &self,
        ctx: &Arc<Context>,
        place: &Place,
        give_up: Option<Duration>,
    ) {
        let run = Run { ctx, place, job: self, give_up };
        let outcome = loop {
            match run.once() {
                Ok(reports) => break reports,
                Err(Halt::Fault(fault)) => break Err(fault),
                Err(Halt::Stopped) if ctx.stop.is_stopped() => {
                    break Err(self.unfinished("stopped"));
                }
                Err(Halt::Stopped) => match self.rest(ctx) {
                    Wish::Run => {}
                    _ => break Err(self.unfinished("cancelled")),
                },
            }
        };
        self.end(outcome);
    }

    /// Stands still while the person wants that.
    fn rest(&self, ctx: &Context) -> Wish {
        let words = format!("by you; `resume {}` goes on", self.id);
        self.progress.set(TransferState::Paused, words);
        loop {
            match self.control.wait(Duration::from_millis(500)) {
                Wish::Pause if !ctx.stop.is_stopped() => {}
                Wish::Pause => return Wish::Cancel,
                other => return other,
            }
        }
    }

    fn unfinished(&self, how: &str) -> Fault {
        Fault::new(
            FaultKind::Unfinished,
            format!("{} was {how}; what arrived is kept, download it again to go on", self.name),
        )
    }

    fn end(&self, outcome: Outcome) {
        let (state, words) = match &outcome {
            Ok(_) => (TransferState::Done, String::new()),
            Err(f) if f.kind == FaultKind::Unfinished => (TransferState::Cancelled, f.text.clone()),
            Err(f) => (TransferState::Failed, f.text.clone()),
        };
        self.progress.set(state, words);
        *self.outcome.lock() = Some(outcome);
        self.ended.notify_all();
    }

    /// The outcome, waiting for it at most `within`.
    pub(in crate::node) fn wait(&self, within: Duration) -> Option<Outcome> {
        let mut outcome = self.outcome.lock();
        if outcome.is_none() {
            self.ended.wait_for(&mut outcome, within);
        }
        outcome.clone()
    }

    pub(in crate::node) fn is_over(&self) -> bool {
        self.outcome.lock().is_some()
    }

    pub(in crate::node) fn row(&self) -> TransferRow {
        let seen = self.progress.snapshot(clock::now());
        let peers: Vec<&str> = seen.sources.iter().map(|s| s.node.as_str()).collect();
        TransferRow {
            id: self.id,
            dir: Direction::Down,
            name: self.name.as_str().to_owned(),
            peer: peers.join(", "),
            state: seen.state,
            reason: seen.reason,
            done: seen.done,
            total: seen.total,
            attempt: seen.attempt,
            rate: if seen.state == TransferState::Moving { seen.rate } else { 0 },
            sources: seen.sources,
        }
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

    /// One go at the whole download.
    fn once(&self) -> Result<Outcome, Halt> {
        self.progress().set(TransferState::Preparing, "looking for owners");
        let wanted = resolve(self.ctx, &self.job.name, &self.job.from)?;
        if self.stopped() {
            return Err(Halt::Stopped);
        }
        let total = wanted.iter().map(|w| w.entry.size).sum();
        self.progress().begin(total, 0);
        let (mut results, missing) = self.look_around(wanted);
        results.extend(self.fetch_all(&missing)?);
        Ok(sum_up(&self.job.name, results))
    }

    /// What is there already, what is in the way, and what is missing.
    fn look_around(&self, wanted: Vec<Wanted>) -> (Results, Vec<Wanted>) {
        let (mut results, mut missing) = (Vec::new(), Vec::new());
        for w in wanted {
            let path = self.place.path_of(&w.entry.name);
            match self.place.look(&w.entry) {
                There::Nothing => missing.push(w),
                There::Same => {
                    self.progress().found(w.entry.size);
                    results.push(Ok(self.report(&w.entry, path, Vec::new())));
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
        (results, missing)
    }

    /// A few sets at a time, in the order of the plan.
    fn fetch_all(&self, wanted: &[Wanted]) -> Result<Results, Halt> {
        let files = wanted.iter().enumerate().map(|(index, w)| batch::Wanted {
            index,
            size: w.entry.size,
            root: w.entry.root,
        });
        let plan = batch::plan(&files.collect::<Vec<_>>());
        let pick = |indices: &[usize]| -> Vec<Wanted> {
            indices.iter().filter_map(|i| wanted.get(*i).cloned()).collect()
        };
        let results = Mutex::new(file::make_empty(self, &pick(&plan.empty)));
        let (next, halted) = (AtomicUsize::new(0), Mutex::new(None));
        let work = || {
            while let Some(set) = plan.sets.get(next.fetch_add(1, Ordering::Relaxed)) {
                if halted.lock().is_some() {
                    return;
                }
                match self.fetch_set(set, &pick(&set.files.concat())) {
                    Ok(mut some) => results.lock().append(&mut some),
                    Err(halt) => *halted.lock() = Some(halt),
                }
            }
        };
        std::thread::scope(|scope| {
            for n in 1..plan.sets.len().min(SETS_AT_ONCE) {
                let name = format!("download {}.{n}", self.job.id);
                if let Err(e) = threads::spawn_scoped(scope, name, work) {
                    log::warn!(target: "fetch", "{e}; goes on with fewer threads");
                }
            }
            work();
        });
        match halted.into_inner() {
            Some(halt) => Err(halt),
            None => Ok(results.into_inner()),
        }
    }

    fn fetch_set(&self, planned: &PlannedSet, files: &[Wanted]) -> Result<Results, Halt> {
        match &planned.set {
            Set::Batch(contents) => file::fetch_batch(self, contents, files),
            // Twins of a large file are fetched one after the other; each is a file of its own.
            Set::File(_) => files
                .iter()
                .map(|w| match file::fetch_file(self, w) {
                    Err(Halt::Fault(fault)) if is_own_fault(&fault) => Ok(Err(fault)),
                    other => other.map(Ok),
                })
                .collect(),
        }
    }
}

/// Whether a fault concerns one file only, so that the rest of a folder goes on.
fn is_own_fault(fault: &Fault) -> bool {
    matches!(fault.kind, FaultKind::Exists | FaultKind::Integrity | FaultKind::NoOwner)
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
    let Some(first) = faults.first() else { return Ok(reports) };
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
