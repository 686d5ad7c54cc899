//! One download as the person ordered it: a name, which is a file or everything below a folder.
//!
//! ```text
//!   Preparing -> Moving <-> Waiting -> Finishing -> Done
//!       any of these --pause--> Paused --resume--> Preparing
//!       any of these --cancel--> Cancelled    (what arrived is given up)
//!       any of these --a fault, the node's end--> Failed, Cancelled    (it is kept)
//! ```
//!
//! Invariant: the outcome is set once, after every thread of the download has ended.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::company::Company;
use super::control::{Control, Wish};
use super::progress::Progress;
use super::resolve::Wanted;
use crate::base::{Fault, FaultKind, FileEntry, Name, NodeId, Rate, Root, Time};
use crate::io::clock;
use crate::io::index::{Rotten, Shelf};
use crate::logic::ledger::SetKey;
use crate::node::throttle::Limiter;
use crate::node::view::{Direction, DownloadReport, From as Choice, TransferRow, TransferState};
use crate::wire::message::transfer::Set;

/// Whoever wants an errand done tries again later, with other owners maybe.
const ERRAND_PATIENCE: Duration = Duration::from_secs(120);

/// What a download came to.
pub(in crate::node) type Outcome = Result<Arc<Vec<DownloadReport>>, Fault>;

/// What a node fetches without a person's word. It is begun again by whoever wants it, so no order is
/// kept, and it ends instead of waiting for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::node) enum Errand {
    /// A copy for others, called `sought` there; these are said to have it.
    Copy { sought: Name, sources: Vec<NodeId> },
    /// What a file was that rots, called `sought` elsewhere.
    Repair { rotten: Rotten, sought: Name },
}

/// One download. Shared by its threads and by whoever asks about it.
pub(in crate::node) struct Job {
    pub(in crate::node) id: u64,
    pub(in crate::node) name: Name,
    pub(in crate::node) from: Choice,
    /// What it is for, if not for a person who asked, and what it brings.
    pub(in crate::node) errand: Option<(Errand, FileEntry)>,
    /// Who sent wrong bytes, or has not what is said to be there.
    pub(super) blamed: Arc<Mutex<BTreeSet<NodeId>>>,
    /// Begun before this node's start: its owners are waited for, as they would have been.
    pub(in crate::node) patient: bool,
    pub(in crate::node) control: Arc<Control>,
    pub(in crate::node) progress: Arc<Progress>,
    /// Who fetches some of it, too.
    pub(super) company: Arc<Company>,
    /// What a person holds it to, all owners together.
    pub(in crate::node) limit: Arc<Limiter>,
    /// When it was ordered.
    pub(super) started: Time,
    outcome: Mutex<Option<Outcome>>,
    ended: Condvar,
    /// Whether it has ended for this run of the node only.
    interrupted: AtomicBool,
    /// What the name stood for when its owners were first found.
    resolved: Mutex<Option<Resolved>>,
    /// The sets it is fetched in, as far as they are known.
    sets: Mutex<BTreeMap<SetKey, Part>>,
}

/// One of them.
struct Part {
    set: Set,
    /// It stands still, and some of it has arrived.
    is_kept: bool,
}

/// What a name was resolved to.
#[derive(Clone)]
struct Resolved {
    files: Arc<Vec<Wanted>>,
    list: Kept,
}

/// Whether a list of the files is on the disk.
#[derive(Clone, Copy)]
enum Kept {
    NotYet,
    As(Root),
    /// It is larger than a list may be.
    Never,
}

impl Kept {
    fn name(self) -> Option<Root> {
        match self {
            Kept::As(name) => Some(name),
            Kept::NotYet | Kept::Never => None,
        }
    }
}

impl Job {
    pub(in crate::node) fn new(id: u64, name: Name, from: Choice) -> Arc<Job> {
        Job::with_patience(id, name, from, None, false, Arc::default())
    }

