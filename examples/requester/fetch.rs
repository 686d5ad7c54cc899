//! Fetches all sets one after the other, with one ACK a run, and throws the bytes away: so the owner's
//! part is as large a share of the time as it can be. Ends with the last DONE.

use std::time::{Duration, Instant};

use parvi::base::{Range, limits};
use parvi::io::link::LinkConfig;
use parvi::logic::batch::Plan;
use parvi::logic::items::Items;
use parvi::wire::message::transfer::{Ack, Done, Open, Set, Want};
use parvi::wire::{List, Message};

use super::{Failure, Owner, stranger};

const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn run(owner: &Owner, plan: &Plan) -> Result<(), Failure> {
    let config = stranger()?;
    let begun = Instant::now();
    let mut bytes = 0;
    for planned in &plan.sets {
        bytes += fetch(owner, &config, &planned.set)?;
    }
    let (seconds, sets) = (begun.elapsed().as_secs_f64(), plan.sets.len());
    println!(r#"{{"seconds": {seconds:.4}, "bytes": {bytes}, "sets": {sets}}}"#);
    Ok(())
}

/// The bytes of one set.
fn fetch(owner: &Owner, config: &LinkConfig, set: &Set) -> Result<u64, Failure> {
    let items = Items::of(set);
    let mut link = owner.dial(config)?;
    let answer = link.ask(Open { set: set.clone(), resumable: owner.resumable })?;
    if !matches!(answer, Message::Opened(_)) {
        return Err(format!("the owner answered an Open with {answer:?}").into());
    }
    let all = List::of(vec![Range { first: 0, count: items.count() }]);
    link.send(Want { add: all, remove: List::of(Vec::new()), window: items.window() })?;
    let mut buffer = vec![0; limits::CHUNK_SIZE_MAX.max(limits::BATCH_BYTES_MAX) as usize];
    let mut arrived = 0;
    while arrived < items.total() {
        let chunk = match link.recv(PATIENCE)? {
            Message::Chunk(chunk) => chunk,
            Message::Next(_) => continue,
            other => return Err(format!("the owner says {other:?} in place of a chunk").into()),
        };
        let into = buffer.get_mut(..chunk.len as usize).ok_or("a chunk is too long")?;
        link.reader.recv_payload(into, &mut |_| ())?;
        arrived += chunk.len;
        link.send(Ack { items: List::of(vec![chunk.items]) })?;
    }
    link.send(Done)?;
    link.recv(PATIENCE).err();
    Ok(arrived)
}
