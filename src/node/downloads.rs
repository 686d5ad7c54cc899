//! The downloads of a node: running, paused, and the last ones that ended.
//!
//! Policy: `RUNNING_MAX` run at once, a further one is refused with words; `ENDED_KEPT` ended ones
//! are remembered, the oldest goes first. A name that is being downloaded is not downloaded twice.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::claims::{Claims, key_of};
use super::context::Context;
use super::fetch::control::Wish;
use super::fetch::download::{Ended, download, unfinished};
use super::fetch::job::{Job, Outcome};
use super::fetch::place::Place;
use super::fetch::resolve::Wanted;
use super::kept::Lists;
use super::orders::{self, Order};
use super::summary::summary;
use super::view::{DownloadReport, From, Summary, TransferRow};
use crate::base::{Fault, FaultKind, Name, NodeId, PeerInfo, Rate, Root};
use crate::logic::batch;
use crate::logic::ledger::SetKey;
use crate::wire::Text;
use crate::wire::message::knock::{Knock, Knocked};
use crate::wire::message::transfer::{Content, Set};

/// Downloads at once.
const RUNNING_MAX: usize = 16;
/// Between two tries at orders that could not be written.
const WRITE_AGAIN: Duration = Duration::from_secs(5);
/// Ended downloads remembered.
const ENDED_KEPT: usize = 200;

/// The table of downloads.
pub(super) struct Downloads {
    ctx: Arc<Context>,
    place: Arc<Place>,
    claims: Arc<Claims>,
    ids: Arc<AtomicU64>,
    jobs: Mutex<BTreeMap<u64, Arc<Job>>>,
    /// Where what is not over is kept for the next start; locked while it is written.
    orders: Mutex<PathBuf>,
    /// Whether they could not be written, and that is tried again.
    unwritten: AtomicBool,
    rates: Mutex<Summary>,
}

impl Downloads {
    /// An empty table; `ids` numbers uploads too.
    pub(super) fn new(
        ctx: Arc<Context>,
        (place, claims): (Arc<Place>, Arc<Claims>),
        ids: Arc<AtomicU64>,
        orders: PathBuf,
    ) -> Downloads {
        let (jobs, rates) = (Mutex::default(), Mutex::default());
        let unwritten = AtomicBool::new(false);
        Downloads { ctx, place, claims, ids, jobs, orders: orders.into(), unwritten, rates }
    }

    /// What was not over when the node ended: in the table before anybody may ask, not yet begun.
    pub(super) fn load(&self) -> Vec<Arc<Job>> {
        let mut loaded = Vec::new();
        let orders = orders::load(&self.orders.lock());
        let (known, mut notes) = (orders.is_some(), self.claims.take_notes());
        for order in orders.into_iter().flatten().take(RUNNING_MAX) {
            let id = self.ids.fetch_add(1, Ordering::Relaxed);
            let job = Job::again(id, order.name.clone(), order.choice());
            self.claims.begin(&job);
            if let Some(roots) = notes.remove(&key_of(&order.name)) {
                self.claims.wants(&job, roots);
            }
            if order.paused {
                job.control.say(Wish::Pause);
            }
            if let Some(list) = order.list {
                self.load_list(&job, list);
            }
            self.jobs.lock().insert(id, job.clone());
            loaded.push(job);
        }
        // Given up, and the node ended before it was tidied away.
        if known {
            self.claims.left_over(notes.into_values().flatten());
        }
        loaded
    }

    /// Takes what an order's name stood for. Without that it is looked for anew.
    fn load_list(&self, job: &Job, list: Root) {
        let lists = Lists::beside(&self.orders.lock());
        match lists.read(&list) {
            Ok(entries) => {
                let files = Wanted::of_list(entries);
                job.adds_sets(sets_of(&files));
                job.resolve_to(files, Some(list));
            }
            Err(e) => self.ctx.notices.tell(format!(
                "cannot read what {} was to bring, {}: {e}; it is looked for anew",
                job.name,
                lists.path(&list).display()
            )),
        }
    }

    /// Goes on with what was loaded.
    pub(super) fn go_on(self: &Arc<Self>, loaded: Vec<Arc<Job>>) {
        for job in loaded {
            let paused = job.control.wish() == Wish::Pause;
            let words = match (self.start(&job), paused) {
                (Err(fault), _) => fault.text,
                (Ok(()), true) => format!("download {} of {} is paused", job.id, job.name),
                (Ok(()), false) => format!("download {} of {} goes on", job.id, job.name),
            };
            self.ctx.notices.tell(words);
        }
    }

