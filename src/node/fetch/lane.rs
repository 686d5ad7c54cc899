//! One owner's connection within a set's fetch: a reader and a writer thread.
//!
//! ```text
//! dial -> Open -> Opened -> { Next, Chunk+bytes, Stale }*  until the set is complete or either side ends
//! ```
//!
//! The reader (this thread) hands what arrives to the [`Keeper`], which verifies and writes it; the
//! writer sends what others queue (WANT, SKIP, ACK, DONE) and a WORKING every few seconds, so that the
//! owner knows we are alive.
//! Bytes nobody asked for are a fault of the owner: the lane ends.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::early::Dialled;
use super::hand::Hand;
use super::keep::Keeper;
use super::set::Fetch;
use crate::base::limits::{HEADER_TIME_MAX, WORKING_EVERY};
use crate::base::{NodeId, PeerInfo, Range};
use crate::io::clock;
use crate::io::failpoint::fail_point;
use crate::io::link::{Link, LinkError, LinkReader, LinkWriter, Phase};
use crate::io::threads;
use crate::logic::items::Items;
use crate::logic::owners::Standing;
use crate::logic::shares::{OwnerKey, Verdict};
use crate::node::throttle::Bounds;
use crate::wire::message::tracker::{Refused, Why};
use crate::wire::message::transfer::{Ack, BUSY_NAMES_MAX, Chunk, Open, Opened, Serving, Working};
use crate::wire::{List, Message};

/// Largest run of small files taken in one piece, bytes; owners send less at a time.
const BATCH_RUN_MAX: u64 = 1024 * 1024;
/// The reader waits for a message in slices of this.
const LISTEN_SLICE: Duration = Duration::from_secs(1);

/// The lane from its dial to its end.
pub(super) fn run(fetch: &Arc<Fetch>, key: OwnerKey, peer: &PeerInfo, outbox: &Receiver<Message>) {
    let end = connect_and_fetch(fetch, key, peer, outbox);
    let standing = match end {
        Ok(()) => Standing::Lost("closed".into()),
        Err(LinkError::Refused(no)) => match no.why {
            Why::Busy | Why::Stopping => Standing::Busy(no.text.shown()),
            Why::Later => Standing::Later(no.text.shown()),
            _ => Standing::NotHere(no.text.shown()),
        },
        Err(e) => {
            if e.is_violation() {
                fetch.broke_protocol(peer.id);
            }
            Standing::Lost(e.to_string())
        }
    };
    log::debug!(target: "fetch", "{}: {standing:?}", peer.shown());
    fetch.lane_ended(key, standing);
}

fn connect_and_fetch(
    fetch: &Arc<Fetch>,
    key: OwnerKey,
    peer: &PeerInfo,
    outbox: &Receiver<Message>,
) -> Result<(), LinkError> {
    let ctx = &fetch.ctx;
    fail_point!("fetch.dial").map_err(LinkError::Io)?;
    let Dialled { mut link, round_trip } = fetch.early.connect(ctx, peer)?;
    // All may have ended meanwhile: an OPEN now would take the place of who comes after us.
    if !fetch.is_going_on() {
        return Ok(());
    }
    let Opened { have, grows, .. } = open(fetch, &mut link, peer.id)?;
    let closer = link.closer();
    if !fetch.lane_connected(key, closer.clone()) {
        return Ok(());
    }
    let (mut reader, mut writer) = (link.reader, link.writer);
    std::thread::scope(|scope| {
        let write = || {
            let end = write_until_closed(&mut writer, outbox);
            closer.close();
            end
        };
        threads::spawn_scoped(scope, format!("fetch {} out", peer.label), write)
            .map_err(LinkError::Io)?;
        let first = {
            let mut state = fetch.state.lock();
            let first = state.shares.on_opened(clock::now(), key, peer.id, (have, grows));
            state.shares.on_distance(key, round_trip);
            first
        };
        if let Some((label, ports)) = &ctx.serves_at {
            fetch.send(key, Serving { label: label.clone(), ports: *ports }.into());
        }
        fetch.carry_out(first);
        // What was received is kept, and its ACK queued, before the writer is told to end.
        let end = std::thread::scope(|scope| {
            let keeper = Keeper { fetch, key, peer, closer: closer.clone() };
            let keep = move |items: Range, buffer: &[u8]| keeper.keep(items, buffer);
            let memory = (&ctx.spare, longest_run(&fetch.items) as usize);
            let hand = Hand::new(scope, format!("fetch {} keep", peer.label), memory, keep);
            Lane { fetch, key, hand }.read(&mut reader)
        });
        closer.close();
        fetch.drop_outbox(key);
        end
    })
}

