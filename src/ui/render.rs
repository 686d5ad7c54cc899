//! Outcomes as text for people or as one JSON document with the contract's field names.
//!
//! Invariant: text never carries a raw control character of a name (`base::name::printable`);
//! JSON carries names as they are, escaped by JSON's own rules. Every text ends with a newline.

mod doctor;
mod scrub;
mod stats;
mod why;

use bytesize::ByteSize;
use comfy_table::{Table, presets};
use serde::Serialize;
use serde_json::json;

use self::doctor::doctor_text;
use self::scrub::{kept_text, scrub_text};
use self::stats::stats_text;
use self::why::{why_json, why_text};
use super::outcome::Outcome;
use crate::base::name::printable;
use crate::base::{Fault, Name, Rate};
use crate::node::view::{
    Direction, DownloadReport, FileRow, IndexedFile, LookupHit, NodeStatus, PeerRow, Source,
    TransferRow, TransferState,
};
use crate::tracker;

/// The outcome as it goes to standard output.
///
/// # Errors
/// When a value cannot be written as JSON.
pub fn render(outcome: &Outcome, json: bool) -> Result<String, Fault> {
    if json { render_json(outcome) } else { Ok(render_text(outcome)) }
}

fn render_json(outcome: &Outcome) -> Result<String, Fault> {
    match outcome {
        Outcome::Help(text) => document(&json!({ "help": text })),
        Outcome::Ip(ip) => document(&json!({ "ip": ip })),
        Outcome::Status(status) => document(status),
        Outcome::Files(rows) => document(rows),
        Outcome::Found { name, hits } => one_or_all(hits, |hit| hit.name == *name),
        Outcome::Matches(hits) => document(hits),
        Outcome::Indexed(rows) => document(rows),
        Outcome::Started { id, name } => document(&json!({ "id": id, "name": name })),
        Outcome::Downloaded { name, reports } => one_or_all(reports, |r| r.name == *name),
        Outcome::Changed { id, to } => document(&json!({ "id": id, "state": to })),
        Outcome::Limited { id, rate } => {
            document(&json!({ "id": id, "limit": rate.map(Rate::bytes) }))
        }
        Outcome::Shared(name) => document(&json!({ "name": name, "shared": true })),
        Outcome::Unshared(name) => document(&json!({ "name": name, "shared": false })),
        Outcome::Peers(rows) => document(rows),
        Outcome::Transfers(rows) => document(rows),
        Outcome::Stats(stats) => document(stats),
        Outcome::TrackerPeers(rows) => document(rows),
        Outcome::TrackerFiles(rows) => document(rows),
        Outcome::TrackerStats(stats) => document(stats),
        Outcome::Why(files) => document(&why_json(files)),
        Outcome::Scrub(status) => document(status),
        Outcome::StatsReset => document(&json!({ "reset": true })),
        Outcome::Doctor(report) => document(report),
        Outcome::Left => document(&json!({ "exit": 0 })),
        Outcome::Nothing => document(&json!({})),
    }
}

/// The contract: one file that was asked for by its own name is an object; a folder, or several
/// contents under one name, are an array.
fn one_or_all<T: Serialize>(rows: &[T], asked_for: impl Fn(&T) -> bool) -> Result<String, Fault> {
    match rows {
        [one] if asked_for(one) => document(one),
        all => document(&all),
    }
}

fn document<T: Serialize + ?Sized>(value: &T) -> Result<String, Fault> {
    let text = serde_json::to_string(value)
        .map_err(|e| Fault::other(format!("cannot write the answer as JSON: {e}")))?;
    Ok(text + "\n")
}

fn render_text(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Help(text) => text.clone(),
        Outcome::Ip(ip) => format!("{ip}\n"),
        Outcome::Status(status) => status_text(status),
        Outcome::Files(rows) => files_text(rows),
        Outcome::Found { hits, .. } | Outcome::Matches(hits) => hits.iter().map(hit_text).collect(),
        Outcome::Indexed(rows) => indexed_text(rows),
        Outcome::Started { id, name } => format!("download {id} started: {name}\n"),
        Outcome::Downloaded { reports, .. } => reports.iter().map(report_text).collect(),
        Outcome::Changed { id, to } => format!("transfer {id} {to}\n"),
        Outcome::Limited { id, rate: Some(rate) } => format!("transfer {id} limited to {rate}\n"),
        Outcome::Limited { id, rate: None } => format!("transfer {id} not limited\n"),
        Outcome::Shared(name) => format!("shared as {name}\n"),
        Outcome::Unshared(name) => format!("{name} is no longer shared\n"),
        Outcome::Peers(rows) => peers_text(rows),
        Outcome::Transfers(rows) => transfers_text(rows),
        Outcome::Stats(stats) => stats_text(stats),
        Outcome::TrackerPeers(rows) => tracker_peers_text(rows),
        Outcome::TrackerFiles(rows) => tracker_files_text(rows),
        Outcome::TrackerStats(stats) => tracker_stats_text(stats),
        Outcome::Why(files) => files.iter().map(why_text).collect(),
        Outcome::Scrub(status) => scrub_text(status),
        Outcome::StatsReset => "counts from zero\n".into(),
        Outcome::Doctor(report) => doctor_text(report),
        Outcome::Left | Outcome::Nothing => String::new(),
    }
}

