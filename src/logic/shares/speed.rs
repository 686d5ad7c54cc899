//! How fast an owner sends, measured only while something is due from it.
//!
//! Two samples, an older and a newer one: the newer becomes the older when it is long enough, so
//! the estimate looks back over one to two samples. They are rotated by arriving bytes only, so
//! silence makes the estimate fall towards zero without end.

use std::time::Duration;

use crate::base::Time;
use crate::base::limits::CHUNK_SIZE_MIN;

/// A sample is never shorter: scheduling makes anything below it noise.
const SAMPLE_MIN: Duration = Duration::from_millis(20);
/// A sample of this length is complete however few bytes it has.
const SAMPLE_MAX: Duration = Duration::from_secs(1);
/// A sample of `SAMPLE_MIN` is complete with this many bytes.
const SAMPLE_BYTES: u64 = 4 * CHUNK_SIZE_MIN;
/// How many bytes at the assumed speed are counted before any was measured.
const ASSUMED_BYTES: f64 = CHUNK_SIZE_MIN as f64;

/// An estimate of bytes per second.
#[derive(Debug, Clone, Default)]
pub(super) struct Speed {
    older: Sample,
    newer: Sample,
    /// Since when the clock runs; `None` while nothing is due.
    since: Option<Time>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Sample {
    bytes: u64,
    time: Duration,
}

impl Speed {
    /// Something is due from now on, or nothing is. Tells whether that is new.
    pub(super) fn set_due(&mut self, now: Time, due: bool) -> bool {
        match (self.since, due) {
            (Some(since), false) => self.newer.time += now.since(since),
            (None, true) => {}
            _ => return false,
        }
        self.since = due.then_some(now);
        true
    }

    /// Bytes have arrived.
    pub(super) fn add(&mut self, now: Time, bytes: u64) {
        self.newer.bytes = self.newer.bytes.saturating_add(bytes);
        if let Some(since) = self.since {
            self.newer.time += now.since(since);
            self.since = Some(now);
        }
        let Sample { bytes, time } = self.newer;
        if time >= SAMPLE_MAX || (time >= SAMPLE_MIN && bytes >= SAMPLE_BYTES) {
            self.older = std::mem::take(&mut self.newer);
        }
    }

    /// What was measured, in bytes per second; `None` before the first byte.
    pub(super) fn measured(&self, now: Time) -> Option<f64> {
        let (bytes, secs) = self.window(now);
        (bytes > 0.0).then(|| bytes / secs.max(SAMPLE_MIN.as_secs_f64()))
    }

    /// What to expect, at least 1 byte per second: the measure, as if a first small portion had
    /// come at the speed `assumed`. A new owner is taken for an average one until it shows.
    pub(super) fn expected(&self, now: Time, assumed: f64) -> f64 {
        let (bytes, secs) = self.window(now);
        ((bytes + ASSUMED_BYTES) / (secs + ASSUMED_BYTES / assumed.max(1.0))).max(1.0)
    }

    fn window(&self, now: Time) -> (f64, f64) {
        let running = self.since.map_or(Duration::ZERO, |since| now.since(since));
        let time = self.older.time + self.newer.time + running;
        ((self.older.bytes + self.newer.bytes) as f64, time.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: f64 = 1e6;

    fn at(ms: u64) -> Time {
        Time::from_origin(Duration::from_millis(ms))
    }

    /// `speed` after `ms` milliseconds of `per_ms` bytes each.
    fn steady(ms: u64, per_ms: u64) -> Speed {
        let mut speed = Speed::default();
        speed.set_due(at(0), true);
        (1..=ms).for_each(|t| speed.add(at(t), per_ms));
        speed
    }

    #[test]
    fn a_new_owner_is_average_until_it_shows() {
        let mut speed = Speed::default();
        assert_eq!(speed.measured(at(0)), None);
        assert!((speed.expected(at(0), 7.0 * MB) - 7.0 * MB).abs() < 1.0);
        speed.set_due(at(0), true);
        assert!(speed.expected(at(1000), 7.0 * MB) < MB, "a second of silence changed nothing");
    }

    #[test]
    fn a_steady_owner_is_measured_within_a_tenth() {
        for per_ms in [100, 10_000, 1_000_000] {
            let measured = steady(3_000, per_ms).measured(at(3_000)).unwrap();
            let real = per_ms as f64 * 1e3;
            assert!((measured / real - 1.0).abs() < 0.1, "{measured} for {real}");
        }
    }

    #[test]
    fn silence_lets_the_expectation_fall_without_end_but_idleness_does_not() {
        let mut speed = steady(1_000, 10_000);
        let before = speed.expected(at(1_000), MB);
        assert!(speed.expected(at(2_000), MB) < before / 3.0);
        assert!(speed.expected(at(1_000_000), MB) < 2_000.0);
        speed.set_due(at(1_000), false);
        assert!((speed.expected(at(9_000), MB) - before).abs() < 1.0, "idle time was counted");
    }

    #[test]
    fn a_change_of_speed_is_seen_after_two_samples() {
        let mut speed = steady(5_000, 10_000);
        (5_001..8_000).for_each(|t| speed.add(at(t), 100));
        assert!(speed.measured(at(8_000)).unwrap() < 0.2 * MB);
    }
}
