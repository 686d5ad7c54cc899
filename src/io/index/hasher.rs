//! Hashing what a scan has found: small files side by side, large ones on all cores one by one.
//!
//! Invariant: what is called hashed was in one state from before its first byte was read until
//! after its last. Small files come first, so that one large file does not hold up a thousand.

use std::fs::{File, Metadata};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::problem::unreadable;
use super::state::{FileKey, Record};
use crate::base::{Manifest, Name};
use crate::io::disk::fingerprint::is_executable;
use crate::io::disk::hash::{READ_SIZE, threads_max};
use crate::io::disk::{Beneath, Fingerprint, HashError, hash_file, hash_file_through};

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
        let mut buffer = vec![0; READ_SIZE];
        while let Some(candidate) = small.get(next.fetch_add(1, Relaxed)) {
            done(candidate, hash_one(candidate, Way::Alone(&mut buffer), stop));
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
            done(candidate, hash_one(candidate, Way::AllCores, stop));
            !pause() && !stop()
        })
}

/// On how many cores a file is hashed.
enum Way<'a> {
    /// On this one, through its buffer.
    Alone(&'a mut [u8]),
    AllCores,
}

fn hash_one(candidate: &Candidate, way: Way<'_>, stop: &(dyn Fn() -> bool + Sync)) -> Outcome {
    let read = candidate.beneath.open_and_look(&candidate.relative).map_err(HashError::Io);
    match read.and_then(|(file, meta)| hash_open(&file, &meta, candidate, way, stop)) {
        Ok(outcome) => outcome,
        Err(HashError::Stopped) => Outcome::Stopped,
        Err(HashError::Io(error)) => match error.kind() {
            io::ErrorKind::NotFound => Outcome::Gone,
            io::ErrorKind::UnexpectedEof => Outcome::Changed(candidate.print),
            _ => Outcome::Failed(unreadable(&error)),
        },
    }
}

fn hash_open(
    file: &File,
    meta: &Metadata,
    candidate: &Candidate,
    way: Way<'_>,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Outcome, HashError> {
    let print = Fingerprint::new(meta);
    if print != candidate.print {
        return Ok(Outcome::Changed(print));
    }
    let manifest = match way {
        Way::Alone(buffer) => hash_file_through(file, print.size, buffer, stop)?,
        Way::AllCores => hash_file(file, print.size, threads_max(), stop)?,
    };
    let after = Fingerprint::of(file)?;
    if after != print {
        return Ok(Outcome::Changed(after));
    }
    let executable = is_executable(meta);
    let record = Record { print, root: manifest.root(), executable, live: true, scan: 0 };
    Ok(Outcome::Hashed(record, Arc::new(manifest)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::index::state::{FolderId, Kind};
    use std::os::unix::fs::FileExt;

    fn candidate(folder: &std::path::Path, bytes: &[u8]) -> Candidate {
        std::fs::write(folder.join("file"), bytes).unwrap();
        let name = Name::parse("file").unwrap();
        let print = Fingerprint::new(&folder.join("file").metadata().unwrap());
        let beneath = Arc::new(Beneath::open(folder).unwrap());
        let key = (FolderId { kind: Kind::Shared, nth: 0 }, name.clone());
        Candidate { key, beneath, relative: name, print }
    }

    #[test]
    fn a_file_written_to_while_it_is_hashed_is_not_hashed() {
        let home = tempfile::tempdir().unwrap();
        let candidate = candidate(home.path(), &vec![1; 3_000_000]);
        let file = File::options().write(true).open(home.path().join("file")).unwrap();
        // Asked for between reads, so it is a moment in the middle.
        let write_in_the_middle = || file.write_all_at(b"!", 0).is_err();
        let outcome = hash_one(&candidate, Way::Alone(&mut [0; 4096]), &write_in_the_middle);
        assert!(matches!(outcome, Outcome::Changed(print) if print != candidate.print));
    }

    #[test]
    fn a_file_that_is_cut_exchanged_or_gone_is_not_hashed() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file");
        let cut = candidate(home.path(), &vec![1; 3_000_000]);
        let file = File::options().write(true).open(&path).unwrap();
        let cut_in_the_middle = || file.set_len(5).is_err();
        assert!(matches!(
            hash_one(&cut, Way::Alone(&mut [0; 4096]), &cut_in_the_middle),
            Outcome::Changed(_)
        ));
        let exchanged = candidate(home.path(), b"a file");
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert!(matches!(hash_one(&exchanged, Way::AllCores, &|| false), Outcome::Failed(_)));
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(hash_one(&exchanged, Way::AllCores, &|| false), Outcome::Gone));
    }

    #[test]
    fn a_pause_ends_it_after_at_least_one_file() {
        let home = tempfile::tempdir().unwrap();
        let candidates: Vec<_> = (0..50).map(|_| candidate(home.path(), b"x")).collect();
        let hashed = AtomicUsize::new(0);
        let count = |_: &Candidate, _| _ = hashed.fetch_add(1, Relaxed);
        assert!(!hash_all(&candidates, &|| true, &|| false, &count));
        assert!((1..=threads_max()).contains(&hashed.load(Relaxed)));
    }
}
