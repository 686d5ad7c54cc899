//! How long a peer may take: absolute deadlines, and patience that only a minimum rate renews.
//!
//! Invariant: no peer holds a reader or writer longer than its limit by sending a byte now and
//! then. Patience is spent by waiting on the socket alone: time the caller takes between two reads
//! (a full disk queue, a rate limit) is not the peer's fault.

use std::time::Duration;

use crate::base::Time;
use crate::base::limits::{
    BODY_GRACE, BODY_RATE_MIN, CONNECT_TIME_MAX, HANDSHAKE_TIME_MAX, HEADER_TIME_MAX,
};

/// Every time limit of a link; the defaults are those of `base::limits`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// A TCP connect.
    pub connect: Duration,
    /// The whole handshake.
    pub handshake: Duration,
    /// The answer to [`super::Link::ask`].
    pub answer: Duration,
    /// What a message or payload may take before its rate counts; twice this is the longest
    /// silence within one.
    pub grace: Duration,
    /// Slowest rate, bytes per second.
    pub rate_min: u64,
    /// How often a blocked read or write comes up to look at its limit.
    pub poll: Duration,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts {
            connect: CONNECT_TIME_MAX,
            handshake: HANDSHAKE_TIME_MAX,
            answer: HEADER_TIME_MAX,
            grace: BODY_GRACE,
            rate_min: BODY_RATE_MIN,
            poll: Duration::from_millis(250),
        }
    }
}

/// The limit on one wait, or on one run of them.
pub(super) enum Limit {
    /// All of it by then.
    Until(Time),
    /// The first byte by then; a byte that is there counts even when we looked late.
    First(Time),
    /// As fast as the minimum rate.
    Pace(Patience),
    /// As long as the link lives: another thread hears the peer, and ends it.
    Overseen,
}

impl Limit {
    pub(super) fn pace(timeouts: &Timeouts) -> Limit {
        Limit::Pace(Patience::new(timeouts.grace, timeouts.rate_min))
    }

    /// Accounts for a wait from `since` to `now` in which `moved` bytes moved; returns whether the
    /// peer has time left.
    pub(super) fn allows(&mut self, since: Time, now: Time, moved: usize) -> bool {
        match self {
            Limit::Until(at) => now < *at,
            Limit::First(at) => moved > 0 || now < *at,
            Limit::Pace(patience) => patience.allows(now.since(since), moved),
            Limit::Overseen => true,
        }
    }
}

/// Time that waiting spends and bytes earn, up to a cap: a peer below the minimum rate runs out of
/// it, whatever it sent before.
pub(super) struct Patience {
    left: Duration,
    cap: Duration,
    rate: u64,
}

impl Patience {
    fn new(grace: Duration, rate: u64) -> Patience {
        Patience { left: grace, cap: grace * 2, rate: rate.max(1) }
    }

    fn allows(&mut self, waited: Duration, moved: usize) -> bool {
        self.left = self.left.saturating_sub(waited);
        if self.left.is_zero() {
            return false;
        }
        let earned = Duration::from_nanos(
            (moved as u64).saturating_mul(1_000_000_000).checked_div(self.rate).unwrap_or(0),
        );
        self.left = (self.left + earned).min(self.cap);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds until a peer that sends `rate` bytes a second is cut off, after `head` bytes at once.
    fn seconds_until_cut(head: usize, rate: usize) -> Option<u32> {
        let mut patience = Patience::new(Duration::from_secs(5), 16 * 1024);
        assert!(patience.allows(Duration::ZERO, head));
        (1..=600).find(|_| !patience.allows(Duration::from_secs(1), rate))
    }

    #[test]
    fn a_peer_below_the_minimum_rate_is_cut_off_and_one_above_it_is_not() {
        assert_eq!(seconds_until_cut(0, 0), Some(5));
        assert_eq!(
            seconds_until_cut(1 << 30, 0),
            Some(10),
            "a fast start buys no more than the cap"
        );
        assert!(seconds_until_cut(0, 4 * 1024).unwrap() <= 10);
        assert!(seconds_until_cut(0, 1).unwrap() <= 6, "a byte a second extends nothing");
        assert_eq!(seconds_until_cut(0, 16 * 1024), None);
        assert_eq!(seconds_until_cut(0, 1 << 30), None);
    }

    #[test]
    fn a_deadline_is_not_extended_by_bytes_but_a_first_byte_counts_when_seen_late() {
        let at = Time::ZERO + Duration::from_secs(5);
        let late = Time::ZERO + Duration::from_secs(6);
        assert!(!Limit::Until(at).allows(Time::ZERO, late, 1));
        assert!(Limit::First(at).allows(Time::ZERO, late, 1));
        assert!(!Limit::First(at).allows(Time::ZERO, late, 0));
    }
}
