//! The owner's side of one transfer: which item goes out next, weighed against what others got (`spread`).
//!
//! Invariants: an item is sent at most once on a connection; nothing is sent that the requester
//! does not want or that is not here; no more than the window is sent without an ACK; every
//! number the requester chose is checked or clamped.
//!
//! ```text
//! wanted --Announce--> ready --Send--> sent --ACK--> acked
//!    '--WANT remove      '--SKIP         '--SKIP: worthless, its place in the window is free
//! ```
//!
//! The writer thread asks `next` under a lock and acts outside it. Two runs are announced before
//! the first is sent and one before each other, so that NEXT(b) precedes the bytes of a and the
//! requester can still SKIP b. A WANT that takes back what was announced changes nothing: the
//! two have crossed, and the requester answers the announcement.
//!
//! How it ends: with the connection. `is_idle` says that nothing is wanted or on the way.

use std::collections::{BTreeSet, VecDeque};

use super::items::Items;
use super::spread::Spread;
use crate::base::limits::CHUNK_SIZE_MIN;
use crate::base::{Bitmap, Range};
use crate::wire::message::transfer::{Ack, Skip, Want};

/// Most bytes of small files in one run: as much as the smallest chunk.
pub const RUN_BYTES_MAX: u64 = CHUNK_SIZE_MIN;
/// The same where others fetch the set, too: what is announced to one of them is sent to no other for a
/// while, and a batch is not much longer than what eight are announced.
pub const RUN_BYTES_SHARED: u64 = RUN_BYTES_MAX / 4;
/// Most small files in one run: each is open while it is sent.
pub const RUN_FILES_MAX: u32 = 64;
/// Runs announced and not begun: the next one and the one after it.
pub const READY_MAX: usize = 2;

/// What the writer does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Send NEXT.
    Announce(Range),
    /// Send CHUNK and the bytes. From now on it cannot be skipped.
    Send(Range),
}

/// What a requester may not say. The connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Items that the set does not have.
    #[error("the requester speaks of items {first}+{count} of a set of {items}")]
    Range {
        /// First item.
        first: u32,
        /// How many.
        count: u32,
        /// Items of the set.
        items: u32,
    },
    /// One list names more items than the set has.
    #[error("the requester names items of a set of {items} more than once in one list")]
    Repeated {
        /// Items of the set.
        items: u32,
    },
}

/// One transfer, as its owner sees it.
#[derive(Debug)]
pub struct Upload {
    items: Items,
    have: Bitmap,
    wanted: BTreeSet<u32>,
    ready: VecDeque<Range>,
    /// Begun, ever.
    sent: Bitmap,
    acked: Bitmap,
    /// Sent and neither acked nor worthless.
    open: Bitmap,
    open_count: u32,
    window: u32,
    /// Where the disk's head is: the item after the last one chosen.
    cursor: u32,
    sent_bytes: u64,
    acked_bytes: u64,
}

impl Upload {
    /// A transfer of `items`, of which `have` can be sent. A bitmap of another length counts as
    /// empty.
    pub fn new(items: Items, have: Bitmap) -> Upload {
        let count = items.count();
        Upload {
            have: if have.len() == count { have } else { Bitmap::none(count) },
            wanted: BTreeSet::new(),
            ready: VecDeque::new(),
            sent: Bitmap::none(count),
            acked: Bitmap::none(count),
            open: Bitmap::none(count),
            open_count: 0,
            window: 1,
            cursor: 0,
            sent_bytes: 0,
            acked_bytes: 0,
            items,
        }
    }

    /// The requester edits what may be chosen from, and its window. What was announced or sent
    /// before stays so.
    ///
    /// # Errors
    /// Items the set does not have; more items named than there are. Nothing has changed then.
    pub fn on_want(&mut self, want: &Want) -> Result<(), Violation> {
        self.check(&want.add)?;
        self.check(&want.remove)?;
        for item in want.remove.iter().flat_map(|run| run.iter()) {
            self.wanted.remove(&item);
        }
        for item in want.add.iter().flat_map(|run| run.iter()) {
            let known = self.sent.contains(item) || self.is_ready(item);
            if self.have.contains(item) && !known {
                self.wanted.insert(item);
            }
        }
        self.window = u32::from(self.items.window_granted(want.window));
        Ok(())
    }

    /// The requester does not want what was announced. What is being sent is sent to its end, but
    /// no ACK is awaited for it any more.
    ///
    /// # Errors
    /// Items the set does not have.
    pub fn on_skip(&mut self, skip: &Skip, spread: &mut Spread) -> Result<(), Violation> {
        self.check(&[skip.items])?;
        self.unready(skip.items, spread);
        for item in skip.items.iter() {
            self.wanted.remove(&item);
            if self.close(item) {
                spread.take_back(item);
            }
        }
        Ok(())
    }

    /// Items are verified and written over there. Returns how many bytes that are new; an ACK of
    /// what was not sent, or again, counts nothing.
    ///
    /// # Errors
    /// Items the set does not have; more items named than there are.
    pub fn on_ack(&mut self, ack: &Ack) -> Result<u64, Violation> {
        self.check(&ack.items)?;
        let before = self.acked_bytes;
        for item in ack.items.iter().flat_map(|run| run.iter()) {
            if self.sent.contains(item) && self.acked.insert(item) {
                self.acked_bytes += self.items.len(item);
                self.close(item);
            }
        }
        Ok(self.acked_bytes - before)
    }

