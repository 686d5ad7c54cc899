//! Which chunks of a set somebody has: one bit a chunk, of a fixed length.
//!
//! Invariant: bits at and beyond `len` are zero, also after decoding what a peer sent, so that
//! `count` is exact. The form on the wire is `len` and the bytes, lowest chunk in the lowest bit:
//!
//! ```text
//! u32 len | ceil(len / 8) bytes, chunk i = bit i % 8 of byte i / 8, padding bits zero
//! ```

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::limits::CHUNK_COUNT_MAX;

/// A set of chunk numbers below `len`.
#[derive(Clone, PartialEq, Eq)]
pub struct Bitmap {
    len: u32,
    words: Vec<u64>,
}

/// Why bytes are no bitmap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BitmapError {
    /// More chunks than a set may have.
    #[error("a bitmap of {0} chunks is longer than {CHUNK_COUNT_MAX}")]
    TooLong(u32),
    /// The number of bytes does not follow from the length.
    #[error("a bitmap of {len} chunks cannot have {bytes} bytes")]
    WrongSize {
        /// Chunks announced.
        len: u32,
        /// Bytes given.
        bytes: usize,
    },
    /// A bit behind the last chunk is set.
    #[error("a bitmap's padding is not zero")]
    Padding,
}

impl Bitmap {
    /// No chunk of `len`.
    pub fn none(len: u32) -> Bitmap {
        Bitmap { len, words: vec![0; (len as usize).div_ceil(64)] }
    }

    /// All of `len` chunks.
    pub fn all(len: u32) -> Bitmap {
        let mut map = Bitmap { len, words: vec![u64::MAX; (len as usize).div_ceil(64)] };
        if let (Some(last), rest @ 1..) = (map.words.last_mut(), len % 64) {
            *last = (1 << rest) - 1;
        }
        map
    }

    /// How many chunks the set has, held or not.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether no chunk is held.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|w| *w == 0)
    }

    /// Whether every chunk is held.
    pub fn is_full(&self) -> bool {
        self.count() == self.len
    }

    /// How many chunks are held.
    pub fn count(&self) -> u32 {
        self.words.iter().map(|w| w.count_ones()).sum()
    }

    /// Whether `index` is held; false beyond the end.
    pub fn contains(&self, index: u32) -> bool {
        index < self.len && self.words[index as usize / 64] >> (index % 64) & 1 == 1
    }

    /// Adds `index`; tells whether it is new. Beyond the end nothing happens.
    pub fn insert(&mut self, index: u32) -> bool {
        let new = index < self.len && !self.contains(index);
        if new {
            self.words[index as usize / 64] |= 1 << (index % 64);
        }
        new
    }

    /// Takes `index` out; tells whether it was held.
    pub fn remove(&mut self, index: u32) -> bool {
        let held = self.contains(index);
        if held {
            self.words[index as usize / 64] &= !(1 << (index % 64));
        }
        held
    }

    /// The chunks held, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.words.iter().zip(0_u32..).flat_map(|(word, at)| {
            let mut word = *word;
            std::iter::from_fn(move || {
                let bit = (word != 0).then(|| word.trailing_zeros())?;
                word &= word - 1;
                Some(at * 64 + bit)
            })
        })
    }

    /// The chunks not held, ascending.
    pub fn iter_missing(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.len).filter(|i| !self.contains(*i))
    }

    /// The last chunk before `below` that both hold.
    pub fn last_in_both(&self, other: &Bitmap, below: u32) -> Option<u32> {
        let below = below.min(self.len).min(other.len);
        let words = (below as usize).div_ceil(64);
        let both = self.words[..words].iter().zip(&other.words[..words]).enumerate();
        both.rev().find_map(|(at, (a, b))| {
            let (start, both) = (at as u32 * 64, a & b);
            let both = match below - start {
                0..64 => both & ((1 << (below - start)) - 1),
                _ => both,
            };
            (both != 0).then(|| start + both.ilog2())
        })
    }

    /// The bytes of the wire form, without the length.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.words.iter().flat_map(|w| w.to_le_bytes()).collect();
        bytes.truncate((self.len as usize).div_ceil(8));
        bytes
    }

    /// Reads the wire form.
    ///
    /// # Errors
    /// A length above the limit, a number of bytes that does not fit it, padding that is not zero.
    pub fn from_bytes(len: u32, bytes: &[u8]) -> Result<Bitmap, BitmapError> {
        if len > CHUNK_COUNT_MAX {
            return Err(BitmapError::TooLong(len));
        }
        if bytes.len() != (len as usize).div_ceil(8) {
            return Err(BitmapError::WrongSize { len, bytes: bytes.len() });
        }
        let mut map = Bitmap::none(len);
        for (i, byte) in bytes.iter().enumerate() {
            map.words[i / 8] |= u64::from(*byte) << (i % 8 * 8);
        }
        let padding =
            map.words.last().is_some_and(|w| !len.is_multiple_of(64) && w >> (len % 64) != 0);
        if padding { Err(BitmapError::Padding) } else { Ok(map) }
    }
}