    /// One that goes on after a restart.
    pub(in crate::node) fn again(id: u64, name: Name, from: Choice) -> Arc<Job> {
        Job::with_patience(id, name, from, None, true, Arc::default())
    }

    /// One that no person asked for, which brings `entry`.
    pub(in crate::node) fn errand(id: u64, errand: Errand, entry: FileEntry) -> Arc<Job> {
        let (name, errand) = (entry.name.clone(), Some((errand, entry)));
        Job::with_patience(id, name, Choice::All, errand, false, Arc::default())
    }

    /// This one anew, which is over.
    pub(in crate::node) fn anew(&self) -> Arc<Job> {
        let (name, from) = (self.name.clone(), self.from.clone());
        Job::with_patience(self.id, name, from, self.errand.clone(), false, self.limit.clone())
    }

    fn with_patience(
        id: u64,
        name: Name,
        from: Choice,
        errand: Option<(Errand, FileEntry)>,
        patient: bool,
        limit: Arc<Limiter>,
    ) -> Arc<Job> {
        let resolved = errand.as_ref().map(|(_, entry)| Resolved {
            files: vec![Wanted::new(entry.clone())].into(),
            list: Kept::Never,
        });
        Arc::new(Job {
            id,
            name,
            from,
            errand,
            blamed: Arc::default(),
            patient,
            control: Arc::new(Control::new()),
            progress: Arc::new(Progress::new()),
            company: Arc::default(),
            limit,
            started: clock::now(),
            outcome: Mutex::new(None),
            ended: Condvar::new(),
            interrupted: AtomicBool::new(false),
            resolved: resolved.into(),
            sets: Mutex::default(),
        })
    }

    /// Where what it brings is put.
    pub(in crate::node) fn shelf(&self) -> Shelf {
        match &self.errand {
            None => Shelf::Downloaded,
            Some((Errand::Copy { .. }, _)) => Shelf::Replicated,
            Some((Errand::Repair { rotten, .. }, _)) => rotten.shelf,
        }
    }

    /// An errand ends when nothing has come to it for so long; a person is waited for.
    pub(in crate::node) fn patience(&self) -> Option<Duration> {
        self.errand.is_some().then_some(ERRAND_PATIENCE)
    }

    /// What others call it, and who is said to have it.
    pub(in crate::node) fn sought(&self) -> (&Name, &[NodeId]) {
        match &self.errand {
            Some((Errand::Copy { sought, sources }, _)) => (sought, sources),
            Some((Errand::Repair { sought, .. }, _)) => (sought, &[]),
            None => (&self.name, &[]),
        }
    }

    /// These sent wrong bytes, or have not what is said to be there.
    pub(super) fn blames(&self, nodes: impl IntoIterator<Item = NodeId>) {
        self.blamed.lock().extend(nodes);
    }

    /// Who is to blame that it has not come.
    pub(in crate::node) fn blamed(&self) -> Vec<NodeId> {
        self.blamed.lock().iter().copied().collect()
    }

    /// Its name stands for these files from now on; `list`: they are on the disk under that name.
    pub(in crate::node) fn resolve_to(&self, files: Vec<Wanted>, list: Option<Root>) {
        let list = list.map_or(Kept::NotYet, Kept::As);
        *self.resolved.lock() = Some(Resolved { files: files.into(), list });
    }

    /// What its name stands for, once that is known.
    pub(in crate::node) fn files(&self) -> Option<Arc<Vec<Wanted>>> {
        self.resolved.lock().as_ref().map(|resolved| resolved.files.clone())
    }

