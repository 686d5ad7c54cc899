//! Holds all uploads, or all downloads, of a node to one rate (`--up`, `--down`).
//!
//! The bytes have moved when they are paid for; the thread that moved them waits off the debt, so
//! many connections share the rate without a queue. Since a peer cuts off who is slower than
//! `BODY_RATE_MIN` within one chunk, a rate has room for a number of connections only: they take
//! permits. Ends early when the node stops.

use parking_lot::Mutex;

use crate::base::limits::BODY_RATE_MIN;
use crate::base::{Rate, TokenBucket};
use crate::io::clock;
use crate::io::threads::StopToken;

/// A connection's part of a rate is at least this multiple of what peers demand.
const RATE_MARGIN: u64 = 4;

/// A rate shared by threads, or none.
pub(super) struct Throttle {
    rate: Option<Rate>,
    bucket: Option<Mutex<TokenBucket>>,
    permits_used: Mutex<u64>,
    stop: StopToken,
}

impl Throttle {
    pub(super) fn new(rate: Option<Rate>, stop: StopToken) -> Throttle {
        let bucket = rate.map(|r| Mutex::new(TokenBucket::new(r)));
        Throttle { rate, bucket, permits_used: Mutex::new(0), stop }
    }

    /// Pays for `bytes` that have just moved.
    pub(super) fn pay(&self, bytes: usize) {
        let Some(bucket) = &self.bucket else { return };
        let wait = bucket.lock().take(clock::now(), bytes as u64);
        if !wait.is_zero() {
            self.stop.wait(wait);
        }
    }

    /// Bytes between two payments: an eighth of a second, so that the flow is even.
    pub(super) fn step(&self) -> Option<usize> {
        self.rate.map(|rate| usize::try_from(rate.bytes() / 8).unwrap_or(usize::MAX))
    }

    /// Takes a connection's permit; false when the rate has no room for one more.
    pub(super) fn enter(&self) -> bool {
        let mut used = self.permits_used.lock();
        let free = *used < self.permits();
        if free {
            *used += 1;
        }
        free
    }

    /// Whether there is no permit left.
    pub(super) fn is_full(&self) -> bool {
        *self.permits_used.lock() >= self.permits()
    }

    fn permits(&self) -> u64 {
        self.rate.map_or(u64::MAX, |r| (r.bytes() / (BODY_RATE_MIN * RATE_MARGIN)).max(1))
    }

    /// Gives a permit back.
    pub(super) fn leave(&self) {
        let mut used = self.permits_used.lock();
        *used = used.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_rate_has_room_for_few_connections_and_none_for_any_number() {
        let throttle = |rate| Throttle::new(rate, StopToken::new());
        let small = throttle(Some(Rate::per_second(128 * 1024)));
        assert!(small.enter() && small.enter() && !small.enter());
        small.leave();
        assert!(small.enter());
        assert!((0..1_000).all(|_| throttle(None).enter()));
        assert!(throttle(Some(Rate::per_second(1))).enter(), "one connection there always is");
    }
}
