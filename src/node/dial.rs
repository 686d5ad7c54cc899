//! Outgoing connections of a node: to a tracker by its name, and from which address.

use std::net::{SocketAddr, ToSocketAddrs};

use super::context::Context;
use crate::io::link::{self, Link, LinkError};

/// Dials the first of a tracker's addresses that answers.
pub(super) fn dial_tracker(ctx: &Context, tracker: &str) -> Result<Link, LinkError> {
    let mut last = LinkError::Closed;
    for addr in tracker.to_socket_addrs().map_err(LinkError::Io)? {
        match link::dial(addr, bind_for(ctx, addr), &ctx.link, None) {
            Ok(link) => return Ok(link),
            Err(e) => last = e,
        }
    }
    Err(last)
}

/// The address to bind an outgoing socket to: `--listen`, unless it is of the other family.
pub(super) fn bind_for(ctx: &Context, to: SocketAddr) -> std::net::IpAddr {
    match (ctx.bind.is_ipv4(), to.is_ipv4()) {
        (true, false) => std::net::Ipv6Addr::UNSPECIFIED.into(),
        (false, true) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        _ => ctx.bind,
    }
}
