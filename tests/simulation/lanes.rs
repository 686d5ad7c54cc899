//! The connections of a fetch: what `node/fetch/lane` does with threads, here with events.

use parvi::base::Range;
use parvi::base::limits::HEADER_TIME_MAX;
use parvi::logic::owners::Standing;
use parvi::logic::shares::{Action, DropReason, OwnerKey, Verdict};
use parvi::wire::message::tracker::{Refused, Why};
use parvi::wire::message::transfer::{Ack, Chunk, Open, Set, Skip, Want};
use parvi::wire::{List, Message};

use crate::event::Event;
use crate::fetching::Fetch;
use crate::network::{ConnId, Packet, Purpose, Side};
use crate::store;
use crate::tracker::id;
use crate::world::World;

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
        let Some(fetch) = self.fetch(node, order, run) else {
            return self.close(conn, Side::Dialler);
        };
        let Some(lane) = fetch.lanes.get_mut(&key) else { return };
        let owner = lane.node;
        match packet {
            Packet::Message(Message::Opened(opened)) => {
                lane.attempt = opened.attempt;
                fetch.owners.connected_to(id(owner));
                let actions = fetch.shares.on_opened(local, key, id(owner), opened.have);
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
                let verdict = fetch.begin_run(local, key, &chunk);
                if verdict == Verdict::Violation {
                    self.oracle
                        .fail(format!("{node} takes the honest owner {owner} for a violator"));
                }
            }
            Packet::Bytes { items, len, last } => {
                fetch.shares.on_bytes(local, key, len);
                if last {
                    self.keep(node, conn, (order, run, key), items);
                }
            }
            Packet::Message(other) => {
                self.oracle.fail(format!("{node} hears {:?} from {owner}", other.kind()));
            }
            Packet::Closed => {
                let standing = Standing::Lost("closed".into());
                return self.lane_over(node, conn, (order, run, key), standing);
            }
        }
        let useless =
            self.fetch(node, order, run).is_some_and(|fetch| fetch.shares.is_useless(key));
        if useless {
            let standing = Standing::NotHere("it has nothing of what is missing".into());
            self.lane_over(node, conn, (order, run, key), standing);
        }
    }

    /// A run is here: verified, written, acknowledged.
    fn keep(
        &mut self,
        node: usize,
        conn: ConnId,
        (order, run, key): (usize, u64, OwnerKey),
        items: Range,
    ) {
        let local = self.local(node);
        let disk = self.nodes[node].files.clone();
        let Some(fetch) = self.fetch(node, order, run) else { return };
        let Some(lane) = fetch.lanes.get_mut(&key) else { return };
        let owner = lane.node;
        let Some((began, verdict)) = lane.run.take() else { return };
        assert_eq!(began, items, "a run ends as it began");
        let (mut actions, mut fresh) = (Vec::new(), 0);
        if verdict == Verdict::Take && !fetch.publishing {
            fresh =
                items.iter().filter(|item| !fetch.shares.verified().contains(*item)).count() as u32;
            let place = |item: u32| match &fetch.set {
                Set::File(_) => (fetch.files[0], item),
                Set::Batch(_) => (fetch.files[item as usize], 0),
            };
            for item in items.iter() {
                let (file, chunk) = place(item);
                if store::write_chunk(&disk, file, chunk).is_err() {
                    fetch.disk_error = true;
                    let standing = Standing::Lost("the disk".into());
                    return self.lane_over(node, conn, (order, run, key), standing);
                }
            }
            fetch.owners.useful(id(owner));
            actions = fetch.shares.on_verified(local, key, items);
        }
        self.oracle.arrived(order, items, fresh);
        self.say(conn, Side::Dialler, Ack { items: List::of(vec![items]) }.into());
        self.carry_out(node, order, run, actions);
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
                    if reason != DropReason::Stalled {
                        self.oracle.fail(format!("{node} drops an honest owner: {reason:?}"));
                    }
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
        _ => Standing::NotHere(refused.text.shown()),
    }
}
