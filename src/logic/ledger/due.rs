//! Whose time has come to be called.
//!
//! Invariant: one call a requester at a time, which asks after all that waits for him, what has waited
//! longest first: so the bound on calls to an address is one on requesters, not on what each of them
//! has begun. Where that bound lets not all be called, who was called longest ago comes first: nobody
//! is passed over for ever.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::entry::Phase;
use super::events::{Knock, Reach, SetKey};
use super::{LOOK_EVERY, Ledger, START_PAUSE};
use crate::base::{NodeId, Time};

/// Between two looks at whether an address may be called again. Short: else who looks at the right
/// moment would be called before him who has waited longest.
const TURN_EVERY: Duration = Duration::from_secs(1);

/// How it stands with one requester.
#[derive(Default)]
struct Standing {
    /// The time of one of his uploads has come.
    is_due: bool,
    /// He is being called.
    is_called: bool,
}

impl Ledger {
    /// Who is to be knocked at now, of those that `reach` lets be called; it is asked once for each
    /// requester. The knocks at one requester are together: they belong to one call.
    pub fn due(&mut self, now: Time, reach: &dyn Fn(&NodeId) -> Reach) -> Vec<Knock> {
        let mut knocks = Vec::new();
        for requester in self.whose_time_has_come(now) {
            match reach(&requester) {
                Reach::Call => {
                    self.called.insert(requester, now);
                    knocks.extend(self.knock_at(requester));
                }
                Reach::Absent => {
                    let words = "the requester is not there, no tracker lists it";
                    self.put_off(now, requester, LOOK_EVERY, words);
                }
                Reach::TooOften => {
                    let words = "its address was called often enough lately";
                    self.put_off(now, requester, TURN_EVERY, words);
                }
            }
        }
        knocks
    }

    /// A requester is listed again: no need to wait any longer.
    pub fn returned(&mut self, now: Time, requester: NodeId) {
        for (_, entry) in self.entries.range_mut(all_of(requester)) {
            if let Phase::Waiting { next, knocks, .. } = &mut entry.phase {
                knocks.succeed();
                *next = (*next).min(now + START_PAUSE);
            }
        }
    }

    /// Forgets when those were called of whom nothing is known any more.
    pub(super) fn forget_called(&mut self) {
        let Ledger { called, entries, .. } = self;
        called.retain(|requester, _| entries.range(all_of(*requester)).next().is_some());
    }

    /// Who is to be called and is not being called, who was called longest ago first.
    fn whose_time_has_come(&self, now: Time) -> Vec<NodeId> {
        let mut all: BTreeMap<NodeId, Standing> = BTreeMap::new();
        for ((requester, _), entry) in &self.entries {
            match entry.phase {
                Phase::Waiting { next, .. } if next <= now => {
                    all.entry(*requester).or_default().is_due = true;
                }
                Phase::Knocking { .. } => all.entry(*requester).or_default().is_called = true,
                _ => {}
            }
        }
        all.retain(|_, standing| standing.is_due && !standing.is_called);
        let mut due: Vec<NodeId> = all.into_keys().collect();
        due.sort_by_key(|requester| self.called.get(requester));
        due
    }

    /// Everything that waits for a requester, what is due longest first: a call may be too short.
    fn knock_at(&mut self, requester: NodeId) -> Vec<Knock> {
        let mut knocks = Vec::new();
        for ((_, set), entry) in self.entries.range_mut(all_of(requester)) {
            if let Phase::Waiting { next, knocks: pause, .. } = &entry.phase {
                knocks.push((*next, Knock { requester, set: *set, content: entry.content }));
                entry.phase = Phase::Knocking { knocks: pause.clone() };
            }
        }
        knocks.sort_by_key(|(next, _)| *next);
        knocks.into_iter().map(|(_, knock)| knock).collect()
    }

    /// What is due of a requester is looked at again after `wait`.
    fn put_off(&mut self, now: Time, requester: NodeId, wait: Duration, words: &str) {
        for (_, entry) in self.entries.range_mut(all_of(requester)) {
            if let Phase::Waiting { next, why, absent, .. } = &mut entry.phase
                && *next <= now
            {
                (*next, *why, *absent) = (now + wait, words.to_owned(), true);
            }
        }
    }
}

/// The keys of one requester's uploads.
fn all_of(requester: NodeId) -> RangeInclusive<(NodeId, SetKey)> {
    (requester, [0; 32])..=(requester, [0xff; 32])
}
