//! The thread that keeps the index true: it walks the folders, hashes what is new, and rests.
//!
//! ```text
//!        +--------------------------------------------------------------+
//!        v                                                              |
//!   walk all folders -> hash what is new -> keep the cache -> rest ------
//!    known: as it was     a change that is     (if it          until something changes, is asked,
//!    gone: forgotten      due breaks it off     differs)       is due; or a stop ends it all
//! ```
//!
//! Invariant: the state's lock is never held while the disk is read. Ends within a few reads of a
//! stop, keeping what was hashed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use parking_lot::Mutex;

use super::Index;
use super::cache;
use super::hasher::{Candidate, Outcome, hash_all};
use super::pace::Pace;
use super::problem::{Problems, unreadable};
use super::settling::Settling;
use super::state::{FolderId, Kind, Place};
use super::walk::{Unread, Visitor, is_gone, walk};
use super::watch::Watch;
use crate::base::{Modified, Name, Time};
use crate::io::clock;
use crate::io::disk::{Beneath, Fingerprint};

/// How often a resting scanner looks whether it is to stop, and whether something has changed.
const POLL: Duration = Duration::from_millis(100);
/// From one change told to the next while files are hashed.
const TELL_EVERY: Duration = Duration::from_millis(500);
/// From one cache to the next while files are hashed.
const SAVE_EVERY: Duration = Duration::from_secs(30);

pub(super) struct Scanner {
    index: Arc<Index>,
    watch: Watch,
    settling: Settling,
    pace: Pace,
    scan: u32,
    cache: PathBuf,
    /// The state's edits that the cache has.
    saved: u64,
}

impl Scanner {
    pub(super) fn new(index: Arc<Index>, cache: PathBuf, quiet: Duration) -> Scanner {
        Scanner {
            index,
            watch: Watch::new(),
            settling: Settling::new(quiet),
            pace: Pace::default(),
            scan: 0,
            cache,
            saved: 0,
        }
    }

    /// Runs until the index is stopped.
    pub(super) fn run(mut self) {
        self.load();
        while !self.index.stop.is_stopped() {
            let asked = self.index.signals.lock().begin();
            let taken_out = self.index.state.lock().taken_out;
            let mut problems = Problems::default();
            let fresh = self.walk_all(&mut problems);
            self.index.tell();
            let all = self.hash(&fresh, asked, &mut problems);
            if all {
                self.index.state.lock().tell_taken_back();
            }
            self.save();
            let quiet = self.settling.next().is_none();
            let taken_out = self.index.state.lock().taken_out != taken_out;
            let mut signals = self.index.signals.lock();
            if taken_out {
                signals.taken_out(true);
            }
            signals.end(asked, all, quiet, problems);
            drop(signals);
            self.index.changed.notify_all();
            self.index.tell();
            self.rest();
        }
        self.save();
    }

    /// Walks every folder; returns what has to be hashed.
    fn walk_all(&mut self, problems: &mut Problems) -> Vec<Candidate> {
        self.scan = self.index.state.lock().begin_scan();
        let began = clock::now();
        let places = self.index.state.lock().places();
        self.watch.begin(self.scan);
        let mut fresh = Vec::new();
        for (id, place) in &places {
            let beneath = Beneath::open(&place.path).map(Arc::new);
            let (is_there, unread) =
                match beneath.inspect_err(|e| problems.add(&place.path, unreadable(e))) {
                    Ok(beneath) => {
                        self.index.state.lock().set_beneath(*id, Some(Arc::clone(&beneath)));
                        (true, self.walk_one(*id, place, &beneath, &mut fresh, problems))
                    }
                    Err(error) if is_gone(&error) => {
                        self.index.state.lock().set_beneath(*id, None);
                        (false, Unread::default())
                    }
                    // The folder as it was opened before may still serve.
                    Err(_) => (false, Unread::all()),
                };
            self.index.state.lock().sweep(*id, self.scan, &unread, is_there);
        }
        self.watch.end();
        self.settling.sweep(self.scan);
        self.pace.on_walked(began, clock::now(), clock::random_u64());
        fresh
    }

    fn walk_one(
        &mut self,
        id: FolderId,
        place: &Place,
        beneath: &Arc<Beneath>,
        fresh: &mut Vec<Candidate>,
        problems: &mut Problems,
    ) -> Unread {
        let patterns = matches!(id.kind, Kind::Shared | Kind::Share);
        let index = Arc::clone(&self.index);
        let (now, wall, scan) = (clock::now(), clock::unix_now(), self.scan);
        let (watch, settling) = (&mut self.watch, &mut self.settling);
        let mut look =
            Look { index: &index, id, place, beneath, scan, now, wall, watch, settling, fresh };
        walk(place, patterns, problems, &|| index.stop.is_stopped(), &mut look)
    }

