//! Connections to a file's owners that are made while its chunks' hashes are still asked for.
//!
//! A transfer begins with its owner's answer to OPEN, which needs a connection and a handshake; the
//! hashes need the same at another port. One after the other costs twice the trips, and on a line that
//! is full each of them waits behind chunks for others.
//!
//! Invariant: each is used by at most one lane; nothing is said on it before that. Ends with the
//! download's set: what no lane took is closed, and the owner has only seen somebody come and go.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};
use parking_lot::Mutex;

use crate::base::{NodeId, PeerInfo, Time};
use crate::io::clock;
use crate::io::link::{self, Link, LinkError};
use crate::node::context::Context;
use crate::node::dial::bind_for;

/// Where there are more owners nobody is dialled early: which of them get a lane is not known yet, and the
/// others would hold a place for somebody who says nothing.
const EARLY_MAX: usize = 4;

/// The owner waits for an OPEN that long at least, unless it is full; later it may have hung up.
const FRESH: Duration = Duration::from_secs(5);

/// Round trips of a dial: TCP's, and that of the preambles with Noise's first two messages.
const DIAL_TRIPS: u32 = 2;

/// A connection to an owner.
pub(super) struct Dialled {
    pub(super) link: Link,
    /// How far away the owner is, as far as the dial tells.
    pub(super) round_trip: Duration,
}

/// When a dial was over, and what came of it.
type Made = (Time, Result<Dialled, LinkError>);

/// Connections on their way, or made.
#[derive(Default)]
pub(super) struct Early(Mutex<BTreeMap<NodeId, Receiver<Made>>>);

impl Early {
    /// Dials the chunk listeners of `owners`, where there are few of them and room for `most` lanes.
    pub(super) fn dial(ctx: &Arc<Context>, owners: &[PeerInfo], most: usize) -> Early {
        let early = Early::default();
        if owners.len() > most.min(EARLY_MAX) {
            return early;
        }
        for peer in owners {
            let (made, link) = bounded(1);
            let (ctx2, peer2) = (ctx.clone(), peer.clone());
            let run = move || {
                // Nobody waits for it any more: it is closed.
                let link = dial_chunk(&ctx2, &peer2);
                made.send((clock::now(), link)).ok();
            };
            match ctx.group.spawn(format!("early {}", peer.label), run) {
                Ok(()) => drop(early.0.lock().insert(peer.id, link)),
                Err(e) => log::debug!(target: "fetch", "{e}; {} is dialled later", peer.shown()),
            }
        }
        early
    }

    /// Closes what no lane has taken.
    pub(super) fn close(&self) {
        self.0.lock().clear();
    }

    /// A connection to the owner's chunk listener: the one that was made early, or a new one.
    ///
    /// # Errors
    /// As [`link::dial`].
    pub(super) fn connect(&self, ctx: &Context, peer: &PeerInfo) -> Result<Dialled, LinkError> {
        let early = self.0.lock().remove(&peer.id);
        // The wait is bounded by the dial's own limits. One that failed is worth another try only when
        // the lane's turn comes again.
        match early.and_then(|link| link.recv().ok()) {
            // Whoever speaks before it is asked has no place left. Asked right behind the handshake, it
            // says who else may be asked.
            Some((_, Ok(dialled))) if dialled.link.has_come() => dial_chunk(ctx, peer),
            Some((at, made)) if clock::now().since(at) < FRESH => made,
            _ => dial_chunk(ctx, peer),
        }
    }
}

fn dial_chunk(ctx: &Context, peer: &PeerInfo) -> Result<Dialled, LinkError> {
    let began = clock::now();
    let addr = peer.chunk();
    let link = link::dial(addr, bind_for(ctx, addr), &ctx.chunk_link, Some(peer.id))?;
    Ok(Dialled { link, round_trip: clock::now().since(began) / DIAL_TRIPS })
}
