//! Gets a file's manifest from any owner's size listener; wrong ones are found by folding them.
//!
//! Each owner is asked on a thread of its own, and the next one soon after it, so that one who is away
//! costs no more than a moment. A thread is left behind when another owner has answered, or who asked
//! stops: it ends with its link's deadlines and touches nothing.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};

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

/// So long an owner may take before the next is asked as well.
const HEAD_START: Duration = Duration::from_millis(300);
/// Owners that are asked and have not answered.
const ASKED_MAX: usize = 8;

/// What an owner has answered.
type Answer = (PeerInfo, Result<Manifest, NoManifest>);

/// The manifest of `content`, from the first owner whose answer is right; waits for nobody any more
/// once `stop` says so. Small files need none.
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
    first_right(owners, stop, |peer, answers| {
        let (ctx2, peer2, answers) = (ctx.clone(), peer.clone(), answers.clone());
        let run = move || {
            let answer = ask(&ctx2, &peer2, content);
            // Nobody listens any more: the answer came too late.
            answers.send((peer2, answer)).ok();
        };
        Ok(ctx.group.spawn(format!("manifest {}", peer.label), run).map_err(LinkError::Io)?)
    })
}

/// Has one owner asked after the other, each a little later, and takes the first right answer.
fn first_right(
    owners: &[PeerInfo],
    stop: &dyn Fn() -> bool,
    ask: impl Fn(&PeerInfo, &Sender<Answer>) -> Result<(), NoManifest>,
) -> Result<Manifest, Vec<(PeerInfo, NoManifest)>> {
    let (send, answers) = bounded(owners.len());
    let (mut rest, mut asked, mut failures) = (owners.iter(), 0, Vec::new());
    loop {
        let in_doubt = asked - failures.len();
        let next = if in_doubt < ASKED_MAX { rest.next() } else { None };
        if let Some(peer) = next {
            asked += 1;
            if let Err(e) = ask(peer, &send) {
                failures.push((peer.clone(), e));
                continue;
            }
        } else if in_doubt == 0 {
            return Err(failures);
        }
        let more = rest.len() > 0 && asked - failures.len() < ASKED_MAX;
        let waits = if more { HEAD_START } else { ASKING_TIME_MAX };
        match receive(&answers, clock::now() + waits, stop) {
            Some((_, Ok(manifest))) => return Ok(manifest),
            Some((peer, Err(e))) => {
                log::info!(target: "fetch", "manifest from {}: {e}", peer.shown());
                failures.push((peer, e));
            }
            None if more && !stop() => {}
            None => {
                let late = owners
                    .first()
                    .map(|peer| (peer.clone(), LinkError::Timeout(Phase::Header).into()));
                failures.extend(late);
                return Err(failures);
            }
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::samples::peer;

    fn wrong() -> NoManifest {
        NoManifest::Size { theirs: 1, ours: 2 }
    }

    #[test]
    fn an_owner_that_does_not_answer_keeps_nobody_from_the_next() {
        let owners = [peer(0), peer(1), peer(2)];
        let silent_or_right = |to: &PeerInfo, answers: &Sender<Answer>| {
            if to.id == peer(2).id {
                answers.send((to.clone(), Ok(Manifest::of(b"film")))).unwrap();
            }
            Ok(())
        };
        let found = first_right(&owners, &|| false, silent_or_right).unwrap();
        assert_eq!(found.root(), Manifest::of(b"film").root());
    }

    #[test]
    fn what_every_owner_fails_with_is_told() {
        let owners = [peer(0), peer(1)];
        let fails = |to: &PeerInfo, answers: &Sender<Answer>| match to.id == peer(0).id {
            true => Err(wrong()),
            false => {
                answers.send((to.clone(), Err(wrong()))).unwrap();
                Ok(())
            }
        };
        let failures = first_right(&owners, &|| false, fails).unwrap_err();
        assert_eq!(failures.into_iter().map(|(peer, _)| peer).collect::<Vec<_>>(), owners);
        let nobody = first_right(&[], &|| false, |_, _| Ok(())).unwrap_err();
        assert!(nobody.is_empty());
    }

    #[test]
    fn who_asked_and_stops_waits_for_nobody() {
        assert!(first_right(&[peer(0), peer(1)], &|| true, |_, _| Ok(())).is_err());
    }
}