    /// Keeps what is not over for the next start, unless nothing has changed for that: at the end of
    /// the node nothing ends for good by itself.
    fn keep_orders(self: &Arc<Self>) {
        if !self.ctx.stop.is_stopped() {
            self.write_orders(true);
        }
    }

    /// Writes the orders; what cannot be written is said, and tried again. `going_on`: not at the end
    /// of the node.
    fn write_orders(self: &Arc<Self>, going_on: bool) {
        let Err(words) = self.try_orders(going_on) else { return };
        log::warn!(target: "node", "{words}");
        if self.unwritten.swap(true, Ordering::Relaxed) {
            return;
        }
        let rest = "a restart would not go on with all downloads; it is tried again";
        self.ctx.notices.tell(format!("{words}; {rest}"));
        let this = self.clone();
        let again = move || {
            while !this.ctx.stop.wait(WRITE_AGAIN) {
                if this.try_orders(true).is_ok() {
                    this.unwritten.store(false, Ordering::Relaxed);
                    return this.ctx.notices.tell("the orders of downloads are written again");
                }
            }
        };
        if let Err(e) = self.ctx.group.spawn("orders", again) {
            self.unwritten.store(false, Ordering::Relaxed);
            log::warn!(target: "node", "could not start a thread: {e}");
        }
    }

    fn try_orders(&self, going_on: bool) -> Result<(), String> {
        let path = self.orders.lock();
        let (lists, mut named) = (Lists::beside(&path), BTreeSet::new());
        let jobs = self.ordered();
        // Collected at the end, they may lack what the end has interrupted.
        if going_on && self.ctx.stop.is_stopped() {
            return Ok(());
        }
        let (mut orders, mut failed) = (Vec::new(), None);
        for job in &jobs {
            let list = job.list(|files| lists.write(files)).unwrap_or_else(|e| {
                failed = Some(format!("cannot keep what {} stands for: {e}", job.name));
                None
            });
            named.extend(list);
            orders.push(order_of(job, list));
        }
        orders::save(&path, orders).map_err(|e| format!("cannot write {}: {e}", path.display()))?;
        lists.keep_only(&named);
        failed.map_or(Ok(()), Err)
    }

    /// Those that the next start is to go on with.
    fn ordered(&self) -> Vec<Arc<Job>> {
        self.jobs.lock().values().filter(|job| job.is_ordered()).cloned().collect()
    }

    /// Keeps what the name of a download stands for.
    fn keep_files(self: &Arc<Self>, job: &Job, mut files: Vec<Wanted>) {
        for wanted in &mut files {
            wanted.owners.clear();
            wanted.rivals.iter_mut().for_each(|rival| rival.owners.clear());
        }
        job.resolve_to(files, None);
        self.keep_orders();
    }

