//! Where it can be reached: ports and addresses.

use std::net::IpAddr;

use super::facts::{Addresses, Call, Door, Facts, Interface, Listener, Role};
use super::{Check, Finding};

pub(super) fn ports(facts: &Facts) -> Vec<Finding> {
    if facts.listeners.is_empty() {
        let seen = "three free ports are taken at each start (behind a firewall: --port-base PORT)";
        return vec![Finding::ok(Check::Ports, seen)];
    }
    facts.listeners.iter().map(|listener| port(facts.role, listener)).collect()
}

fn port(role: Role, listener: &Listener) -> Finding {
    let Listener { name, addr, door } = listener;
    let at = format!("{name} on {addr}");
    let port = addr.port();
    let other = match role {
        Role::Node => "--port-base",
        Role::Tracker => "--listen",
    };
    let problem = |wrong: &str, todo: String| Finding::problem(Check::Ports, &at, wrong, todo);
    match door {
        Door::Free => Finding::ok(Check::Ports, format!("{at} is free")),
        Door::Serves => Finding::ok(Check::Ports, format!("{at} answers")),
        Door::Taken => problem(
            "another program has that port",
            format!("ss -ltnp 'sport = :{port}' shows which; stop it, or choose with {other}"),
        ),
        Door::NotOurs => problem(
            "this machine does not have that address",
            "ip -brief address shows those it has; choose one, or 0.0.0.0, with --listen".into(),
        ),
        Door::Forbidden => problem(
            "this user may not take a port below 1024",
            format!("choose a higher one with {other}"),
        ),
        Door::Unusable(why) => {
            problem(&format!("it cannot be taken: {why}"), format!("choose another with {other}"))
        }
        Door::Silent(why) => problem(
            &format!("it does not answer even from this machine: {why}"),
            format!("look at the firewall: sudo nft list ruleset | grep -w {port}"),
        ),
    }
}

pub(super) fn addresses(facts: &Facts) -> Vec<Finding> {
    let Addresses { listen, advertise, interfaces, container } = &facts.addresses;
    let outside: Vec<&Interface> = interfaces.iter().filter(|i| !i.ip.is_loopback()).collect();
    let mut found = vec![seen_by_others(facts, *listen, &outside)];
    if let Some(ip) = advertise {
        found.push(advertised(facts, *ip));
    } else if *container && facts.role == Role::Node {
        found.extend(behind_a_bridge(facts, &outside));
    }
    found
}

/// Whether anybody on another machine could come here.
fn seen_by_others(facts: &Facts, listen: IpAddr, outside: &[&Interface]) -> Finding {
    let one = |i: &&Interface| format!("{} {}", i.name, i.ip);
    let has = outside.iter().filter(|i| !is_bridge(&i.name)).map(one).collect::<Vec<_>>();
    let seen = format!("listens on {listen}; this machine has {}", words(&has));
    if listen.is_loopback() {
        let wrong = "only programs on this machine can reach it";
        return match all_here(facts) {
            true => Finding::ok(Check::Addresses, format!("{seen}; all of the swarm is here")),
            false => {
                let todo = "start it without --listen, or with the address that others see";
                Finding::warning(Check::Addresses, seen, wrong, todo)
            }
        };
    }
    if !listen.is_unspecified() && !facts.addresses.interfaces.iter().any(|i| i.ip == listen) {
        let todo = "ip -brief address shows those it has; choose one, or 0.0.0.0, with --listen";
        let wrong = format!("{listen} is none of them");
        return Finding::problem(Check::Addresses, seen, wrong, todo);
    }
    if outside.is_empty() && !all_here(facts) {
        let todo = "connect it: nmcli device shows what there is to connect with";
        return Finding::problem(Check::Addresses, seen, "it is on no network", todo);
    }
    if has.is_empty() && !outside.is_empty() {
        let todo = "connect it, or give the address that others see with --advertise";
        let wrong = "these are bridges of containers: nobody on another machine sees them";
        return Finding::warning(Check::Addresses, seen, wrong, todo);
    }
    Finding::ok(Check::Addresses, seen)
}

fn words(list: &[String]) -> String {
    match list {
        [] => "no address but its own".into(),
        some => some.iter().take(6).cloned().collect::<Vec<_>>().join(", "),
    }
}

/// Bridges that container engines and virtual machines make.
fn is_bridge(name: &str) -> bool {
    ["docker", "br-", "veth", "virbr", "cni", "podman"].iter().any(|kind| name.starts_with(kind))
}

/// Whether everybody it knows is on this machine: a swarm for trying things out.
fn all_here(facts: &Facts) -> bool {
    let here = |call: &Call| match call {
        Call::Answered(answered) => answered.at.ip().is_loopback(),
        Call::NoWay(at, _) => at.ip().is_loopback(),
        _ => false,
    };
    let (trackers, nodes) = (&facts.trackers, &facts.nodes);
    match facts.role {
        Role::Node => !trackers.is_empty() && trackers.iter().all(|t| here(&t.call)),
        Role::Tracker => !nodes.is_empty() && nodes.iter().all(|n| n.addr.ip().is_loopback()),
    }
}

/// `--advertise` counts when a tracker has met this node there.
fn advertised(facts: &Facts, ip: IpAddr) -> Finding {
    let listed = |call: &Call| match call {
        Call::Answered(answered) => answered.listed,
        _ => None,
    };
    let elsewhere =
        facts.trackers.iter().find_map(|t| Some((&t.name, listed(&t.call).filter(|l| *l != ip)?)));
    if let Some((tracker, other)) = elsewhere {
        let seen = format!("--advertise {ip}, but {tracker} lists it under {other}");
        let wrong = "the tracker called it there and did not meet it, or has not done so yet";
        let todo = format!(
            "let the router pass the chunk port on to this machine ({ip} -> {}, see --port-base), or \
             leave --advertise away",
            facts.addresses.listen
        );
        return Finding::warning(Check::Addresses, seen, wrong, todo);
    }
    Finding::ok(Check::Addresses, format!("advertised as {ip}"))
}

/// In a container whose network a tracker is not on, others see the host's address and not this one.
fn behind_a_bridge(facts: &Facts, outside: &[&Interface]) -> Option<Finding> {
    let beyond = facts.trackers.iter().find_map(|tracker| {
        let Call::Answered(answered) = &tracker.call else { return None };
        let near =
            answered.at.ip().is_loopback() || outside.iter().any(|i| is_near(i, answered.at.ip()));
        (!near).then_some(&tracker.name)
    })?;
    Some(Finding::warning(
        Check::Addresses,
        format!("runs in a container; the tracker {beyond} is not on the container's network"),
        "nodes on other machines cannot reach a container's own address",
        "docker run --network host …; or publish three ports (-p 40000-40002:40000-40002) and give \
         --port-base 40000 --advertise HOST-IP",
    ))
}

/// Whether `ip` is on the network of `interface`.
fn is_near(interface: &Interface, ip: IpAddr) -> bool {
    let same = |a: u128, b: u128, bits: u32, prefix: u8| {
        let prefix = u32::from(prefix).min(bits);
        prefix == 0 || (a ^ b) >> (bits - prefix) == 0
    };
    match (interface.ip, ip.to_canonical()) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            same(u32::from(a).into(), u32::from(b).into(), 32, interface.prefix)
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => same(a.into(), b.into(), 128, interface.prefix),
        _ => false,
    }
}
