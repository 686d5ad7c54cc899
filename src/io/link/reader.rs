//! The reading half of a link: records to messages and payloads.
//!
//! Invariant: nothing is believed before it has been opened; no length makes it reserve more than a
//! record (64 KiB) before the bytes are there, or than the message's cap in all. Bytes read ahead
//! are kept for whoever reads next, raw payload bytes included. Payload is told as it comes from the
//! socket, so that who waits off each step neither hoards bytes nor leaves the socket alone for long.

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use crate::io::clock;
use crate::io::failpoint::fail_point;
use crate::wire::{FRAME_HEADER_LEN, FrameHeader, Message};

use super::Bulk;
use super::error::{LinkError, Phase};
use super::pace::Limit;
use super::pipe::{Pipe, read_some};
use super::session::{LENGTH_LEN, Session, TAG_LEN};
use super::step::Step;

/// Read buffer of a link that carries small messages, bytes.
const READ_SMALL: usize = 4 * 1024;
/// Read buffer of a link that carries private payloads, bytes.
const READ_BULK: usize = 256 * 1024;

/// The reading half of a [`super::Link`].
pub struct LinkReader {
    session: Arc<Session>,
    nonce: u64,
    ahead: Ahead,
    /// An opened message; also where the last record of a payload is opened.
    plain: Vec<u8>,
    carries_payload: bool,
    step: Step,
}

impl LinkReader {
    pub(super) fn new(session: Arc<Session>) -> LinkReader {
        let (ahead, plain) = (Ahead::default(), Vec::new());
        let step = Step::unbounded();
        LinkReader { session, nonce: 0, ahead, plain, carries_payload: false, step }
    }

    /// What bounds its steps.
    pub fn step(&self) -> Step {
        self.step.clone()
    }

    /// The next message. Waits for its first byte for at most `within`; then the message must come
    /// at the minimum rate.
    ///
    /// # Errors
    /// `Timeout(Header)`: nothing came, ask again if you like. Any other has ended the link.
    pub fn recv(&mut self, within: Duration) -> Result<Message, LinkError> {
        let message = self.read_message(within);
        if !self.carries_payload {
            self.ahead.relax();
            relax(&mut self.plain);
        }
        self.session.settle(message)
    }

    /// The raw run behind a CHUNK message: exactly `buf`, at the minimum rate. `on_bytes` hears of
    /// each part as it arrives; the time it takes is not held against the peer.
    ///
    /// # Errors
    /// The link has ended.
    pub fn recv_payload(
        &mut self,
        buf: &mut [u8],
        on_bytes: &mut dyn FnMut(usize),
    ) -> Result<(), LinkError> {
        self.carries_payload = true;
        let read = match self.session.bulk {
            Bulk::Private => self.read_private(buf, on_bytes),
            Bulk::Clear => self.read_clear(buf, on_bytes),
        };
        self.session.settle(read)
    }

    /// Whether bytes have already been read that belong to the next message: a poller will not
    /// tell of those.
    pub fn has_buffered(&self) -> bool {
        !self.ahead.filled().is_empty()
    }

