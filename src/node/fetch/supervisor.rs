//! Watches over one set: starts and restarts its lanes, looks for more owners, says why it waits.
//!
//! Ends when every item is verified and written, when the control says stop, when the disk fails,
//! when every owner has sent wrong bytes, when nobody is there and others wait for its place, or when
//! nothing moves for longer than the caller waits.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Receiver;

use super::finder::Sources;
use super::lane;
use super::run::Run;
use super::set::Fetch;
use super::sink::DiskError;
use crate::base::PeerInfo;
use crate::io::clock;
use crate::logic::owners::Standing;
use crate::logic::shares::{OwnerKey, TICK};
use crate::node::view::TransferState;
use crate::wire::message::transfer::Cancel;
use crate::wire::{Message, Text};

/// A file whose time or mode was changed is hashed again by its owner, at this rate at least, in
/// bytes per second, before it is offered again.
const REHASH_RATE: u64 = 50_000_000;
/// What that takes besides.
const REHASH_DELAY: Duration = Duration::from_secs(5);
/// Connections of one set at once.
const LANES_MAX: usize = 16;

/// How a set's fetch ended.
#[derive(Debug)]
pub(super) enum End {
    /// Every item is verified and written. The lanes are still open until `finish`.
    Complete,
    /// The control said so.
    Stopped,
    /// No owner is there, and others wait.
    GaveWay,
    /// Verified bytes could not be written.
    Disk(DiskError),
    /// Every owner there is has sent wrong bytes.
    Corrupt(String),
    /// Every owner was asked and has nothing of what is missing, in words.
    Gone(&'static str),
    /// Nothing came for as long as the caller was willing to wait.
    GaveUp {
        /// Why nothing came.
        words: String,
    },
}

/// What a set's supervisor is told.
pub(super) struct Order<'a> {
    /// Says when to stop, to give way and to give up.
    pub(super) run: &'a Run<'a>,
    /// Asks again who has it. Called from a thread of its own.
    pub(super) find: Arc<dyn Fn() -> Sources + Send + Sync>,
}

impl Fetch {
    /// The supervisor. At its end the lanes are still open, so that the owners hear `Done` once the
    /// set is named (`finish`), or that it is not (`halt`).
    pub(super) fn run(self: &Arc<Self>, order: &Order<'_>) -> End {
        loop {
            if let Some(end) = self.look_around(order) {
                return end;
            }
            self.exchange_lane();
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
        if order.run.stopped() {
            return Some(End::Stopped);
        }
        if let Some(words) = state.corrupt_everywhere(now) {
            return Some(End::Corrupt(words));
        }
        let patience = gone_time(self.items.total());
        if state.gone_for(now) > patience {
            return Some(End::Gone(match state.owners.is_nobodys() {
                true => {
                    "nobody has all of it, and those who fetch it, too, hope for no more; ask again later"
                }
                false => "its owners changed or withdrew it; ask again for what is there now",
            }));
        }
        let despairs = state.despairs(now, patience);
        if order.run.is_enough(now, state.last_progress) {
            return Some(End::GaveUp { words: state.owners.why_waiting(now) });
        }
        let actions = state.shares.on_tick(now);
        let connected = state.owners.connected() > 0;
        let moving = connected && !state.shares.is_idle();
        if !moving && order.run.turn.is_some_and(|turn| turn.is_over(now, state.last_progress)) {
            return Some(End::GaveWay);
        }
        let words = match moving {
            true => String::new(),
            false if state.lanes() == 0 && self.ctx.down.is_full() => {
                "other downloads use all that --down allows".into()
            }
            false if connected => "those who are there are waiting for the rest, too".into(),
            false => state.owners.why_waiting(now),
        };
        drop(state);
        self.carry_out(actions);
        if despairs {
            self.despair();
        }
        let state = if moving { TransferState::Moving } else { TransferState::Waiting };
        self.progress.set(state, words);
        None
    }

    /// How many lanes there may be.
    fn lanes_max(&self) -> usize {
        LANES_MAX.min(self.limit.connections())
    }

    /// Where all places are taken and somebody was not tried yet, the neighbour that has brought least makes
    /// room: it hears CANCEL and forgets us. The place of one that does not read is free when the link's
    /// patience is over.
    fn exchange_lane(&self) {
        let now = clock::now();
        let mut guard = self.state.lock();
        let state = &mut *guard;
        if state.lanes() < self.lanes_max() || !state.owners.exchange_due(now) {
            return;
        }
        let Some(key) = state.shares.least(now) else { return };
        let Some(lane) = state.lanes.get_mut(&key) else { return };
        if let Some(outbox) = lane.outbox.take() {
            let cancel = Cancel { reason: Text::of("others are asked instead") };
            outbox.try_send(cancel.into()).ok();
            state.owners.give_up(lane.node);
        }
    }

    /// A lane for every owner that is due, up to the bound.
    fn start_lanes(self: &Arc<Self>) {
        let due: Vec<(OwnerKey, PeerInfo, Receiver<Message>)> = {
            let mut state = self.state.lock();
            let room = self.lanes_max().saturating_sub(state.lanes());
            let peers = state.owners.due(clock::now(), room).into_iter();
            peers.take_while(|_| self.ctx.down.enter()).map(|peer| state.open_lane(peer)).collect()
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
        // Whoever was to have a lane at once has had the time.
        self.early.close();
        let (fetch, find) = (self.clone(), order.find.clone());
        let run = move || {
            let found = find();
            let mut state = fetch.state.lock();
            let now = clock::now();
            state.owners.found(now, found.owners);
            state.owners.heard(now, found.fetchers);
            state.finding = false;
            fetch.changed.notify_all();
        };
        if let Err(e) = self.ctx.group.spawn("find owners", run) {
            log::warn!(target: "fetch", "cannot look for owners: {e}");
            self.state.lock().finding = false;
        }
    }
}

/// How long an owner that says "not here" may be busy hashing a file of `size` bytes anew.
fn gone_time(size: u64) -> Duration {
    REHASH_DELAY + Duration::from_secs(size / REHASH_RATE)
}
