//! Fetches one set from all its owners at once.
//!
//! ```text
//!              supervisor (the caller's thread)
//!               | starts and restarts lanes, looks for owners, says why it waits
//!      +--------+---------+
//!    lane alice         lane bob  …          one connection each: a reader and a writer thread
//!      | Chunk bytes      |
//!      +---> sink <-------+                  verified in memory, then written
//!      +---> Shares <-----+                  who sends what: decided under one lock, done after it
//! ```
//!
//! Ends when every item is verified and written, when the control says stop, when the disk is
//! full, or when every owner has sent wrong bytes. Whatever the end, all lanes are closed and no
//! longer touch the sink once `run` has returned.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::{Condvar, Mutex, RwLock};

use super::control::{Control, Wish};
use super::lane;
use super::progress::Progress;
use super::sink::{DiskError, Sink};
use crate::base::{Bitmap, NodeId, NodeLabel, PeerInfo, Time};
use crate::io::clock;
use crate::io::link::Closer;
use crate::logic::items::Items;
use crate::logic::owners::{Owners, Standing};
use crate::logic::shares::{Action, DropReason, OwnerKey, Shares, TICK};
use crate::node::context::Context;
use crate::node::view::{Source, TransferState};
use crate::wire::Message;
use crate::wire::message::transfer::{Cancel, Done, Set, Skip, Want};
use crate::wire::{List, Text};

/// Connections of one set at once.
const LANES_MAX: usize = 16;
/// Messages waiting to be sent to one owner; an owner that reads more slowly is dropped.
const OUTBOX_MAX: usize = 512;

/// How a set's fetch ended.
#[derive(Debug)]
pub(super) enum End {
    /// Every item is verified and written. The lanes are still open until `finish`.
    Complete,
    /// The control said so.
    Stopped,
    /// Verified bytes could not be written.
    Disk(DiskError),
    /// Every owner there is has sent wrong bytes.
    Corrupt(String),
    /// Nothing came for as long as the caller was willing to wait.
    GaveUp {
        /// Why nothing came.
        words: String,
        /// Whether anything had come before.
        started: bool,
    },
}

/// What a set's supervisor is told.
pub(super) struct Order<'a> {
    pub(super) control: &'a Control,
    /// End with `GaveUp` when nothing moves for so long; `None` waits for ever.
    pub(super) give_up: Option<Duration>,
    /// Asks again who has it. Called from a thread of its own.
    pub(super) find: Arc<dyn Fn() -> Vec<PeerInfo> + Send + Sync>,
}

/// One set on its way. Shared by its lanes.
pub(super) struct Fetch {
    pub(super) ctx: Arc<Context>,
    pub(super) set: Set,
    /// Whether we are there again after a restart.
    pub(super) resumable: bool,
    pub(super) items: Items,
    /// Gone once the set is being named: what a straggler sends then is not written.
    pub(super) sink: RwLock<Option<Sink>>,
    pub(super) progress: Arc<Progress>,
    pub(super) state: Mutex<State>,
    pub(super) changed: Condvar,
}

/// What the lanes and the supervisor share; the lock is held for decisions only.
pub(super) struct State {
    pub(super) shares: Shares,
    pub(super) owners: Owners,
    /// Who sent each item that is verified.
    pub(super) origins: Vec<Option<NodeLabel>>,
    lanes: BTreeMap<OwnerKey, Handle>,
    next_key: u64,
    finding: bool,
    disk_error: Option<DiskError>,
    last_progress: Time,
    /// Since when some item has come corrupt from every owner.
    hopeless_since: Option<Time>,
    /// Set at the end: lanes stop without being an owner's fault.
    closing: bool,
}

/// A lane as the others see it.
struct Handle {
    node: NodeId,
    /// Taken at the end: the writer sends what is queued, then closes.
    outbox: Option<Sender<Message>>,
    closer: Option<Closer>,
}

impl Fetch {
    pub(super) fn new(
        ctx: &Arc<Context>,
        progress: Arc<Progress>,
        (set, resumable): (Set, bool),
        sink: Sink,
        have: Bitmap,
        owners: Vec<PeerInfo>,
    ) -> Arc<Fetch> {
        let items = Items::of(&set);
        let now = clock::now();
        let state = State {
            origins: vec![None; items.count() as usize],
            shares: Shares::new(items.clone(), have).patient_for(ctx.patience),
            owners: Owners::new(now, owners),
            lanes: BTreeMap::new(),
            next_key: 0,
            finding: false,
            disk_error: None,
            last_progress: now,
            hopeless_since: None,
            closing: false,
        };
        Arc::new(Fetch {
            ctx: ctx.clone(),
            set,
            resumable,
            items,
            sink: RwLock::new(Some(sink)),
            progress,
            state: state.into(),
            changed: Condvar::new(),
        })
    }

