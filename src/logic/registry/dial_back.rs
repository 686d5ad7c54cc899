//! When to dial a node back: to learn whether others can reach it, and whether the address it
//! wants to be listed under is really its own.
//!
//! Invariant: no node is dialled more than `DIALS_PER_MINUTE` times a minute, and neither is an
//! address that nodes elsewhere claim, however many of them claim it; after `FAILURES_MAX`
//! failures there is silence. So nobody can aim the tracker at a third party.
//!
//! ```text
//!            time            ok
//! Due(at) ─────────> Flying ────> Met
//!    ^                 │ fail
//!    └─── backoff ─────┴────> GivenUp    after 5; the node may register anew
//! ```

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::base::Time;
pub use crate::logic::window::DIALS_PER_MINUTE;
use crate::logic::window::Window;

/// Failures after which an address is left alone.
pub const FAILURES_MAX: u32 = 5;
/// How long a claimed address is left alone after its failures, whoever claims it.
const QUIET_TIME: Duration = Duration::from_secs(600);
/// The wait after the first failure; it doubles.
const RETRY_FIRST: Duration = Duration::from_secs(10);
/// Claimed addresses remembered; more are not dialled until some are forgotten.
const CLAIMED_MAX: usize = 4_096;

/// How a dial-back went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DialOutcome {
    /// The same identity answered.
    Met,
    /// Nobody, or somebody else, answered.
    Failed,
    /// There was no room to try; to be tried later.
    NotTried,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ProbeState {
    Due(Time),
    Flying,
    Met,
    GivenUp,
}

/// What is known about reaching a node at one address.
#[derive(Debug)]
pub(super) struct Probe {
    pub(super) addr: SocketAddr,
    state: ProbeState,
    failures: u32,
}

impl Probe {
    pub(super) fn new(now: Time, addr: SocketAddr) -> Probe {
        let state = if addr.port() == 0 { ProbeState::GivenUp } else { ProbeState::Due(now) };
        Probe { addr, state, failures: 0 }
    }

    /// Whether the node was met there; none while that is not known.
    pub(super) fn reachable(&self) -> Option<bool> {
        match self.state {
            ProbeState::Met => Some(true),
            ProbeState::GivenUp => Some(false),
            ProbeState::Due(_) | ProbeState::Flying => (self.failures > 0).then_some(false),
        }
    }

    fn is_due(&self, now: Time) -> bool {
        matches!(self.state, ProbeState::Due(at) if at <= now)
    }

    fn wait(&mut self, now: Time) {
        self.state = ProbeState::Due(now + RETRY_FIRST);
    }

    fn on_outcome(&mut self, now: Time, outcome: DialOutcome) {
        if self.state != ProbeState::Flying {
            return;
        }
        match outcome {
            DialOutcome::Met => (self.state, self.failures) = (ProbeState::Met, 0),
            DialOutcome::NotTried => self.wait(now),
            DialOutcome::Failed => {
                self.failures += 1;
                self.state = if self.failures >= FAILURES_MAX {
                    ProbeState::GivenUp
                } else {
                    ProbeState::Due(now + RETRY_FIRST * (1 << (self.failures - 1)))
                };
            }
        }
    }
}

/// One node's probes: the address it comes from, and the one it claims.
#[derive(Debug)]
pub(super) struct Probes {
    pub(super) source: Probe,
    pub(super) claimed: Option<Probe>,
    window: Window,
}

impl Probes {
    pub(super) fn new(now: Time, source: SocketAddr, advertise: Option<IpAddr>) -> Probes {
        let claimed = advertise
            .map(|ip| ip.to_canonical())
            .filter(|ip| *ip != source.ip() && is_usable(*ip, source.ip()))
            .map(|ip| Probe::new(now, SocketAddr::new(ip, source.port())));
        Probes { source: Probe::new(now, source), claimed, window: Window::default() }
    }

    /// Begins anew; only the dials of the last minute still count.
    pub(super) fn renew(&mut self, now: Time, source: SocketAddr, advertise: Option<IpAddr>) {
        let window = std::mem::take(&mut self.window);
        *self = Probes { window, ..Probes::new(now, source, advertise) };
    }

    /// Where the node is listed: where it claims to be once it was met there.
    pub(super) fn listed(&self) -> &Probe {
        match &self.claimed {
            Some(claimed) if claimed.state == ProbeState::Met => claimed,
            _ => &self.source,
        }
    }

    pub(super) fn on_outcome(&mut self, now: Time, addr: SocketAddr, outcome: DialOutcome) {
        for probe in std::iter::once(&mut self.source).chain(&mut self.claimed) {
            if probe.addr == addr {
                probe.on_outcome(now, outcome);
            }
        }
    }
}

/// Whether a node at `source` can be at `claimed` for others at all.
fn is_usable(claimed: IpAddr, source: IpAddr) -> bool {
    let broadcast = matches!(claimed, IpAddr::V4(v4) if v4.is_broadcast());
    let loopback = claimed.is_loopback() && !source.is_loopback();
    !(claimed.is_unspecified() || claimed.is_multicast() || broadcast || loopback)
}

/// A claimed address, over all nodes that claim it.
#[derive(Debug, Default)]
struct Claimed {
    window: Window,
    failures: u32,
    last: Time,
}

/// The limits over all nodes.
#[derive(Debug, Default)]
pub(super) struct DialLimits {
    claimed: BTreeMap<IpAddr, Claimed>,
}

impl DialLimits {
    /// The addresses to dial now.
    pub(super) fn due(&mut self, now: Time, probes: &mut Probes) -> Vec<SocketAddr> {
        let Probes { source, claimed, window } = probes;
        let mut due = Vec::new();
        for (probe, is_claimed) in
            std::iter::once((source, false)).chain(claimed.as_mut().map(|probe| (probe, true)))
        {
            if !probe.is_due(now) {
                continue;
            }
            let allowed =
                window.has_room(now) && (!is_claimed || self.may_dial(now, probe.addr.ip()));
            if allowed {
                window.note(now);
                probe.state = ProbeState::Flying;
                due.push(probe.addr);
            } else {
                probe.wait(now);
            }
        }
        due
    }

    /// Notes how a dial to an address went; only claimed ones are remembered.
    pub(super) fn on_outcome(&mut self, addr: SocketAddr, outcome: DialOutcome) {
        let Some(claimed) = self.claimed.get_mut(&addr.ip()) else { return };
        match outcome {
            DialOutcome::Met => claimed.failures = 0,
            DialOutcome::Failed => claimed.failures += 1,
            DialOutcome::NotTried => {}
        }
    }

    fn may_dial(&mut self, now: Time, ip: IpAddr) -> bool {
        if self.claimed.len() >= CLAIMED_MAX {
            self.claimed.retain(|_, claimed| now.since(claimed.last) < QUIET_TIME);
        }
        if self.claimed.len() >= CLAIMED_MAX && !self.claimed.contains_key(&ip) {
            return false;
        }
        let claimed = self.claimed.entry(ip).or_default();
        if claimed.failures >= FAILURES_MAX {
            if now.since(claimed.last) < QUIET_TIME {
                return false;
            }
            claimed.failures = 0;
        }
        if !claimed.window.has_room(now) {
            return false;
        }
        claimed.window.note(now);
        claimed.last = now;
        true
    }
}
