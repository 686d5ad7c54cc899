//! What others may have of a set while it is fetched here, and what they say of each other.
//!
//! Invariant: only what is verified is shown; the part is lent from the fetch's beginning until it is
//! halted or has its name. Whom others name is dialled only if the person's choice of owners is theirs.

use std::fs::File;
use std::sync::Arc;

use super::resolve::is_meant;
use super::set::Fetch;
use super::sink::Sink;
use crate::base::{Manifest, PeerInfo, Root};
use crate::io::clock;
use crate::wire::message::transfer::Set;

impl Fetch {
    /// The part, while it may be served.
    pub(super) fn part(&self) -> Option<Arc<File>> {
        self.part.lock().clone()
    }

    /// Whether it is the file `root`.
    pub(super) fn is_of(&self, root: &Root) -> bool {
        matches!(&self.set, Set::File(content) if content.root == *root)
    }

    /// What the chunks of a file must hash to, while they are fetched.
    pub(super) fn manifest(&self) -> Option<Manifest> {
        match self.sink.read().as_ref() {
            Some(Sink::File { manifest, .. }) => Some(manifest.clone()),
            _ => None,
        }
    }

    /// Others fetch the set too: they are asked for what they have, if the person's choice is theirs.
    pub(super) fn found(&self, peers: Vec<PeerInfo>) {
        let meant = |peer: &PeerInfo| peer.id != self.ctx.me && is_meant(peer, &self.from);
        let peers = peers.into_iter().filter(meant).collect();
        self.state.lock().owners.heard(clock::now(), peers);
        self.changed.notify_all();
    }
}
