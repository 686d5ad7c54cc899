//! What rots here is told, and had again where that is nobody's loss.
//!
//! Invariant: what was downloaded, and a copy for others, is fetched again by itself, when somebody is
//! there who has it; what a person shares, or put among the copies, only when she says so, since she may
//! have edited it and set its time back. The bytes that rot are put aside first, never removed, but for a
//! copy's. One at a time; one that failed is tried again after `AGAIN`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::copies::Keeping;
use super::fetch::job::{Errand, Job};
use super::view::RotState;
use crate::base::{Fault, FaultKind, FileEntry, Name, Time};
use crate::io::clock;
use crate::io::index::{Rotten, Shelf};
use crate::logic::copies::common_name;

/// Between two tries.
const AGAIN: Duration = Duration::from_secs(3_600);

/// Where a file lies, and its name.
type Key = (u8, Name);

/// Repairs that were tried, and are wanted.
#[derive(Default)]
pub(super) struct Repairs(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    /// What a person wants repaired.
    wanted: BTreeSet<Name>,
    running: Option<(Rotten, Arc<Job>)>,
    /// Why the last try failed, and when the next is due.
    failed: BTreeMap<Key, (String, Time)>,
    /// They are here again.
    done: BTreeSet<Key>,
}

/// Whether only a person's word has it fetched again.
fn is_hers(rotten: &Rotten) -> bool {
    rotten.shelf != Shelf::Downloaded && !rotten.copy
}

/// What fetches it again.
fn errand(rotten: &Rotten) -> Errand {
    let FileEntry { name, root, .. } = &rotten.entry;
    let sought = if rotten.copy { common_name(name, root) } else { name.clone() };
    Errand::Repair { rotten: rotten.clone(), sought }
}

fn key(rotten: &Rotten) -> Key {
    (rotten.shelf as u8, rotten.entry.name.clone())
}

impl Keeping {
    /// A person wants what she shares under this name to be as it was.
    ///
    /// # Errors
    /// It does not rot; it lies elsewhere.
    pub(super) fn want_repair(&self, name: &Name) -> Result<(), Fault> {
        let rotten = self.index.rotten();
        let mut its = rotten.iter().filter(|r| r.entry.name == *name);
        let Some(found) = its.next() else {
            let text = format!("{name} is not known to rot; see `scrub status`");
            return Err(Fault::new(FaultKind::NotFound, text));
        };
        if found.by_path {
            return Err(Fault::other(format!(
                "{name} is shared from elsewhere, where parvi writes nothing: download {name}@{}, \
                 and put it there",
                found.entry.root.short()
            )));
        }
        let mut repairs = self.repairs.0.lock();
        if repairs.done.contains(&key(found)) {
            return Err(Fault::other(format!("{name} is whole again already; see `scrub status`")));
        }
        repairs.wanted.insert(name.clone());
        repairs.failed.retain(|(_, failed), _| failed != name);
        drop(repairs);
        self.wake();
        Ok(())
    }

    pub(super) fn is_repairing(&self) -> bool {
        self.repairs.0.lock().running.is_some()
    }

    /// How it stands with a file that rots.
    pub(super) fn repair_state(&self, rotten: &Rotten) -> RotState {
        let repairs = self.repairs.0.lock();
        let key = key(rotten);
        let running = repairs.running.as_ref().is_some_and(|(r, _)| self::key(r) == key);
        match repairs.failed.get(&key) {
            _ if running => RotState::Fetching,
            _ if repairs.done.contains(&key) => RotState::Repaired,
            Some((why, _)) => RotState::Failed(why.clone()),
            None if is_hers(rotten) && !repairs.wanted.contains(&rotten.entry.name) => {
                RotState::Yours
            }
            None => RotState::Waiting,
        }
    }

    /// Tells of what rots, takes the end of a repair, begins the next.
    pub(super) fn repair(&self) {
        for rotten in self.index.rot_news() {
            self.repairs.0.lock().done.remove(&key(&rotten));
            self.ctx.notices.tell(words(&rotten));
        }
        let running = self.repairs.0.lock().running.take();
        if let Some((rotten, job)) = running {
            match job.wait(Duration::ZERO) {
                None => self.repairs.0.lock().running = Some((rotten, job)),
                Some(outcome) => self.repaired(&rotten, outcome.map(|_| ())),
            }
        }
        if !self.is_repairing()
            && let Some(next) = self.next_repair(clock::now())
        {
            let job = self.downloads.begin_errand(errand(&next), next.entry.clone());
            self.repairs.0.lock().running = job.map(|job| (next, job));
        }
    }

    fn next_repair(&self, now: Time) -> Option<Rotten> {
        let rotten = self.index.rotten();
        let mut repairs = self.repairs.0.lock();
        let keys: BTreeSet<Key> = rotten.iter().map(key).collect();
        repairs.failed.retain(|key, _| keys.contains(key));
        repairs.done.retain(|key| keys.contains(key));
        let due = |r: &Rotten| {
            let FileEntry { name, root, .. } = &r.entry;
            let wanted = repairs.wanted.contains(name);
            let waits = repairs.failed.get(&key(r)).is_some_and(|(_, due)| now < *due);
            // Where it is, is enough for others; under its name, for the person.
            let is_here = || match r.copy {
                true => self.index.offers(root),
                false => self.index.named(name).is_some_and(|entry| entry.root == *root),
            };
            let meant = wanted || (!is_hers(r) && !is_here());
            meant && !r.by_path && !waits && !repairs.done.contains(&key(r))
        };
        rotten.into_iter().find(due)
    }

    fn repaired(&self, rotten: &Rotten, outcome: Result<(), Fault>) {
        let name = &rotten.entry.name;
        let mut repairs = self.repairs.0.lock();
        match outcome {
            Ok(()) => {
                repairs.done.insert(key(rotten));
                repairs.wanted.remove(name);
                drop(repairs);
                self.ctx.notices.tell(format!("{name} rotted here and is whole again"));
                if rotten.copy {
                    self.index.remove_rotten(&rotten.entry.root);
                }
            }
            Err(fault) => {
                let news = repairs
                    .failed
                    .insert(key(rotten), (fault.text.clone(), clock::now() + AGAIN))
                    .is_none();
                drop(repairs);
                if news {
                    let words = format!("{name} rots here and is not whole again yet: {fault}");
                    self.ctx.notices.tell(format!("{words}; it is tried again"));
                }
            }
        }
    }
}

/// What a person is told of a file that rots, and what to do.
fn words(rotten: &Rotten) -> String {
    let Rotten { shelf, entry, .. } = rotten;
    let folder = match shelf {
        Shelf::Local if rotten.by_path => "",
        Shelf::Local => "shared/",
        Shelf::Downloaded => "downloaded/",
        Shelf::Replicated => "replicated/",
    };
    let todo = match (is_hers(rotten), rotten.by_path) {
        (true, true) => "put a good copy there; or touch it, if you changed it yourself",
        (true, false) => {
            "`scrub repair NAME` fetches it again; touch it, if you changed it yourself"
        }
        (false, _) => "it is fetched again, if somebody has it",
    };
    format!(
        "{folder}{} has other bytes than it had, though its size and time are the same; it is offered no more: {todo}",
        entry.name
    )
}
