//! Time to restore: a node is killed, and until every file has two copies again the seconds are counted.
//!
//! Copies are those of the tracker's index, which has only nodes that are there. Each round kills another
//! node. Invariant: a swarm in which the first copies are not made in time is told as that, not waited for
//! any longer.

use std::time::Duration;

use super::cell::{Cell, Round};
use super::fetch::seconds_since;
use super::orders::FOLDER;
use super::swarm::{Swarm, until};
use crate::base::{Fault, FaultKind};
use crate::io::clock;
use crate::io::threads::StopToken;
use crate::logic::replication::{GRACE, WANTED};

/// The first copies need so long at most, when anybody makes them.
const FIRST_TIME_MAX: Duration = Duration::from_secs(60);
/// From a node's death to two copies: its grace, and time to copy.
const AGAIN_TIME_MAX: Duration = Duration::from_secs(GRACE.as_secs() + 120);

/// Waits until all files of `cell` have their copies for the first time.
///
/// # Errors
/// They do not get them, as where nobody makes copies; `Unfinished` when stopped.
pub(super) fn ready(swarm: &Swarm, cell: &Cell, stop: &StopToken) -> Result<(), Fault> {
    let what = format!(
        "cannot measure how fast copies are restored: not all of {} files had {WANTED} copies",
        cell.files
    );
    until(&what, FIRST_TIME_MAX, stop, || all_copied(swarm, cell)).map_err(|fault| {
        match fault.kind {
            FaultKind::Network => {
                Fault::other(format!("{}; does this swarm make copies?", fault.text))
            }
            _ => fault,
        }
    })
}

/// Kills peer `victim` and waits.
///
/// # Errors
/// The copies are not made in time; `Unfinished` when stopped.
pub(super) fn round(
    swarm: &Swarm,
    cell: &Cell,
    victim: usize,
    stop: &StopToken,
) -> Result<Round, Fault> {
    let before = copies(swarm)?;
    swarm.peers[victim].kill();
    let began = clock::now();
    let name = swarm.peers[victim].name().to_owned();
    let missed = format!("{name} was killed, and the tracker has not missed it");
    let lost = until(&missed, AGAIN_TIME_MAX, stop, || {
        Ok(before.checked_sub(copies(swarm)?).filter(|lost| *lost > 0))
    })?;
    let mut times = Vec::new();
    let again = format!("{name} was killed, and not all files had {WANTED} copies again");
    until(&again, AGAIN_TIME_MAX, stop, || {
        let copied = copied(swarm)?;
        times.resize(copied.max(times.len()), seconds_since(began));
        Ok((copied >= cell.files as usize).then_some(()))
    })?;
    Ok(Round { seconds: seconds_since(began), bytes: lost * cell.size, requests: lost, times })
}

fn all_copied(swarm: &Swarm, cell: &Cell) -> Result<Option<()>, Fault> {
    Ok((copied(swarm)? >= cell.files as usize).then_some(()))
}

/// How many files have their copies.
fn copied(swarm: &Swarm) -> Result<usize, Fault> {
    Ok(rows(swarm)?.into_iter().filter(|copies| *copies >= u64::from(WANTED)).count())
}

/// Copies of all files together.
fn copies(swarm: &Swarm) -> Result<u64, Fault> {
    Ok(rows(swarm)?.into_iter().sum())
}

fn rows(swarm: &Swarm) -> Result<Vec<u64>, Fault> {
    let rows = swarm.tracker.ask(&["files", FOLDER])?;
    let rows = rows.as_array().map_or(&[][..], Vec::as_slice);
    Ok(rows.iter().filter_map(|row| row["copies"].as_u64()).collect())
}
