//! The inside of one listener: who is connected, and the way in and out.
//!
//! Invariant: every connection holds a permit, and its last owner gives it back, wherever that is.
//! A connection is known here by a weak reference only, so that it can be shut but not kept.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::base::Time;
use crate::io::clock;
use crate::io::link::{self, LinkConfig, LinkError, Pipe, TcpPipe};
use crate::io::threads::Group;
use crate::wire::message::tracker::{Refused, Why};

use super::Handler;
use super::admission::{Admission, ServeLimits, Ticket, Verdict};

/// How often one kind of failed handshake is logged.
const COMPLAINT_EVERY: Duration = Duration::from_secs(10);
/// How long those who were put out may take to leave; their sockets are shut, so they are quick.
const LEAVING_MAX: Duration = Duration::from_secs(2);

/// One listener with everybody in it.
pub(super) struct House {
    name: &'static str,
    config: Arc<LinkConfig>,
    handler: Handler,
    guests: Mutex<Guests>,
    /// A guest has left.
    left: Condvar,
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
    pub(super) fn new(
        name: &'static str,
        limits: ServeLimits,
        config: Arc<LinkConfig>,
        handler: Handler,
    ) -> Arc<House> {
        let admission = Admission::new(limits);
        let guests = Mutex::new(Guests { closed: false, admission, pipes: BTreeMap::new() });
        let (left, complaints) = (Condvar::new(), Mutex::default());
        Arc::new(House { name, config, handler, guests, left, complaints })
    }

    pub(super) fn poll_interval(&self) -> Duration {
        self.config.timeouts.poll
    }

    /// Gives a connection its permit and its thread, or turns it away.
    pub(super) fn take_in(self: &Arc<Self>, pipe: TcpPipe, group: &Group) -> io::Result<()> {
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
        let (ticket, put_out) = loop {
            if guests.closed {
                return Err(pipe);
            }
            match guests.admission.arrive() {
                Verdict::Enter { ticket, put_out } => break (ticket, put_out),
                Verdict::Full => return Err(pipe),
                Verdict::Crowded if self.left.wait_for(&mut guests, LEAVING_MAX).timed_out() => {
                    return Err(pipe);
                }
                Verdict::Crowded => {}
            }
        };
        let permit = Permit { house: Arc::clone(self), ticket };
        let guest = Arc::new(Guest { pipe, permit });
        guests.pipes.insert(ticket, Arc::downgrade(&guest));
        let put_out = put_out.and_then(|old| guests.pipes.get(&old)).and_then(Weak::upgrade);
        // Dropping the last reference to a guest takes this lock.
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
    pub(super) fn close(&self) {
        let mut guests = self.guests.lock();
        guests.closed = true;
        let open: Vec<_> = guests.pipes.values().filter_map(Weak::upgrade).collect();
        drop(guests);
        self.left.notify_all();
        for guest in open {
            guest.shutdown();
        }
    }

    fn complain_of(&self, remote: SocketAddr, e: &LinkError) {
        let level = match e {
            LinkError::WrongKey(_) | LinkError::Version { .. } => log::Level::Info,
            _ => log::Level::Debug,
        };
        self.complain(e.tag(), level, format_args!("{remote}: {e}"));
    }

    /// Logs the first failure of a kind, and then at most one in ten seconds.
    pub(super) fn complain(
        &self,
        tag: &'static str,
        level: log::Level,
        text: std::fmt::Arguments<'_>,
    ) {
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
        self.house.left.notify_all();
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
    fn overseen(&self) {
        self.pipe.overseen();
    }
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.fd()
    }
    fn send_file(&self, file: &File, offset: u64, len: u64) -> io::Result<usize> {
        self.pipe.send_file(file, offset, len)
    }
}
