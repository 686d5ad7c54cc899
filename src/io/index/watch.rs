//! Reports of the system that something in the folders has changed.
//!
//! They only make the next scan come sooner: reports get lost, and where they cannot be had (too
//! many folders, a network file system) the scan once a minute is all there is. notify keeps a
//! thread of its own for them, which ends with the `Watch`.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{Config, ErrorKind, Event, RecommendedWatcher, RecursiveMode, Watcher};

use super::state::Place;

/// What is watched.
pub(super) struct Watch {
    watcher: Option<RecommendedWatcher>,
    /// Paths, and the inode each had when it was first watched.
    watched: BTreeMap<PathBuf, u64>,
}

impl Watch {
    /// Watches nothing yet; `report` is called for each change.
    pub(super) fn new(report: impl Fn() + Send + 'static) -> Watch {
        let on_event = move |event: notify::Result<Event>| {
            if event.is_ok_and(|event| is_change(&event)) {
                report();
            }
        };
        let config = Config::default().with_follow_symlinks(false);
        let watcher = RecommendedWatcher::new(on_event, config)
            .inspect_err(|e| log::warn!("changes are noticed only once a minute: {e}"))
            .ok();
        Watch { watcher, watched: BTreeMap::new() }
    }

    /// Watches exactly `places`; one that was exchanged since is watched anew.
    pub(super) fn follow<'a>(&mut self, places: impl Iterator<Item = &'a Place>) {
        let Some(watcher) = &mut self.watcher else { return };
        let mut before = std::mem::take(&mut self.watched);
        for place in places {
            let (path, mode) = match &place.only {
                Some(only) => (place.path.join(only.as_path()), RecursiveMode::NonRecursive),
                None => (place.path.clone(), RecursiveMode::Recursive),
            };
            let Ok(inode) = path.metadata().map(|meta| meta.ino()) else { continue };
            let known = before.remove(&path);
            if known == Some(inode) || watch(watcher, &path, mode, known.is_some()) {
                self.watched.insert(path, inode);
            } else {
                watch_parts(watcher, path);
            }
        }
        for path in before.keys() {
            // It may be gone with its folder, which is as good.
            watcher.unwatch(path).unwrap_or_default();
        }
    }
}

/// Tells whether there is nothing more to try: a folder that may not be read ends the watching of
/// all that comes behind it.
fn watch(watcher: &mut RecommendedWatcher, path: &Path, mode: RecursiveMode, again: bool) -> bool {
    if again {
        watcher.unwatch(path).unwrap_or_default();
    }
    let Err(error) = watcher.watch(path, mode) else { return true };
    let denied =
        matches!(&error.kind, ErrorKind::Io(e) if e.kind() == io::ErrorKind::PermissionDenied);
    if !denied {
        log::warn!("changes in {} are noticed only once a minute: {error}", path.display());
    }
    !denied
}

/// Watches one by one the folders that may be read. Done at every scan, which is how new ones come
/// in; what is watched already stays so.
fn watch_parts(watcher: &mut RecommendedWatcher, path: PathBuf) {
    let mut folders = vec![path];
    while let Some(folder) = folders.pop() {
        if watcher.watch(&folder, RecursiveMode::NonRecursive).is_ok() {
            let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
            let below = entries.filter(|e| e.file_type().is_ok_and(|kind| kind.is_dir()));
            folders.extend(below.map(|entry| entry.path()));
        }
    }
}

/// Whether a file may differ afterwards. Reading is none: our own scans would wake us.
fn is_change(event: &Event) -> bool {
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => event.need_rescan(),
        _ => true,
    }
}
