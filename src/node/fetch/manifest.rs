//! Gets a file's manifest from any owner's size listener; wrong ones are found by folding them.
//!
//! Each owner is asked on a thread of its own, which is left behind when who asked stops: it ends
//! with its link's deadlines and touches nothing.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::bounded;

use crate::base::limits::{CONNECT_TIME_MAX, HANDSHAKE_TIME_MAX, HEADER_TIME_MAX};
use crate::base::manifest::ManifestError;
use crate::base::{Manifest, PeerInfo};
use crate::io::clock;
use crate::io::failpoint::fail_point;
use crate::io::link::{self, LinkError, Phase};
use crate::io::threads::receive;
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

/// Longer than the deadlines of a link let an answer take, but for a large one on a slow line.
const ASKING_TIME_MAX: Duration = CONNECT_TIME_MAX
    .saturating_add(HANDSHAKE_TIME_MAX)
    .saturating_add(HEADER_TIME_MAX)
    .saturating_add(Duration::from_secs(40));

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
        match heard(ctx, peer, content, stop) {
            Some(Ok(manifest)) => return Ok(manifest),
            Some(Err(e)) => {
                log::info!(target: "fetch", "manifest from {}: {e}", peer.shown());
                failures.push((peer.clone(), e));
            }
            None => break,
        }
    }
    Err(failures)
}

/// What one owner answers; `None` once `stop` says so.
fn heard(
    ctx: &Arc<Context>,
    peer: &PeerInfo,
    content: Content,
    stop: &dyn Fn() -> bool,
) -> Option<Result<Manifest, NoManifest>> {
    let (send, answer) = bounded(1);
    let (ctx2, peer2) = (ctx.clone(), peer.clone());
    let run = move || {
        // Nobody listens any more: the answer came too late.
        send.send(ask(&ctx2, &peer2, content)).ok();
    };
    if let Err(e) = ctx.group.spawn(format!("manifest {}", peer.label), run) {
        return Some(Err(LinkError::Io(e).into()));
    }
    receive(&answer, clock::now() + ASKING_TIME_MAX, stop)
        .or_else(|| (!stop()).then(|| Err(LinkError::Timeout(Phase::Header).into())))
}

fn ask(ctx: &Context, peer: &PeerInfo, content: Content) -> Result<Manifest, NoManifest> {
    let Content { root, size } = content;
    let addr = peer.size();
    fail_point!("manifest.ask").map_err(LinkError::Io)?;
    let mut link = link::dial(addr, bind_for(ctx, addr), &ctx.link, Some(peer.id))?;
    let answer = link.ask(SizeQuestion { root, manifest: true })?;
    fail_point!("manifest.answered").map_err(LinkError::Io)?;
    match answer {
        Message::SizeAnswer(answer) if answer.size == size => {
            Ok(Manifest::check(size, root, answer.values.into_vec())?)
        }
        Message::SizeAnswer(answer) => Err(NoManifest::Size { theirs: answer.size, ours: size }),
        other => Err(LinkError::Unexpected(other.kind()).into()),
    }
}
