//! A file's manifest: the BLAKE3 subtree value of each of its chunks, which fold to the root.
//!
//! Invariant: a `Manifest` that exists folds to its root. It may come from anybody: checking it
//! costs a hash per chunk, and from then on every chunk can be checked alone, in any order.
//!
//! BLAKE3 is a binary tree over leaves of 1 KiB whose left subtrees are complete. A chunk is a
//! power-of-two run at a multiple of its own length, hence a whole subtree (the last one the right
//! edge), so the chunks' values are interior nodes of the file's own tree (BLAKE3 paper, section
//! 2.1; the bao project verifies streams in the same way). A file of one chunk has no interior
//! node: there the value is the root itself.

use blake3::hazmat::{HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root};

use super::chunk::{Span, chunk_count, chunk_span};
use super::root::Root;

/// The BLAKE3 value of one chunk: 32 bytes.
pub type ChunkValue = [u8; 32];

/// The values of a file's chunks, checked against its root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    size: u64,
    root: Root,
    values: Vec<ChunkValue>,
}

/// Why a list of values is not the manifest of a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// The number of values does not follow from the file's size.
    #[error("a file of {size} bytes has {expected} chunks, not {given}")]
    Count {
        /// Bytes of the file.
        size: u64,
        /// Chunks of a file of that size.
        expected: u32,
        /// Values given.
        given: usize,
    },
    /// The values fold to another root.
    #[error("the chunk values fold to {folded}, not to {expected}")]
    Root {
        /// What they fold to.
        folded: Root,
        /// What was asked for.
        expected: Root,
    },
}

impl Manifest {
    /// Checks `values` against `root`.
    ///
    /// # Errors
    /// A number of values that does not follow from `size`; a fold that is not `root`.
    pub fn check(
        size: u64,
        root: Root,
        values: Vec<ChunkValue>,
    ) -> Result<Manifest, ManifestError> {
        let manifest = Manifest::fold(size, values)?;
        if manifest.root == root {
            Ok(manifest)
        } else {
            Err(ManifestError::Root { folded: manifest.root, expected: root })
        }
    }

    /// The manifest of a file just hashed here: computes its root.
    ///
    /// # Errors
    /// A number of values that does not follow from `size`.
    pub fn fold(size: u64, values: Vec<ChunkValue>) -> Result<Manifest, ManifestError> {
        let expected = chunk_count(size);
        if values.len() != expected as usize {
            return Err(ManifestError::Count { size, expected, given: values.len() });
        }
        let root = Root::from_bytes(match values.as_slice() {
            [only] => *only,
            many => {
                let (left, right) = many.split_at(left_len(many.len()));
                *merge_subtrees_root(&subtree(left), &subtree(right), Mode::Hash).as_bytes()
            }
        });
        Ok(Manifest { size, root, values })
    }

    /// The manifest of bytes in memory.
    pub fn of(bytes: &[u8]) -> Manifest {
        let size = bytes.len() as u64;
        let values = (0..chunk_count(size))
            .filter_map(|i| chunk_span(size, i))
            .map(|s| chunk_value(size, s, &bytes[s.offset as usize..][..s.len as usize]))
            .collect::<Vec<_>>();
        let root = Root::of(bytes);
        Manifest { size, root, values }
    }

    /// Bytes of the file.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// What the values fold to.
    pub fn root(&self) -> Root {
        self.root
    }

    /// The values, in the order of the chunks.
    pub fn values(&self) -> &[ChunkValue] {
        &self.values
    }

    /// Whether `bytes` are chunk `index` of this file.
    pub fn verify(&self, index: u32, bytes: &[u8]) -> bool {
        chunk_span(self.size, index).is_some_and(|span| {
            span.len == bytes.len() as u64
                && self.values[index as usize] == chunk_value(self.size, span, bytes)
        })
    }
}

