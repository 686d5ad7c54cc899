//! Fetches files about whose size their owners disagree: a root has one size only, and the bytes
//! settle which, not how many say so.
//!
//! Invariant: nobody is outvoted; each size is tried with those who say it, and a wrong one cannot
//! complete, since no bytes of that length have the root. Ends with each file named, with a fault
//! when every size has failed for good, or `Halt::Stopped`.

use std::collections::BTreeSet;
use std::time::Duration;

use super::file::Results;
use super::resolve::Wanted;
use super::run::{Halt, Run};
use crate::base::{Fault, FaultKind, NodeId};
use crate::io::clock;
use crate::node::view::TransferState;

/// Between two rounds over the sizes.
const WAIT: Duration = Duration::from_secs(2);

/// How often the patience of a transfer passes before the next size has its turn.
const PATIENCE_TIMES: u32 = 3;

/// Fetches `files`, each of which has rivals. Who was wrong about one is tried last for the next.
pub(super) fn fetch_disputed(run: &Run<'_>, files: &[Wanted]) -> Result<Results, Halt> {
    let mut doubted = BTreeSet::new();
    files.iter().map(|w| fetch_one(run, w.sizes(), &mut doubted)).collect()
}

fn fetch_one(
    run: &Run<'_>,
    mut sizes: Vec<Wanted>,
    doubted: &mut BTreeSet<NodeId>,
) -> Result<<Results as IntoIterator>::Item, Halt> {
    let listed = sizes.first().map_or(0, |w| w.entry.size);
    sizes.sort_by_key(|w| w.owners.iter().all(|peer| doubted.contains(&peer.id)));
    let patience = run.give_up.unwrap_or(run.ctx.patience * PATIENCE_TIMES);
    let turn = Run { give_up: Some(patience), ..*run };
    let before = run.progress().snapshot(clock::now());
    loop {
        let mut faults = Vec::new();
        for (tried, wanted) in sizes.iter().enumerate() {
            let total = before.total.saturating_sub(listed).saturating_add(wanted.entry.size);
            run.progress().begin(total, before.done);
            match turn.fetch_all(std::slice::from_ref(wanted)).map(|mut r| r.pop()) {
                Ok(Some(Ok(report))) => {
                    let wrong = sizes[..tried].iter().flat_map(|w| &w.owners);
                    doubted.extend(wrong.map(|peer| peer.id));
                    return Ok(Ok(report));
                }
                Ok(Some(Err(fault))) | Err(Halt::Fault(fault)) => faults.push(fault),
                Ok(None) => {}
                Err(halt) => return Err(halt),
            }
        }
        let passing = faults.iter().find(|fault| passes(fault.kind));
        match passing.filter(|_| run.give_up.is_none()) {
            Some(fault) => run.wait(TransferState::Waiting, &fault.text, WAIT)?,
            None => return Ok(Err(told(&sizes, &faults))),
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
        let owners: Vec<&str> = w.owners.iter().map(|peer| peer.label.as_str()).collect();
        format!("{} bytes at {}", w.entry.size, owners.join(", "))
    };
    let says: Vec<String> = sizes.iter().map(says).collect();
    let text = format!("the owners of {name} disagree about its size ({})", says.join("; "));
    Fault::new(first.kind, format!("{text}, and none could send it: {}", first.text))
}
