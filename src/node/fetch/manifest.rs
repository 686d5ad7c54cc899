//! Gets a file's manifest from any owner's size listener; wrong ones are found by folding them.

use std::sync::Arc;

use crate::base::manifest::ManifestError;
use crate::base::{Manifest, PeerInfo};
use crate::io::link::{self, LinkError};
use crate::node::context::Context;
use crate::node::dial::bind_for;
use crate::wire::Message;
use crate::wire::message::size::SizeQuestion;
use crate::wire::message::transfer::Content;

/// Why an owner gave no manifest.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoManifest {
    /// Not reached, or refused.
    #[error("{0}")]
    Link(#[from] LinkError),
    /// Its values are not the file's.
    #[error("its manifest is wrong: {0}")]
    Wrong(#[from] ManifestError),
    /// It says another size.
    #[error("it says {theirs} bytes, not {ours}")]
    Size {
        /// What it says.
        theirs: u64,
        /// What the search said.
        ours: u64,
    },
}

impl NoManifest {
    /// Whether the owner's answer was false, rather than missing.
    pub(super) fn is_wrong(&self) -> bool {
        matches!(self, NoManifest::Wrong(_) | NoManifest::Size { .. })
    }
}

/// The manifest of `content`, from the first owner that has a right one; asks no further once
/// `stop` says so. Small files need none.
pub(super) fn obtain(
    ctx: &Arc<Context>,
    content: Content,
    owners: &[PeerInfo],
    stop: &dyn Fn() -> bool,
) -> Result<Manifest, Vec<(PeerInfo, NoManifest)>> {
    if let Ok(single) = Manifest::check(content.size, content.root, vec![*content.root.as_bytes()])
    {
        return Ok(single);
    }
    let mut failures = Vec::new();
    for peer in owners.iter().take_while(|_| !stop()) {
        match ask(ctx, peer, content) {
            Ok(manifest) => return Ok(manifest),
            Err(e) => {
                log::info!(target: "fetch", "manifest from {}: {e}", peer.shown());
                failures.push((peer.clone(), e));
            }
        }
    }
    Err(failures)
}

fn ask(ctx: &Context, peer: &PeerInfo, content: Content) -> Result<Manifest, NoManifest> {
    let Content { root, size } = content;
    let addr = peer.size();
    let mut link = link::dial(addr, bind_for(ctx, addr), &ctx.link, Some(peer.id))?;
    match link.ask(SizeQuestion { root, manifest: true })? {
        Message::SizeAnswer(answer) if answer.size == size => {
            Ok(Manifest::check(size, root, answer.values.into_vec())?)
        }
        Message::SizeAnswer(answer) => Err(NoManifest::Size { theirs: answer.size, ours: size }),
        other => Err(LinkError::Unexpected(other.kind()).into()),
    }
}
