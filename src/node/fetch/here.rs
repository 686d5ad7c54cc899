//! Takes from this node's own files what a download would else fetch from others: the twin of a
//! file, or one that is here under another name.
//!
//! Invariant: nothing is believed. A small file is hashed before it is kept; what is copied into a
//! part is checked like all that lies there already. Whatever fails here is fetched instead.

use super::place::Place;
use crate::base::{Manifest, Root};
use crate::io::disk::{self, Batch, Dress, PartFile};
use crate::io::index::Served;
use crate::wire::message::transfer::Content;

/// The manifest of a file that is here.
pub(super) fn manifest(place: &Place, content: Content) -> Option<Manifest> {
    let known = place.index.as_ref()?.manifest(&content.root)?;
    Manifest::check(content.size, content.root, known.values().to_vec()).ok()
}

/// Copies a file that is here into its part.
pub(super) fn copy_large(place: &Place, part: &PartFile, stop: &dyn Fn() -> bool) {
    let Some(served) = own(place, &part.root(), part.size()) else { return };
    if let Err(e) = part.copy_from(&served.file, stop) {
        log::info!(target: "fetch", "{} is fetched, not copied: {e}", served.entry.name);
    }
}

/// Keeps a small file that is here for `batch`; tells whether it is kept now.
pub(super) fn copy_small(place: &Place, batch: &Batch, content: Content, dress: Dress) -> bool {
    let Some(served) = own(place, &content.root, content.size) else { return false };
    let mut bytes = Vec::new();
    let right = disk::hash_small(&served.file, content.size, &mut bytes);
    if !right.is_ok_and(|root| root == content.root) {
        return false;
    }
    let kept = batch.write(&content.root, &bytes, dress);
    kept.inspect_err(|e| log::info!(target: "fetch", "{} is not copied: {e}", content.root)).is_ok()
}

fn own(place: &Place, root: &Root, size: u64) -> Option<Served> {
    let index = place.index.as_ref()?;
    index.entry_of(root).filter(|entry| entry.size == size)?;
    index.open(root).ok()
}