    /// Begins a download, or finds the one of the same name that is going on.
    pub(super) fn begin(self: &Arc<Self>, name: &Name, from: From) -> Result<u64, Fault> {
        let job = {
            let mut jobs = self.jobs.lock();
            if let Some(same) = jobs.values().find(|j| j.name == *name && j.goes_on()) {
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
        self.start(&job)?;
        Ok(job.id)
    }

    fn start(self: &Arc<Self>, job: &Arc<Job>) -> Result<(), Fault> {
        let (this, task) = (self.clone(), job.clone());
        let run = move || {
            let ended = {
                let keep = |files| this.keep_files(&task, files);
                download(&task, &this.ctx, &this.place, None, &keep)
            };
            this.end(&task, ended);
        };
        self.ctx.group.spawn(format!("download {}", job.id), run).map_err(|e| {
            self.jobs.lock().remove(&job.id);
            self.claims.over(job);
            Fault::other(format!("could not start a thread for {}: {e}", job.name))
        })
    }

    /// No thread of it runs any more: tidies up, and tells.
    fn end(self: &Arc<Self>, job: &Job, ended: Ended) {
        let outcome = match ended {
            Ended::NodeStops => return job.interrupt(Err(unfinished(job, "stopped"))),
            Ended::ByItself(outcome) => {
                if outcome.is_ok() {
                    self.ctx.fetching.done(job.set_keys());
                }
                self.claims.over(job);
                outcome
            }
            Ended::Cancelled => {
                self.claims.give_up(job);
                let words = format!("{} was cancelled; what had arrived is given up", job.name);
                Err(Fault::new(FaultKind::Unfinished, words))
            }
        };
        job.end(outcome.clone());
        self.tell(job, &outcome);
        self.keep_orders();
    }

    fn tell(&self, job: &Job, outcome: &Outcome) {
        let (counters, notices) = (&self.ctx.counters, &self.ctx.notices);
        match outcome {
            Ok(reports) => {
                counters.downloads_done.one();
                self.measure(reports);
                notices.tell(format!("download {} {}", job.id, summary(&job.name, reports)));
            }
            Err(fault) => {
                counters.downloads_failed.one();
                notices.tell(format!("download {}: {fault}", job.id));
            }
        }
    }

    fn measure(&self, reports: &[DownloadReport]) {
        let bytes: u64 = reports.iter().flat_map(|r| &r.sources).map(|s| s.bytes).sum();
        let seconds = reports.iter().map(|r| r.seconds).fold(0.0, f64::max);
        if bytes > 0 && seconds > 0.0 {
            self.rates.lock().add(bytes as f64 / seconds);
        }
    }

    /// Bytes per second of the downloads that moved any.
    pub(super) fn rates(&self) -> Summary {
        *self.rates.lock()
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
        self.job(id)?.wait(within).transpose()
    }

    /// Pauses or cancels.
    pub(super) fn say(self: &Arc<Self>, id: u64, wish: Wish) -> Result<(), Fault> {
        let job = self.job(id)?;
        if job.is_over() {
            return Err(Fault::other(format!("download {id} of {} is over", job.name)));
        }
        job.control.say(wish);
        self.write_orders(false);
        Ok(())
    }

    /// Holds a transfer to `rate`, of which `uploads` knows whether it is an upload.
    ///
    /// # Errors
    /// There is none with this number, or it is over.
    pub(super) fn limit(
        &self,
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
                    room(&jobs, &job.name)?;
                    let again = job.anew();
                    self.claims.begin(&again);
                    jobs.insert(id, again.clone());
                    again
                };
                self.keep_orders();
                self.start(&again)
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
            Some(Set::Batch(contents)) => contents.to_vec(),
            Some(Set::File(content)) => vec![*content],
            None => knock.content.into_iter().collect(),
        };
        if !contents.is_empty() && contents.iter().all(|content| self.has(content)) {
            return Knocked::Done;
        }
        // It may belong to a download that stands still, or does not know yet what it brings.
        match set.is_some() || jobs.iter().any(|job| job.files().is_none()) {
            true => Knocked::Later(Text::of("its downloads are not that far")),
            false => Knocked::NotWanted(Text::of("it is not being downloaded any more")),
        }
    }

    /// Whether a content is here, and stays here.
    fn has(&self, content: &Content) -> bool {
        let Some(index) = &self.place.index else { return false };
        let Some(entry) = index.entry_of(&content.root) else { return false };
        if entry.size != content.size {
            return false;
        }
        // What a person shares is the person's to make durable.
        match self.place.make_durable(&entry.name) {
            Err(e) => e.kind() == io::ErrorKind::NotFound,
            Ok(()) => true,
        }
    }

    /// All rows, oldest first.
    pub(super) fn rows(&self) -> Vec<TransferRow> {
        self.jobs.lock().values().map(|job| job.row()).collect()
    }

    /// Those that are not over.
    pub(super) fn going_on(&self) -> Vec<TransferRow> {
        self.jobs.lock().values().filter(|job| !job.is_over()).map(|job| job.row()).collect()
    }
}

/// An order as it is written.
fn order_of(job: &Job, list: Option<Root>) -> Order {
    let from = match &job.from {
        From::All => None,
        From::One(owner) => Some(owner.clone()),
    };
    Order { name: job.name.clone(), from, paused: job.control.wish() == Wish::Pause, list }
}

/// The sets in which these files are fetched when none is here.
fn sets_of(files: &[Wanted]) -> impl Iterator<Item = (SetKey, Set)> {
    let numbered = files.iter().enumerate().map(|(index, w)| batch::Wanted {
        index,
        size: w.entry.size,
        root: w.entry.root,
    });
    let plan = batch::plan(&numbered.collect::<Vec<_>>());
    plan.sets.into_iter().map(|planned| (planned.key, planned.set))
}

fn not_there(what: &str, id: u64) -> Fault {
    Fault::new(FaultKind::NotFound, format!("there is no {what} {id}; see `transfers`"))
}

/// Whether one more may run.
fn room(jobs: &BTreeMap<u64, Arc<Job>>, name: &Name) -> Result<(), Fault> {
    let running = jobs.values().filter(|j| !j.is_over()).count();
    if running < RUNNING_MAX {
        return Ok(());
    }
    Err(Fault::other(format!(
        "{running} downloads are running; wait for one, or cancel one, before {name}"
    )))
}

fn forget_old(jobs: &mut BTreeMap<u64, Arc<Job>>) {
    let over: Vec<u64> = jobs.values().filter(|j| j.is_over()).map(|j| j.id).collect();
    let excess = over.len().saturating_sub(ENDED_KEPT);
    for id in over.into_iter().take(excess) {
        jobs.remove(&id);
    }
}
