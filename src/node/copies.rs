//! Copies for others: makes what trackers order, removes what they take back, and knows how much room
//! there is. `logic/copies.rs` decides.
//!
//! Invariant: a copy is in the book of replicas before its first byte is asked for; it lies in
//! `replicated/` under its name, or under `@ROOT/NAME` where another content is called so here, or will
//! be; two copies never come under one name. One that fails is taken out of the book only if no other
//! file is meant by that line. Nothing is begun or removed while the first look at the folders lasts: what
//! is here is not known then. While less than the reserve is free, copies that are on their way are given
//! up. Ends with the node; a copy that was under way is ordered again, and goes on from what has arrived.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;

use super::config::ReplicaConfig;
use super::context::Context;
use super::downloads::Downloads;
use super::fetch::control::Wish;
use super::fetch::job::{Errand, Job};
use super::repairs::Repairs;
use super::view::{KeptStatus, RotState};
use crate::base::{Fault, FaultKind, FileEntry, Name, Root};
use crate::io::clock;
use crate::io::index::{Index, Rotten, Shelf, Trimmed};
use crate::io::space::space;
use crate::logic::copies::{Copies, Disk, Space, own_name};
use crate::wire::List;
use crate::wire::message::copies::{
    CopyEnd, CopyFault, CopyOrder, Duties, OUTCOMES_MAX, Offer, Outcome, SOURCES_MAX,
};

/// How often copies under way are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How often the rest is.
const REST: Duration = Duration::from_secs(1);

/// What this node keeps for others.
pub(super) struct Keeping {
    pub(super) ctx: Arc<Context>,
    pub(super) index: Arc<Index>,
    pub(super) downloads: Arc<Downloads>,
    config: ReplicaConfig,
    /// `replicated/`.
    folder: PathBuf,
    copies: Mutex<Copies>,
    pub(super) repairs: Repairs,
    wake: (Sender<()>, Receiver<()>),
}

/// Copies under way.
type Running = BTreeMap<Root, Making>;

/// One of them.
struct Making {
    job: Arc<Job>,
    /// Whether it came into the book for this.
    is_new: bool,
    /// Why it is given up, if it is.
    given_up: Option<CopyFault>,
}

/// How things stand while orders are looked at.
struct Now<'a> {
    running: &'a Running,
    rotten: Vec<Rotten>,
    space: Space,
}

impl Keeping {
    pub(super) fn new(
        ctx: Arc<Context>,
        index: Arc<Index>,
        downloads: Arc<Downloads>,
        (config, folder): (ReplicaConfig, PathBuf),
    ) -> Keeping {
        let (copies, repairs, wake) = (Mutex::default(), Repairs::default(), bounded(1));
        Keeping { ctx, index, downloads, config, folder, copies, repairs, wake }
    }

    /// What trackers are told that there is room for.
    pub(super) fn offer(&self) -> Offer {
        let keeps = !self.config.off;
        let settled = !self.index.is_starting();
        let room = if keeps && settled { self.room() } else { 0 };
        Offer { keeps, room, settled }
    }

    /// What is kept, and may be.
    pub(super) fn status(&self) -> KeptStatus {
        let (Offer { keeps, room, .. }, (files, bytes)) = (self.offer(), self.index.replicas());
        KeptStatus { keeps, files, bytes, room }
    }

    /// What a tracker is to be told of copies that ended.
    pub(super) fn outcomes(&self, tracker: usize) -> List<Outcome, OUTCOMES_MAX> {
        self.copies.lock().outcomes(tracker)
    }

    /// A tracker, that was told of these ends, says what it wants now.
    pub(super) fn hear(&self, tracker: usize, duties: Duties, told: &[Outcome]) {
        let is_news = !duties.copies.is_empty() || !duties.trims.is_empty();
        self.copies.lock().hear(tracker, duties, told);
        if is_news {
            self.wake();
        }
    }

    /// There is something to do.
    pub(super) fn wake(&self) {
        // Full means a wake-up is on its way already.
        self.wake.0.try_send(()).ok();
    }

    /// The thread.
    pub(super) fn run(&self) {
        let mut running = Running::new();
        while !self.ctx.stop.is_stopped() {
            self.collect(&mut running);
            if !self.index.is_starting() {
                self.trim();
                self.begin(&mut running);
                self.repair();
            }
            let busy = !running.is_empty() || self.is_repairing();
            self.wake.1.recv_timeout(if busy { LOOK_EVERY } else { REST }).ok();
        }
    }

