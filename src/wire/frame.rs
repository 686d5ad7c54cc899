//! The header in front of every message.
//!
//! ```text
//!  0        2         3      4            8
//!  +--------+---------+------+------------+----------------+
//!  | "pv"   | version | kind | length u32 | length bytes … |
//!  +--------+---------+------+------------+----------------+
//!           little-endian; version is that of the frame format
//! ```
//!
//! Invariant: a `FrameHeader` that exists names a known message and a length within its cap.

use super::message::Kind;

/// Bytes of a header.
pub const FRAME_HEADER_LEN: usize = 8;
const MAGIC: [u8; 2] = *b"pv";
const VERSION: u8 = 3;

/// A checked header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    /// Which message follows.
    pub kind: Kind,
    /// Bytes of its body.
    pub len: usize,
}

/// Why eight bytes are no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The stream is out of step, or no parvi.
    #[error("not a parvi frame")]
    Magic,
    /// A frame format that is not ours.
    #[error("frame format {0}, not {VERSION}")]
    Version(u8),
    /// A message of which this version knows nothing.
    #[error("unknown message type {0:#04x}")]
    Kind(u8),
    /// Longer than its type may be.
    #[error("a {kind:?} of {len} bytes is above its cap of {cap}")]
    TooLong {
        /// The message.
        kind: Kind,
        /// Bytes announced.
        len: u32,
        /// Bytes allowed.
        cap: usize,
    },
}

impl FrameHeader {
    /// The header's bytes.
    pub fn encode(self) -> [u8; FRAME_HEADER_LEN] {
        let len = (self.len as u32).to_le_bytes();
        [MAGIC[0], MAGIC[1], VERSION, self.kind as u8, len[0], len[1], len[2], len[3]]
    }

    /// Checks a header before a byte of its body is read.
    ///
    /// # Errors
    /// Anything that is not a frame of this version with a length within its cap.
    pub fn decode(bytes: [u8; FRAME_HEADER_LEN]) -> Result<FrameHeader, FrameError> {
        let [m0, m1, version, kind, l0, l1, l2, l3] = bytes;
        if [m0, m1] != MAGIC {
            return Err(FrameError::Magic);
        }
        if version != VERSION {
            return Err(FrameError::Version(version));
        }
        let kind = Kind::from_byte(kind).ok_or(FrameError::Kind(kind))?;
        let len = u32::from_le_bytes([l0, l1, l2, l3]);
        if len as usize > kind.cap() {
            return Err(FrameError::TooLong { kind, len, cap: kind.cap() });
        }
        Ok(FrameHeader { kind, len: len as usize })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: FrameHeader = FrameHeader { kind: Kind::Want, len: 0x0102 };

    fn decode_with(at: usize, byte: u8) -> Result<FrameHeader, FrameError> {
        let mut bytes = GOOD.encode();
        bytes[at] = byte;
        FrameHeader::decode(bytes)
    }

    #[test]
    fn a_header_has_the_documented_bytes_and_comes_back() {
        assert_eq!(GOOD.encode(), [b'p', b'v', VERSION, 0x42, 0x02, 0x01, 0, 0]);
        assert_eq!(FrameHeader::decode(GOOD.encode()), Ok(GOOD));
    }

    #[test]
    fn each_wrong_field_is_named() {
        assert_eq!(decode_with(0, b'P'), Err(FrameError::Magic));
        assert_eq!(decode_with(1, 0), Err(FrameError::Magic));
        assert_eq!(decode_with(2, 9), Err(FrameError::Version(9)));
        assert_eq!(decode_with(3, 0), Err(FrameError::Kind(0)));
        let long = FrameError::TooLong { kind: Kind::Want, len: 0x0101_0102, cap: 256 * 1024 };
        let mut bytes = GOOD.encode();
        bytes[6..].copy_from_slice(&[1, 1]);
        assert_eq!(FrameHeader::decode(bytes), Err(long));
    }

    #[test]
    fn a_body_of_exactly_its_cap_is_taken_and_one_byte_more_is_not() {
        for kind in Kind::ALL {
            let at = |len| FrameHeader::decode(FrameHeader { kind: *kind, len }.encode());
            assert!(at(kind.cap()).is_ok(), "{kind:?} at its cap");
            assert!(at(kind.cap() + 1).is_err(), "{kind:?} above its cap");
        }
    }
}
