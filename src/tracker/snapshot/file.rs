//! A snapshot of the index as bytes.
//!
//! Invariant: what is read is what was written, in its order and to its end, or it is refused: each
//! check covers all that stands before it. Memory for one record at a time.
//!
//! ```text
//! PARVIIDX  version, u32     12 bytes
//! length    u32              of the record
//! check     16 bytes         of BLAKE3 over the check before (the first: over the 12 bytes) and
//!                            the record
//! record                     `logic::registry::Record`, as `wire::codec` has it
//! …                          the last one is `End`; nothing is behind it
//! ```
//! Numbers are little-endian.

use std::io::{self, Read, Write};

use crate::base::limits::FRAME_MAX;
use crate::logic::registry::{Record, Registry, Restoring, SnapshotError};
use crate::wire::codec::{self, CodecError};

const MAGIC: [u8; 8] = *b"PARVIIDX";
/// Raised with every change of a record.
const VERSION: u32 = 1;
const CHECK_LEN: usize = 16;

type Check = [u8; CHECK_LEN];

/// Why a file is no snapshot.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    /// The disk does not give it.
    #[error("it cannot be read: {0}")]
    Io(io::Error),
    /// It ends too early.
    #[error("it is cut off")]
    Cut,
    /// Something else begins like this.
    #[error("it is no index of parvi")]
    Foreign,
    /// Another build has written it.
    #[error("it is of version {0} of its form, and this build reads {VERSION}")]
    Version(u32),
    /// Bytes have changed.
    #[error("it is damaged in its record {0}")]
    Damaged(u64),
    /// Bytes behind the end.
    #[error("it goes on behind its end")]
    Trailing,
    /// It is what was written, and no registry can have written it.
    #[error(transparent)]
    Content(#[from] SnapshotError),
}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> FileError {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => FileError::Cut,
            _ => FileError::Io(error),
        }
    }
}

/// Writes records.
pub(super) struct Writer<W> {
    into: W,
    check: Check,
}

impl<W: Write> Writer<W> {
    /// Begins with the header.
    pub(super) fn begin(mut into: W) -> io::Result<Writer<W>> {
        let header = header(VERSION);
        into.write_all(&header)?;
        Ok(Writer { into, check: check(&[], &header) })
    }

    /// Writes one more.
    pub(super) fn write(&mut self, record: &Record) -> io::Result<()> {
        let bytes = codec::encode(record).map_err(io::Error::other)?;
        self.check = check(&self.check, &bytes);
        self.into.write_all(&(bytes.len() as u32).to_le_bytes())?;
        self.into.write_all(&self.check)?;
        self.into.write_all(&bytes)
    }

    /// What was written into.
    pub(super) fn into_inner(self) -> W {
        self.into
    }
}

/// Reads all of it.
pub(super) fn read(mut from: impl Read, mut into: Restoring) -> Result<Registry, FileError> {
    let mut head = header(0);
    from.read_exact(&mut head)?;
    match head.split_last_chunk() {
        Some((magic, version)) if *magic == MAGIC => {
            let version = u32::from_le_bytes(*version);
            if version != VERSION {
                return Err(FileError::Version(version));
            }
        }
        _ => return Err(FileError::Foreign),
    }
    let mut before = check(&[], &head);
    for nth in 0.. {
        let (mut len, mut said) = ([0; 4], Check::default());
        from.read_exact(&mut len)?;
        from.read_exact(&mut said)?;
        let len = u32::from_le_bytes(len) as usize;
        if len > FRAME_MAX {
            return Err(FileError::Damaged(nth));
        }
        let mut bytes = vec![0; len];
        from.read_exact(&mut bytes)?;
        before = check(&before, &bytes);
        if before != said {
            return Err(FileError::Damaged(nth));
        }
        let record: Record =
            codec::decode(&bytes).map_err(|_: CodecError| FileError::Damaged(nth))?;
        let is_last = matches!(record, Record::End { .. });
        into.take(record)?;
        if is_last {
            break;
        }
    }
    match from.read_exact(&mut [0]) {
        Ok(()) => Err(FileError::Trailing),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(into.finish()?),
        Err(e) => Err(FileError::Io(e)),
    }
}

fn header(version: u32) -> [u8; MAGIC.len() + 4] {
    let mut header = [0; MAGIC.len() + 4];
    header[..MAGIC.len()].copy_from_slice(&MAGIC);
    header[MAGIC.len()..].copy_from_slice(&version.to_le_bytes());
    header
}

fn check(before: &[u8], bytes: &[u8]) -> Check {
    let mut hasher = blake3::Hasher::new();
    hasher.update(before).update(bytes);
    let mut check = Check::default();
    check.copy_from_slice(&hasher.finalize().as_bytes()[..CHECK_LEN]);
    check
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
