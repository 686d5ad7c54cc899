//! What a node answers: its three listeners, each with its own port and its own bounded threads,
//! so that uploads never starve searches.
//!
//! A connection that asks anything that does not belong on its listener gets `Refused` and is
//! closed. Every handler ends when the peer closes, is silent too long, or the node stops.

pub(super) mod chunk;
pub(super) mod crowd;
mod knock;
pub(super) mod search;
pub(super) mod size;
mod source;
pub(super) mod transfer;
mod upload;

use std::time::Duration;

use crate::io::link::{Link, LinkError};
use crate::io::listen::ServeLimits;
use crate::wire::Message;
use crate::wire::message::tracker::{Refused, Why};

use crate::base::limits::PENDING_MAX;

/// Connections served at once by the search listener, and by the size listener.
pub(super) const QUESTIONS: ServeLimits =
    ServeLimits { connections_max: 64, pending_max: PENDING_MAX };
/// Connections served at once by the chunk listener.
pub(super) const TRANSFERS: ServeLimits =
    ServeLimits { connections_max: 128, pending_max: PENDING_MAX };

/// A connection without a question for so long is closed.
const IDLE_MAX: Duration = Duration::from_secs(10);

/// Answers questions until the peer closes or asks what this listener has no answer for.
fn answer_questions(mut link: Link, mut answer: impl FnMut(Message) -> Result<Message, Refused>) {
    let end: LinkError = loop {
        let question = match link.recv(IDLE_MAX) {
            Ok(question) => question,
            Err(e) => break e,
        };
        let (reply, fatal) = match answer(question) {
            Ok(reply) => (reply, false),
            Err(refused) => {
                let fatal = refused.why == Why::Unexpected;
                (refused.into(), fatal)
            }
        };
        if let Err(e) = link.send(reply) {
            break e;
        }
        if fatal {
            break LinkError::Closed;
        }
    };
    log::debug!(target: "serve", "{} {}: {end}", link.remote, link.peer.short());
}

/// Says that a content is not here; while the folders are looked through, that it may be yet, so
/// that the requester waits.
fn absent(looking: bool, words: &str) -> Refused {
    if looking {
        return Refused::new(Why::Busy, "its shared folders are still being looked through");
    }
    Refused::new(Why::NotHere, words)
}

fn unexpected(message: &Message, here: &str) -> Refused {
    Refused::new(
        Why::Unexpected,
        format!("{:?} is no question for a {here} listener", message.kind()),
    )
}