/// The value of the chunk at `span` in a file of `size` bytes, all of it in memory.
pub fn chunk_value(size: u64, span: Span, bytes: &[u8]) -> ChunkValue {
    let mut hasher = ChunkHasher::new(size, span);
    hasher.update(bytes);
    hasher.finish()
}

/// The value of a chunk that arrives in pieces.
pub struct ChunkHasher {
    hasher: blake3::Hasher,
    whole_file: bool,
}

impl ChunkHasher {
    /// Begins the chunk at `span` of a file of `size` bytes.
    pub fn new(size: u64, span: Span) -> ChunkHasher {
        let mut hasher = blake3::Hasher::new();
        hasher.set_input_offset(span.offset);
        ChunkHasher { hasher, whole_file: chunk_count(size) == 1 }
    }

    /// Takes the next bytes; all calls together must take exactly the chunk.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    /// The value of what was taken.
    pub fn finish(self) -> ChunkValue {
        if self.whole_file {
            *self.hasher.finalize().as_bytes()
        } else {
            self.hasher.finalize_non_root()
        }
    }
}

/// How many of `n` ≥ 2 chunks are in the left subtree: the largest power of two below `n`.
fn left_len(n: usize) -> usize {
    n.next_power_of_two() / 2
}

fn subtree(values: &[ChunkValue]) -> ChunkValue {
    match values {
        [] => [0; 32],
        [only] => *only,
        many => {
            let (left, right) = many.split_at(left_len(many.len()));
            merge_subtrees_non_root(&subtree(left), &subtree(right), Mode::Hash)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(len: usize) -> Vec<u8> {
        (0..len).map(|i| (i * 31 + i / 251) as u8).collect()
    }

    fn folds_to_the_plain_hash(len: usize) {
        let data = bytes(len);
        let manifest = Manifest::of(&data);
        let folded = Manifest::fold(len as u64, manifest.values().to_vec()).unwrap();
        assert_eq!(folded.root(), Root::of(&data), "{len} bytes do not fold to their hash");
        assert_eq!(folded, manifest);
    }

    #[test]
    fn every_edge_size_folds_to_what_b3sum_prints() {
        const CHUNK: usize = 256 * 1024;
        let many = 5 * CHUNK;
        for len in [0, 1, 1023, 1024, 1025, 2048, 2049, CHUNK - 1, CHUNK, CHUNK + 1] {
            folds_to_the_plain_hash(len);
        }
        for len in [many - 1, many, many + 1, 8 * CHUNK, 8 * CHUNK + 1, (64 << 20) + 1] {
            folds_to_the_plain_hash(len);
        }
    }

    #[test]
    fn a_manifest_with_one_value_changed_added_or_missing_is_refused() {
        let data = bytes(700_000);
        let good = Manifest::of(&data);
        let check = |values| Manifest::check(good.size(), good.root(), values);
        for i in 0..good.values().len() {
            let mut values = good.values().to_vec();
            values[i][i] ^= 1;
            assert!(matches!(check(values), Err(ManifestError::Root { .. })));
        }
        let short = good.values()[1..].to_vec();
        assert!(matches!(check(short), Err(ManifestError::Count { given: 2, .. })));
        assert_eq!(check(good.values().to_vec()), Ok(good));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn random_sizes_fold_and_each_chunk_verifies_alone(len in 0_usize..3_000_000) {
            folds_to_the_plain_hash(len);
            let data = bytes(len);
            let manifest = Manifest::of(&data);
            for i in 0..manifest.values().len() as u32 {
                let span = chunk_span(len as u64, i).unwrap();
                let mut chunk = data[span.offset as usize..][..span.len as usize].to_vec();
                prop_assert!(manifest.verify(i, &chunk));
                if let Some(byte) = chunk.last_mut() {
                    *byte ^= 0x40;
                    prop_assert!(!manifest.verify(i, &chunk), "a flipped bit passed");
                }
            }
        }
    }
}
