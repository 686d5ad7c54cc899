//! One set from nothing to its final names: the part, the manifest, what is there already, the
//! owners, the naming.
//!
//! What passes by itself is waited for, and `transfers` says so: a full disk, a part that another
//! download holds, owners that are away. Ends with the files named, `Halt::Stopped`, or a fault.

use std::sync::Arc;
use std::time::Duration;

use super::manifest;
use super::resolve::Wanted;
use super::run::{Halt, Run};
use super::set::Fetch;
use super::sink::{DiskError, Sink};
use super::supervisor::{End, Order};
use crate::base::{Bitmap, Fault, FaultKind, FileEntry, Manifest, PeerInfo};
use crate::io::disk::{self, PartError, PartFile, verify_part};
use crate::logic::items::Items;
use crate::node::view::{DownloadReport, TransferState};
use crate::wire::List;
use crate::wire::message::transfer::{Content, Set};

/// Between two looks at something that has to pass by itself.
const WAIT: Duration = Duration::from_secs(2);

/// One result a file.
pub(super) type Results = Vec<Result<DownloadReport, Fault>>;

/// Fetches and names one large file.
pub(super) fn fetch_file(run: &Run<'_>, wanted: &Wanted) -> Result<DownloadReport, Halt> {
    let entry = &wanted.entry;
    let manifest = obtain_manifest(run, wanted)?;
    let mut counted = 0;
    loop {
        let part = open_part(run, entry)?;
        let have = check_part(run, &part, &manifest)?;
        let here: u64 = have.iter().map(|i| Items::chunks(entry.size).len(i)).sum();
        run.progress().found(here.saturating_sub(counted));
        counted = counted.max(here);
        let sink = Sink::File { part, manifest: manifest.clone() };
        let set = Set::File(content(entry));
        let fetch = begin(run, set, sink, have, std::slice::from_ref(wanted));
        if !settled(run, fetch.run(&order(run, std::slice::from_ref(wanted))))? {
            counted = counted.max(fetch.verified_bytes());
            continue;
        }
        run.progress().set(TransferState::Finishing, "");
        let sources = fetch.sources();
        let put = match fetch.take_sink() {
            Some(Sink::File { part, manifest }) => run.place.put(part, entry, &manifest),
            _ => Err(Fault::other(format!("{entry_name} has no part", entry_name = entry.name))),
        };
        fetch.finish(put.is_ok());
        return Ok(run.report(entry, put?, sources));
    }
}

/// Fetches and names small files: each content once, each name with its own result.
pub(super) fn fetch_batch(
    run: &Run<'_>,
    contents: &[Content],
    files: &[Wanted],
) -> Result<Results, Halt> {
    let mut counted = 0;
    loop {
        let have = check_small(run, contents)?;
        let here: u64 = have.iter().map(|i| contents[i as usize].size).sum();
        run.progress().found(here.saturating_sub(counted));
        counted = counted.max(here);
        let sink = Sink::Batch { store: run.place.parts.clone(), contents: contents.to_vec() };
        let set = Set::Batch(List::of(contents.to_vec()));
        let fetch = begin(run, set, sink, have, files);
        if !settled(run, fetch.run(&order(run, files)))? {
            counted = counted.max(fetch.verified_bytes());
            continue;
        }
        run.progress().set(TransferState::Finishing, "");
        fetch.take_sink();
        let entries: Vec<FileEntry> = files.iter().map(|w| w.entry.clone()).collect();
        let put = run.place.put_batch(&entries);
        fetch.finish(put.iter().all(Result::is_ok));
        let reports = files.iter().zip(put).map(|(wanted, put)| {
            let item = contents.iter().position(|c| c.root == wanted.entry.root);
            let sources = item.map(|i| fetch.sources_of(i as u32)).unwrap_or_default();
            put.map(|path| run.report(&wanted.entry, path, sources))
        });
        return Ok(reports.collect());
    }
}

