//! Hashing what a scan has found: small files side by side, large ones on all cores one by one.
//!
//! Invariant: what is called hashed was in one state from before its first byte was read until
//! after its last. Small files come first, so that one large file does not hold up a thousand.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::state::{FileKey, Record};
use crate::base::{Manifest, Name};
use crate::io::disk::fingerprint::is_executable;
use crate::io::disk::hash::threads_max;
use crate::io::disk::{Beneath, Fingerprint, HashError, hash_file};

/// From this size on, bytes, the cores share one file.
const LARGE: u64 = 16 * 1024 * 1024;

/// A file to hash, and the state it was seen in.
pub(super) struct Candidate {
    pub(super) key: FileKey,
    pub(super) beneath: Arc<Beneath>,
    pub(super) relative: Name,
    pub(super) print: Fingerprint,
}

/// How hashing a file ended.
pub(super) enum Outcome {
    Hashed(Record, Arc<Manifest>),
    /// It is in another state now.
    Changed(Fingerprint),
    Gone,
    Failed(String),
    Stopped,
}

/// Hashes `candidates`, giving each one's outcome to `done`. After every file `pause` may end it,
/// so that something is achieved each time; `stop` ends it at once. Tells whether it came to the
/// end.
pub(super) fn hash_all(
    candidates: &[Candidate],
    pause: &(dyn Fn() -> bool + Sync),
    stop: &(dyn Fn() -> bool + Sync),
    done: &(dyn Fn(&Candidate, Outcome) + Sync),
) -> bool {
    let (large, small): (Vec<_>, Vec<_>) = candidates.iter().partition(|c| c.print.size >= LARGE);
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(candidate) = small.get(next.fetch_add(1, Relaxed)) {
            done(candidate, hash_one(candidate, 1, stop));
            if pause() || stop() {
                return false;
            }
        }
        true
    };
    let all_small = std::thread::scope(|scope| {
        let helpers: Vec<_> = (1..threads_max().min(small.len()))
            .filter_map(|_| std::thread::Builder::new().spawn_scoped(scope, work).ok())
            .collect();
        let mine = work();
        helpers.into_iter().map(|h| h.join().unwrap_or(false)).fold(mine, |a, b| a && b)
    });
    all_small
        && large.into_iter().all(|candidate| {
            done(candidate, hash_one(candidate, threads_max(), stop));
            !pause() && !stop()
        })
}

fn hash_one(candidate: &Candidate, threads: usize, stop: &(dyn Fn() -> bool + Sync)) -> Outcome {
    let read = candidate.beneath.open_file(&candidate.relative).map_err(HashError::Io);
    match read.and_then(|file| hash_open(&file, candidate, threads, stop)) {
        Ok(outcome) => outcome,
        Err(HashError::Stopped) => Outcome::Stopped,
        Err(HashError::Io(error)) => match error.kind() {
            io::ErrorKind::NotFound => Outcome::Gone,
            io::ErrorKind::UnexpectedEof => Outcome::Changed(candidate.print),
            _ => Outcome::Failed(format!("could not be read: {error}")),
        },
    }
}

fn hash_open(
    file: &File,
    candidate: &Candidate,
    threads: usize,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Outcome, HashError> {
    let meta = file.metadata()?;
    let print = Fingerprint::new(&meta);
    if print != candidate.print {
        return Ok(Outcome::Changed(print));
    }
    let manifest = hash_file(file, print.size, threads, stop)?;
    let after = Fingerprint::of(file)?;
    if after != print {
        return Ok(Outcome::Changed(after));
    }
    let executable = is_executable(&meta);
    let record = Record { print, root: manifest.root(), executable, live: true, scan: 0 };
    Ok(Outcome::Hashed(record, Arc::new(manifest)))
}
