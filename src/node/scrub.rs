//! Reads what is stored, slowly, and compares it with its hashes: the thread. `logic/scrub.rs` says how
//! fast and where it stands, `io/index/check.rs` reads, `repairs` does what follows.
//!
//! Invariant: one file at a time, at the lowest priority, never faster than the pace; what other threads
//! have in memory of it is dropped, so that it is the disk that is read. Where it stands is kept in
//! `.parvi/scrub`; losing that costs a round. Ends with the node, within one read.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::Node;
use super::context::Context;
use super::copies::Keeping;
use super::view::{RottenRow, ScrubStatus, Unread};
use crate::base::name::printable;
use crate::base::{Fault, Name, Time};
use crate::io::clock;
use crate::io::disk::hash::READ_SIZE;
use crate::io::disk::replace_file;
use crate::io::index::{Checked, Index, Stored};
use crate::logic::scrub::{Scrub, ScrubPace, Turns};

/// How often it looks whether there is something to do.
const TICK: Duration = Duration::from_secs(1);
/// How often it is kept where the reading stands.
const KEEP_EVERY: Duration = Duration::from_secs(60);
/// Files that could not be read and are named; the oldest goes first.
const UNREAD_MAX: usize = 64;
/// The lowest priority that a thread can have.
const NICE: i32 = 19;

/// The reading of what is stored.
pub(super) struct Scrubber {
    ctx: Arc<Context>,
    index: Arc<Index>,
    keeping: Arc<Keeping>,
    pace: ScrubPace,
    path: PathBuf,
    scrub: Mutex<Scrub>,
    turns: Mutex<Turns>,
    /// What is stored, as of the moment it was last counted: that takes a look at every file.
    stored: Mutex<Option<(u64, Time)>>,
    unread: Mutex<VecDeque<Unread>>,
}

impl Scrubber {
    /// Goes on where `path` says.
    pub(super) fn open(
        (ctx, index): (Arc<Context>, Arc<Index>),
        keeping: Arc<Keeping>,
        pace: ScrubPace,
        path: PathBuf,
    ) -> Scrubber {
        let kept = std::fs::read(&path).ok();
        let scrub = kept.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let (scrub, turns, stored) = (Mutex::new(scrub), Mutex::default(), Mutex::default());
        let unread = Mutex::default();
        Scrubber { ctx, index, keeping, pace, path, scrub, turns, stored, unread }
    }

    /// Reads everything now, as fast as it can be.
    pub(super) fn now(&self) {
        self.scrub.lock().ask();
        self.unread.lock().clear();
    }

    /// How it stands.
    pub(super) fn status(&self) -> ScrubStatus {
        let scrub = self.scrub.lock().clone();
        let stored = self.index.stored_bytes();
        let row = |rotten: crate::io::index::Rotten| RottenRow {
            name: rotten.entry.name.clone(),
            folder: rotten.shelf.into(),
            size: rotten.entry.size,
            root: rotten.entry.root,
            found: rotten.found,
            aside: rotten.aside,
            state: self.keeping.repair_state(&rotten),
        };
        ScrubStatus {
            reading: scrub.is_reading(),
            off: self.pace == ScrubPace::Off && !scrub.asked,
            rounds: scrub.rounds,
            files: scrub.files,
            bytes: scrub.bytes,
            stored,
            rate: scrub.rate(self.pace, stored).filter(|_| scrub.is_reading()),
            next_in_s: scrub.next_in().as_secs(),
            rotten: self.index.rotten().into_iter().map(row).collect(),
            unread: self.unread.lock().iter().cloned().collect(),
        }
    }

    /// The thread.
    pub(super) fn run(&self) {
        if let Err(e) = rustix::process::setpriority_process(None, NICE) {
            log::debug!(target: "scrub", "cannot lower the priority: {e}");
        }
        let (mut last, mut kept) = (clock::now(), clock::now());
        while !self.ctx.stop.is_stopped() {
            let now = clock::now();
            let reads = self.scrub.lock().tick(now.since(last), self.pace);
            last = now;
            if now.since(kept) >= KEEP_EVERY {
                kept = now;
                self.keep();
            }
            // What is here is not known during the first look.
            if !reads || self.index.is_starting() || !self.read_next() {
                self.ctx.stop.wait(TICK);
            }
        }
        self.keep();
    }

