//! The requester's side, as `node::fetch::{supervisor, lane, set}` have it: lanes, what they hear, the
//! end of each.

use parvi::base::{PeerInfo, Range};
use parvi::logic::owners::Standing;
use parvi::logic::shares::{Action, DropReason, OwnerKey, Verdict};
use parvi::wire::message::transfer::{
    Ack, BUSY_NAMES_MAX, Content, Open, Serving, Set, Skip, Want,
};
use parvi::wire::{List, Message};

use crate::net::{Event, Piece};
use crate::node::{ConnId, Dial, LANES_MAX, Lane, Refusal, index_of};
use crate::run::World;

/// One-way trips from a dial to OPEN: TCP has two, Noise `XX` with the preambles three, of which the
/// last one brings OPEN along.
const DIAL_LEGS: u32 = 5;

impl World {
    /// A lane for every owner that is due.
    pub(crate) fn start_lanes(&mut self, n: usize) {
        let now = self.queue.now;
        let node = &mut self.nodes[n];
        let Some(owners) = &mut node.owners else { return };
        let room = LANES_MAX.saturating_sub(node.lanes.len());
        if room == 0 {
            return;
        }
        for peer in owners.due(now, room) {
            owners.dialling(peer.id);
            let owner = index_of(&peer.id);
            let key = OwnerKey(node.next_key);
            node.next_key += 1;
            node.lanes.insert(key, Lane { owner: peer.id, conn: None });
            let dial = Dial { requester: n, owner, key };
            self.queue.after(self.plan.latency * DIAL_LEGS, Event::Open(dial));
        }
    }

    /// OPEN, as it is counted.
    pub(crate) fn count_open(&mut self, file: usize) {
        let root = parvi::base::Root::from_bytes([7; 32]);
        let set = Set::File(Content { root, size: self.items[file].total() });
        self.count(&Open { set, resumable: true }.into());
    }

    /// Others are heard of who fetch the file, or a search has found some who have it.
    pub(crate) fn found(&mut self, n: usize, peers: Vec<PeerInfo>, by_search: bool) {
        let now = self.queue.now;
        let node = &mut self.nodes[n];
        let me = node.info.id;
        let Some(owners) = &mut node.owners else { return };
        let peers = peers.into_iter().filter(|peer| peer.id != me).collect();
        match by_search {
            true => owners.found(now, peers),
            false => owners.heard(now, peers),
        }
        self.start_lanes(n);
    }

    /// A dial brought no transfer.
    pub(crate) fn refused(&mut self, dial: Dial, why: Refusal) {
        self.outcome.busy += u64::from(why == Refusal::Busy);
        if why == Refusal::Busy {
            let members = &self.nodes[dial.owner].members;
            let first = self.dice.below(members.len());
            let told = members.values().cycle().skip(first).take(members.len().min(BUSY_NAMES_MAX));
            let told: Vec<PeerInfo> = told.flatten().cloned().collect();
            self.found(dial.requester, told, false);
        }
        let how = match why {
            Refusal::Busy => Standing::Busy("busy".into()),
            Refusal::Away => Standing::Lost("away".into()),
            Refusal::NotHere => Standing::NotHere("not here".into()),
        };
        self.lane_ended(dial.requester, dial.key, how);
    }

    /// A lane's last word.
    pub(crate) fn lane_ended(&mut self, n: usize, key: OwnerKey, how: Standing) {
        let (now, random) = (self.queue.now, self.dice.throw());
        let Some(lane) = self.nodes[n].lanes.remove(&key) else { return };
        let node = &mut self.nodes[n];
        let (Some(shares), Some(owners)) = (&mut node.shares, &mut node.owners) else { return };
        let actions = shares.on_lost(now, key);
        owners.ended(now, lane.owner, how, random);
        self.carry_out(n, actions);
        self.start_lanes(n);
    }

    /// A lane makes room for another.
    pub(crate) fn exchange_lane(&mut self, n: usize, key: OwnerKey) {
        let node = &mut self.nodes[n];
        if let (Some(owners), Some(lane)) = (&mut node.owners, node.lanes.get(&key)) {
            owners.give_up(lane.owner);
        }
        self.close_lane(n, key, Standing::Lost("others are tried".into()));
    }

    /// The requester closes a lane.
    fn close_lane(&mut self, n: usize, key: OwnerKey, how: Standing) {
        if let Some(conn) = self.nodes[n].conn_of(key) {
            self.queue.after(self.plan.latency, Event::LostRequester(conn));
        }
        self.lane_ended(n, key, how);
    }

    /// The owner of a connection is gone.
    pub(crate) fn owner_lost(&mut self, conn: ConnId) {
        if let Some(conn) = self.disconnect(conn) {
            self.lane_ended(conn.dial.requester, conn.dial.key, Standing::Lost("lost".into()));
        }
    }

