//! Keeps the node on one tracker's list: a thread for each tracker.
//!
//! ```text
//! dial -> Register -> catalogue, page by page -> Heartbeat every 10 s (jittered) -> Exit at the end
//!   ^                                               |  a change of the catalogue hastens it
//!   +------- wait, doubling to 30 s <--- any error -+
//! ```
//!
//! Invariant: the node never needs a tracker to run; one that is away is told about once and
//! tried again for ever. Ends with `Exit` when the node stops.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use parking_lot::Mutex;

use super::context::Context;
use super::copies::Keeping;
use super::dial::dial_tracker;
use super::view::TrackerRow;
use crate::base::backoff::Backoff;
use crate::base::{NodeLabel, Ports, Time};
use crate::io::clock;
use crate::io::index::Index;
use crate::io::link::{Closer, Link, LinkError};
use crate::logic::doctor::Registered;
use crate::logic::registry::HEARTBEAT;
use crate::wire::Message;
use crate::wire::message::tracker::{Exit, Heartbeat, Register, Stamp, Why};

/// First and longest wait before a tracker is tried again.
const RETRY_FIRST: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(30);
/// Pages of peers taken with one heartbeat: more nodes than a tracker lists.
const PAGES_MAX: u32 = 32;
/// Pages of the catalogue that may lead elsewhere before the tracker is left alone: a tracker that
/// has just forgotten us says so once.
const ASTRAY_MAX: u32 = 1;
/// Changes of the catalogue are gathered for so long before they are told.
const CHANGES_GATHER: Duration = Duration::from_millis(200);

/// What every registration of this process says.
pub(super) struct Card {
    pub(super) instance: u64,
    pub(super) label: NodeLabel,
    pub(super) ports: Ports,
    pub(super) advertise: Option<IpAddr>,
    pub(super) heartbeat: Duration,
}

impl Card {
    /// Between two heartbeats: what was configured, no longer than a tracker waits for.
    fn interval(&self) -> Duration {
        self.heartbeat.min(Duration::from_secs(HEARTBEAT.1.into()))
    }
}

/// Whether a tracker that refused our list of files is told of it again, and whether the person is.
#[derive(Debug, Default)]
struct Refusal {
    /// Our catalogue when it was refused, in this session.
    mine: Option<Stamp>,
    /// The person knows; a list that is taken makes it news again.
    told: bool,
}

impl Refusal {
    /// A new connection: the tracker may have room by now.
    fn forget_session(&mut self) {
        self.mine = None;
    }

    /// Whether the catalogue is still the one that was refused.
    fn holds(&self, mine: Stamp) -> bool {
        self.mine == Some(mine)
    }

    /// It was refused; whether that is news.
    fn refused(&mut self, mine: Stamp) -> bool {
        self.mine = Some(mine);
        !std::mem::replace(&mut self.told, true)
    }

    /// The tracker has all of it.
    fn taken(&mut self) {
        *self = Refusal::default();
    }
}

/// The registration at one tracker.
pub(super) struct Registration {
    tracker: String,
    number: usize,
    state: Mutex<State>,
    wake: Sender<()>,
    woken: Receiver<()>,
}

#[derive(Default)]
struct State {
    connected: bool,
    /// When that began.
    since: Time,
    reason: String,
    /// Why it is not connected: another node has this identity there.
    in_use: bool,
    seen_as: Option<IpAddr>,
    refusal: Refusal,
    closer: Option<Closer>,
}

impl Registration {
    pub(super) fn new(number: usize, tracker: String) -> Arc<Registration> {
        let (wake, woken) = bounded(1);
        let state = State { reason: "not tried yet".into(), ..State::default() };
        Arc::new(Registration { tracker, number, state: state.into(), wake, woken })
    }

    /// Something changed, or the node stops: do not wait for the next heartbeat.
    pub(super) fn wake(&self) {
        // Full means a wake-up is on its way already.
        self.wake.try_send(()).ok();
    }

    /// The tracker had its time to hear the farewell.
    pub(super) fn cut(&self) {
        if let Some(closer) = self.state.lock().closer.take() {
            closer.close();
        }
    }

    pub(super) fn row(&self) -> TrackerRow {
        let state = self.state.lock();
        TrackerRow {
            addr: self.tracker.clone(),
            connected: state.connected,
            reason: state.reason.clone(),
        }
    }

    /// How it stands, for the doctor.
    pub(super) fn registered(&self, ctx: &Context) -> Registered {
        let state = self.state.lock();
        Registered {
            since: state.connected.then(|| clock::now().since(state.since)),
            reason: state.reason.clone(),
            in_use: state.in_use,
            called_back: ctx.called_back.is_met(self.number),
        }
    }

