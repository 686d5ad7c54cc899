//! Which sets of a download are fetched at the same time.
//!
//! Invariant: a set whose owners are away does not keep another from those that are there: it gives
//! way, goes to the end of the queue, and stays longer when its turn comes again, since what has
//! arrived of it is checked anew each time. What is wrong with a set is a fault of its files: the rest
//! goes on, unless nothing of the whole download can. Ends with one result a file, or with the first
//! halt, which all threads see; no thread of it lives on.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::dispute::Dispute;
use super::file::{self, Known, Results};
use super::resolve::Wanted;
use super::run::{GiveUp, Halt, Run};
use super::slots::Slots;
use super::small;
use crate::base::{Fault, NodeId, Time};
use crate::io::{clock, threads};
use crate::logic::batch::{self, Plan, PlannedSet};
use crate::node::view::DownloadReport;
use crate::wire::message::transfer::Set;

/// Sets of one download on their way at the same time, to hide the ends of each behind the others.
const SETS_AT_ONCE: usize = 3;
/// Sets beside these that have arrived and get their names.
const NAMED_AT_ONCE: usize = 2;

/// How long a set waits for its owners while others wait for its place, the first time.
const STAY_FIRST: Duration = Duration::from_secs(5);
/// It doubles each time, so often.
const STAY_DOUBLINGS_MAX: u32 = 6;

/// A one-shot has this many turns before it gives up, so that others come to theirs.
const TURNS_BEFORE_END: u32 = 3;

/// What of a download waits for its turn.
struct Queue<'a> {
    tasks: Mutex<VecDeque<Queued<'a>>>,
    len: AtomicUsize,
    stay_max: Duration,
}

/// A set at work, and what its turns have brought.
struct Queued<'a> {
    task: Task<'a>,
    known: Known,
    /// How often it has given way.
    turns: u32,
}

/// What is fetched together.
enum Task<'a> {
    Planned(&'a PlannedSet),
    Disputed(Dispute),
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
    fn new(tasks: impl Iterator<Item = Task<'a>>, give_up: Option<GiveUp>) -> Queue<'a> {
        let queued = |task| Queued { task, known: Known::default(), turns: 0 };
        let tasks: VecDeque<_> = tasks.map(queued).collect();
        let stay_max = match give_up {
            Some(GiveUp::All(max)) => max / TURNS_BEFORE_END,
            _ => Duration::MAX,
        };
        Queue { len: AtomicUsize::new(tasks.len()), tasks: tasks.into(), stay_max }
    }

    fn next(&self, now: Time) -> Option<(Queued<'a>, Turn<'_>)> {
        let mut tasks = self.tasks.lock();
        let queued = tasks.pop_front()?;
        self.len.store(tasks.len(), Ordering::Relaxed);
        let stays = STAY_FIRST * (1 << queued.turns.min(STAY_DOUBLINGS_MAX));
        Some((queued, Turn { others: &self.len, began: now, stays: stays.min(self.stay_max) }))
    }

    fn gave_way(&self, queued: Queued<'a>) {
        let mut tasks = self.tasks.lock();
        tasks.push_back(Queued { turns: queued.turns + 1, ..queued });
        self.len.store(tasks.len(), Ordering::Relaxed);
    }
}

/// What the threads of a download share.
struct AtWork<'a> {
    /// Files, each of which has a result at the end.
    total: usize,
    queue: Queue<'a>,
    slots: Slots,
    wanted: &'a [Wanted],
    results: Mutex<Results>,
    /// The first of what ended it all.
    end: Mutex<Option<Halt>>,
    halted: AtomicBool,
    /// Who was wrong about the size of a file.
    doubted: Mutex<BTreeSet<NodeId>>,
}