    /// The name of its list on the disk, written by `write` if it is not there yet; one that is too
    /// large (`FileTooLarge`) is not tried again.
    pub(in crate::node) fn list(
        &self,
        write: impl FnOnce(&[FileEntry]) -> io::Result<Root>,
    ) -> io::Result<Option<Root>> {
        let mut resolved = self.resolved.lock();
        let Some(resolved) = resolved.as_mut() else { return Ok(None) };
        if let Kept::NotYet = resolved.list {
            let sizes = resolved.files.iter().flat_map(Wanted::sizes);
            let written = write(&sizes.map(|w| w.entry).collect::<Vec<_>>());
            match &written {
                Ok(name) => resolved.list = Kept::As(*name),
                Err(e) if e.kind() == io::ErrorKind::FileTooLarge => resolved.list = Kept::Never,
                Err(_) => {}
            }
            written?;
        }
        Ok(resolved.list.name())
    }

    /// The name of its list on the disk, while it is not over.
    pub(in crate::node) fn list_in_use(&self) -> Option<Root> {
        self.resolved.lock().as_ref().and_then(|r| r.list.name()).filter(|_| !self.is_over())
    }

    /// It is fetched in these sets too.
    pub(in crate::node) fn adds_sets(&self, sets: impl Iterator<Item = (SetKey, Set)>) {
        let mut all = self.sets.lock();
        for (key, set) in sets {
            all.entry(key).or_insert(Part { set, is_kept: false });
        }
    }

    /// It is fetched in these sets alone from now on: what stood still of another goes into one of them.
    pub(in crate::node) fn keeps_only(&self, keys: &BTreeSet<SetKey>) {
        let mut all = self.sets.lock();
        all.iter_mut().filter(|(key, _)| !keys.contains(*key)).for_each(|(_, p)| p.is_kept = false);
    }

    /// One of its sets stands still with some of it here, or does so no more.
    pub(in crate::node) fn keeps(&self, key: &SetKey, is_kept: bool) {
        if let Some(part) = self.sets.lock().get_mut(key) {
            part.is_kept = is_kept;
        }
    }

