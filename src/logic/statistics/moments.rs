//! Count, mean, variance and extremes of numbers that are not kept.
//!
//! Invariant: all of them are finite, and so is everything here. One pass (B. P. Welford, 1962), and two
//! halves give the whole (T. F. Chan, G. H. Golub, R. J. LeVeque, 1979), so that nothing is lost to
//! differences of large sums.

use serde::{Deserialize, Serialize};

/// The moments of what was added.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Moments {
    count: u64,
    mean: f64,
    /// Sum of the squared distances from the mean.
    squares: f64,
    min: f64,
    max: f64,
}

impl Moments {
    /// Takes one more in, which must be finite.
    pub(super) fn add(&mut self, value: f64) {
        self.merge(&Moments { count: 1, mean: value, squares: 0.0, min: value, max: value });
    }

    /// As if all that `other` took in had been added here.
    pub fn merge(&mut self, other: &Moments) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = *other;
            return;
        }
        let (ours, theirs) = (self.count as f64, other.count as f64);
        let (all, apart) = (ours + theirs, other.mean - self.mean);
        self.mean += apart * theirs / all;
        self.squares += other.squares + apart * apart * ours * theirs / all;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.count += other.count;
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their mean; 0 without any, as are all below.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// Their sum, as exact as the mean.
    pub fn sum(&self) -> f64 {
        self.mean * self.count as f64
    }

    /// Their standard deviation, of the sample: one alone has none.
    pub fn stdev(&self) -> f64 {
        let free = self.count.saturating_sub(1).max(1);
        (self.squares / free as f64).sqrt()
    }

    /// The smallest.
    pub fn min(&self) -> f64 {
        self.min
    }

    /// The largest.
    pub fn max(&self) -> f64 {
        self.max
    }
}
