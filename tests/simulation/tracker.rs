//! The tracker of a simulation: the production registry, spoken to without a network between.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use parvi::base::{NodeId, NodeLabel, Ports, Time};
use parvi::logic::peers::PeerBook;
use parvi::logic::registry::{ClosedBy, Limits, Registry, SessionToken};
use parvi::wire::message::copies::Offer;
use parvi::wire::message::tracker::{Heartbeat, Register, Stamp};

/// Between two heartbeats of a node.
pub const BEAT_EVERY: Duration = Duration::from_secs(10);

/// The ports of every node.
pub const PORTS: Ports = Ports { search: 1, size: 2, chunk: 3 };

/// The address of node `n`.
pub fn ip(n: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, n as u8 + 1))
}

/// The identity of node `n`.
pub fn id(n: usize) -> NodeId {
    NodeId::from_bytes([n as u8 + 1; 32])
}

/// The number of a node.
pub fn number(id: &NodeId) -> usize {
    usize::from(id.as_bytes()[0]) - 1
}

/// What people call node `n`.
pub fn label(n: usize) -> NodeLabel {
    format!("node{n}").parse().expect("a label")
}

/// The tracker, while it runs.
#[derive(Debug)]
pub struct Tracker {
    registry: Option<Registry>,
    epochs: u64,
    sessions: u64,
}

impl Tracker {
    pub fn new() -> Tracker {
        let mut tracker = Tracker { registry: None, epochs: 0, sessions: 0 };
        tracker.start();
        tracker
    }

    pub fn kill(&mut self) {
        self.registry = None;
    }

    pub fn start(&mut self) {
        if self.registry.is_none() {
            self.epochs += 1;
            self.registry = Some(Registry::new(self.epochs, Limits::default()));
        }
    }

    pub fn tick(&mut self, now: Time) {
        if let Some(registry) = &mut self.registry {
            registry.on_tick(now);
        }
    }

    /// A process has ended and its connection with it.
    pub fn closed(&mut self, now: Time, session: Option<SessionToken>) {
        if let (Some(registry), Some(session)) = (&mut self.registry, session) {
            registry.on_session_closed(now, session, ClosedBy::Peer);
        }
    }

    /// Node `n` calls: registers if it must, and takes what has changed into its book.
    pub fn beat(
        &mut self,
        now: Time,
        local: Time,
        n: usize,
        instance: u64,
        session: &mut Option<SessionToken>,
        book: &mut PeerBook,
    ) {
        let Some(registry) = &mut self.registry else {
            *session = None;
            return;
        };
        let heartbeat =
            |book: &PeerBook| Heartbeat { peers: book.stamp(0), ..Heartbeat::default() };
        let beat = session.map(|token| registry.on_heartbeat(now, token, &heartbeat(book)));
        if let Some(Ok(answer)) = beat {
            book.apply(local, 0, answer.peers);
            return;
        }
        self.sessions += 1;
        let token = SessionToken(self.sessions);
        let register = Register {
            instance,
            label: label(n),
            ports: PORTS,
            advertise: None,
            heartbeat_s: BEAT_EVERY.as_secs() as u16,
            catalogue: Stamp::default(),
            offer: Offer::default(),
        };
        *session = match registry.on_register(now, token, id(n), ip(n), &register) {
            Ok(_) => Some(token),
            Err(_) => None,
        };
        if session.is_some()
            && let Ok(answer) = registry.on_heartbeat(now, token, &heartbeat(book))
        {
            book.apply(local, 0, answer.peers);
        }
    }
}
