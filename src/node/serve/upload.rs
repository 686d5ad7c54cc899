//! The writing half of a transfer: asks the pure `Upload` what comes next, and sends it.
//!
//! Invariant: a chunk is sent from a file that is, before and after, what was hashed; where it is
//! not, the requester is told STALE and the index looks at the file again. (The requester would
//! find out by itself: it checks every chunk. This way it also learns that nobody cheats.)

use std::ops::ControlFlow;

use super::source::{self, Source, find, lent};
use super::transfer::Transfer;
use crate::base::chunk::chunk_span;
use crate::base::{Range, Root};
use crate::io::clock;
use crate::io::failpoint::fail_point;
use crate::io::link::{FileSlice, LinkError, LinkWriter};
use crate::logic::upload::Step;
use crate::node::swarm::Ahead;
use crate::node::throttle::Bounds;
use crate::wire::message::transfer::{Chunk, Next, Stale};
use crate::wire::{List, Message};

/// What the writer does next.
enum Work {
    Say(Message),
    Step(Step),
}

/// The writer: until the transfer ends or the link breaks.
pub(super) fn write(transfer: &Transfer<'_>, writer: &mut LinkWriter) -> Result<(), LinkError> {
    let mut current = None;
    while let ControlFlow::Continue(work) = next(transfer) {
        match work {
            Work::Say(message) => writer.send(&message)?,
            Work::Step(Step::Announce(items)) => {
                fail_point!("serve.next").map_err(LinkError::Io)?;
                writer.send(&Next { items }.into())?;
            }
            Work::Step(Step::Send(items)) if transfer.batch => send_files(transfer, writer, items)?,
            Work::Step(Step::Send(items)) => send_chunk(transfer, writer, items, &mut current)?,
        }
    }
    Ok(())
}

/// Waits for something to do.
fn next(transfer: &Transfer<'_>) -> ControlFlow<(), Work> {
    let outgoing = transfer.outgoing();
    let mut state = outgoing.state.lock();
    loop {
        // Nothing holds back what is sent while the node ends.
        if state.ended || transfer.owner.ctx.stop.is_stopped() {
            return ControlFlow::Break(());
        }
        let now = clock::now();
        if let Some(message) = state.next_message(now) {
            return ControlFlow::Continue(Work::Say(message));
        }
        let ahead = state.next_step(outgoing, now);
        let others_went = outgoing.wake_granted(&mut state);
        match ahead {
            // Something may have come while the lock was free.
            Ahead::Nothing(_) if others_went => {}
            Ahead::Step(step) => return ControlFlow::Continue(Work::Step(step)),
            Ahead::Nothing(None) => outgoing.wake.wait(&mut state),
            Ahead::Nothing(Some(at)) => drop(outgoing.wake.wait_for(&mut state, at.since(now))),
        }
    }
}

/// One chunk of a file, which stays open from chunk to chunk.
fn send_chunk(
    transfer: &Transfer<'_>,
    writer: &mut LinkWriter,
    items: Range,
    current: &mut Option<Source>,
) -> Result<(), LinkError> {
    let Some(content) = transfer.contents.first().copied() else { return Ok(()) };
    let Some(span) = chunk_span(content.size, items.first) else { return Ok(()) };
    let everything = Range { first: 0, count: transfer.outgoing().count() };
    if !current
        .as_ref()
        .is_some_and(|source| source.is_current(transfer, &content.root, items.first))
    {
        *current = find(transfer, lent(transfer).as_ref(), (items.first, content))?;
    }
    let Some(source) = current else { return stale(transfer, everything, &[content.root]) };
    let slice = FileSlice { file: source.file(), offset: span.offset, len: span.len };
    send_run(transfer, writer, items, &[slice])?;
    if !source.unchanged() {
        *current = None;
        return stale(transfer, everything, &[content.root]);
    }
    Ok(())
}

/// A run of small files, each of them whole. Files that are gone, or cannot be read, are told and left out.
fn send_files(
    transfer: &Transfer<'_>,
    writer: &mut LinkWriter,
    items: Range,
) -> Result<(), LinkError> {
    let lent = lent(transfer);
    let (mut files, mut buffer) = (Vec::<(u32, Root, u64, Option<Source>)>::new(), Vec::new());
    for item in items.iter() {
        let Some(content) = transfer.contents.get(item as usize).copied() else { break };
        let mut source = find(transfer, lent.as_ref(), (item, content))?;
        if let Some(Err(e)) = source.as_ref().map(|s| source::read(s, content.size, &mut buffer)) {
            source::not_read(transfer, item, e)?;
            source = None;
        }
        files.push((item, content.root, content.size, source));
    }
    for run in files.chunk_by(|a, b| a.3.is_some() == b.3.is_some()) {
        let (first, count) = (run[0].0, run.len() as u32);
        let range = Range { first, count };
        let slices: Vec<FileSlice<'_>> = run
            .iter()
            .filter_map(|(_, _, size, source)| Some((source.as_ref()?, *size)))
            .map(|(source, len)| FileSlice { file: source.file(), offset: 0, len })
            .collect();
        if slices.len() == run.len() {
            send_run(transfer, writer, range, &slices)?;
        } else {
            let roots: Vec<Root> = run.iter().map(|(_, root, ..)| *root).collect();
            stale(transfer, range, &roots)?;
        }
        for (i, root, _, source) in run {
            if source.as_ref().is_some_and(|s| !s.unchanged()) {
                stale(transfer, Range::one(*i), &[*root])?;
            }
        }
    }
    Ok(())
}

fn send_run(
    transfer: &Transfer<'_>,
    writer: &mut LinkWriter,
    items: Range,
    slices: &[FileSlice<'_>],
) -> Result<(), LinkError> {
    let ctx = &transfer.owner.ctx;
    let len = slices.iter().map(|s| s.len).sum();
    fail_point!("serve.header").map_err(LinkError::Io)?;
    let header = Chunk { items, len }.into();
    let over = || transfer.outgoing().state.lock().ended;
    let bounds = Bounds::new(&ctx.up, &transfer.limit, writer.step());
    let sent = writer.send_payload(&header, slices, &mut |bytes| {
        bounds.pay(bytes, &over);
        ctx.counters.bytes_up.add(bytes as u64);
        transfer.owner.uploads.sent(transfer.connection, bytes as u64);
    });
    if let Err(e @ (LinkError::SourceShort | LinkError::Source(_))) = &sent {
        // The promised length cannot be kept: the link ends here, the next one goes without these items, and
        // the index looks again.
        source::broke_off(transfer, items, slices, e);
        let contents = items.iter().filter_map(|i| transfer.contents.get(i as usize));
        let gone = if transfer.batch { contents.collect() } else { vec![&transfer.contents[0]] };
        gone.into_iter().for_each(|c| transfer.owner.index.stale(&c.root));
    }
    sent?;
    fail_point!("serve.sent").map_err(LinkError::Io)?;
    transfer.outgoing().sent(items);
    Ok(())
}

/// Items that are no longer what was announced.
fn stale(transfer: &Transfer<'_>, items: Range, roots: &[Root]) -> Result<(), LinkError> {
    roots.iter().for_each(|root| transfer.owner.index.stale(root));
    transfer.outgoing().with_spread(|state, spread| {
        state.upload.on_stale(items, spread);
        state.outbox.push_back(Stale { items: List::of(vec![items]) }.into());
    });
    Ok(())
}