    /// What bounds the copies; a disk that does not tell has no room.
    fn space(&self) -> Space {
        let (size, free) = space(&self.folder).unwrap_or_else(|e| {
            log::warn!(target: "node", "cannot tell what is free at {}: {e}", self.folder.display());
            (0, 0)
        });
        let (disk, used) = (Disk { size, free }, self.index.replicas().1);
        Space { quota: self.config.quota.unwrap_or_else(|| disk.quota()), used, disk }
    }

    fn room(&self) -> u64 {
        let space = self.space();
        self.copies.lock().room(&space)
    }

    /// Takes the ends of copies, and gives up those for which there is no room any more.
    fn collect(&self, running: &mut Running) {
        let ended: Vec<Root> =
            running.iter().filter(|(_, m)| m.job.is_over()).map(|(root, _)| *root).collect();
        for root in ended {
            let Some(Making { job, is_new, given_up }) = running.remove(&root) else { continue };
            let end = end_of(&job, given_up);
            match end {
                // What was put aside of it, whoever brought it anew.
                CopyEnd::Kept => self.index.remove_rotten(&root),
                CopyEnd::Failed { .. } if is_new || !self.is_there(&job.name) => {
                    self.is_no_copy(&job.name, &root);
                }
                CopyEnd::Failed { .. } => {}
            }
            self.copies.lock().end(&root, &end);
        }
        if running.is_empty() {
            return;
        }
        let disk = self.space().disk;
        if disk.free < disk.reserve() {
            for Making { job, given_up, .. } in running.values_mut().filter(|m| !m.job.is_over()) {
                *given_up = Some(CopyFault::NoRoom);
                job.control.say(Wish::Cancel);
            }
        }
    }

    /// Begins copies, as many as there are places and room for.
    fn begin(&self, running: &mut Running) {
        let waiting = self.copies.lock().waiting();
        if waiting.is_empty() {
            return;
        }
        let (mut rotten, space) = (self.index.rotten(), self.space());
        for order in waiting {
            let (root, size) = (order.entry.root, order.entry.size);
            let now = Now { running, rotten, space };
            let judged = self.judge(&order, &now);
            rotten = now.rotten;
            let end = match judged {
                // A person's downloads may have all the places.
                Judged::Make(_) if !self.downloads.has_place() => continue,
                Judged::Make(name) if self.copies.lock().has_slot() => {
                    match self.make(order, &name) {
                        Ok(Some(making)) => {
                            self.copies.lock().begin(root, size);
                            running.insert(root, making);
                            continue;
                        }
                        // One has taken it just now.
                        Ok(None) => continue,
                        Err(end) => end,
                    }
                }
                Judged::Make(_) | Judged::Later => continue,
                Judged::Ended(end) => end,
            };
            self.copies.lock().end(&root, &end);
        }
    }

    /// What becomes of an order.
    fn judge(&self, order: &CopyOrder, now: &Now<'_>) -> Judged {
        let FileEntry { name, root, size, .. } = &order.entry;
        let failed = |why| Judged::Ended(CopyEnd::Failed { why, blamed: List::default() });
        if self.config.off {
            return failed(CopyFault::Refused);
        }
        if self.index.offers(root) {
            return Judged::Ended(CopyEnd::Kept);
        }
        if self.index.withholds(name) {
            return failed(CopyFault::Refused);
        }
        // What rots of it is fetched again where it is.
        let rots = now.rotten.iter().find(|rotten| rotten.copy && rotten.entry.root == *root);
        match rots.map(|rotten| self.repair_state(rotten)) {
            Some(RotState::Waiting | RotState::Fetching) => return Judged::Later,
            Some(RotState::Failed(_)) => return failed(CopyFault::NoSource),
            Some(RotState::Repaired | RotState::Yours) | None => {}
        }
        if *size > self.copies.lock().room(&now.space) {
            // What is promised to others may become free yet.
            return failed(CopyFault::NoRoom);
        }
        match self.name(name, root, now) {
            Named::As(name) => Judged::Make(name),
            Named::Later => Judged::Later,
            Named::Not => failed(CopyFault::Refused),
        }
    }

