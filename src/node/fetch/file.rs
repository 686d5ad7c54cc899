//! One set from nothing to its final names: the part, the manifest, what is there already, the
//! owners, the naming.
//!
//! What passes by itself is waited for, and `transfers` says so: a full disk, a part that another
//! download holds, owners that are away. Ends with the files named, `Halt::Stopped`, or a fault.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::control::Wish;
use super::fetching::Turn;
use super::place::Unnamed;
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
use crate::wire::List;
use crate::wire::message::transfer::{Content, Set};

/// Between two looks at something that has to pass by itself.
const WAIT: Duration = Duration::from_secs(2);

/// How often a batch is tried whose small files other downloads take away.
const TAKEN_TRIES_MAX: usize = 4;

/// One result a file.
pub(super) type Results = Vec<Result<DownloadReport, Fault>>;

/// What became of one file of a batch.
type Named = Result<DownloadReport, Unnamed>;

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
                fetch.halt(last(run));
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

/// Fetches and names small files: each content once, each name with its own result, in their order.
/// What cannot be had does not keep the rest from its names; what another download of the same
/// content takes away at the last moment is had again, from where that one put it; what there is no
/// room for waits.
pub(super) fn fetch_batch(
    run: &Run<'_>,
    contents: &[Content],
    files: &[Wanted],
) -> Result<Results, Halt> {
    let attempt = |contents: &[Content], files: &[Wanted]| try_batch(run, contents, files);
    had_again(contents, files, attempt, |fault| room(run, fault))
}

/// Waits for room, unless this is a one-shot; tells whether it has waited.
fn room(run: &Run<'_>, fault: &Fault) -> Result<bool, Halt> {
    if run.give_up.is_some() {
        return Ok(false);
    }
    disk_full(run, &fault.text).map(|()| true)
}

/// Tries a batch, and what was taken away of it again, up to the bound; and what there was no room
/// for, as long as `room` waits for that.
fn had_again(
    contents: &[Content],
    files: &[Wanted],
    mut attempt: impl FnMut(&[Content], &[Wanted]) -> Result<Vec<Named>, Halt>,
    mut room: impl FnMut(&Fault) -> Result<bool, Halt>,
) -> Result<Results, Halt> {
    let mut results = attempt(contents, files)?;
    let mut tries = 1;
    loop {
        let full = results.iter().find_map(|result| match result {
            Err(Unnamed::Full(fault)) => Some(fault),
            _ => None,
        });
        let waited = full.map_or(Ok(false), &mut room)?;
        let passes = |result: &Named| match result {
            Err(Unnamed::Taken(_)) => tries < TAKEN_TRIES_MAX,
            Err(Unnamed::Full(_)) => waited,
            _ => false,
        };
        let taken: Vec<usize> = (0..results.len()).filter(|at| passes(&results[*at])).collect();
        if taken.is_empty() {
            break;
        }
        tries += usize::from(!waited);
        let again: Vec<Wanted> = taken.iter().map(|index| files[*index].clone()).collect();
        let is_wanted = |c: &&Content| again.iter().any(|w| w.entry.root == c.root);
        let contents: Vec<Content> = contents.iter().filter(is_wanted).copied().collect();
        let tried = attempt(&contents, &again)?;
        taken.into_iter().zip(tried).for_each(|(index, result)| results[index] = result);
    }
    Ok(results.into_iter().map(|named| named.map_err(Unnamed::into_fault)).collect())
}

/// One try at a batch.
fn try_batch(run: &Run<'_>, contents: &[Content], files: &[Wanted]) -> Result<Vec<Named>, Halt> {
    let set = Set::Batch(List::of(contents.to_vec()));
    let _turn = take_turn(run, &set)?;
    let mut tally = Tally::default();
    loop {
        let have = check_small(run, contents)?;
        tally.found(run, have.iter().map(|i| contents[i as usize].size).sum());
        let sink = Sink::Batch { store: run.place.parts.clone(), contents: contents.to_vec() };
        let fetch = begin(run, set.clone(), sink, have, files);
        let end = fetch.run(&order(run, files));
        tally.fetched(&fetch);
        let missing = match settle(run, end) {
            Settled::Complete => None,
            Settled::Short(Halt::Fault(fault)) => Some(fault),
            Settled::Full(words) => {
                fetch.halt(Last::Nothing);
                wait_for_room(run, &words)?;
                continue;
            }
            Settled::Short(Halt::Stopped) => {
                fetch.halt(last(run));
                return Err(Halt::Stopped);
            }
        };
        run.progress().set(TransferState::Finishing, "");
        fetch.take_sink();
        let results = name_batch(run, &fetch, contents, files, missing.as_ref());
        let named = results.iter().all(Result::is_ok);
        if named {
            run.ctx.fetching.done([set_key(&set)]);
        }
        fetch.finish(named);
        return Ok(results);
    }
}

