//! What goes wrong on a link, in words that say what to do.

use std::io;
use std::net::SocketAddr;

use rustix::io::Errno;

use crate::base::NodeId;
use crate::wire::codec::CodecError;
use crate::wire::message::tracker::Refused;
use crate::wire::{FrameError, Kind};

/// What was waited for when time ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The handshake, all of it.
    Handshake,
    /// The first byte of a message. The only one after which the link can still be used.
    Header,
    /// The rest of a message, which came too slowly.
    Body,
    /// Bytes of a chunk, which came too slowly.
    Payload,
    /// The peer's taking of what we send, which went too slowly.
    Send,
}

impl Phase {
    const fn words(self) -> &'static str {
        match self {
            Phase::Handshake => "the peer did not finish the handshake in time",
            Phase::Header => "the peer did not answer in time",
            Phase::Body => "the peer sent a message too slowly",
            Phase::Payload => "the peer sent a chunk too slowly",
            Phase::Send => "the peer took what was sent too slowly",
        }
    }
}

/// How two swarm keys do not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyMismatch {
    /// Both have one, and not the same.
    Differ,
    /// This side has one, the other has none.
    OnlyHere,
    /// The other side has one, this one has none.
    OnlyThere,
}

impl KeyMismatch {
    const fn words(self) -> &'static str {
        match self {
            KeyMismatch::Differ => "use the same --swarm-key-file on both sides, or none on both",
            KeyMismatch::OnlyHere => {
                "the other side has none: give it the same --swarm-key-file, or leave it away here"
            }
            KeyMismatch::OnlyThere => {
                "the other side has one, and here there is none: give the same --swarm-key-file here"
            }
        }
    }
}

