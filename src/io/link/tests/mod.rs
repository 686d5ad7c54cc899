//! Links over real loopback sockets, and halves over a tape.

mod handshake;
mod records;
mod slow;
mod speed;
mod talk;

use std::net::{IpAddr, Ipv4Addr, TcpListener};

use super::*;

pub(super) const LONG: Duration = Duration::from_secs(20);
pub(super) const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

pub(super) fn config(bulk: Bulk) -> LinkConfig {
    LinkConfig::new(StaticKey::generate().unwrap(), None, bulk)
}

/// Time limits that a test can wait for, but for the handshake: honest ones must not miss it on a
/// busy machine.
pub(super) fn hasty(bulk: Bulk) -> LinkConfig {
    let mut config = config(bulk);
    config.timeouts = Timeouts {
        answer: Duration::from_millis(100),
        grace: Duration::from_millis(100),
        poll: Duration::from_millis(10),
        ..Timeouts::default()
    };
    config
}

pub(super) fn port() -> (TcpListener, SocketAddr) {
    let listener = listen(SocketAddr::new(LOOPBACK, 0)).unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

pub(super) fn accept_one(listener: &TcpListener, config: &LinkConfig) -> Result<Link, LinkError> {
    let (stream, _) = listener.accept().unwrap();
    accept_over(Arc::new(TcpPipe::new(stream, config.timeouts.poll).unwrap()), config)
}

/// Alice dials, bob listens; what each of them got.
pub(super) fn meet(
    alice: &LinkConfig,
    bob: &LinkConfig,
    expect: Option<NodeId>,
) -> (Result<Link, LinkError>, Result<Link, LinkError>) {
    let (listener, addr) = port();
    std::thread::scope(|s| {
        let bob = s.spawn(|| accept_one(&listener, bob));
        let alice = dial(addr, LOOPBACK, alice, expect);
        (alice, bob.join().unwrap())
    })
}

pub(super) fn linked(alice: &LinkConfig, bob: &LinkConfig) -> (Link, Link) {
    let (alice, bob) = meet(alice, bob, Some(bob.key.public()));
    (alice.unwrap(), bob.unwrap())
}
