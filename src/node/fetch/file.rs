//! One large file from nothing to its final name: the part, the manifest, what is there already, the
//! owners, the naming; and what it has in common with small ones (`small`).
//!
//! What passes by itself is waited for, and `transfers` says so: a full disk, a part that another
//! download holds, owners that are away. Ends with the files named, `Halt::Stopped`, or a fault.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::control::Wish;
use super::early::Early;
use super::fetching::Turn;
use super::place::Unput;
use super::resolve::Wanted;
use super::run::{Halt, Run};
use super::set::{Fetch, Last};
use super::sink::{DiskError, Sink};
use super::supervisor::{End, Order};
use super::{here, manifest};
use crate::base::{Bitmap, Fault, FaultKind, FileEntry, Manifest, NodeLabel};
use crate::io::clock;
use crate::io::disk::{self, PartError, PartFile, verify_part};
use crate::logic::batch::set_key;
use crate::logic::items::Items;
use crate::node::view::{DownloadReport, Source, TransferState};
use crate::wire::message::transfer::{Content, Set};

/// Between two looks at something that has to pass by itself.
pub(super) const WAIT: Duration = Duration::from_secs(2);

/// One result a file.
pub(super) type Results = Vec<Result<DownloadReport, Fault>>;

/// Fetches and names one large file.
pub(super) fn fetch_file(
    run: &Run<'_>,
    wanted: &Wanted,
    known: &mut Known,
) -> Result<DownloadReport, Halt> {
    let entry = &wanted.entry;
    let files = std::slice::from_ref(wanted);
    let (manifest, mut early) = match known.manifest.take() {
        Some(manifest) => (manifest, Early::default()),
        None => obtain_manifest(run, wanted)?,
    };
    known.manifest = Some(manifest.clone());
    let tally = &mut known.tally;
    loop {
        let part = open_part(run, entry)?;
        let have = check_part(run, &part, &manifest)?;
        tally.found(run, have.iter().map(|i| Items::chunks(entry.size).len(i)).sum());
        let sink = Sink::File { part, manifest: manifest.clone() };
        let early = std::mem::take(&mut early);
        let fetch = begin(run, Set::File(content(entry)), sink, have, files, early);
        let end = fetch.run(&order(run, files));
        tally.fetched(&fetch);
        fetch.blame_deniers();
        match settle(run, end) {
            Settled::Complete => {}
            Settled::Full(words) => {
                stand_still(run, &fetch);
                fetch.halt(Last::Nothing);
                wait_for_room(run, &words)?;
                continue;
            }
            Settled::Short(halt) => return Err(leave(run, &fetch, halt)),
        }
        let work = run.progress().works();
        run.progress().set(TransferState::Finishing, "");
        let put = run.naming(true, || match fetch.take_sink() {
            Some(Sink::File { part, manifest }) => {
                run.place.put(part, entry, &manifest, &|| run.stopped())
            }
            _ => Err(Unput::Fault(Fault::other(format!("{} has no part", entry.name)))),
        });
        if put.is_ok() {
            run.ctx.fetching.done([set_key(&fetch.set)]);
        }
        if put.as_ref().is_err_and(Unput::passes) {
            stand_still(run, &fetch);
        }
        fetch.finish(put.is_ok());
        drop(work);
        match put {
            Ok(path) => return Ok(run.report(entry, path, tally.sources())),
            Err(Unput::Stopped) => return Err(Halt::Stopped),
            Err(Unput::Fault(fault)) if fault.kind == FaultKind::DiskFull => {
                disk_full(run, &fault.text)?;
            }
            Err(Unput::Fault(fault)) => return Err(fault.into()),
        }
    }
}

/// What is known of a set over all its turns.
#[derive(Default)]
pub(super) struct Known {
    pub(super) tally: Tally,
    /// Of a large file.
    manifest: Option<Manifest>,
}

/// What a set has brought over all its tries and turns: each byte counts once.
#[derive(Default)]
pub(super) struct Tally {
    /// So much of it counts as done now.
    counted: u64,
    sources: BTreeMap<NodeLabel, u64>,
}

impl Tally {
    /// So many bytes are on the disk before a try.
    pub(super) fn found(&mut self, run: &Run<'_>, here: u64) {
        run.progress().found_anew(self.counted, here);
        self.counted = here;
    }

