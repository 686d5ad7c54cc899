//! TCP as a pipe: how sockets are opened, bound, tuned and dialled.
//!
//! Invariant: every TCP socket of parvi is made here, with the same settings: no delay, a poll
//! interval on reads and writes, and a dead peer noticed within 30 s, unless somebody else looks
//! after it. Dialling ends by its deadline.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::io::Errno;
use socket2::{Domain, Socket, TcpKeepalive, Type};

use super::pipe::{Pipe, copy_some};

/// Silence after which TCP asks whether the peer is there.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);
/// From one such question to the next.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
/// How long sent bytes may stay unacknowledged, and questions unanswered. The kernel also gives up a
/// peer that acknowledges all but has no room for more so long: one that keeps to a low rate.
const UNHEARD_MAX: Duration = Duration::from_secs(25);
/// Bytes that wait in the kernel before they are sent. More would be decided too early: what is in
/// there cannot be skipped, and whoever waits for it cannot be told anything else.
const UNSENT_MAX: u32 = 48 * 1024;
/// Connections the kernel holds for a listener before it accepts them.
const BACKLOG: i32 = 1_024;

/// A TCP connection.
pub struct TcpPipe {
    stream: TcpStream,
    remote: SocketAddr,
}

impl TcpPipe {
    /// Tunes a fresh connection; `poll` is how often a blocked call comes up.
    ///
    /// # Errors
    /// The connection is already gone.
    pub fn new(stream: TcpStream, poll: Duration) -> io::Result<TcpPipe> {
        let remote = canonical(stream.peer_addr()?);
        let socket = socket2::SockRef::from(&stream);
        socket.set_tcp_nodelay(true)?;
        socket.set_read_timeout(Some(poll))?;
        socket.set_write_timeout(Some(poll))?;
        let keepalive =
            TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL);
        socket.set_tcp_keepalive(&keepalive)?;
        socket.set_tcp_user_timeout(Some(UNHEARD_MAX))?;
        socket.set_tcp_notsent_lowat(UNSENT_MAX)?;
        Ok(TcpPipe { stream, remote })
    }

    /// Connects to `addr` from `bind`, unless `bind` is unspecified or of the other family.
    ///
    /// # Errors
    /// Nobody listens there, no way there, or `within` is over.
    pub fn connect(
        addr: SocketAddr,
        bind: IpAddr,
        within: Duration,
        poll: Duration,
    ) -> io::Result<TcpPipe> {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
        if !bind.is_unspecified() && bind.is_ipv4() == addr.is_ipv4() {
            socket.bind(&SocketAddr::new(bind, 0).into())?;
        }
        socket.connect_timeout(&addr.into(), within)?;
        let stream = TcpStream::from(socket);
        // On loopback, dialling a free port of the ephemeral range can meet oneself.
        if stream.local_addr()? == stream.peer_addr()? {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        TcpPipe::new(stream, poll)
    }
}

impl Pipe for TcpPipe {
    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        (&self.stream).read(buf)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        (&self.stream).write(bytes)
    }

    fn shutdown(&self) {
        // The only error is that the connection is gone, which is what was wanted.
        self.stream.shutdown(Shutdown::Both).ok();
    }

    fn remote(&self) -> SocketAddr {
        self.remote
    }

    fn overseen(&self) {
        // The only error is that the connection is gone, which its next use tells.
        socket2::SockRef::from(&self.stream).set_tcp_user_timeout(None).ok();
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.stream.as_fd())
    }

    fn send_file(&self, file: &File, offset: u64, len: u64) -> io::Result<usize> {
        let (mut at, count) = (offset, usize::try_from(len).unwrap_or(usize::MAX));
        match rustix::fs::sendfile(&self.stream, file, Some(&mut at), count) {
            // Some file systems cannot.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                copy_some(file, offset, len, |bytes| self.write(bytes))
            }
            sent => Ok(sent?),
        }
    }
}

/// A socket that listens on `addr`. `[::]` takes IPv4 as well.
pub(in crate::io) fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    if addr.is_ipv6() && addr.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Connects to the listener at `local` and hangs up, so that its accept returns.
pub(in crate::io) fn knock(local: SocketAddr) -> io::Result<()> {
    let ip = match local.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    let to = SocketAddr::new(ip, local.port());
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
    socket.connect_timeout(&to.into(), Duration::from_secs(1))
}

/// An IPv4 peer of a listener on `[::]` is an IPv4 peer.
fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}
