//! Quantiles of numbers that are not kept: how many of them lie in each of a bounded number of buckets.
//!
//! Each power of two is cut into 64 buckets of equal width (log-linear, as G. Tene's HdrHistogram); a
//! bucket stands for the number whose relative distance from both its ends is the same (as in DDSketch:
//! C. Masson, J. E. Rim, H. K. Lee, 2019). So a quantile is off by at most [`RELATIVE_ERROR`] between
//! 2^-20 and 2^50; what is smaller or larger, zero too, counts as that end.
//!
//! Invariant: at most `BUCKETS` counts, and the same ones in whatever order numbers were added or
//! sketches merged.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Each power of two has 2^6 buckets.
const SPLIT_BITS: u32 = 6;
/// What an `f64` has behind its exponent.
const FRACTION_BITS: u32 = f64::MANTISSA_DIGITS - 1;
/// Smallest power of two that is told apart.
const LOWEST: i32 = -20;
/// Largest.
const HIGHEST: i32 = 50;
/// The bits of the smallest number, as far as they tell buckets apart.
const BASE: u64 = ((f64::MAX_EXP - 1 + LOWEST) as u64) << SPLIT_BITS;
/// Most buckets there are: 4,480.
pub const BUCKETS: u16 = ((HIGHEST - LOWEST) as u16) << SPLIT_BITS;
/// By how much a quantile may be off, relative to the true one: the widest bucket is [1, 1 + 1/64].
pub const RELATIVE_ERROR: f64 = 1.0 / 129.0;

/// Counts by bucket.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sketch(BTreeMap<u16, u64>);

impl Sketch {
    /// Takes one more in.
    pub(super) fn add(&mut self, value: f64) {
        *self.0.entry(bucket(value)).or_default() += 1;
    }

    /// As if all that `other` took in had been added here.
    pub fn merge(&mut self, other: &Sketch) {
        for (bucket, count) in &other.0 {
            *self.0.entry(*bucket).or_default() += count;
        }
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.0.values().sum()
    }

    /// The smallest number that is not below a part `q` (0 to 1) of all, within the error; `None`
    /// without any.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let rank = (self.count() as f64 * q).ceil().max(1.0) as u64;
        let mut passed = 0;
        let reached = self.0.iter().find(|(_, count)| {
            passed += **count;
            passed >= rank
        });
        reached.map(|(bucket, _)| middle(*bucket))
    }

    /// Whether every bucket is one that `add` counts in.
    pub(super) fn is_sound(&self) -> bool {
        self.0.keys().all(|bucket| *bucket < BUCKETS)
    }
}

/// The bucket of a number: the bits of an `f64` that is not negative are in the order of the numbers.
fn bucket(value: f64) -> u16 {
    if value <= 0.0 {
        return 0;
    }
    let bits = value.to_bits() >> (FRACTION_BITS - SPLIT_BITS);
    bits.saturating_sub(BASE).min(u64::from(BUCKETS) - 1) as u16
}

/// Where a bucket begins.
fn begin(bucket: u16) -> f64 {
    f64::from_bits((BASE + u64::from(bucket)) << (FRACTION_BITS - SPLIT_BITS))
}

/// The number that a bucket stands for.
fn middle(bucket: u16) -> f64 {
    let (low, high) = (begin(bucket), begin(bucket + 1));
    2.0 * low * high / (low + high)
}