    /// A try is over.
    pub(super) fn fetched(&mut self, fetch: &Fetch) {
        self.counted += fetch.verified_bytes();
        for source in fetch.sources() {
            *self.sources.entry(source.node).or_default() += source.bytes;
        }
    }

    /// Of what counts, `bytes` are to be had again; what else counts is set aside meanwhile, and is
    /// told.
    pub(super) fn set_aside(&mut self, bytes: u64) -> u64 {
        let again = bytes.min(self.counted);
        std::mem::replace(&mut self.counted, again) - again
    }

    /// What was set aside counts too again.
    pub(super) fn take_back(&mut self, aside: u64) {
        self.counted += aside;
    }

    pub(super) fn sources(&self) -> Vec<Source> {
        let source =
            |(node, bytes): (&NodeLabel, &u64)| Source { node: node.clone(), bytes: *bytes };
        self.sources.iter().map(source).collect()
    }
}

pub(super) fn content(entry: &FileEntry) -> Content {
    Content { root: entry.root, size: entry.size }
}

pub(super) fn begin(
    run: &Run<'_>,
    set: Set,
    sink: Sink,
    have: Bitmap,
    files: &[Wanted],
    early: Early,
) -> Arc<Fetch> {
    let sources = run.sources_of(files);
    let resumable = run.is_resumable();
    let lent = sink.lend(&run.place.into, files);
    let of = (set, files, resumable);
    let fetch = Fetch::new(run, of, (sink, lent), have, (sources, early));
    run.ctx.fetching.begin(&fetch);
    run.job.keeps(&set_key(&fetch.set), false);
    fetch
}

/// A set does not come to its end now. While it stands still others hear that some of it is here, and only later.
pub(super) fn leave(run: &Run<'_>, fetch: &Fetch, halt: Halt) -> Halt {
    let state = fetch.state.lock();
    let is_some_here = !state.shares.verified().is_empty();
    // What others who fetch it might bring is no reason: they would wait for us, and we for them.
    let goes_on = match &halt {
        Halt::GaveWay => state.owners.awaits_sharer(),
        other => matches!(other, Halt::Stopped),
    };
    drop(state);
    // Before it is halted: whoever hears that what was promised is gone asks at once.
    run.job.keeps(&set_key(&fetch.set), is_some_here && goes_on);
    fetch.halt(last(run, &halt));
    halt
}

/// A set waits for what passes by itself, or for the person: others hear that some of it is here, and only later.
/// Called before it is halted, as in `leave`.
pub(super) fn stand_still(run: &Run<'_>, fetch: &Fetch) {
    let is_some_here = !fetch.state.lock().shares.verified().is_empty();
    run.job.keeps(&set_key(&fetch.set), is_some_here);
}

/// The right to fetch a set: owners know one transfer of it from us, so two would cut each other off.
pub(super) fn take_turn<'a>(run: &Run<'a>, set: &Set) -> Result<Turn<'a>, Halt> {
    loop {
        if let Some(turn) = run.ctx.fetching.turn(set_key(set)) {
            return Ok(turn);
        }
        run.wait(TransferState::Waiting, "another download fetches the same files", WAIT)?;
    }
}

pub(super) fn order<'a>(run: &'a Run<'_>, files: &[Wanted]) -> Order<'a> {
    Order { run, find: run.find_again(files) }
}

/// What the end of a try means.
pub(super) enum Settled {
    /// Everything is here.
    Complete,
    /// There is no room on the disk, in words.
    Full(String),
    /// Not everything came, and waiting does not help.
    Short(Halt),
}

pub(super) fn settle(run: &Run<'_>, end: End) -> Settled {
    let name = &run.job.name;
    let short = |kind, words: String| {
        let text = format!("could not download {name}: {words}");
        Settled::Short(Fault::new(kind, text).into())
    };
    match end {
        End::Complete => Settled::Complete,
        End::Stopped => Settled::Short(Halt::Stopped),
        End::GaveWay => Settled::Short(Halt::GaveWay),
        End::Disk(DiskError::Full(words)) => Settled::Full(words),
        End::Disk(DiskError::Other(words)) => short(FaultKind::Other, words),
        End::Corrupt(words) => short(FaultKind::Integrity, words),
        End::Gone(words) => short(FaultKind::NotFound, words.into()),
        End::GaveUp { words } => Settled::Short(run.gives_up(&words)),
    }
}