/// Names empty files: there is nothing to fetch.
pub(super) fn make_empty(run: &Run<'_>, files: &[Wanted]) -> Results {
    let entries: Vec<FileEntry> = files.iter().map(|w| w.entry.clone()).collect();
    for entry in &entries {
        if let Err(e) = run.place.parts.write_small(&entry.root, &[]) {
            return files.iter().map(|_| Err(Fault::other(e.to_string()))).collect();
        }
    }
    let put = run.place.put_batch(&entries);
    let name = |(entry, put): (&FileEntry, Result<_, Fault>)| {
        put.map(|path| run.report(entry, path, Vec::new()))
    };
    entries.iter().zip(put).map(name).collect()
}

pub(super) fn content(entry: &FileEntry) -> Content {
    Content { root: entry.root, size: entry.size }
}

fn begin(run: &Run<'_>, set: Set, sink: Sink, have: Bitmap, files: &[Wanted]) -> Arc<Fetch> {
    let mut owners: Vec<PeerInfo> = Vec::new();
    for owner in files.iter().flat_map(|w| &w.owners) {
        if !owners.iter().any(|known| known.id == owner.id) {
            owners.push(owner.clone());
        }
    }
    let resumable = run.give_up.is_none();
    Fetch::new(run.ctx, run.job.progress.clone(), (set, resumable), sink, have, owners)
}

fn order<'a>(run: &'a Run<'_>, files: &[Wanted]) -> Order<'a> {
    Order { control: &run.job.control, give_up: run.give_up, find: run.finder(files) }
}

/// True: complete. False: again. What does not pass by itself is an error.
fn settled(run: &Run<'_>, end: End) -> Result<bool, Halt> {
    let name = &run.job.name;
    match end {
        End::Complete => Ok(true),
        End::Stopped => Err(Halt::Stopped),
        End::Disk(DiskError::Full(words)) => disk_full(run, &words).map(|()| false),
        End::Disk(DiskError::Other(e)) => {
            Err(Fault::other(format!("could not write {name}: {e}")).into())
        }
        End::Corrupt(words) => {
            Err(Fault::new(FaultKind::Integrity, format!("could not download {name}: {words}"))
                .into())
        }
        End::GaveUp { words, started } => {
            let kind = if started { FaultKind::Unfinished } else { FaultKind::NoOwner };
            let rest = if started { "; what arrived is kept, ask again to go on" } else { "" };
            Err(Fault::new(kind, format!("could not download {name}: {words}{rest}")).into())
        }
    }
}

/// A daemon waits for room; a one-shot ends.
fn disk_full(run: &Run<'_>, words: &str) -> Result<(), Halt> {
    if run.give_up.is_some() {
        let words = format!("{words}; what arrived is kept, free some space and ask again");
        return Err(Fault::new(FaultKind::DiskFull, words).into());
    }
    let words = format!("disk full: {words}; looks again every {} s", WAIT.as_secs());
    run.wait(TransferState::Paused, &words, WAIT)
}

fn obtain_manifest(run: &Run<'_>, wanted: &Wanted) -> Result<Manifest, Halt> {
    let mut owners = wanted.owners.clone();
    let mut waited = Duration::ZERO;
    loop {
        run.progress().set(TransferState::Preparing, "asking for the chunks' hashes");
        let failures = match manifest::obtain(run.ctx, content(&wanted.entry), &owners) {
            Ok(manifest) => return Ok(manifest),
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

fn open_part(run: &Run<'_>, entry: &FileEntry) -> Result<PartFile, Halt> {
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

fn check_small(run: &Run<'_>, contents: &[Content]) -> Result<Bitmap, Halt> {
    let mut have = Bitmap::none(contents.len() as u32);
    for (index, content) in (0_u32..).zip(contents) {
        match run.place.parts.has_small(&content.root, content.size) {
            Ok(true) => have.insert(index),
            Ok(false) => false,
            Err(e) if disk::is_disk_full(&e) => false,
            Err(e) => return Err(Fault::other(format!("could not look at a part: {e}")).into()),
        };
    }
    Ok(have)
}
