//! Holds all uploads, or all downloads, of a node to one rate (`--up`, `--down`), and one transfer
//! to its own (`limit`).
//!
//! The bytes have moved when they are paid for; the thread that moved them waits off the debt, so
//! many connections share the rate without a queue. Since a peer cuts off who is slower than
//! `BODY_RATE_MIN` within one chunk, a rate has room for a number of connections only: they take
//! permits. A wait ends early when the transfer does, when its limit changes, when the node stops.

use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::base::limits::BODY_RATE_MIN;
use crate::base::{Limit, Rate, TokenBucket};
use crate::io::clock;
use crate::io::threads::StopToken;

/// A connection's part of a rate is at least this multiple of what peers demand.
const RATE_MARGIN: u64 = 4;
/// Who waits off a debt looks so often whether the transfer is over.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Bytes between two payments: an eighth of a second, so that the flow is even.
fn step_of(rate: Rate) -> usize {
    usize::try_from(rate.bytes() / 8).unwrap_or(usize::MAX)
}

/// Connections that a rate has room for.
fn connections_of(rate: Rate) -> u64 {
    (rate.bytes() / (BODY_RATE_MIN * RATE_MARGIN)).max(1)
}

/// The bound of one transfer, shared by its connections; a person may set, change and lift it.
#[derive(Default)]
pub(super) struct Limiter {
    limit: Mutex<Limit>,
    changed: Condvar,
}

impl Limiter {
    /// Holds to `rate` from now on, without one to none. Who waits off a debt goes on.
    pub(super) fn set(&self, rate: Option<Rate>) {
        self.limit.lock().set(rate);
        self.changed.notify_all();
    }

    /// What it holds to.
    pub(super) fn rate(&self) -> Option<Rate> {
        self.limit.lock().rate()
    }

    /// Bytes between two payments.
    pub(super) fn step(&self) -> Option<usize> {
        self.rate().map(step_of)
    }

    /// Connections that it has room for.
    pub(super) fn connections(&self) -> usize {
        let room = self.rate().map_or(u64::MAX, connections_of);
        usize::try_from(room).unwrap_or(usize::MAX)
    }

    /// Pays for `bytes` that have just moved; asks often whether the transfer is `over`.
    pub(super) fn pay(&self, bytes: usize, over: &dyn Fn() -> bool) {
        let mut limit = self.limit.lock();
        let now = clock::now();
        let (until, changes) = (now + limit.take(now, bytes as u64), limit.changes());
        loop {
            let left = until.since(clock::now());
            if left.is_zero() || limit.changes() != changes {
                return;
            }
            self.changed.wait_for(&mut limit, left.min(LOOK_EVERY));
            if MutexGuard::unlocked(&mut limit, over) {
                return;
            }
        }
    }
}

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

    /// Pays for `bytes` that have just moved; asks often whether the transfer is `over`.
    pub(super) fn pay(&self, bytes: usize, over: &dyn Fn() -> bool) {
        let Some(bucket) = &self.bucket else { return };
        let now = clock::now();
        let until = now + bucket.lock().take(now, bytes as u64);
        loop {
            let left = until.since(clock::now());
            if left.is_zero() || self.stop.wait(left.min(LOOK_EVERY)) || over() {
                return;
            }
        }
    }

    /// Bytes between two payments.
    pub(super) fn step(&self) -> Option<usize> {
        self.rate.map(step_of)
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
        self.rate.map_or(u64::MAX, connections_of)
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

    /// Runs `end` while a thread waits off a debt of days; it returns when that thread goes on.
    fn while_one_owes(limiter: &Limiter, over: &(dyn Fn() -> bool + Sync), end: impl FnOnce()) {
        limiter.set(Some(Rate::per_second(1)));
        limiter.pay(1, over);
        std::thread::scope(|scope| {
            scope.spawn(|| limiter.pay(1 << 20, over));
            end();
        });
    }

    #[test]
    fn who_waits_off_a_debt_goes_on_when_the_limit_is_lifted_or_changed() {
        let limiter = Limiter::default();
        for rate in [None, Some(Rate::per_second(1 << 40))] {
            let (asked, waits) = crossbeam_channel::unbounded();
            let over = move || asked.send(()).is_err();
            while_one_owes(&limiter, &over, || {
                waits.recv().unwrap();
                limiter.set(rate);
            });
            assert_eq!(limiter.rate(), rate);
        }
    }

    #[test]
    fn who_waits_off_a_debt_goes_on_when_the_transfer_is_over_and_keeps_the_limit() {
        let limiter = Limiter::default();
        while_one_owes(&limiter, &|| true, || ());
        assert_eq!(limiter.rate(), Some(Rate::per_second(1)));
        let throttle = Throttle::new(limiter.rate(), StopToken::new());
        throttle.pay(1 << 20, &|| true);
    }
}
