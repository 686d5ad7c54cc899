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

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use crate::base::Time;
use crate::base::backoff::Backoff;
use crate::wire::message::tracker::{Refused, Why};

use super::clock;
use super::link::{self, Link, LinkConfig, LinkError, Pipe, TcpPipe};
use super::threads::{Group, StopToken};

pub use admission::ServeLimits;
use admission::{Admission, Ticket, Verdict};

/// How often one kind of failed handshake is logged.
const COMPLAINT_EVERY: Duration = Duration::from_secs(10);

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
    let house = Arc::new(House {
        name,
        config,
        handler,
        guests: Mutex::new(Guests {
            closed: false,
            admission: Admission::new(limits),
            pipes: BTreeMap::new(),
        }),
        complaints: Mutex::default(),
    });
    let own_house = Arc::clone(&house);
    let own_stop = stop.clone();
    group.spawn(format!("{name} close"), move || {
        own_stop.wait_stopped();
        own_house.close();
    })?;
    let (poll, own_group) = (house.config.timeouts.poll, group.clone());
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

/// One listener with everybody in it.
struct House {
    name: &'static str,
    config: Arc<LinkConfig>,
    handler: Handler,
    guests: Mutex<Guests>,
    complaints: Mutex<BTreeMap<&'static str, Complaint>>,
}

struct Guests {
    closed: bool,
    admission: Admission,
    /// To shut them. Weak: a pipe's last owner is its link.
    pipes: BTreeMap<Ticket, Weak<Guest>>,
}

/// When a kind of failure was last logged, and how many were not since.
struct Complaint {
    at: Time,
    unsaid: u64,
}

impl House {
    /// Gives a connection its permit and its thread, or turns it away.
    fn take_in(self: &Arc<Self>, pipe: TcpPipe, group: &Group) -> io::Result<()> {
        let remote = pipe.remote();
        let guest = match self.admit(pipe) {
            Ok(guest) => guest,
            Err(pipe) => {
                link::turn_away(&pipe, &self.config);
                self.complain("full", log::Level::Info, format_args!("{remote}: no room"));
                return Ok(());
            }
        };
        let house = Arc::clone(self);
        group.spawn(format!("{} {remote}", self.name), move || house.host(guest))
    }

    fn admit(self: &Arc<Self>, pipe: TcpPipe) -> Result<Arc<Guest>, TcpPipe> {
        let mut guests = self.guests.lock();
        if guests.closed {
            return Err(pipe);
        }
        let Verdict::Enter { ticket, put_out } = guests.admission.arrive() else {
            return Err(pipe);
        };
        let permit = Permit { house: Arc::clone(self), ticket };
        let guest = Arc::new(Guest { pipe, permit });
        guests.pipes.insert(ticket, Arc::downgrade(&guest));
        let put_out = put_out.and_then(|old| guests.pipes.get(&old)).and_then(Weak::upgrade);
        // A guest's last owner takes this lock when it drops the guest.
        drop(guests);
        if let Some(old) = put_out {
            old.shutdown();
        }
        Ok(guest)
    }

    /// Handshake and handler.
    fn host(&self, guest: Arc<Guest>) {
        let (ticket, remote) = (guest.permit.ticket, guest.remote());
        let mut link = match link::accept_over(guest, &self.config) {
            Ok(link) => link,
            Err(e) => return self.complain_of(remote, &e),
        };
        if self.guests.lock().admission.authenticated(ticket) {
            return (self.handler)(link);
        }
        let refused = Refused::new(Why::Busy, "no connection left: try again later");
        if let Err(e) = link.send(refused) {
            self.complain_of(remote, &e);
        }
    }

    /// Nothing new comes in, and what is open is shut.
    fn close(&self) {
        let mut guests = self.guests.lock();
        guests.closed = true;
        let open: Vec<_> = guests.pipes.values().filter_map(Weak::upgrade).collect();
        drop(guests);
        for guest in open {
            guest.shutdown();
        }
    }

    fn complain_of(&self, remote: SocketAddr, e: &LinkError) {
        let level = match e {
            LinkError::WrongKey | LinkError::Version { .. } => log::Level::Info,
            _ => log::Level::Debug,
        };
        self.complain(e.tag(), level, format_args!("{remote}: {e}"));
    }

    /// Logs the first failure of a kind, and then at most one in ten seconds.
    fn complain(&self, tag: &'static str, level: log::Level, text: std::fmt::Arguments<'_>) {
        let now = clock::now();
        let mut complaints = self.complaints.lock();
        let unsaid = match complaints.get_mut(tag) {
            Some(last) if now.since(last.at) < COMPLAINT_EVERY => {
                last.unsaid += 1;
                return;
            }
            last => last.map_or(0, |last| last.unsaid),
        };
        complaints.insert(tag, Complaint { at: now, unsaid: 0 });
        drop(complaints);
        match unsaid {
            0 => log::log!(level, "{}: {text}", self.name),
            n => log::log!(level, "{}: {text} ({n} more like it before)", self.name),
        }
    }
}

/// An accepted connection: a TCP pipe that gives its permit back when it is gone.
struct Guest {
    pipe: TcpPipe,
    permit: Permit,
}

struct Permit {
    house: Arc<House>,
    ticket: Ticket,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut guests = self.house.guests.lock();
        guests.admission.leave(self.ticket);
        guests.pipes.remove(&self.ticket);
    }
}

impl Pipe for Guest {
    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.pipe.read(buf)
    }
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.pipe.write(bytes)
    }
    fn shutdown(&self) {
        self.pipe.shutdown();
    }
    fn remote(&self) -> SocketAddr {
        self.pipe.remote()
    }
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.fd()
    }
    fn send_file(&self, file: &File, offset: u64, len: u64) -> io::Result<usize> {
        self.pipe.send_file(file, offset, len)
    }
}

#[cfg(test)]
mod tests;
