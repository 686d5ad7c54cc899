//! Opens one file again and again, each thread as a requester of its own: how many openings a second
//! the owner makes, and how long it takes from `Open` to `Opened`. Ends when the time is over.

use std::time::{Duration, Instant};

use parvi::logic::batch::Plan;
use parvi::wire::Message;
use parvi::wire::message::transfer::{Done, Open, Set};

use super::{Failure, Owner, stranger};

pub(super) fn run(owner: &Owner, plan: &Plan, seconds: f64, threads: usize) -> Result<(), Failure> {
    let set = &plan.sets.first().ok_or("an empty file is not opened")?.set;
    let begun = Instant::now();
    let until = begun + Duration::from_secs_f64(seconds);
    let mut waits = std::thread::scope(|scope| {
        let work = || open_until(owner, set, until);
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut waits = Vec::new();
        for thread in running {
            waits.extend(thread.join().map_err(|_| "a thread has panicked")??);
        }
        Ok::<_, Failure>(waits)
    })?;
    let rate = waits.len() as f64 / begun.elapsed().as_secs_f64();
    waits.sort_unstable();
    let ms = |percent: usize| {
        let at = waits.len() * percent / 100;
        waits.get(at).map_or(0.0, Duration::as_secs_f64) * 1e3
    };
    println!(r#"{{"rate": {rate:.1}, "p50": {:.4}, "p99": {:.4}}}"#, ms(50), ms(99));
    Ok(())
}

/// One requester: each time a fresh connection, as every transfer has.
fn open_until(owner: &Owner, set: &Set, until: Instant) -> Result<Vec<Duration>, Failure> {
    let config = stranger()?;
    let mut waits = Vec::new();
    while Instant::now() < until {
        let mut link = owner.dial(&config)?;
        let asked = Instant::now();
        let answer = link.ask(Open { set: set.clone(), resumable: owner.resumable })?;
        waits.push(asked.elapsed());
        if !matches!(answer, Message::Opened(_)) {
            return Err(format!("the owner answered an Open with {answer:?}").into());
        }
        link.send(Done)?;
        // The owner closes when it has noted the end.
        link.recv(Duration::from_secs(10)).err();
    }
    Ok(waits)
}
