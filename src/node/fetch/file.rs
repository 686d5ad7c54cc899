//! One large file from nothing to its final name: the part, the manifest, what is there already, the
//! owners, the naming; and what it has in common with small ones (`small`).
//!
//! What passes by itself is waited for, and `transfers` says so: a full disk, a part that another
//! download holds, owners that are away. Ends with the files named, `Halt::Stopped`, or a fault.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::control::Wish;
use super::fetching::Turn;
use super::resolve::Wanted;
use super::run::{Halt, Run};
use super::set::{Fetch, Last};
use super::sink::{DiskError, Sink};
use super::supervisor::{End, Order};
use super::{here, manifest};
use crate::base::{Bitmap, Fault, FaultKind, FileEntry, Manifest, NodeLabel, PeerInfo};
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
pub(super) fn fetch_file(run: &Run<'_>, wanted: &Wanted) -> Result<DownloadReport, Halt> {
    let entry = &wanted.entry;
    let files = std::slice::from_ref(wanted);
    let manifest = obtain_manifest(run, wanted)?;
    let mut tally = Tally::default();
    loop {
        let part = open_part(run, entry)?;
        here::copy_large(run.place, &part, &|| run.stopped());
        let have = check_part(run, &part, &manifest)?;
        tally.found(run, have.iter().map(|i| Items::chunks(entry.size).len(i)).sum());
        let sink = Sink::File { part, manifest: manifest.clone() };
        let fetch = begin(run, Set::File(content(entry)), sink, have, files);
        let end = fetch.run(&order(run, files));
        tally.fetched(&fetch);
        match settle(run, end) {
            Settled::Complete => {}
            Settled::Full(words) => {
                fetch.halt(Last::Nothing);
                wait_for_room(run, &words)?;
                continue;
            }
            Settled::Short(halt) => {
                fetch.halt(last(run, &halt));
                tally.gave_way(run, &halt);
                return Err(halt);
            }
        }
        run.progress().set(TransferState::Finishing, "");
        let put = match fetch.take_sink() {
            Some(Sink::File { part, manifest }) => run.place.put(part, entry, &manifest),
            _ => Err(Fault::other(format!("{} has no part", entry.name))),
        };
        if put.is_ok() {
            run.ctx.fetching.done([set_key(&fetch.set)]);
        }
        fetch.finish(put.is_ok());
        match put {
            Err(fault) if fault.kind == FaultKind::DiskFull => disk_full(run, &fault.text)?,
            put => return Ok(run.report(entry, put?, tally.sources())),
        }
    }
}

/// What a set has brought over all its tries: each byte counts once.
#[derive(Default)]
pub(super) struct Tally {
    counted: u64,
    sources: BTreeMap<NodeLabel, u64>,
}

impl Tally {
    /// So many bytes are on the disk before a try.
    pub(super) fn found(&mut self, run: &Run<'_>, here: u64) {
        run.progress().found(here.saturating_sub(self.counted));
        self.counted = self.counted.max(here);
    }

    /// A try is over.
    pub(super) fn fetched(&mut self, fetch: &Fetch) {
        self.counted += fetch.verified_bytes();
        for source in fetch.sources() {
            *self.sources.entry(source.node).or_default() += source.bytes;
        }
    }

    /// What was counted of a set that gives way is counted anew when its turn comes.
    pub(super) fn gave_way(&mut self, run: &Run<'_>, halt: &Halt) {
        if matches!(halt, Halt::GaveWay) {
            run.progress().found_anew(std::mem::take(&mut self.counted));
        }
    }

    pub(super) fn sources(self) -> Vec<Source> {
        self.sources.into_iter().map(|(node, bytes)| Source { node, bytes }).collect()
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
) -> Arc<Fetch> {
    let mut owners: Vec<PeerInfo> = Vec::new();
    for owner in files.iter().flat_map(|w| &w.owners) {
        if !owners.iter().any(|known| known.id == owner.id) {
            owners.push(owner.clone());
        }
    }
    let resumable = run.give_up.is_none();
    let name = files.first().map_or(&run.job.name, |wanted| &wanted.entry.name).clone();
    let fetch = Fetch::new(run.ctx, run.job, (set, name, resumable), sink, have, owners);
    run.ctx.fetching.begin(&fetch);
    fetch
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
    let (control, give_up, turn) = (&run.job.control, run.give_up, run.turn);
    Order { control, give_up, turn, find: run.finder(files) }
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
        End::Gone => {
            let words = "its owners changed or withdrew it; ask again for what is there now";
            short(FaultKind::NotFound, words.into())
        }
        End::GaveUp { words, started: false } => short(FaultKind::NoOwner, words),
        End::GaveUp { words, started: true } => {
            let rest = "what arrived is kept, ask again to go on";
            short(FaultKind::Unfinished, format!("{words}; {rest}"))
        }
    }
}

/// A daemon waits for room; a one-shot ends.
pub(super) fn disk_full(run: &Run<'_>, words: &str) -> Result<(), Halt> {
    if run.give_up.is_some() {
        let words = format!("{words}; what arrived is kept, free some space and ask again");
        return Err(Fault::new(FaultKind::DiskFull, words).into());
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
    if goes_on && run.give_up.is_none() { Last::Nothing } else { Last::Cancel }
}

fn obtain_manifest(run: &Run<'_>, wanted: &Wanted) -> Result<Manifest, Halt> {
    if let Some(known) = here::manifest(run.place, content(&wanted.entry)) {
        return Ok(known);
    }
    let mut owners = wanted.owners.clone();
    let mut waited = Duration::ZERO;
    loop {
        run.progress().set(TransferState::Preparing, "asking for the chunks' hashes");
        let stop = || run.stopped();
        let failures = match manifest::obtain(run.ctx, content(&wanted.entry), &owners, &stop) {
            Ok(manifest) => return Ok(manifest),
            Err(_) if run.stopped() => return Err(Halt::Stopped),
            Err(failures) => failures,
        };
        if !failures.is_empty() && failures.iter().all(|(_, why)| why.is_wrong()) {
            let text = format!("every owner of {} sends a wrong manifest", wanted.entry.name);
            return Err(Fault::new(FaultKind::Integrity, text).into());
        }
        let why = failures
            .first()
            .map_or("nobody has it now".into(), |(peer, why)| format!("{}: {why}", peer.shown()));
        if run.give_up.is_some_and(|max| waited >= max) {
            return Err(Fault::new(FaultKind::NoOwner, why).into());
        }
        run.wait(TransferState::Waiting, &format!("{why}; tries again"), WAIT)?;
        waited += WAIT;
        owners = run.finder(std::slice::from_ref(wanted))();
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

/// Which chunks an earlier run left behind, found by hashing them.
fn check_part(run: &Run<'_>, part: &PartFile, manifest: &Manifest) -> Result<Bitmap, Halt> {
    run.progress().set(TransferState::Preparing, "checking what is here already");
    match verify_part(part, manifest, &|| run.stopped()) {
        Ok(have) => Ok(have),
        Err(_) if run.stopped() => Err(Halt::Stopped),
        Err(e) => {
            Err(Fault::other(format!("could not check the part of {}: {e}", run.job.name)).into())
        }
    }
}
