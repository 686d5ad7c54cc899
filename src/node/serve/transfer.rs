//! One open transfer, shared by its reader and its writer, and the reader.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::crowd::Crowd;
use crate::base::limits::WORKING_EVERY;
use crate::base::{NodeId, PeerInfo, Time};
use crate::io::clock;
use crate::io::failpoint::fail_point;
use crate::io::index::Index;
use crate::io::link::{LinkError, LinkReader, Phase};
use crate::logic::ledger::{Connection, Lost, SetKey};
use crate::logic::unreadable::Unreadable;
use crate::node::context::Context;
use crate::node::downloads::Downloads;
use crate::node::swarm::{Joined, Outgoing};
use crate::node::throttle::Limiter;
use crate::node::uploads::Uploads;
use crate::wire::Message;
use crate::wire::message::transfer::{Content, Serving};

/// The reader looks at the clock at least so often.
const LISTEN_SLICE: Duration = Duration::from_secs(1);

/// What every transfer of this node uses.
#[derive(Clone)]
pub(in crate::node) struct Owner {
    pub(in crate::node) ctx: Arc<Context>,
    pub(in crate::node) index: Arc<Index>,
    pub(in crate::node) uploads: Arc<Uploads>,
    pub(in crate::node) downloads: Arc<Downloads>,
    pub(in crate::node) crowd: Arc<Crowd>,
    /// What could not be read lately.
    pub(in crate::node) unreadable: Arc<Mutex<Unreadable>>,
}

/// One open transfer, shared by its reader and its writer.
pub(super) struct Transfer<'a> {
    pub(super) owner: &'a Owner,
    pub(super) connection: Connection,
    pub(super) set: SetKey,
    /// Who asks, and from where.
    pub(super) peer: (NodeId, IpAddr),
    pub(super) contents: Vec<Content>,
    pub(super) batch: bool,
    /// What a person holds it to.
    pub(super) limit: Arc<Limiter>,
    /// Among those of its set.
    pub(super) joined: Joined,
}

impl Transfer<'_> {
    /// What its two halves share.
    pub(super) fn outgoing(&self) -> &Outgoing {
        self.joined.outgoing()
    }

    /// The reader: until DONE, CANCEL, or an error.
    pub(super) fn read(&self, reader: &mut LinkReader) -> Result<Lost, LinkError> {
        let mut heard: Time = clock::now();
        // Shorter, and a requester that is busy receiving would be taken for dead.
        let patience = self.owner.ctx.patience.max(WORKING_EVERY * 3);
        loop {
            match reader.recv(LISTEN_SLICE) {
                Ok(message) => {
                    heard = clock::now();
                    if let Some(end) = self.hear(message)? {
                        return Ok(end);
                    }
                }
                Err(LinkError::Timeout(Phase::Header)) => {
                    // A byte that drains is a sign of life, however slow the way is.
                    let moved = self.owner.uploads.last_moved(self.connection);
                    heard = heard.max(moved.unwrap_or(heard));
                    if clock::now().since(heard) > patience {
                        return Err(LinkError::Timeout(Phase::Header));
                    }
                    if self.outgoing().state.lock().ended {
                        return Err(LinkError::Closed);
                    }
                }
                Err(e) => return Err(e),
            }
        }
    }

    /// One message; tells how the transfer ended, when it did.
    fn hear(&self, message: Message) -> Result<Option<Lost>, LinkError> {
        let kind = message.kind();
        heard_point(&message).map_err(LinkError::Io)?;
        let outgoing = self.outgoing();
        let violation = match message {
            Message::Want(want) => outgoing.state.lock().upload.on_want(&want).err(),
            Message::Skip(skip) => {
                outgoing.with_spread(|state, spread| state.upload.on_skip(&skip, spread)).err()
            }
            Message::Ack(ack) => {
                let fresh = outgoing.state.lock().upload.on_ack(&ack);
                if let Ok(bytes) = fresh {
                    self.owner.uploads.acked(self.connection, bytes);
                    fail_point!("serve.acked").map_err(LinkError::Io)?;
                }
                fresh.err()
            }
            Message::Working(_) => None,
            Message::Serving(serving) => {
                self.serving(serving);
                None
            }
            Message::Done(_) => return Ok(Some(Lost::Done)),
            Message::Cancel(cancel) => {
                log::info!(target: "upload", "cancelled: {}", cancel.reason.shown());
                return Ok(Some(Lost::Cancelled(cancel.reason.as_str().to_owned())));
            }
            _ => return Err(LinkError::Unexpected(kind)),
        };
        if let Some(violation) = violation {
            log::info!(target: "upload", "{violation}");
            return Err(LinkError::Unexpected(kind));
        }
        outgoing.wake.notify_all();
        Ok(None)
    }

    /// The requester serves what it has: others may fetch it there, and so may we.
    fn serving(&self, serving: Serving) {
        let Serving { label, ports } = serving;
        let (id, ip) = self.peer;
        self.owner.ctx.peers.lock().introduces_itself(id, label.clone());
        let info = PeerInfo { id, label, ip, ports, files: 0 };
        self.owner.ctx.fetching.found(&self.set, vec![info.clone()]);
        self.joined.serves(&info);
    }

    /// The writer is to end.
    pub(super) fn end(&self) {
        self.outgoing().state.lock().ended = true;
        self.outgoing().wake.notify_all();
    }
}

/// Each kind of message is a step of its own.
fn heard_point(message: &Message) -> io::Result<()> {
    if matches!(message, Message::Want(_)) {
        fail_point!("serve.want")?;
    }
    if matches!(message, Message::Ack(_)) {
        fail_point!("serve.ack")?;
    }
    if matches!(message, Message::Done(_)) {
        fail_point!("serve.done")?;
    }
    Ok(())
}
