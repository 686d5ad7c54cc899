//! A few measurements that are kept: exact quantiles, where the sketch's would be near ones.
//!
//! Invariant: in order, and all of them finite.

use super::moments::Moments;

/// Measurements of one kind and in one unit, in order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sample(Vec<f64>);

impl Sample {
    /// Those of `values` that are numbers.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Sample {
        let mut kept: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        kept.sort_unstable_by(f64::total_cmp);
        Sample(kept)
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The smallest number that is not below a part `q` (0 to 1) of all; 0 without any, as are all
    /// below.
    pub fn quantile(&self, q: f64) -> f64 {
        let rank = (self.0.len() as f64 * q).ceil().max(1.0) as usize;
        self.0.get(rank.min(self.0.len()).saturating_sub(1)).copied().unwrap_or(0.0)
    }

    /// Half of them are no larger: of an even number the mean of the two in the middle.
    pub fn median(&self) -> f64 {
        let upper = self.0.get(self.0.len() / 2).copied().unwrap_or(0.0);
        if self.0.len() % 2 == 1 { upper } else { f64::midpoint(self.quantile(0.5), upper) }
    }

    /// The smallest.
    pub fn min(&self) -> f64 {
        self.quantile(0.0)
    }

    /// The largest.
    pub fn max(&self) -> f64 {
        self.quantile(1.0)
    }

    /// Their mean.
    pub fn mean(&self) -> f64 {
        self.moments().mean()
    }

    /// Their standard deviation, of the sample.
    pub fn stdev(&self) -> f64 {
        self.moments().stdev()
    }

    /// So many quantiles, from the smallest to the largest, evenly apart; all where there are no more.
    pub fn thinned(&self, most: usize) -> Vec<f64> {
        if self.0.len() <= most || most < 2 {
            return self.0.clone();
        }
        (0..most).map(|at| self.quantile(at as f64 / (most - 1) as f64)).collect()
    }

    fn moments(&self) -> Moments {
        let mut moments = Moments::default();
        self.0.iter().for_each(|value| moments.add(*value));
        moments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_measurements_and_the_median_lies_between_two() {
        let ten = Sample::of((1..=10).rev().map(f64::from));
        let wanted = [(0.0, 1.0), (0.1, 1.0), (0.11, 2.0), (0.5, 5.0), (0.99, 10.0), (1.0, 10.0)];
        for (q, value) in wanted {
            assert_eq!(ten.quantile(q), value, "the quantile {q}");
        }
        assert_eq!((ten.count(), ten.median(), ten.mean()), (10, 5.5, 5.5));
        assert!((ten.stdev() - 3.027_65).abs() < 1e-4, "{}", ten.stdev());
        assert_eq!(Sample::of([3.0, 1.0, 2.0]).median(), 2.0);
    }

    #[test]
    fn nothing_and_no_numbers_are_no_measurements() {
        for none in [Sample::default(), Sample::of([f64::NAN, f64::INFINITY])] {
            assert_eq!((none.count(), none.median(), none.min(), none.max()), (0, 0.0, 0.0, 0.0));
            assert!(none.thinned(5).is_empty());
        }
    }

    #[test]
    fn a_thinned_sample_keeps_its_ends_and_a_small_one_is_whole() {
        let many = Sample::of((0..1000).map(f64::from));
        let few = many.thinned(5);
        assert_eq!((few.len(), few[0], few[2], few[4]), (5, 0.0, 499.0, 999.0));
        assert_eq!(Sample::of([2.0, 1.0]).thinned(5), [1.0, 2.0]);
    }
}
