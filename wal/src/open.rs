//! Opens a log: reads everything, decides, then changes as little as possible.
//!
//! Invariant: no segment is removed or renamed before all its records that count are durable
//! elsewhere, and a damaged one is never removed. Every step may be the last before a crash, since
//! the next start decides again from what is there. It ends with a log that takes records, or with
//! an error of the disk's own and all files as they were.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use crate::chain::{self, File, Plan, Resume};
use crate::disk::Disk;
use crate::end::State;
use crate::error::WalError;
use crate::log::{Options, Wal, remove_all};
use crate::make::{self, Active};
use crate::record::{PAYLOAD_MAX, RECORD_LEN_MAX, SEQ_MAX};
use crate::report::{Damage, Fault, Recovered, Report};
use crate::scan::scan;
use crate::segment::{Header, new_seq_of, seq_of};
use crate::storage::{Storage, patiently};

const _: () = assert!(PAYLOAD_MAX < RECORD_LEN_MAX, "a record with its header fits in the window");

/// Exists from the first segment on: a directory with it and without segments has lost its log.
pub(crate) const STARTED_NAME: &str = "started";
/// What a file that is kept for a person to look at ends with.
const BAD_ENDING: &str = ".bad";

impl Wal {
    /// Opens the log in the directory `path`, made if it is not there.
    ///
    /// # Errors
    /// As [`Wal::open`].
    pub fn open_dir(path: &Path, options: Options) -> Result<(Wal, Recovered), WalError> {
        Wal::open(Arc::new(Disk::new(path)?), options)
    }

    /// Opens the log in `storage` and returns what it holds. Damage is no error.
    ///
    /// # Errors
    /// [`WalError::Locked`] when somebody else has it; otherwise when the storage fails in a way
    /// that leaves no place for new records. Opening again may help then, nothing is lost.
    pub fn open(storage: Arc<dyn Storage>, options: Options) -> Result<(Wal, Recovered), WalError> {
        let lock = storage.lock()?;
        let mut names = list(&*storage)?;
        let mut plan = look(&*storage, &names, &options.owner)?;
        let mut report = Report {
            segments: plan.segments,
            torn: plan.torn.take(),
            damage: std::mem::take(&mut plan.damage),
            kept_before: names.iter().filter(|name| name.ends_with(BAD_ENDING)).cloned().collect(),
            ..Report::default()
        };
        let (state, rewritten) = take_over(&*storage, &options, &mut plan, &names)?;
        report.rewritten = rewritten;
        mark_started(&*storage, &names)?;
        for name in &plan.aside {
            match set_aside(&*storage, name, &mut names) {
                Ok(kept) => report.set_aside.push(kept),
                Err(error) => report.untidy.push(error.to_string()),
            }
        }
        plan.remove.extend(names.iter().filter(|name| new_seq_of(name).is_some()).cloned());
        if !plan.remove.is_empty() || !plan.aside.is_empty() {
            report.untidy.extend(remove_all(&*storage, &mut plan.remove));
        }
        let state = Mutex::new(state);
        let wal = Wal { storage, options, state, changed: Condvar::new(), _lock: lock };
        Ok((wal, Recovered { records: plan.records, report }))
    }
}

/// All names in the directory, in order.
pub(crate) fn list(storage: &dyn Storage) -> Result<BTreeSet<String>, WalError> {
    let names = patiently(|| storage.list()).map_err(WalError::io("list", "the directory"))?;
    Ok(names.into_iter().collect())
}

/// Reads all segments and judges them; changes nothing.
pub(crate) fn look(
    storage: &dyn Storage,
    names: &BTreeSet<String>,
    owner: &[u8; 32],
) -> Result<Plan, WalError> {
    let segments = names.iter().filter(|name| seq_of(name).is_some());
    let files = segments.map(|name| read(storage, name)).collect::<Result<Vec<_>, _>>()?;
    let had_none = files.is_empty();
    let mut plan = chain::judge(files, owner);
    if had_none && names.contains(STARTED_NAME) {
        let file = STARTED_NAME.to_owned();
        plan.damage.push(Damage { file, offset: 0, what: Fault::Gone });
    }
    Ok(plan)
}

/// Reads one segment.
pub(crate) fn read(storage: &dyn Storage, name: &str) -> Result<File, WalError> {
    let file = patiently(|| storage.open(name)).map_err(WalError::io("open", name))?;
    let scan = scan(&*file).map_err(WalError::io("find the length of", name))?;
    Ok(File { name: name.to_owned(), scan })
}

