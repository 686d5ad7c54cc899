//! Listeners: from a port to links with proved peers, each handled on a thread of its own.
//!
//! ```text
//! NAME accept   takes connections, asks Admission, one thread each
//! NAME <addr>   handshake, then the handler
//! NAME stop     waits for the stop token; then nothing new comes in, and what is open is shut
//! ```
//!
//! Invariant: connections and threads stay within [`ServeLimits`]; a permit is taken before the
//! thread is made and given back when both halves of the link are gone, wherever the handler put
//! them. After a stop every handler finds its link closed.

mod admission;
mod house;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use crate::base::backoff::Backoff;

use super::clock;
use super::link::{self, Link, LinkConfig, TcpPipe};
use super::threads::{Group, StopToken};

pub use admission::ServeLimits;
use house::House;

/// Why there is no listener.
#[derive(Debug, thiserror::Error)]
#[error("could not listen on {addr}: {}", words(.source))]
pub struct ListenError {
    /// Where.
    pub addr: SocketAddr,
    /// Why not.
    pub source: io::Error,
}

fn words(e: &io::Error) -> String {
    let advice = match e.kind() {
        io::ErrorKind::AddrInUse => {
            "the port is in use: stop the program that has it, or choose another port (--listen of a tracker, --port-base of a node)"
        }
        io::ErrorKind::AddrNotAvailable => "this machine does not have that address",
        io::ErrorKind::PermissionDenied => {
            "not allowed: ports below 1024 are reserved, choose a higher one"
        }
        _ => return e.to_string(),
    };
    advice.to_owned()
}

/// A port that is bound and listening; [`serve`] accepts on it.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    local: SocketAddr,
}

impl Listener {
    /// Listens on `addr`; port 0 is any free one, `[::]` takes IPv4 as well.
    ///
    /// # Errors
    /// The port is in use, or the address is not ours.
    pub fn bind(addr: SocketAddr) -> Result<Listener, ListenError> {
        let bound = link::listen(addr).and_then(|socket| Ok((socket.local_addr()?, socket)));
        match bound {
            Ok((local, socket)) => Ok(Listener { socket, local }),
            Err(source) => Err(ListenError { addr, source }),
        }
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }
}

/// What is done with a link.
pub type Handler = Arc<dyn Fn(Link) + Send + Sync>;

/// Accepts until stopped; `handler` gets each link whose peer has proved itself, on a thread of
/// its own in `group`.
///
/// # Errors
/// No threads to begin with.
pub fn serve(
    listener: Listener,
    name: &'static str,
    limits: ServeLimits,
    config: Arc<LinkConfig>,
    group: &Group,
    stop: &StopToken,
    handler: Handler,
) -> io::Result<()> {
    let house = House::new(name, limits, config, handler);
    let (own_house, own_stop) = (Arc::clone(&house), stop.clone());
    group.spawn(format!("{name} close"), move || {
        own_stop.wait_stopped();
        own_house.close();
    })?;
    let (poll, own_group) = (house.poll_interval(), group.clone());
    accept_each(listener, name, poll, group, stop, move |pipe| house.take_in(pipe, &own_group))
}

/// Accepts until stopped, on a thread of its own, and hands each connection out as it comes, before
/// any handshake: for those who have their own threads and their own bounds. An error of `take`
/// slows the accepting down; `poll` is how often a blocked call on a connection comes up.
///
/// # Errors
/// No threads to begin with.
pub fn accept_each(
    listener: Listener,
    name: &'static str,
    poll: Duration,
    group: &Group,
    stop: &StopToken,
    take: impl Fn(TcpPipe) -> io::Result<()> + Send + 'static,
) -> io::Result<()> {
    let (local, own_stop) = (listener.local, stop.clone());
    group.spawn(format!("{name} stop"), move || {
        own_stop.wait_stopped();
        if let Err(e) = link::knock(local) {
            log::debug!("{name}: could not wake the listener: {e}");
        }
    })?;
    let stop = stop.clone();
    group.spawn(format!("{name} accept"), move || {
        accept_until_stopped(&listener.socket, name, poll, &stop, take);
    })
}

fn accept_until_stopped(
    socket: &TcpListener,
    name: &str,
    poll: Duration,
    stop: &StopToken,
    take: impl Fn(TcpPipe) -> io::Result<()>,
) {
    let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(1));
    loop {
        let accepted = socket.accept();
        if stop.is_stopped() {
            return;
        }
        let taken = accepted.and_then(|(stream, _)| TcpPipe::new(stream, poll)).and_then(&take);
        match taken {
            Ok(()) => backoff.succeed(),
            Err(e) if hit_one_connection(&e) => {}
            // Out of descriptors, memory or threads: it gets better when others leave.
            Err(e) => {
                // The backoff doubles to a second, so this is not much.
                log::warn!("{name}: could not take a connection: {e}");
                if stop.wait(backoff.fail(clock::random_u64())) {
                    return;
                }
            }
        }
    }
}

/// The connection went away while it was accepted; the next one may be fine.
fn hit_one_connection(e: &io::Error) -> bool {
    matches!(
        e.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::NotConnected
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests;
