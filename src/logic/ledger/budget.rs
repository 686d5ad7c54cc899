//! How often an address may be dialled on behalf of somebody who said that it is his.
//!
//! Invariant: whoever names a stranger's address in a thousand transfers makes this node dial it a
//! few times, never more: one dial at a time, `DIALS_PER_MINUTE` while it answers as whom it should,
//! and after `FAILURES_MAX` dials in a row that brought no answer none until a tracker lists it anew,
//! which counts once each `RETRY_AFTER`, but for one each `RETRY_AFTER`: no tracker may be there to
//! say that somebody is back. Whoever has proved who he is at an address, by opening a transfer from
//! there or by answering a call, is no stranger there: he is not given up, whoever else is said to be
//! at his address, unless he takes a call and does not answer it. A dial that was never made, for a
//! want of ours, says nothing of the address.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::base::{NodeId, Time};
pub use crate::logic::window::DIALS_PER_MINUTE;
use crate::logic::window::Window;

/// Dials in a row that did not meet the identity they were for, or got no answer.
pub const FAILURES_MAX: u32 = 5;
/// An address that was given up is tried once more so long after the last dial.
pub const RETRY_AFTER: Duration = Duration::from_secs(60 * 60);
/// Addresses remembered; the one dialled longest ago goes first.
pub const ADDRESSES_MAX: usize = 1_024;
/// Identities remembered that proved themselves at one address; the oldest goes first. So somebody
/// with many drives out nobody at another address.
const PROOFS_PER_ADDRESS_MAX: usize = 64;

/// How a dial went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Met {
    /// The right one was there, and said something.
    Answered,
    /// The right one was there, and said nothing.
    Mute,
    /// Nobody was there, or somebody else.
    Nobody,
    /// It was not made: something was missing here.
    NotTried,
}

/// The dials of all addresses.
#[derive(Debug, Default)]
pub struct KnockBudget {
    addresses: BTreeMap<IpAddr, Dials>,
    /// Who proved when, and where, who he is.
    proved: BTreeMap<(IpAddr, NodeId), Time>,
}

#[derive(Debug, Default)]
struct Dials {
    window: Window,
    failures: u32,
    /// One whose outcome is not known yet.
    under_way: bool,
    last: Time,
    /// When a tracker's word last took its failures away.
    renewed: Option<Time>,
}

impl KnockBudget {
    /// Whether `id` may be dialled at `ip` now; if so, that dial is counted, and `met` is to follow.
    pub fn take(&mut self, now: Time, ip: IpAddr, id: NodeId) -> bool {
        let known = self.proved.contains_key(&(ip, id));
        let dials = self.addresses.entry(ip).or_default();
        let once_more = now.since(dials.last) >= RETRY_AFTER;
        let given_up = dials.failures >= FAILURES_MAX && !once_more && !known;
        if dials.under_way || given_up || !dials.window.has_room(now) {
            return false;
        }
        dials.window.note(now);
        (dials.under_way, dials.last) = (true, now);
        self.trim();
        true
    }

    /// What came of a dial to `id` at `ip`.
    pub fn met(&mut self, now: Time, ip: IpAddr, id: NodeId, met: Met) {
        if let Some(dials) = self.addresses.get_mut(&ip) {
            dials.under_way = false;
            match met {
                Met::Answered => dials.failures = 0,
                Met::Mute | Met::Nobody => dials.failures = dials.failures.saturating_add(1),
                Met::NotTried => {}
            }
        }
        match met {
            Met::Answered => self.proved(now, ip, id),
            Met::Mute => {
                self.proved.remove(&(ip, id));
            }
            Met::Nobody | Met::NotTried => {}
        }
    }

    /// `id` has proved at `ip` who he is.
    pub fn proved(&mut self, now: Time, ip: IpAddr, id: NodeId) {
        self.proved.insert((ip, id), now);
        let (first, last) = (NodeId::from_bytes([0; 32]), NodeId::from_bytes([0xff; 32]));
        let there = || self.proved.range((ip, first)..=(ip, last));
        let too_many = there().count() > PROOFS_PER_ADDRESS_MAX;
        let oldest = |all: &mut dyn Iterator<Item = (&(IpAddr, NodeId), &Time)>| {
            all.min_by_key(|(_, at)| **at).map(|(key, _)| *key)
        };
        let excess = match too_many {
            true => oldest(&mut there()),
            false if self.proved.len() > ADDRESSES_MAX => oldest(&mut self.proved.iter()),
            false => None,
        };
        excess.map(|key| self.proved.remove(&key));
    }

    /// A tracker lists somebody at `ip` who was not there before.
    pub fn renewed(&mut self, now: Time, ip: IpAddr) {
        let given_up = |dials: &&mut Dials| dials.failures >= FAILURES_MAX;
        let Some(dials) = self.addresses.get_mut(&ip).filter(given_up) else { return };
        if dials.renewed.is_none_or(|at| now.since(at) >= RETRY_AFTER) {
            (dials.renewed, dials.failures) = (Some(now), 0);
        }
    }