/// Names what has arrived of a batch; `missing` is why the rest has not.
fn name_batch(
    run: &Run<'_>,
    fetch: &Fetch,
    contents: &[Content],
    files: &[Wanted],
    missing: Option<&Fault>,
) -> Vec<Named> {
    let item = |w: &Wanted| contents.iter().position(|c| c.root == w.entry.root);
    let is_here = |w: &Wanted| item(w).is_some_and(|i| fetch.has(i as u32));
    let here = files.iter().filter(|w| is_here(w));
    let entries: Vec<FileEntry> = here.map(|w| w.entry.clone()).collect();
    let mut put = run.place.put_batch(&entries).into_iter();
    let name = |wanted: &Wanted| match is_here(wanted).then(|| put.next()).flatten() {
        Some(put) => {
            let sources = item(wanted).map(|i| fetch.sources_of(i as u32)).unwrap_or_default();
            put.map(|path| run.report(&wanted.entry, path, sources))
        }
        None => {
            let fault = missing.cloned().unwrap_or_else(|| Fault::other("did not arrive"));
            let words = format!("{}: {}", wanted.entry.name, fault.text);
            Err(Unnamed::Other(Fault::new(fault.kind, words)))
        }
    };
    files.iter().map(name).collect()
}

/// What a set has brought over all its tries: each byte counts once.
#[derive(Default)]
struct Tally {
    counted: u64,
    sources: BTreeMap<NodeLabel, u64>,
}

impl Tally {
    /// So many bytes are on the disk before a try.
    fn found(&mut self, run: &Run<'_>, here: u64) {
        run.progress().found(here.saturating_sub(self.counted));
        self.counted = self.counted.max(here);
    }

    /// A try is over.
    fn fetched(&mut self, fetch: &Fetch) {
        self.counted += fetch.verified_bytes();
        for source in fetch.sources() {
            *self.sources.entry(source.node).or_default() += source.bytes;
        }
    }

    fn sources(self) -> Vec<Source> {
        self.sources.into_iter().map(|(node, bytes)| Source { node, bytes }).collect()
    }
}

/// Names empty files: there is nothing to fetch.
pub(super) fn make_empty(run: &Run<'_>, files: &[Wanted]) -> Result<Results, Halt> {
    let attempt = |_: &[Content], files: &[Wanted]| Ok(name_empty(run, files));
    had_again(&[], files, attempt, |fault| room(run, fault))
}

fn name_empty(run: &Run<'_>, files: &[Wanted]) -> Vec<Named> {
    let entries: Vec<FileEntry> = files.iter().map(|w| w.entry.clone()).collect();
    for entry in &entries {
        if let Err(e) = run.place.parts.write_small(&entry.root, &[]) {
            let unnamed = || match &e {
                PartError::DiskFull { .. } => {
                    Unnamed::Full(Fault::new(FaultKind::DiskFull, e.to_string()))
                }
                _ => Unnamed::Other(Fault::other(e.to_string())),
            };
            return files.iter().map(|_| Err(unnamed())).collect();
        }
    }
    let put = run.place.put_batch(&entries);
    let name = |(entry, put): (&FileEntry, Result<_, Unnamed>)| {
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
    let fetch = Fetch::new(run.ctx, run.job, (set, resumable), sink, have, owners);
    run.ctx.fetching.begin(&fetch);
    fetch
}

/// The right to fetch a set: owners know one transfer of it from us, so two would cut each other off.
fn take_turn<'a>(run: &Run<'a>, set: &Set) -> Result<Turn<'a>, Halt> {
    loop {
        if let Some(turn) = run.ctx.fetching.turn(set_key(set)) {
            return Ok(turn);
        }
        run.wait(TransferState::Waiting, "another download fetches the same files", WAIT)?;
    }
}

fn order<'a>(run: &'a Run<'_>, files: &[Wanted]) -> Order<'a> {
    Order { control: &run.job.control, give_up: run.give_up, find: run.finder(files) }
}

/// What the end of a try means.
enum Settled {
    /// Everything is here.
    Complete,
    /// There is no room on the disk, in words.
    Full(String),
    /// Not everything came, and waiting does not help.
    Short(Halt),
}

