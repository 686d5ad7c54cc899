//! The downloads of a node: running, paused, and the last ones that ended.
//!
//! Policy: `RUNNING_MAX` of a person run at once, a further one is refused with words, but what was not
//! over when the node ended goes on, however many; errands (`errands`) come on top; `ENDED_KEPT` ended ones
//! are remembered, and `ERRANDS_KEPT` errands, the oldest goes first. A name that is being downloaded is not downloaded twice.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::claims::Claims;
use super::context::Context;
use super::errands::{Elsewhere, heeds, tell_errand};
use super::fetch::control::Wish;
use super::fetch::download::{Ended, download, unfinished};
use super::fetch::job::{Job, Outcome};
use super::fetch::place::Place;
use super::keeping::Keeper;
use super::summary::{measure, summary};
use super::view::{DownloadReport, From, TransferRow};
use crate::base::{Fault, FaultKind, Name, NodeId, PeerInfo, Rate, Root};
use crate::logic::batch::set_key;
use crate::logic::ledger::SetKey;
use crate::logic::statistics;
use crate::wire::Text;
use crate::wire::message::knock::{Knock, Knocked};
use crate::wire::message::transfer::{Content, Set};

/// Downloads at once.
pub(super) const RUNNING_MAX: usize = 16;
/// Ended downloads remembered.
const ENDED_KEPT: usize = 200;
/// Ended errands remembered, which push no download out.
const ERRANDS_KEPT: usize = 50;
/// Of so many it is remembered how each file has come.
const REPORTS_KEPT: usize = 16;

/// The table of downloads.
pub(super) struct Downloads {
    pub(super) ctx: Arc<Context>,
    /// Where what a person asks for arrives.
    pub(super) place: Arc<Place>,
    /// Where errands put what they bring, besides.
    pub(super) elsewhere: Elsewhere,
    pub(super) claims: Arc<Claims>,
    pub(super) ids: Arc<AtomicU64>,
    pub(super) jobs: Mutex<BTreeMap<u64, Arc<Job>>>,
    /// Where what is not over is kept for the next start; locked while it is written.
    pub(super) keeper: Mutex<Keeper>,
    /// Whether they could not be written, and that is tried again.
    pub(super) unwritten: AtomicBool,
    /// The last that ended, whose reports are kept.
    reported: Mutex<VecDeque<Arc<Job>>>,
}

impl Downloads {
    /// An empty table; `ids` numbers uploads too.
    pub(super) fn new(
        ctx: Arc<Context>,
        (place, elsewhere, claims): (Arc<Place>, Elsewhere, Arc<Claims>),
        ids: Arc<AtomicU64>,
        keeper: Keeper,
    ) -> Downloads {
        let (jobs, reported) = Default::default();
        let unwritten = AtomicBool::new(false);
        let keeper = keeper.into();
        Downloads { ctx, place, elsewhere, claims, ids, jobs, keeper, unwritten, reported }
    }

    /// Begins a download, or finds the one of the same name that is going on.
    pub(super) fn begin(self: &Arc<Self>, name: &Name, from: From) -> Result<u64, Fault> {
        let job = {
            let mut jobs = self.jobs.lock();
            if let Some(same) = jobs.values().find(|j| is_same(j, name, &from) && j.goes_on()) {
                same.control.say(Wish::Run);
                let id = same.id;
                drop(jobs);
                self.keep_orders();
                return Ok(id);
            }
            room(&jobs, name)?;
            forget_old(&mut jobs);
            let job = Job::new(self.ids.fetch_add(1, Ordering::Relaxed), name.clone(), from);
            self.claims.begin(&job);
            jobs.insert(job.id, job.clone());
            job
        };
        self.keep_orders();
        self.start_or_end(&job)?;
        Ok(job.id)
    }

    /// Starts a download; one that cannot be started has ended with that.
    pub(super) fn start_or_end(self: &Arc<Self>, job: &Arc<Job>) -> Result<(), Fault> {
        self.start(job).inspect_err(|fault| {
            self.claims.over(job);
            job.end(Err(fault.clone()));
            self.keep_orders();
        })
    }

