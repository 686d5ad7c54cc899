//! `why` for people and for programs.
//!
//! Invariant: a tracker's words are shown with control characters escaped, as a stranger's are.

use serde_json::{Value, json};

use super::{size, table};
use crate::base::Kept;
use crate::wire::message::copies::{CopyState, WhyCopy, WhyFile};

/// One content: what is wanted and what blocks in a line, then who has it and who is copying it.
pub(super) fn why_text(file: &WhyFile) -> String {
    let WhyFile { name, root, text, .. } = file;
    let mut out = format!("{name}  {}  {root}\n  {}\n", size(file.size), text.shown());
    let copies = file.copies.iter().map(|copy| {
        let seen = format!("seen {} s ago", copy.seen_s);
        [format!("  {}", node(copy)), kept(copy.kept).into(), state(copy.state).into(), seen]
    });
    let coming = file.coming.iter().map(|one| {
        let since = format!("since {} s", one.since_s);
        [format!("  {}", one.label), "replica".into(), "on the way".into(), since]
    });
    out.push_str(&table(None, copies.chain(coming)));
    out
}

/// All of it.
pub(super) fn why_json(files: &[WhyFile]) -> Value {
    files.iter().map(file_json).collect()
}

fn file_json(file: &WhyFile) -> Value {
    let copies = file.copies.iter().map(|copy| {
        json!({
            "node": copy.label.as_str(),
            "id": copy.node,
            "kept": kept(copy.kept),
            "state": state(copy.state),
            "last_seen_s": copy.seen_s,
        })
    });
    let coming = file
        .coming
        .iter()
        .map(|one| json!({ "node": one.label, "id": one.node, "since_s": one.since_s }));
    json!({
        "name": file.name,
        "size": file.size,
        "root": file.root,
        "wanted": file.wanted,
        "there": file.there,
        "copies": copies.collect::<Vec<_>>(),
        "coming": coming.collect::<Vec<_>>(),
        "why": file.text.as_str(),
    })
}

fn node(copy: &WhyCopy) -> String {
    match copy.label.as_str() {
        "" => copy.node.short(),
        _ => copy.label.shown(),
    }
}

fn kept(kept: Kept) -> &'static str {
    match kept {
        Kept::Shared => "shared",
        Kept::Downloaded => "downloaded",
        Kept::Replica => "replica",
    }
}

fn state(state: CopyState) -> &'static str {
    match state {
        CopyState::There => "there",
        CopyState::Away => "away",
        CopyState::Doubted => "doubted",
        CopyState::Leaving => "being removed",
    }
}
