//! Keeps the downloads that are not over for the next start, and takes them from there.
//!
//! Invariant: what is kept is never less than what goes on, but while it cannot be written: that is
//! said, and tried again until it can. After the stop of the node nothing is dropped any more. What is
//! on the disk is read once. The list of a download that was given up stays until its parts are gone,
//! so that the next start knows of them; while some orders are not known, no list and no part goes.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::claims::Claims;
use super::downloads::Downloads;
use super::fetch::control::Wish;
use super::fetch::finder::Sources;
use super::fetch::job::Job;
use super::fetch::resolve::Wanted;
use super::kept::Lists;
use super::orders::{self, Order};
use super::view::From;
use crate::base::{Fault, Root};
use crate::logic::batch;
use crate::logic::ledger::SetKey;
use crate::wire::message::transfer::{Content, Set};

/// Between two tries at orders that could not be written.
const WRITE_AGAIN: Duration = Duration::from_secs(5);

/// What is kept on the disk of the downloads that are not over.
pub(super) struct Keeper {
    /// The orders.
    path: PathBuf,
    lists: Lists,
    /// Lists that no order names, and that stay for now.
    spared: BTreeSet<Root>,
    /// Whether all that was ordered before this start is known.
    knows_all: bool,
}

impl Keeper {
    /// Reads the orders at `path`.
    pub(super) fn open(path: PathBuf) -> Result<(Keeper, Vec<Order>), Fault> {
        let ordered = orders::load(&path).map_err(|e| {
            let file = path.display();
            Fault::other(format!(
                "could not read which downloads are not over in {file}: {e}; check its owner and mode"
            ))
        })?;
        let lists = Lists::beside(&path);
        let keeper = Keeper { path, lists, spared: BTreeSet::new(), knows_all: ordered.complete };
        Ok((keeper, ordered.orders))
    }

    /// Whether all that was ordered before this start is known.
    pub(super) fn knows_all(&self) -> bool {
        self.knows_all
    }

    /// A list of a download that was given up.
    pub(super) fn spare(&mut self, list: Option<Root>) {
        self.spared.extend(list);
    }

    /// Removes the lists that neither an order names nor anybody else needs.
    fn tidy(&mut self, mut named: BTreeSet<Root>, claims: &Claims) {
        if self.knows_all && claims.are_settled() {
            self.spared.clear();
        }
        named.extend(&self.spared);
        self.lists.keep_only(&named);
    }
}

impl Downloads {
    /// What was not over when the node ended: in the table before anybody may ask, not yet begun.
    pub(super) fn load(&self, orders: Vec<Order>) -> Vec<Arc<Job>> {
        let mut keeper = self.keeper.lock();
        let (mut loaded, mut named) = (Vec::new(), BTreeSet::new());
        let kept = self.place.parts.kept().unwrap_or_else(|e| {
            let path = self.place.parts.path().display();
            log::warn!(target: "node", "cannot look through {path}: {e}; what is there is said to be absent");
            BTreeSet::new()
        });
        for order in orders {
            let id = self.ids.fetch_add(1, Ordering::Relaxed);
            let job = Job::again(id, order.name.clone(), order.choice());
            self.claims.begin(&job);
            job.limit.set(order.limit);
            if order.paused {
                job.control.say(Wish::Pause);
            }
            if let Some(list) = order.list {
                self.load_list(&keeper.lists, &job, (list, &kept));
                named.insert(list);
            }
            self.jobs.lock().insert(id, job.clone());
            loaded.push(job);
        }
        // Given up, and the node ended before it was tidied away; or of an order that is not known.
        let others = keeper.lists.others(&named);
        if keeper.knows_all {
            let files = others.iter().filter_map(|list| keeper.lists.read(list).ok()).flatten();
            self.claims.left_over(files.map(|entry| entry.root));
        }
        keeper.spared.extend(others);
        keeper.tidy(named, &self.claims);
        loaded
    }

