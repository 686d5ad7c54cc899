//! Fetches a file about whose size its owners disagree: a root has one size only, and the bytes
//! settle which, not how many say so.
//!
//! Invariant: nobody is outvoted; each size is tried with those who say it, and a wrong one cannot
//! complete, since no bytes of that length have the root; each has a part of its own. Ends with the
//! file named, with a fault when every size has failed for good, or with a halt.

use std::collections::BTreeSet;
use std::time::Duration;

use parking_lot::Mutex;

use super::resolve::Wanted;
use super::run::{GiveUp, Halt, Run};
use crate::base::{Fault, FaultKind, NodeId};
use crate::node::view::{DownloadReport, TransferState};

/// Between two rounds over the sizes.
const WAIT: Duration = Duration::from_secs(2);

/// How often the patience of a transfer passes before the next size has its turn.
const PATIENCE_TIMES: u32 = 3;

/// A file that has rivals.
pub(super) struct Dispute {
    sizes: Vec<Wanted>,
    /// The size that counts for what is shown.
    shown: u64,
}

impl Dispute {
    pub(super) fn of(wanted: &Wanted) -> Dispute {
        Dispute { sizes: wanted.sizes(), shown: wanted.entry.size }
    }

    /// Tries each size once. `doubted` were wrong about another file: theirs are tried last. Where it
    /// may go better later, others have their turns meanwhile.
    pub(super) fn round(
        &mut self,
        run: &Run<'_>,
        doubted: &Mutex<BTreeSet<NodeId>>,
    ) -> Result<Result<DownloadReport, Fault>, Halt> {
        {
            let doubted = doubted.lock();
            self.sizes.sort_by_key(|w| w.everybody().all(|peer| doubted.contains(&peer.id)));
        }
        let patience = match run.give_up {
            Some(GiveUp::All(max) | GiveUp::Set(max)) => max,
            None => run.ctx.patience * PATIENCE_TIMES,
        };
        let turn = Run { give_up: Some(GiveUp::Set(patience)), turn: None, ..*run };
        let mut faults = Vec::new();
        for (tried, wanted) in self.sizes.iter().enumerate() {
            run.progress().resized(self.shown, wanted.entry.size);
            self.shown = wanted.entry.size;
            match turn.fetch_one(wanted)? {
                Ok(report) => {
                    // Those who only fetch it repeat what they were told.
                    let wrong = self.sizes[..tried].iter().flat_map(|w| &w.owners);
                    doubted.lock().extend(wrong.map(|peer| peer.id));
                    self.remove_wrong(run);
                    return Ok(Ok(report));
                }
                Err(fault) => faults.push(fault),
            }
        }
        let passing = faults.iter().find(|fault| passes(fault.kind));
        match passing.filter(|_| run.give_up.is_none()) {
            Some(fault) => {
                run.wait(TransferState::Waiting, &fault.text, WAIT)?;
                Err(Halt::GaveWay)
            }
            None => Ok(Err(told(&self.sizes, &faults))),
        }
    }

    /// Nobody continues the parts of the sizes that are wrong.
    fn remove_wrong(&self, run: &Run<'_>) {
        for wrong in self.sizes.iter().filter(|w| w.entry.size != self.shown) {
            if let Err(e) = run.place.parts.remove(&wrong.entry.root, wrong.entry.size) {
                log::info!(target: "fetch", "the part of a wrong size stays: {e}");
            }
        }
    }
}

/// Whether a daemon may hope that it goes better later.
fn passes(kind: FaultKind) -> bool {
    matches!(kind, FaultKind::NoOwner | FaultKind::Unfinished | FaultKind::DiskFull)
}

/// Why no size could be had.
fn told(sizes: &[Wanted], faults: &[Fault]) -> Fault {
    let Some((first, name)) = faults.first().zip(sizes.first().map(|w| &w.entry.name)) else {
        return Fault::other("nothing was asked for");
    };
    let says = |w: &Wanted| {
        let owners: Vec<&str> = w.everybody().map(|peer| peer.label.as_str()).collect();
        format!("{} bytes at {}", w.entry.size, owners.join(", "))
    };
    let says: Vec<String> = sizes.iter().map(says).collect();
    let text = format!("the owners of {name} disagree about its size ({})", says.join("; "));
    Fault::new(first.kind, format!("{text}, and none could send it: {}", first.text))
}
