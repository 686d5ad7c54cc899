//! From segments that were read to a verdict: which belong together, what is wrong, what to do.
//!
//! Invariant: pure; nothing is touched. Every valid record of this owner since the newest
//! checkpoint is returned, whatever else is wrong; nothing from an older one is. Any damage in that
//! part means that it cannot be gone on with: its records go to a new segment (`rewrite`).

use std::collections::BTreeSet;

use crate::record::{KIND_CHECKPOINT_END, KIND_RESERVED, KIND_SEAL, Record};
use crate::report::{Damage, Fault, Lost, Torn};
use crate::scan::{Bad, Scan};
use crate::segment::{HEADER_LEN, NoHeader, name_of};

/// One file with a segment's name.
pub(crate) struct File {
    pub name: String,
    pub scan: Result<Scan, NoHeader>,
}

/// Where appending goes on.
#[derive(Debug)]
pub(crate) struct Resume {
    pub name: String,
    pub seq: u64,
    pub salt_seed: u32,
    pub running: u32,
    pub end: u64,
    /// Where the live set ends, or the header.
    pub base: u64,
    pub last_record: u64,
}

/// What to do with a directory.
#[derive(Default)]
pub(crate) struct Plan {
    pub records: Vec<Record>,
    pub damage: Vec<Damage>,
    pub torn: Option<Torn>,
    /// Files to keep under another name.
    pub aside: Vec<String>,
    /// Files that nothing needs any more, oldest first.
    pub remove: Vec<String>,
    /// Files of the live part, the last one not among them.
    pub older: Vec<String>,
    /// `None` when the live part cannot be gone on with, or there is none.
    pub resume: Option<Resume>,
    pub segments: usize,
    /// The last record anywhere.
    pub last_record: u64,
    /// The last segment anywhere.
    pub last_segment: u64,
    /// Bytes of records behind the live set.
    pub since_checkpoint: u64,
    /// Bytes of the live set, with the header before it.
    pub live_bytes: u64,
}

/// Judges `files` as the log of `owner`.
pub(crate) fn judge(files: Vec<File>, owner: &[u8; 32]) -> Plan {
    let mut plan = Plan::default();
    let mut ours = own_segments(files, owner, &mut plan);
    plan.last_record = ours.iter().map(|(_, scan)| scan.last_seq()).max().unwrap_or(0);
    plan.last_segment = ours.last().map_or(0, |(_, scan)| scan.header.seq);
    let start = (0..ours.len()).rev().find(|at| replaces_all_before(&ours, *at)).unwrap_or(0);
    let live = ours.split_off(start);
    for (name, scan) in ours {
        judge_obsolete(name, &scan, &mut plan);
    }
    judge_live(live, &mut plan);
    plan
}

/// The segments of `owner` by number, each once; what else there is goes aside.
fn own_segments(files: Vec<File>, owner: &[u8; 32], plan: &mut Plan) -> Vec<(String, Scan)> {
    let mut ours: Vec<(String, Scan)> = Vec::new();
    for File { name, scan } in files {
        match scan {
            Ok(scan) if scan.header.owner == *owner => ours.push((name, scan)),
            Ok(scan) => plan.put_aside(name, Fault::Foreign(scan.header.owner)),
            Err(NoHeader::Version(found)) => plan.put_aside(name, Fault::Version(found)),
            Err(NoHeader::Unreadable) => plan.put_aside(name, Fault::Header),
        }
    }
    // Of two copies the one with the right name stands first and is used.
    ours.sort_by_key(|(name, scan)| {
        (scan.header.seq, *name != name_of(scan.header.seq), name.clone())
    });
    let mut single: Vec<(String, Scan)> = Vec::new();
    for (name, scan) in ours {
        match single.last() {
            Some((original, used)) if used.header.seq == scan.header.seq => {
                plan.put_aside(name, Fault::Doubled { original: original.clone() });
            }
            _ => single.push((name, scan)),
        }
    }
    single
}

/// Whether `ours[at]` is a checkpoint of what is before it. One from an earlier life of the
/// directory has numbers that do not follow.
fn replaces_all_before(ours: &[(String, Scan)], at: usize) -> bool {
    let header = &ours[at].1.header;
    header.checkpoint
        && ours[..at].iter().all(|(_, before)| before.last_seq() < header.first_record)
}