    /// Does what was decided.
    pub(crate) fn carry_out(&mut self, n: usize, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Want { owner, add, remove, window } => {
                    let want = Want { add: List::of(add), remove: List::of(remove), window };
                    self.say_to_owner(n, owner, want.into());
                }
                Action::Skip { owner, items } => {
                    self.say_to_owner(n, owner, Skip { items }.into());
                }
                Action::Drop { owner, reason } => {
                    match reason {
                        DropReason::Stalled => self.outcome.stalled += 1,
                        DropReason::Violation | DropReason::Banned => self.outcome.violations += 1,
                    }
                    self.close_lane(n, owner, Standing::Lost("dropped".into()));
                }
            }
        }
    }

    fn say_to_owner(&mut self, n: usize, key: OwnerKey, message: Message) {
        if let Some(conn) = self.nodes[n].conn_of(key) {
            self.tell_owner(conn, message);
        }
    }

    /// A message of an owner.
    pub(crate) fn requester_hears(&mut self, conn: ConnId, message: Message) {
        let Some(Dial { requester: n, key, owner }) = self.conn(conn).map(|conn| conn.dial) else {
            return;
        };
        if let Message::Opened(opened) = message {
            self.opened(conn, n, key, opened.have);
            return;
        }
        if self.nodes[n].conn_of(key) != Some(conn) {
            return;
        }
        let now = self.queue.now;
        let Some(shares) = &mut self.nodes[n].shares else { return };
        let actions = match message {
            Message::Next(next) => shares.on_next(now, key, next.items),
            Message::Have(have) => shares.on_have(now, key, &have.items),
            Message::Chunk(chunk) => {
                let verdict = shares.on_chunk_begun(now, key, chunk.items);
                self.outcome.violations += u64::from(verdict == Verdict::Violation);
                if let Some(conn) = self.conn(conn) {
                    conn.taking = Some((chunk.items, verdict));
                }
                Vec::new()
            }
            Message::Fetchers(fetchers) => {
                self.found(n, fetchers.nodes.into_vec(), false);
                Vec::new()
            }
            _ => Vec::new(),
        };
        self.carry_out(n, actions);
        let useless = self.nodes[n].shares.as_ref().is_some_and(|s| s.is_useless(key));
        if useless {
            let words = format!("n{owner} has nothing of what is missing");
            self.close_lane(n, key, Standing::NotHere(words));
        }
    }

    /// The owner has accepted.
    fn opened(&mut self, conn: ConnId, n: usize, key: OwnerKey, have: parvi::base::Bitmap) {
        let now = self.queue.now;
        let node = &mut self.nodes[n];
        let lane = node.lanes.get_mut(&key);
        let (Some(lane), Some(shares), Some(owners)) = (lane, &mut node.shares, &mut node.owners)
        else {
            // All was over meanwhile.
            self.queue.after(self.plan.latency, Event::LostRequester(conn));
            return;
        };
        lane.conn = Some(conn);
        let (label, ports) = (node.info.label.clone(), node.info.ports);
        owners.connected_to(lane.owner);
        let grows = !have.is_full();
        let actions = shares.on_opened(now, key, lane.owner, (have, grows));
        shares.on_distance(key, self.plan.latency * 2);
        self.tell_owner(conn, Serving { label, ports }.into());
        self.carry_out(n, actions);
    }

    /// Bytes of a run are here.
    pub(crate) fn bytes_arrived(&mut self, piece: Piece) {
        let Piece { conn, requester: n, bytes, last } = piece;
        let now = self.queue.now;
        let known = self.conn(conn).map(|conn| (conn.dial.key, conn.taking));
        let live = known.filter(|(key, _)| self.nodes[n].conn_of(*key) == Some(conn));
        let node = &mut self.nodes[n];
        let (Some((key, taking)), Some(shares)) = (live, &mut node.shares) else {
            node.twice += bytes;
            return;
        };
        shares.on_bytes(now, key, bytes);
        let Some((items, verdict)) = taking.filter(|_| last) else { return };
        let here = items.iter().filter(|i| shares.verified().contains(*i));
        node.twice += here.map(|i| shares.items().len(i)).sum::<u64>();
        if verdict == Verdict::Unwanted {
            self.tell_owner(conn, Ack { items: List::of(vec![items]) }.into());
            return;
        }
        self.verified(n, key, conn, items);
    }

    /// A run is verified and written, at no cost.
    fn verified(&mut self, n: usize, key: OwnerKey, conn: ConnId, items: Range) {
        let now = self.queue.now;
        let node = &mut self.nodes[n];
        let owner = node.lanes.get(&key).map(|lane| lane.owner);
        let Some(shares) = &mut node.shares else { return };
        let fresh: Vec<u32> = items.iter().filter(|i| !shares.verified().contains(*i)).collect();
        let actions = shares.on_verified(now, key, items);
        let complete = shares.is_complete();
        if let (Some(owner), Some(owners)) = (owner, &mut node.owners) {
            owners.useful(owner);
        }
        self.gained(n, &fresh);
        self.tell_owner(conn, Ack { items: List::of(vec![items]) }.into());
        self.carry_out(n, actions);
        if complete {
            self.complete(n);
        }
    }
}
