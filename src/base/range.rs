//! A run of chunk numbers, the unit in which WANT and ACK speak.

use serde::{Deserialize, Serialize};

/// The chunks `first .. first + count`. May be empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Range {
    /// First chunk.
    pub first: u32,
    /// How many.
    pub count: u32,
}

impl Range {
    /// One chunk.
    pub const fn one(index: u32) -> Range {
        Range { first: index, count: 1 }
    }

    /// The chunks of the run. A run that would pass `u32::MAX` is cut there: numbers come from peers.
    pub fn iter(self) -> std::ops::Range<u32> {
        self.first..self.first.saturating_add(self.count)
    }

    /// The fewest runs that hold exactly the ascending `indices`.
    pub fn collect(indices: impl IntoIterator<Item = u32>) -> Vec<Range> {
        let mut out: Vec<Range> = Vec::new();
        for index in indices {
            match out.last_mut() {
                Some(run) if run.first + run.count == index => run.count += 1,
                _ => out.push(Range::one(index)),
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ascending_indices_become_the_fewest_runs() {
        let runs = Range::collect([0, 1, 2, 5, 7, 8]);
        assert_eq!(
            runs,
            [Range { first: 0, count: 3 }, Range::one(5), Range { first: 7, count: 2 }]
        );
        let back: Vec<u32> = runs.into_iter().flat_map(Range::iter).collect();
        assert_eq!(back, [0, 1, 2, 5, 7, 8]);
    }

    #[test]
    fn a_run_past_the_end_of_numbers_is_cut() {
        assert_eq!(Range { first: u32::MAX - 1, count: 9 }.iter().count(), 1);
    }
}
