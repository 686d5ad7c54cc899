//! The secure link between two nodes: messages and chunk bytes over an encrypted, authenticated
//! connection.
//!
//! ```text
//! Link        messages, payloads            reader.rs  writer.rs
//! Session     records of a Noise cipher     session.rs, made by handshake.rs
//! Pipe        bytes                         pipe.rs, tcp.rs; later RFCOMM, relay circuits
//! ```
//!
//! Invariant: whoever holds a [`Link`] knows that its peer holds the secret key of `peer`, and the
//! swarm key if there is one; every message is exactly what that peer sent, in its order. It ends
//! by an error in either half, by a [`Closer`], or by dropping both halves; there is no half close.

mod error;
mod handshake;
mod keys;
mod pace;
mod pipe;
mod preamble;
mod reader;
mod session;
mod step;
mod tcp;
mod writer;

use std::net::{IpAddr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Weak};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::base::NodeId;
use crate::wire::Message;

pub use error::{KeyMismatch, LinkError, Phase};
pub use keys::{KeyError, StaticKey, SwarmKey};
pub use pace::Timeouts;
pub use pipe::Pipe;
pub use preamble::PROTOCOL_VERSION;
pub use reader::LinkReader;
pub use step::Step;
pub use tcp::TcpPipe;
pub use writer::{FileSlice, LinkWriter};

pub(super) use handshake::turn_away;
pub(super) use tcp::{knock, listen};

use session::Session;

/// How chunk bytes travel. Messages are always encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Bulk {
    /// Inside the cipher.
    #[default]
    Private = 0,
    /// Bare, if the peer agrees: anybody on the way can read them; they are verified all the same.
    Clear = 1,
}

impl Bulk {
    /// What two ends with these preferences do.
    const fn and(self, other: Bulk) -> Bulk {
        match (self, other) {
            (Bulk::Clear, Bulk::Clear) => Bulk::Clear,
            _ => Bulk::Private,
        }
    }
}

/// Why a text is no [`Bulk`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("bulk is private or clear")]
pub struct BulkError;

impl std::str::FromStr for Bulk {
    type Err = BulkError;
    fn from_str(text: &str) -> Result<Bulk, BulkError> {
        match text {
            "private" => Ok(Bulk::Private),
            "clear" => Ok(Bulk::Clear),
            _ => Err(BulkError),
        }
    }
}

impl std::fmt::Display for Bulk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Bulk::Private => "private",
            Bulk::Clear => "clear",
        })
    }
}

/// What this side brings to every link.
#[derive(Debug, Clone)]
pub struct LinkConfig {
    /// Who we are.
    pub key: StaticKey,
    /// The swarm's key; a peer must have the same, or none as well.
    pub swarm: Option<SwarmKey>,
    /// How chunk bytes are to travel.
    pub bulk: Bulk,
    /// How long a peer may take for what.
    pub timeouts: Timeouts,
}

impl LinkConfig {
    /// With the default time limits.
    pub fn new(key: StaticKey, swarm: Option<SwarmKey>, bulk: Bulk) -> LinkConfig {
        LinkConfig { key, swarm, bulk, timeouts: Timeouts::default() }
    }
}

/// A connection to a node that has proved who it is. Take it apart to use the halves from two
/// threads.
pub struct Link {
    /// Who it is.
    pub peer: NodeId,
    /// Where it is.
    pub remote: SocketAddr,
    /// Messages and payloads from it.
    pub reader: LinkReader,
    /// Messages and payloads to it.
    pub writer: LinkWriter,
    session: Arc<Session>,
}

/// Connects to `addr` by TCP, from `bind` if that is specified, and shakes hands. With `expect`,
/// anybody else at `addr` is an error and does not learn who we are.
///
/// # Errors
/// No connection, no parvi, other version or swarm key, other identity, too slow.
pub fn dial(
    addr: SocketAddr,
    bind: IpAddr,
    config: &LinkConfig,
    expect: Option<NodeId>,
) -> Result<Link, LinkError> {
    let limits = &config.timeouts;
    let pipe = TcpPipe::connect(addr, bind, limits.connect, limits.poll)
        .map_err(|source| LinkError::Connect { addr, source })?;
    dial_over(Arc::new(pipe), config, expect)
}

