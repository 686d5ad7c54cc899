//! Time to restore: a node is killed, and until every file has two copies again the seconds are counted.
//!
//! Copies are those of the tracker's index, which has only nodes that are there. Each round kills another
//! node. Invariant: a swarm in which the first copies are not made in time is told as that, not waited for
//! any longer.

use std::time::Duration;

use super::cell::{Cell, Round};
use super::fetch::seconds_since;
use super::running::all_files;
use super::swarm::Swarm;
use crate::base::Fault;
use crate::io::clock;
use crate::io::threads::StopToken;
use crate::logic::replication::WANTED;

/// How long the tracker waits for a node that has gone before its files are copied; usually it is longer, so
/// that restarts cost nothing, and the longer, the less is seen of the rest.
pub(super) const GRACE: Duration = Duration::from_secs(5);
/// What it may take beside grace and bytes: orders, connections, heartbeats.
const MARGIN: Duration = Duration::from_secs(60);
/// Nodes without a bound copy at least as fast, bytes a second.
const SLOWEST: u64 = 1 << 20;

/// Until `cell`'s files have their copies this is the longest that is waited: as if one line carried them all.
fn time_max(cell: &Cell, line: Option<u64>) -> Duration {
    let bytes = u64::from(cell.files) * cell.size;
    GRACE + MARGIN + Duration::from_secs(bytes / line.unwrap_or(SLOWEST).max(1))
}

/// Waits until all files of `cell` have their copies for the first time.
///
/// # Errors
/// They do not get them, as where nobody makes copies; `Unfinished` when stopped.
pub(super) fn ready(
    swarm: &Swarm,
    cell: &Cell,
    line: Option<u64>,
    stop: &StopToken,
) -> Result<(), Fault> {
    let what = format!(
        "cannot measure how fast copies are restored: not all of {} files had {WANTED} copies",
        cell.files
    );
    swarm.until(&what, time_max(cell, line), stop, || {
        Ok((copied(swarm)? >= cell.files as usize).then_some(()))
    })
}

/// Kills peer `victim` and waits.
///
/// # Errors
/// The copies are not made in time; `Unfinished` when stopped.
pub(super) fn round(
    swarm: &Swarm,
    cell: &Cell,
    (victim, line): (usize, Option<u64>),
    stop: &StopToken,
) -> Result<Round, Fault> {
    let before = copies(swarm)?;
    swarm.peers[victim].kill();
    let began = clock::now();
    let name = swarm.peers[victim].name().to_owned();
    let missed = format!("{name} was killed, and the tracker has not missed it");
    let lost = swarm.until(&missed, time_max(cell, line), stop, || {
        Ok(before.checked_sub(copies(swarm)?).filter(|lost| *lost > 0))
    })?;
    let mut times = Vec::new();
    let again = format!("{name} was killed, and not all files had {WANTED} copies again");
    swarm.until(&again, time_max(cell, line), stop, || {
        let copied = copied(swarm)?;
        times.resize(copied.max(times.len()), seconds_since(began));
        Ok((copied >= cell.files as usize).then_some(()))
    })?;
    Ok(Round { seconds: seconds_since(began), bytes: lost * cell.size, requests: lost, times })
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
    let rows = swarm.tracker.ask(&["files", &all_files()])?;
    let rows = rows.as_array().map_or(&[][..], Vec::as_slice);
    Ok(rows.iter().filter_map(|row| row["copies"].as_u64()).collect())
}

#[cfg(test)]
mod tests {
    use super::super::cell::Kind;
    use super::*;

    #[test]
    fn what_takes_longer_by_its_bytes_is_waited_for_longer() {
        let of = |size| Cell { kind: Kind::Restore, peers: 5, concurrency: 1, size, files: 16 };
        let seconds = |size, line| time_max(&of(size), line).as_secs();
        assert_eq!(seconds(1 << 10, Some(1 << 20)), 65);
        assert_eq!(seconds(64 << 20, Some(8 << 20)), 65 + 128);
        assert_eq!(seconds(64 << 20, None), 65 + 1024);
    }
}
