//! Reads one segment from start to end and says what is in it, good and bad.
//!
//! Invariant: memory is one window of [`RECORD_LEN_MAX`] bytes and the records that were valid; a
//! length is believed only after its check. What is not a record is passed over 8 bytes at a time
//! until one begins, so damage costs the records it lies in and no others. A scan ends at the end
//! of the file; only a file whose length cannot be had is an error.

use std::io;

use crate::record::{
    self, KIND_CHECKPOINT_END, KIND_SEAL, RECORD_HEADER_LEN, RECORD_LEN_MAX, Record, RecordHeader,
};
use crate::segment::{HEADER_COPY_LEN, HEADER_LEN, Header, NoHeader};
use crate::storage::{StorageFile, read_up_to};

/// What a disk that cannot read a place leaves out at once.
const BLOCK_LEN: u64 = 4096;

/// A valid record and where it stood.
#[derive(Debug)]
pub(crate) struct Found {
    pub offset: u64,
    pub seq: u64,
    pub durable: u64,
    pub record: Record,
}

/// A run of bytes that are no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bad {
    pub from: u64,
    pub to: u64,
    pub unreadable: bool,
    pub first_lost: u64,
    /// `None` when no record follows in the file.
    pub last_lost: Option<u64>,
}

/// What is in a segment.
#[derive(Debug)]
pub(crate) struct Scan {
    pub header: Header,
    /// Where the bad copy of the header is, if one is.
    pub bad_copy: Option<u64>,
    pub found: Vec<Found>,
    pub bad: Vec<Bad>,
    /// Where the last valid record ends.
    pub end: u64,
    /// Where the file ends.
    pub len: u64,
    pub running: u32,
}

impl Scan {
    /// The sequence number of the last record, or of the one before the first.
    pub(crate) fn last_seq(&self) -> u64 {
        self.found.last().map_or(self.header.first_record.saturating_sub(1), |f| f.seq)
    }

    /// The segment that the seal at the end names.
    pub(crate) fn sealed_for(&self) -> Option<u64> {
        let last = self.found.last().filter(|f| f.record.kind == KIND_SEAL)?;
        Some(record::u64_at(&last.record.payload, 0))
    }

    /// How many records of the live set are there, and whether its end is.
    pub(crate) fn live_set(&self) -> (u64, bool) {
        let last = self.header.first_record + self.header.live;
        let inside = self.found.iter().filter(|f| f.seq < last).count() as u64;
        let end = self.found.iter().find(|f| f.seq == last);
        (inside, end.is_some_and(|f| f.record.kind == KIND_CHECKPOINT_END))
    }

    /// Whether the bad bytes are the end of the file.
    pub(crate) fn is_tail(&self, bad: &Bad) -> bool {
        bad.to == self.len && bad.last_lost.is_none()
    }
}

/// Reads all of `file`.
pub(crate) fn scan(file: &dyn StorageFile) -> io::Result<Result<Scan, NoHeader>> {
    let mut window = Window { file, len: file.len()?, start: 0, bytes: Vec::new() };
    let (header, bad_copy) = match read_header(&mut window) {
        Ok(header) => header,
        Err(why) => return Ok(Err(why)),
    };
    let mut walk = Walk {
        seed: header.seed(),
        scan: Scan {
            running: header.running(),
            header,
            bad_copy,
            found: Vec::new(),
            bad: Vec::new(),
            end: HEADER_LEN as u64,
            len: window.len,
        },
    };
    let mut at = HEADER_LEN as u64;
    while at < window.len {
        at = walk.step(&mut window, at);
    }
    Ok(Ok(walk.scan))
}

/// The first good copy, and where a bad one is.
fn read_header(window: &mut Window<'_>) -> Result<(Header, Option<u64>), NoHeader> {
    let mut copy = |at: usize| {
        let bytes = window.get(at as u64, HEADER_COPY_LEN).unwrap_or_default();
        Header::decode(bytes)
    };
    let (first, second) = (copy(0), copy(HEADER_COPY_LEN));
    match (first, second) {
        (Ok(first), Ok(second)) if first == second => Ok((first, None)),
        (Ok(first), _) => Ok((first, Some(HEADER_COPY_LEN as u64))),
        (Err(_), Ok(second)) => Ok((second, Some(0))),
        (Err(NoHeader::Unreadable), Err(why)) | (Err(why), Err(_)) => Err(why),
    }
}