    /// The supervisor. On `Complete` the lanes stay open, so that the owners hear `Done` once the
    /// file is named; on any other end they are closed.
    pub(super) fn run(self: &Arc<Self>, order: &Order<'_>) -> End {
        loop {
            if let Some(end) = self.look_around(order) {
                if !matches!(end, End::Complete) {
                    self.close(&Cancel { reason: Text::of("stopped by the requester") }.into());
                }
                return end;
            }
            self.start_lanes();
            self.find_owners(order);
            let mut state = self.state.lock();
            if !state.shares.is_complete() && state.disk_error.is_none() {
                self.changed.wait_for(&mut state, TICK);
            }
        }
    }

    /// Whether it is over; otherwise re-balances and says where it stands.
    fn look_around(&self, order: &Order<'_>) -> Option<End> {
        let now = clock::now();
        let mut state = self.state.lock();
        if let Some(error) = state.disk_error.take() {
            return Some(End::Disk(error));
        }
        if state.shares.is_complete() {
            return Some(End::Complete);
        }
        if self.ctx.stop.is_stopped() || order.control.wish() != Wish::Run {
            return Some(End::Stopped);
        }
        if let Some(words) = state.corrupt_everywhere(now) {
            return Some(End::Corrupt(words));
        }
        let still = now.since(state.last_progress);
        if order.give_up.is_some_and(|max| still > max) {
            let started = state.origins.iter().any(Option::is_some);
            return Some(End::GaveUp { words: state.owners.why_waiting(now), started });
        }
        let actions = state.shares.on_tick(now);
        let moving = state.owners.connected() > 0;
        let words = if moving { String::new() } else { state.owners.why_waiting(now) };
        drop(state);
        self.carry_out(actions);
        let state = if moving { TransferState::Moving } else { TransferState::Waiting };
        self.progress.set(state, words);
        None
    }

    /// A lane for every owner that is due, up to the bound.
    fn start_lanes(self: &Arc<Self>) {
        let due: Vec<(OwnerKey, PeerInfo, Receiver<Message>)> = {
            let mut state = self.state.lock();
            let room = LANES_MAX.saturating_sub(state.lanes.len());
            let peers = state.owners.due(clock::now(), room);
            peers.into_iter().map(|peer| state.open_lane(peer)).collect()
        };
        for (key, peer, outbox) in due {
            let (fetch, owner) = (self.clone(), peer.clone());
            let run = move || lane::run(&fetch, key, &owner, &outbox);
            if let Err(e) = self.ctx.group.spawn(format!("fetch {}", peer.label), run) {
                self.lane_ended(key, Standing::Lost(format!("cannot start a thread: {e}")));
            }
        }
    }

    /// Looks for more owners in a thread of its own, at most one at a time.
    fn find_owners(self: &Arc<Self>, order: &Order<'_>) {
        {
            let mut state = self.state.lock();
            if state.finding || !state.owners.search_due(clock::now(), clock::random_u64()) {
                return;
            }
            state.finding = true;
        }
        let (fetch, find) = (self.clone(), order.find.clone());
        let run = move || {
            let found = find();
            let mut state = fetch.state.lock();
            state.owners.found(clock::now(), found);
            state.finding = false;
            fetch.changed.notify_all();
        };
        if let Err(e) = self.ctx.group.spawn("find owners", run) {
            log::warn!(target: "fetch", "cannot look for owners: {e}");
            self.state.lock().finding = false;
        }
    }