    pub(super) fn start(self: &Arc<Self>, job: &Arc<Job>) -> Result<(), Fault> {
        let (this, task) = (self.clone(), job.clone());
        let run = move || {
            let ended = {
                let keep = |files| this.keep_files(&task, files);
                let (place, give_up) = (this.place_of(&task), task.patience());
                match this.makes_way(&task) {
                    Ok(()) => download(&task, &this.ctx, place, give_up, &keep),
                    Err(fault) => Ended::ByItself(Err(fault)),
                }
            };
            this.end(&task, ended);
        };
        self.ctx
            .group
            .spawn(format!("download {}", job.id), run)
            .map_err(|e| Fault::other(format!("could not start a thread for {}: {e}", job.name)))
    }

    /// No thread of it runs any more: tidies up, and tells.
    fn end(self: &Arc<Self>, job: &Arc<Job>, ended: Ended) {
        if job.errand.is_none() {
            self.ctx.statistics.note(|s| count(&ended, &mut s.downloads));
        }
        let outcome = match ended {
            Ended::NodeStops => return job.interrupt(Err(unfinished(job, "stopped"))),
            Ended::ByItself(outcome) => {
                if outcome.is_ok() {
                    self.ctx.fetching.done(job.set_keys());
                }
                self.lets_go(job, &outcome);
                outcome
            }
            Ended::Cancelled => {
                self.claims.give_up(job);
                self.keeper.lock().spare(job.list_in_use());
                let words = format!("{} was cancelled; what had arrived is given up", job.name);
                Err(Fault::new(FaultKind::Unfinished, words))
            }
        };
        job.end(outcome.clone());
        self.tell(job, &outcome);
        let mut reported = self.reported.lock();
        match &job.errand {
            Some(_) => job.forget_reports(),
            None => reported.push_back(job.clone()),
        }
        if reported.len() > REPORTS_KEPT
            && let Some(old) = reported.pop_front()
        {
            old.forget_reports();
        }
        drop(reported);
        self.keep_orders();
    }

    fn tell(&self, job: &Job, outcome: &Outcome) {
        if job.errand.is_some() {
            return tell_errand(job, outcome);
        }
        self.ctx.notices.tell(match outcome {
            Ok(reports) => format!("download {} {}", job.id, summary(&job.name, reports)),
            Err(fault) => format!("download {}: {fault}", job.id),
        });
    }

    fn job(&self, id: u64) -> Result<Arc<Job>, Fault> {
        let job = self.jobs.lock().get(&id).cloned();
        job.ok_or_else(|| not_there("download", id))
    }

    /// Waits for the end of a download, at most `within`; `Ok(None)`: it is still going on.
    pub(super) fn wait(
        &self,
        id: u64,
        within: Duration,
    ) -> Result<Option<Vec<DownloadReport>>, Fault> {
        Ok(self.job(id)?.wait(within).transpose()?.map(Arc::unwrap_or_clone))
    }

    /// Pauses or cancels.
    pub(super) fn say(self: &Arc<Self>, id: u64, wish: Wish) -> Result<(), Fault> {
        let job = self.job(id)?;
        if job.is_over() {
            return Err(Fault::other(format!("download {id} of {} is over", job.name)));
        }
        heeds(&job, wish)?;
        job.control.say(wish);
        self.write_orders(false);
        Ok(())
    }

    /// Holds a transfer to `rate`, of which `uploads` knows whether it is an upload. A download's is
    /// kept with its order.
    ///
    /// # Errors
    /// There is none with this number, or it is over.
    pub(super) fn limit(
        self: &Arc<Self>,
        id: u64,
        rate: Option<Rate>,
        uploads: &dyn Fn() -> bool,
    ) -> Result<(), Fault> {
        let job = self.jobs.lock().get(&id).cloned();
        match job {
            Some(job) if job.is_over() => {
                Err(Fault::other(format!("download {id} of {} is over", job.name)))
            }
            Some(job) => {
                job.limit.set(rate);
                self.write_orders(false);
                Ok(())
            }
            None if uploads() => Ok(()),
            None if (1..self.ids.load(Ordering::Relaxed)).contains(&id) => {
                Err(Fault::other(format!("transfer {id} is over; see `transfers`")))
            }
            None => Err(not_there("transfer", id)),
        }
    }

