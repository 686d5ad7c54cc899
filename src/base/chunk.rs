//! The law that cuts a file into chunks: it follows from the size alone, so every assembly of a
//! root agrees on it and nobody can propose another.
//!
//! Invariant: a chunk is a power-of-two run of at least 1 KiB (the BLAKE3 leaf), so its hash is
//! an interior node of the file's BLAKE3 tree.
//!
//! ```text
//! size      0 .. 64 MiB    chunk 256 KiB     at most 256 chunks
//!      64 MiB .. 1 GiB     next power of two of size/256
//!       1 GiB .. 64 GiB    4 MiB             at most 16,384 chunks
//!      above               grows, so that there are at most 16,384
//! ```

use super::limits::{CHUNK_COUNT_MAX, CHUNK_SIZE_MAX, CHUNK_SIZE_MIN};

/// The chunk size, in bytes, of a file of `size` bytes.
pub const fn chunk_size(size: u64) -> u64 {
    let wanted = power_of_two(size.div_ceil(256));
    let usual = if wanted < CHUNK_SIZE_MIN {
        CHUNK_SIZE_MIN
    } else if wanted > CHUNK_SIZE_MAX {
        CHUNK_SIZE_MAX
    } else {
        wanted
    };
    let huge = power_of_two(size.div_ceil(CHUNK_COUNT_MAX as u64));
    if huge > usual { huge } else { usual }
}

/// The next power of two at or above `n`; the highest one there is for what lies above it.
const fn power_of_two(n: u64) -> u64 {
    match n.checked_next_power_of_two() {
        Some(p) => p,
        None => 1 << 63,
    }
}

/// How many chunks a file of `size` bytes has. An empty file has one empty chunk.
pub const fn chunk_count(size: u64) -> u32 {
    let n = size.div_ceil(chunk_size(size));
    if n == 0 { 1 } else { n as u32 }
}

/// Where chunk `index` of a file lies: a run of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First byte, from the start of the file.
    pub offset: u64,
    /// Length in bytes; the last chunk of a file may be shorter than the rest.
    pub len: u64,
}

/// The span of chunk `index` in a file of `size` bytes, or `None` when there is no such chunk.
pub const fn chunk_span(size: u64, index: u32) -> Option<Span> {
    if index >= chunk_count(size) {
        return None;
    }
    let step = chunk_size(size);
    let offset = index as u64 * step;
    let left = size - offset;
    Some(Span { offset, len: if left < step { left } else { step } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn chunk_sizes_follow_the_documented_table() {
        let table = [
            (0, 256 * 1024, 1),
            (1, 256 * 1024, 1),
            (256 * 1024, 256 * 1024, 1),
            (256 * 1024 + 1, 256 * 1024, 2),
            (64 * MIB, 256 * 1024, 256),
            (64 * MIB + 1, 512 * 1024, 129),
            (1024 * MIB, 4 * MIB, 256),
            (65536 * MIB, 4 * MIB, 16384),
            (65536 * MIB + 1, 8 * MIB, 8193),
        ];
        for (size, chunk, count) in table {
            assert_eq!((chunk_size(size), chunk_count(size)), (chunk, count), "size {size}");
        }
    }

    proptest! {
        #[test]
        fn spans_tile_the_file_for_every_size(size in 0_u64..1 << 45) {
            let count = chunk_count(size);
            prop_assert!(count <= CHUNK_COUNT_MAX);
            let last = chunk_span(size, count - 1).unwrap();
            prop_assert_eq!(last.offset + last.len, size);
            prop_assert_eq!(chunk_span(size, count), None);
            prop_assert!(chunk_size(size).is_power_of_two());
        }

        #[test]
        fn no_size_a_peer_may_claim_overflows(size in any::<u64>()) {
            prop_assert!(chunk_count(size) <= CHUNK_COUNT_MAX);
        }
    }
}
