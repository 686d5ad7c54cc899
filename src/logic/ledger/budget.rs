//! How often an address may be dialled on behalf of somebody who said that it is his.
//!
//! Invariant: whoever names a stranger's address in a thousand transfers makes this node dial it a
//! few times, never more: `DIALS_PER_MINUTE` while it answers as whom it should, and after
//! `FAILURES_MAX` dials that met nobody, or somebody else, none until a tracker lists it anew, but
//! for one each `RETRY_AFTER`: no tracker may be there to say that somebody is back. A dial that is
//! under way counts as one in vain, so that many at a time are no more than that. Whoever has proved
//! who he is at an address, by opening a transfer from there or by answering a call, is no stranger
//! there: he is not given up, whoever else is said to be at his address.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::base::{NodeId, Time};

/// Dials to one address in a minute.
pub const DIALS_PER_MINUTE: u32 = 6;
/// Dials in a row that did not meet the identity they were for.
pub const FAILURES_MAX: u32 = 5;
/// An address that was given up is tried once more so long after the last dial.
pub const RETRY_AFTER: Duration = Duration::from_secs(60 * 60);
/// Addresses remembered; the one dialled longest ago goes first.
pub const ADDRESSES_MAX: usize = 1_024;

const MINUTE: Duration = Duration::from_secs(60);

/// The dials of all addresses.
#[derive(Debug, Default)]
pub struct KnockBudget {
    addresses: BTreeMap<IpAddr, Dials>,
    /// Who proved when, and where, who he is.
    proved: BTreeMap<(IpAddr, NodeId), Time>,
}

#[derive(Debug)]
struct Dials {
    minute: Time,
    in_minute: u32,
    failures: u32,
    /// Dials whose outcome is not known yet.
    under_way: u32,
    last: Time,
}

impl KnockBudget {
    /// Whether `id` may be dialled at `ip` now; if so, that dial is counted, and `met` is to follow.
    pub fn take(&mut self, now: Time, ip: IpAddr, id: NodeId) -> bool {
        let known = self.proved.contains_key(&(ip, id));
        let fresh = Dials { minute: now, in_minute: 0, failures: 0, under_way: 0, last: now };
        let dials = self.addresses.entry(ip).or_insert(fresh);
        if now.since(dials.minute) >= MINUTE {
            (dials.minute, dials.in_minute) = (now, 0);
        }
        let given_up = dials.failures + dials.under_way >= FAILURES_MAX;
        let once_more = dials.under_way == 0 && now.since(dials.last) >= RETRY_AFTER;
        if dials.in_minute >= DIALS_PER_MINUTE || (given_up && !once_more && !known) {
            return false;
        }
        dials.in_minute += 1;
        dials.under_way += 1;
        dials.last = now;
        self.trim();
        true
    }

    /// A dial to `id` at `ip` met him, or not.
    pub fn met(&mut self, now: Time, ip: IpAddr, id: NodeId, right: bool) {
        if let Some(dials) = self.addresses.get_mut(&ip) {
            dials.under_way = dials.under_way.saturating_sub(1);
            dials.failures = if right { 0 } else { dials.failures.saturating_add(1) };
        }
        if right {
            self.proved(now, ip, id);
        }
    }

    /// `id` has proved at `ip` who he is.
    pub fn proved(&mut self, now: Time, ip: IpAddr, id: NodeId) {
        self.proved.insert((ip, id), now);
        while self.proved.len() > ADDRESSES_MAX {
            let oldest = self.proved.iter().min_by_key(|(_, at)| **at).map(|(key, _)| *key);
            oldest.map(|key| self.proved.remove(&key));
        }
    }

    /// A tracker lists somebody at `ip` who was not there before.
    pub fn renewed(&mut self, ip: IpAddr) {
        if let Some(dials) = self.addresses.get_mut(&ip) {
            dials.failures = 0;
        }
    }

    fn trim(&mut self) {
        while self.addresses.len() > ADDRESSES_MAX {
            let oldest =
                self.addresses.iter().min_by_key(|(_, dials)| dials.last).map(|(ip, _)| *ip);
            oldest.map(|ip| self.addresses.remove(&ip));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VICTIM: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 9));

