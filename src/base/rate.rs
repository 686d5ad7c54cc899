//! Rates like `20MiB` a second and what goes with one, the token bucket that holds a sender or
//! receiver to it, and the limit of one transfer, which a person sets and lifts while it moves.
//!
//! ```text
//! rate       at least MIN
//! uploads    so many at once that each has UPLOAD_MIN, and one in any case; others are told Busy
//! downloads  so many connections at once that each has DOWNLOAD_MIN, and one in any case
//! step       what moves, or is taken from a socket, between two payments: each of those who share
//!            the rate has its turn at least twice a second, or four times if it is alone
//! silence    an owner below SILENT_MAX is taken for dead, since it has a turn that often
//! ```

use std::time::Duration;

use super::time::Time;

/// Bytes per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(u64);

/// Why a text is no rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a rate is a size per second, at least 1KiB, like 20MiB or 500kB")]
pub struct RateError;

/// Every upload's part of a rate at least, bytes per second.
const UPLOAD_MIN: u64 = 4 * 1024;
/// Every downloading connection's part of a rate at least, bytes per second: the largest chunk of
/// most files arrives in about a minute, and little is lost with a connection.
const DOWNLOAD_MIN: u64 = 64 * 1024;
/// Smallest step, bytes: four of them a second are the smallest rate.
const STEP_MIN: u64 = 256;

impl Rate {
    /// Slowest that a person may ask for.
    pub const MIN: Rate = Rate(4 * STEP_MIN);

    /// Below it an owner is taken for dead, bytes per second: far below what any bound leaves it.
    pub const SILENT_MAX: u64 = Rate::MIN.0 / 4;

    /// Uploads that it has room for.
    pub fn uploads(self) -> u64 {
        (self.0 / UPLOAD_MIN).max(1)
    }

    /// Downloading connections that it has room for.
    pub fn downloads(self) -> u64 {
        (self.0 / DOWNLOAD_MIN).max(1)
    }

    /// Bytes that one of `sharing` connections moves between two payments: an eighth of a second's,
    /// so that the flow is even; of many, so few that each has its turn twice a second.
    pub fn step(self, sharing: u64) -> usize {
        let parts = sharing.saturating_mul(2).max(8);
        usize::try_from((self.0 / parts).max(STEP_MIN)).unwrap_or(usize::MAX)
    }

    /// `bytes` per second, at least one.
    pub const fn per_second(bytes: u64) -> Rate {
        Rate(if bytes == 0 { 1 } else { bytes })
    }

    /// Bytes per second.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl std::str::FromStr for Rate {
    type Err = RateError;
    fn from_str(text: &str) -> Result<Self, RateError> {
        let text = text.trim().trim_end_matches("/s");
        match text.parse::<bytesize::ByteSize>() {
            Ok(size) if size.0 >= Rate::MIN.0 => Ok(Rate(size.0)),
            _ => Err(RateError),
        }
    }
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/s", bytesize::ByteSize(self.0))
    }
}

/// A token bucket: pays for bytes after they moved, so a piece larger than the bucket is no
/// special case; the debt is waited off before the next one.
#[derive(Debug, Clone)]
pub struct TokenBucket {
    rate: Rate,
    /// The moment at which the debt is paid.
    free_at: Time,
}

/// How much may move at once after a pause, as time at the full rate.
const BURST: Duration = Duration::from_millis(100);

impl TokenBucket {
    /// A bucket that lets `rate` through.
    pub const fn new(rate: Rate) -> TokenBucket {
        TokenBucket { rate, free_at: Time::ZERO }
    }

    /// Takes `bytes` out at `now`; returns how long to wait before moving more.
    pub fn take(&mut self, now: Time, bytes: u64) -> Duration {
        let cost = Duration::from_secs_f64(bytes as f64 / self.rate.0 as f64);
        self.free_at = self.free_at.max(now - BURST) + cost;
        self.free_at.since(now)
    }
}

/// A bound that is set, changed and lifted while bytes move. What was owed under the one before is
/// forgotten, and so is what the next payment is for: those bytes were on their way already.
#[derive(Debug, Clone, Default)]
pub struct Limit {
    bucket: Option<TokenBucket>,
    fresh: bool,
    changes: u64,
}

impl Limit {
    /// Holds to `rate` from now on; without one to none.
    pub fn set(&mut self, rate: Option<Rate>) {
        self.bucket = rate.map(TokenBucket::new);
        self.fresh = rate.is_some();
        self.changes += 1;
    }