/// Bytes for people.
pub fn size(bytes: u64) -> String {
    ByteSize(bytes).to_string()
}

/// Who sent how much, for people: `alice 3.0 MiB, bob 1.0 MiB`.
pub fn sources(sources: &[Source]) -> String {
    let one = |s: &Source| format!("{} {}", s.node, size(s.bytes));
    sources.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// How far a transfer is: `1.0 MiB of 4.0 MiB (25 %)`.
pub fn progress(row: &TransferRow) -> String {
    match (u128::from(row.done) * 100).checked_div(u128::from(row.total)) {
        Some(percent) => format!("{} of {} ({percent} %)", size(row.done), size(row.total)),
        None => "size not known yet".into(),
    }
}

/// How fast a transfer is, and what it is held to: `1.0 MiB/s, limit 2.0 MiB/s`.
fn rate(row: &TransferRow) -> String {
    let now = (row.rate > 0).then(|| format!("{}/s", size(row.rate)));
    let limit = row.limit.map(|limit| format!("limit {}/s", size(limit)));
    [now, limit].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// A transfer in one line, for waiting and for leaving.
pub fn transfer_line(row: &TransferRow) -> String {
    let (what, side) = match row.dir {
        Direction::Up => ("upload", "to"),
        Direction::Down => ("download", "from"),
    };
    let mut line = format!("{what} {} {}: {}", row.id, printable(&row.name), progress(row));
    let rate = rate(row);
    if !rate.is_empty() {
        line.push_str(&format!(", {rate}"));
    }
    if !row.peer.is_empty() {
        line.push_str(&format!(" {side} {}", printable(&row.peer)));
    }
    if !row.reason.is_empty() {
        line.push_str(&format!("; {}", printable(&row.reason)));
    }
    line
}

fn report_text(report: &DownloadReport) -> String {
    let path = report.path.to_string_lossy();
    let from = match report.sources.as_slice() {
        [] => "was there already".to_owned(),
        some => format!("in {:.1} s from {}", report.seconds, sources(some)),
    };
    format!("{}  {} {from}\n", printable(&path), size(report.bytes))
}

fn hit_text(hit: &LookupHit) -> String {
    let mut out = format!("{}  {}  {}\n", hit.name, size(hit.size), hit.root);
    let rows = hit.owners.iter().map(|o| {
        let held = if o.here { "here".into() } else { o.held() };
        [format!("  {}", o.node), o.addr.to_string(), held]
    });
    out.push_str(&table(None, rows));
    out
}

fn status_text(status: &NodeStatus) -> String {
    let bytes = status.files.iter().map(|f| f.size).sum();
    let mut out = format!(
        "node     {}\nid       {}\naddress  {}\ndata     {}\n",
        status.node,
        status.id,
        status.addr,
        printable(&status.data.to_string_lossy())
    );
    for tracker in &status.trackers {
        let state = match tracker.connected {
            true => "connected".into(),
            false => format!("not connected: {}", printable(&tracker.reason)),
        };
        out.push_str(&format!("tracker  {} {state}\n", printable(&tracker.addr)));
    }
    out.push_str(&format!("shares   {} files, {}\n", status.files.len(), size(bytes)));
    out.push_str(&kept_text(&status.keeps));
    if status.looking {
        out.push_str("looking  through its folders; more files may be found\n");
    }
    if status.hashing > 0 {
        out.push_str(&format!("hashing  {} files to go\n", status.hashing));
    }
    for problem in &status.problems {
        let (path, why) = (printable(&problem.path), printable(&problem.why));
        out.push_str(&format!("problem  {path}: {why}\n"));
    }
    if !status.files.is_empty() {
        out.push('\n');
        out.push_str(&files_text(&status.files));
    }
    out
}

fn files_text(rows: &[FileRow]) -> String {
    file_table(rows.iter().map(|f| (&f.name, f.size, f.root.to_string(), String::new())))
}

fn tracker_files_text(rows: &[tracker::FileRow]) -> String {
    let owners = |f: &tracker::FileRow| {
        f.owners.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    let owners = |f: &tracker::FileRow| held_by(&owners(f), (f.owners.len(), f.copies, f.stale));
    file_table(rows.iter().map(|f| (&f.name, f.size, f.root.to_string(), owners(f))))
}

fn indexed_text(rows: &[IndexedFile]) -> String {
    let owners = |f: &IndexedFile| {
        held_by(&printable(&f.owners.join(", ")), (f.owners.len(), f.copies, f.stale))
    };
    file_table(rows.iter().map(|f| (&f.name, f.size, f.root.to_string(), owners(f))))
}

/// Who has it, and how many more; who was not heard since the tracker's start may have it still.
fn held_by(named: &str, (names, copies, stale): (usize, u32, bool)) -> String {
    match (copies as usize).saturating_sub(names) {
        _ if stale => format!("{named} (stale)"),
        0 => named.to_owned(),
        more => format!("{named} and {more} more"),
    }
}

fn file_table<'a>(rows: impl Iterator<Item = (&'a Name, u64, String, String)>) -> String {
    let rows =
        rows.map(|(name, bytes, root, owners)| [size(bytes), root, name.to_string(), owners]);
    table(Some(["SIZE", "BLAKE3", "NAME", ""]), rows)
}

fn peers_text(rows: &[PeerRow]) -> String {
    let rows = rows.iter().map(|p| {
        let files = p.files.to_string();
        [p.node.to_string(), p.addr.to_string(), files, seen(p.last_seen_s, p.stale)]
    });
    table(Some(["NODE", "ADDRESS", "FILES", "SEEN"]), rows)
}

fn seen(seconds: u64, stale: bool) -> String {
    match stale {
        true => "stale: before the tracker's start".to_owned(),
        false => format!("{seconds} s ago"),
    }
}

fn tracker_peers_text(rows: &[tracker::PeerRow]) -> String {
    let rows = rows.iter().map(|p| {
        let files = p.files.to_string();
        [p.node.to_string(), p.addr.to_string(), files, seen(p.last_seen_s, p.stale)]
    });
    table(Some(["NODE", "ADDRESS", "FILES", "SEEN"]), rows)
}

fn transfers_text(rows: &[TransferRow]) -> String {
    let rows = rows.iter().map(|t| {
        let dir = match t.dir {
            Direction::Up => "up",
            Direction::Down => "down",
        };
        let plain = |s: &str| printable(s).into_owned();
        let (name, peer, why) = (plain(&t.name), plain(&t.peer), plain(&t.reason));
        [t.id.to_string(), dir.into(), state(t.state).into(), progress(t), rate(t), name, peer, why]
    });
    table(Some(["ID", "DIR", "STATE", "PROGRESS", "RATE", "NAME", "PEER", "REASON"]), rows)
}

fn state(state: TransferState) -> &'static str {
    match state {
        TransferState::Preparing => "preparing",
        TransferState::Moving => "moving",
        TransferState::Waiting => "waiting",
        TransferState::Paused => "paused",
        TransferState::Finishing => "finishing",
        TransferState::Done => "done",
        TransferState::Failed => "failed",
        TransferState::Cancelled => "cancelled",
    }
}

