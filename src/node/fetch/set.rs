//! One set on its way: what its lanes and its supervisor share.
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
//! Invariant: one lock, held for decisions only; what was decided is carried out after it. Once
//! the sink is taken, or `close` has returned, no lane writes any more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::{Condvar, Mutex, RwLock};

use super::company::Company;
use super::early::Early;
use super::finder::Sources;
use super::given::{Lent, items_of};
use super::hope::Hope;
use super::openings::Openings;
use super::progress::Progress;
use super::resolve::Wanted;
use super::run::Run;
use super::sink::{DiskError, Sink};
use crate::base::{Bitmap, FileEntry, Name, NodeId, NodeLabel, PeerInfo, Time};
use crate::io::clock;
use crate::io::index::Index;
use crate::io::link::Closer;
use crate::logic::batch::set_key;
use crate::logic::items::Items;
use crate::logic::owners::{Owners, Standing};
use crate::logic::shares::{Action, DropReason, OwnerKey, Shares};
use crate::node::context::Context;
use crate::node::swarm::Swarm;
use crate::node::throttle::Limiter;
use crate::node::view::From;
use crate::wire::Message;
use crate::wire::message::transfer::{Cancel, Done, Set, Skip, Want};
use crate::wire::{List, Text};

/// Messages waiting to be sent to one owner; an owner that reads more slowly is dropped.
const OUTBOX_MAX: usize = 512;

/// One set on its way. Shared by its lanes.
pub(super) struct Fetch {
    pub(super) ctx: Arc<Context>,
    pub(super) set: Set,
    /// What it is called, for people whom we serve it.
    pub(super) name: Name,
    /// Its files, and which item of it each is; of a large one that is zero.
    pub(super) files: Vec<(FileEntry, u32)>,
    /// Who fetches it from us meanwhile.
    pub(super) swarm: Arc<Swarm>,
    /// Connections that were made before it began.
    pub(super) early: Early,
    /// Where what is verified is read, while it may be served.
    pub(super) lent: Mutex<Option<Lent>>,
    /// What is shared anyway; a one-shot shares nothing.
    pub(super) index: Option<Arc<Index>>,
    /// From whom the person wants it.
    pub(super) from: From,
    /// Whether we are there again after a restart.
    pub(super) resumable: bool,
    pub(super) items: Items,
    /// Gone once the set is being named: what a straggler sends then is not written.
    pub(super) sink: RwLock<Option<Sink>>,
    pub(super) progress: Arc<Progress>,
    /// Who fetches other sets of the download.
    pub(super) company: Arc<Company>,
    /// Who sent wrong bytes, or has not what it is said to have.
    pub(super) blamed: Arc<Mutex<BTreeSet<NodeId>>>,
    /// What a person holds the whole download to.
    pub(super) limit: Arc<Limiter>,
    pub(super) state: Mutex<State>,
    pub(super) changed: Condvar,
}

/// What the lanes and the supervisor share; the lock is held for decisions only.
pub(super) struct State {
    pub(super) shares: Shares,
    pub(super) owners: Owners,
    /// Who sent each item that is verified.
    pub(super) origins: Vec<Option<NodeLabel>>,
    pub(super) lanes: BTreeMap<OwnerKey, Handle>,
    /// At whom it was opened.
    pub(super) openings: Openings,
    next_key: u64,
    /// A search for more owners is going on.
    pub(super) finding: bool,
    pub(super) disk_error: Option<DiskError>,
    pub(super) last_progress: Time,
    /// Since when some item has come corrupt from every owner.
    hopeless_since: Option<Time>,
    pub(super) hope: Hope,
    /// Set at the end: no lane connects any more.
    closing: bool,
}

/// What owners hear when a fetch stops in the middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Last {
    /// That they may forget us.
    Cancel,
    /// Nothing: we come back.
    Nothing,
}

/// A lane as the others see it.
pub(super) struct Handle {
    pub(super) node: NodeId,
    /// Taken at the end, or when the lane makes room for another: the writer sends what is queued, then closes.
    pub(super) outbox: Option<Sender<Message>>,
    closer: Option<Closer>,
}

impl Handle {
    pub(super) fn is_connected(&self) -> bool {
        self.closer.is_some()
    }
}

impl Fetch {
    pub(super) fn new(
        run: &Run<'_>,
        (set, files, resumable): (Set, &[Wanted], bool),
        (sink, lent): (Sink, Option<Lent>),
        have: Bitmap,
        (sources, early): (Sources, Early),
    ) -> Arc<Fetch> {
        let (ctx, job, items, now) = (run.ctx, run.job, Items::of(&set), clock::now());
        let owners = Owners::new(now, clock::random_u64(), sources.owners);
        let mut owners = owners.patient_if(run.patient);
        owners.heard(now, sources.fetchers);
        // Who fetches another part of the download very probably fetches this one, too.
        owners.heard(now, job.company.all());
        let name = files.first().map_or(&job.name, |wanted| &wanted.entry.name).clone();
        let state = State {
            origins: vec![None; items.count() as usize],
            shares: Shares::new(items.clone(), have).patient_for(ctx.patience),
            owners,
            lanes: BTreeMap::new(),
            openings: Openings::new(job.patient),
            next_key: 0,
            finding: false,
            disk_error: None,
            last_progress: now,
            hopeless_since: None,
            hope: Hope::default(),
            closing: false,
        };
        let swarm = ctx.swarms.of(set_key(&set), items.count());
        Arc::new(Fetch {
            ctx: ctx.clone(),
            files: items_of(&set, files),
            set,
            name,
            swarm,
            early,
            lent: Mutex::new(lent),
            index: run.place.index.clone(),
            from: job.from.clone(),
            resumable,
            items,
            sink: RwLock::new(Some(sink)),
            progress: job.progress.clone(),
            company: job.company.clone(),
            blamed: job.blamed.clone(),
            limit: job.limit.clone(),
            state: state.into(),
            changed: Condvar::new(),
        })
    }