    /// What it holds to.
    pub fn rate(&self) -> Option<Rate> {
        self.bucket.as_ref().map(|bucket| bucket.rate)
    }

    /// How often it was set: who waits goes on when that grows.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Takes `bytes` out at `now`; returns how long to wait before moving more.
    pub fn take(&mut self, now: Time, bytes: u64) -> Duration {
        match &mut self.bucket {
            Some(bucket) if !std::mem::take(&mut self.fresh) => bucket.take(now, bytes),
            _ => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_as_people_write_them() {
        for (text, bytes) in
            [("20MiB", 20 << 20), ("500kB", 500_000), ("1 MiB/s", 1 << 20), ("1024", 1 << 10)]
        {
            assert_eq!(text.parse::<Rate>().map(Rate::bytes), Ok(bytes), "{text}");
        }
        for bad in ["", "0", "1023", "1kB", "fast", "-1", "20MiB/h"] {
            assert_eq!(bad.parse::<Rate>(), Err(RateError), "{bad:?} was taken for a rate");
        }
    }

    #[test]
    fn a_bucket_keeps_its_rate_over_time_whatever_the_pieces() {
        let mut bucket = TokenBucket::new(Rate::per_second(1000));
        let mut now = Time::ZERO + Duration::from_secs(50);
        let start = now;
        for piece in [10, 4000, 1, 989, 5000] {
            now = now + bucket.take(now, piece);
        }
        let took = now.since(start);
        assert!((took.as_secs_f64() - 9.9).abs() < 0.01, "10,000 bytes at 1,000/s took {took:?}");
    }

    /// The longest time from one step of a connection to its next, when `sharing` of them pay into
    /// one bucket and each goes on as soon as it may.
    fn longest_silence(rate: Rate, sharing: u64) -> Duration {
        let mut bucket = TokenBucket::new(rate);
        let step = rate.step(sharing) as u64;
        let start = Time::ZERO + Duration::from_secs(50);
        let mut turns: std::collections::BTreeSet<(Time, u64)> =
            (0..sharing).map(|n| (start, n)).collect();
        let mut longest = Duration::ZERO;
        for _ in 0..sharing * 4 {
            let Some((now, n)) = turns.pop_first() else { break };
            let wait = bucket.take(now, step);
            longest = longest.max(wait);
            turns.insert((now + wait, n));
        }
        longest
    }

    #[test]
    fn whoever_shares_a_rate_moves_something_twice_a_second() {
        for rate in (0..30).map(|n| Rate::per_second(Rate::MIN.bytes() << n)) {
            for sharing in [1, 2, 10, 128].map(|n| rate.uploads().min(n)) {
                let silence = longest_silence(rate, sharing);
                let most = Duration::from_millis(501);
                assert!(silence <= most, "{rate}: one of {sharing} is silent for {silence:?}");
            }
        }
    }

    #[test]
    fn every_part_of_a_rate_is_far_above_what_is_taken_for_dead() {
        for bytes in [1 << 10, 5_000, 10_000, 100_000, 1 << 20, 1 << 40] {
            let rate = Rate::per_second(bytes);
            for connections in [rate.uploads(), rate.downloads()] {
                assert!(bytes / connections >= 4 * Rate::SILENT_MAX, "{rate}: {connections}");
            }
        }
    }

    #[test]
    fn a_limit_holds_from_the_moment_it_is_set_and_leaves_no_debt_behind() {
        let at = |seconds: u64| Time::ZERO + Duration::from_secs(seconds);
        let mut limit = Limit::default();
        assert_eq!(limit.take(at(50), 1 << 40), Duration::ZERO, "none is set");
        limit.set(Some(Rate::per_second(1_000)));
        assert_eq!(limit.take(at(50), 1 << 40), Duration::ZERO, "it was on its way");
        let mut now = at(50);
        for _ in 0..10 {
            now = now + limit.take(now, 1_000);
        }
        assert!((now.since(at(50)).as_secs_f64() - 9.9).abs() < 0.01, "{:?}", now.since(at(50)));
        assert!(limit.take(now, 1 << 40) > Duration::from_secs(60));
        let changes = limit.changes();
        limit.set(Some(Rate::per_second(2_000)));
        assert!(limit.changes() > changes, "who waits off the debt must see that");
        assert_eq!(limit.take(now, 4_000), Duration::ZERO);
        assert_eq!(
            limit.take(now, 4_000),
            Duration::from_millis(1_900),
            "only the new rate counts"
        );
        limit.set(None);
        assert_eq!((limit.rate(), limit.take(now, 1 << 40)), (None, Duration::ZERO));
    }
}
