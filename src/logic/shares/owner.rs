//! One connected owner as the requester sees it: its share, and what is in flight from it.
//!
//! Invariant: an item is either in the share or in flight, never both; the sums of bytes agree
//! with the items.
//!
//! ```text
//! share --NEXT--> announced --header--> begun --last byte--> arrived --verified--> gone
//!   '--moved away, lost, stale----'--skip--'                    '--corrupt--> gone
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::speed::Speed;
use crate::base::{Bitmap, NodeId, Time};

/// How far an item in flight has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The owner said it is next.
    Announced,
    /// Its bytes are arriving.
    Begun,
    /// All here, not yet verified and written.
    Arrived,
}

/// Where an item was when it was taken from an owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Was {
    /// Nowhere.
    Absent,
    /// In its share.
    Shared,
    /// In flight.
    Flying(Stage),
}

/// A connected owner.
#[derive(Debug)]
pub(super) struct Owner {
    pub(super) node: NodeId,
    /// What it has and may be asked for.
    pub(super) have: Bitmap,
    /// Whether it is fetching the set itself, and will have more.
    pub(super) grows: bool,
    /// Whether it has taken back something that it had told of.
    pub(super) took_back: bool,
    /// What it was asked for on this connection, ever, and has not begun to send.
    pub(super) asked: Bitmap,
    /// What of that it was asked for again. It may come twice: the SKIP and the second WANT may reach the owner
    /// while it is sending.
    again: BTreeSet<u32>,
    share: Bitmap,
    pub(super) flying: BTreeMap<u32, Stage>,
    pub(super) speed: Speed,
    /// When it last sent bytes or announced what it sends, or was last given something to do.
    pub(super) heard: Time,
    /// How long a question and its answer are under way.
    pub(super) round_trip: Duration,
    /// Since when it is connected, and what it has sent since.
    pub(super) since: Time,
    pub(super) brought: u64,
    share_count: usize,
    share_bytes: u64,
    announced_bytes: u64,
    /// Bytes still to come of the run on the wire.
    run_left: u64,
}

impl Owner {
    /// An owner that just said what it has.
    pub(super) fn new(now: Time, node: NodeId, have: Bitmap, grows: bool) -> Owner {
        let none = Bitmap::none(have.len());
        Owner {
            node,
            have,
            grows,
            took_back: false,
            asked: none.clone(),
            again: BTreeSet::new(),
            share: none,
            flying: BTreeMap::new(),
            speed: Speed::default(),
            heard: now,
            round_trip: Duration::ZERO,
            since: now,
            brought: 0,
            share_count: 0,
            share_bytes: 0,
            announced_bytes: 0,
            run_left: 0,
        }
    }

    /// Whether the item is in its share or in flight from it.
    pub(super) fn holds(&self, item: u32) -> bool {
        self.share.contains(item) || self.flying.contains_key(&item)
    }

    /// All it holds.
    pub(super) fn held(&self) -> BTreeSet<u32> {
        self.share().chain(self.flying.keys().copied()).collect()
    }

    /// Its share, ascending.
    pub(super) fn share(&self) -> impl Iterator<Item = u32> + '_ {
        self.share.iter()
    }

    /// Whether the item is in its share.
    pub(super) fn is_asked_for(&self, item: u32) -> bool {
        self.share.contains(item)
    }

    /// How many items its share has.
    pub(super) fn share_count(&self) -> usize {
        self.share_count
    }

    /// The last item of its share before `below` that `other` has too and does not hold, of those that
    /// `may` go.
    pub(super) fn last_for(
        &self,
        other: &Owner,
        mut below: u32,
        may: impl Fn(u32) -> bool,
    ) -> Option<u32> {
        loop {
            below = self.share.last_in_both(&other.have, below)?;
            if !other.holds(below) && may(below) {
                return Some(below);
            }
        }
    }

    /// Bytes in its share.
    pub(super) fn share_bytes(&self) -> u64 {
        self.share_bytes
    }

    /// Bytes it announced or has on the wire.
    pub(super) fn flying_bytes(&self) -> u64 {
        self.announced_bytes + self.run_left
    }

    /// Bytes it was asked for that have not arrived.
    pub(super) fn due(&self) -> u64 {
        self.share_bytes + self.flying_bytes()
    }

    /// Bytes that arrive before `item` is complete, itself included; an estimate from above.
    pub(super) fn ahead_of(&self, item: u32) -> u64 {
        match self.flying.get(&item) {
            Some(Stage::Arrived) => 0,
            Some(Stage::Begun) => self.run_left,
            Some(Stage::Announced) => self.flying_bytes(),
            None => self.due(),
        }
    }

    /// Whether something that arrived waits for us, so that its silence may be our own fault.
    pub(super) fn waits_for_us(&self) -> bool {
        self.flying.values().any(|stage| *stage == Stage::Arrived)
    }

    /// Puts an item of `len` bytes into the share.
    pub(super) fn ask(&mut self, item: u32, len: u64) {
        if self.share.insert(item) {
            self.share_count += 1;
            self.share_bytes += len;
        }
        if !self.asked.insert(item) {
            self.again.insert(item);
        }
    }

    /// The item begins to arrive.
    pub(super) fn begin(&mut self, item: u32) {
        if !self.again.remove(&item) {
            self.asked.remove(item);
        }
    }

    /// The item, of `len` bytes, is in flight now; tells where it was.
    pub(super) fn fly(&mut self, item: u32, len: u64, stage: Stage) -> Was {
        let was = self.take(item, len);
        self.flying.insert(item, stage);
        if stage == Stage::Announced {
            self.announced_bytes += len;
        }
        was
    }

    /// Forgets an item of `len` bytes; tells where it was.
    pub(super) fn take(&mut self, item: u32, len: u64) -> Was {
        if self.share.remove(item) {
            self.share_count -= 1;
            self.share_bytes -= len;
            return Was::Shared;
        }
        let Some(stage) = self.flying.remove(&item) else { return Was::Absent };
        if stage == Stage::Announced {
            self.announced_bytes -= len;
        }
        Was::Flying(stage)
    }

    /// A run of `len` bytes begins; the one before, if any, is over.
    pub(super) fn begin_run(&mut self, len: u64) {
        self.end_run();
        self.run_left = len;
    }

    /// Bytes of the run have arrived.
    pub(super) fn receive(&mut self, now: Time, bytes: u64) {
        self.heard = now;
        self.brought += bytes;
        self.speed.add(now, bytes);
        self.run_left = self.run_left.saturating_sub(bytes);
        if self.run_left == 0 {
            self.end_run();
        }
    }

    fn end_run(&mut self) {
        self.run_left = 0;
        for stage in self.flying.values_mut().filter(|stage| **stage == Stage::Begun) {
            *stage = Stage::Arrived;
        }
    }

    /// Starts or stops the clock of its speed: it runs while bytes are due.
    pub(super) fn wind(&mut self, now: Time) {
        let due = self.due() > 0;
        if self.speed.set_due(now, due) && due {
            self.heard = now;
        }
    }
}