struct Walk {
    seed: u32,
    scan: Scan,
}

impl Walk {
    /// Takes what is at `at` and returns where to go on.
    fn step(&mut self, window: &mut Window<'_>, at: u64) -> u64 {
        let Ok(bytes) = window.get(at, RECORD_HEADER_LEN) else {
            return self.bad(at, (at / BLOCK_LEN + 1) * BLOCK_LEN, true);
        };
        let Some(header) = record::decode_header(bytes, self.seed) else {
            return self.bad(at, at + 8, false);
        };
        let next = at + header.stored_len() as u64;
        match window.get(at, header.stored_len()) {
            Err(Unread) => self.bad(at, (at / BLOCK_LEN + 1) * BLOCK_LEN, true),
            // A record out of order was copied there, not written; one behind the end was cut.
            Ok(bytes)
                if next <= self.scan.len
                    && header.seq > self.scan.last_seq()
                    && record::check(bytes, self.seed, &header) =>
            {
                self.found(at, &header, bytes);
                next
            }
            Ok(_) => self.bad(at, at + 8, false),
        }
    }

    fn found(&mut self, offset: u64, header: &RecordHeader, bytes: &[u8]) {
        let expected = self.scan.last_seq() + 1;
        match self.scan.bad.last_mut() {
            Some(bad) if bad.to == offset => bad.last_lost = Some(header.seq - 1),
            // Records were cut out without a trace.
            _ if header.seq != expected => self.scan.bad.push(Bad {
                from: offset,
                to: offset,
                unreadable: false,
                first_lost: expected,
                last_lost: Some(header.seq - 1),
            }),
            _ => {}
        }
        let payload = bytes[RECORD_HEADER_LEN..][..header.len].to_vec();
        if header.kind != KIND_SEAL {
            self.scan.running = record::chain(self.scan.running, header.body_crc);
        }
        self.scan.end = offset + bytes.len() as u64;
        self.scan.found.push(Found {
            offset,
            seq: header.seq,
            durable: header.durable,
            record: Record { kind: header.kind, payload },
        });
    }

    fn bad(&mut self, from: u64, to: u64, unreadable: bool) -> u64 {
        let to = to.min(self.scan.len);
        let first_lost = self.scan.last_seq() + 1;
        match self.scan.bad.last_mut() {
            Some(bad) if bad.to == from && bad.last_lost.is_none() => {
                bad.to = to;
                bad.unreadable |= unreadable;
            }
            _ => self.scan.bad.push(Bad { from, to, unreadable, first_lost, last_lost: None }),
        }
        to
    }
}

/// The part of a file that is in memory.
struct Window<'a> {
    file: &'a dyn StorageFile,
    len: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl Window<'_> {
    /// Up to `want` bytes from `offset`; fewer only at the end of the file.
    fn get(&mut self, offset: u64, want: usize) -> Result<&[u8], Unread> {
        let want = want.min(usize::try_from(self.len.saturating_sub(offset)).unwrap_or(want));
        let end = self.start + self.bytes.len() as u64;
        if offset < self.start || offset + want as u64 > end {
            self.fill(offset);
        }
        let from = usize::try_from(offset - self.start).unwrap_or(usize::MAX);
        self.bytes.get(from..from.saturating_add(want)).ok_or(Unread)
    }

    fn fill(&mut self, offset: u64) {
        self.bytes.resize(RECORD_LEN_MAX, 0);
        self.start = offset;
        let mut filled = 0;
        // A disk that fails once is asked once more; it goes on behind what it gave.
        for _ in 0..2 {
            let rest = &mut self.bytes[filled..];
            filled += read_up_to(self.file, rest, offset + filled as u64);
        }
        self.bytes.truncate(filled);
    }
}

/// The disk did not give the bytes.
struct Unread;
