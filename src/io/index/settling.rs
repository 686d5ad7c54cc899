//! Which files are left alone until nobody writes them any more.
//!
//! Invariant: a file that changed within the last second is hashed only after it was seen twice in
//! the same state, `quiet` apart; one that changed while it was hashed waits longer each time. So
//! no half-written file is shared, and a log that grows all day is not hashed all day.

use std::collections::BTreeMap;
use std::time::Duration;

use super::state::FileKey;
use crate::base::{Modified, Time};
use crate::io::disk::Fingerprint;

/// Younger than this a file may still be written.
const YOUNG: Duration = Duration::from_secs(1);
/// Longest time between two tries.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// The files that wait, and until when.
#[derive(Debug)]
pub(super) struct Settling {
    quiet: Duration,
    files: BTreeMap<FileKey, Unquiet>,
}

#[derive(Debug)]
struct Unquiet {
    print: Fingerprint,
    tries: u32,
    until: Time,
    scan: u32,
}

impl Settling {
    pub(super) fn new(quiet: Duration) -> Settling {
        Settling { quiet, files: BTreeMap::new() }
    }

    /// Whether the file, seen in the state `print` by scan number `scan`, may be hashed now.
    pub(super) fn may_hash(
        &mut self,
        key: &FileKey,
        print: Fingerprint,
        scan: u32,
        now: Time,
        wall: Modified,
    ) -> bool {
        let Some(file) = self.files.get_mut(key) else {
            let young = !self.quiet.is_zero() && is_young(print.changed, wall);
            if young {
                let file = Unquiet { print, tries: 0, until: now + self.quiet, scan };
                self.files.insert(key.clone(), file);
            }
            return !young;
        };
        file.scan = scan;
        if file.print != print {
            file.print = print;
            file.until = now + wait(self.quiet, file.tries);
        }
        now >= file.until
    }

    /// The file was hashed, or cannot be.
    pub(super) fn done(&mut self, key: &FileKey) {
        self.files.remove(key);
    }

    /// The file changed while it was hashed.
    pub(super) fn changed(&mut self, key: FileKey, print: Fingerprint, scan: u32, now: Time) {
        let tries = self.files.get(&key).map_or(1, |file| file.tries + 1);
        let until = now + wait(self.quiet, tries);
        self.files.insert(key, Unquiet { print, tries, until, scan });
    }

    /// Forgets files that scan number `scan` has not seen.
    pub(super) fn sweep(&mut self, scan: u32) {
        self.files.retain(|_, file| file.scan == scan);
    }

    /// When the first of those that wait may be looked at again.
    pub(super) fn next(&self) -> Option<Time> {
        self.files.values().map(|file| file.until).min()
    }
}

fn wait(quiet: Duration, tries: u32) -> Duration {
    quiet.saturating_mul(1 << tries.min(16)).min(WAIT_MAX)
}

/// Whether `changed` is less than a second before `wall`. A moment in the future is another
/// clock's, or a clock that was set back: it tells nothing.
fn is_young(changed: Modified, wall: Modified) -> bool {
    let nanos = |m: Modified| i128::from(m.secs) * 1_000_000_000 + i128::from(m.nanos);
    (0..YOUNG.as_nanos() as i128).contains(&(nanos(wall) - nanos(changed)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Name;
    use crate::io::index::state::{FolderId, Kind};

    const QUIET: Duration = Duration::from_millis(300);
    const WALL: Modified = Modified { secs: 1_000, nanos: 0 };

    fn key() -> FileKey {
        (FolderId { kind: Kind::Shared, nth: 0 }, Name::parse("log").unwrap())
    }

    fn print(size: u64, changed_secs: i64) -> Fingerprint {
        let changed = Modified { secs: changed_secs, nanos: 0 };
        Fingerprint { size, modified: changed, changed, inode: 1 }
    }

    #[test]
    fn a_young_file_is_hashed_once_it_was_seen_twice_the_same() {
        let mut settling = Settling::new(QUIET);
        let mut at = |size, now| settling.may_hash(&key(), print(size, 1_000), 1, now, WALL);
        assert!(!at(1, Time::ZERO));
        assert!(!at(2, Time::ZERO + QUIET), "it grew");
        assert!(!at(2, Time::ZERO + QUIET), "not yet quiet");
        assert!(at(2, Time::ZERO + QUIET * 2));
    }

    #[test]
    fn old_files_and_files_from_the_future_do_not_wait() {
        for changed in [998, 1_001, i64::MIN, i64::MAX] {
            let mut settling = Settling::new(QUIET);
            assert!(settling.may_hash(&key(), print(1, changed), 1, Time::ZERO, WALL), "{changed}");
        }
    }

    #[test]
    fn a_file_that_changes_under_the_hash_waits_longer_each_time() {
        let mut settling = Settling::new(QUIET);
        let mut waits = Vec::new();
        for i in 0..12 {
            settling.changed(key(), print(i, 1_000), 1, Time::ZERO);
            waits.push(settling.next().unwrap().since(Time::ZERO));
        }
        assert_eq!(waits[..3], [QUIET * 2, QUIET * 4, QUIET * 8]);
        assert_eq!(waits[11], WAIT_MAX);
        settling.sweep(2);
        assert_eq!(settling.next(), None, "a file that is gone is still waited for");
    }
}
