//! What is given up: uploads whose requester was away for too long, and what is too much.
//!
//! Invariant: an upload is given up only while nobody has it open, and only that time counts, since it
//! was last open and while this node runs: who was stopped for a day, with his machine or without,
//! has called nobody in it. What is too much goes from the requester that has most, and of his the
//! one that waited longest: so nobody drives out another's by beginning many.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use super::entry::{Entry, Phase};
use super::record::{End, Record};
use super::{Ledger, SetKey};
use crate::base::{NodeId, Time};

/// Unfinished uploads remembered in all.
pub const UNFINISHED_MAX: usize = 4_096;
/// Unfinished uploads remembered for one requester.
pub const UNFINISHED_PER_REQUESTER_MAX: usize = 256;
/// How long a requester may be away while this node runs; the wall clock does not count.
pub const AGE_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// A look at the clock counts for no more: looks are a second apart while this node runs.
const TICK_MAX: Duration = Duration::from_secs(30);
/// How much of that a crash may take back.
const AGE_LOGGED_EVERY: Duration = Duration::from_secs(600);

/// The uploads of one requester.
#[derive(Default)]
struct Theirs {
    unfinished: usize,
    /// Those that nobody has open, the youngest first.
    waiting: Vec<(Duration, SetKey)>,
}

impl Ledger {
    /// Lets time pass; returns the ends of what waited for too long, or is too much, and now and then
    /// how old the others are.
    pub fn tick(&mut self, now: Time) -> Vec<Record> {
        // Time that went by before a clock went back is not counted again.
        let before = self.ticked.unwrap_or(now);
        let passed = now.since(before).min(TICK_MAX);
        self.ticked = Some(before.max(now));
        let (mut expired, mut records) = (Vec::new(), Vec::new());
        for (key, entry) in &mut self.entries {
            if !waits(entry) {
                continue;
            }
            entry.age = entry.age.saturating_add(passed);
            if entry.resumable && entry.age.saturating_sub(entry.logged_age) >= AGE_LOGGED_EVERY {
                entry.logged_age = entry.age;
                records.push(entry.progress(*key));
            }
            if entry.age >= AGE_MAX {
                expired.push(*key);
            }
        }
        self.forget_called();
        records.extend(expired.into_iter().filter_map(|key| self.end(key, End::Expired)));
        records.extend(self.crowded().into_iter().filter_map(|key| self.end(key, End::Crowded)));
        records
    }

    /// What is too much.
    fn crowded(&self) -> Vec<(NodeId, SetKey)> {
        let mut all: BTreeMap<NodeId, Theirs> = BTreeMap::new();
        let mut unfinished = 0;
        for ((requester, set), entry) in &self.entries {
            if !matches!(entry.phase, Phase::Over(_)) {
                unfinished += 1;
                let theirs = all.entry(*requester).or_default();
                theirs.unfinished += 1;
                if waits(entry) {
                    theirs.waiting.push((entry.age, *set));
                }
            }
        }
        if all.values().all(|t| t.unfinished <= UNFINISHED_PER_REQUESTER_MAX)
            && unfinished <= UNFINISHED_MAX
        {
            return Vec::new();
        }
        all.values_mut().for_each(|theirs| theirs.waiting.sort_unstable());
        let mut over = Vec::new();
        loop {
            // Of those with something to give up, who has most; of equals the smaller identity.
            let most = all.iter_mut().filter(|(_, theirs)| !theirs.waiting.is_empty());
            let most = most.max_by_key(|(id, theirs)| (theirs.unfinished, Reverse(**id)));
            let Some((requester, theirs)) = most else { return over };
            if unfinished <= UNFINISHED_MAX && theirs.unfinished <= UNFINISHED_PER_REQUESTER_MAX {
                return over;
            }
            over.extend(theirs.waiting.pop().map(|(_, set)| (*requester, set)));
            theirs.unfinished -= 1;
            unfinished -= 1;
        }
    }
}

/// Whether nobody has it open.
fn waits(entry: &Entry) -> bool {
    matches!(entry.phase, Phase::Waiting { .. } | Phase::Knocking { .. })
}