    const EVE: NodeId = NodeId::from_bytes([5; 32]);

    fn at(seconds: u64) -> Time {
        Time::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn a_thousand_transfers_that_name_a_victim_cost_it_five_dials() {
        let mut budget = KnockBudget::default();
        let mut dials = 0;
        for second in 0..1_000 {
            if budget.take(at(second), VICTIM, EVE) {
                dials += 1;
                budget.met(at(0), VICTIM, EVE, false);
            }
        }
        assert_eq!(dials, FAILURES_MAX);
        budget.renewed(VICTIM);
        assert!(budget.take(at(2_000), VICTIM, EVE), "a tracker lists somebody there again");
    }

    #[test]
    fn dials_at_the_same_time_are_no_more_than_one_after_the_other() {
        let mut budget = KnockBudget::default();
        let dials = (0..1_000).filter(|_| budget.take(at(0), VICTIM, EVE)).count();
        assert_eq!(dials, FAILURES_MAX as usize);
        (0..dials).for_each(|_| budget.met(at(0), VICTIM, EVE, false));
        assert!((0..3_000).all(|second| !budget.take(at(second), VICTIM, EVE)));
    }

    #[test]
    fn an_address_that_was_given_up_is_tried_once_an_hour() {
        let mut budget = KnockBudget::default();
        let mut dials = Vec::new();
        for second in 0..24 * 3_600 {
            if budget.take(at(second), VICTIM, EVE) {
                dials.push(second);
                budget.met(at(0), VICTIM, EVE, false);
            }
        }
        assert_eq!(dials.len(), FAILURES_MAX as usize + 23, "{dials:?}");
        let rare = dials.windows(2).skip(FAILURES_MAX as usize - 1);
        rare.for_each(|pair| assert_eq!(pair[1] - pair[0], 3_600, "{dials:?}"));
        budget.take(at(24 * 3_600 + 5), VICTIM, EVE);
        budget.met(at(0), VICTIM, EVE, true);
        assert!(budget.take(at(24 * 3_600 + 6), VICTIM, EVE), "it is back");
    }

    #[test]
    fn an_address_that_answers_is_dialled_six_times_a_minute() {
        let mut budget = KnockBudget::default();
        let mut allowed = 0;
        for second in 0..600 {
            if budget.take(at(second), VICTIM, EVE) {
                allowed += 1;
                budget.met(at(0), VICTIM, EVE, true);
            }
        }
        assert_eq!(allowed, 10 * DIALS_PER_MINUTE);
    }

    #[test]
    fn who_was_met_at_an_address_is_not_given_up_for_others_that_are_said_to_be_there() {
        const BOB: NodeId = NodeId::from_bytes([2; 32]);
        let mut budget = KnockBudget::default();
        budget.proved(at(0), VICTIM, BOB);
        for second in 0..600 {
            if budget.take(at(second), VICTIM, EVE) {
                budget.met(at(second), VICTIM, EVE, false);
            }
        }
        assert!(!budget.take(at(700), VICTIM, EVE));
        assert!(budget.take(at(700), VICTIM, BOB), "he is called, though others were not met");
        budget.met(at(700), VICTIM, BOB, false);
        assert!(budget.take(at(701), VICTIM, BOB), "and called again, though away once");
    }

    #[test]
    fn the_table_is_bounded() {
        let mut budget = KnockBudget::default();
        for n in 0..ADDRESSES_MAX as u32 + 10 {
            budget.take(at(u64::from(n)), IpAddr::from(n.to_be_bytes()), EVE);
            budget.proved(at(u64::from(n)), IpAddr::from(n.to_be_bytes()), EVE);
        }
        assert_eq!(budget.addresses.len(), ADDRESSES_MAX);
        assert_eq!(budget.proved.len(), ADDRESSES_MAX);
        assert!(!budget.addresses.contains_key(&IpAddr::from([0, 0, 0, 0])), "the oldest went");
    }
}
