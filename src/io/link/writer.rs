//! The writing half of a link: messages and payloads to records, or files to the bare socket.
//!
//! Invariant: a message or payload leaves whole, or the link ends. No buffer is larger than one
//! step, whatever is sent, and none is made anew for each.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use crate::io::failpoint::fail_point;
use crate::wire::Message;

use super::Bulk;
use super::error::{LinkError, Phase};
use super::pace::Limit;
use super::pipe::{patiently, write_all};
use super::session::{LENGTH_LEN, PLAIN_MAX, Session, TAG_LEN};
use super::step::Step;

/// Most payload sealed and written at once, bytes: four full records stay in a core's cache.
const STEP_PRIVATE: usize = 4 * PLAIN_MAX;
/// Most payload given to one sendfile, bytes.
const STEP_CLEAR: usize = 1024 * 1024;
/// Buffer that a link without payloads keeps between messages, bytes.
const KEEP: usize = 4 * 1024;

/// A run of bytes in a file.
#[derive(Debug, Clone, Copy)]
pub struct FileSlice<'a> {
    /// The file; its own position is neither used nor moved.
    pub file: &'a File,
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub len: u64,
}

/// The writing half of a [`super::Link`].
pub struct LinkWriter {
    session: Arc<Session>,
    sealer: Sealer,
    plain: Vec<u8>,
    step: Step,
    overseen: bool,
}

impl LinkWriter {
    pub(super) fn new(session: Arc<Session>) -> LinkWriter {
        let (sealer, plain, step) = (Sealer::default(), Vec::new(), Step::unbounded());
        LinkWriter { session, sealer, plain, step, overseen: false }
    }

    /// From now on a peer may take what is sent as slowly as it likes: for a caller that hears the
    /// peer meanwhile, in the reading half, and closes the link when it does not.
    pub fn overseen(&mut self) {
        self.overseen = true;
        self.session.pipe.overseen();
    }

    fn limit(&self) -> Limit {
        if self.overseen { Limit::Overseen } else { Limit::pace(&self.session.timeouts) }
    }

    /// What bounds its steps.
    pub fn step(&self) -> Step {
        self.step.clone()
    }

    /// Sends one message.
    ///
    /// # Errors
    /// The message is above its cap, or the link has ended.
    pub fn send(&mut self, message: &Message) -> Result<(), LinkError> {
        let sent = self.seal_message(message).and_then(|()| {
            let mut limit = self.limit();
            self.flush(&mut limit, &mut |_| ())
        });
        if self.plain.is_empty() {
            self.sealer.relax();
        }
        self.session.settle(sent)
    }

    /// Sends `header`, a CHUNK message, and the bytes of `source` as its raw run. `on_bytes` hears
    /// of each part that left; the time it takes is not held against the peer.
    ///
    /// # Errors
    /// `SourceShort` or `Source`: a file is not what it was. The link has ended, as with any other.
    pub fn send_payload(
        &mut self,
        header: &Message,
        source: &[FileSlice<'_>],
        on_bytes: &mut dyn FnMut(usize),
    ) -> Result<(), LinkError> {
        let sent = self.seal_message(header).and_then(|()| match self.session.bulk {
            Bulk::Private => self.write_private(source, on_bytes),
            Bulk::Clear => self.write_clear(source, on_bytes),
        });
        self.session.settle(sent)
    }

    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.sealer.bytes.capacity() + self.plain.capacity()
    }

    /// Seals anything at all, to show the reader what no writer sends.
    #[cfg(test)]
    pub(super) fn seal_record(&mut self, plain: &[u8]) -> Result<(), LinkError> {
        self.sealer.seal(&self.session, plain)
    }

    /// The records sealed so far.
    #[cfg(test)]
    pub(super) fn take_sealed(&mut self) -> Vec<u8> {
        self.sealer.take().to_vec()
    }

    fn seal_message(&mut self, message: &Message) -> Result<(), LinkError> {
        let frame = message.to_frame()?;
        frame.chunks(PLAIN_MAX).try_for_each(|part| self.sealer.seal(&self.session, part))
    }

