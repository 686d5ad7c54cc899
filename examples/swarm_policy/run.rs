//! The event loop: begins, departures, ticks, and the bytes on the lines.
//!
//! How it ends: when every requester that stays is done, or after `GIVE_UP` times the bound.

use std::time::Duration;

use parvi::base::{Bitmap, PeerInfo, Time};
use parvi::logic::items::Items;
use parvi::logic::owners::Owners;
use parvi::logic::shares::{Shares, TICK};
use parvi::wire::Message;

use crate::net::{Dice, Event, Piece, Queue};
use crate::node::{Conn, ConnId, Node};
use crate::plan::{Outcome, Plan};

/// After so many times the bound a run is given up.
const GIVE_UP: f64 = 50.0;
/// Pieces of a connection on their way, besides what the latency holds: a socket's buffers.
const PIECES_ON_WAY: u64 = 4;
/// A search asks the tracker and then the owners: round trips, with their handshakes.
const SEARCH_LEGS: u32 = 14;
/// Most owners that a search brings.
const FOUND_MAX: usize = 64;

/// All of it.
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) items: Items,
    pub(crate) queue: Queue,
    pub(crate) nodes: Vec<Node>,
    conns: Vec<Option<Box<Conn>>>,
    pub(crate) dice: Dice,
    pub(crate) outcome: Outcome,
    /// Who has the whole file and is there.
    full: Vec<usize>,
    /// Who is to be waited for.
    awaited: usize,
}

/// Plays the plan; `None` when a node cannot be named.
pub(crate) fn run(plan: &Plan) -> Option<Outcome> {
    let mut world = World::new(plan.clone())?;
    world.begin_all();
    let end = Time::ZERO + Duration::from_secs_f64(plan.bound_of_all() * GIVE_UP);
    while world.awaited > 0 && world.queue.now < end {
        let Some(event) = world.queue.pop() else { break };
        world.step(event);
    }
    Some(world.ended())
}

impl World {
    fn new(plan: Plan) -> Option<World> {
        let items = plan.items();
        let mut dice = Dice::new(plan.seed);
        let nodes: Option<Vec<Node>> = (0..plan.sources + plan.nodes)
            .map(|n| Node::new(n, plan.rate(n), items.count(), &mut dice))
            .collect();
        Some(World {
            items,
            queue: Queue::default(),
            nodes: nodes?,
            conns: Vec::new(),
            dice,
            outcome: Outcome::default(),
            full: Vec::new(),
            awaited: 0,
            plan,
        })
    }

    /// The sources are full; requesters come within 50 ms of each other, as people do not.
    fn begin_all(&mut self) {
        for n in 0..self.nodes.len() {
            if n < self.plan.sources {
                self.nodes[n].is_full = true;
                self.full.push(n);
                continue;
            }
            let start = TICK.mul_f64(self.dice.below(1_000) as f64 / 1_000.0);
            let late = if self.plan.comes_late(n) { self.plan.middle() } else { Duration::ZERO };
            self.queue.after(start + late, Event::Begin(n));
            if self.plan.leaves(n) {
                self.queue.after(self.plan.middle() + start, Event::Depart(n));
            } else {
                self.awaited += 1;
            }
        }
    }

    fn step(&mut self, event: Event) {
        match event {
            Event::Begin(n) => self.begin(n),
            Event::Depart(n) => self.depart(n),
            Event::Tick(n) => self.tick(n),
            Event::Found(n) => self.search_over(n),
            Event::Open(dial) => self.open(dial),
            Event::Refused(dial, why) => self.refused(dial, why),
            Event::ToRequester(conn, message) => self.requester_hears(conn, *message),
            Event::ToOwner(conn, message) => self.owner_hears(conn, &message),
            Event::LostOwner(conn) => self.owner_lost(conn),
            Event::LostRequester(conn) => self.requester_lost(conn),
            Event::Turn(conn) => self.write(conn),
            Event::Out(n) => self.out(n),
            Event::Piece(piece) => self.piece(piece),
        }
    }

