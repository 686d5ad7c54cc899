//! How old what is known of a peer is, for who hears that it cannot be reached. Ends with the answer.

use crate::base::NodeId;
use crate::node::context::Context;

/// Why a peer cannot be reached; one that no tracker has heard lately may simply be gone.
pub(in crate::node) fn with_age(ctx: &Context, peer: &NodeId, why: String) -> String {
    match ctx.peers.lock().is_stale(peer) {
        true => format!("{why}; its tracker has not heard it since the tracker's start"),
        false => why,
    }
}
