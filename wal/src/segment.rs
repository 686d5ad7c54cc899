//! A segment: one file of the log, its name and its header.
//!
//! Invariant: a file has a segment's name only when its header, and its live set if it begins with
//! one, are complete and durable: it is written under another name and renamed. The header stands
//! twice, in sectors of their own, since without the salt no record can be told from noise.
//!
//! ```text
//! name     SEQUENCE.seg, 16 hex digits      SEQUENCE.new while it is made
//! offset  bytes  a segment; numbers are little-endian
//!      0    512  header
//!    512    512  the same header again
//!   1024         records (record.rs) up to the end of the file
//!
//! offset  bytes  a header
//!      0      8  "parviwal"
//!      8      4  version of the format, 1
//!     12      4  0: goes on from the segment before; 1: a checkpoint, begins with the live set
//!     16     32  identity of the owner, given by the caller
//!     48      8  sequence number of the segment, from 1
//!     56      8  salt, random: records of other segments do not pass for this one's
//!     64      8  sequence number of the segment before, 0 for none
//!     72      4  the running checksum that the segment before ended with
//!     76      4  zero
//!     80      8  sequence number of the first record
//!     88      8  number of records in the live set
//!     96      8  the last sequence number known durable when the segment was made
//!    104    404  zeros
//!    508      4  CRC-32 of bytes 0..508
//! ```
//!
//! The running checksum begins with the header's CRC and takes in the CRC of every record but the
//! seal. A segment that is full ends with a seal, which names the next; so the next is missed when
//! it is not there.

use crate::record::{self, crc, u32_at, u64_at};

/// Length of one copy of the header.
pub(crate) const HEADER_COPY_LEN: usize = 512;
/// Where records begin.
pub(crate) const HEADER_LEN: usize = 2 * HEADER_COPY_LEN;
/// The format this crate writes, and the only one it reads.
const VERSION: u32 = 1;
const MAGIC: &[u8; 8] = b"parviwal";
const CRC_AT: usize = HEADER_COPY_LEN - 4;

/// What a segment says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub checkpoint: bool,
    pub owner: [u8; 32],
    pub seq: u64,
    pub salt: u64,
    pub previous: u64,
    pub previous_running: u32,
    pub first_record: u64,
    pub live: u64,
    pub durable: u64,
}

/// Why bytes are not a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoHeader {
    /// They are damaged, or never were one.
    Unreadable,
    /// They are one, of a format from elsewhere.
    Version(u32),
}

impl Header {
    /// Both copies.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut copy = Vec::with_capacity(HEADER_LEN);
        copy.extend_from_slice(MAGIC);
        copy.extend_from_slice(&VERSION.to_le_bytes());
        copy.extend_from_slice(&u32::from(self.checkpoint).to_le_bytes());
        copy.extend_from_slice(&self.owner);
        for number in [self.seq, self.salt, self.previous] {
            copy.extend_from_slice(&number.to_le_bytes());
        }
        copy.extend_from_slice(&self.previous_running.to_le_bytes());
        copy.extend_from_slice(&[0; 4]);
        copy.extend_from_slice(&self.first_record.to_le_bytes());
        copy.extend_from_slice(&self.live.to_le_bytes());
        copy.extend_from_slice(&self.durable.to_le_bytes());
        copy.resize(CRC_AT, 0);
        let sum = crc(0, &[&copy]);
        copy.extend_from_slice(&sum.to_le_bytes());
        copy.extend_from_within(..);
        copy
    }

    /// One copy.
    pub(crate) fn decode(copy: &[u8]) -> Result<Header, NoHeader> {
        let Some(copy) = copy.first_chunk::<HEADER_COPY_LEN>() else {
            return Err(NoHeader::Unreadable);
        };
        if copy[..8] != *MAGIC || u32_at(copy, CRC_AT) != crc(0, &[&copy[..CRC_AT]]) {
            return Err(NoHeader::Unreadable);
        }
        let header = Header {
            checkpoint: u32_at(copy, 12) != 0,
            // SAFETY: 32 bytes of an array of 512.
            #[expect(clippy::unwrap_used, reason = "the slice has the array's length")]
            owner: copy[16..48].try_into().unwrap(),
            seq: u64_at(copy, 48),
            salt: u64_at(copy, 56),
            previous: u64_at(copy, 64),
            previous_running: u32_at(copy, 72),
            first_record: u64_at(copy, 80),
            live: u64_at(copy, 88),
            durable: u64_at(copy, 96),
        };
        match u32_at(copy, 8) {
            VERSION if header.is_plausible() => Ok(header),
            VERSION => Err(NoHeader::Unreadable),
            version => Err(NoHeader::Version(version)),
        }
    }

    /// Whether no number in it is so large that counting on from it could overflow.
    fn is_plausible(&self) -> bool {
        [self.seq, self.first_record, self.live].iter().all(|number| *number < record::SEQ_MAX)
    }

    /// What every checksum of a record begins with.
    pub(crate) fn seed(&self) -> u32 {
        crc(0, &[&self.salt.to_le_bytes(), &self.seq.to_le_bytes()])
    }

    /// The running checksum before the first record.
    pub(crate) fn running(&self) -> u32 {
        u32_at(&self.encode(), CRC_AT)
    }
}

/// The name of segment `seq`.
pub(crate) fn name_of(seq: u64) -> String {
    format!("{seq:016x}.seg")
}

/// The name of segment `seq` while it is made.
pub(crate) fn new_name_of(seq: u64) -> String {
    format!("{seq:016x}.new")
}

/// The number in a segment's name.
pub(crate) fn seq_of(name: &str) -> Option<u64> {
    number(name.strip_suffix(".seg")?)
}

/// The number in the name of a segment that was being made.
pub(crate) fn new_seq_of(name: &str) -> Option<u64> {
    number(name.strip_suffix(".new")?)
}

fn number(digits: &str) -> Option<u64> {
    let plain = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    (digits.len() == 16 && digits.bytes().all(plain))
        .then(|| u64::from_str_radix(digits, 16).ok())
        .flatten()
}
