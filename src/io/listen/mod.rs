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
            "the port is in use: stop the program that has it, or choose another port"
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
    let (local, own_group) = (listener.local, group.clone());
    let (own_house, own_stop) = (Arc::clone(&house), stop.clone());
    group.spawn(format!("{name} stop"), move || {
        own_stop.wait_stopped();
        own_house.close();
        if let Err(e) = link::knock(local) {
            log::debug!("{name}: could not wake the listener: {e}");
        }
    })?;
    let stop = stop.clone();
    group.spawn(format!("{name} accept"), move || {
        accept_until_stopped(&listener.socket, &house, &own_group, &stop);
    })
}

fn accept_until_stopped(socket: &TcpListener, house: &Arc<House>, group: &Group, stop: &StopToken) {
    let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(1));
    loop {
        let accepted = socket.accept();
        if stop.is_stopped() {
            return;
        }
        let taken = accepted
            .and_then(|(stream, _)| TcpPipe::new(stream, house.poll_interval()))
            .and_then(|pipe| house.take_in(pipe, group));
        match taken {
            Ok(()) => backoff.succeed(),
            Err(e) if hit_one_connection(&e) => {}
            // Out of descriptors, memory or threads: it gets better when others leave.
            Err(e) => {
                house.complain("accept", log::Level::Warn, format_args!("{e}"));
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