impl Run<'_> {
    /// A few sets at a time: those whose owners are known first, otherwise in the order of the plan;
    /// after them the files about whose size their owners disagree.
    pub(super) fn fetch_all(&self, wanted: Vec<Wanted>) -> Result<Results, Halt> {
        let (disputed, agreed): (Vec<_>, Vec<_>) =
            wanted.into_iter().partition(|w| !w.rivals.is_empty());
        let plan = self.plan(&agreed);
        self.job.keeps_only(&plan.sets.iter().map(|planned| planned.key).collect());
        let total = agreed.len() + disputed.len();
        let results = self.make_empty(&pick(&agreed, &plan.empty))?;
        let has_owner =
            |set: &PlannedSet| set.files.iter().flatten().any(|i| agreed[*i].is_somewhere());
        let (first, last): (Vec<_>, Vec<_>) = plan.sets.iter().partition(|set| has_owner(set));
        let disputed = disputed.iter().map(|w| Task::Disputed(Dispute::of(w)));
        let tasks = first.into_iter().chain(last).map(Task::Planned).chain(disputed);
        self.progress().expects(clock::now());
        let work = AtWork {
            total,
            queue: Queue::new(tasks, self.give_up),
            slots: Slots::new(SETS_AT_ONCE),
            wanted: &agreed,
            results: results.into(),
            end: Mutex::default(),
            halted: AtomicBool::new(false),
            doubted: Mutex::default(),
        };
        let threads_max = SETS_AT_ONCE + NAMED_AT_ONCE;
        let threads = work.queue.len.load(Ordering::Relaxed).min(threads_max);
        std::thread::scope(|scope| {
            for n in 1..threads {
                let name = format!("download {}.{n}", self.job.id);
                if let Err(e) = threads::spawn_scoped(scope, name, || self.work(&work)) {
                    log::warn!(target: "fetch", "{e}; goes on with fewer threads");
                }
            }
            self.work(&work);
        });
        match work.end.into_inner() {
            Some(halt) => Err(halt),
            None => Ok(work.results.into_inner()),
        }
    }

    /// How these files are fetched; owners who call for one of the sets are known from now on.
    fn plan(&self, files: &[Wanted]) -> Plan {
        let files = files.iter().enumerate().map(|(index, w)| batch::Wanted {
            index,
            size: w.entry.size,
            root: w.entry.root,
        });
        let plan = batch::plan(&files.collect::<Vec<_>>());
        self.job.adds_sets(plan.sets.iter().map(|planned| (planned.key, planned.set.clone())));
        plan
    }

    /// One thread: a task after the other, until there is none or all is over.
    fn work(&self, work: &AtWork<'_>) {
        loop {
            let slot = work.slots.take();
            let Some((mut queued, turn)) = work.queue.next(clock::now()) else { return };
            if work.halted.load(Ordering::Relaxed) {
                return;
            }
            let (turn, halted, slot) = (Some(turn), Some(&work.halted), Some(&slot));
            let run = Run { turn, halted, slot, ..*self };
            match run.take_turn_of(&mut queued, work) {
                Ok(some) => self.take_results(work, some),
                Err(Halt::GaveWay) => work.queue.gave_way(queued),
                Err(halt) => {
                    work.end.lock().get_or_insert(halt);
                    work.halted.store(true, Ordering::Relaxed);
                }
            }
        }
    }

    fn take_turn_of(&self, queued: &mut Queued<'_>, work: &AtWork<'_>) -> Result<Results, Halt> {
        match &mut queued.task {
            Task::Planned(set) => {
                self.fetch_set(set, &pick(work.wanted, &set.files.concat()), &mut queued.known)
            }
            Task::Disputed(dispute) => Ok(vec![dispute.round(self, &work.doubted)?]),
        }
    }

    /// The first fault of a download that goes on is told at once: its end may be far.
    fn take_results(&self, work: &AtWork<'_>, mut some: Results) {
        let mut results = work.results.lock();
        let goes_on = self.give_up.is_none() && results.len() + some.len() < work.total;
        if goes_on
            && !results.iter().any(Result::is_err)
            && let Some(fault) = some.iter().find_map(|result| result.as_ref().err())
        {
            let id = self.job.id;
            self.ctx.notices.tell(format!("download {id}: {fault}; the rest goes on"));
        }
        results.append(&mut some);
    }

    /// Fetches one file by itself.
    pub(super) fn fetch_one(&self, wanted: &Wanted) -> Result<Result<DownloadReport, Fault>, Halt> {
        let files = std::slice::from_ref(wanted);
        let results = match self.plan(files).sets.first() {
            Some(planned) => self.fetch_set(planned, files, &mut Known::default()),
            None => self.make_empty(files),
        };
        Ok(results?.pop().unwrap_or_else(|| Err(Fault::other("nothing was asked for"))))
    }

    fn make_empty(&self, files: &[Wanted]) -> Result<Results, Halt> {
        own_faults(small::make_empty(self, files), files)
    }

    /// What cannot be had of a set does not keep the rest of the download from its names.
    fn fetch_set(
        &self,
        planned: &PlannedSet,
        files: &[Wanted],
        known: &mut Known,
    ) -> Result<Results, Halt> {
        let fetched = match &planned.set {
            Set::File(_) => self.fetch_twins(files, known),
            Set::Batch(contents) => {
                own_faults(small::fetch_batch(self, contents, files, known), files)
            }
        };
        if fetched.is_ok() {
            // It does not come to its turn again: nobody is to wait for it.
            self.job.keeps(&planned.key, false);
        }
        fetched
    }

    fn fetch_twins(&self, files: &[Wanted], known: &mut Known) -> Result<Results, Halt> {
        // Twins of a large file are fetched one after the other; each is a file of its own. Those
        // after the first are copied from it: they wait for no owner, and give no way.
        let mut fetch = |(n, wanted): (usize, &Wanted)| {
            let run = Run { turn: self.turn.filter(|_| n == 0), ..*self };
            let (mut own, known) = (Known::default(), &mut *known);
            let known = if n == 0 { known } else { &mut own };
            match file::fetch_file(&run, wanted, known) {
                Err(Halt::Fault(fault)) => Ok(Err(fault)),
                other => other.map(Ok),
            }
        };
        files.iter().enumerate().map(&mut fetch).collect()
    }
}

