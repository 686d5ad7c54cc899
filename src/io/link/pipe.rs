//! A pipe of bytes between two ends: TCP now, RFCOMM and relay circuits the same way.
//!
//! Invariant: a pipe knows nothing of messages, ciphers or deadlines. It comes up with `WouldBlock`
//! when it could move nothing for one poll interval, so that those above can look at the clock.
//! There is no half close: some pipes have none.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileExt;

use crate::base::Time;
use crate::io::clock;

use super::error::{LinkError, Phase};
use super::pace::Limit;

/// Bytes moved at once where a file is sent by copying.
const COPY_BYTES: usize = 16 * 1024;

/// A connection that carries bytes in order, both ways. One thread may read while another writes.
pub trait Pipe: Send + Sync {
    /// Reads what there is, at least a byte; zero is the end.
    ///
    /// # Errors
    /// `WouldBlock` when nothing came for one poll interval; anything else is the end.
    fn read(&self, buf: &mut [u8]) -> io::Result<usize>;

    /// Writes some of `bytes` and returns how many.
    ///
    /// # Errors
    /// `WouldBlock` when none could be written for one poll interval; anything else is the end.
    fn write(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Ends both directions and wakes whoever is blocked in a read or write. May be called twice.
    fn shutdown(&self);

    /// The other end.
    fn remote(&self) -> SocketAddr;

    /// From now on somebody else judges whether the peer is there: a pipe that gives a peer up which
    /// takes nothing for long waits for it instead.
    fn overseen(&self) {}

    /// What an event loop can wait on, if anything.
    fn fd(&self) -> Option<BorrowedFd<'_>>;

    /// Writes some of the `len` bytes at `offset` of `file` and returns how many; zero is the end
    /// of the file. A pipe that can do it without copying brings its own form.
    ///
    /// # Errors
    /// As [`Pipe::write`], or the file cannot be read.
    fn send_file(&self, file: &File, offset: u64, len: u64) -> io::Result<usize> {
        copy_some(file, offset, len, |bytes| self.write(bytes))
    }
}

/// Writes some of a file by way of a small buffer.
pub(super) fn copy_some(
    file: &File,
    offset: u64,
    len: u64,
    write: impl FnOnce(&[u8]) -> io::Result<usize>,
) -> io::Result<usize> {
    let mut buf = [0; COPY_BYTES];
    let len = usize::try_from(len).unwrap_or(COPY_BYTES).min(COPY_BYTES);
    match file.read_at(&mut buf[..len], offset)? {
        0 => Ok(0),
        n => write(&buf[..n]),
    }
}

/// Runs `step` until it moves bytes, it ends, or `limit` runs out.
pub(super) fn patiently(
    limit: &mut Limit,
    phase: Phase,
    mut step: impl FnMut() -> io::Result<usize>,
) -> Result<usize, LinkError> {
    let mut since: Time = clock::now();
    loop {
        let moved = match step() {
            Ok(0) => return Ok(0),
            Ok(n) => n,
            Err(e) if is_pause(&e) => 0,
            Err(e) => return Err(LinkError::from_pipe(e)),
        };
        let now = clock::now();
        if !limit.allows(since, now, moved) {
            return Err(LinkError::Timeout(phase));
        }
        if moved > 0 {
            return Ok(moved);
        }
        since = now;
    }
}

/// `TimedOut` is none: it is how TCP says that the peer has been silent for too long.
fn is_pause(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// At least one byte into `buf`.
pub(super) fn read_some(
    pipe: &dyn Pipe,
    buf: &mut [u8],
    limit: &mut Limit,
    phase: Phase,
) -> Result<usize, LinkError> {
    match patiently(limit, phase, || pipe.read(buf))? {
        0 => Err(LinkError::Closed),
        n => Ok(n),
    }
}

/// All of `buf`, and not a byte more.
pub(super) fn read_exact(
    pipe: &dyn Pipe,
    buf: &mut [u8],
    limit: &mut Limit,
    phase: Phase,
) -> Result<(), LinkError> {
    let mut done = 0;
    while done < buf.len() {
        done += read_some(pipe, &mut buf[done..], limit, phase)?;
    }
    Ok(())
}

/// All of `bytes`, telling `on_bytes` of each part that left.
pub(super) fn write_all(
    pipe: &dyn Pipe,
    bytes: &[u8],
    limit: &mut Limit,
    phase: Phase,
    on_bytes: &mut dyn FnMut(usize),
) -> Result<(), LinkError> {
    let mut done = 0;
    while done < bytes.len() {
        match patiently(limit, phase, || pipe.write(&bytes[done..]))? {
            0 => return Err(LinkError::Closed),
            n => {
                done += n;
                on_bytes(n);
            }
        }
    }
    Ok(())
}