    /// Goes on with a paused download; begins one that was cancelled or failed again.
    pub(super) fn resume(self: &Arc<Self>, id: u64) -> Result<(), Fault> {
        let job = self.job(id)?;
        heeds(&job, Wish::Run)?;
        match job.wait(Duration::ZERO) {
            None => {
                if job.control.say(Wish::Run) == Wish::Cancel {
                    return Err(Fault::other(format!(
                        "download {id} of {} is being cancelled; resume it when it is",
                        job.name
                    )));
                }
                self.keep_orders();
                Ok(())
            }
            Some(Ok(_)) => Err(Fault::other(format!("download {id} of {} is complete", job.name))),
            Some(Err(_)) => {
                let again = {
                    let mut jobs = self.jobs.lock();
                    if jobs.get(&id).is_some_and(|j| j.goes_on()) {
                        return Ok(());
                    }
                    let same = |j: &&Arc<Job>| {
                        j.name == job.name && j.shelf() == job.shelf() && j.goes_on()
                    };
                    if let Some(same) = jobs.values().find(same) {
                        return Err(Fault::other(format!(
                            "{} is being downloaded already, as download {}",
                            job.name, same.id
                        )));
                    }
                    room(&jobs, &job.name)?;
                    let again = job.anew();
                    self.claims.begin(&again);
                    jobs.insert(id, again.clone());
                    again
                };
                self.keep_orders();
                self.start_or_end(&again)
            }
        }
    }

    /// An owner at `ip` says that it has begun to send us a set, and misses us.
    pub(super) fn knocked(&self, owner: NodeId, ip: IpAddr, knock: &Knock) -> Knocked {
        let (label, ports) = (knock.label.clone(), knock.ports);
        let peer = PeerInfo { id: owner, label, ip, ports, files: 0 };
        let listed = self.ctx.peers.lock().get(&owner);
        match self.ctx.fetching.knocked(&knock.set, peer, listed) {
            Some(true) => return Knocked::Coming,
            Some(false) => return Knocked::Later(Text::of("it is not known to have that yet")),
            None => {}
        }
        if self.ctx.fetching.was_done(&knock.set) {
            return Knocked::Done;
        }
        let jobs = self.ordered();
        let set = jobs.iter().find_map(|job| job.set(&knock.set));
        let contents = match &set {
            Some(set) => set.contents().to_vec(),
            None => knock.content.into_iter().collect(),
        };
        if !contents.is_empty() && self.has(&contents) {
            return Knocked::Done;
        }
        // It may belong to a download that stands still, or does not know yet what it brings.
        match set.is_some() || jobs.iter().any(|job| job.files().is_none()) {
            true => Knocked::Later(Text::of("its downloads are not that far")),
            false => Knocked::NotWanted(Text::of("it is not being downloaded any more")),
        }
    }

    /// Why a set cannot be had now that is not being fetched now but will be, and of which some is here.
    pub(super) fn stands_still(&self, set: &Set) -> Option<&'static str> {
        let key = set_key(set);
        self.any_stands_still(&|other, _| *other == key)
    }

    /// The same of the chunks of a file.
    pub(super) fn file_stands_still(&self, root: &Root) -> Option<&'static str> {
        let is_it = |_: &SetKey, set: &Set| matches!(set, Set::File(c) if c.root == *root);
        self.any_stands_still(&is_it)
    }

    fn any_stands_still(&self, is_it: &dyn Fn(&SetKey, &Set) -> bool) -> Option<&'static str> {
        let jobs: Vec<_> = self.jobs.lock().values().cloned().collect();
        let index = self.place.index.as_ref();
        let withholds = |name: &Name| index.is_some_and(|index| index.withholds(name));
        jobs.iter().find_map(|job| job.stands_still(is_it, &withholds))
    }

    /// Whether contents are here, and stay here.
    fn has(&self, contents: &[Content]) -> bool {
        let Some(index) = &self.place.index else { return false };
        let here = |c: &Content| index.entry_of(&c.root).filter(|entry| entry.size == c.size);
        let Some(entries) = contents.iter().map(here).collect::<Option<Vec<_>>>() else {
            return false;
        };
        // What a person shares is the person's to make durable.
        let downloaded = |name: &Name| {
            let open = self.place.into.open_file(name);
            !open.is_err_and(|e| e.kind() == io::ErrorKind::NotFound)
        };
        let names = entries.into_iter().map(|entry| entry.name.clone()).filter(downloaded);
        self.place.make_durable(&names.collect::<Vec<_>>()).is_ok()
    }

    /// All rows, oldest first.
    pub(super) fn rows(&self) -> Vec<TransferRow> {
        self.jobs.lock().values().map(|job| job.row()).collect()
    }

    /// Those of a person that are not over: an errand goes on when somebody wants it again.
    pub(super) fn going_on(&self) -> Vec<TransferRow> {
        let waited_for = |job: &&Arc<Job>| !job.is_over() && job.errand.is_none();
        self.jobs.lock().values().filter(waited_for).map(|job| job.row()).collect()
    }
}

