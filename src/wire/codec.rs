//! The one place that knows how values become bytes: bincode 2.0.1, variable-length integers.
//!
//! Invariant: what decodes is the whole input, byte for byte, and no claim inside it makes us
//! reserve more than the input's own cap. Types that travel have no zero-sized elements, no maps
//! and no recursion, which bincode's limit does not cover.

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::base::limits::FRAME_MAX;

const CONFIG: Configuration<LittleEndian, Varint, Limit<FRAME_MAX>> =
    bincode::config::standard().with_limit::<FRAME_MAX>();

/// Why bytes are not the value they should be, or a value cannot become bytes.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// Too large, or a type that cannot be encoded.
    #[error("could not encode: {0}")]
    Encode(#[from] bincode::error::EncodeError),
    /// Cut off, out of range, a bad tag, above a bound.
    #[error("malformed: {0}")]
    Decode(#[from] bincode::error::DecodeError),
    /// Bytes behind the value.
    #[error("{0} bytes too many")]
    Trailing(usize),
}

/// The bytes of `value`.
///
/// # Errors
/// A value above the largest frame.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, CodecError> {
    Ok(bincode::serde::encode_to_vec(value, CONFIG)?)
}

/// The value that all of `bytes` encode.
///
/// # Errors
/// Anything but exactly one valid value.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let (value, used) = bincode::serde::decode_from_slice(bytes, CONFIG)?;
    match bytes.len() - used {
        0 => Ok(value),
        extra => Err(CodecError::Trailing(extra)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::bounded::List;

    #[test]
    fn trailing_and_missing_bytes_are_refused() {
        let mut bytes = encode(&(7_u32, 300_u64)).unwrap();
        assert!(decode::<(u32, u64)>(&bytes).is_ok());
        bytes.push(0);
        assert!(matches!(decode::<(u32, u64)>(&bytes), Err(CodecError::Trailing(1))));
        assert!(matches!(decode::<(u32, u64)>(&bytes[..1]), Err(CodecError::Decode(_))));
    }

    #[test]
    fn a_count_beyond_the_bound_is_refused_before_it_is_believed() {
        for announced in [5_u64, 1 << 32, u64::MAX] {
            let bytes = encode(&announced).unwrap();
            assert!(decode::<List<u64, 4>>(&bytes).is_err(), "{announced} elements were accepted");
        }
    }
}