/// Goes on in the last segment if that is whole, else in a new one with all records; says which.
fn take_over(
    storage: &dyn Storage,
    options: &Options,
    plan: &mut Plan,
    names: &BTreeSet<String>,
) -> Result<(State, bool), WalError> {
    if plan.last_record >= SEQ_MAX - 1 || plan.last_segment >= SEQ_MAX - 1 {
        return Err(WalError::Exhausted { file: crate::segment::name_of(plan.last_segment) });
    }
    let next_segment = unused_segment(plan.last_segment + 1, names);
    if let Some(resume) = &plan.resume {
        // A sync that fails here is not made again: the records go to a new file.
        if let Ok(active) = go_on(storage, resume, plan) {
            let mut state = State::new(active, next_segment, resume.last_record);
            let own = state.active.end - state.active.base;
            state.live_bytes = plan.live_bytes;
            state.since_checkpoint = plan.since_checkpoint - own;
            state.older = std::mem::take(&mut plan.older);
            plan.remove.retain(|name| names.contains(name) && !is_unused(name, resume));
            return Ok((state, false));
        }
        plan.remove.append(&mut plan.older);
        plan.remove.push(resume.name.clone());
    }
    let fresh = plan.segments == 0 && plan.records.is_empty() && names.iter().all(|n| !is_ours(n));
    let active = rewrite(storage, options, plan, next_segment, !fresh)?;
    let last = plan.last_record + if fresh { 0 } else { plan.records.len() as u64 + 1 };
    Ok((State::new(active, next_segment + 1, last), !fresh))
}

fn is_ours(name: &str) -> bool {
    seq_of(name).is_some() || name == STARTED_NAME
}

/// The segment behind the one to go on with, made for a rotation that never was.
fn is_unused(name: &str, resume: &Resume) -> bool {
    seq_of(name).is_some_and(|seq| seq > resume.seq)
}

/// The first number from `seq` on that no file has.
fn unused_segment(seq: u64, names: &BTreeSet<String>) -> u64 {
    let used: BTreeSet<u64> =
        names.iter().filter_map(|name| seq_of(name).or_else(|| new_seq_of(name))).collect();
    let highest = used.range(..SEQ_MAX / 2).next_back().copied().unwrap_or(0);
    (highest + 1).max(seq)
}

/// Cuts the torn end and makes durable what was read: a process that was killed leaves its last
/// records in the system's memory only, those before a seal among them.
fn go_on(storage: &dyn Storage, resume: &Resume, plan: &Plan) -> Result<Active, WalError> {
    let (name, end) = (&resume.name, resume.end);
    let file = patiently(|| storage.open(name)).map_err(WalError::io("open", name))?;
    let len = patiently(|| file.len()).map_err(WalError::io("find the length of", name))?;
    if len != end {
        patiently(|| file.truncate(end)).map_err(WalError::io("cut", name))?;
    }
    for older in &plan.older {
        let file = patiently(|| storage.open(older)).map_err(WalError::io("open", older))?;
        patiently(|| file.sync()).map_err(WalError::io("sync", older))?;
    }
    patiently(|| file.sync()).map_err(WalError::io("sync", name))?;
    for unused in plan.remove.iter().filter(|name| is_unused(name, resume)) {
        patiently(|| storage.remove(unused)).map_err(WalError::io("remove", unused))?;
    }
    patiently(|| storage.sync_dir()).map_err(WalError::io("sync the directory of", name))?;
    Ok(Active {
        name: name.clone(),
        seq: resume.seq,
        file,
        seed: resume.salt_seed,
        running: resume.running,
        end,
        base: resume.base,
    })
}

/// Writes what was recovered as a checkpoint; for a new directory an ordinary first segment.
fn rewrite(
    storage: &dyn Storage,
    options: &Options,
    plan: &Plan,
    seq: u64,
    checkpoint: bool,
) -> Result<Active, WalError> {
    let salt = patiently(|| storage.salt());
    let salt = salt.map_err(WalError::io("draw a random number for", "a segment"))?;
    // A new log has no names yet to be relied on.
    let header = Header {
        checkpoint,
        owner: options.owner,
        seq,
        salt,
        previous: plan.last_segment,
        previous_running: 0,
        first_record: plan.last_record + 1,
        live: plan.records.len() as u64,
        durable: plan.last_record,
    };
    make::segment(storage, &header, &plan.records).map_err(make::Unmade::into_error)
}

/// Leaves the mark that there is a log.
fn mark_started(storage: &dyn Storage, names: &BTreeSet<String>) -> Result<(), WalError> {
    if names.contains(STARTED_NAME) {
        return Ok(());
    }
    patiently(|| storage.create(STARTED_NAME)).map_err(WalError::io("create", STARTED_NAME))?;
    let synced = patiently(|| storage.sync_dir());
    synced.map_err(WalError::io("sync the directory of", STARTED_NAME))
}

/// Keeps a damaged file under a name that is not used.
fn set_aside(
    storage: &dyn Storage,
    name: &str,
    names: &mut BTreeSet<String>,
) -> Result<String, WalError> {
    let numbered = (1_u32..).map(|n| format!("{name}.{n}{BAD_ENDING}"));
    let mut free = std::iter::once(format!("{name}{BAD_ENDING}")).chain(numbered);
    let kept = free.find(|kept| !names.contains(kept)).unwrap_or_default();
    patiently(|| storage.rename(name, &kept)).map_err(WalError::io("set aside", name))?;
    names.insert(kept.clone());
    Ok(kept)
}