/// Why a link could not be made, or ended. Only `Timeout(Header)` and `Refused` leave it usable.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// No connection to begin with.
    #[error("could not connect to {addr}: {source}")]
    Connect {
        /// Where to.
        addr: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// It was there, and ended.
    #[error("the peer closed the connection")]
    Closed,
    /// The peer was too slow.
    #[error("{}", .0.words())]
    Timeout(Phase),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Io(#[source] io::Error),
    /// Something else listens or speaks there.
    #[error("the other side does not speak parvi: check address and port")]
    NotParvi,
    /// The swarm keys differ, or only one side has one.
    #[error("the swarm keys differ: {}", .0.words())]
    WrongKey(KeyMismatch),
    /// The versions differ.
    #[error("{}", version_words(*.ours, *.theirs))]
    Version {
        /// Our protocol version.
        ours: u16,
        /// The peer's.
        theirs: u16,
    },
    /// The peer proved to be somebody else than the one we wanted.
    #[error("met node {} where {} was expected: the address is stale", .met.short(), .expected.short())]
    Identity {
        /// Whom we wanted.
        expected: NodeId,
        /// Who it was.
        met: NodeId,
    },
    /// All the peer's connections are taken.
    #[error("the peer has no connection left: try again later")]
    Busy,
    /// A header that is none.
    #[error("the peer sent what is no message: {0}")]
    Frame(#[from] FrameError),
    /// A body that is not what its header says, or a message of ours that is too large.
    #[error("bad message: {0}")]
    Codec(#[from] CodecError),
    /// A record of the cipher that is empty, too short, or out of step with the messages.
    #[error("the peer sent a bad record: {0}")]
    Record(&'static str),
    /// Bytes were changed on the way, or the peer's cipher is out of step.
    #[error("what arrived is not what the peer encrypted")]
    Crypto,
    /// The peer said no.
    #[error("the peer refused: {}", .0.text.shown())]
    Refused(Refused),
    /// A message, but not one that fits here.
    #[error("the peer sent a {0:?} out of turn")]
    Unexpected(Kind),
    /// The file that is being sent has become shorter.
    #[error("the file became shorter while it was sent")]
    SourceShort,
    /// The file that is being sent cannot be read.
    #[error("could not read the file that is being sent: {0}")]
    Source(#[source] io::Error),
    /// The system gave no random numbers, or the cipher refused its input: a fault on this side.
    #[error("the cipher failed: {0}")]
    Cipher(#[from] snow::Error),
}

impl LinkError {
    /// Whether it failed for a want on this side, before anything was tried: descriptors, memory, an
    /// address or a port to dial from. That says nothing of the other side.
    pub fn is_ours(&self) -> bool {
        let (LinkError::Connect { source, .. } | LinkError::Io(source) | LinkError::Source(source)) =
            self
        else {
            return matches!(self, LinkError::Cipher(_));
        };
        let ours = [
            Errno::MFILE,
            Errno::NFILE,
            Errno::NOBUFS,
            Errno::NOMEM,
            Errno::ADDRNOTAVAIL,
            Errno::ADDRINUSE,
            Errno::NETDOWN,
        ];
        Errno::from_io_error(source).is_some_and(|errno| ours.contains(&errno))
    }

    /// A short fixed word for counters and rate-limited logs.
    pub const fn tag(&self) -> &'static str {
        match self {
            LinkError::Connect { .. } => "connect",
            LinkError::Closed => "closed",
            LinkError::Timeout(Phase::Handshake) => "slow handshake",
            LinkError::Timeout(Phase::Header) => "no answer",
            LinkError::Timeout(Phase::Body | Phase::Payload) => "slow sender",
            LinkError::Timeout(Phase::Send) => "slow reader",
            LinkError::Io(_) => "broken",
            LinkError::NotParvi => "not parvi",
            LinkError::WrongKey(_) => "wrong key",
            LinkError::Version { .. } => "version",
            LinkError::Identity { .. } => "identity",
            LinkError::Busy => "busy",
            LinkError::Frame(_) | LinkError::Codec(_) | LinkError::Record(_) => "malformed",
            LinkError::Crypto => "tampered",
            LinkError::Refused(_) => "refused",
            LinkError::Unexpected(_) => "out of turn",
            LinkError::SourceShort | LinkError::Source(_) => "source",
            LinkError::Cipher(_) => "cipher",
        }
    }

    /// Whether the link can go on after this error.
    pub const fn is_survivable(&self) -> bool {
        matches!(self, LinkError::Timeout(Phase::Header) | LinkError::Refused(_))
    }

    /// Whether only a peer that breaks the protocol causes this. Bytes that do not decrypt may have
    /// been changed by somebody on the way; being slow or gone is nobody's fault.
    pub const fn is_violation(&self) -> bool {
        let decode = matches!(self, LinkError::Codec(e) if !matches!(e, CodecError::Encode(_)));
        decode || matches!(self, LinkError::Frame(_) | LinkError::Unexpected(_))
    }

    /// What the pipe said, with the many names of "gone" under one.
    pub(super) fn from_pipe(e: io::Error) -> LinkError {
        if is_gone(&e) { LinkError::Closed } else { LinkError::Io(e) }
    }
}

/// The other side went away, in one of the ways that sockets have for it.
pub(super) fn is_gone(e: &io::Error) -> bool {
    matches!(
        e.kind(),
        io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::NotConnected
            | io::ErrorKind::UnexpectedEof
    )
}

fn version_words(ours: u16, theirs: u16) -> String {
    let (older, what) = if ours < theirs {
        ("this parvi is older", "update this one")
    } else {
        ("the peer's parvi is older", "update the peer")
    };
    format!("{older}: protocol {ours} here, {theirs} there; {what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_here_says_nothing_of_the_other_side() {
        let addr = ([10, 0, 0, 9], 1).into();
        let connect = |errno: Errno| LinkError::Connect { addr, source: errno.into() };
        let ours = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::ADDRNOTAVAIL];
        assert!(ours.into_iter().all(|errno| connect(errno).is_ours()));
        let theirs = [Errno::CONNREFUSED, Errno::HOSTUNREACH, Errno::NETUNREACH, Errno::TIMEDOUT];
        assert!(!theirs.into_iter().any(|errno| connect(errno).is_ours()));
        assert!(!LinkError::Timeout(Phase::Handshake).is_ours() && !LinkError::Busy.is_ours());
    }
}