fn open(fetch: &Fetch, link: &mut Link, owner: NodeId) -> Result<Opened, LinkError> {
    fail_point!("fetch.open").map_err(LinkError::Io)?;
    match link.ask(Open { set: fetch.set.clone(), resumable: fetch.resumable })? {
        Message::Opened(opened) => {
            fail_point!("fetch.opened").map_err(LinkError::Io)?;
            fetch.progress.opened(opened.attempt);
            if fetch.state.lock().openings.is_again(owner, opened.attempt) {
                fetch.ctx.statistics.note(|s| s.retries.downloads_reopened += 1);
            }
            Ok(opened)
        }
        // It is too busy, and says who else may be asked.
        Message::Fetchers(fetchers) => {
            let named = fetchers.nodes.into_vec().into_iter().take(BUSY_NAMES_MAX);
            fetch.found(named.collect());
            match link.recv(HEADER_TIME_MAX)? {
                Message::Refused(refused) => Err(LinkError::Refused(refused)),
                other => Err(LinkError::Unexpected(other.kind())),
            }
        }
        other => Err(LinkError::Unexpected(other.kind())),
    }
}

/// The writer: ends when the outbox is closed and empty, or when the link breaks.
fn write_until_closed(
    writer: &mut LinkWriter,
    outbox: &Receiver<Message>,
) -> Result<(), LinkError> {
    loop {
        match outbox.recv_timeout(WORKING_EVERY) {
            Ok(message) => {
                sending_point(&message).map_err(LinkError::Io)?;
                writer.send(&message)?;
                if matches!(message, Message::Done(_)) {
                    fail_point!("fetch.told").map_err(LinkError::Io)?;
                }
            }
            Err(RecvTimeoutError::Timeout) => writer.send(&Working.into())?,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}

/// Each kind of message is a step of its own.
fn sending_point(message: &Message) -> io::Result<()> {
    if matches!(message, Message::Want(_)) {
        fail_point!("fetch.want")?;
    }
    if matches!(message, Message::Ack(_)) {
        fail_point!("fetch.ack")?;
    }
    if matches!(message, Message::Done(_)) {
        fail_point!("fetch.done")?;
    }
    Ok(())
}

/// Bytes of the longest run of these items that is taken.
fn longest_run(items: &Items) -> u64 {
    if items.is_batch() { items.total().min(BATCH_RUN_MAX) } else { items.len(0) }
}

/// The reader's state.
struct Lane<'scope, 'env, K> {
    fetch: &'scope Fetch,
    key: OwnerKey,
    /// Where runs go.
    hand: Hand<'scope, 'env, K>,
}

impl<'scope, K> Lane<'scope, '_, K>
where
    K: Fn(Range, &[u8]) -> Result<(), LinkError> + Clone + Send + 'scope,
{
    fn read(&mut self, reader: &mut LinkReader) -> Result<(), LinkError> {
        loop {
            match reader.recv(LISTEN_SLICE) {
                Ok(message) => self.take(message, reader)?,
                // Silence is judged by the shares, which know whether anything is due.
                Err(LinkError::Timeout(Phase::Header)) => {}
                Err(e) => return Err(e),
            }
            let state = self.fetch.state.lock();
            if state.shares.is_useless(self.key) {
                let (why, words) = match state.shares.took_back(self.key) {
                    true => (Why::Busy, "it took back what it had"),
                    false => (Why::NotHere, "it has nothing of what is missing"),
                };
                return Err(LinkError::Refused(Refused::new(why, words)));
            }
        }
    }

    fn take(&mut self, message: Message, reader: &mut LinkReader) -> Result<(), LinkError> {
        let now = clock::now();
        match message {
            Message::Next(next) => {
                fail_point!("fetch.next").map_err(LinkError::Io)?;
                let actions = self.fetch.state.lock().shares.on_next(now, self.key, next.items);
                self.fetch.carry_out(actions);
            }
            Message::Chunk(chunk) => self.take_chunk(&chunk, reader)?,
            Message::Have(have) => {
                let mut state = self.fetch.state.lock();
                let actions = state.shares.on_have(now, self.key, &have.items);
                drop(state);
                self.fetch.carry_out(actions);
            }
            Message::Fetchers(fetchers) => self.fetch.found(fetchers.nodes.into_vec()),
            Message::Stale(stale) => {
                self.hand.settle()?;
                let mut state = self.fetch.state.lock();
                let actions = state.shares.on_stale(now, self.key, &stale.items);
                drop(state);
                self.fetch.carry_out(actions);
            }
            other => return Err(LinkError::Unexpected(other.kind())),
        }
        Ok(())
    }

    fn take_chunk(&mut self, chunk: &Chunk, reader: &mut LinkReader) -> Result<(), LinkError> {
        fail_point!("fetch.header").map_err(LinkError::Io)?;
        let kind = crate::wire::Kind::Chunk;
        let Some(len) = self.run_len(chunk) else { return Err(LinkError::Unexpected(kind)) };
        let verdict = {
            let mut state = self.fetch.state.lock();
            state.shares.on_chunk_begun(clock::now(), self.key, chunk.items)
        };
        if matches!(verdict, Verdict::Violation) {
            return Err(LinkError::Unexpected(kind));
        }
        let len = len as usize;
        let mut buffer = self.hand.buffer(len)?;
        self.receive(&mut buffer[..len], reader)?;
        fail_point!("fetch.received").map_err(LinkError::Io)?;
        if matches!(verdict, Verdict::Take) {
            return self.hand.keep(chunk.items, buffer, self.is_alone());
        }
        self.hand.discard(buffer);
        self.fetch.send(self.key, Ack { items: List::of(vec![chunk.items]) }.into());
        Ok(())
    }

    /// Whether no other lane of the set is connected.
    fn is_alone(&self) -> bool {
        let state = self.fetch.state.lock();
        state.lanes.values().filter(|lane| lane.is_connected()).count() == 1
    }

    /// Bytes of an announced run, if it is one of this set and says its right length.
    fn run_len(&self, chunk: &Chunk) -> Option<u64> {
        let items = &self.fetch.items;
        let one = items.is_batch() || chunk.items.count == 1;
        let len = items.bytes(chunk.items);
        let fits = items.contain(chunk.items) && one && (!items.is_batch() || len <= BATCH_RUN_MAX);
        (fits && len == chunk.len).then_some(len)
    }

    /// The raw run behind a CHUNK.
    fn receive(&self, buffer: &mut [u8], reader: &mut LinkReader) -> Result<(), LinkError> {
        let (fetch, key) = (self.fetch, self.key);
        let over = || {
            let mut state = fetch.state.lock();
            state.held_back(clock::now(), key);
            state.is_closing()
        };
        let bounds = Bounds::new(&fetch.ctx.down, &fetch.limit, reader.step());
        reader.recv_payload(buffer, &mut |bytes| {
            bounds.pay(bytes, &over);
            fetch.ctx.counters.bytes_arrived.add(bytes as u64);
            let now = clock::now();
            fetch.progress.received(now, bytes as u64);
            let mut state = fetch.state.lock();
            state.moved(now);
            state.shares.on_bytes(now, key, bytes as u64);
        })
    }
}
