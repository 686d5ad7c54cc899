//! Values from a stranger: eight bytes of size, then the values. A list of the right length folds
//! to some root, is accepted for that one, and refused for another or with one bit changed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use parvi::base::chunk::chunk_count;
use parvi::base::manifest::ChunkValue;
use parvi::base::{Manifest, Root};

fuzz_target!(|bytes: &[u8]| {
    let Some((size, rest)) = bytes.split_first_chunk::<8>() else { return };
    let size = u64::from_le_bytes(*size);
    let given: Vec<ChunkValue> = rest.as_chunks::<32>().0.to_vec();
    let fits = given.len() == chunk_count(size) as usize;
    assert_eq!(Manifest::fold(size, given.clone()).is_ok(), fits);

    // Files of at most 2 GiB, so that a run costs microseconds.
    let size = size % (2 << 30);
    let count = chunk_count(size) as usize;
    let seed = given.first().copied().unwrap_or([7; 32]);
    let values: Vec<ChunkValue> =
        given.into_iter().chain(std::iter::repeat(seed)).take(count).collect();
    let folded = Manifest::fold(size, values.clone()).expect("the number is right");
    assert!(Manifest::check(size, folded.root(), values.clone()).is_ok());
    assert!(Manifest::check(size, Root::of(rest), values.clone()).is_err() || count == 1);
    let mut flipped = values;
    flipped[usize::from(seed[0]) % count][usize::from(seed[1]) % 32] ^= 1;
    assert!(Manifest::check(size, folded.root(), flipped).is_err());
    assert!(!folded.verify(count as u32, rest), "there is no such chunk");
    let _ = folded.verify(0, rest);
});
