//! Which of this machine's addresses the others see, without sending anything.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

/// The address from which this machine would talk to `toward`: what the kernel's routes say.
/// Connecting a UDP socket sends no packet. `None` when there is no route.
pub fn address_toward(toward: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = match toward {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    };
    #[expect(clippy::disallowed_methods, reason = "asks for a route; nothing is sent")]
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(toward).ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_unspecified()).then_some(ip)
}

/// This machine's usual address: the one with which it would talk to the rest of the world, or
/// loopback on a machine without a network.
pub fn usual_address() -> IpAddr {
    // TEST-NET-1 (RFC 5737): belongs to nobody, so the default route answers for it.
    let elsewhere = SocketAddr::from(([192, 0, 2, 1], 9));
    address_toward(elsewhere).unwrap_or(Ipv4Addr::LOCALHOST.into())
}

/// The machine's name, as far as it can label a node.
pub fn host_name() -> Option<String> {
    let name = rustix::system::uname().nodename().to_str().ok()?.to_owned();
    name.split('.').next().map(str::to_owned).filter(|short| !short.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_reached_from_loopback() {
        let toward = SocketAddr::from(([127, 0, 0, 1], 9));
        assert_eq!(address_toward(toward), Some(Ipv4Addr::LOCALHOST.into()));
    }
}