/// A segment from before the checkpoint: of no use, but damage is worth a look.
fn judge_obsolete(name: String, scan: &Scan, plan: &mut Plan) {
    let before = plan.damage.len();
    judge_bytes(&name, scan, &mut plan.damage);
    plan.damage.extend(scan.bad.iter().filter(|b| !scan.is_tail(b)).map(|b| lost(&name, b, false)));
    if plan.damage.len() > before {
        plan.aside.push(name);
    } else {
        plan.remove.push(name);
    }
}

fn judge_live(mut live: Vec<(String, Scan)>, plan: &mut Plan) {
    if let Some(unused) = interrupted_rotation(&live) {
        live.truncate(unused);
        plan.remove.push(name_of(plan.last_segment));
    }
    plan.segments = live.len();
    plan.live_bytes = live.first().map_or(0, |(_, scan)| base(scan));
    let damage_before = plan.damage.len();
    let mut before: Option<&Scan> = None;
    for (at, (name, scan)) in live.iter().enumerate() {
        judge_bytes(name, scan, &mut plan.damage);
        judge_bad(name, scan, &live[at + 1..], plan);
        judge_link(name, before, scan, &mut plan.damage);
        before = Some(scan);
    }
    if let Some((name, scan)) = live.last() {
        judge_missing_end(name, scan, plan);
    }
    if plan.damage.len() == damage_before {
        plan.resume = live.last().map(|(name, scan)| resume(name, scan));
    }
    // Who tells of a missing segment is not bad himself.
    let of_a_file = |d: &&Damage| !matches!(d.what, Fault::Missing { .. });
    let damaged = plan.damage[damage_before..].iter().filter(of_a_file).map(|d| d.file.clone());
    collect(live, &damaged.collect(), plan);
}

/// Takes the records, and sorts the files into those to keep aside and those that are whole.
fn collect(live: Vec<(String, Scan)>, damaged: &BTreeSet<String>, plan: &mut Plan) {
    for (name, scan) in live {
        plan.since_checkpoint += scan.end - base(&scan);
        plan.records.extend(scan.found.into_iter().map(|f| f.record).filter(is_callers));
        if damaged.contains(&name) {
            plan.aside.push(name);
        } else {
            plan.older.push(name);
        }
    }
    if plan.resume.is_some() {
        plan.older.pop();
    } else {
        plan.remove.append(&mut plan.older);
    }
}

/// Where an empty segment is that was made and not used, since the one before was not sealed.
fn interrupted_rotation(live: &[(String, Scan)]) -> Option<usize> {
    let [.., (_, before), (name, last)] = live else { return None };
    let unused = last.len == HEADER_LEN as u64
        && last.bad_copy.is_none()
        && !last.header.checkpoint
        && *name == name_of(last.header.seq);
    let unsealed = before.sealed_for().is_none() && last.header.previous == before.header.seq;
    // What had been synced by then is there, or the segment before was cut, not unfinished.
    let whole = before.last_seq() >= last.header.durable;
    (unused && unsealed && whole).then(|| live.len() - 1)
}

/// What is wrong with a file by itself, its bad bytes left out.
fn judge_bytes(name: &str, scan: &Scan, damage: &mut Vec<Damage>) {
    if let Some(at) = scan.bad_copy {
        damage.push(Damage { file: name.to_owned(), offset: at, what: Fault::HeaderCopy });
    }
    if name != name_of(scan.header.seq) {
        damage.push(at_start(name, Fault::Misnamed { segment: scan.header.seq }));
    }
    for found in &scan.found {
        let kind = found.record.kind;
        if kind >= KIND_RESERVED && ![KIND_CHECKPOINT_END, KIND_SEAL].contains(&kind) {
            let what = Fault::UnknownKind(kind);
            damage.push(Damage { file: name.to_owned(), offset: found.offset, what });
        }
    }
    let (found, end) = scan.live_set();
    if scan.header.checkpoint && (!end || found != scan.header.live) {
        let what = Fault::CheckpointIncomplete { expected: scan.header.live, found };
        damage.push(Damage { file: name.to_owned(), offset: scan.end, what });
    }
}