    fn begin(&mut self, n: usize) {
        let now = self.queue.now;
        let sources: Vec<PeerInfo> =
            self.nodes[..self.plan.sources].iter().map(|node| node.info.clone()).collect();
        let salt = self.dice.throw();
        let node = &mut self.nodes[n];
        node.begun = now;
        node.shares = Some(Shares::new(self.items.clone(), Bitmap::none(self.items.count())));
        node.owners = Some(Owners::new(now, salt, sources));
        self.start_lanes(n);
        self.queue.after(TICK, Event::Tick(n));
    }

    /// What the supervisor does every `TICK`.
    fn tick(&mut self, n: usize) {
        let now = self.queue.now;
        let random = self.dice.throw();
        let node = &mut self.nodes[n];
        if !node.is_fetching() {
            return;
        }
        let (Some(shares), Some(owners)) = (&mut node.shares, &mut node.owners) else { return };
        let is_connected = node.lanes.values().any(|lane| lane.conn.is_some());
        let actions = if is_connected { shares.on_tick(now) } else { Vec::new() };
        if owners.search_due(now, random) {
            self.queue.after(self.plan.latency * SEARCH_LEGS, Event::Found(n));
        }
        self.carry_out(n, actions);
        self.start_lanes(n);
        self.queue.after(TICK, Event::Tick(n));
    }

    /// The index of a node has whole files only: a search finds who is done.
    fn search_over(&mut self, n: usize) {
        let mut found: Vec<PeerInfo> = Vec::new();
        let first = self.dice.below(self.full.len());
        for at in 0..self.full.len().min(FOUND_MAX) {
            let peer = self.full[(first + at) % self.full.len()];
            found.push(self.nodes[peer].info.clone());
        }
        self.found(n, found, true);
    }

    /// A node is gone for good, as if its plug were pulled out: others hear of it at once.
    fn depart(&mut self, n: usize) {
        let latency = self.plan.latency;
        let node = &mut self.nodes[n];
        node.is_gone = true;
        node.shares = None;
        node.owners = None;
        let lanes = std::mem::take(&mut node.lanes);
        let members = std::mem::take(&mut node.members);
        self.full.retain(|full| *full != n);
        for conn in lanes.values().filter_map(|lane| lane.conn) {
            self.queue.after(latency, Event::LostRequester(conn));
        }
        for conn in members.into_keys() {
            self.queue.after(latency, Event::LostOwner(conn));
        }
    }

    /// A requester has everything: it says so, and from now on only serves.
    pub(crate) fn complete(&mut self, n: usize) {
        let node = &mut self.nodes[n];
        node.is_full = true;
        node.done = Some(self.queue.now);
        node.shares = None;
        node.owners = None;
        let lanes = std::mem::take(&mut node.lanes);
        for conn in lanes.values().filter_map(|lane| lane.conn) {
            self.tell_owner(conn, parvi::wire::message::transfer::Done.into());
        }
        self.full.push(n);
        if !self.plan.leaves(n) {
            self.awaited -= 1;
        }
    }

    pub(crate) fn conn(&mut self, id: ConnId) -> Option<&mut Conn> {
        self.conns.get_mut(id).and_then(|conn| conn.as_deref_mut())
    }

    pub(crate) fn connect(&mut self, conn: Conn) -> ConnId {
        self.conns.push(Some(Box::new(conn)));
        self.conns.len() - 1
    }

    pub(crate) fn disconnect(&mut self, id: ConnId) -> Option<Box<Conn>> {
        self.conns.get_mut(id).and_then(Option::take)
    }

    /// A message of an owner; it comes behind what went before on the same connection.
    pub(crate) fn tell_requester(&mut self, id: ConnId, message: Message) {
        let at = self.queue.now + self.plan.latency;
        let Some(conn) = self.conn(id) else { return };
        let at = at.max(conn.arrives);
        conn.arrives = at;
        self.count(&message);
        self.queue.push(at, Event::ToRequester(id, Box::new(message)));
    }

    /// A message of a requester.
    pub(crate) fn tell_owner(&mut self, id: ConnId, message: Message) {
        self.count(&message);
        self.queue.after(self.plan.latency, Event::ToOwner(id, Box::new(message)));
    }