    /// The header's record leaves together with the first of the payload.
    fn write_private(
        &mut self,
        source: &[FileSlice<'_>],
        on_bytes: &mut dyn FnMut(usize),
    ) -> Result<(), LinkError> {
        let mut limit = self.limit();
        let mut source = Source::new(source);
        loop {
            let step = (self.step.at_most(STEP_PRIVATE) as u64).min(source.left()) as usize;
            if self.plain.len() < step {
                self.plain.resize(step, 0);
            }
            let n = source.read(&mut self.plain[..step])?;
            for part in self.plain[..n].chunks(PLAIN_MAX) {
                self.sealer.seal(&self.session, part)?;
            }
            // Lengths and tags are no payload: the last bytes of a step are not reported.
            let mut unreported = n;
            self.flush(&mut limit, &mut |wire| {
                let payload = wire.min(unreported);
                unreported -= payload;
                if payload > 0 {
                    on_bytes(payload);
                }
            })?;
            if source.left() == 0 {
                return Ok(());
            }
            fail_point!("link.sending").map_err(LinkError::Io)?;
        }
    }

    fn write_clear(
        &mut self,
        source: &[FileSlice<'_>],
        on_bytes: &mut dyn FnMut(usize),
    ) -> Result<(), LinkError> {
        let mut limit = self.limit();
        self.flush(&mut limit, &mut |_| ())?;
        let pipe = &*self.session.pipe;
        for slice in source {
            let mut done = 0;
            while done < slice.len {
                let len = (self.step.at_most(STEP_CLEAR) as u64).min(slice.len - done);
                let send = || {
                    fail_point!("link.source_clear")?;
                    pipe.send_file(slice.file, slice.offset + done, len)
                };
                match patiently(&mut limit, Phase::Send, send).map_err(whose_fault)? {
                    0 => return Err(LinkError::SourceShort),
                    n => {
                        done += n as u64;
                        on_bytes(n);
                    }
                }
                if done < slice.len {
                    fail_point!("link.sending_clear").map_err(LinkError::Io)?;
                }
            }
        }
        Ok(())
    }

    /// Writes what has been sealed.
    fn flush(
        &mut self,
        limit: &mut Limit,
        on_bytes: &mut dyn FnMut(usize),
    ) -> Result<(), LinkError> {
        let pipe = &*self.session.pipe;
        write_all(pipe, self.sealer.take(), limit, Phase::Send, on_bytes)
    }
}

/// An error of sendfile may be the file's or the socket's.
fn whose_fault(e: LinkError) -> LinkError {
    use io::ErrorKind::{HostUnreachable, NetworkDown, NetworkUnreachable, TimedOut};
    match e {
        LinkError::Io(e)
            if !matches!(
                e.kind(),
                HostUnreachable | NetworkDown | NetworkUnreachable | TimedOut
            ) =>
        {
            LinkError::Source(e)
        }
        e => e,
    }
}

/// Seals records one behind the other into a buffer that is kept.
#[derive(Default)]
struct Sealer {
    nonce: u64,
    bytes: Vec<u8>,
    used: usize,
}

impl Sealer {
    fn seal(&mut self, session: &Session, plain: &[u8]) -> Result<(), LinkError> {
        let at = self.used;
        let end = at + LENGTH_LEN + plain.len() + TAG_LEN;
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        let len = ((plain.len() + TAG_LEN) as u16).to_le_bytes();
        self.bytes[at..at + LENGTH_LEN].copy_from_slice(&len);
        let out = &mut self.bytes[at + LENGTH_LEN..end];
        session.noise.write_message(self.nonce, plain, out)?;
        self.nonce += 1;
        self.used = end;
        Ok(())
    }

    /// What has been sealed; the buffer is then free for the next.
    fn take(&mut self) -> &[u8] {
        &self.bytes[..std::mem::take(&mut self.used)]
    }

    fn relax(&mut self) {
        if self.used == 0 && self.bytes.capacity() > KEEP {
            self.bytes = Vec::new();
        }
    }
}

/// Walks through the slices that make up one payload.
struct Source<'a> {
    slices: &'a [FileSlice<'a>],
    /// Bytes of the first slice that have been read.
    done: u64,
    left: u64,
}

impl<'a> Source<'a> {
    fn new(slices: &'a [FileSlice<'a>]) -> Source<'a> {
        Source { slices, done: 0, left: slices.iter().map(|s| s.len).sum() }
    }

    fn left(&self) -> u64 {
        self.left
    }

    /// Fills `buf`, from as many slices as it takes; less only at the end.
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, LinkError> {
        let mut filled = 0;
        while filled < buf.len()
            && let Some((slice, rest)) = self.slices.split_first()
        {
            let here = slice.len - self.done;
            let n = here.min((buf.len() - filled) as u64) as usize;
            let part = &mut buf[filled..filled + n];
            fail_point!("link.source")
                .and_then(|()| slice.file.read_exact_at(part, slice.offset + self.done))
                .map_err(source_error)?;
            filled += n;
            self.left -= n as u64;
            self.done += n as u64;
            if self.done == slice.len {
                (self.slices, self.done) = (rest, 0);
            }
        }
        Ok(filled)
    }
}

fn source_error(e: io::Error) -> LinkError {
    match e.kind() {
        io::ErrorKind::UnexpectedEof => LinkError::SourceShort,
        _ => LinkError::Source(e),
    }
}