/// How a download ended, for `stats`; one that goes on at the next start has not. Some faults leave what
/// arrived, as a person's word does: only that is a cancel.
fn count(ended: &Ended, downloads: &mut statistics::Downloads) {
    match ended {
        Ended::ByItself(Ok(reports)) => {
            let (bytes, seconds) = measure(reports);
            downloads.ended(bytes, seconds);
        }
        Ended::ByItself(Err(_)) => downloads.failed += 1,
        Ended::Cancelled => downloads.cancelled += 1,
        Ended::NodeStops => {}
    }
}

fn not_there(what: &str, id: u64) -> Fault {
    Fault::new(FaultKind::NotFound, format!("there is no {what} {id}; see `transfers`"))
}

/// Whether one more may run.
fn room(jobs: &BTreeMap<u64, Arc<Job>>, name: &Name) -> Result<(), Fault> {
    let running = jobs.values().filter(|j| !j.is_over() && j.errand.is_none()).count();
    if running < RUNNING_MAX {
        return Ok(());
    }
    Err(Fault::other(format!(
        "{running} downloads are running; wait for one, or cancel one, before {name}"
    )))
}

pub(super) fn forget_old(jobs: &mut BTreeMap<u64, Arc<Job>>) {
    for (errands, kept) in [(false, ENDED_KEPT), (true, ERRANDS_KEPT)] {
        let is_one = |j: &&Arc<Job>| j.is_over() && j.errand.is_some() == errands;
        let over: Vec<u64> = jobs.values().filter(is_one).map(|j| j.id).collect();
        for id in &over[..over.len().saturating_sub(kept)] {
            jobs.remove(id);
        }
    }
}

/// Whether a download is of the same name, and not of another content by choice.
fn is_same(job: &Job, name: &Name, from: &From) -> bool {
    let chosen = |from: &From| match from {
        From::Content(root) => Some(root.clone()),
        From::All | From::One(_) => None,
    };
    job.errand.is_none() && job.name == *name && chosen(&job.from) == chosen(from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::fetch::job::Errand;

    #[test]
    fn only_what_a_person_gives_up_counts_as_cancelled() {
        let fault = |kind| Ended::ByItself(Err(Fault::new(kind, "why")));
        let done = Ended::ByItself(Ok(Arc::new(Vec::new())));
        let table = [
            (done, (1, 0, 0)),
            (fault(FaultKind::NotFound), (0, 1, 0)),
            (fault(FaultKind::Unfinished), (0, 1, 0)),
            (Ended::Cancelled, (0, 0, 1)),
            (Ended::NodeStops, (0, 0, 0)),
        ];
        for (case, (ended, wanted)) in table.into_iter().enumerate() {
            let mut counted = statistics::Downloads::default();
            count(&ended, &mut counted);
            let told = (counted.done, counted.failed, counted.cancelled);
            assert_eq!(told, wanted, "case {case}");
        }
    }

    #[test]
    fn errands_push_no_download_out() {
        let name: Name = "film".parse().unwrap();
        let entry = crate::node::samples::hit("film", b"film", &[]).entry;
        let errand = Errand::Copy { sought: name.clone(), sources: Vec::new() };
        let mut jobs = BTreeMap::from([(0, Job::new(0, name, From::All))]);
        for id in 1..=ENDED_KEPT as u64 {
            jobs.insert(id, Job::errand(id, errand.clone(), entry.clone()));
        }
        jobs.values().for_each(|job| job.end(Ok(Arc::default())));
        forget_old(&mut jobs);
        assert!(jobs.contains_key(&0), "a person's download is forgotten");
        assert_eq!(jobs.len(), 1 + ERRANDS_KEPT);
    }
}
