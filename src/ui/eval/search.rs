//! A round of lookups: askers at every peer, each with names drawn at random, one after the other.
//!
//! What is timed is the whole command over the control socket, as a script sees it: the tracker's answer and
//! those of the owners, proved. Invariant: every name is somewhere, and a lookup that finds nothing is no
//! measurement.

use super::cell::{Cell, Round};
use super::fetch::seconds_since;
use super::orders::indexed;
use super::swarm::{Peer, Swarm, interrupted};
use crate::base::Fault;
use crate::io::threads::{StopToken, spawn_scoped};
use crate::io::{clock, generate};
use crate::logic::statistics::Sample;

/// Latencies kept of a round: every percent of their distribution.
const QUANTILES: usize = 101;

/// Asks `lookups` questions at each of the cell's askers.
///
/// # Errors
/// That of the first lookup that failed; `Unfinished` when stopped.
pub(super) fn round(
    swarm: &Swarm,
    cell: &Cell,
    (lookups, number, seed): (u32, u32, u64),
    stop: &StopToken,
) -> Result<Round, Fault> {
    let failed = |e: std::io::Error| Fault::other(format!("cannot start a thread: {e}"));
    let began = clock::now();
    let asked = std::thread::scope(|scope| {
        let peers = &swarm.peers[..cell.peers as usize];
        let askers =
            peers.iter().enumerate().flat_map(|p| (0..cell.concurrency).map(move |a| (p, a)));
        let mut threads = Vec::new();
        for ((at, peer), asker) in askers {
            let words = format!("{seed} {} {number} {at} {asker}", cell.id());
            let ask = move || ask_all((peer, at as u32), cell, (lookups, &words), stop);
            let name = format!("{} {asker}", peer.name());
            threads.push(spawn_scoped(scope, name, ask).map_err(failed)?);
        }
        let panicked = |_| Err(Fault::other("a thread that asked has panicked"));
        threads
            .into_iter()
            .map(|t| t.join().unwrap_or_else(panicked))
            .collect::<Result<Vec<_>, _>>()
    })?;
    let seconds = seconds_since(began);
    let all = Sample::of(asked.into_iter().flatten());
    let requests = all.count() as u64;
    Ok(Round { seconds, bytes: 0, requests, times: all.thinned(QUANTILES) })
}

/// A name that the asker has itself would be found without the others: then its neighbour, which one of
/// them has.
fn not_own(number: u32, own: u32, nodes: u32) -> u32 {
    if number % nodes != own { number } else { number.checked_sub(1).unwrap_or(1) }
}

fn ask_all(
    (peer, own): (&Peer, u32),
    cell: &Cell,
    (lookups, words): (u32, &str),
    stop: &StopToken,
) -> Result<Vec<f64>, Fault> {
    let mut seconds = Vec::new();
    for at in 0..lookups {
        if stop.is_stopped() {
            return Err(interrupted());
        }
        let drawn = generate::seed_of(&format!("{words} {at}")) % u64::from(cell.files);
        let name = indexed(cell, not_own(drawn as u32, own, cell.nodes() as u32));
        let began = clock::now();
        let found = peer.ask(&["lookup", &name])?;
        if found["owners"].as_array().is_none_or(Vec::is_empty) {
            return Err(Fault::other(format!("{} has not found {name}", peer.name())));
        }
        seconds.push(seconds_since(began));
    }
    Ok(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_asks_for_what_it_has_itself() {
        for (nodes, files) in [(2, 2), (2, 9), (4, 5), (16, 40)] {
            for (own, number) in (0..nodes).flat_map(|own| (0..files).map(move |n| (own, n))) {
                let asked = not_own(number, own, nodes);
                assert!(asked % nodes != own && asked < files, "{own} asks for {asked}");
            }
        }
    }
}
