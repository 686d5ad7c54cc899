//! Rates like `20MiB` a second, and the token bucket that holds a sender or receiver to one.

use std::time::Duration;

use super::time::Time;

/// Bytes per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(u64);

/// Why a text is no rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a rate is a size per second above zero, like 20MiB or 500kB")]
pub struct RateError;

impl Rate {
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
            Ok(size) if size.0 > 0 => Ok(Rate(size.0)),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_as_people_write_them() {
        for (text, bytes) in
            [("20MiB", 20 << 20), ("500kB", 500_000), ("1 MiB/s", 1 << 20), ("7", 7)]
        {
            assert_eq!(text.parse::<Rate>().map(Rate::bytes), Ok(bytes), "{text}");
        }
        for bad in ["", "0", "fast", "-1", "20MiB/h"] {
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
}