fn pick(wanted: &[Wanted], indices: &[usize]) -> Vec<Wanted> {
    indices.iter().filter_map(|i| wanted.get(*i).cloned()).collect()
}

/// A fault of a set is one of each of its files.
fn own_faults(results: Result<Results, Halt>, files: &[Wanted]) -> Result<Results, Halt> {
    match results {
        Err(Halt::Fault(Fault { kind, text })) => {
            let fault = |w: &Wanted| Fault::new(kind, format!("{}: {text}", w.entry.name));
            Ok(files.iter().map(|w| Err(fault(w))).collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::FaultKind;
    use crate::node::samples::hit;

    fn wanted(name: &str) -> Wanted {
        Wanted::new(hit(name, b"1", &[]).entry)
    }

    #[test]
    fn whatever_is_wrong_with_a_set_is_the_fault_of_its_files_alone() {
        let files = [wanted("d/a"), wanted("d/b")];
        let failed = |halt: Halt| own_faults(Err(halt), &files);
        let Ok(results) = failed(Fault::other("permission denied").into()) else {
            panic!("the whole download has ended");
        };
        let words = results.iter().map(|r| r.as_ref().unwrap_err().text.as_str());
        assert_eq!(words.collect::<Vec<_>>(), ["d/a: permission denied", "d/b: permission denied"]);
        let full = || Fault::new(FaultKind::DiskFull, "full");
        assert!(matches!(failed(Halt::All(full())), Err(Halt::All(_))));
        assert!(matches!(failed(Halt::Stopped), Err(Halt::Stopped)));
    }

    #[test]
    fn a_one_shot_lets_others_have_a_turn_before_it_gives_up() {
        let disputes = || (0..2).map(|_| Task::Disputed(Dispute::of(&wanted("a"))));
        let at = |secs| Time::ZERO + Duration::from_secs(secs);
        let stays = |give_up| {
            let queue = Queue::new(disputes(), give_up);
            let (queued, turn) = queue.next(at(0)).unwrap();
            let first = turn.stays;
            queue.gave_way(queued);
            drop(queue.next(at(0)).unwrap());
            (first, queue.next(at(0)).unwrap().1.stays)
        };
        let secs = Duration::from_secs;
        assert_eq!(stays(None), (secs(5), secs(10)), "longer each time");
        assert_eq!(stays(Some(GiveUp::All(secs(9)))), (secs(3), secs(3)));
    }
}
