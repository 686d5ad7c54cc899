//! Connections: what is on the way, what is held up, what breaks.
//!
//! Invariant: one connection delivers in order, each packet once, and after its first loss nothing
//! more, as TCP does. A partition holds packets up; a break loses them. Which byte of a message a
//! break hits makes no difference: a message that is not whole is not delivered.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use parvi::base::{Range, Time};
use parvi::logic::ledger::Knock;
use parvi::logic::shares::OwnerKey;
use parvi::wire::Message;

/// A connection, never used again.
pub type ConnId = u64;

/// What a connection is for.
#[derive(Debug, Clone)]
pub enum Purpose {
    /// A lane of the download `order`, in its try number `run`.
    Lane { order: usize, run: u64, key: OwnerKey },
    /// A call: what is left to be asked after.
    Call { left: VecDeque<Knock>, heard: bool },
}

/// What travels.
#[derive(Debug, Clone)]
pub enum Packet {
    Message(Message),
    /// Bytes of a run; the last of them complete it.
    Bytes {
        items: Range,
        len: u64,
        last: bool,
        /// Whether they are what they should be.
        right: bool,
    },
    /// The other end has closed.
    Closed,
}

/// Which end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Dialler,
    Acceptor,
}

impl Side {
    pub fn other(self) -> Side {
        match self {
            Side::Dialler => Side::Acceptor,
            Side::Acceptor => Side::Dialler,
        }
    }
}

/// One end.
#[derive(Debug)]
pub struct End {
    pub node: usize,
    /// The life of the node's process in which the connection was made.
    pub life: u64,
    pub open: bool,
    pub inbox: VecDeque<(Time, Packet)>,
}

/// A connection.
#[derive(Debug)]
pub struct Conn {
    pub purpose: Purpose,
    ends: [End; 2],
}

impl Conn {
    pub fn end(&self, side: Side) -> &End {
        &self.ends[side as usize]
    }

    pub fn end_mut(&mut self, side: Side) -> &mut End {
        &mut self.ends[side as usize]
    }

    pub fn is_dead(&self) -> bool {
        self.ends.iter().all(|end| !end.open)
    }
}

/// All connections and what is held up.
#[derive(Debug, Default)]
pub struct Network {
    pub conns: BTreeMap<ConnId, Conn>,
    made: ConnId,
    /// Pairs between which nothing passes; `None` is the tracker.
    parted: BTreeSet<(usize, Option<usize>)>,
}

impl Network {
    /// A connection between two processes, by node and life.
    pub fn connect(&mut self, from: (usize, u64), to: (usize, u64), purpose: Purpose) -> ConnId {
        let end = |(node, life)| End { node, life, open: true, inbox: VecDeque::new() };
        self.made += 1;
        self.conns.insert(self.made, Conn { purpose, ends: [end(from), end(to)] });
        self.made
    }

    /// Queues a packet for `to`, to arrive at `at` or behind those before it; says when.
    pub fn push(&mut self, conn: ConnId, to: Side, at: Time, packet: Packet) -> Time {
        let Some(conn) = self.conns.get_mut(&conn) else { return at };
        let inbox = &mut conn.end_mut(to).inbox;
        let at = inbox.back().map_or(at, |(last, _)| at.max(*last));
        inbox.push_back((at, packet));
        at
    }

    /// The next packet for this end that has arrived.
    pub fn pop(&mut self, conn: ConnId, side: Side, now: Time) -> Option<Packet> {
        let end = self.conns.get_mut(&conn)?.end_mut(side);
        let due = end.open && end.inbox.front().is_some_and(|(at, _)| *at <= now);
        if due { end.inbox.pop_front().map(|(_, packet)| packet) } else { None }
    }

    /// Forgets connections that both ends have closed.
    pub fn sweep(&mut self) {
        self.conns.retain(|_, conn| !conn.is_dead());
    }

    /// Parts two, or joins them again.
    pub fn part(&mut self, a: usize, b: Option<usize>, parted: bool) {
        let pair = pair(a, b);
        if parted {
            self.parted.insert(pair);
        } else {
            self.parted.remove(&pair);
        }
    }

    pub fn join_all(&mut self) {
        self.parted.clear();
    }

    pub fn is_parted(&self, a: usize, b: Option<usize>) -> bool {
        self.parted.contains(&pair(a, b))
    }

    /// The ends that `node` has in connections, by which side.
    pub fn ends_of(&self, node: usize) -> Vec<(ConnId, Side)> {
        let mut all = Vec::new();
        for (id, conn) in &self.conns {
            for side in [Side::Dialler, Side::Acceptor] {
                if conn.end(side).node == node && conn.end(side).open {
                    all.push((*id, side));
                }
            }
        }
        all
    }
}

fn pair(a: usize, b: Option<usize>) -> (usize, Option<usize>) {
    match b {
        Some(b) if b < a => (b, Some(a)),
        _ => (a, b),
    }
}