    pub(crate) fn count(&mut self, message: &Message) {
        let bytes = message.to_frame().map_or(0, |frame| frame.len() as u64);
        let (count, sum) = self.outcome.said.entry(message.kind()).or_default();
        (*count, *sum) = (*count + 1, *sum + bytes);
    }

    /// The connection has bytes to send: it gets its turn, unless too much is on the way.
    pub(crate) fn enqueue(&mut self, id: ConnId) {
        let (latency, piece) = (self.plan.latency, self.plan.piece);
        let Some(conn) = self.conns.get_mut(id).and_then(|conn| conn.as_deref_mut()) else {
            return;
        };
        let owner = conn.dial.owner;
        let rate = self.nodes[owner].line.rate.min(self.nodes[conn.dial.requester].line.rate);
        let most = PIECES_ON_WAY * piece + (rate * latency.as_secs_f64()) as u64;
        if conn.sending.is_some() && !conn.is_queued && conn.in_flight < most {
            conn.is_queued = true;
            self.nodes[owner].line.turns.push_back(id);
            self.kick(owner);
        }
    }

    /// The uplink sends the next piece, if it is free.
    fn kick(&mut self, n: usize) {
        if self.nodes[n].line.out.is_some() || self.nodes[n].is_gone {
            return;
        }
        while let Some(id) = self.nodes[n].line.turns.pop_front() {
            let most = self.plan.piece;
            let Some((_, left)) = self.conn(id).and_then(|conn| conn.sending) else { continue };
            let bytes = most.min(left);
            let line = &mut self.nodes[n].line;
            line.out = Some((id, bytes));
            let takes = line.takes(bytes);
            self.queue.after(takes, Event::Out(n));
            return;
        }
    }

    /// A piece is out.
    fn out(&mut self, n: usize) {
        let Some((id, bytes)) = self.nodes[n].line.out.take() else { return };
        self.nodes[n].line.sent += bytes;
        let at = self.queue.now + self.plan.latency;
        if let Some(conn) = self.conns.get_mut(id).and_then(|conn| conn.as_deref_mut())
            && let Some((run, left)) = conn.sending
        {
            let requester = conn.dial.requester;
            let last = left == bytes;
            conn.sending = (!last).then(|| (run, left - bytes));
            conn.in_flight += bytes;
            conn.is_queued = false;
            let at = self.nodes[requester].line.take(at, bytes);
            conn.arrives = at;
            self.queue.push(at, Event::Piece(Piece { conn: id, requester, bytes, last }));
            if last {
                conn.upload.on_sent(run);
                let bytes = self.items.bytes(run);
                self.nodes[n].turns.over(self.queue.now, id as u64, bytes);
                self.write(id);
                self.wake_granted(n);
            } else {
                self.enqueue(id);
            }
        }
        self.kick(n);
    }

    /// Bytes are at the requester; the connection may have gone meanwhile.
    fn piece(&mut self, piece: Piece) {
        if let Some(conn) = self.conn(piece.conn) {
            conn.in_flight -= piece.bytes;
            self.enqueue(piece.conn);
        }
        self.bytes_arrived(piece);
    }

    fn ended(mut self) -> Outcome {
        let sources = self.plan.sources;
        let mut out = std::mem::take(&mut self.outcome);
        for (n, node) in self.nodes.iter().enumerate().skip(sources) {
            out.twice += node.twice;
            if self.plan.leaves(n) {
                continue;
            }
            let Some(done) = node.done else {
                out.unfinished += 1;
                continue;
            };
            let slow = self.plan.is_slow(n);
            out.times.push((done.since(node.begun).as_secs_f64(), slow));
            let since = done.since(Time::ZERO).as_secs_f64();
            out.makespan = out.makespan.max(since);
            out.fast = if slow { out.fast } else { out.fast.max(since) };
        }
        out.first_sent = self.nodes[..sources].iter().map(|node| node.line.sent).sum();
        out.events = self.queue.made();
        out
    }
}
