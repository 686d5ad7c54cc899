//! Many measurements in a few numbers: moments, and a sketch for the quantiles.
//!
//! Invariant: both have taken in the same measurements, and no other than finite ones.

use serde::{Deserialize, Serialize};

use super::moments::Moments;
use super::sketch::Sketch;

/// What was measured, of one kind and in one unit.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Summary {
    moments: Moments,
    pub(super) sketch: Sketch,
}

impl Summary {
    /// Takes one more measurement in, unless it is no number.
    pub fn add(&mut self, value: f64) {
        if value.is_finite() {
            self.moments.add(value);
            self.sketch.add(value);
        }
    }

    /// As if all that `other` took in had been added here.
    pub fn merge(&mut self, other: &Summary) {
        self.moments.merge(&other.moments);
        self.sketch.merge(&other.sketch);
    }

    /// All measurements together.
    pub fn sum(&self) -> f64 {
        self.moments.sum()
    }

    /// The numbers to show.
    pub fn figures(&self) -> Figures {
        let m = &self.moments;
        // The extremes are exact: no quantile lies beyond them.
        let quantile = |q| self.sketch.quantile(q).unwrap_or(0.0).max(m.min()).min(m.max());
        Figures {
            count: m.count(),
            mean: m.mean(),
            stdev: m.stdev(),
            min: m.min(),
            max: m.max(),
            p50: quantile(0.5),
            p99: quantile(0.99),
        }
    }

    /// Whether it is what measurements lead to.
    pub(super) fn is_sound(&self) -> bool {
        self.moments.count() == self.sketch.count() && self.sketch.is_sound()
    }
}

/// A summary in numbers, in the unit of what was measured; 0 without any measurement.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Figures {
    /// How many.
    pub count: u64,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation, of the sample: one measurement has none.
    pub stdev: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// Half of them are no larger, within the sketch's error (0.78 %).
    pub p50: f64,
    /// 99 of 100 are no larger, within the same error.
    pub p99: f64,
}
