//! What nodes do with connections: dial, send, close, and hear that the other has.

use std::time::Duration;

use parvi::base::Time;
use parvi::logic::ledger::{Lost, Met};
use parvi::logic::owners::Standing;
use parvi::wire::Message;

use crate::event::Event;
use crate::network::{ConnId, Packet, Purpose, Side};
use crate::node::State;
use crate::world::World;

/// How long a dial waits for an answer.
const DIAL_TIME: Duration = Duration::from_secs(5);

impl World {
    /// The node of this end, if its process is the one that made the connection.
    pub fn node_of(&self, conn: ConnId, side: Side) -> Option<usize> {
        let end = self.net.conns.get(&conn)?.end(side);
        let node = &self.nodes[end.node];
        (end.open && node.life == end.life && node.process.is_some()).then_some(end.node)
    }

    fn latency(&self, a: usize, b: usize) -> Duration {
        self.plan.latency[a][b]
    }

    /// Begins to connect: three times over the way, then both know each other.
    pub fn dial(&mut self, from: usize, to: usize, purpose: Purpose) {
        let (node, life, until) = (from, self.nodes[from].life, self.now + DIAL_TIME);
        let wait = self.latency(from, to);
        let parted = from == to || self.net.is_parted(from, Some(to));
        if self.nodes[to].state == State::Ended && !parted {
            self.after(wait * 2, Event::DialFailed { node, life, purpose });
        } else {
            self.after(wait * 3, Event::Dialled { node, life, to, purpose, until });
        }
    }

    /// A dial has been answered, unless something came between. The system of a process that stands
    /// still takes connections for it, and a system tries again what got no answer.
    pub fn on_dialled(&mut self, from: usize, to: usize, purpose: Purpose, until: Time) {
        let later = matches!(self.nodes[to].state, State::Paused | State::Dark)
            || self.net.is_parted(from, Some(to));
        if later && self.now < until {
            let (node, life) = (from, self.nodes[from].life);
            let wait = Duration::from_millis(100);
            return self.after(wait, Event::Dialled { node, life, to, purpose, until });
        }
        if !self.reaches(from, to) {
            return self.on_dial_failed(from, purpose);
        }
        let (life, other) = (self.nodes[from].life, self.nodes[to].life);
        let conn = self.net.connect((from, life), (to, other), purpose.clone());
        match purpose {
            Purpose::Lane { order, run, key } => self.lane_connected(from, conn, order, run, key),
            Purpose::Call { .. } => self.call_connected(conn),
        }
    }

    pub fn on_dial_failed(&mut self, from: usize, purpose: Purpose) {
        match purpose {
            Purpose::Lane { order, run, key } => {
                let how = Standing::Lost("no answer".into());
                self.lane_ended(from, (order, run, key), how);
            }
            Purpose::Call { left, .. } => self.call_over(from, left, Met::Nobody),
        }
    }

    /// Sends a message now.
    pub fn say(&mut self, conn: ConnId, from: Side, message: Message) {
        self.send_at(self.now, conn, from, Packet::Message(message));
    }

    /// The same over a line that nothing ever slows down.
    pub fn say_steadily(&mut self, conn: ConnId, from: Side, message: Message) {
        let Some(known) = self.net.conns.get(&conn) else { return };
        let (here, there) = (known.end(from), known.end(from.other()));
        if here.open && there.open {
            let at = self.now + self.latency(here.node, there.node);
            let arrives = self.net.push(conn, from.other(), at, Packet::Message(message));
            self.at(arrives, Event::Arrive { conn, side: from.other() });
        }
    }

    /// Sends something that leaves at `at`.
    pub fn send_at(&mut self, at: Time, conn: ConnId, from: Side, packet: Packet) {
        let Some(known) = self.net.conns.get(&conn) else { return };
        let (here, there) = (known.end(from), known.end(from.other()));
        if !here.open {
            return;
        }
        let wait = self.latency(here.node, there.node);
        // Now and then a packet is lost and sent again, or a thread is not woken for a while.
        let slow = match self.dice.below(100) {
            0..=1 => 3_000,
            2..=6 => 400,
            _ => 5,
        };
        let jitter = self.dice.millis(0, slow);
        if there.open {
            let arrives = self.net.push(conn, from.other(), at + wait + jitter, packet);
            self.at(arrives, Event::Arrive { conn, side: from.other() });
        } else if self.nodes[there.node].state != State::Dark
            && !self.net.is_parted(here.node, Some(there.node))
        {
            // The other system knows nothing of this connection, and says so.
            self.at(at + wait * 2, Event::Broken { conn, side: from });
        }
    }

