//! One node on the list, and how long its silence is borne.

use std::net::SocketAddr;
use std::time::Duration;

use super::dial_back::Probes;
use super::{ClosedBy, SessionToken};
use crate::base::{NodeId, NodeLabel, PeerInfo, Ports, Time};
use crate::wire::message::copies::Offer;
use crate::wire::message::tracker::{Register, Stamp};

/// Bounds of the interval a node may choose, seconds; nodes keep to them themselves.
pub const HEARTBEAT: (u16, u16) = (1, 300);
/// Heartbeats missed until a node is dropped.
pub(super) const BEATS_MISSED_MAX: u32 = 3;
/// Heartbeats within which an open session speaks for its node against another instance.
const BEATS_ALIVE: u32 = 2;
/// How long a node that hung up without a goodbye may take to come back unnoticed. The kernel of a
/// killed process hangs up at once, so this is all that the notice of a killed node waits; a mere
/// network outage hangs nothing up and is borne for three heartbeats.
pub const RECONNECT_GRACE: Duration = Duration::from_secs(2);

/// How the tracker is in touch with a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Contact {
    Open(SessionToken),
    Lost { at: Time, by: ClosedBy },
}

/// See the module.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) id: NodeId,
    pub(super) instance: u64,
    pub(super) label: NodeLabel,
    pub(super) ports: Ports,
    pub(super) heartbeat: Duration,
    pub(super) last_heard: Time,
    pub(super) contact: Contact,
    pub(super) probes: Probes,
    /// What it does for others.
    pub(super) offer: Offer,
    /// How far its catalogue is, as it says.
    pub(super) announced: Stamp,
    pub(super) registered: Time,
}

impl Node {
    pub(super) fn new(
        now: Time,
        session: SessionToken,
        id: NodeId,
        source: SocketAddr,
        register: &Register,
    ) -> Node {
        let seconds = register.heartbeat_s.clamp(HEARTBEAT.0, HEARTBEAT.1);
        Node {
            id,
            instance: register.instance,
            label: register.label.clone(),
            ports: register.ports,
            heartbeat: Duration::from_secs(seconds.into()),
            last_heard: now,
            contact: Contact::Open(session),
            probes: Probes::new(now, source, register.advertise),
            offer: register.offer,
            announced: register.catalogue,
            registered: now,
        }
    }

    /// As others see it, with the number of files that the index has of it.
    pub(super) fn info(&self, files: usize) -> PeerInfo {
        let (id, label, ports) = (self.id, self.label.clone(), self.ports);
        let files = u32::try_from(files).unwrap_or(u32::MAX);
        PeerInfo { id, label, ip: self.probes.listed().addr.ip(), ports, files }
    }

    /// Its chunk listener.
    pub(super) fn addr(&self) -> SocketAddr {
        self.probes.listed().addr
    }

    /// Whether its session still speaks for it against another instance.
    pub(super) fn is_surely_alive(&self, now: Time) -> bool {
        matches!(self.contact, Contact::Open(_))
            && now.since(self.last_heard) < self.heartbeat * BEATS_ALIVE
    }

    /// Since when it should have been heard and was not: it hung up, or half a heartbeat passed over
    /// the next one.
    pub(super) fn missed_since(&self, now: Time) -> Option<Time> {
        if let Contact::Lost { at, .. } = self.contact {
            return Some(at);
        }
        let late = self.last_heard + self.heartbeat * 3 / 2;
        (now >= late).then_some(late)
    }

    /// Why it is to be dropped now, if it is.
    pub(super) fn is_gone(&self, now: Time) -> Option<String> {
        let silence = now.since(self.last_heard);
        match self.contact {
            Contact::Lost { at, by: ClosedBy::Peer } if now.since(at) >= RECONNECT_GRACE => {
                Some("its connection closed without a goodbye".into())
            }
            _ if silence >= self.heartbeat * BEATS_MISSED_MAX => {
                Some(format!("silent for {} s", silence.as_secs()))
            }
            _ => None,
        }
    }
}