    /// Whether lanes may still connect.
    pub(super) fn is_going_on(&self) -> bool {
        !self.state.lock().closing
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
        if matches!(reason, DropReason::Violation) {
            self.broke_protocol(node);
        }
        if let Some(closer) = closer {
            closer.close();
        }
    }

    /// An owner sent a message that is malformed or forbidden.
    pub(super) fn broke_protocol(&self, node: NodeId) {
        let words = self.state.lock().owners.broke_protocol(node);
        words.into_iter().for_each(|words| self.ctx.notices.tell(words));
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
        let is_lost = matches!(how, Standing::Lost(_));
        let mut state = self.state.lock();
        let actions = state.shares.on_lost(now, key);
        if let Some(lane) = state.lanes.remove(&key) {
            self.ctx.down.leave();
            state.owners.ended(now, lane.node, how, clock::random_u64());
            if is_lost && !lane.is_connected() {
                self.company.left(lane.node);
            }
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

    /// Tells every owner `last`, if anything, and closes all lanes; returns when none is connected.
    /// Those that are still dialling find out by themselves and touch nothing.
    pub(super) fn close(&self, last: Option<&Message>, grace: Duration) {
        let mut state = self.state.lock();
        state.closing = true;
        for lane in state.lanes.values_mut() {
            if let Some((outbox, last)) = lane.outbox.take().zip(last) {
                // A full outbox belongs to an owner that does not read; it learns by the close.
                outbox.try_send(last.clone()).ok();
            }
        }
        let deadline = clock::now() + grace;
        while state.lanes.values().any(|lane| lane.closer.is_some()) {
            if clock::now() >= deadline {
                state.lanes.values().filter_map(|l| l.closer.as_ref()).for_each(Closer::close);
            }
            self.changed.wait_for(&mut state, CLOSE_POLL);
        }
    }

    /// Stops in the middle: what is verified stays. An owner that hears CANCEL forgets us; one that
    /// is to call us when we are away for a while hears nothing.
    pub(super) fn halt(&self, last: Last) {
        let cancel = Cancel { reason: Text::of("stopped by the requester") }.into();
        self.lent.lock().take();
        self.swarm.withdrawn(&self.shared());
        self.close((last == Last::Cancel).then_some(&cancel), HALT_GRACE);
        // Lanes that still dial keep the set alive for a while; the part is free at once.
        if let Some(sink) = self.take_sink() {
            sink.give_back();
        }
    }

    /// The lanes' last word: everything is named, or it cannot be.
    pub(super) fn finish(&self, named: bool) {
        let cancel = || Cancel { reason: Text::of("could not be named at the requester") }.into();
        // What has its name is shared by now.
        self.lent.lock().take();
        if !named {
            self.swarm.withdrawn(&self.shared());
        }
        self.close(Some(&if named { Done.into() } else { cancel() }), DONE_GRACE);
    }

    /// A try is over: who shares it, as others say, and has nothing of it is to blame for that.
    pub(super) fn blame_deniers(&self) {
        let deniers = self.state.lock().owners.deniers();
        self.blamed.lock().extend(deniers);
    }

    /// The sink, for naming: from now on no lane writes.
    pub(super) fn take_sink(&self) -> Option<Sink> {
        self.sink.write().take()
    }

    /// Whether an item is verified.
    pub(super) fn has(&self, item: u32) -> bool {
        self.state.lock().shares.verified().contains(item)
    }
}

/// Owners have so long to read DONE before their connections are cut.
const DONE_GRACE: Duration = Duration::from_millis(500);
/// The same for a CANCEL in the middle of things: bytes still arrive meanwhile.
const HALT_GRACE: Duration = Duration::from_millis(100);
const CLOSE_POLL: Duration = Duration::from_millis(20);

/// An owner whose file was edited under its hands has so long to say that it is stale.
const EXCUSE_TIME: Duration = Duration::from_secs(1);

impl State {
    /// How many connections there are, or are being made.
    pub(super) fn lanes(&self) -> usize {
        self.lanes.len()
    }

    /// The words when no owner is left who could send what is missing as it should be.
    pub(super) fn corrupt_everywhere(&mut self, now: Time) -> Option<String> {
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

    /// An owner is not silent: its bytes wait for us, since a bound of ours holds them back.
    pub(super) fn held_back(&mut self, now: Time, key: OwnerKey) {
        self.shares.on_bytes(now, key, 0);
    }

    /// Whether all is over.
    pub(super) fn is_closing(&self) -> bool {
        self.closing
    }

    /// The connections to an owner end.
    pub(super) fn close_lanes_to(&self, node: NodeId) {
        let lanes = self.lanes.values().filter(|lane| lane.node == node);
        lanes.filter_map(|lane| lane.closer.as_ref()).for_each(Closer::close);
    }

    /// Bytes of an owner moved: nobody gives up now.
    pub(super) fn moved(&mut self, now: Time) {
        self.last_progress = now;
    }

    /// Lists a lane that is about to dial.
    pub(super) fn open_lane(&mut self, peer: PeerInfo) -> (OwnerKey, PeerInfo, Receiver<Message>) {
        let key = OwnerKey(self.next_key);
        self.next_key += 1;
        let (outbox, receive) = bounded(OUTBOX_MAX);
        self.owners.dialling(peer.id);
        self.lanes.insert(key, Handle { node: peer.id, outbox: Some(outbox), closer: None });
        (key, peer, receive)
    }
}
