//! Small files: fetched together, each content once, and named together.
//!
//! Invariant: what cannot be had does not keep the rest from its names; each name has its own result.
//! Ends with one result a file, or `Halt::Stopped`.

use std::collections::BTreeMap;

use super::early::Early;
use super::file::{
    Known, Results, Settled, Tally, begin, disk_full, leave, order, settle, stand_still, take_turn,
    wait_for_room,
};
use super::here;
use super::place::Unnamed;
use super::resolve::Wanted;
use super::run::{Halt, Run};
use super::set::{Fetch, Last};
use super::sink::Sink;
use crate::base::limits::BATCH_FILES_MAX;
use crate::base::{Bitmap, Fault, FaultKind, FileEntry, Modified, Root};
use crate::io::disk::{Batch, Dress, PartError};
use crate::logic::batch::set_key;
use crate::node::view::{DownloadReport, TransferState};
use crate::wire::List;
use crate::wire::message::transfer::{Content, Set};

/// How often a batch is tried whose small files other downloads take away.
const TAKEN_TRIES_MAX: usize = 4;

/// What became of one file of a batch.
type Named = Result<DownloadReport, Unnamed>;

/// Fetches and names small files: each content once, each name with its own result, in their order.
/// What cannot be had does not keep the rest from its names; what another download of the same
/// content takes away at the last moment is had again, from where that one put it; what there is no
/// room for waits.
pub(super) fn fetch_batch(
    run: &Run<'_>,
    contents: &[Content],
    files: &[Wanted],
    known: &mut Known,
) -> Result<Results, Halt> {
    let tally = &mut known.tally;
    let attempt = |contents: &[Content], files: &[Wanted]| {
        let aside = tally.set_aside(contents.iter().map(|c| c.size).sum());
        let tried = try_batch(run, contents, files, tally);
        tally.take_back(aside);
        tried
    };
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
fn try_batch(
    run: &Run<'_>,
    contents: &[Content],
    files: &[Wanted],
    tally: &mut Tally,
) -> Result<Vec<Named>, Halt> {
    let set = Set::Batch(List::of(contents.to_vec()));
    let _turn = take_turn(run, &set)?;
    let items = Items::of(contents, files);
    loop {
        let batch = open_batch(run)?;
        let have = check_small(run, &batch, contents, &items.dresses)?;
        tally.found(run, have.iter().map(|i| contents[i as usize].size).sum());
        let (contents, dresses) = (contents.to_vec(), items.dresses.clone());
        let sink = Sink::Batch { batch, contents, dresses };
        let fetch = begin(run, set.clone(), sink, have, files, Early::default());
        let end = fetch.run(&order(run, files));
        tally.fetched(&fetch);
        fetch.blame_deniers();
        let missing = match settle(run, end) {
            Settled::Complete => None,
            Settled::Short(halt @ (Halt::Fault(_) | Halt::All(_))) => Some(halt),
            Settled::Full(words) => {
                stand_still(run, &fetch);
                fetch.halt(Last::Nothing);
                wait_for_room(run, &words)?;
                continue;
            }
            Settled::Short(halt) => return Err(leave(run, &fetch, halt)),
        };
        let work = run.progress().works();
        run.progress().set(TransferState::Finishing, "");
        let Some(Sink::Batch { batch, .. }) = fetch.take_sink() else { return Err(Halt::Stopped) };
        let fault = match &missing {
            Some(Halt::Fault(fault) | Halt::All(fault)) => Some(fault),
            _ => None,
        };
        let name = || name_batch(run, &fetch, &batch, (&items, files), fault);
        let results = run.naming(missing.is_none(), name);
        drop(work);
        let named = results.iter().all(Result::is_ok);
        if named {
            run.ctx.fetching.done([set_key(&set)]);
        }
        if results.iter().any(|result| matches!(result, Err(Unnamed::Full(_)))) {
            stand_still(run, &fetch);
        }
        fetch.finish(named);
        return match missing {
            Some(end @ Halt::All(_)) => Err(end),
            _ => Ok(results),
        };
    }
}

/// Which item of a set each file is, and what the items get beside their bytes.
struct Items {
    of: BTreeMap<Root, u32>,
    dresses: Vec<Dress>,
}

impl Items {
    /// An item is dressed as the first file that it is; a twin is a copy.
    fn of(contents: &[Content], files: &[Wanted]) -> Items {
        let of: BTreeMap<Root, u32> = contents.iter().map(|c| c.root).zip(0..).collect();
        let plain = Dress { modified: Modified::default(), executable: false };
        let mut dresses = vec![plain; contents.len()];
        for file in files.iter().rev() {
            if let Some(at) = of.get(&file.entry.root) {
                dresses[*at as usize] = Dress::of(&file.entry);
            }
        }
        Items { of, dresses }
    }
}

/// The folder in which a batch arrives. Who may wait waits for room.
fn open_batch(run: &Run<'_>) -> Result<Batch, Halt> {
    loop {
        match run.place.parts.new_batch() {
            Ok(batch) => return Ok(batch),
            Err(e @ PartError::DiskFull { .. }) => disk_full(run, &e.to_string())?,
            Err(e) => return Err(Fault::other(e.to_string()).into()),
        }
    }
}

/// Names what has arrived of a batch; `missing` is why the rest has not.
fn name_batch(
    run: &Run<'_>,
    fetch: &Fetch,
    batch: &Batch,
    (items, files): (&Items, &[Wanted]),
    missing: Option<&Fault>,
) -> Vec<Named> {
    let item = |w: &Wanted| items.of.get(&w.entry.root).copied();
    let is_here = |w: &Wanted| item(w).is_some_and(|i| fetch.has(i));
    let here = files.iter().filter(|w| is_here(w));
    let entries: Vec<FileEntry> = here.map(|w| w.entry.clone()).collect();
    let mut put = run.place.put_batch(batch, &entries).into_iter();
    let name = |wanted: &Wanted| match is_here(wanted).then(|| put.next()).flatten() {
        Some(put) => {
            let sources = item(wanted).map(|i| fetch.sources_of(i)).unwrap_or_default();
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

/// Names empty files: there is nothing to fetch. There may be any number of them.
pub(super) fn make_empty(run: &Run<'_>, files: &[Wanted]) -> Result<Results, Halt> {
    let attempt = |_: &[Content], files: &[Wanted]| {
        let mut named = Vec::new();
        for piece in files.chunks(BATCH_FILES_MAX) {
            if run.stopped() {
                return Err(Halt::Stopped);
            }
            named.append(&mut name_empty(run, piece)?);
        }
        Ok(named)
    };
    had_again(&[], files, attempt, |fault| room(run, fault))
}

fn name_empty(run: &Run<'_>, files: &[Wanted]) -> Result<Vec<Named>, Halt> {
    let empty = Root::of(&[]);
    let right = files.iter().map(|w| &w.entry).filter(|entry| entry.root == empty);
    let entries: Vec<FileEntry> = right.cloned().collect();
    let batch = open_batch(run)?;
    let made = entries.first().map(|first| batch.write(&empty, &[], Dress::of(first)));
    if let Some(Err(e)) = made {
        let unnamed = || match &e {
            PartError::DiskFull { .. } => {
                Unnamed::Full(Fault::new(FaultKind::DiskFull, e.to_string()))
            }
            _ => Unnamed::Other(Fault::other(e.to_string())),
        };
        return Ok(files.iter().map(|_| Err(unnamed())).collect());
    }
    let mut put = run.place.put_batch(&batch, &entries).into_iter();
    let name = |entry: &FileEntry| match (entry.root == empty).then(|| put.next()).flatten() {
        Some(put) => put.map(|path| run.report(entry, path, Vec::new())),
        None => {
            let words = format!("{} is said to be empty, but its hash is another's", entry.name);
            Err(Unnamed::Other(Fault::new(FaultKind::Integrity, words)))
        }
    };
    Ok(files.iter().map(|w| &w.entry).map(name).collect())
}

/// Which contents are here: left behind by an earlier try, or among this node's own files.
fn check_small(
    run: &Run<'_>,
    batch: &Batch,
    contents: &[Content],
    dresses: &[Dress],
) -> Result<Bitmap, Halt> {
    let _work = run.progress().works();
    let dressed = contents.iter().zip(dresses);
    let wanted = dressed.clone().map(|(c, dress)| ((c.root, c.size), *dress)).collect();
    if let Err(e) = batch.take_left(&wanted) {
        log::warn!(target: "fetch", "small files that were left are fetched again: {e}");
    }
    let mut have = Bitmap::none(contents.len() as u32);
    for (index, (content, dress)) in (0_u32..).zip(dressed) {
        if batch.has(&content.root, content.size)
            || here::copy_small(run.place, batch, *content, *dress)
        {
            have.insert(index);
        }
    }
    Ok(have)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::fetch::file::content;
    use crate::node::samples::hit;

    fn wanted(name: &str, content: &[u8]) -> Wanted {
        Wanted::new(hit(name, content, &[]).entry)
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
