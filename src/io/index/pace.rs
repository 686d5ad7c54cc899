//! When the folders are scanned next.
//!
//! Invariant: a question is answered by a scan at once; changes that the system reports by one soon
//! after, yet scans for them take at most a tenth of the time; and without any of these there is
//! one a minute, since reports get lost.

use std::time::Duration;

use crate::base::Time;

/// From the first report of a change to the scan, so that one scan sees them all.
const DEBOUNCE: Duration = Duration::from_millis(300);
/// Between scans nobody asked for.
const PERIOD: Duration = Duration::from_secs(60);
/// Rest after a scan, in durations of that scan.
const REST: u32 = 10;

/// When the last scan was, and how long it took.
#[derive(Debug, Default)]
pub(super) struct Pace {
    rested: Time,
    periodic: Time,
}

impl Pace {
    /// The folders have been walked from `began` to `ended`; `chance` is any number.
    pub(super) fn on_walked(&mut self, began: Time, ended: Time, chance: u64) {
        self.rested = ended + ended.since(began).saturating_mul(REST);
        // Spread over a quarter of the period: many nodes may share one file server.
        self.periodic = ended + PERIOD + PERIOD.mul_f64((chance % 1_000) as f64 / 4_000.0);
    }

    /// When to scan next, if changes were first reported at `reported` and files wait until
    /// `settling`.
    pub(super) fn next(&self, reported: Option<Time>, settling: Option<Time>) -> Time {
        let soon = [reported.map(|t| t + DEBOUNCE), settling].into_iter().flatten().min();
        soon.map_or(self.periodic, |soon| soon.max(self.rested).min(self.periodic))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Time {
        Time::from_origin(Duration::from_millis(ms))
    }

    #[test]
    fn changes_are_scanned_soon_but_never_all_the_time() {
        let mut pace = Pace::default();
        pace.on_walked(at(1_000), at(1_010), 0);
        assert_eq!(pace.next(Some(at(2_000)), None), at(2_300));
        assert_eq!(pace.next(Some(at(1_010)), Some(at(1_020))), at(1_110), "a walk of 10 ms");
        pace.on_walked(at(0), at(2_000), 0);
        assert_eq!(pace.next(Some(at(2_001)), None), at(22_000), "a walk of 2 s");
        pace.on_walked(at(0), at(20_000), 0);
        assert_eq!(pace.next(Some(at(20_001)), None), at(80_000), "at least one a minute");
    }

    #[test]
    fn without_a_report_there_is_a_scan_a_minute_with_jitter() {
        let mut pace = Pace::default();
        assert_eq!(pace.next(None, None), Time::ZERO, "the first is at once");
        for chance in [0, 499, 999, u64::MAX] {
            pace.on_walked(at(0), at(1), chance);
            let next = pace.next(None, None);
            assert!((at(60_001)..at(75_001)).contains(&next), "{next:?}");
        }
    }
}