    /// The address this tracker saw us come from.
    pub(super) fn seen_as(&self) -> Option<IpAddr> {
        self.state.lock().seen_as
    }

    /// The thread.
    pub(super) fn run(&self, ctx: &Context, card: &Card, keeping: &Keeping) {
        let mut backoff = Backoff::new(RETRY_FIRST, RETRY_MAX);
        while !ctx.stop.is_stopped() {
            match self.session(ctx, card, keeping, &mut backoff) {
                Ok(()) => return,
                Err(e) => self.failed(ctx, card, &e, &mut backoff),
            }
        }
    }

    fn failed(&self, ctx: &Context, card: &Card, error: &LinkError, backoff: &mut Backoff) {
        let wait = backoff.fail(clock::random_u64()).min(card.interval());
        let reason = format!("{error}; next try in {} s", wait.as_secs().max(1));
        let news = {
            let mut state = self.state.lock();
            let news = state.connected || backoff.failures() == 1;
            state.connected = false;
            state.reason = reason.clone();
            state.in_use = is_identity_in_use(error);
            news
        };
        if news {
            ctx.notices.tell(format!("tracker {}: {reason}", self.tracker));
        } else {
            log::debug!(target: "tracker", "{}: {reason}", self.tracker);
        }
        ctx.stop.wait(wait);
    }

    /// One connection, from dial to its end. `Ok` means that the node stops.
    fn session(
        &self,
        ctx: &Context,
        card: &Card,
        keeping: &Keeping,
        backoff: &mut Backoff,
    ) -> Result<(), LinkError> {
        let index = &*keeping.index;
        let mut link = dial_tracker(ctx, &self.tracker)?;
        self.state.lock().closer = Some(link.closer());
        ctx.called_back.listen_for(self.number, link.peer);
        let theirs = self.register(&mut link, card, keeping)?;
        backoff.succeed();
        self.state.lock().refusal.forget_session();
        self.sync_catalogue(ctx, &mut link, index, theirs)?;
        self.connected(ctx);
        loop {
            let theirs = self.heartbeat(ctx, &mut link, keeping)?;
            self.sync_catalogue(ctx, &mut link, index, theirs)?;
            self.rest(ctx, card);
            if ctx.stop.is_stopped() {
                link.ask(Exit)?;
                return Ok(());
            }
        }
    }

    fn connected(&self, ctx: &Context) {
        let mut state = self.state.lock();
        (state.connected, state.since) = (true, clock::now());
        state.reason.clear();
        drop(state);
        ctx.notices.tell(format!("tracker {}: registered", self.tracker));
    }

    fn register(
        &self,
        link: &mut Link,
        card: &Card,
        keeping: &Keeping,
    ) -> Result<Stamp, LinkError> {
        let register = Register {
            instance: card.instance,
            label: card.label.clone(),
            ports: card.ports,
            advertise: card.advertise,
            heartbeat_s: card.interval().as_secs().max(HEARTBEAT.0.into()) as u16,
            catalogue: keeping.index.stamp(),
            offer: keeping.offer(),
        };
        match link.ask(register)? {
            Message::Registered(welcome) => {
                self.state.lock().seen_as = Some(welcome.seen_as);
                keeping.hear(self.number, welcome.duties, &[]);
                Ok(welcome.catalogue)
            }
            other => Err(LinkError::Unexpected(other.kind())),
        }
    }

    fn heartbeat(
        &self,
        ctx: &Context,
        link: &mut Link,
        keeping: &Keeping,
    ) -> Result<Stamp, LinkError> {
        let mut pages = 0;
        loop {
            pages += 1;
            let peers = ctx.peers.lock().stamp(self.number);
            let (catalogue, offer) = (keeping.index.stamp(), keeping.offer());
            let outcomes = keeping.outcomes(self.number);
            let told = outcomes.clone();
            match link.ask(Heartbeat { peers, catalogue, offer, outcomes })? {
                Message::HeartbeatAnswer(answer) => {
                    keeping.hear(self.number, answer.duties, &told);
                    let more = answer.peers.more;
                    ctx.peers.lock().apply(clock::now(), self.number, answer.peers);
                    if !more || pages >= PAGES_MAX || ctx.stop.is_stopped() {
                        return Ok(answer.catalogue);
                    }
                }
                other => return Err(LinkError::Unexpected(other.kind())),
            }
        }
    }