fn settle(run: &Run<'_>, end: End) -> Settled {
    let name = &run.job.name;
    let short = |kind, words: String| {
        let text = format!("could not download {name}: {words}");
        Settled::Short(Fault::new(kind, text).into())
    };
    match end {
        End::Complete => Settled::Complete,
        End::Stopped => Settled::Short(Halt::Stopped),
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
fn disk_full(run: &Run<'_>, words: &str) -> Result<(), Halt> {
    if run.give_up.is_some() {
        let words = format!("{words}; what arrived is kept, free some space and ask again");
        return Err(Fault::new(FaultKind::DiskFull, words).into());
    }
    let words = format!("disk full: {words}; looks again every {} s", WAIT.as_secs());
    run.wait(TransferState::Paused, &words, WAIT)
}

/// Waits until a chunk can be written again, without a word to any owner.
fn wait_for_room(run: &Run<'_>, words: &str) -> Result<(), Halt> {
    loop {
        disk_full(run, words)?;
        match run.place.parts.has_room() {
            Err(e) if disk::is_disk_full(&e) => {}
            // Whatever else is wrong is found, and said, where it is written.
            _ => return Ok(()),
        }
    }
}

/// What owners hear when a fetch stops: at the end of the node nothing, since the next start goes on.
fn last(run: &Run<'_>) -> Last {
    let goes_on = run.ctx.stop.is_stopped() && run.job.control.wish() != Wish::Cancel;
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
            Ok(false) => here::copy_small(run.place, *content) && have.insert(index),
            Err(e) if disk::is_disk_full(&e) => false,
            Err(e) => return Err(Fault::other(format!("could not look at a part: {e}")).into()),
        };
    }
    Ok(have)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::samples::hit;

    fn wanted(name: &str, content: &[u8]) -> Wanted {
        Wanted { entry: hit(name, content, &[]).entry, owners: Vec::new(), rivals: Vec::new() }
    }

    fn named(w: &Wanted) -> Named {
        let (name, root, bytes) = (w.entry.name.clone(), w.entry.root, w.entry.size);
        let path = name.as_path().into();
        Ok(DownloadReport { name, root, path, bytes, seconds: 0.0, sources: Vec::new() })
    }

    fn taken() -> Named {
        Err(Unnamed::Taken(Fault::new(FaultKind::Unfinished, "taken")))
    }

    /// What came of a batch of a, b and a twin of a, and the names in each try.
    fn tries(name: &dyn Fn(usize, &Wanted) -> Named) -> (Vec<Option<String>>, Vec<String>) {
        let files = [wanted("a", b"1"), wanted("b", b"2"), wanted("twin", b"1")];
        let contents = [content(&files[0].entry), content(&files[1].entry)];
        let mut tries = Vec::new();
        let attempt = |contents: &[Content], files: &[Wanted]| {
            assert!(contents.iter().all(|c| files.iter().any(|w| w.entry.root == c.root)));
            assert!(files.iter().all(|w| contents.contains(&content(&w.entry))));
            tries.push(files.iter().map(|w| w.entry.name.as_str()).collect::<Vec<_>>().join(" "));
            Ok(files.iter().map(|w| name(tries.len(), w)).collect())
        };
        let Ok(results) = had_again(&contents, &files, attempt, |_| Ok(true)) else {
            return Default::default();
        };
        let results = results.into_iter().map(|r| r.ok().map(|r| r.name.as_str().to_owned()));
        (results.collect(), tries)
    }

    #[test]
    fn what_another_download_takes_away_is_had_again_and_nothing_else_is() {
        let once =
            |n, w: &Wanted| if n == 1 && w.entry.name.as_str() != "a" { taken() } else { named(w) };
        let (results, tries) = tries(&once);
        assert_eq!(results, ["a", "b", "twin"].map(|n| Some(n.to_owned())));
        assert_eq!(tries, ["a b twin", "b twin"]);
    }

    #[test]
    fn what_there_is_no_room_for_is_tried_for_as_long_as_it_takes() {
        let full = || Err(Unnamed::Full(Fault::new(FaultKind::DiskFull, "full")));
        let long = TAKEN_TRIES_MAX + 3;
        let once_there_is_room = |n, w: &Wanted| {
            if n < long && w.entry.name.as_str() == "b" { full() } else { named(w) }
        };
        let (results, tries) = tries(&once_there_is_room);
        assert_eq!(results, ["a", "b", "twin"].map(|n| Some(n.to_owned())));
        assert_eq!((tries.len(), tries[1].as_str()), (long, "b"));
    }

    #[test]
    fn a_one_shot_does_not_wait_for_room() {
        let files = [wanted("a", b"1")];
        let full = |_: &[Content], _: &[Wanted]| {
            Ok(vec![Err(Unnamed::Full(Fault::new(FaultKind::DiskFull, "full")))])
        };
        let Ok(results) = had_again(&[content(&files[0].entry)], &files, full, |_| Ok(false))
        else {
            panic!("it is halted");
        };
        assert_eq!(results[0].as_ref().unwrap_err().kind, FaultKind::DiskFull);
    }

    #[test]
    fn what_is_taken_away_every_time_is_given_up_and_the_rest_is_kept() {
        let always = |_, w: &Wanted| if w.entry.name.as_str() == "b" { taken() } else { named(w) };
        let (results, tries) = tries(&always);
        assert_eq!(results, [Some("a".to_owned()), None, Some("twin".to_owned())]);
        assert_eq!(tries.len(), TAKEN_TRIES_MAX);
    }
}
