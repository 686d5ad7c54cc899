//! Shows a log to people, and checks it, without touching it.
//!
//! Invariant: only lists, opens and reads; takes no lock, so it may look at a log in use and then
//! sees an unfinished end. What a payload means is the caller's to say. It ends with text, or with
//! an error when the directory itself cannot be read.

use std::fmt::Write;

use crate::chain;
use crate::error::WalError;
use crate::open::{list, look, read};
use crate::record::{KIND_CHECKPOINT_END, KIND_RESERVED, KIND_SEAL, Record};
use crate::report::{Recovered, Report};
use crate::scan::{Found, Scan};
use crate::segment::{NoHeader, seq_of};
use crate::storage::Storage;

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// 0 when nothing is wrong, 1 with damage. A torn end alone is not wrong.
    pub code: u8,
    /// How many records a node would get.
    pub records: usize,
    /// What a node would be told.
    pub report: Report,
}

/// All segments in `storage` with their records, one a line; `meaning` explains a record.
///
/// # Errors
/// When the directory or a file cannot be opened.
pub fn dump(
    storage: &dyn Storage,
    meaning: &dyn Fn(&Record) -> String,
) -> Result<String, WalError> {
    let mut out = String::new();
    for name in list(storage)?.iter().filter(|name| seq_of(name).is_some()) {
        match read(storage, name)?.scan {
            Ok(scan) => show_segment(&mut out, name, &scan, meaning),
            Err(NoHeader::Unreadable) => out += &format!("{name}: no readable header\n"),
            Err(NoHeader::Version(found)) => out += &format!("{name}: format version {found}\n"),
        }
    }
    Ok(out)
}

fn show_segment(out: &mut String, name: &str, scan: &Scan, meaning: &dyn Fn(&Record) -> String) {
    let header = &scan.header;
    let mut say = |line: &str| {
        out.push_str(line);
        out.push('\n');
    };
    let owner = hex(&header.owner[..8]);
    let what = if header.checkpoint { "checkpoint" } else { "segment" };
    say(&format!(
        "{name}: {what} {:x} after {:x}, owner {owner}, {} bytes, salt {:016x}",
        header.seq, header.previous, scan.len, header.salt
    ));
    let mut bad = scan.bad.iter().peekable();
    for found in &scan.found {
        while let Some(bad) = bad.next_if(|bad| bad.from <= found.offset) {
            say(&format!("  {:>10}  {} bytes are no record", bad.from, bad.to - bad.from));
        }
        say(&show_record(found, meaning));
    }
    for bad in bad {
        say(&format!("  {:>10}  {} bytes are no record", bad.from, bad.to - bad.from));
    }
}

fn show_record(found: &Found, meaning: &dyn Fn(&Record) -> String) -> String {
    let Found { offset, seq, record, .. } = found;
    let what = match record.kind {
        KIND_CHECKPOINT_END => "end of the live set".to_owned(),
        KIND_SEAL => format!("seal, next is {}", hex(&record.payload)),
        kind if kind >= KIND_RESERVED => format!("unknown kind {kind:#x}"),
        kind => format!("kind {kind}, {} bytes: {}", record.payload.len(), meaning(record)),
    };
    format!("  {offset:>10}  record {seq}: {what}")
}

/// Checks the log in `storage` as `owner` would open it; without an owner, as the first segment's.
///
/// # Errors
/// When the directory or a file cannot be opened.
pub fn verify(storage: &dyn Storage, owner: Option<[u8; 32]>) -> Result<Verdict, WalError> {
    let owner = match owner {
        Some(owner) => owner,
        None => first_owner(storage, list(storage)?.iter())?.unwrap_or_default(),
    };
    let Recovered { records, report } = inspect(storage, &owner)?;
    let code = u8::from(!report.is_whole());
    Ok(Verdict { code, records: records.len(), report })
}

/// What [`Wal::open`](crate::Wal::open) would return, had it nothing to do.
///
/// # Errors
/// When the directory or a file cannot be opened.
pub fn inspect(storage: &dyn Storage, owner: &[u8; 32]) -> Result<Recovered, WalError> {
    let plan = look(storage, &list(storage)?, owner)?;
    let chain::Plan { records, damage, torn, segments, .. } = plan;
    Ok(Recovered { records, report: Report { segments, torn, damage, ..Report::default() } })
}

fn first_owner<'a>(
    storage: &dyn Storage,
    mut names: impl Iterator<Item = &'a String>,
) -> Result<Option<[u8; 32]>, WalError> {
    let Some(name) = names.find(|name| seq_of(name).is_some()) else { return Ok(None) };
    match read(storage, name)?.scan {
        Ok(scan) => Ok(Some(scan.header.owner)),
        Err(_) => first_owner(storage, names),
    }
}

/// The bytes as hex digits, for a `meaning` that has nothing better.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut out, byte| {
        // SAFETY: writing to a String does not fail.
        #[expect(clippy::unwrap_used, reason = "a String takes everything")]
        write!(out, "{byte:02x}").unwrap();
        out
    })
}