    /// Does what was decided. Call it without holding the lock.
    pub(super) fn carry_out(&self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Want { owner, add, remove, window } => {
                    let want = Want { add: List::of(add), remove: List::of(remove), window };
                    self.send(owner, want.into());
                }
                Action::Skip { owner, items } => self.send(owner, Skip { items }.into()),
                Action::Drop { owner, reason } => self.drop_owner(owner, &reason),
            }
        }
    }

    /// Queues a message; an owner that lets its queue fill up is dropped.
    pub(super) fn send(&self, owner: OwnerKey, message: Message) {
        let state = self.state.lock();
        let Some(lane) = state.lanes.get(&owner) else { return };
        if lane.outbox.as_ref().is_some_and(|outbox| outbox.try_send(message).is_err())
            && let Some(closer) = &lane.closer
        {
            closer.close();
        }
    }

    fn drop_owner(&self, owner: OwnerKey, reason: &DropReason) {
        let mut state = self.state.lock();
        let Some(lane) = state.lanes.get(&owner) else { return };
        let (node, closer) = (lane.node, lane.closer.clone());
        if matches!(reason, DropReason::Banned) {
            state.owners.ban(node);
        }
        drop(state);
        if let Some(closer) = closer {
            closer.close();
        }
    }

    /// A lane has its connection: it can be closed from outside now. False: too late, all is over.
    pub(super) fn lane_connected(&self, key: OwnerKey, closer: Closer) -> bool {
        let mut state = self.state.lock();
        if state.closing {
            return false;
        }
        let Some(lane) = state.lanes.get_mut(&key) else { return false };
        lane.closer = Some(closer);
        let node = lane.node;
        state.owners.connected_to(node);
        true
    }

    /// A lane's last word.
    pub(super) fn lane_ended(&self, key: OwnerKey, how: Standing) {
        let now = clock::now();
        let mut state = self.state.lock();
        let actions = state.shares.on_lost(now, key);
        if let Some(lane) = state.lanes.remove(&key) {
            state.owners.ended(now, lane.node, how, clock::random_u64());
        }
        drop(state);
        self.carry_out(actions);
        self.changed.notify_all();
    }

    /// No more messages for this lane's writer: it ends when it has sent what is queued.
    pub(super) fn drop_outbox(&self, key: OwnerKey) {
        if let Some(lane) = self.state.lock().lanes.get_mut(&key) {
            lane.outbox.take();
        }
    }

    pub(super) fn disk_failed(&self, error: DiskError) {
        self.state.lock().disk_error.get_or_insert(error);
        self.changed.notify_all();
    }

    /// Tells every owner `last` and closes all lanes; returns when no lane is left.
    pub(super) fn close(&self, last: &Message) {
        let mut state = self.state.lock();
        state.closing = true;
        for lane in state.lanes.values_mut() {
            if let Some(outbox) = lane.outbox.take() {
                // A full outbox belongs to an owner that does not read; it learns by the close.
                outbox.try_send(last.clone()).ok();
            }
        }
        let deadline = clock::now() + CLOSE_GRACE;
        while !state.lanes.is_empty() {
            if clock::now() >= deadline {
                state.lanes.values().filter_map(|l| l.closer.as_ref()).for_each(Closer::close);
            }
            self.changed.wait_for(&mut state, CLOSE_POLL);
        }
    }

    /// The lanes' last word: everything is named, or it cannot be.
    pub(super) fn finish(&self, named: bool) {
        let cancel = || Cancel { reason: Text::of("could not be named at the requester") }.into();
        self.close(&if named { Done.into() } else { cancel() });
    }

    /// The sink, for naming: from now on no lane writes.
    pub(super) fn take_sink(&self) -> Option<Sink> {
        self.sink.write().take()
    }

    /// Bytes that owners sent and that are verified.
    pub(super) fn verified_bytes(&self) -> u64 {
        let state = self.state.lock();
        let sent = (0_u32..).zip(&state.origins).filter(|(_, origin)| origin.is_some());
        sent.map(|(item, _)| self.items.len(item)).sum()
    }

    /// Who sent how much of the set.
    pub(super) fn sources(&self) -> Vec<Source> {
        let state = self.state.lock();
        let mut sums: BTreeMap<NodeLabel, u64> = BTreeMap::new();
        for (item, origin) in (0_u32..).zip(&state.origins) {
            if let Some(label) = origin {
                *sums.entry(label.clone()).or_default() += self.items.len(item);
            }
        }
        sums.into_iter().map(|(node, bytes)| Source { node, bytes }).collect()
    }

    /// Who sent one item.
    pub(super) fn sources_of(&self, item: u32) -> Vec<Source> {
        let state = self.state.lock();
        let origin = state.origins.get(item as usize).cloned().flatten();
        origin.map(|node| Source { node, bytes: self.items.len(item) }).into_iter().collect()
    }
}

/// Owners have so long to read the last word before their connections are cut.
const CLOSE_GRACE: Duration = Duration::from_millis(500);
const CLOSE_POLL: Duration = Duration::from_millis(20);

/// An owner whose file was edited under its hands has so long to say that it is stale.
const EXCUSE_TIME: Duration = Duration::from_secs(1);

impl State {
    /// The words when no owner is left who could send what is missing as it should be.
    fn corrupt_everywhere(&mut self, now: Time) -> Option<String> {
        if let Some(words) = self.owners.all_banned() {
            return Some(words);
        }
        if !self.shares.is_hopeless(&self.owners.not_banned()) {
            self.hopeless_since = None;
            return None;
        }
        let since = *self.hopeless_since.get_or_insert(now);
        (now.since(since) >= EXCUSE_TIME).then(|| self.owners.all_corrupt())
    }

    /// Bytes of an owner moved: nobody gives up now.
    pub(super) fn moved(&mut self, now: Time) {
        self.last_progress = now;
    }

    fn open_lane(&mut self, peer: PeerInfo) -> (OwnerKey, PeerInfo, Receiver<Message>) {
        let key = OwnerKey(self.next_key);
        self.next_key += 1;
        let (outbox, receive) = bounded(OUTBOX_MAX);
        self.owners.dialling(peer.id);
        self.lanes.insert(key, Handle { node: peer.id, outbox: Some(outbox), closer: None });
        (key, peer, receive)
    }
}
