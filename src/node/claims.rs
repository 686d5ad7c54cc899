//! What each download that is not over wants, in memory and in `.parvi/wants/`, so that one that is
//! given up leaves nothing in `.parvi/parts/`, in this run of the node or at the start of the next.
//!
//! Invariant: a download's contents are noted before a part of it is touched, and forgotten after it
//! is over. The notes are not synced: one that a power cut takes leaves its parts to the sweep of
//! old ones. The lock is held while parts are removed, so that who finds out then that it wants one
//! sees it whole or not at all.
//!
//! ```text
//! wants/<BLAKE3 of the download's name>.<its number>    32 bytes for each root
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::PathBuf;

use parking_lot::Mutex;

use super::fetch::job::Job;
use crate::base::{Name, Root};
use crate::io::disk::PartStore;
use crate::logic;

/// Bytes of a root.
const ROOT_BYTES: usize = 32;

/// The claims of all downloads.
pub(super) struct Claims {
    folder: PathBuf,
    parts: PartStore,
    claims: Mutex<logic::claims::Claims>,
}

impl Claims {
    /// None yet; `folder` is for the notes.
    pub(super) fn new(folder: PathBuf, parts: PartStore) -> Claims {
        Claims { folder, parts, claims: Mutex::default() }
    }

    /// What was noted before this start, by the hash of the download's name. The notes are gone.
    pub(super) fn take_notes(&self) -> BTreeMap<Root, BTreeSet<Root>> {
        let mut notes: BTreeMap<Root, BTreeSet<Root>> = BTreeMap::new();
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let key = name.to_str().and_then(|name| name.split('.').next()?.parse().ok());
            if let (Some(key), Ok(bytes)) = (key, fs::read(entry.path())) {
                let roots = bytes.as_chunks::<ROOT_BYTES>().0.iter().map(|b| Root::from_bytes(*b));
                notes.entry(key).or_default().extend(roots);
            }
            forget(fs::remove_file(entry.path()), &entry.path());
        }
        notes
    }

    /// A download begins, or begins again.
    pub(super) fn begin(&self, job: &Job) {
        self.claims.lock().begin(job.id);
    }

    /// It wants these contents.
    pub(super) fn wants(&self, job: &Job, roots: impl IntoIterator<Item = Root>) {
        let mut claims = self.claims.lock();
        claims.wants(job.id, roots);
        let bytes: Vec<u8> = claims.of(job.id).flat_map(|root| *root.as_bytes()).collect();
        let path = self.note_of(job);
        if let Err(e) = fs::create_dir_all(&self.folder).and_then(|()| fs::write(&path, bytes)) {
            log::warn!(
                target: "node",
                "cannot write {}: {e}; cancelled after a restart, {} may leave parts behind",
                path.display(),
                job.name
            );
        }
        self.remove_unwanted(&mut claims);
    }

    /// It has ended by itself: what is left of it stays for another try.
    pub(super) fn over(&self, job: &Job) {
        let mut claims = self.claims.lock();
        claims.over(job.id);
        self.forget_note(job);
        self.remove_unwanted(&mut claims);
    }

    /// It was given up: what is left of it goes.
    pub(super) fn give_up(&self, job: &Job) {
        let mut claims = self.claims.lock();
        claims.give_up(job.id);
        self.remove_unwanted(&mut claims);
        self.forget_note(job);
    }

    /// Contents that a download wanted which nobody goes on with.
    pub(super) fn left_over(&self, roots: impl IntoIterator<Item = Root>) {
        // No download has this number.
        let nobody = 0;
        let mut claims = self.claims.lock();
        claims.wants(nobody, roots);
        claims.give_up(nobody);
        self.remove_unwanted(&mut claims);
    }

    fn remove_unwanted(&self, claims: &mut logic::claims::Claims) {
        let unwanted = claims.unwanted();
        if unwanted.is_empty() {
            return;
        }
        match self.parts.remove_all(&|root| unwanted.contains(root)) {
            Ok(removed) => log::info!(target: "node", "{removed} parts were given up and removed"),
            Err(e) => log::warn!(
                target: "node",
                "cannot remove what was given up in {}: {e}; it goes after a month",
                self.parts.path().display()
            ),
        }
    }

    fn note_of(&self, job: &Job) -> PathBuf {
        self.folder.join(format!("{}.{}", key_of(&job.name), job.id))
    }

    fn forget_note(&self, job: &Job) {
        let path = self.note_of(job);
        forget(fs::remove_file(&path), &path);
    }
}

/// The hash of a download's name.
pub(super) fn key_of(name: &Name) -> Root {
    Root::of(name.as_str().as_bytes())
}

fn forget(removed: io::Result<()>, path: &std::path::Path) {
    match removed {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            log::warn!(target: "node", "cannot remove {}: {e}", path.display());
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::view::From;

    fn job(id: u64, name: &str) -> std::sync::Arc<Job> {
        Job::new(id, name.parse().unwrap(), From::All)
    }

    fn left(parts: &PartStore) -> usize {
        fs::read_dir(parts.path()).unwrap().count()
    }

    #[test]
    fn what_was_wanted_before_a_restart_goes_when_it_is_given_up_after_it() {
        let home = tempfile::tempdir().unwrap();
        let parts = PartStore::open(&home.path().join("parts")).unwrap();
        let claims = || Claims::new(home.path().join("wants"), parts.clone());
        let (film, song) = (Root::of(b"film"), Root::of(b"song"));
        for root in [film, song] {
            parts.write_small(&root, b"bytes").unwrap();
            drop(parts.open_part(&root, 9).unwrap());
        }
        let before = claims();
        before.wants(&job(1, "film"), [film]);
        before.wants(&job(2, "song"), [song]);
        let after = claims();
        let notes = after.take_notes();
        assert_eq!(notes.len(), 2);
        assert!(after.take_notes().is_empty(), "they are told once");
        let (film, song) = (job(7, "film"), job(8, "song"));
        for job in [&film, &song] {
            after.begin(job);
            after.wants(job, notes[&key_of(&job.name)].clone());
        }
        after.give_up(&film);
        assert_eq!(left(&parts), 2, "the song's are left");
        after.over(&song);
        assert_eq!(left(&parts), 2, "what ended by itself may be tried again");
        assert!(after.take_notes().is_empty(), "what is over is not noted");
    }

    #[test]
    fn a_part_that_a_download_has_open_stays() {
        let home = tempfile::tempdir().unwrap();
        let parts = PartStore::open(&home.path().join("parts")).unwrap();
        let claims = Claims::new(home.path().join("wants"), parts.clone());
        let film = Root::of(b"film");
        let open = parts.open_part(&film, 9).unwrap();
        claims.left_over([film]);
        assert_eq!(left(&parts), 1);
        drop(open);
        claims.left_over([film]);
        assert_eq!(left(&parts), 0);
    }
}
