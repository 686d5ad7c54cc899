//! `parvi wal dump` and `parvi wal verify`: a person looks at a log of uploads.
//!
//! Invariant: nothing is changed, and the node that has the log may run. `verify` ends with the
//! integrity code when something is damaged; an unfinished end, as a crash leaves it, is none.

use std::path::{Path, PathBuf};

use parvi_wal::Disk;

use super::args::WalTask;
use super::output;
use crate::base::{Fault, FaultKind};
use crate::node::describe_record;

/// Runs it.
///
/// # Errors
/// No log there, or it cannot be read; damage.
pub(super) fn wal(task: WalTask) -> Result<(), Fault> {
    match task {
        WalTask::Dump { dir } => {
            let storage = Disk::read_only(log_of(&dir)?);
            let text = parvi_wal::dump(&storage, &describe_record).map_err(|e| unreadable(&e))?;
            output::out(&text);
            Ok(())
        }
        WalTask::Verify { dir } => {
            let storage = Disk::read_only(log_of(&dir)?);
            let verdict = parvi_wal::verify(&storage, None).map_err(|e| unreadable(&e))?;
            output::out(&format!("{}{} records\n", verdict.report, verdict.records));
            if verdict.code == 0 {
                return Ok(());
            }
            let words =
                format!("the log in {} is damaged; a node starts all the same", dir.display());
            Err(Fault::new(FaultKind::Integrity, words))
        }
    }
}

/// The log itself, of a log's or a node's directory.
fn log_of(dir: &Path) -> Result<PathBuf, Fault> {
    let inside = dir.join(".parvi/wal");
    let log = if inside.is_dir() { inside } else { dir.to_owned() };
    if log.is_dir() {
        return Ok(log);
    }
    let words = format!("there is no log in {}; give a node's data directory", dir.display());
    Err(Fault::new(FaultKind::NotFound, words))
}

fn unreadable(error: &parvi_wal::WalError) -> Fault {
    Fault::other(error.to_string())
}
