//! A small world in virtual time: one requester (`Shares`), owners (`Upload`) with a speed, a
//! latency and faults, and nothing that is not in its arguments. The same world gives the same
//! run, always.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::*;
use crate::logic::spread::Spread;
use crate::logic::upload::{Step, Upload};
use crate::wire::bounded::List;
use crate::wire::message::transfer::{Ack, Skip, Want};

/// Bytes reach the requester in pieces of this size.
const PIECE: u64 = 64 * 1024;

/// An owner of the world.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub(super) node: NodeId,
    /// Bytes per second.
    pub(super) speed: u64,
    pub(super) latency: Duration,
    /// What it has; everything if `None`.
    pub(super) have: Option<Bitmap>,
    pub(super) opens_at: Time,
    /// When its connection is cut.
    pub(super) lost_at: Option<Time>,
    /// After how many bytes it falls silent for ever.
    pub(super) stalls_after: u64,
    pub(super) corrupts: bool,
}

pub(super) const MS: Duration = Duration::from_millis(1);

pub(super) fn node(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

/// An honest owner.
pub(super) fn peer(n: u8, speed: u64) -> Peer {
    Peer {
        node: node(n),
        speed,
        latency: MS,
        have: None,
        opens_at: Time::ZERO,
        lost_at: None,
        stalls_after: u64::MAX,
        corrupts: false,
    }
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Outcome {
    /// Virtual seconds until everything was verified; `None` when it never was.
    pub(super) seconds: Option<f64>,
    pub(super) sources: BTreeMap<NodeId, u64>,
    /// Bytes that arrived for nothing: corrupt, or here already.
    pub(super) wasted: u64,
    pub(super) corrupt: u32,
    /// WANT messages sent.
    pub(super) wants: u32,
    /// Runs of items in them.
    pub(super) runs: usize,
    pub(super) drops: Vec<(OwnerKey, DropReason)>,
}

enum Event {
    Open,
    Lost,
    Want(Want),
    Skip(Skip),
    Ack(Ack),
    Next(Range),
    Begun(Range),
    Bytes(u64),
    /// The last byte of a run is at the requester.
    Complete(Range),
    /// The owner has its last byte out.
    Sent(Range),
    Tick,
}

struct Live {
    upload: Upload,
    sending: bool,
    sent: u64,
}

pub(super) struct World {
    shares: Shares,
    peers: Vec<Peer>,
    live: BTreeMap<OwnerKey, Live>,
    queue: BTreeMap<(Time, u64), (OwnerKey, Event)>,
    serial: u64,
    now: Time,
    taken: BTreeMap<OwnerKey, Verdict>,
    outcome: Outcome,
}

/// Runs until all is verified, or for ten virtual minutes; checks the invariants at each event.
pub(super) fn run(items: Items, peers: Vec<Peer>) -> Outcome {
    let count = items.count();
    let mut world = World {
        shares: Shares::new(items, Bitmap::none(count)),
        peers,
        live: BTreeMap::new(),
        queue: BTreeMap::new(),
        serial: 0,
        now: Time::ZERO,
        taken: BTreeMap::new(),
        outcome: Outcome {
            seconds: None,
            sources: BTreeMap::new(),
            wasted: 0,
            corrupt: 0,
            wants: 0,
            runs: 0,
            drops: Vec::new(),
        },
    };
    world.run();
    world.outcome.sources = world.shares.sources().collect();
    world.outcome
}

impl World {
    fn run(&mut self) {
        for (i, peer) in self.peers.clone().into_iter().enumerate() {
            let key = OwnerKey(i as u64);
            self.push(peer.opens_at, key, Event::Open);
            if let Some(at) = peer.lost_at {
                self.push(at, key, Event::Lost);
            }
        }
        self.push(Time::ZERO + TICK, OwnerKey(u64::MAX), Event::Tick);
        while let Some(((at, _), (key, event))) = self.queue.pop_first() {
            self.now = at;
            let checked = !matches!(event, Event::Bytes(_));
            self.step(key, event);
            if checked {
                self.shares.check();
            }
            if self.shares.is_complete() {
                self.outcome.seconds = Some(at.since(Time::ZERO).as_secs_f64());
                return;
            }
            if at.since(Time::ZERO) > Duration::from_secs(600) {
                return;
            }
        }
    }

    fn push(&mut self, at: Time, key: OwnerKey, event: Event) {
        self.serial += 1;
        self.queue.insert((at, self.serial), (key, event));
    }

    /// Something for the other end of a connection.
    fn deliver(&mut self, key: OwnerKey, event: Event) {
        let at = self.now + self.peers[key.0 as usize].latency;
        self.push(at, key, event);
    }

    fn step(&mut self, key: OwnerKey, event: Event) {
        if !self.live.contains_key(&key) && !matches!(event, Event::Open | Event::Tick) {
            return;
        }
        match event {
            Event::Open => self.open(key),
            Event::Lost => {
                self.live.remove(&key);
                let actions = self.shares.on_lost(self.now, key);
                self.obey(actions);
            }
            Event::Tick => {
                let actions = self.shares.on_tick(self.now);
                self.obey(actions);
                self.push(self.now + TICK, key, Event::Tick);
            }
            Event::Next(items) => {
                let actions = self.shares.on_next(self.now, key, items);
                self.obey(actions);
            }
            Event::Begun(items) => {
                let verdict = self.shares.on_chunk_begun(self.now, key, items);
                assert_ne!(verdict, Verdict::Violation, "an honest owner was accused");
                self.taken.insert(key, verdict);
            }
            Event::Bytes(bytes) => self.shares.on_bytes(self.now, key, bytes),
            Event::Complete(items) => self.complete(key, items),
            Event::Want(_) | Event::Skip(_) | Event::Ack(_) | Event::Sent(_) => {
                self.owner_hears(key, event);
            }
        }
    }

    fn open(&mut self, key: OwnerKey) {
        let peer = &self.peers[key.0 as usize];
        let items = self.shares.items().clone();
        let have = peer.have.clone().unwrap_or_else(|| Bitmap::all(items.count()));
        let upload = Upload::new(items, have.clone());
        self.live.insert(key, Live { upload, sending: false, sent: 0 });
        let actions = self.shares.on_opened(self.now, key, peer.node, (have, false));
        self.obey(actions);
    }

    fn obey(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Want { owner, add, remove, window } => {
                    self.outcome.wants += 1;
                    self.outcome.runs += add.len() + remove.len();
                    let want = Want { add: List::of(add), remove: List::of(remove), window };
                    self.deliver(owner, Event::Want(want));
                }
                Action::Skip { owner, items } => self.deliver(owner, Event::Skip(Skip { items })),
                Action::Drop { owner, reason } => {
                    self.live.remove(&owner);
                    self.outcome.drops.push((owner, reason));
                }
            }
        }
    }

    fn complete(&mut self, key: OwnerKey, items: Range) {
        if self.peers[key.0 as usize].corrupts {
            for item in items.iter() {
                if !self.live.contains_key(&key) {
                    return;
                }
                self.outcome.corrupt += 1;
                self.outcome.wasted += self.shares.items().len(item);
                let actions = self.shares.on_corrupt(self.now, key, item);
                self.obey(actions);
            }
            return;
        }
        if self.taken.get(&key) == Some(&Verdict::Unwanted) {
            self.outcome.wasted += self.shares.items().bytes(items);
        } else {
            let twice = items.iter().filter(|i| self.shares.verified().contains(*i));
            self.outcome.wasted += twice.map(|i| self.shares.items().len(i)).sum::<u64>();
            let actions = self.shares.on_verified(self.now, key, items);
            self.obey(actions);
        }
        self.deliver(key, Event::Ack(Ack { items: List::of(vec![items]) }));
    }

    fn owner_hears(&mut self, key: OwnerKey, event: Event) {
        let live = self.live.get_mut(&key).unwrap();
        match event {
            Event::Want(want) => live.upload.on_want(&want).unwrap(),
            Event::Skip(skip) => live.upload.on_skip(&skip, &mut Spread::default()).unwrap(),
            Event::Ack(ack) => drop(live.upload.on_ack(&ack).unwrap()),
            Event::Sent(items) => {
                live.upload.on_sent(items);
                live.sending = false;
            }
            _ => unreachable!(),
        }
        self.write(key);
    }

    /// The owner's writer: announces and sends until it has to wait.
    fn write(&mut self, key: OwnerKey) {
        while let Some(live) = self.live.get_mut(&key).filter(|live| !live.sending) {
            match live.upload.next(&mut Spread::default()) {
                None => return,
                Some(Step::Announce(items)) => self.deliver(key, Event::Next(items)),
                Some(Step::Send(items)) => self.send(key, items),
            }
        }
    }

    fn send(&mut self, key: OwnerKey, items: Range) {
        let peer = self.peers[key.0 as usize].clone();
        let live = self.live.get_mut(&key).unwrap();
        live.sending = true;
        let (total, start) = (self.shares.items().bytes(items), live.sent);
        live.sent += total;
        self.deliver(key, Event::Begun(items));
        let mut done = 0;
        let after = |bytes| Duration::from_secs_f64(bytes as f64 / peer.speed as f64);
        while done < total {
            let piece = PIECE.min(total - done);
            done += piece;
            if start + done > peer.stalls_after {
                return;
            }
            self.push(self.now + after(done) + peer.latency, key, Event::Bytes(piece));
        }
        self.push(self.now + after(total) + peer.latency, key, Event::Complete(items));
        self.push(self.now + after(total), key, Event::Sent(items));
    }
}

/// The items of everything held, for failure messages.
pub(super) fn runs(items: &BTreeSet<u32>) -> Vec<Range> {
    Range::collect(items.iter().copied())
}