    /// Takes what an order's name stood for; what is `kept` of it stands still until its turn has come.
    /// Without the list it is looked for anew.
    fn load_list(&self, lists: &Lists, job: &Job, (list, kept): (Root, &BTreeSet<Root>)) {
        match lists.read(&list) {
            Ok(entries) => {
                self.claims.wants(job, entries.iter().map(|entry| entry.root));
                let files = Wanted::of_list(entries);
                let sets: Vec<(SetKey, Set)> = sets_of(&files).collect();
                job.adds_sets(sets.iter().cloned());
                let is_kept = |content: &Content| kept.contains(&content.root);
                let begun = sets.iter().filter(|(_, set)| set.contents().iter().any(is_kept));
                begun.for_each(|(key, _)| job.keeps(key, true));
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
                (Err(fault), _) => {
                    // The next start goes on with it, or the person.
                    job.interrupt(Err(fault.clone()));
                    fault.text
                }
                (Ok(()), true) => format!("download {} of {} is paused", job.id, job.name),
                (Ok(()), false) => format!("download {} of {} goes on", job.id, job.name),
            };
            self.ctx.notices.tell(words);
        }
    }

    /// Keeps what is not over for the next start, unless nothing has changed for that: at the end of
    /// the node nothing ends for good by itself.
    pub(super) fn keep_orders(self: &Arc<Self>) {
        if !self.ctx.stop.is_stopped() {
            self.write_orders(true);
        }
    }

    /// Writes the orders; what cannot be written is said, and tried again. `going_on`: not at the end
    /// of the node.
    pub(super) fn write_orders(self: &Arc<Self>, going_on: bool) {
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
                // Cleared before the try: who fails after it must find that nobody tries again.
                this.unwritten.store(false, Ordering::Relaxed);
                if this.try_orders(true).is_ok() {
                    return this.ctx.notices.tell("the orders of downloads are written again");
                }
                if this.unwritten.swap(true, Ordering::Relaxed) {
                    return;
                }
            }
        };
        if let Err(e) = self.ctx.group.spawn("orders", again) {
            self.unwritten.store(false, Ordering::Relaxed);
            log::warn!(target: "node", "could not start a thread: {e}");
        }
    }

    fn try_orders(&self, going_on: bool) -> Result<(), String> {
        let mut keeper = self.keeper.lock();
        let mut jobs = self.ordered();
        // Whoever wants an errand done says so again.
        jobs.retain(|job| job.errand.is_none());
        // What was cancelled needs its list until its parts are gone.
        let mut named: BTreeSet<Root> =
            self.jobs.lock().values().filter_map(|job| job.list_in_use()).collect();
        // Collected at the end, they may lack what the end has interrupted.
        if going_on && self.ctx.stop.is_stopped() {
            return Ok(());
        }
        let (mut orders, mut failed) = (Vec::new(), None);
        for job in &jobs {
            let list = job.list(|files| keeper.lists.write(files)).unwrap_or_else(|e| {
                let words = format!("cannot keep what {} stands for: {e}", job.name);
                match e.kind() {
                    // Said once: the job does not ask again.
                    io::ErrorKind::FileTooLarge => self
                        .ctx
                        .notices
                        .tell(format!("{words}; after a restart it is looked for anew")),
                    _ => failed = Some(words),
                }
                None
            });
            named.extend(list);
            orders.push(order_of(job, list));
        }
        let path = &keeper.path;
        orders::save(path, orders).map_err(|e| format!("cannot write {}: {e}", path.display()))?;
        keeper.tidy(named, &self.claims);
        failed.map_or(Ok(()), Err)
    }

    /// Those that the next start is to go on with.
    pub(super) fn ordered(&self) -> Vec<Arc<Job>> {
        self.jobs.lock().values().filter(|job| job.is_ordered()).cloned().collect()
    }

    /// Keeps what the name of a download stands for.
    pub(super) fn keep_files(self: &Arc<Self>, job: &Job, mut files: Vec<Wanted>) {
        for wanted in &mut files {
            wanted.know(Sources::default());
            wanted.rivals.iter_mut().for_each(|rival| rival.know(Sources::default()));
        }
        job.resolve_to(files, None);
        self.keep_orders();
    }
}

/// An order as it is written.
fn order_of(job: &Job, list: Option<Root>) -> Order {
    let from = match &job.from {
        From::All => None,
        From::One(owner) => Some(owner.clone()),
        From::Content(root) => Some(format!("@{root}")),
    };
    let paused = job.control.wish() == Wish::Pause;
    Order { name: job.name.clone(), from, paused, limit: job.limit.rate(), list }
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