    /// Closes this end; what was sent before still arrives.
    pub fn close(&mut self, conn: ConnId, side: Side) {
        self.send_at(self.now, conn, side, Packet::Closed);
        if let Some(conn) = self.net.conns.get_mut(&conn) {
            conn.end_mut(side).open = false;
        }
    }

    /// Something may have arrived.
    pub fn on_arrive(&mut self, conn: ConnId, side: Side) {
        let Some(known) = self.net.conns.get(&conn) else { return };
        let (here, there) = (known.end(side).node, known.end(side.other()).node);
        while !self.net.is_parted(here, Some(there)) && self.nodes[here].state == State::Up {
            let Some(packet) = self.net.pop(conn, side, self.now) else { return };
            self.hear(conn, side, packet);
        }
    }

    fn hear(&mut self, conn: ConnId, side: Side, packet: Packet) {
        let Some(node) = self.node_of(conn, side) else { return };
        let known = &self.net.conns[&conn];
        let (purpose, other) = (known.purpose.clone(), known.end(side.other()).node);
        match (side, purpose, packet) {
            (_, _, Packet::Closed) => self.on_broken(conn, side),
            (Side::Dialler, Purpose::Lane { order, run, key }, packet) => {
                self.hear_owner(node, conn, (order, run, key), packet);
            }
            (Side::Dialler, Purpose::Call { .. }, Packet::Message(Message::Knocked(answer))) => {
                self.knock_answered(node, conn, answer);
            }
            (Side::Acceptor, _, Packet::Message(Message::Open(open))) => {
                self.on_open(node, conn, other, &open);
            }
            (Side::Acceptor, _, Packet::Message(Message::Knock(knock))) => {
                let answer = self.knocked(node, other, &knock);
                self.say(conn, side, answer.into());
            }
            (Side::Acceptor, _, Packet::Message(message)) => {
                self.hear_requester(node, conn, message);
            }
            (_, _, packet) => self.oracle.fail(format!("I6: {packet:?} on a wrong connection")),
        }
    }

    /// This end learns that the connection is gone.
    pub fn on_broken(&mut self, conn: ConnId, side: Side) {
        let Some(node) = self.node_of(conn, side) else { return };
        let known = self.net.conns.get_mut(&conn).expect("it is known");
        known.end_mut(side).open = false;
        let purpose = known.purpose.clone();
        match (side, purpose) {
            (Side::Acceptor, _) => self.end_serving(node, conn, Lost::Broken),
            (Side::Dialler, Purpose::Lane { order, run, key }) => {
                self.lane_ended(node, (order, run, key), Standing::Lost("broken".into()));
            }
            (Side::Dialler, Purpose::Call { left, heard }) => {
                self.call_over(node, left, if heard { Met::Answered } else { Met::Mute });
            }
        }
    }

    /// This end closes by itself: an old attempt's, or a call without an answer.
    pub fn on_hang(&mut self, conn: ConnId, side: Side) {
        self.send_at(self.now, conn, side, Packet::Closed);
        self.on_broken(conn, side);
    }

    /// What was held up between two arrives.
    pub fn release(&mut self, is_between: impl Fn(usize, usize) -> bool) {
        let mut waiting = Vec::new();
        for (conn, known) in &self.net.conns {
            for side in [Side::Dialler, Side::Acceptor] {
                let (here, there) = (known.end(side), known.end(side.other()));
                if is_between(here.node, there.node) && !here.inbox.is_empty() {
                    waiting.push((*conn, side));
                }
                // A close that did not come through is told by the next word, or a keepalive.
                if is_between(here.node, there.node)
                    && here.open
                    && !there.open
                    && here.inbox.is_empty()
                {
                    waiting.push((*conn, side));
                }
            }
        }
        for (conn, side) in waiting {
            // Which of the threads that were held up goes on first is chance.
            let slow = if self.dice.chance(20) { 3_000 } else { 200 };
            let wait = self.dice.millis(0, slow);
            self.after(wait, Event::Arrive { conn, side });
        }
    }
}
