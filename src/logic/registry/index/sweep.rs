//! Takes retired copies out of the records, in steps between which others are served.
//!
//! Invariant: a pass ends, however many copies retire meanwhile, and only then are its numbers used
//! again.

use std::collections::BTreeSet;

use super::contents::ContentId;
use super::{CopyKey, Index};

/// Work in one step of `sweep`, in records and owners looked at: well below a millisecond.
const SWEEP_STEP: usize = 8_192;
/// What taking an owner out costs, in that work.
const TAKE_OUT_COST: usize = 16;

/// One way through all records, to take retired copies out.
#[derive(Debug, Default)]
pub(super) struct Pass {
    keys: BTreeSet<CopyKey>,
    /// The next record to be looked at.
    at: u32,
}

impl Index {
    /// Takes copies that had retired when the pass began out of a few records; whether the pass
    /// goes on. It ends however many retire meanwhile: those are for the next one.
    pub(in crate::logic::registry) fn sweep(&mut self) -> bool {
        if self.pass.keys.is_empty() {
            self.pass = Pass { keys: std::mem::take(&mut self.retired), at: 0 };
        }
        if self.pass.keys.is_empty() {
            return false;
        }
        let mut work = 0;
        while work < SWEEP_STEP {
            let Some(id) = self.contents.id(self.pass.at) else {
                self.free_keys.extend(std::mem::take(&mut self.pass.keys));
                return false;
            };
            work += 1 + self.contents.owners(id).len();
            let taken = self.sweep_record(id);
            work += taken * TAKE_OUT_COST;
            // Of many owners some may be left for the next step.
            if taken * TAKE_OUT_COST < SWEEP_STEP {
                self.pass.at += 1;
            }
        }
        true
    }

    /// Takes the pass's copies out of one record, as many as a step may; says how many.
    fn sweep_record(&mut self, id: ContentId) -> usize {
        let owners = self.contents.owners(id).iter().map(|held| held.key());
        let gone = owners.filter(|key| self.pass.keys.contains(key));
        let gone: Vec<CopyKey> = gone.take(SWEEP_STEP / TAKE_OUT_COST).collect();
        if gone.is_empty() {
            return 0;
        }
        let Some(name) = self.name_of(id).map(str::to_owned) else { return 0 };
        gone.into_iter().filter(|key| self.disown(*key, &name)).count()
    }
}
