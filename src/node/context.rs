//! What finding and fetching need of the world: the same for a node and for a one-shot `get`.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::counters::Counters;
use super::notices::Notices;
use super::throttle::Throttle;
use crate::base::NodeId;
use crate::io::link::LinkConfig;
use crate::io::threads::{Group, StopToken};
use crate::logic::peers::PeerBook;

/// Shared by every thread of one node, or of one `get`.
pub(super) struct Context {
    /// Our identity, the swarm's key, private or clear.
    pub(super) link: Arc<LinkConfig>,
    /// Our identity's public half.
    pub(super) me: NodeId,
    /// Outgoing sockets are bound to it.
    pub(super) bind: IpAddr,
    /// `HOST:PORT` each; resolved anew at every attempt.
    pub(super) trackers: Vec<String>,
    /// Who else is there.
    pub(super) peers: Mutex<PeerBook>,
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
    /// For `stats`.
    pub(super) counters: Counters,
    /// For the prompt.
    pub(super) notices: Notices,
}
