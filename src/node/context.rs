//! What finding and fetching need of the world: the same for a node and for a one-shot `get`.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::called_back::CalledBack;
use super::counters::Counters;
use super::fetch::fetching::Fetching;
use super::fetch::hand::Spare;
use super::statistics::Recorder;
use super::swarm::Swarms;
use super::throttle::Throttle;
use crate::base::{NodeId, NodeLabel, Ports, Rate};
use crate::io::link::{LinkConfig, Timeouts};
use crate::io::notices::Notices;
use crate::io::threads::{Group, StopToken};
use crate::logic::peers::PeerBook;

/// Shared by every thread of one node, or of one `get`.
pub(super) struct Context {
    /// Our identity, the swarm's key, private or clear.
    pub(super) link: Arc<LinkConfig>,
    /// The same for fetching chunks: there a slow peer is the scheduler's matter, not the link's.
    pub(super) chunk_link: Arc<LinkConfig>,
    /// Our identity's public half.
    pub(super) me: NodeId,
    /// Outgoing sockets are bound to it.
    pub(super) bind: IpAddr,
    /// `HOST:PORT` each; resolved anew at every attempt.
    pub(super) trackers: Vec<String>,
    /// Who else is there.
    pub(super) peers: Mutex<PeerBook>,
    /// The sets that are being fetched.
    pub(super) fetching: Fetching,
    /// Memory for receiving and writing at the same time.
    pub(super) spare: Spare,
    /// Who fetches what from us.
    pub(super) swarms: Swarms,
    /// What we are called and where we serve; a one-shot serves nothing.
    pub(super) serves_at: Option<(NodeLabel, Ports)>,
    /// Every thread we start.
    pub(super) group: Group,
    /// Says that all is over.
    pub(super) stop: StopToken,
    /// How long a transfer may stand still before its connection is given up.
    pub(super) patience: Duration,
    /// All uploads together.
    pub(super) up: Throttle,
    /// All downloads together.
    pub(super) down: Throttle,
    /// Which trackers could reach us.
    pub(super) called_back: CalledBack,
    /// For `stats`, where bytes move.
    pub(super) counters: Counters,
    /// For `stats`, all else.
    pub(super) statistics: Recorder,
    /// For the prompt.
    pub(super) notices: Notices,
}

/// The link for fetching chunks: an owner may be as slow as it likes as long as it does not fall
/// silent for `patience`; faster owners take its share over.
pub(super) fn chunk_link(link: &LinkConfig, patience: Duration) -> Arc<LinkConfig> {
    let timeouts = Timeouts { grace: patience, rate_min: Rate::SILENT_MAX, ..link.timeouts };
    Arc::new(LinkConfig { timeouts, ..link.clone() })
}