    /// Items are not here any more. Beyond the set nothing happens.
    pub fn on_stale(&mut self, items: Range, spread: &mut Spread) {
        self.unready(items, spread);
        let count = self.items.count();
        for item in items.iter().take_while(|i| *i < count) {
            self.have.remove(item);
            self.wanted.remove(&item);
            if self.close(item) {
                spread.take_back(item);
            }
        }
    }

    /// The last byte of a run is out.
    pub fn on_sent(&mut self, items: Range) {
        self.sent_bytes += self.items.bytes(items);
    }

    /// What to do next; `None` until a WANT, an ACK or a SKIP changes that.
    pub fn next(&mut self, spread: &mut Spread) -> Option<Step> {
        if self.ready.len() < spread.ahead()
            && let Some(run) = self.choose(spread)
        {
            run.iter().for_each(|item| {
                self.wanted.remove(&item);
                spread.hand_out(item);
            });
            self.cursor = run.first + run.count;
            self.ready.push_back(run);
            return Some(Step::Announce(run));
        }
        let run = *self.ready.front()?;
        if self.open_count > 0 && self.open_count + run.count > self.window {
            return None;
        }
        self.ready.pop_front();
        for item in run.iter() {
            self.sent.insert(item);
            self.open.insert(item);
        }
        self.open_count += run.count;
        Some(Step::Send(run))
    }

    /// Whether `next` would have something to do, and how many bytes at most.
    pub fn has_step(&self, spread: &Spread) -> Option<u64> {
        let blocked =
            |run: &Range| self.open_count > 0 && self.open_count + run.count > self.window;
        match self.ready.front() {
            Some(run) if !blocked(run) => Some(self.items.bytes(*run)),
            Some(_) if self.ready.len() >= spread.ahead() => None,
            _ if self.open_count > 0 && self.open_count >= self.window => None,
            _ => self.wanted.first().map(|item| self.items.len(*item)),
        }
    }

    /// Whether nothing is wanted, announced or waiting for its ACK.
    pub fn is_idle(&self) -> bool {
        self.wanted.is_empty() && self.ready.is_empty() && self.open_count == 0
    }

    /// Items sent that wait for their ACK.
    pub fn unacked(&self) -> u32 {
        self.open_count
    }

    /// Bytes sent to the end.
    pub fn sent_bytes(&self) -> u64 {
        self.sent_bytes
    }

    /// Bytes acknowledged.
    pub fn acked_bytes(&self) -> u64 {
        self.acked_bytes
    }

    /// More can be sent: the owner is fetching the set itself. Returns what is new, ascending.
    pub fn on_gained(&mut self, items: &[u32]) -> Vec<u32> {
        items.iter().copied().filter(|item| self.have.insert(*item)).collect()
    }

    /// The connection is over: what had not arrived was not handed out.
    pub fn leave(&mut self, spread: &mut Spread) {
        let ready = self.ready.drain(..).flat_map(Range::iter);
        ready.chain(self.open.iter()).for_each(|item| spread.take_back(item));
    }

    /// What can be sent.
    pub fn have(&self) -> &Bitmap {
        &self.have
    }

    /// The items of the set.
    pub fn items(&self) -> &Items {
        &self.items
    }

    /// The one place that decides what goes out, asked as late as can be, when a place among the
    /// announced frees: what was handed out least often, and of that the first at or behind the last
    /// one sent, for the disk's sake.
    fn choose(&self, spread: &Spread) -> Option<Range> {
        let onwards = self.wanted.range(self.cursor..).chain(self.wanted.range(..self.cursor));
        let mut onwards = onwards.copied();
        let first = if spread.is_alone() { onwards.next() } else { spread.rarest(onwards) }?;
        let mut run = Range::one(first);
        if self.items.is_batch() {
            let most = RUN_FILES_MAX.min(self.window);
            let most_bytes = if spread.is_alone() { RUN_BYTES_MAX } else { RUN_BYTES_SHARED };
            let (mut bytes, copies) = (self.items.len(first), spread.copies(first));
            for item in self.wanted.range(first + 1..).copied() {
                bytes += self.items.len(item);
                let follows = item == first + run.count && spread.copies(item) <= copies;
                if !follows || run.count == most || bytes > most_bytes {
                    break;
                }
                run.count += 1;
            }
        }
        Some(run)
    }

    fn is_ready(&self, item: u32) -> bool {
        self.ready.iter().any(|run| (run.first..run.first + run.count).contains(&item))
    }

    /// Cuts `items` out of what was announced.
    fn unready(&mut self, items: Range, spread: &mut Spread) {
        let gone = items.iter();
        let cut = self.ready.iter().flat_map(|run| run.iter()).filter(|item| gone.contains(item));
        cut.for_each(|item| spread.take_back(item));
        self.ready = self
            .ready
            .iter()
            .flat_map(|run| Range::collect(run.iter().filter(|item| !gone.contains(item))))
            .collect();
    }

    /// The item takes no place in the window any more; tells whether it did.
    fn close(&mut self, item: u32) -> bool {
        let was_open = self.open.remove(item);
        self.open_count -= u32::from(was_open);
        was_open
    }

    fn check(&self, runs: &[Range]) -> Result<(), Violation> {
        let items = self.items.count();
        if let Some(Range { first, count }) = runs.iter().find(|run| !self.items.contain(**run)) {
            return Err(Violation::Range { first: *first, count: *count, items });
        }
        if self.items.bound(runs) { Ok(()) } else { Err(Violation::Repeated { items }) }
    }
}

#[cfg(test)]
mod tests;
