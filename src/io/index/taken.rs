//! What a person took back: told apart from what is only gone, since others then remove their copies.
//!
//! Invariant: only what she shared, and unshared, deleted or edited, is told; and only when nothing is
//! left to be hashed and the content is not shared under another name. Bounded: of more than
//! `TAKEN_BACK_MAX` at once the rest is not told, and others keep their copies.

use super::state::{FolderId, State};
use crate::base::{Kept, Root};

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

    /// Nothing is left to be hashed: what was taken back, and is not here under another name, is told.
    pub(super) fn tell_taken_back(&mut self) {
        for root in std::mem::take(&mut self.taken_back) {
            if !self.with_root(&root).any(|((id, _), _)| id.kind.kept() == Kept::Shared) {
                self.catalogue.take_back(root);
            }
        }
    }
}
