//! The items of one set and how long each is: what both ends of a transfer count in.
//!
//! Invariant: lengths follow from the set alone, so requester and owner agree on every one
//! without a word on the wire. Numbers beyond the set have length zero; nothing here fails.

use crate::base::Range;
use crate::base::chunk::{chunk_count, chunk_size, chunk_span};
use crate::base::limits::{BATCH_FILES_MAX, CHUNK_SIZE_MAX};
use crate::wire::message::transfer::Set;

/// Bytes of a file kept on the way to one requester: hides a round trip of 8 ms at 1 GB/s.
pub const PIPE_BYTES: u64 = 2 * CHUNK_SIZE_MAX;
/// Fewest chunks on the way: one being sent while one is being verified.
pub const WINDOW_CHUNKS_MIN: u16 = 2;
/// Most chunks an owner sends without an ACK, whatever a requester asks for.
pub const WINDOW_CHUNKS_MAX: u16 = 64;
/// Most files of a batch sent without an ACK: all of it, since a batch is no longer than the pipe.
pub const WINDOW_FILES_MAX: u16 = BATCH_FILES_MAX as u16;

/// The items of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Items {
    lens: Lens,
    total: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Lens {
    /// The chunks of a file of this many bytes.
    Chunks(u64),
    /// Whole files of these many bytes.
    Files(Vec<u64>),
}

impl Items {
    /// The items of `set`.
    pub fn of(set: &Set) -> Items {
        match set {
            Set::File(content) => Items::chunks(content.size),
            Set::Batch(list) => Items::files(list.iter().map(|content| content.size).collect()),
        }
    }

    /// The chunks of a file of `size` bytes.
    pub fn chunks(size: u64) -> Items {
        Items { lens: Lens::Chunks(size), total: size }
    }

    /// The files of a batch, by their sizes in bytes.
    pub fn files(sizes: Vec<u64>) -> Items {
        let total = sizes.iter().fold(0_u64, |sum, size| sum.saturating_add(*size));
        Items { lens: Lens::Files(sizes), total }
    }

    /// How many.
    pub fn count(&self) -> u32 {
        match &self.lens {
            Lens::Chunks(size) => chunk_count(*size),
            Lens::Files(sizes) => sizes.len() as u32,
        }
    }

    /// Bytes of item `index`.
    pub fn len(&self, index: u32) -> u64 {
        match &self.lens {
            Lens::Chunks(size) => chunk_span(*size, index).map_or(0, |span| span.len),
            Lens::Files(sizes) => sizes.get(index as usize).copied().unwrap_or(0),
        }
    }

    /// Whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// Bytes of the items of `run`.
    pub fn bytes(&self, run: Range) -> u64 {
        run.iter().take_while(|i| *i < self.count()).map(|i| self.len(i)).sum()
    }

    /// Bytes of the whole set.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Whether the items are files, of which one run may hold several.
    pub fn is_batch(&self) -> bool {
        matches!(self.lens, Lens::Files(_))
    }

    /// Whether every item of `run` is one of these, and there is at least one.
    pub fn contain(&self, run: Range) -> bool {
        let end = u64::from(run.first) + u64::from(run.count);
        run.count > 0 && end <= u64::from(self.count())
    }

    /// Whether a list of runs names items of the set only, and no more than there are: what a peer's
    /// list makes us do is then bounded by the set, however long the list is.
    pub fn bound(&self, runs: &[Range]) -> bool {
        let named: u64 = runs.iter().map(|run| u64::from(run.count)).sum();
        named <= u64::from(self.count()) && runs.iter().all(|run| self.contain(*run))
    }

    /// How many items a requester lets be on the way without an ACK.
    pub fn window(&self) -> u16 {
        match &self.lens {
            Lens::Chunks(size) => u16::try_from(PIPE_BYTES / chunk_size(*size))
                .unwrap_or(WINDOW_CHUNKS_MAX)
                .clamp(WINDOW_CHUNKS_MIN, WINDOW_CHUNKS_MAX),
            Lens::Files(_) => WINDOW_FILES_MAX,
        }
    }

    /// The window an owner grants to a requester that asked for `asked` items.
    pub fn window_granted(&self, asked: u16) -> u16 {
        let most = if self.is_batch() { WINDOW_FILES_MAX } else { WINDOW_CHUNKS_MAX };
        asked.clamp(1, most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_chunks_and_files_add_up_to_the_set() {
        for items in [Items::chunks(1_000_000), Items::files(vec![5, 0, 300]), Items::chunks(0)] {
            let all = Range { first: 0, count: items.count() };
            assert_eq!(items.bytes(all), items.total(), "{items:?}");
            assert!(items.contain(all));
            assert_eq!(items.len(items.count()), 0, "an item beyond the end has a length");
        }
    }

    #[test]
    fn runs_a_stranger_made_up_are_not_contained() {
        let items = Items::files(vec![1; 10]);
        for (first, count) in [(0, 11), (10, 1), (9, 2), (0, 0), (u32::MAX, 1), (1, u32::MAX)] {
            assert!(!items.contain(Range { first, count }), "{first}+{count} was taken");
        }
        assert_eq!(items.bytes(Range { first: 8, count: u32::MAX }), 2);
    }

    #[test]
    fn a_window_is_at_least_two_items_and_about_eight_mebibytes() {
        for (size, window) in [(1 << 20, 32), (256 << 20, 8), (1 << 30, 2), (1 << 40, 2)] {
            assert_eq!(Items::chunks(size).window(), window, "size {size}");
        }
        assert_eq!(Items::files(vec![1; 3]).window(), 1_024);
        assert_eq!(Items::chunks(1).window_granted(0), 1);
        assert_eq!(Items::chunks(1).window_granted(u16::MAX), 64);
        assert_eq!(Items::files(vec![]).window_granted(u16::MAX), 1_024);
    }
}
