//! Waits for many quiet connections at once, so that a parked session costs no thread.
//!
//! Invariant: a token is reported at most once each time it is parked (`EPOLLONESHOT`), so two
//! workers never get one session. A descriptor that is closed leaves by itself; unparking first is
//! tidier. Any thread may park, wait and wake.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use rustix::io::Errno;

/// Most events taken out by one wait.
const EVENTS_MAX: usize = 256;
/// The token of the wake descriptor.
const WAKE: u64 = u64::MAX;

/// A parked connection on which something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    /// As given to [`Poller::park`].
    pub token: u64,
    /// The other side is gone, or will send no more. There may still be bytes to read.
    pub hangup: bool,
}

/// A set of parked descriptors.
pub struct Poller {
    epoll: OwnedFd,
    wake: OwnedFd,
}

impl Poller {
    /// An empty one.
    ///
    /// # Errors
    /// The process is out of descriptors.
    pub fn new() -> io::Result<Poller> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(&epoll, &wake, epoll::EventData::new_u64(WAKE), epoll::EventFlags::IN)?;
        Ok(Poller { epoll, wake })
    }

    /// Waits on `fd` from now on, until it is reported once. `token` is any number but `u64::MAX`.
    /// Parked again after it was reported, it is armed again.
    ///
    /// # Errors
    /// The system's bound on watched descriptors is reached, or `fd` cannot be watched.
    pub fn park(&self, token: u64, fd: impl AsFd) -> io::Result<()> {
        let flags = epoll::EventFlags::IN | epoll::EventFlags::RDHUP | epoll::EventFlags::ONESHOT;
        let data = epoll::EventData::new_u64(token);
        match epoll::add(&self.epoll, fd.as_fd(), data, flags) {
            Err(Errno::EXIST) => Ok(epoll::modify(&self.epoll, fd.as_fd(), data, flags)?),
            added => Ok(added?),
        }
    }

    /// Waits on `fd` no longer. What a concurrent wait has already taken out is still reported.
    ///
    /// # Errors
    /// `fd` is not parked here.
    pub fn unpark(&self, fd: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, fd.as_fd())?)
    }

    /// What happened, waiting for at most `at_most` for the first; empty when nothing did, or when
    /// woken.
    ///
    /// # Errors
    /// None to be expected.
    pub fn wait(&self, at_most: Duration) -> io::Result<Vec<Ready>> {
        let mut events = Vec::with_capacity(EVENTS_MAX);
        let timeout = Timespec {
            tv_sec: i64::try_from(at_most.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: at_most.subsec_nanos().into(),
        };
        let spare = rustix::buffer::spare_capacity(&mut events);
        match epoll::wait(&self.epoll, spare, Some(&timeout)) {
            Err(Errno::INTR) => return Ok(Vec::new()),
            done => done?,
        };
        let gone = epoll::EventFlags::RDHUP | epoll::EventFlags::HUP | epoll::EventFlags::ERR;
        let mut ready = Vec::with_capacity(events.len());
        for event in &events {
            let (token, flags) = (event.data.u64(), event.flags);
            if token == WAKE {
                self.drain_wake()?;
            } else {
                ready.push(Ready { token, hangup: flags.intersects(gone) });
            }
        }
        Ok(ready)
    }

    /// Ends the wait that runs, or the next one.
    ///
    /// # Errors
    /// None to be expected.
    pub fn wake(&self) -> io::Result<()> {
        match rustix::io::write(&self.wake, &1_u64.to_ne_bytes()) {
            // The counter is full: a wake is pending anyway.
            Ok(_) | Err(Errno::AGAIN) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    fn drain_wake(&self) -> io::Result<()> {
        match rustix::io::read(&self.wake, &mut [0; 8]) {
            Ok(_) | Err(Errno::AGAIN) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn a_parked_connection_is_reported_once_each_time_it_is_parked() {
        let poller = Poller::new().unwrap();
        let (mut alice, mut bob) = UnixStream::pair().unwrap();
        poller.park(7, &bob).unwrap();
        assert!(poller.wait(Duration::ZERO).unwrap().is_empty());
        alice.write_all(b"x").unwrap();
        assert_eq!(poller.wait(LONG).unwrap(), [Ready { token: 7, hangup: false }]);
        assert!(poller.wait(Duration::ZERO).unwrap().is_empty(), "reported a second time");
        poller.park(7, &bob).unwrap();
        assert_eq!(poller.wait(LONG).unwrap(), [Ready { token: 7, hangup: false }]);
        bob.read_exact(&mut [0]).unwrap();
        poller.park(8, &bob).unwrap();
        drop(alice);
        assert_eq!(poller.wait(LONG).unwrap(), [Ready { token: 8, hangup: true }]);
    }

    #[test]
    fn an_unparked_connection_is_silent_and_a_wake_ends_a_wait() {
        let poller = Poller::new().unwrap();
        let (mut alice, bob) = UnixStream::pair().unwrap();
        poller.park(1, &bob).unwrap();
        poller.unpark(&bob).unwrap();
        alice.write_all(b"x").unwrap();
        poller.wake().unwrap();
        poller.wake().unwrap();
        assert!(poller.wait(LONG).unwrap().is_empty());
        assert!(poller.wait(Duration::ZERO).unwrap().is_empty(), "one wait takes all wakes");
        assert!(poller.unpark(&bob).is_err());
    }
}
