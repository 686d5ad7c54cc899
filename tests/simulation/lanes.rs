//! The connections of a fetch: what `node/fetch/lane` does with threads, here with events.

use parvi::base::limits::HEADER_TIME_MAX;
use parvi::logic::owners::Standing;
use parvi::logic::shares::{Action, DropReason, OwnerKey, Verdict};
use parvi::wire::message::tracker::{Refused, Why};
use parvi::wire::message::transfer::{Chunk, Open, Skip, Want};
use parvi::wire::{List, Message};

use crate::event::Event;
use crate::fetching::Fetch;
use crate::network::{ConnId, Packet, Purpose, Side};
use crate::swarm;
use crate::tracker::id;
use crate::world::{Sabotage, World};

impl World {
    /// A lane has its connection.
    pub fn lane_connected(
        &mut self,
        node: usize,
        conn: ConnId,
        order: usize,
        run: u64,
        key: OwnerKey,
    ) {
        let Some(fetch) = self.fetch(node, order, run) else {
            return self.close(conn, Side::Dialler);
        };
        let set = fetch.set.clone();
        let Some(lane) = fetch.lanes.get_mut(&key) else { return self.close(conn, Side::Dialler) };
        lane.conn = Some(conn);
        self.say(conn, Side::Dialler, Open { set, resumable: true }.into());
        self.after(HEADER_TIME_MAX, Event::AnswerDue { conn });
    }

    /// An owner that has not answered by now is given up.
    pub fn on_answer_due(&mut self, conn: ConnId) {
        let Some(node) = self.node_of(conn, Side::Dialler) else { return };
        let Purpose::Lane { order, run, key } = self.net.conns[&conn].purpose else { return };
        let Some(fetch) = self.fetch(node, order, run) else { return };
        if fetch.lanes.get(&key).is_some_and(|lane| lane.attempt == 0) {
            let standing = Standing::Lost("no answer".into());
            self.lane_over(node, conn, (order, run, key), standing);
        }
    }

    /// What the owner says, as `Lane::take` takes it.
    pub fn hear_owner(
        &mut self,
        node: usize,
        conn: ConnId,
        (order, run, key): (usize, u64, OwnerKey),
        packet: Packet,
    ) {
        let local = self.local(node);
        let talk_counts = self.sabotage == Sabotage::TalkCounts;
        let Some(fetch) = self.fetch(node, order, run) else {
            return self.close(conn, Side::Dialler);
        };
        let Some(lane) = fetch.lanes.get_mut(&key) else { return };
        let owner = lane.node;
        match packet {
            Packet::Message(Message::Opened(opened)) => {
                lane.attempt = opened.attempt;
                fetch.owners.connected_to(id(owner));
                let offer = (opened.have, opened.grows);
                let actions = fetch.shares.on_opened(local, key, id(owner), offer);
                self.say(conn, Side::Dialler, swarm::serving(node));
                let round_trip = self.plan.latency[node][owner] * 2;
                if let Some(fetch) = self.fetch(node, order, run) {
                    fetch.shares.on_distance(key, round_trip);
                }
                self.carry_out(node, order, run, actions);
            }
            Packet::Message(Message::Refused(refused)) => {
                let standing = standing(&refused);
                return self.lane_over(node, conn, (order, run, key), standing);
            }
            Packet::Message(Message::Next(next)) => {
                let actions = fetch.shares.on_next(local, key, next.items);
                self.carry_out(node, order, run, actions);
            }
            Packet::Message(Message::Chunk(chunk)) => {
                if fetch.begin_run(local, key, &chunk) == Verdict::Violation {
                    let words =
                        format!("{node} takes {owner}, who keeps the rules, for a violator");
                    self.oracle.fail(words);
                }
                if self.sabotage == Sabotage::ServedUnverified {
                    self.gained_of(node, order, run, chunk.items);
                }
            }
            Packet::Bytes { items, len, last, right } => {
                fetch.shares.on_bytes(local, key, len);
                if last {
                    self.keep(node, conn, (order, run, key), (items, right));
                }
            }
            Packet::Message(Message::Have(have)) => {
                let actions = fetch.shares.on_have(local, key, &have.items);
                if talk_counts {
                    fetch.shares.on_bytes(local, key, 0);
                }
                self.carry_out(node, order, run, actions);
            }
            Packet::Message(Message::Fetchers(fetchers)) => {
                let others = fetchers.nodes.into_vec();
                let others = others.into_iter().filter(|other| other.id != id(node));
                fetch.owners.heard(local, others.collect());
            }
            Packet::Message(Message::Stale(stale)) => {
                let actions = fetch.shares.on_stale(local, key, &stale.items);
                self.carry_out(node, order, run, actions);
            }
            Packet::Message(other) => {
                self.oracle.fail(format!("{node} hears {:?} from {owner}", other.kind()));
            }
            Packet::Closed => {
                let standing = Standing::Lost("closed".into());
                return self.lane_over(node, conn, (order, run, key), standing);
            }
        }
        let Some(fetch) = self.fetch(node, order, run) else { return };
        if fetch.shares.is_useless(key) {
            let standing = match fetch.shares.took_back(key) {
                true => Standing::Busy("it took back what it had".into()),
                false => Standing::NotHere("it has nothing of what is missing".into()),
            };
            self.lane_over(node, conn, (order, run, key), standing);
        }
    }

