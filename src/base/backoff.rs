//! How long to wait before trying again: doubling, bounded, jittered.

use std::time::Duration;

/// A growing wait. Jitter is the caller's random number, so that the decision stays pure.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    /// Waits from `first` to `max`.
    pub const fn new(first: Duration, max: Duration) -> Backoff {
        Backoff { first, max, failures: 0 }
    }

    /// The wait after one more failure: between half and all of the doubled wait, by `random`.
    pub fn fail(&mut self, random: u64) -> Duration {
        let full = self.first.saturating_mul(1 << self.failures.min(20)).min(self.max);
        self.failures = self.failures.saturating_add(1);
        let half = full / 2;
        half + half.mul_f64(random as f64 / u64::MAX as f64)
    }

    /// How often it failed since the last success.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// It worked: the next failure waits `first` again.
    pub fn succeed(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_the_bound_and_start_again_after_success() {
        let mut b = Backoff::new(Duration::from_secs(1), Duration::from_secs(10));
        let waits: Vec<u64> = (0..6).map(|_| b.fail(u64::MAX).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 10, 10]);
        assert_eq!(b.fail(0), Duration::from_secs(5), "the smallest jitter is half the wait");
        b.succeed();
        assert_eq!(b.fail(u64::MAX), Duration::from_secs(1));
    }
}