    fn trim(&mut self) {
        while self.addresses.len() > ADDRESSES_MAX {
            let age = |dials: &Dials| (dials.under_way, dials.last);
            let oldest = self.addresses.iter().min_by_key(|(_, dials)| age(dials));
            let oldest = oldest.map(|(ip, _)| *ip);
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
                budget.met(at(second), VICTIM, EVE, Met::Nobody);
            }
        }
        assert_eq!(dials, FAILURES_MAX);
        budget.renewed(at(2_000), VICTIM);
        assert!(budget.take(at(2_000), VICTIM, EVE), "a tracker lists somebody there again");
    }

    #[test]
    fn dials_are_made_one_after_the_other() {
        const BOB: NodeId = NodeId::from_bytes([2; 32]);
        let mut budget = KnockBudget::default();
        budget.proved(at(0), VICTIM, BOB);
        assert!(budget.take(at(0), VICTIM, EVE));
        assert!((0..3_000).all(|second| !budget.take(at(second), VICTIM, EVE)));
        assert!(!budget.take(at(0), VICTIM, BOB), "one of those at the address at a time");
        assert!(budget.take(at(0), IpAddr::from([10, 0, 0, 8]), EVE), "not one of all");
        budget.met(at(1), VICTIM, EVE, Met::Nobody);
        assert!(budget.take(at(1), VICTIM, BOB));
    }

    #[test]
    fn who_takes_a_call_and_does_not_answer_is_given_up_like_one_who_is_not_there() {
        let mut budget = KnockBudget::default();
        budget.proved(at(0), VICTIM, EVE);
        let mut dials = 0;
        for second in 0..1_000 {
            if budget.take(at(second), VICTIM, EVE) {
                dials += 1;
                budget.met(at(second), VICTIM, EVE, Met::Mute);
            }
        }
        assert_eq!(dials, FAILURES_MAX);
        budget.proved(at(1_000), VICTIM, EVE);
        assert!(budget.take(at(1_000), VICTIM, EVE), "she comes herself");
    }

    #[test]
    fn a_dial_that_was_not_made_says_nothing_of_the_address() {
        let mut budget = KnockBudget::default();
        for second in (0..1_000).step_by(10) {
            assert!(budget.take(at(second), VICTIM, EVE), "at {second}");
            budget.met(at(second), VICTIM, EVE, Met::NotTried);
        }
    }

    #[test]
    fn who_comes_and_goes_at_the_tracker_is_dialled_anew_once_an_hour() {
        let mut budget = KnockBudget::default();
        let mut dials = 0;
        for second in 0..2 * 3_600 {
            budget.renewed(at(second), VICTIM);
            if budget.take(at(second), VICTIM, EVE) {
                dials += 1;
                budget.met(at(second), VICTIM, EVE, Met::Nobody);
            }
        }
        assert!(dials <= 4 * FAILURES_MAX, "{dials}");
    }

    #[test]
    fn many_identities_at_one_address_drive_out_nobody_elsewhere() {
        const BOB: NodeId = NodeId::from_bytes([2; 32]);
        let home = IpAddr::from([10, 0, 0, 2]);
        let mut budget = KnockBudget::default();
        budget.proved(at(0), home, BOB);
        for n in 0..2 * ADDRESSES_MAX as u64 {
            let id = NodeId::from_bytes(*blake3::hash(&n.to_le_bytes()).as_bytes());
            budget.proved(at(n + 1), VICTIM, id);
        }
        assert!(budget.proved.contains_key(&(home, BOB)));
        assert_eq!(budget.proved.len(), 1 + PROOFS_PER_ADDRESS_MAX);
    }

    #[test]
    fn an_address_that_was_given_up_is_tried_once_an_hour() {
        let mut budget = KnockBudget::default();
        let mut dials = Vec::new();
        for second in 0..24 * 3_600 {
            if budget.take(at(second), VICTIM, EVE) {
                dials.push(second);
                budget.met(at(second), VICTIM, EVE, Met::Nobody);
            }
        }
        assert_eq!(dials.len(), FAILURES_MAX as usize + 23, "{dials:?}");
        let rare = dials.windows(2).skip(FAILURES_MAX as usize - 1);
        rare.for_each(|pair| assert_eq!(pair[1] - pair[0], 3_600, "{dials:?}"));
        budget.take(at(24 * 3_600 + 5), VICTIM, EVE);
        budget.met(at(24 * 3_600 + 5), VICTIM, EVE, Met::Answered);
        assert!(budget.take(at(24 * 3_600 + 6), VICTIM, EVE), "it is back");
    }

    #[test]
    fn an_address_that_answers_is_dialled_six_times_a_minute() {
        let mut budget = KnockBudget::default();
        let mut allowed = 0;
        for second in 0..600 {
            if budget.take(at(second), VICTIM, EVE) {
                allowed += 1;
                budget.met(at(second), VICTIM, EVE, Met::Answered);
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
                budget.met(at(second), VICTIM, EVE, Met::Nobody);
            }
        }
        assert!(!budget.take(at(700), VICTIM, EVE));
        assert!(budget.take(at(700), VICTIM, BOB), "he is called, though others were not met");
        budget.met(at(700), VICTIM, BOB, Met::Nobody);
        assert!(budget.take(at(701), VICTIM, BOB), "and called again, though away once");
    }

    #[test]
    fn a_dial_under_way_is_remembered_however_many_others_there_are() {
        let mut budget = KnockBudget::default();
        assert!(budget.take(at(0), VICTIM, EVE));
        for n in 1..ADDRESSES_MAX as u32 + 10 {
            let (now, other) = (at(n.into()), IpAddr::from(n.to_be_bytes()));
            budget.take(now, other, EVE);
            budget.met(now, other, EVE, Met::Nobody);
        }
        assert!(!budget.take(at(9_999), VICTIM, EVE), "two dials to an address at a time");
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