    /// Sends what the tracker's copy lacks, page by page. A tracker whose copy is elsewhere after a
    /// page than that page leads to is asked again with the next heartbeat only; one that refuses
    /// (its index is full) is left alone until the catalogue changes, and keeps us on its list.
    fn sync_catalogue(
        &self,
        ctx: &Context,
        link: &mut Link,
        index: &Index,
        mut theirs: Stamp,
    ) -> Result<(), LinkError> {
        let mut astray = 0;
        loop {
            let mine = index.stamp();
            if theirs == mine {
                self.state.lock().refusal.taken();
                return Ok(());
            }
            if ctx.stop.is_stopped() || self.state.lock().refusal.holds(mine) {
                return Ok(());
            }
            let page = index.catalogue_delta(theirs);
            let after = Stamp { epoch: page.epoch, version: page.to };
            let answer = match link.ask(page) {
                Err(error) if is_about_catalogue(&error) => {
                    self.catalogue_refused(ctx, mine, &error);
                    return Ok(());
                }
                answer => answer?,
            };
            match answer {
                Message::CatalogueAnswer(answer) if answer.catalogue == after => theirs = after,
                Message::CatalogueAnswer(_) if astray >= ASTRAY_MAX => {
                    log::warn!(target: "tracker", "{} does not take our list of files", self.tracker);
                    return Ok(());
                }
                Message::CatalogueAnswer(answer) => {
                    theirs = answer.catalogue;
                    astray += 1;
                }
                other => return Err(LinkError::Unexpected(other.kind())),
            }
        }
    }

    fn catalogue_refused(&self, ctx: &Context, mine: Stamp, error: &LinkError) {
        let news = self.state.lock().refusal.refused(mine);
        let words = format!("tracker {}: does not list our files: {error}", self.tracker);
        if news {
            ctx.notices.tell(words);
        } else {
            log::debug!(target: "tracker", "{words}");
        }
    }

    /// Until the next heartbeat: between 80 and 100 % of the interval, or shortly after a change.
    fn rest(&self, ctx: &Context, card: &Card) {
        let interval = card.interval();
        let jitter = interval.mul_f64(0.2 * clock::random_u64() as f64 / u64::MAX as f64);
        match self.woken.recv_timeout(interval - jitter) {
            Ok(()) => {
                ctx.stop.wait(CHANGES_GATHER);
                self.woken.try_recv().ok();
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
    }
}

/// Whether somebody else with our identity is there.
fn is_identity_in_use(error: &LinkError) -> bool {
    matches!(error, LinkError::Refused(no) if matches!(no.why, Why::IdentityInUse { .. }))
}

/// Whether a refused page means the list of files alone, and not our place on the tracker's list.
fn is_about_catalogue(error: &LinkError) -> bool {
    let LinkError::Refused(no) = error else { return false };
    !matches!(no.why, Why::NotRegistered | Why::IdentityInUse { .. } | Why::Stopping)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::message::tracker::Refused;

    fn stamp(version: u64) -> Stamp {
        Stamp { epoch: 1, version }
    }

    #[test]
    fn a_refused_list_of_files_is_told_once_and_sent_again_when_it_has_changed() {
        let mut refusal = Refusal::default();
        assert!(!refusal.holds(stamp(1)));
        assert!(refusal.refused(stamp(1)), "news");
        assert!(refusal.holds(stamp(1)));
        assert!(!refusal.holds(stamp(2)), "another list is tried");
        assert!(!refusal.refused(stamp(2)), "but is no news");
        refusal.forget_session();
        assert!(!refusal.holds(stamp(2)) && !refusal.refused(stamp(2)));
        refusal.taken();
        assert!(refusal.refused(stamp(3)), "news again after it was taken");
    }

    #[test]
    fn a_full_index_does_not_end_the_session_but_a_tracker_that_forgot_us_does() {
        let refused = |why| LinkError::Refused(Refused::new(why, "no"));
        assert!(is_about_catalogue(&refused(Why::Busy)));
        assert!(!is_about_catalogue(&refused(Why::NotRegistered)));
        assert!(!is_about_catalogue(&LinkError::Closed));
    }

    #[test]
    fn a_long_heartbeat_is_kept_as_short_as_trackers_expect_it() {
        let card = |secs| Card {
            instance: 1,
            label: "alice".parse().unwrap(),
            ports: Ports { search: 1, size: 2, chunk: 3 },
            advertise: None,
            heartbeat: Duration::from_secs(secs),
        };
        assert_eq!(card(900).interval().as_secs(), 300);
        assert_eq!(card(10).interval().as_secs(), 10);
    }
}