    /// Hashes `fresh`; tells whether nothing of it is left. A scan that is due breaks it off: that
    /// one finds again what is left.
    fn hash(&mut self, fresh: &[Candidate], asked: u64, problems: &mut Problems) -> bool {
        let index = Arc::clone(&self.index);
        index.hashing.store(fresh.len() as u64, Relaxed);
        let saved = Mutex::new(clock::now());
        let told = Mutex::new(clock::now());
        let rest = Mutex::new((&mut self.settling, problems));
        let scan = self.scan;
        let done = |candidate: &Candidate, outcome: Outcome| {
            index.hashing.fetch_sub(1, Relaxed);
            match outcome {
                Outcome::Hashed(record, manifest) => {
                    index.take_hashed(&candidate.key, record, manifest);
                    rest.lock().0.done(&candidate.key);
                }
                Outcome::Changed(print) => {
                    rest.lock().0.changed(candidate.key.clone(), print, scan, clock::now());
                }
                Outcome::Failed(why) => {
                    let path = candidate.beneath.path().join(candidate.relative.as_path());
                    let mut rest = rest.lock();
                    rest.0.done(&candidate.key);
                    rest.1.add(&path, why);
                }
                Outcome::Gone => rest.lock().0.done(&candidate.key),
                Outcome::Stopped => {}
            }
            if is_due(&told, TELL_EVERY) {
                index.tell();
            }
            if is_due(&saved, SAVE_EVERY) {
                save_to(&index, &self.cache);
            }
        };
        let looked = Mutex::new(clock::now());
        let pause = || {
            if is_due(&looked, POLL) && self.watch.has_changed() {
                index.report();
            }
            index.signals.lock().is_due(asked, &self.pace, None)
        };
        let all = hash_all(fresh, &pause, &|| index.stop.is_stopped(), &done);
        index.hashing.store(0, Relaxed);
        all
    }

    /// Waits for a reason to scan.
    fn rest(&self) {
        let mut signals = self.index.signals.lock();
        let asked = signals.answered;
        while !self.index.stop.is_stopped()
            && !signals.is_due(asked, &self.pace, self.settling.next())
        {
            self.index.changed.wait_for(&mut signals, POLL);
            if self.watch.has_changed() {
                signals.report();
            }
        }
    }

    fn load(&mut self) {
        let Ok(bytes) = std::fs::read(&self.cache) else { return };
        let mut state = self.index.state.lock();
        match cache::decode(&bytes, &mut state) {
            Some(files) => log::info!("{files} files were hashed before"),
            None => {
                state.forget_all();
                log::warn!("{} is damaged; every file is hashed anew", self.cache.display());
            }
        }
        self.saved = state.edits;
    }

    fn save(&mut self) {
        self.index.keep_rot();
        let edits = self.index.state.lock().edits;
        if edits != self.saved {
            self.saved = save_to(&self.index, &self.cache).unwrap_or(self.saved);
        }
    }
}

/// A look at one folder by one scan.
struct Look<'a> {
    index: &'a Index,
    id: FolderId,
    place: &'a Place,
    beneath: &'a Arc<Beneath>,
    scan: u32,
    now: Time,
    wall: Modified,
    watch: &'a mut Watch,
    settling: &'a mut Settling,
    /// What is to be hashed.
    fresh: &'a mut Vec<Candidate>,
}

impl Visitor for Look<'_> {
    fn enter(&mut self, path: &Path, named: bool) {
        self.watch.add(path, named);
    }

    fn found(&mut self, files: Vec<(Name, Fingerprint)>) {
        let mut state = self.index.state.lock();
        let files = files.into_iter().map(|(name, print)| ((self.id, name), print));
        let (known, unknown): (Vec<_>, Vec<_>) =
            files.partition(|(key, print)| state.see(key, print, self.scan));
        drop(state);
        for (key, _) in &known {
            self.settling.done(key);
        }
        for (key, print) in unknown {
            if self.settling.may_hash(&key, print, self.scan, self.now, self.wall)
                && let Some(relative) = self.place.relative(&key.1)
            {
                let beneath = Arc::clone(self.beneath);
                self.fresh.push(Candidate { key, beneath, relative, print });
            }
        }
        self.index.tell();
    }
}

/// Keeps what is known; returns the edits that are in it. A failure costs work, nothing else.
fn save_to(index: &Index, path: &Path) -> Option<u64> {
    // First: of what rots, the cache does not tell what it was.
    index.keep_rot();
    let edits = index.state.lock().edits;
    cache::save(path, &index.state)
        .inspect_err(|e| log::warn!("could not keep what was hashed: {e}"))
        .ok()
        .map(|()| edits)
}

/// Whether `every` has passed since the moment in `last`, which is then now.
fn is_due(last: &Mutex<Time>, every: Duration) -> bool {
    let (mut last, now) = (last.lock(), clock::now());
    let due = now.since(*last) >= every;
    if due {
        *last = now;
    }
    due
}
