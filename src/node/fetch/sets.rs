//! Which sets of a download are fetched at the same time.
//!
//! Invariant: a set whose owners are away does not keep another from those that are there: it gives
//! way, goes to the end of the queue, and stays longer when its turn comes again, since what has
//! arrived of it is checked anew each time. Ends with one result a file, or with the first halt; no
//! thread of it lives on.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::file::{self, Results};
use super::resolve::Wanted;
use super::run::{Halt, Run};
use super::small;
use crate::base::{Fault, FaultKind, Time};
use crate::io::{clock, threads};
use crate::logic::batch::{self, PlannedSet};
use crate::wire::message::transfer::Set;

/// Sets of one download fetched at the same time, to hide the ends of each behind the others.
const SETS_AT_ONCE: usize = 3;

/// How long a set waits for its owners while others wait for its place, the first time.
const STAY_FIRST: Duration = Duration::from_secs(5);
/// It doubles each time, so often.
const STAY_DOUBLINGS_MAX: u32 = 6;

/// The sets of a download that wait for their turn.
#[derive(Default)]
pub(super) struct Queue<'a> {
    sets: Mutex<VecDeque<Queued<'a>>>,
    len: AtomicUsize,
}

#[derive(Clone, Copy)]
struct Queued<'a> {
    set: &'a PlannedSet,
    /// How often it has given way.
    turns: u32,
}

/// A set's turn.
#[derive(Clone, Copy)]
pub(super) struct Turn<'a> {
    others: &'a AtomicUsize,
    began: Time,
    stays: Duration,
}

impl Turn<'_> {
    /// Whether a set to which nothing has come since `last` is to let another go on.
    pub(super) fn is_over(&self, now: Time, last: Time) -> bool {
        now.since(last.max(self.began)) >= self.stays && self.others.load(Ordering::Relaxed) > 0
    }
}

impl<'a> Queue<'a> {
    fn new(sets: impl Iterator<Item = &'a PlannedSet>) -> Queue<'a> {
        let sets: VecDeque<_> = sets.map(|set| Queued { set, turns: 0 }).collect();
        Queue { len: AtomicUsize::new(sets.len()), sets: sets.into() }
    }

    fn next(&self, now: Time) -> Option<(Queued<'a>, Turn<'_>)> {
        let mut sets = self.sets.lock();
        let queued = sets.pop_front()?;
        self.len.store(sets.len(), Ordering::Relaxed);
        let stays = STAY_FIRST * (1 << queued.turns.min(STAY_DOUBLINGS_MAX));
        Some((queued, Turn { others: &self.len, began: now, stays }))
    }

    fn gave_way(&self, queued: Queued<'a>) {
        let mut sets = self.sets.lock();
        sets.push_back(Queued { turns: queued.turns + 1, ..queued });
        self.len.store(sets.len(), Ordering::Relaxed);
    }
}

impl Run<'_> {
    /// A few sets at a time: those whose owners are known first, otherwise in the order of the plan.
    pub(super) fn fetch_all(&self, wanted: &[Wanted]) -> Result<Results, Halt> {
        let files = wanted.iter().enumerate().map(|(index, w)| batch::Wanted {
            index,
            size: w.entry.size,
            root: w.entry.root,
        });
        let plan = batch::plan(&files.collect::<Vec<_>>());
        self.job.adds_sets(plan.sets.iter().map(|planned| (planned.key, planned.set.clone())));
        let pick = |indices: &[usize]| -> Vec<Wanted> {
            indices.iter().filter_map(|i| wanted.get(*i).cloned()).collect()
        };
        let results = Mutex::new(small::make_empty(self, &pick(&plan.empty))?);
        let has_owner =
            |set: &PlannedSet| set.files.iter().flatten().any(|i| !wanted[*i].owners.is_empty());
        let (first, last): (Vec<_>, Vec<_>) = plan.sets.iter().partition(|set| has_owner(set));
        let queue = Queue::new(first.into_iter().chain(last));
        let halted = Mutex::new(None);
        let work = || {
            while let Some((queued, turn)) = queue.next(clock::now()) {
                if halted.lock().is_some() {
                    return;
                }
                let run = Run { turn: Some(turn), ..*self };
                match run.fetch_set(queued.set, &pick(&queued.set.files.concat())) {
                    Ok(mut some) => results.lock().append(&mut some),
                    Err(Halt::GaveWay) => queue.gave_way(queued),
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
            Set::Batch(contents) => small::fetch_batch(self, contents, files),
            // Twins of a large file are fetched one after the other; each is a file of its own. Those
            // after the first are copied from it: they wait for no owner, and give no way.
            Set::File(_) => (0..)
                .zip(files)
                .map(|(n, w)| {
                    let turn = self.turn.filter(|_| n == 0);
                    match file::fetch_file(&Run { turn, ..*self }, w) {
                        Err(Halt::Fault(fault)) if is_own_fault(&fault) => Ok(Err(fault)),
                        other => other.map(Ok),
                    }
                })
                .collect(),
        }
    }
}

/// Whether a fault concerns one file only, so that the rest of a folder goes on.
fn is_own_fault(fault: &Fault) -> bool {
    matches!(
        fault.kind,
        FaultKind::Exists | FaultKind::Integrity | FaultKind::NoOwner | FaultKind::NotFound
    )
}