    /// What a poller can wait on.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.session.pipe.fd()
    }

    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.ahead.bytes.capacity() + self.plain.capacity()
    }

    fn read_message(&mut self, within: Duration) -> Result<Message, LinkError> {
        let session = Arc::clone(&self.session);
        let mut no_payload = |_| ();
        let mut intake = Intake::new(&session, &self.step, Phase::Header, &mut no_payload);
        if !self.has_buffered() {
            intake.limit = Limit::First(clock::now() + within);
            self.ahead.reserve(READ_SMALL);
            self.ahead.read(&mut intake)?;
            intake.limit = Limit::pace(&session.timeouts);
        }
        intake.phase = Phase::Body;
        self.plain.clear();
        self.append_record(&mut intake)?;
        let Some((header, _)) = self.plain.split_first_chunk::<FRAME_HEADER_LEN>() else {
            return Err(LinkError::Record("shorter than a header"));
        };
        let header = FrameHeader::decode(*header)?;
        let total = FRAME_HEADER_LEN + header.len;
        while self.plain.len() < total {
            self.append_record(&mut intake)?;
        }
        if self.plain.len() > total {
            return Err(LinkError::Record("longer than its message"));
        }
        Ok(Message::decode(header.kind, &self.plain[FRAME_HEADER_LEN..])?)
    }

    fn append_record(&mut self, intake: &mut Intake<'_>) -> Result<(), LinkError> {
        let len = self.await_record(intake)?;
        let at = self.plain.len();
        // Room for the tag as well: the cipher then works in place.
        self.plain.resize(at + len, 0);
        let opened = self.open_record(len, |plain| &mut plain[at..]);
        self.plain.truncate(at + len - TAG_LEN);
        opened.map(drop)
    }

    fn read_private(
        &mut self,
        buf: &mut [u8],
        on_bytes: &mut dyn FnMut(usize),
    ) -> Result<(), LinkError> {
        let session = Arc::clone(&self.session);
        let mut intake = Intake::new(&session, &self.step, Phase::Payload, on_bytes);
        intake.untold = buf.len();
        intake.tell(self.ahead.filled().len());
        self.ahead.reserve(READ_BULK.min(buf.len() + TAG_LEN + LENGTH_LEN));
        let mut done = 0;
        while done < buf.len() {
            let len = self.await_record(&mut intake)?;
            let rest = &mut buf[done..];
            let n = len - TAG_LEN;
            if n > rest.len() {
                return Err(LinkError::Record("longer than the payload"));
            }
            if rest.len() >= len {
                self.open_record(len, |_| rest)?;
            } else {
                self.plain.resize(self.plain.len().max(len), 0);
                self.open_record(len, |plain| &mut plain[..len])?;
                rest[..n].copy_from_slice(&self.plain[..n]);
            }
            done += n;
            fail_point!("link.arriving").map_err(LinkError::Io)?;
        }
        Ok(())
    }

    fn read_clear(
        &mut self,
        buf: &mut [u8],
        on_bytes: &mut dyn FnMut(usize),
    ) -> Result<(), LinkError> {
        let mut intake = Intake::new(&self.session, &self.step, Phase::Payload, on_bytes);
        intake.untold = buf.len();
        let mut done = self.ahead.take(buf);
        intake.tell(done);
        while done < buf.len() {
            done += intake.read(&mut buf[done..])?;
            fail_point!("link.arriving_clear").map_err(LinkError::Io)?;
        }
        Ok(())
    }

    /// Reads until a whole record is buffered; returns the length of its ciphertext.
    fn await_record(&mut self, intake: &mut Intake<'_>) -> Result<usize, LinkError> {
        self.ahead.fill(LENGTH_LEN, intake)?;
        let len = self.ahead.filled().first_chunk().copied().unwrap_or([0; LENGTH_LEN]);
        let len = usize::from(u16::from_le_bytes(len));
        if len <= TAG_LEN {
            return Err(LinkError::Record("empty"));
        }
        self.ahead.fill(LENGTH_LEN + len, intake)?;
        Ok(len)
    }

    /// Opens the buffered record of `len` bytes into what `out` gives.
    fn open_record<'a>(
        &'a mut self,
        len: usize,
        out: impl FnOnce(&'a mut Vec<u8>) -> &'a mut [u8],
    ) -> Result<usize, LinkError> {
        let sealed = &self.ahead.filled()[LENGTH_LEN..LENGTH_LEN + len];
        let opened = self.session.noise.read_message(self.nonce, sealed, out(&mut self.plain));
        self.nonce += 1;
        self.ahead.consume(LENGTH_LEN + len);
        opened.map_err(|_| LinkError::Crypto)
    }
}

/// Gives the memory of a large message back.
fn relax(buffer: &mut Vec<u8>) {
    if buffer.capacity() > READ_SMALL {
        *buffer = Vec::new();
    }
}

/// What reads from the socket: how much at once, how long it waits, and who hears of payload.
struct Intake<'a> {
    pipe: &'a dyn Pipe,
    step: Step,
    limit: Limit,
    phase: Phase,
    on_bytes: &'a mut dyn FnMut(usize),
    /// Payload bytes that `on_bytes` has not heard of. Lengths and tags are no payload: the last
    /// bytes of one are not told.
    untold: usize,
}

impl<'a> Intake<'a> {
    fn new(
        session: &'a Session,
        step: &Step,
        phase: Phase,
        on_bytes: &'a mut dyn FnMut(usize),
    ) -> Intake<'a> {
        let (pipe, limit) = (&*session.pipe, Limit::pace(&session.timeouts));
        Intake { pipe, step: step.clone(), limit, phase, on_bytes, untold: 0 }
    }

    fn tell(&mut self, arrived: usize) {
        let payload = arrived.min(self.untold);
        self.untold -= payload;
        if payload > 0 {
            (self.on_bytes)(payload);
        }
    }

    /// At least one byte into `buf`, at most a step.
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, LinkError> {
        let most = self.step.at_most(buf.len());
        let n = read_some(self.pipe, &mut buf[..most], &mut self.limit, self.phase)?;
        self.tell(n);
        Ok(n)
    }
}

/// Bytes read ahead of their use: `bytes[start..end]`.
#[derive(Default)]
struct Ahead {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Ahead {
    fn filled(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    fn consume(&mut self, n: usize) {
        self.start += n;
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Moves what there is into `buf`, as much as fits.
    fn take(&mut self, buf: &mut [u8]) -> usize {
        let n = buf.len().min(self.end - self.start);
        buf[..n].copy_from_slice(&self.filled()[..n]);
        self.consume(n);
        n
    }

    /// Makes the buffer at least `total` bytes, and all of them usable from the first filled one.
    fn reserve(&mut self, total: usize) {
        if self.bytes.len() < total {
            self.bytes.resize(total, 0);
        }
        if self.bytes.len() - self.start < total {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
    }

    /// One read behind what there is.
    fn read(&mut self, intake: &mut Intake<'_>) -> Result<(), LinkError> {
        self.end += intake.read(&mut self.bytes[self.end..])?;
        Ok(())
    }

    /// Reads until at least `total` bytes are there.
    fn fill(&mut self, total: usize, intake: &mut Intake<'_>) -> Result<(), LinkError> {
        if self.end - self.start < total {
            self.reserve(total.max(READ_SMALL));
        }
        while self.end - self.start < total {
            self.read(intake)?;
        }
        Ok(())
    }

    fn relax(&mut self) {
        if self.start == self.end {
            relax(&mut self.bytes);
        }
    }
}
