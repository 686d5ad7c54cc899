//! Calls requesters that have gone with an upload unfinished.
//!
//! Invariant: no payload leaves here. A call proves the other's identity, says what was begun, and
//! hears what becomes of it; a requester that still wants it dials and opens the set itself (I6).
//! Ends with the node.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::context::Context;
use super::dial::bind_for;
use super::uploads::Uploads;
use crate::base::{NodeId, NodeLabel, PeerInfo, Ports};
use crate::io::link::{self, LinkError};
use crate::logic::ledger::{self, Answer};
use crate::wire::Message;
use crate::wire::message::knock::{Knock, Knocked};

/// Between two looks at who is to be called.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Who calls.
pub(super) struct Caller {
    pub(super) ctx: Arc<Context>,
    pub(super) uploads: Arc<Uploads>,
    pub(super) label: NodeLabel,
    pub(super) ports: Ports,
}

impl Caller {
    /// The thread.
    pub(super) fn run(&self) {
        let mut away = BTreeSet::new();
        while !self.ctx.stop.wait(LOOK_EVERY) {
            self.look_for_returned(&mut away);
            for knock in self.uploads.tick() {
                self.call(knock);
            }
        }
    }

    /// Whoever was not listed and is now need not be waited for any longer.
    fn look_for_returned(&self, away: &mut BTreeSet<NodeId>) {
        let mut still = BTreeSet::new();
        for requester in self.uploads.waited_for() {
            // One lock at a time: the uploads are asked below.
            let listed = self.ctx.peers.lock().get(&requester);
            match listed {
                None => {
                    still.insert(requester);
                }
                Some(peer) if away.contains(&requester) => {
                    self.uploads.returned(requester, peer.ip);
                }
                Some(_) => {}
            }
        }
        *away = still;
    }

    fn call(&self, knock: ledger::Knock) {
        let peer = self.ctx.peers.lock().get(&knock.requester);
        let ip = peer.as_ref().map(|peer| peer.ip);
        let answer = match &peer {
            None => Answer::Away("no tracker lists it".into()),
            Some(peer) => self.ask(peer, knock).unwrap_or_else(|e| Answer::Away(e.to_string())),
        };
        log::info!(target: "upload", "knocked at {}: {answer:?}", knock.requester.short());
        self.uploads.answered(knock, ip, answer);
    }

    fn ask(&self, peer: &PeerInfo, knock: ledger::Knock) -> Result<Answer, LinkError> {
        let addr = peer.chunk();
        let mut link = link::dial(addr, bind_for(&self.ctx, addr), &self.ctx.link, Some(peer.id))?;
        let knock = Knock {
            set: knock.set,
            content: knock.content,
            label: self.label.clone(),
            ports: self.ports,
        };
        match link.ask(knock)? {
            Message::Knocked(Knocked::Coming) => Ok(Answer::Coming),
            Message::Knocked(Knocked::Done) => Ok(Answer::Done),
            Message::Knocked(Knocked::NotWanted(why)) => Ok(Answer::Cancelled(why.shown())),
            Message::Knocked(Knocked::Later(why)) => Ok(Answer::Later(why.shown())),
            other => Err(LinkError::Unexpected(other.kind())),
        }
    }
}
