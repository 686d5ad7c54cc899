//! Holds all uploads, or all downloads, of a node to one rate (`--up`, `--down`), and one transfer
//! to its own (`limit`).
//!
//! The bytes have moved when they are paid for; the thread that moved them waits off the debt, so
//! many connections share the rate without a queue. How many it has room for, and in which steps each
//! of them moves, is what `base::rate` says: downloads take permits, uploads places (`serve::crowd`).
//! A wait ends early when the transfer does, when its limit changes, when the node stops.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::base::{Limit, Rate, TokenBucket};
use crate::io::clock;
use crate::io::link::Step;
use crate::io::threads::StopToken;

/// Who waits off a debt looks so often whether the transfer is over.
const LOOK_EVERY: Duration = Duration::from_millis(100);

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

    /// Connections that it has room for.
    pub(super) fn connections(&self) -> usize {
        let room = self.rate().map_or(u64::MAX, Rate::downloads);
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
    /// Connections that move payload now.
    sharing: AtomicU64,
    stop: StopToken,
}

impl Throttle {
    pub(super) fn new(rate: Option<Rate>, stop: StopToken) -> Throttle {
        let bucket = rate.map(|r| Mutex::new(TokenBucket::new(r)));
        Throttle { rate, bucket, permits_used: Mutex::new(0), sharing: AtomicU64::new(0), stop }
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

    /// Uploads that it has room for.
    pub(super) fn uploads(&self) -> usize {
        let room = self.rate.map_or(u64::MAX, Rate::uploads);
        usize::try_from(room).unwrap_or(usize::MAX)
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
        self.rate.map_or(u64::MAX, Rate::downloads)
    }

    /// Gives a permit back.
    pub(super) fn leave(&self) {
        let mut used = self.permits_used.lock();
        *used = used.saturating_sub(1);
    }
}

/// One run of payload on one connection, held to the rate of all transfers and to its own.
pub(super) struct Bounds<'a> {
    all: &'a Throttle,
    own: &'a Limiter,
    step: Step,
}

impl<'a> Bounds<'a> {
    /// The run begins; `step` is that of the link's half that moves it.
    pub(super) fn new(all: &'a Throttle, own: &'a Limiter, step: Step) -> Bounds<'a> {
        all.sharing.fetch_add(1, Ordering::Relaxed);
        let bounds = Bounds { all, own, step };
        bounds.set_step();
        bounds
    }

    /// Pays for `bytes` that have just moved; asks often whether the transfer is `over`.
    pub(super) fn pay(&self, bytes: usize, over: &dyn Fn() -> bool) {
        self.all.pay(bytes, over);
        self.own.pay(bytes, over);
        self.set_step();
    }

    /// Rates are set, and others come and go, while it moves.
    fn set_step(&self) {
        let sharing = self.all.sharing.load(Ordering::Relaxed);
        let all = self.all.rate.map(|rate| rate.step(sharing));
        let own = self.own.rate().map(|rate| rate.step(1));
        self.step.set([all, own].into_iter().flatten().min());
    }
}

impl Drop for Bounds<'_> {
    fn drop(&mut self) {
        self.all.sharing.fetch_sub(1, Ordering::Relaxed);
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
        assert!(throttle(Some(Rate::MIN)).enter(), "one connection there always is");
    }

    #[test]
    fn a_connection_moves_in_smaller_steps_the_more_share_the_rate_and_the_lower_its_own_is() {
        let all = Throttle::new(Some(Rate::per_second(1 << 20)), StopToken::new());
        let (own, step) = (Limiter::default(), Step::unbounded());
        let bounds = Bounds::new(&all, &own, step.clone());
        assert_eq!(step.at_most(usize::MAX), 1 << 17);
        let others: Vec<_> = (0..127).map(|_| Bounds::new(&all, &own, Step::unbounded())).collect();
        bounds.pay(1, &|| true);
        assert_eq!(step.at_most(usize::MAX), 1 << 12, "128 of them have a turn twice a second");
        own.set(Some(Rate::MIN));
        bounds.pay(1, &|| true);
        assert_eq!(step.at_most(usize::MAX), 256);
        own.set(None);
        drop(others);
        bounds.pay(1, &|| true);
        assert_eq!(step.at_most(usize::MAX), 1 << 17);
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