/// Shakes hands as the dialler over a pipe that is already connected.
///
/// # Errors
/// As [`dial`], but for the connecting.
pub fn dial_over(
    pipe: Arc<dyn Pipe>,
    config: &LinkConfig,
    expect: Option<NodeId>,
) -> Result<Link, LinkError> {
    Link::agreed(handshake::dial(&*pipe, config, expect), pipe, config)
}

/// Shakes hands as the listener over a pipe that is already connected.
///
/// # Errors
/// No parvi, other version or swarm key, too slow.
pub fn accept_over(pipe: Arc<dyn Pipe>, config: &LinkConfig) -> Result<Link, LinkError> {
    Link::agreed(handshake::accept(&*pipe, config), pipe, config)
}

impl Link {
    fn agreed(
        agreed: Result<handshake::Agreed, LinkError>,
        pipe: Arc<dyn Pipe>,
        config: &LinkConfig,
    ) -> Result<Link, LinkError> {
        let handshake::Agreed { noise, peer, bulk } = match agreed {
            Ok(agreed) => agreed,
            Err(e) => {
                pipe.shutdown();
                return Err(e);
            }
        };
        let remote = pipe.remote();
        let session = Arc::new(Session { pipe, noise, bulk, timeouts: config.timeouts });
        let reader = LinkReader::new(Arc::clone(&session));
        let writer = LinkWriter::new(Arc::clone(&session));
        Ok(Link { peer, remote, reader, writer, session })
    }

    /// Sends one message.
    ///
    /// # Errors
    /// As [`LinkWriter::send`].
    pub fn send(&mut self, message: impl Into<Message>) -> Result<(), LinkError> {
        self.writer.send(&message.into())
    }

    /// The next message.
    ///
    /// # Errors
    /// As [`LinkReader::recv`].
    pub fn recv(&mut self, within: Duration) -> Result<Message, LinkError> {
        self.reader.recv(within)
    }

    /// Sends a question and waits for its answer.
    ///
    /// # Errors
    /// `Refused` if that is the answer, which leaves the link usable; else as [`Link::send`] and
    /// [`Link::recv`], and the link has ended.
    pub fn ask(&mut self, question: impl Into<Message>) -> Result<Message, LinkError> {
        self.send(question)?;
        match self.recv(self.session.timeouts.answer) {
            Ok(Message::Refused(refused)) => Err(LinkError::Refused(refused)),
            // A late answer would be taken for that to the next question.
            Err(LinkError::Timeout(phase)) => {
                self.session.pipe.shutdown();
                Err(LinkError::Timeout(phase))
            }
            other => other,
        }
    }

    /// Whether something has come that nobody has read, the peer's end among it. Nothing is waited for.
    pub fn has_come(&self) -> bool {
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let readable = |fd: BorrowedFd<'_>| {
            let mut fds = [PollFd::new(&fd, PollFlags::IN)];
            poll(&mut fds, Some(&at_once)).is_ok_and(|ready| ready > 0)
        };
        self.reader.has_buffered() || self.fd().is_some_and(readable)
    }

    /// How chunk bytes travel on this link, as agreed with the peer.
    pub fn bulk(&self) -> Bulk {
        self.session.bulk
    }

    /// What ends this link from any thread.
    pub fn closer(&self) -> Closer {
        Closer(Arc::downgrade(&self.session.pipe))
    }

    /// What a poller can wait on. See [`LinkReader::has_buffered`].
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.session.pipe.fd()
    }
}

/// Ends a link from any thread: whoever is blocked in it wakes with an error. It does not keep the
/// link's socket open.
#[derive(Clone)]
pub struct Closer(Weak<dyn Pipe>);

impl Closer {
    /// Of a link that is gone.
    #[cfg(test)]
    pub fn of_nothing() -> Closer {
        Closer(Weak::<tcp::TcpPipe>::new())
    }

    /// Shuts both directions. Nothing happens when the link is already gone.
    pub fn close(&self) {
        if let Some(pipe) = self.0.upgrade() {
            pipe.shutdown();
        }
    }
}

#[cfg(test)]
mod tests;