/// A daemon waits for room; a one-shot ends.
pub(super) fn disk_full(run: &Run<'_>, words: &str) -> Result<(), Halt> {
    if run.give_up.is_some() {
        let words = format!("{words}; what arrived is kept, free some space and ask again");
        return Err(run.not_waited(Fault::new(FaultKind::DiskFull, words)));
    }
    let words = format!("disk full: {words}; looks again every {} s", WAIT.as_secs());
    run.wait(TransferState::Paused, &words, WAIT)
}

/// Waits until a chunk can be written again, without a word to any owner.
pub(super) fn wait_for_room(run: &Run<'_>, words: &str) -> Result<(), Halt> {
    loop {
        disk_full(run, words)?;
        match run.place.parts.has_room() {
            Err(e) if disk::is_disk_full(&e) => {}
            // Whatever else is wrong is found, and said, where it is written.
            _ => return Ok(()),
        }
    }
}

/// What owners hear when a fetch stops: at the end of the node nothing, since the next start goes on,
/// and nothing when it goes on later in this one.
pub(super) fn last(run: &Run<'_>, halt: &Halt) -> Last {
    let stops = run.ctx.stop.is_stopped() && run.job.control.wish() != Wish::Cancel;
    let goes_on = matches!(halt, Halt::GaveWay) || stops;
    if goes_on && run.is_resumable() { Last::Nothing } else { Last::Cancel }
}

/// The chunks' hashes, and connections to those who will be asked for the chunks.
fn obtain_manifest(run: &Run<'_>, wanted: &Wanted) -> Result<(Manifest, Early), Halt> {
    if let Some(known) = here::manifest(run.place, content(&wanted.entry)) {
        return Ok((known, Early::default()));
    }
    let mut owners = wanted.sources().all();
    let early = Early::dial(run.ctx, &wanted.owners, run.job.limit.connections());
    let began = clock::now();
    loop {
        run.progress().set(TransferState::Preparing, "asking for the chunks' hashes");
        let stop = || run.stopped();
        let failures = match manifest::obtain(run.ctx, content(&wanted.entry), &owners, &stop) {
            Ok(manifest) => return Ok((manifest, early)),
            Err(_) if run.stopped() => return Err(Halt::Stopped),
            Err(failures) => failures,
        };
        let wrong = failures.iter().filter(|(_, why)| why.is_wrong());
        run.job.blames(wrong.map(|(peer, _)| peer.id));
        if !failures.is_empty() && failures.iter().all(|(_, why)| why.is_wrong()) {
            let text = format!("every owner of {} sends a wrong manifest", wanted.entry.name);
            return Err(Fault::new(FaultKind::Integrity, text).into());
        }
        let why = failures
            .first()
            .map_or("nobody has it now".into(), |(peer, why)| format!("{}: {why}", peer.shown()));
        if run.is_enough(clock::now(), began) {
            return Err(run.gives_up(&why));
        }
        run.wait(TransferState::Waiting, &format!("{why}; tries again"), WAIT)?;
        owners = run.find_again(std::slice::from_ref(wanted))().all();
    }
}

pub(super) fn open_part(run: &Run<'_>, entry: &FileEntry) -> Result<PartFile, Halt> {
    loop {
        match run.place.parts.open_part(&entry.root, entry.size) {
            Ok(part) => return Ok(part),
            Err(e @ PartError::Busy { .. }) => {
                run.wait(TransferState::Waiting, &e.to_string(), WAIT)?;
            }
            Err(e @ PartError::DiskFull { .. }) => disk_full(run, &e.to_string())?,
            Err(e) => return Err(Fault::other(e.to_string()).into()),
        }
    }
}

/// Which chunks are here: copied from this node's own files, or left behind by an earlier run, and
/// found by hashing them.
fn check_part(run: &Run<'_>, part: &PartFile, manifest: &Manifest) -> Result<Bitmap, Halt> {
    let _work = run.progress().works();
    here::copy_large(run.place, part, &|| run.stopped());
    run.progress().set(TransferState::Preparing, "checking what is here already");
    match verify_part(part, manifest, &|| run.stopped()) {
        Ok(have) => Ok(have),
        Err(_) if run.stopped() => Err(Halt::Stopped),
        Err(e) => {
            Err(Fault::other(format!("could not check the part of {}: {e}", run.job.name)).into())
        }
    }
}
