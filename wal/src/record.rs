//! One record: what the caller gives, and how it stands in a segment.
//!
//! Invariant: [`check`] accepts only bytes that [`encode`] made with the same salt. The length has
//! a check of its own, so that a wrong one is seen before anything is done with it.
//!
//! ```text
//! offset  bytes  a record, at a multiple of 8; numbers are little-endian
//!      0      4  length of the payload, at most PAYLOAD_MAX
//!      4      4  kind; from 0x8000_0000 on the log's own
//!      8      8  sequence number of the record, from 1, without gaps
//!     16      8  the last sequence number known durable when this was written
//!     24      4  CRC-32 of salt and bytes 0..24
//!     28      4  CRC-32 of salt, bytes 0..24, payload and padding
//!     32      n  payload
//!   32+n   0..7  zeros up to a multiple of 8
//! ```
//!
//! The second checksum leaves out the first: a CRC over bytes and their own CRC is the same for all
//! bytes, and would not tie the payload to its header.
//!
//! "Known durable" tells two things apart after a crash: bytes that are missing because they were
//! never synced, and bytes that were synced and have gone bad since.

use crc32fast::Hasher;

/// Length of what stands before a payload.
pub(crate) const RECORD_HEADER_LEN: usize = 32;
/// A record with all that belongs to it is at most this long, in bytes.
pub(crate) const RECORD_LEN_MAX: usize = 64 * 1024;
/// The longest payload, in bytes: with its header it fills 64 KiB.
pub const PAYLOAD_MAX: usize = RECORD_LEN_MAX - RECORD_HEADER_LEN;
/// Kinds from here on are the log's own.
pub const KIND_RESERVED: u32 = 0x8000_0000;
/// Ends the live set at the start of a checkpoint; the payload is the number of its records.
pub(crate) const KIND_CHECKPOINT_END: u32 = KIND_RESERVED;
/// Ends a segment; the payload is the number of the next one, which is durable by then.
pub(crate) const KIND_SEAL: u32 = KIND_RESERVED + 1;
/// No true sequence number reaches this; so adding to one never overflows.
pub(crate) const SEQ_MAX: u64 = 1 << 62;

/// What the caller logs: a kind of its own and some bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Record {
    /// Below [`KIND_RESERVED`]; the log does not look at it.
    pub kind: u32,
    /// At most [`PAYLOAD_MAX`] bytes.
    pub payload: Vec<u8>,
}

impl Record {
    /// A record of `kind` with `payload`.
    pub fn new(kind: u32, payload: impl Into<Vec<u8>>) -> Record {
        Record { kind, payload: payload.into() }
    }

    /// How many bytes of a segment it takes.
    pub fn stored_len(&self) -> u64 {
        stored_len(self.payload.len()) as u64
    }
}

/// Header, payload and padding.
pub(crate) fn stored_len(payload: usize) -> usize {
    RECORD_HEADER_LEN + payload.next_multiple_of(8)
}

/// A record's header whose own check is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    pub len: usize,
    pub kind: u32,
    pub seq: u64,
    pub durable: u64,
    pub body_crc: u32,
}

impl RecordHeader {
    /// With payload and padding.
    pub(crate) fn stored_len(&self) -> usize {
        stored_len(self.len)
    }
}

/// Appends the record to `into` and returns its CRC.
pub(crate) fn encode(
    into: &mut Vec<u8>,
    seed: u32,
    (seq, durable): (u64, u64),
    (kind, payload): (u32, &[u8]),
) -> u32 {
    let start = into.len();
    // PAYLOAD_MAX was checked, so the length fits.
    into.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    into.extend_from_slice(&kind.to_le_bytes());
    into.extend_from_slice(&seq.to_le_bytes());
    into.extend_from_slice(&durable.to_le_bytes());
    let padding = &[0; 7][..payload.len().next_multiple_of(8) - payload.len()];
    let head = crc(seed, &[&into[start..]]);
    let body = crc(seed, &[&into[start..], payload, padding]);
    into.extend_from_slice(&head.to_le_bytes());
    into.extend_from_slice(&body.to_le_bytes());
    into.extend_from_slice(payload);
    into.extend_from_slice(padding);
    body
}

/// The header at the start of `bytes`, if it is one.
pub(crate) fn decode_header(bytes: &[u8], seed: u32) -> Option<RecordHeader> {
    let header = bytes.first_chunk::<RECORD_HEADER_LEN>()?;
    let (len, seq) = (u32_at(header, 0) as usize, u64_at(header, 8));
    // Cheap tests first: most of what a search passes over ends here.
    if len > PAYLOAD_MAX || seq == 0 || seq >= SEQ_MAX {
        return None;
    }
    if u32_at(header, 24) != crc(seed, &[&header[..24]]) {
        return None;
    }
    let (kind, durable) = (u32_at(header, 4), u64_at(header, 16));
    Some(RecordHeader { len, kind, seq, durable, body_crc: u32_at(header, 28) })
}

/// Whether `bytes`, a whole record with padding, are what was written.
pub(crate) fn check(bytes: &[u8], seed: u32, header: &RecordHeader) -> bool {
    header.body_crc == crc(seed, &[&bytes[..24], &bytes[RECORD_HEADER_LEN..]])
}

/// The running checksum of a segment after one more record.
pub(crate) fn chain(running: u32, record_crc: u32) -> u32 {
    crc(running, &[&record_crc.to_le_bytes()])
}

/// CRC-32 over `parts`, continued from `seed`.
pub(crate) fn crc(seed: u32, parts: &[&[u8]]) -> u32 {
    let mut hasher = Hasher::new_with_initial(seed);
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize()
}

/// The number at `at`; 0 where `bytes` end before.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u32::from_le_bytes(*b))
}

/// The number at `at`; 0 where `bytes` end before.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u64::from_le_bytes(*b))
}