/// `39 of 40, 1 being made, 0 being removed; 22 made, 1 failed`
fn copies_text(s: &tracker::TrackerStats) -> String {
    format!(
        "{} of {}, {} being made, {} being removed; {} made, {} failed",
        s.copies_there,
        s.copies_wanted,
        s.copies_under_way,
        s.copies_leaving,
        s.copies_made,
        s.copies_failed
    )
}

fn tracker_stats_text(s: &tracker::TrackerStats) -> String {
    let rows = [
        ("up for", duration(s.uptime_s)),
        ("nodes", s.peers.to_string()),
        ("stale nodes", s.stale.to_string()),
        ("files", format!("{} ({})", s.files, size(s.bytes))),
        ("connections", s.connections.to_string()),
        ("registrations", s.registrations.to_string()),
        ("heartbeats", s.heartbeats.to_string()),
        ("lookups", s.lookups.to_string()),
        ("refused", s.refused.to_string()),
        ("copies", copies_text(s)),
    ];
    table(None, rows.map(|(what, value)| [what.to_owned(), value]))
}

fn duration(seconds: u64) -> String {
    humantime::format_duration(std::time::Duration::from_secs(seconds)).to_string()
}

/// Columns two spaces apart, no lines, nothing behind the last word.
fn table<const N: usize>(
    header: Option<[&str; N]>,
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if let Some(header) = header {
        table.set_header(header);
    }
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    if table.is_empty() && table.header().is_none() {
        return String::new();
    }
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

#[cfg(test)]
#[path = "render_tests.rs"]
mod tests;
