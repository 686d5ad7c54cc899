//! What a person took back: told apart from what is only gone, since others then remove their copies.
//!
//! Invariant: only what she shared, and unshared, deleted or edited, is told; and only when nothing is
//! left to be hashed and the content is not shared under another name. Bounded: of more than
//! `TAKEN_BACK_MAX` at once the rest is not told, and others keep their copies.

use super::state::{FolderId, State};
use super::walk::Unread;
use crate::base::{Kept, Name, Root};

/// Contents taken back and not told yet.
const TAKEN_BACK_MAX: usize = 65_536;

impl State {
    /// A person took back what was in a folder, if it was hers.
    pub(super) fn take_back(&mut self, id: FolderId, roots: impl IntoIterator<Item = Root>) {
        if id.kind.kept() == Kept::Shared {
            let room = TAKEN_BACK_MAX.saturating_sub(self.taken_back.len());
            self.taken_back.extend(roots.into_iter().take(room));
        }
    }

    /// Forgets the files of a folder that scan number `scan` has not seen, but for those it could not
    /// look at. A person deleted them if the folder `is_there`, was looked at to the end, and misses no
    /// more than half of its files: what misses more was probably not mounted.
    pub(super) fn sweep(&mut self, id: FolderId, scan: u32, unread: &Unread, is_there: bool) {
        let had = self.folders.get(&id).map_or(0, |folder| folder.files.len());
        let gone =
            self.remove_where(id, |name, record| record.scan != scan && !unread.covers(name));
        if is_there && unread.is_nothing() && 2 * gone.len() <= had {
            self.take_back(id, gone);
        }
        if let Some(folder) = self.folders.get(&id) {
            let place = &folder.place;
            let mine = |name: &Name| {
                place.only.as_ref().is_none_or(|only| only == name)
                    && place.relative(name).is_some()
            };
            self.rot.sweep(id, scan, unread, &mine);
        }
    }

    /// Shares nothing under `name` any more.
    pub(super) fn withhold(&mut self, name: &Name) {
        self.withheld.insert(name.clone());
        let ids: Vec<_> = self.folders.keys().copied().collect();
        for id in ids {
            let gone = self.remove_where(id, |file, _| file.answers(name));
            self.take_back(id, gone);
        }
    }

    /// Nothing is left to be hashed: what was taken back, and is not here under another name, is told.
    pub(super) fn tell_taken_back(&mut self) {
        for root in std::mem::take(&mut self.taken_back) {
            if !self.with_root(&root).any(|((id, _), _)| id.kind.kept() == Kept::Shared) {
                self.catalogue.take_back(root);
            }
        }
    }
}
