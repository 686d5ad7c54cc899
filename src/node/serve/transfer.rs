//! One open transfer, shared by its reader and its writer, and the reader.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::crowd::Crowd;
use crate::base::Time;
use crate::base::limits::WORKING_EVERY;
use crate::io::clock;
use crate::io::failpoint::fail_point;
use crate::io::index::Index;
use crate::io::link::{LinkError, LinkReader, Phase};
use crate::logic::ledger::{Connection, Lost};
use crate::logic::upload::Upload;
use crate::node::context::Context;
use crate::node::downloads::Downloads;
use crate::node::throttle::Limiter;
use crate::node::uploads::Uploads;
use crate::wire::Message;
use crate::wire::message::transfer::Content;

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
}

/// One open transfer, shared by its reader and its writer.
pub(super) struct Transfer<'a> {
    pub(super) owner: &'a Owner,
    pub(super) connection: Connection,
    pub(super) contents: Vec<Content>,
    pub(super) batch: bool,
    /// What a person holds it to.
    pub(super) limit: Arc<Limiter>,
    pub(super) state: Mutex<State>,
    pub(super) wake: Condvar,
}

pub(super) struct State {
    pub(super) upload: Upload,
    /// Messages that are not part of the upload's own steps.
    pub(super) outbox: VecDeque<Message>,
    pub(super) ended: bool,
}

impl Transfer<'_> {
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
                    if self.state.lock().ended {
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
        let mut state = self.state.lock();
        let violation = match message {
            Message::Want(want) => state.upload.on_want(&want).err(),
            Message::Skip(skip) => state.upload.on_skip(&skip).err(),
            Message::Ack(ack) => match state.upload.on_ack(&ack) {
                Ok(bytes) => {
                    drop(state);
                    self.owner.uploads.acked(self.connection, bytes);
                    fail_point!("serve.acked").map_err(LinkError::Io)?;
                    state = self.state.lock();
                    None
                }
                Err(violation) => Some(violation),
            },
            Message::Working(_) => None,
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
        drop(state);
        self.wake.notify_all();
        Ok(None)
    }

    /// The writer is to end.
    pub(super) fn end(&self) {
        self.state.lock().ended = true;
        self.wake.notify_all();
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