    /// Under which name a copy is kept.
    fn name(&self, name: &Name, root: &Root, now: &Now<'_>) -> Named {
        for name in [Some(name.clone()), own_name(name, root)].into_iter().flatten() {
            if self.is_taken(&name, root, now) {
                continue;
            }
            let there = self.downloads.elsewhere.replicated.into.open_file(&name);
            if there.is_err_and(|e| e.kind() == io::ErrorKind::NotFound) {
                return Named::As(name);
            }
            // It may be the very file, not hashed yet.
            if !self.index.is_sure() {
                return Named::Later;
            }
        }
        Named::Not
    }

    /// Whether another content is called so here, comes under that name, or did before it was put aside.
    fn is_taken(&self, name: &Name, root: &Root, now: &Now<'_>) -> bool {
        let aside = |r: &Rotten| r.shelf == Shelf::Replicated && r.entry.name == *name;
        self.index.named(name).is_some_and(|entry| entry.root != *root)
            || now.running.values().any(|making| making.job.name == *name)
            || now.rotten.iter().any(|r| aside(r) && r.entry.root != *root)
    }

    fn make(&self, order: CopyOrder, name: &Name) -> Result<Option<Making>, CopyEnd> {
        let CopyOrder { entry, sources } = order;
        let root = entry.root;
        let is_new = self.index.note_replica(name, root).map_err(|e| {
            log::warn!(target: "node", "cannot note that {name} is a copy for others: {e}");
            CopyEnd::Failed { why: CopyFault::NoRoom, blamed: List::default() }
        })?;
        let errand = Errand::Copy { sought: entry.name.clone(), sources: sources.into_vec() };
        let begun = self.downloads.begin_errand(errand, FileEntry { name: name.clone(), ..entry });
        if begun.is_none() && is_new {
            self.is_no_copy(name, &root);
        }
        Ok(begun.map(|job| Making { job, is_new, given_up: None }))
    }

    /// Whether something has this name in `replicated/`, or has it again when it does not rot any more.
    fn is_there(&self, name: &Name) -> bool {
        let aside = |r: &Rotten| r.shelf == Shelf::Replicated && r.entry.name == *name;
        let there = self.downloads.elsewhere.replicated.into.open_file(name);
        !there.is_err_and(|e| e.kind() == io::ErrorKind::NotFound)
            || self.index.rotten().iter().any(aside)
    }

    fn is_no_copy(&self, name: &Name, root: &Root) {
        if let Err(e) = self.index.no_replica(name, root) {
            log::warn!(target: "node", "{name} is still noted as a copy: {e}");
        }
    }

    fn trim(&self) {
        let trims = self.copies.lock().trims(clock::now());
        for root in trims {
            match self.index.trim(&root) {
                Ok(Trimmed::Gone(names)) => {
                    for name in names {
                        log::info!(target: "node", "the copy {name} is not needed any more: removed");
                    }
                }
                Ok(Trimmed::NotHere) => {}
                Err(e) => {
                    log::warn!(target: "node", "cannot remove a copy that is not needed any more: {e}");
                    self.copies.lock().trim_failed(root, clock::now());
                }
            }
            self.copies.lock().trimmed(&root);
        }
    }
}

/// What becomes of an order.
enum Judged {
    /// It is to be made, under this name.
    Make(Name),
    /// It is not known yet.
    Later,
    /// It is not made.
    Ended(CopyEnd),
}

/// Under which name a copy is kept.
enum Named {
    As(Name),
    /// It is not known yet.
    Later,
    /// There is none.
    Not,
}

/// How a copy has ended, as trackers are told.
fn end_of(job: &Job, given_up: Option<CopyFault>) -> CopyEnd {
    let fault = match job.wait(Duration::ZERO) {
        Some(Ok(_)) => return CopyEnd::Kept,
        Some(Err(fault)) => fault,
        None => Fault::other("it goes on"),
    };
    let why = given_up.unwrap_or(match fault.kind {
        _ if job.control.wish() == Wish::Cancel => CopyFault::Refused,
        FaultKind::Integrity => CopyFault::Broken,
        FaultKind::NotFound | FaultKind::NoOwner | FaultKind::Network | FaultKind::Unfinished => {
            CopyFault::NoSource
        }
        // A full disk, one that fails, a name that was taken meanwhile: nobody else is to blame.
        _ => CopyFault::NoRoom,
    });
    let blamed = match why {
        CopyFault::Broken | CopyFault::NoSource => job.blamed(),
        CopyFault::NoRoom | CopyFault::Refused => Vec::new(),
    };
    CopyEnd::Failed { why, blamed: List::of(blamed.into_iter().take(SOURCES_MAX).collect()) }
}
