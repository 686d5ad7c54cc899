//! Ports and addresses of this machine.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use crate::io::listen::{ListenError, Listener as Bound};
use crate::logic::doctor::{Addresses, Door, Interface, Listener};

/// Addresses looked at.
const INTERFACES_MAX: usize = 64;

/// The three ports that a node would take from `base` on: taken, and given back at once.
pub fn free_ports(listen: IpAddr, base: u16) -> Vec<Listener> {
    let names = ["search", "size", "chunk"].into_iter().zip(0..);
    let ports = names.filter_map(|(name, n)| Some((name, base.checked_add(n)?)));
    ports
        .map(|(name, port)| {
            let addr = SocketAddr::new(listen, port);
            let door = Bound::bind(addr).map_or_else(|e| door(&e), |_| Door::Free);
            Listener { name, addr, door }
        })
        .collect()
}

fn door(error: &ListenError) -> Door {
    match error.source.kind() {
        ErrorKind::AddrInUse => Door::Taken,
        ErrorKind::AddrNotAvailable => Door::NotOurs,
        ErrorKind::PermissionDenied => Door::Forbidden,
        _ => Door::Unusable(error.source.to_string()),
    }
}

/// The addresses of this machine, and what was chosen among them.
pub fn addresses(listen: IpAddr, advertise: Option<IpAddr>) -> Addresses {
    let all = if_addrs::get_if_addrs().unwrap_or_else(|e| {
        log::debug!("the addresses of this machine cannot be read: {e}");
        Vec::new()
    });
    let one = |interface: if_addrs::Interface| {
        let prefix = match &interface.addr {
            if_addrs::IfAddr::V4(v4) => v4.prefixlen,
            if_addrs::IfAddr::V6(v6) => v6.prefixlen,
        };
        Interface { ip: interface.ip(), name: interface.name, prefix }
    };
    let usable = all.into_iter().filter(|i| i.is_loopback() || !i.is_link_local());
    let interfaces = usable.take(INTERFACES_MAX).map(one).collect();
    Addresses { listen, advertise, interfaces, container: in_container() }
}

/// What container engines leave for programs to see.
fn in_container() -> bool {
    ["/.dockerenv", "/run/.containerenv"].iter().any(|path| Path::new(path).exists())
}
