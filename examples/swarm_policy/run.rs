//! The event loop: begins, departures, ticks, and the bytes on the lines.
//!
//! How it ends: when every requester that stays is done, or after `GIVE_UP` times the bound.

use std::time::Duration;

use parvi::base::{Bitmap, PeerInfo, Time};
use parvi::logic::items::Items;
use parvi::logic::owners::Owners;
use parvi::logic::shares::{Shares, TICK};
use parvi::logic::turns::Turns;
use parvi::wire::Message;

use crate::net::{Dice, Event, Line, Piece, Queue};
use crate::node::{Conn, ConnId, Dial, LANES_MAX, Machine, Node};
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
    /// Of each file.
    pub(crate) items: Vec<Items>,
    pub(crate) queue: Queue,
    pub(crate) machines: Vec<Machine>,
    pub(crate) nodes: Vec<Node>,
    conns: Vec<Option<Box<Conn>>>,
    pub(crate) dice: Dice,
    pub(crate) outcome: Outcome,
    /// Who has the whole of each file and is there.
    full: Vec<Vec<usize>>,
    /// Who is to be waited for.
    awaited: usize,
}

/// Plays the plan; `None` when a node cannot be named.
pub(crate) fn run(plan: &Plan) -> Option<Outcome> {
    let mut world = World::new(plan.clone())?;
    world.begin_all();
    let end = Time::ZERO
        + Duration::from_secs_f64(plan.bound_of_all() * GIVE_UP * plan.files().len() as f64);
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
        let nodes: Option<Vec<Node>> = plan
            .parts()
            .into_iter()
            .enumerate()
            .map(|(n, part)| Node::new(n, part, items[part.file].count(), &mut dice))
            .collect();
        let machine =
            |n| Machine { line: Line::new(plan.rate(n)), served: 0, turns: Turns::default() };
        Some(World {
            full: vec![Vec::new(); items.len()],
            items,
            queue: Queue::default(),
            machines: (0..plan.machines()).map(machine).collect(),
            nodes: nodes?,
            conns: Vec::new(),
            dice,
            outcome: Outcome::default(),
            awaited: 0,
            plan,
        })
    }

    /// The sources are full; requesters come within 50 ms of each other, as people do not.
    fn begin_all(&mut self) {
        for n in 0..self.nodes.len() {
            let Node { machine, file, .. } = self.nodes[n];
            if machine < self.plan.sources {
                self.nodes[n].is_full = true;
                self.full[file].push(n);
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
        let file = self.nodes[n].file;
        let first = self.nodes.iter().filter(|node| node.file == file).take(self.plan.sources);
        let sources: Vec<PeerInfo> = first.map(|node| node.info.clone()).collect();
        let salt = self.dice.throw();
        let node = &mut self.nodes[n];
        node.begun = now;
        node.shares =
            Some(Shares::new(self.items[file].clone(), Bitmap::none(self.items[file].count())));
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
        let is_full = node.lanes.len() >= LANES_MAX;
        let least = if is_full && owners.exchange_due(now) { shares.least(now) } else { None };
        self.carry_out(n, actions);
        if let Some(key) = least {
            self.exchange_lane(n, key);
        }
        self.start_lanes(n);
        self.queue.after(TICK, Event::Tick(n));
    }

    /// The index of a node has whole files only: a search finds who is done.
    fn search_over(&mut self, n: usize) {
        let mut found: Vec<PeerInfo> = Vec::new();
        let full = &self.full[self.nodes[n].file];
        let first = self.dice.below(full.len());
        for at in 0..full.len().min(FOUND_MAX) {
            let peer = full[(first + at) % full.len()];
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
        self.machines[node.machine].served -= members.len();
        self.full[node.file].retain(|full| *full != n);
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
        let (file, lanes) = (node.file, std::mem::take(&mut node.lanes));
        for conn in lanes.values().filter_map(|lane| lane.conn) {
            self.tell_owner(conn, parvi::wire::message::transfer::Done.into());
        }
        self.full[file].push(n);
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
        let at = |n: usize| self.nodes[n].machine;
        let (from, to) = (at(owner), at(conn.dial.requester));
        let rate = self.machines[from].line.rate.min(self.machines[to].line.rate);
        let most = PIECES_ON_WAY * piece + (rate * latency.as_secs_f64()) as u64;
        if conn.sending.is_some() && !conn.is_queued && conn.in_flight < most {
            conn.is_queued = true;
            self.machines[from].line.turns.push_back(id);
            self.kick(from);
        }
    }

    /// A machine's uplink sends the next piece, if it is free.
    fn kick(&mut self, n: usize) {
        if self.machines[n].line.out.is_some() {
            return;
        }
        while let Some(id) = self.machines[n].line.turns.pop_front() {
            let most = self.plan.piece;
            let Some(conn) = self.conn(id) else { continue };
            let (owner, sending) = (conn.dial.owner, conn.sending);
            let Some((_, left)) = sending.filter(|_| !self.nodes[owner].is_gone) else { continue };
            let bytes = most.min(left);
            let line = &mut self.machines[n].line;
            line.out = Some((id, bytes));
            let takes = line.takes(bytes);
            self.queue.after(takes, Event::Out(n));
            return;
        }
    }

    /// A piece is out.
    fn out(&mut self, n: usize) {
        let Some((id, bytes)) = self.machines[n].line.out.take() else { return };
        self.machines[n].line.sent += bytes;
        let at = self.queue.now + self.plan.latency;
        if let Some(conn) = self.conns.get_mut(id).and_then(|conn| conn.as_deref_mut())
            && let Some((run, left)) = conn.sending
        {
            let Dial { requester, owner, .. } = conn.dial;
            let last = left == bytes;
            conn.sending = (!last).then(|| (run, left - bytes));
            conn.in_flight += bytes;
            conn.is_queued = false;
            let at = self.machines[self.nodes[requester].machine].line.take(at, bytes);
            conn.arrives = at;
            self.queue.push(at, Event::Piece(Piece { conn: id, requester, bytes, last }));
            if last {
                conn.upload.on_sent(run);
                let bytes = conn.upload.items().bytes(run);
                let (now, set) = (self.queue.now, self.nodes[owner].set());
                self.machines[n].turns.over(now, &set, id as u64, bytes);
                self.write(id);
                self.wake_granted(owner);
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
        let mut out = std::mem::take(&mut self.outcome);
        out.files = vec![0.0; self.items.len()];
        for (n, node) in self.nodes.iter().enumerate() {
            if node.machine < self.plan.sources {
                continue;
            }
            out.twice += node.twice;
            if self.plan.leaves(n) {
                continue;
            }
            let Some(done) = node.done else {
                out.unfinished += 1;
                continue;
            };
            let since = done.since(Time::ZERO).as_secs_f64();
            out.files[node.file] = since.max(out.files[node.file]);
            if node.file > 0 {
                continue;
            }
            let slow = self.plan.is_slow(n);
            out.times.push((done.since(node.begun).as_secs_f64(), slow));
            out.makespan = out.makespan.max(since);
            out.fast = if slow { out.fast } else { out.fast.max(since) };
        }
        let first = &self.machines[..self.plan.sources];
        out.first_sent = first.iter().map(|machine| machine.line.sent).sum();
        out.events = self.queue.made();
        out
    }
}
