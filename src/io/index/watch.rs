//! Reports of the system that something in the folders has changed.
//!
//! They only make the next scan come sooner: reports get lost, and where they cannot be had (too
//! many folders, a network file system) the scan once a minute is all there is.
//!
//! Invariant: a folder is watched before a scan reads it, so a change that the scan is too early for
//! is reported. Every scan asks for every folder again, which tells the kernel nothing new of one
//! that it watches already, under whatever name; so new, moved and exchanged folders need no care.
//! There is no thread: the scanner looks for reports while it rests. Ends with the `Watch`.

use std::collections::BTreeMap;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

/// Reports taken out at once; as many as the kernel keeps by default. More stay for the next time.
const REPORTS_MAX: usize = 16_384;
/// Bytes of reports read by one call: some of the longest names.
const BUFFER: usize = 4_096;

/// What is watched.
#[derive(Debug)]
pub(super) struct Watch {
    queue: Option<OwnedFd>,
    /// The kernel's number of each folder, and the last scan that asked for it.
    watched: BTreeMap<i32, u32>,
    scan: u32,
    /// The person knows that not all can be watched.
    told: bool,
    /// No more in this scan.
    full: bool,
}

impl Watch {
    /// Watches nothing yet.
    pub(super) fn new() -> Watch {
        let queue = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)
            .inspect_err(|e| log::warn!("changes are noticed only once a minute: {e}"))
            .ok();
        Watch { queue, watched: BTreeMap::new(), scan: 0, told: false, full: false }
    }

    /// Scan number `scan` begins: what has changed until now it will see.
    pub(super) fn begin(&mut self, scan: u32) {
        self.has_changed();
        (self.scan, self.full) = (scan, false);
    }

    /// Watches a folder, or a file that is shared alone; a link at its end is followed only where a
    /// person named it.
    pub(super) fn add(&mut self, path: &Path, named: bool) {
        let Some(queue) = self.queue.as_ref().filter(|_| !self.full) else { return };
        let flags = if named { changes() } else { changes() | WatchFlags::DONT_FOLLOW };
        match inotify::add_watch(queue, path, flags) {
            Ok(number) => _ = self.watched.insert(number, self.scan),
            Err(Errno::NOSPC | Errno::NOMEM) => {
                self.full = true;
                if !std::mem::replace(&mut self.told, true) {
                    log::warn!(
                        "not all folders can be watched (fs.inotify.max_user_watches): \
                         some changes are noticed only once a minute"
                    );
                }
            }
            // It has gone, or may not be read: the scan says so.
            Err(error) => log::debug!("{} is not watched: {error}", path.display()),
        }
    }

    /// The scan ends: what it did not ask for is not watched any more.
    pub(super) fn end(&mut self) {
        let Some(queue) = &self.queue else { return };
        let scan = self.scan;
        self.watched.retain(|number, last| {
            if *last != scan {
                // The kernel has let go of a folder that is gone.
                inotify::remove_watch(queue, *number).unwrap_or_default();
            }
            *last == scan
        });
    }

    /// Whether something was reported since this was last asked.
    pub(super) fn has_changed(&self) -> bool {
        let Some(queue) = &self.queue else { return false };
        let mut buffer = [MaybeUninit::uninit(); BUFFER];
        let mut reports = Reader::new(queue, &mut buffer);
        let mut changed = false;
        for _ in 0..REPORTS_MAX {
            match reports.next() {
                // That a watch has ended, perhaps by us, is no change of its own.
                Ok(report) => changed |= report.events() != ReadFlags::IGNORED,
                Err(Errno::INTR) => {}
                Err(_) => break,
            }
        }
        changed
    }
}

/// After which a file may differ. Reading is none: our own scans would wake us.
fn changes() -> WatchFlags {
    let inside = WatchFlags::CREATE | WatchFlags::DELETE | WatchFlags::MOVE;
    let bytes = WatchFlags::MODIFY | WatchFlags::ATTRIB | WatchFlags::CLOSE_WRITE;
    inside | bytes | WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One scan that asks for `folders`.
    fn scan(watch: &mut Watch, number: u32, folders: &[&Path]) {
        watch.begin(number);
        folders.iter().for_each(|folder| watch.add(folder, false));
        watch.end();
    }

    #[test]
    fn a_change_in_a_watched_folder_is_reported_once_and_reading_is_none() {
        let home = tempfile::tempdir().unwrap();
        let mut watch = Watch::new();
        scan(&mut watch, 1, &[home.path()]);
        assert!(!watch.has_changed());
        std::fs::write(home.path().join("a"), "text").unwrap();
        assert!(watch.has_changed() && !watch.has_changed());
        assert_eq!(std::fs::read(home.path().join("a")).unwrap(), b"text");
        assert!(!watch.has_changed(), "reading woke it");
        std::fs::write(home.path().join("a"), "other").unwrap();
        scan(&mut watch, 2, &[home.path()]);
        assert!(!watch.has_changed(), "that scan has seen it");
    }

    #[test]
    fn a_folder_that_moves_stays_watched_and_one_not_asked_for_does_not() {
        let home = tempfile::tempdir().unwrap();
        let (old, new) = (home.path().join("old"), home.path().join("new"));
        std::fs::create_dir_all(old.join("deep")).unwrap();
        let mut watch = Watch::new();
        scan(&mut watch, 1, &[&old, &old.join("deep")]);
        std::fs::rename(&old, &new).unwrap();
        assert!(watch.has_changed());
        scan(&mut watch, 2, &[&new, &new.join("deep")]);
        std::fs::write(new.join("deep/a"), "text").unwrap();
        assert!(watch.has_changed());
        scan(&mut watch, 3, &[&new]);
        assert!(!watch.has_changed(), "the end of a watch counts as a change");
        std::fs::write(new.join("deep/b"), "text").unwrap();
        assert!(!watch.has_changed(), "what no scan asks for is still watched");
        std::fs::remove_dir_all(new.join("deep")).unwrap();
        assert!(watch.has_changed());
    }
}
