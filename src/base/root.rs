//! A file's identity: the BLAKE3 hash of its bytes, what `b3sum` prints.

use super::hex::hex_newtype;

/// The BLAKE3 hash of a whole file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Root([u8; 32]);

hex_newtype!(Root);

impl Root {
    /// The root of `bytes`, all of them in memory. Files on disk go through a manifest.
    pub fn of(bytes: &[u8]) -> Root {
        Root(*blake3::hash(bytes).as_bytes())
    }
}