    pub fn carry_out(&mut self, node: usize, order: usize, run: u64, actions: Vec<Action>) {
        for action in actions {
            let (owner, message) = match action {
                Action::Want { owner, add, remove, window } => {
                    let (add, remove) = (List::of(add), List::of(remove));
                    (owner, Some(Message::from(Want { add, remove, window })))
                }
                Action::Skip { owner, items } => (owner, Some(Skip { items }.into())),
                Action::Drop { owner, reason } => {
                    self.judge_drop(node, (order, run, owner), reason);
                    (owner, None)
                }
            };
            let Some(fetch) = self.fetch(node, order, run) else { return };
            let Some(conn) = fetch.lanes.get(&owner).and_then(|lane| lane.conn) else { continue };
            match message {
                Some(message) => self.say(conn, Side::Dialler, message),
                None => {
                    let standing = Standing::Lost("it stalls".into());
                    self.lane_over(node, conn, (order, run, owner), standing);
                }
            }
        }
    }

    /// An owner is to be dropped: for wrong bytes only a liar is.
    fn judge_drop(
        &mut self,
        node: usize,
        (order, run, key): (usize, u64, OwnerKey),
        reason: DropReason,
    ) {
        let Some(fetch) = self.fetch(node, order, run) else { return };
        let Some(owner) = fetch.lanes.get(&key).map(|lane| lane.node) else { return };
        if reason == DropReason::Banned {
            fetch.owners.ban(id(owner));
        }
        self.trace(format_args!("{node} drops {owner}: {reason:?}"));
        let deserved = match reason {
            DropReason::Stalled => true,
            DropReason::Banned => self.is_liar(owner),
            DropReason::Violation => false,
        };
        if !deserved {
            self.oracle.fail(format!("{node} drops an honest owner: {reason:?}"));
        }
    }

    /// Closes a lane and forgets it.
    pub fn lane_over(
        &mut self,
        node: usize,
        conn: ConnId,
        lane: (usize, u64, OwnerKey),
        how: Standing,
    ) {
        self.close(conn, Side::Dialler);
        self.lane_ended(node, lane, how);
    }

    /// A lane's last word.
    pub fn lane_ended(
        &mut self,
        node: usize,
        (order, run, key): (usize, u64, OwnerKey),
        how: Standing,
    ) {
        let (local, random) = (self.local(node), self.dice.next());
        let Some(fetch) = self.fetch(node, order, run) else { return };
        let Some(lane) = fetch.lanes.remove(&key) else { return };
        let actions = fetch.shares.on_lost(local, key);
        fetch.owners.ended(local, id(lane.node), how, random);
        self.oracle.lane_broken(order);
        self.carry_out(node, order, run, actions);
    }
}

impl Fetch {
    fn begin_run(&mut self, local: parvi::base::Time, key: OwnerKey, chunk: &Chunk) -> Verdict {
        let verdict = self.shares.on_chunk_begun(local, key, chunk.items);
        if let Some(lane) = self.lanes.get_mut(&key) {
            lane.run = Some((chunk.items, verdict));
        }
        verdict
    }
}

fn standing(refused: &Refused) -> Standing {
    match refused.why {
        Why::Busy | Why::Stopping => Standing::Busy(refused.text.shown()),
        Why::Later => Standing::Later(refused.text.shown()),
        _ => Standing::NotHere(refused.text.shown()),
    }
}
