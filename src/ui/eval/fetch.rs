//! A round of downloads: everybody's at once, each timed from the first order to its own end.
//!
//! Invariant: a download counts only when all its bytes came over the network; a round in which one fails is
//! no round.

use std::collections::VecDeque;
use std::time::Duration;

use crossbeam_channel::Sender;
use parking_lot::Mutex;
use serde_json::Value;

use super::cell::{Cell, Round};
use super::orders::Order;
use super::swarm::{Peer, Swarm, interrupted};
use crate::base::{Fault, FaultKind, Time};
use crate::io::clock;
use crate::io::threads::{StopToken, receive, spawn_scoped};

/// How often is looked whether all still run.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A process is seen to have ended so long after its connections, at most.
const ENDED_AFTER: Duration = Duration::from_secs(2);
/// How often that is looked after.
const ENDED_EVERY: Duration = Duration::from_millis(20);

/// When a download ended, in seconds since the round began, and how many bytes it was.
type Ended = Result<(f64, u64), Fault>;

/// Carries `orders` out: each peer its own, in order, as many at once as `cell` says.
///
/// # Errors
/// That of the first download that failed; `Unfinished` when stopped.
pub(super) fn round(
    swarm: &Swarm,
    cell: &Cell,
    orders: Vec<Order>,
    stop: &StopToken,
) -> Result<Round, Fault> {
    let wanted = orders.len();
    let mut queues: Vec<VecDeque<Order>> = swarm.peers.iter().map(|_| VecDeque::new()).collect();
    orders.into_iter().for_each(|order| queues[order.requester].push_back(order));
    let queues: Vec<Mutex<VecDeque<Order>>> = queues.into_iter().map(Mutex::new).collect();
    let (tell, told) = crossbeam_channel::bounded(wanted);
    std::thread::scope(|scope| {
        let began = clock::now();
        for (peer, queue) in swarm.peers.iter().zip(&queues) {
            for at_once in 0..queue.lock().len().min(cell.concurrency as usize) {
                let (tell, name) = (tell.clone(), format!("{} {at_once}", peer.name()));
                spawn_scoped(scope, name, move || fetch_all(peer, queue, began, &tell))
                    .map_err(|e| Fault::other(format!("cannot start a thread: {e}")))?;
            }
        }
        let mut ended = Vec::new();
        while ended.len() < wanted {
            let next = receive(&told, clock::now() + LOOK_EVERY, &|| stop.is_stopped());
            let failed = match next {
                Some(Ok(one)) => {
                    ended.push(one);
                    continue;
                }
                None if stop.is_stopped() => Some(interrupted()),
                Some(Err(fault)) => Some(reason(swarm, fault, stop)),
                None => swarm.check().err(),
            };
            if let Some(fault) = failed {
                // Nobody begins another one, and the ones under way end.
                queues.iter().for_each(|queue| queue.lock().clear());
                swarm.give_up();
                return Err(fault);
            }
        }
        Ok(sum(&ended))
    })
}

/// Why it failed: because somebody has ended, if so. Connections end a little before the process is seen to.
fn reason(swarm: &Swarm, fault: Fault, stop: &StopToken) -> Fault {
    let until = clock::now() + ENDED_AFTER;
    loop {
        if let Err(ended) = swarm.check() {
            return ended;
        }
        if fault.kind != FaultKind::Network || clock::now() >= until || stop.wait(ENDED_EVERY) {
            return fault;
        }
    }
}

fn fetch_all(peer: &Peer, queue: &Mutex<VecDeque<Order>>, began: Time, tell: &Sender<Ended>) {
    loop {
        let next = queue.lock().pop_front();
        let Some(order) = next else { return };
        let ended = fetch(peer, &order).map(|bytes| (seconds_since(began), bytes));
        if tell.send(ended).is_err() {
            return;
        }
    }
}

fn fetch(peer: &Peer, order: &Order) -> Result<u64, Fault> {
    let report = peer.ask(&["download", &order.file.name, "--all", "--wait"])?;
    let sources = report["sources"].as_array().map_or(&[][..], Vec::as_slice);
    let came: u64 = sources.iter().filter_map(|source: &Value| source["bytes"].as_u64()).sum();
    if came == order.file.size {
        return Ok(came);
    }
    let (name, node, size) = (&order.file.name, peer.name(), order.file.size);
    Err(Fault::other(format!(
        "{came} bytes of {name} came to {node}, not {size}: nothing to measure"
    )))
}

fn sum(ended: &[(f64, u64)]) -> Round {
    let times: Vec<f64> = ended.iter().map(|(seconds, _)| *seconds).collect();
    Round {
        seconds: times.iter().copied().fold(0.0, f64::max),
        bytes: ended.iter().map(|(_, bytes)| bytes).sum(),
        requests: ended.len() as u64,
        times,
    }
}

/// For what is told of a round.
pub(super) fn seconds_since(began: Time) -> f64 {
    clock::now().since(began).as_secs_f64()
}
