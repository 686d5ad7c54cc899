//! What each download that is not over wants, so that one that is given up leaves nothing in
//! `.parvi/parts/`, in this run of the node or at the start of the next, which reads it from the
//! lists of the orders (`kept`).
//!
//! Invariant: a download's contents are claimed before a part of it is touched, and no longer after it
//! is over; what was given up is kept in mind until it has gone. The lock is held while parts are removed, so that who finds out then that it wants one
//! sees it whole or not at all. Ends with the node.

use parking_lot::Mutex;

use super::fetch::job::Job;
use crate::base::Root;
use crate::io::disk::{PartStore, Removed};
use crate::logic;

/// The claims of all downloads.
pub(super) struct Claims {
    parts: PartStore,
    claims: Mutex<logic::claims::Claims>,
}

impl Claims {
    /// None yet.
    pub(super) fn new(parts: PartStore) -> Claims {
        Claims { parts, claims: Mutex::default() }
    }

    /// A download begins, or begins again.
    pub(super) fn begin(&self, job: &Job) {
        self.claims.lock().begin(job.id);
    }

    /// It wants these contents.
    pub(super) fn wants(&self, job: &Job, roots: impl IntoIterator<Item = Root>) {
        let mut claims = self.claims.lock();
        claims.wants(job.id, roots);
        self.remove_unwanted(&mut claims);
    }

    /// It has ended by itself: what is left of it stays for another try.
    pub(super) fn over(&self, job: &Job) {
        let mut claims = self.claims.lock();
        claims.over(job.id);
        self.remove_unwanted(&mut claims);
    }

    /// It was given up: what is left of it goes.
    pub(super) fn give_up(&self, job: &Job) {
        let mut claims = self.claims.lock();
        claims.give_up(job.id);
        self.remove_unwanted(&mut claims);
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

    /// Whether all that was given up has gone.
    pub(super) fn are_settled(&self) -> bool {
        self.claims.lock().are_settled()
    }

    fn remove_unwanted(&self, claims: &mut logic::claims::Claims) {
        let unwanted = claims.unwanted();
        if unwanted.is_empty() {
            return;
        }
        match self.parts.remove_all(&|root| unwanted.contains(root)) {
            Ok(Removed { gone, in_use }) => {
                log::info!(target: "node", "{gone} parts were given up and removed");
                claims.stay(in_use);
            }
            Err(e) => {
                log::warn!(
                    target: "node",
                    "cannot remove what was given up in {}: {e}; it is tried again",
                    self.parts.path().display()
                );
                claims.stay(unwanted);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::base::Modified;
    use crate::io::disk::Dress;
    use crate::node::view::From;

    fn job(id: u64, name: &str) -> std::sync::Arc<Job> {
        Job::new(id, name.parse().unwrap(), From::All)
    }

    fn left(parts: &PartStore) -> usize {
        fs::read_dir(parts.path()).unwrap().count()
    }

    #[test]
    fn what_is_given_up_goes_and_what_ended_by_itself_stays() {
        let home = tempfile::tempdir().unwrap();
        let parts = PartStore::open(&home.path().join("parts")).unwrap();
        let claims = Claims::new(parts.clone());
        let [film, song] = [b"film", b"song"].map(|bytes| Root::of(bytes));
        for root in [film, song] {
            let dress = Dress { modified: Modified::default(), executable: false };
            parts.new_batch().unwrap().write(&root, b"bytes", dress).unwrap();
            drop(parts.open_part(&root, 9).unwrap());
        }
        let jobs = [(job(7, "film"), film), (job(8, "song"), song)];
        for (job, root) in &jobs {
            claims.begin(job);
            claims.wants(job, [*root]);
        }
        claims.give_up(&jobs[0].0);
        assert_eq!(left(&parts), 2, "the song's are left");
        claims.over(&jobs[1].0);
        assert_eq!(left(&parts), 2, "what ended by itself may be tried again");
    }

    #[test]
    fn a_part_that_a_download_has_open_stays() {
        let home = tempfile::tempdir().unwrap();
        let parts = PartStore::open(&home.path().join("parts")).unwrap();
        let claims = Claims::new(parts.clone());
        let film = Root::of(b"film");
        let open = parts.open_part(&film, 9).unwrap();
        claims.left_over([film]);
        assert_eq!(left(&parts), 1);
        assert!(!claims.are_settled());
        drop(open);
        claims.over(&job(1, "anything"));
        assert_eq!(left(&parts), 0, "it goes when it can");
        assert!(claims.are_settled());
    }
}