    /// Why the set that `is_it`, of which some is here, cannot be had of it now, though it can be again. Of
    /// what a person `withholds` nothing is told.
    pub(in crate::node) fn stands_still(
        &self,
        is_it: &dyn Fn(&SetKey, &Set) -> bool,
        withholds: &dyn Fn(&Name) -> bool,
    ) -> Option<&'static str> {
        if !self.goes_on() {
            return None;
        }
        let files = self.files()?;
        let is_told = |set: &Set| {
            let roots: BTreeSet<Root> = set.contents().iter().map(|content| content.root).collect();
            let mut its =
                files.iter().map(|w| &w.entry).filter(|entry| roots.contains(&entry.root));
            its.any(|entry| !withholds(&entry.name))
        };
        let is_kept = {
            let sets = self.sets.lock();
            sets.iter()
                .any(|(key, part)| part.is_kept && is_it(key, &part.set) && is_told(&part.set))
        };
        is_kept.then(|| match self.control.wish() {
            Wish::Pause => "it fetches that itself, and was told to pause",
            _ => "it fetches that itself, and has put it off for a while",
        })
    }

    /// One of the sets it is fetched in.
    pub(in crate::node) fn set(&self, key: &SetKey) -> Option<Set> {
        self.sets.lock().get(key).map(|part| part.set.clone())
    }

    /// The keys of all of them.
    pub(in crate::node) fn set_keys(&self) -> Vec<SetKey> {
        self.sets.lock().keys().copied().collect()
    }

    /// It is over for this run of the node, which ends; the next one goes on with it.
    pub(in crate::node) fn interrupt(&self, outcome: Outcome) {
        self.interrupted.store(true, Ordering::Relaxed);
        self.ends(outcome);
    }

    /// It is over. What only one that goes on needs is forgotten: that may be a million names.
    pub(in crate::node) fn end(&self, outcome: Outcome) {
        self.ends(outcome);
        *self.resolved.lock() = None;
        self.sets.lock().clear();
    }

    /// Nobody is likely to ask any more how each file has come.
    pub(in crate::node) fn forget_reports(&self) {
        if let Some(Ok(reports)) = self.outcome.lock().as_mut() {
            *reports = Arc::default();
        }
    }

    fn ends(&self, outcome: Outcome) {
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

    /// Whether it runs or may run again by itself: not over, and not told to end.
    pub(in crate::node) fn goes_on(&self) -> bool {
        !self.is_over() && self.control.wish() != Wish::Cancel
    }

    /// Whether the next start of the node is to go on with it.
    pub(in crate::node) fn is_ordered(&self) -> bool {
        let unfinished = !self.is_over() || self.interrupted.load(Ordering::Relaxed);
        unfinished && self.control.wish() != Wish::Cancel
    }

    /// A person sees why his node fetches what he has not asked for.
    fn reason(&self, why: String) -> String {
        let Some(errand) = self.errand_words() else { return why };
        if why.is_empty() { errand.to_owned() } else { format!("{errand}: {why}") }
    }

    /// What it is, if no person asked for it.
    pub(in crate::node) fn errand_words(&self) -> Option<&'static str> {
        self.errand.as_ref().map(|(errand, _)| match errand {
            Errand::Copy { .. } => "a copy for others",
            Errand::Repair { .. } => "in place of what rots here",
        })
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
            reason: self.reason(seen.reason),
            done: seen.done,
            total: seen.total,
            attempt: seen.attempt,
            rate: if seen.state == TransferState::Moving { seen.rate } else { 0 },
            limit: self.limit.rate().filter(|_| !self.is_over()).map(Rate::bytes),
            sources: seen.sources,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::samples::hit;

    fn job() -> Arc<Job> {
        let job = Job::new(1, "d".parse().unwrap(), Choice::All);
        let entry = hit("d/a", b"1", &[]).entry;
        job.resolve_to(vec![Wanted::new(entry)], None);
        job
    }

    #[test]
    fn what_is_over_keeps_its_outcome_and_what_is_interrupted_all_that_it_stands_for() {
        let (done, stopped) = (job(), job());
        done.end(Ok(Arc::default()));
        assert!(done.files().is_none() && done.wait(Duration::ZERO).is_some_and(|o| o.is_ok()));
        stopped.interrupt(Err(Fault::other("the node ends")));
        assert!(stopped.files().is_some() && stopped.is_ordered());
    }

    #[test]
    fn a_set_stands_still_while_some_of_it_is_here_and_its_download_goes_on() {
        let (job, key) = (job(), [1; 32]);
        let entry = hit("d/a", b"1", &[]).entry;
        let set = Set::File(super::super::file::content(&entry));
        job.adds_sets([(key, set.clone())].into_iter());
        let stands = |job: &Job| job.stands_still(&|k, _| *k == key, &|_| false);
        assert_eq!(stands(&job), None, "nothing of it is here");
        job.keeps(&key, true);
        job.adds_sets([(key, set)].into_iter());
        assert!(stands(&job).is_some_and(|words| words.ends_with("put it off for a while")));
        job.control.say(Wish::Pause);
        assert!(stands(&job).is_some_and(|words| words.ends_with("told to pause")));
        assert_eq!(job.stands_still(&|_, _| true, &|name| *name == entry.name), None, "withheld");
        job.keeps_only(&BTreeSet::from([key]));
        assert!(stands(&job).is_some());
        job.keeps_only(&BTreeSet::new());
        assert_eq!(stands(&job), None, "it goes on in other sets");
        job.keeps(&key, true);
        job.control.say(Wish::Cancel);
        assert_eq!(stands(&job), None, "it is given up");
    }

    #[test]
    fn a_list_that_cannot_be_written_is_tried_again_but_one_that_is_too_large_is_not() {
        let (job, failing) = (job(), |kind: io::ErrorKind| move |_: &[FileEntry]| Err(kind.into()));
        assert!(job.list(failing(io::ErrorKind::StorageFull)).is_err());
        assert!(job.list(failing(io::ErrorKind::FileTooLarge)).is_err());
        assert_eq!(job.list(|_| panic!("it is tried again")).unwrap(), None);
    }
}