impl std::fmt::Debug for Bitmap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bitmap({} of {})", self.count(), self.len)
    }
}

/// The fields as they travel.
#[derive(Serialize, Deserialize)]
struct Plain {
    len: u32,
    bytes: Bits,
}

/// At most `CHUNK_COUNT_MAX / 8` bytes, checked before they are stored.
struct Bits(Vec<u8>);

impl Serialize for Bits {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bits {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> serde::de::Visitor<'de> for Visit {
            type Value = Bits;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the bytes of a bitmap")
            }
            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Bits, E> {
                Ok(Bits(bytes.to_vec()))
            }
        }
        d.deserialize_bytes(Visit)
    }
}

impl Serialize for Bitmap {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        Plain { len: self.len, bytes: Bits(self.to_bytes()) }.serialize(s)
    }
}

impl<'de> Deserialize<'de> for Bitmap {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let plain = Plain::deserialize(d)?;
        Bitmap::from_bytes(plain.len, &plain.bytes.0).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn all_of_any_length_is_full_and_none_is_empty() {
        for len in [0, 1, 7, 8, 9, 63, 64, 65, 128, 16_384] {
            assert!(Bitmap::all(len).is_full(), "all({len}) misses something");
            assert_eq!(Bitmap::all(len).count(), len);
            assert!(Bitmap::none(len).is_empty());
        }
    }

    #[test]
    fn bytes_that_are_no_bitmap_are_refused() {
        assert_eq!(Bitmap::from_bytes(9, &[0]), Err(BitmapError::WrongSize { len: 9, bytes: 1 }));
        assert_eq!(Bitmap::from_bytes(4, &[0x1f]), Err(BitmapError::Padding));
        assert_eq!(Bitmap::from_bytes(u32::MAX, &[]), Err(BitmapError::TooLong(u32::MAX)));
    }

    proptest! {
        #[test]
        fn the_last_in_both_is_that_of_the_sets(
            a in proptest::collection::btree_set(0_u32..300, 0..40),
            b in proptest::collection::btree_set(0_u32..200, 0..40),
            below in 0_u32..400,
        ) {
            let map = |len, set: &BTreeSet<u32>| {
                let mut map = Bitmap::none(len);
                set.iter().for_each(|i| assert!(map.insert(*i)));
                map
            };
            let both = a.intersection(&b).copied().filter(|i| *i < below).max();
            prop_assert_eq!(map(300, &a).last_in_both(&map(200, &b), below), both);
            prop_assert_eq!(map(200, &b).last_in_both(&map(300, &a), below), both);
        }

        #[test]
        fn behaves_like_a_set_and_round_trips(
            len in 0_u32..300,
            steps in proptest::collection::vec((any::<bool>(), 0_u32..320), 0..200),
        ) {
            let (mut map, mut model) = (Bitmap::none(len), BTreeSet::new());
            for (add, i) in steps {
                if add {
                    prop_assert_eq!(map.insert(i), i < len && model.insert(i));
                } else {
                    prop_assert_eq!(map.remove(i), model.remove(&i));
                }
            }
            prop_assert!(map.iter().eq(model.iter().copied()));
            prop_assert_eq!(map.iter_missing().count() + model.len(), len as usize);
            prop_assert_eq!(Bitmap::from_bytes(len, &map.to_bytes()), Ok(map));
        }
    }
}
