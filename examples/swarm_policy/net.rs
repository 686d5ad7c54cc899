//! Simulated time, lines and chance: the queue of events, what a line carries, random numbers.
//!
//! Invariant: events come by time, those of one moment in the order in which they were made; so one
//! seed gives one run. An uplink sends one piece at a time and takes its connections in turn. A
//! downlink takes pieces in the order of their arrival: all ways are equally long, so that order is
//! known when a piece leaves, and an arrival costs one event.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use parvi::base::Time;
use parvi::wire::Message;

use crate::node::{ConnId, Dial, Refusal};

/// What happens.
#[derive(Debug)]
pub(crate) enum Event {
    /// A node wants the file from now on.
    Begin(usize),
    /// A node leaves for good.
    Depart(usize),
    /// A requester's supervisor looks around.
    Tick(usize),
    /// A requester's search is over.
    Found(usize),
    /// OPEN is at the owner.
    Open(Dial),
    /// The answer to it that is none.
    Refused(Dial, Refusal),
    /// A message is at the requester of a connection.
    ToRequester(ConnId, Box<Message>),
    /// A message is at its owner.
    ToOwner(ConnId, Box<Message>),
    /// The requester hears that its owner is gone.
    LostOwner(ConnId),
    /// The owner hears that its requester is gone.
    LostRequester(ConnId),
    /// The writer of a connection looks whether it is its turn.
    Turn(ConnId),
    /// A node's uplink has a piece out.
    Out(usize),
    /// Bytes of a run are at the requester.
    Piece(Piece),
}

/// Bytes of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece {
    pub(crate) conn: ConnId,
    pub(crate) requester: usize,
    pub(crate) bytes: u64,
    /// Whether they are the run's last.
    pub(crate) last: bool,
}

#[derive(Debug)]
struct Entry {
    at: Time,
    serial: u64,
    event: Event,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Entry) -> Ordering {
        (self.at, self.serial).cmp(&(other.at, other.serial))
    }
}

/// What is to come.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Reverse<Entry>>,
    serial: u64,
    pub(crate) now: Time,
}

impl Queue {
    pub(crate) fn push(&mut self, at: Time, event: Event) {
        self.serial += 1;
        self.heap.push(Reverse(Entry { at, serial: self.serial, event }));
    }

    pub(crate) fn after(&mut self, wait: Duration, event: Event) {
        self.push(self.now + wait, event);
    }

    /// The next event; it is its time now.
    pub(crate) fn pop(&mut self) -> Option<Event> {
        let Reverse(entry) = self.heap.pop()?;
        self.now = entry.at;
        Some(entry.event)
    }

    /// How many events there were.
    pub(crate) fn made(&self) -> u64 {
        self.serial
    }
}

/// A node's line in both directions.
#[derive(Debug)]
pub(crate) struct Line {
    /// Bytes per second, each way.
    pub(crate) rate: f64,
    /// Connections that have bytes to send, in turn.
    pub(crate) turns: VecDeque<ConnId>,
    /// The piece that is going out.
    pub(crate) out: Option<(ConnId, u64)>,
    /// When the downlink has taken all that is on its way.
    free: Time,
    /// Bytes that have gone out.
    pub(crate) sent: u64,
}

impl Line {
    pub(crate) fn new(rate: f64) -> Line {
        Line { rate, turns: VecDeque::new(), out: None, free: Time::ZERO, sent: 0 }
    }

    /// How long `bytes` take.
    pub(crate) fn takes(&self, bytes: u64) -> Duration {
        Duration::from_secs_f64(bytes as f64 / self.rate)
    }

    /// When a piece that comes at `at` has been taken.
    pub(crate) fn take(&mut self, at: Time, bytes: u64) -> Time {
        self.free = self.free.max(at) + self.takes(bytes);
        self.free
    }
}

/// Random numbers: SplitMix64 (Steele, Lea, Flood, 2014).
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    pub(crate) fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let a = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let b = (a ^ (a >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        b ^ (b >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.throw() % end.max(1) as u64) as usize
    }
}