    /// Reads the next file; false: there is none, and the round is over.
    fn read_next(&self) -> bool {
        let scrub = self.scrub.lock().clone();
        let Some(stored) = self.index.stored_after(scrub.at()) else {
            self.scrub.lock().on_end();
            self.keep();
            return false;
        };
        let (rate, asked) = (scrub.rate(self.pace, self.stored_bytes()), scrub.asked);
        let walk = Walk { scrubber: self, rate, asked, left: Mutex::new(stored.size()) };
        // To open it costs something, too.
        if walk.waits(0) {
            return true;
        }
        match self.index.check(&stored, &|| walk.step(stored.size())) {
            Checked::Right | Checked::Changed => {}
            Checked::Rotten => self.keeping.wake(),
            Checked::Unreadable(e) => self.not_read(&stored, &e),
            Checked::Stopped => return true,
        }
        let mut now = self.scrub.lock();
        // Unless a person has asked for a new round meanwhile.
        if (now.at(), now.asked) == (scrub.at(), asked) {
            now.on_read((stored.place(), stored.name().clone()), stored.size());
        }
        true
    }

    /// About how much is stored.
    fn stored_bytes(&self) -> u64 {
        let (mut stored, now) = (self.stored.lock(), clock::now());
        match *stored {
            Some((bytes, counted)) if now.since(counted) < KEEP_EVERY => bytes,
            _ => stored.insert((self.index.stored_bytes(), now)).0,
        }
    }

    fn not_read(&self, stored: &Stored, error: &std::io::Error) {
        let why = format!("could not be read: {error}; look at the disk's health");
        log::warn!(target: "scrub", "{} {why}", stored.name());
        let mut unread = self.unread.lock();
        unread.retain(|file| file.name != *stored.name());
        if unread.len() >= UNREAD_MAX {
            unread.pop_front();
        }
        unread.push_back(Unread { name: stored.name().clone(), why: printable(&why).into_owned() });
    }

    fn keep(&self) {
        let bytes = serde_json::to_vec(&*self.scrub.lock()).map_err(std::io::Error::from);
        if let Err(e) = bytes.and_then(|bytes| replace_file(&self.path, &bytes)) {
            log::warn!(target: "scrub", "cannot keep where it stands in {}: {e}", self.path.display());
        }
    }

    /// A person wants what she shares under a name to be as it was.
    pub(super) fn repair(&self, name: &Name) -> Result<(), Fault> {
        self.keeping.want_repair(name)
    }
}

impl Node {
    /// What is read and compared with its hashes, and what was found so far.
    pub fn scrub_status(&self) -> ScrubStatus {
        self.scrub.status()
    }

    /// Reads everything that is stored now, in the background, as fast as it can be.
    pub fn scrub_now(&self) -> ScrubStatus {
        self.scrub.now();
        self.scrub.status()
    }

    /// Fetches again what is shared under this name and rots; its bytes are put aside.
    ///
    /// # Errors
    /// It does not rot, or lies outside of the data directory.
    pub fn scrub_repair(&self, name: &Name) -> Result<(), Fault> {
        self.scrub.repair(name)
    }
}

/// Keeps the reading of one file to the rate of all.
struct Walk<'a> {
    scrubber: &'a Scrubber,
    /// Bytes a second; `None`: no bound.
    rate: Option<u64>,
    /// Whether a person asked for the round.
    asked: bool,
    /// Bytes of it that were not read yet.
    left: Mutex<u64>,
}

impl Walk<'_> {
    /// Waits until up to `READ_SIZE` bytes of a file of `size` may be read; tells whether it is over.
    fn step(&self, size: u64) -> bool {
        let bytes = {
            let mut left = self.left.lock();
            // What differs is read once more.
            if *left == 0 {
                *left = size;
            }
            let bytes = (*left).min(READ_SIZE as u64);
            *left -= bytes;
            bytes
        };
        self.waits(bytes)
    }

    fn waits(&self, bytes: u64) -> bool {
        let Some(rate) = self.rate else { return self.is_over() };
        let begin = self.scrubber.turns.lock().take(clock::now(), bytes, rate);
        loop {
            let wait = begin.since(clock::now());
            if wait.is_zero() || self.is_over() {
                return self.is_over();
            }
            self.scrubber.ctx.stop.wait(wait.min(TICK));
        }
    }

    /// The node stops; or a person asks for a new round, who does not wait for the end of a large file.
    fn is_over(&self) -> bool {
        let asked = || !self.asked && self.scrubber.scrub.lock().asked;
        self.scrubber.ctx.stop.is_stopped() || asked()
    }
}