/// Bad bytes: a torn end when nothing comes `later`, else damage.
fn judge_bad(name: &str, scan: &Scan, later: &[(String, Scan)], plan: &mut Plan) {
    let durable = durable_for_sure(scan, later);
    for bad in &scan.bad {
        if later.is_empty() && scan.is_tail(bad) {
            let (offset, bytes) = (bad.from, bad.to - bad.from);
            plan.torn = Some(Torn { file: name.to_owned(), offset, bytes });
        } else {
            plan.damage.push(lost(name, bad, bad.first_lost <= durable));
        }
    }
}

/// The last record of the segment that must have been durable, by all that was written since.
fn durable_for_sure(scan: &Scan, later: &[(String, Scan)]) -> u64 {
    if later.iter().any(|(_, scan)| !scan.found.is_empty()) {
        return u64::MAX;
    }
    let header = &scan.header;
    let live_set = if header.checkpoint { header.first_record + header.live } else { 0 };
    let told = scan.found.iter().map(|found| found.durable);
    told.chain(later.iter().map(|(_, scan)| scan.header.durable)).fold(live_set, u64::max)
}

/// Whether `scan` goes on where `before` ended.
fn judge_link(name: &str, before: Option<&Scan>, scan: &Scan, damage: &mut Vec<Damage>) {
    let previous = scan.header.previous;
    let Some(before) = before else {
        if previous != 0 && !scan.header.checkpoint {
            damage.push(at_start(name, Fault::Missing { first: 1, last: previous }));
        }
        return;
    };
    if previous < before.header.seq {
        damage.push(at_start(name, Fault::Unchained));
    } else if previous > before.header.seq {
        let first = before.sealed_for().unwrap_or(before.header.seq + 1);
        damage.push(at_start(name, Fault::Missing { first, last: previous }));
    } else if before.sealed_for().is_none() {
        let file = name_of(before.header.seq);
        damage.push(Damage { file, offset: before.end, what: Fault::Unsealed });
    } else if before.bad.is_empty() && !goes_on(before, scan) {
        damage.push(at_start(name, Fault::Unchained));
    }
}

fn goes_on(before: &Scan, scan: &Scan) -> bool {
    before.sealed_for() == Some(scan.header.seq)
        && scan.header.first_record == before.last_seq() + 1
        && scan.header.previous_running == before.running
}

/// A sealed segment is not the last one.
fn judge_missing_end(name: &str, scan: &Scan, plan: &mut Plan) {
    if let Some(next) = scan.sealed_for() {
        let what = Fault::Missing { first: next, last: 0 };
        plan.damage.push(Damage { file: name.to_owned(), offset: scan.end, what });
    }
}

fn resume(name: &str, scan: &Scan) -> Resume {
    Resume {
        name: name.to_owned(),
        seq: scan.header.seq,
        salt_seed: scan.header.seed(),
        running: scan.running,
        end: scan.end,
        base: base(scan),
        last_record: scan.last_seq(),
    }
}

/// Where the live set ends, or the header.
fn base(scan: &Scan) -> u64 {
    let end = scan.found.iter().find(|f| f.record.kind == KIND_CHECKPOINT_END);
    end.map_or(HEADER_LEN as u64, |f| f.offset + f.record.stored_len())
}

fn is_callers(record: &Record) -> bool {
    record.kind < KIND_RESERVED
}

fn at_start(name: &str, what: Fault) -> Damage {
    Damage { file: name.to_owned(), offset: 0, what }
}

fn lost(name: &str, bad: &Bad, was_durable: bool) -> Damage {
    let lost = Lost {
        bytes: bad.to - bad.from,
        first_record: bad.first_lost,
        last_record: bad.last_lost,
        was_durable,
    };
    let what = if bad.unreadable { Fault::Unreadable(lost) } else { Fault::Corrupt(lost) };
    Damage { file: name.to_owned(), offset: bad.from, what }
}

impl Plan {
    fn put_aside(&mut self, name: String, what: Fault) {
        self.damage.push(at_start(&name, what));
        self.aside.push(name);
    }
}
