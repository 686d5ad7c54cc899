//! The chunk listener: one transfer a connection, from `Open` to its end.
//!
//! The connection's thread reads (WANT, SKIP, ACK, DONE); a second one writes (`upload`). They
//! share the pure `logic::upload::Upload` under a lock. Ends with DONE, CANCEL, a violation, a
//! requester that is silent for longer than the patience, a newer connection for the same
//! transfer, or the node's end; the writer is joined before the reader returns.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::upload;
use crate::base::limits::HEADER_TIME_MAX;
use crate::base::{Bitmap, Time};
use crate::io::index::Index;
use crate::io::link::{Link, LinkError, LinkReader, Phase};
use crate::io::{clock, threads};
use crate::logic::batch::set_key;
use crate::logic::items::Items;
use crate::logic::upload::Upload;
use crate::node::context::Context;
use crate::node::uploads::Uploads;
use crate::wire::Message;
use crate::wire::message::tracker::{Refused, Why};
use crate::wire::message::transfer::{Content, Opened, Set};

/// The reader looks at the clock at least so often.
const LISTEN_SLICE: Duration = Duration::from_secs(1);

/// What every transfer of this node uses.
pub(in crate::node) struct Owner {
    pub(in crate::node) ctx: Arc<Context>,
    pub(in crate::node) index: Arc<Index>,
    pub(in crate::node) uploads: Arc<Uploads>,
}

/// One open transfer, shared by its reader and its writer.
pub(super) struct Transfer<'a> {
    pub(super) owner: &'a Owner,
    pub(super) id: u64,
    pub(super) contents: Vec<Content>,
    pub(super) batch: bool,
    pub(super) state: Mutex<State>,
    pub(super) wake: Condvar,
}

pub(super) struct State {
    pub(super) upload: Upload,
    /// Messages that are not part of the upload's own steps.
    pub(super) outbox: VecDeque<Message>,
    pub(super) ended: bool,
}

/// One connection.
pub(in crate::node) fn serve(mut link: Link, owner: &Owner) {
    let (remote, peer) = (link.remote, link.peer);
    let end = match link.recv(HEADER_TIME_MAX) {
        Ok(Message::Open(open)) => transfer(link, owner, &open.set),
        Ok(other) => {
            let end = link.send(super::unexpected(&other, "chunk"));
            end.and(Err(LinkError::Unexpected(other.kind())))
        }
        Err(e) => Err(e),
    };
    match end {
        Ok(()) => log::debug!(target: "upload", "{remote} {}: done", peer.short()),
        Err(e) => log::debug!(target: "upload", "{remote} {}: {e}", peer.short()),
    }
}

fn transfer(mut link: Link, owner: &Owner, set: &Set) -> Result<(), LinkError> {
    let (items, contents) = (Items::of(set), contents(set));
    let have = match what_is_here(owner, set, &contents, &items) {
        Ok(have) => have,
        Err(refused) => return link.send(refused),
    };
    let closer = link.closer();
    let name = name_of(owner, &contents);
    let (id, attempt) =
        owner.uploads.begin(link.peer, set_key(set), name, items.total(), closer.clone());
    let opened = link.send(Opened { attempt, have: have.clone() });
    let state = State { upload: Upload::new(items, have), outbox: VecDeque::new(), ended: false };
    let transfer = Transfer {
        owner,
        id,
        contents,
        batch: matches!(set, Set::Batch(_)),
        state: state.into(),
        wake: Condvar::new(),
    };
    let Link { mut reader, mut writer, .. } = link;
    let end = opened.and_then(|()| {
        std::thread::scope(|scope| {
            let write = || {
                let end = upload::write(&transfer, &mut writer);
                closer.close();
                end
            };
            let writing = threads::spawn_scoped(scope, format!("upload {id} out"), write)
                .map_err(LinkError::Io)?;
            let end = transfer.read(&mut reader);
            transfer.end();
            closer.close();
            match writing.join() {
                Ok(Err(writer_end)) if end.is_err() => Err(writer_end),
                _ => end,
            }
        })
    });
    owner.uploads.end(id);
    end
}

fn contents(set: &Set) -> Vec<Content> {
    match set {
        Set::File(content) => vec![*content],
        Set::Batch(list) => list.to_vec(),
    }
}

/// Which items can be sent.
fn what_is_here(
    owner: &Owner,
    set: &Set,
    contents: &[Content],
    items: &Items,
) -> Result<Bitmap, Refused> {
    let here = |c: &Content| owner.index.entry_of(&c.root).is_some_and(|e| e.size == c.size);
    let have = match set {
        Set::File(content) if here(content) => Bitmap::all(items.count()),
        Set::File(_) => Bitmap::none(items.count()),
        Set::Batch(_) => {
            let mut have = Bitmap::none(items.count());
            (0_u32..).zip(contents).filter(|(_, c)| here(c)).for_each(|(i, _)| {
                have.insert(i);
            });
            have
        }
    };
    if have.is_empty() {
        return Err(Refused::new(Why::NotHere, "the file is not here, or no longer"));
    }
    Ok(have)
}

/// What `transfers` calls it.
fn name_of(owner: &Owner, contents: &[Content]) -> String {
    let first = contents.first().and_then(|c| owner.index.entry_of(&c.root));
    let first = first.map_or_else(|| "?".into(), |e| e.name.as_str().to_owned());
    match contents.len() {
        1 => first,
        n => format!("{first} and {} more", n - 1),
    }
}

impl Transfer<'_> {
    /// The reader: until DONE, CANCEL, or an error.
    fn read(&self, reader: &mut LinkReader) -> Result<(), LinkError> {
        let mut heard: Time = clock::now();
        loop {
            match reader.recv(LISTEN_SLICE) {
                Ok(message) => {
                    heard = clock::now();
                    if self.hear(message)? {
                        return Ok(());
                    }
                }
                Err(LinkError::Timeout(Phase::Header)) => {
                    if clock::now().since(heard) > self.owner.ctx.patience {
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

    /// One message; true when the transfer is over.
    fn hear(&self, message: Message) -> Result<bool, LinkError> {
        let kind = message.kind();
        let mut state = self.state.lock();
        let violation = match message {
            Message::Want(want) => state.upload.on_want(&want).err(),
            Message::Skip(skip) => state.upload.on_skip(&skip).err(),
            Message::Ack(ack) => match state.upload.on_ack(&ack) {
                Ok(bytes) => {
                    drop(state);
                    self.owner.uploads.moved(self.id, 0, bytes);
                    state = self.state.lock();
                    None
                }
                Err(violation) => Some(violation),
            },
            Message::Working(_) => None,
            Message::Done(_) => return Ok(true),
            Message::Cancel(cancel) => {
                log::info!(target: "upload", "cancelled: {}", cancel.reason.shown());
                return Ok(true);
            }
            _ => return Err(LinkError::Unexpected(kind)),
        };
        if let Some(violation) = violation {
            log::info!(target: "upload", "{violation}");
            return Err(LinkError::Unexpected(kind));
        }
        drop(state);
        self.wake.notify_all();
        Ok(false)
    }

    fn end(&self) {
        self.state.lock().ended = true;
        self.wake.notify_all();
    }
}
