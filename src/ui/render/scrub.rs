//! What is stored and kept for others, as text for people.

use std::time::Duration;

use super::size;
use crate::base::name::printable;
use crate::node::view::{KeptStatus, Listing, RotState, RottenRow, ScrubStatus};

/// The line of `show` about copies for others.
pub(super) fn kept_text(kept: &KeptStatus) -> String {
    let room = match kept.keeps {
        true => format!("room for {} more", size(kept.room)),
        false => "no further ones (--no-replicas)".into(),
    };
    format!("keeps    {} copies for others, {}; {room}\n", kept.files, size(kept.bytes))
}

/// What `scrub` shows.
pub(super) fn scrub_text(status: &ScrubStatus) -> String {
    let read = format!("{} files, {}", status.files, size(status.bytes));
    let mut out = match status.reading {
        true => {
            let rate = status.rate.map(|rate| format!(" at {}/s", size(rate)));
            let rate = rate.unwrap_or_default();
            format!("reading{rate}: {read} of {} are read\n", size(status.stored))
        }
        false if status.off => format!("off; `scrub now` reads all {}\n", size(status.stored)),
        false => {
            // A month in seconds is told in days.
            let days = Duration::from_secs(status.next_in_s).as_secs_f64() / 86_400.0;
            let last =
                if status.rounds > 0 { format!("{read} were read; ") } else { String::new() };
            format!("resting; {last}the next round begins in {days:.1} days\n")
        }
    };
    if status.rotten.is_empty() && status.unread.is_empty() {
        out.push_str("nothing is known to rot\n");
    }
    status.rotten.iter().for_each(|row| out.push_str(&rotten_text(row)));
    for file in &status.unread {
        out.push_str(&format!("{} {}\n", file.name, printable(&file.why)));
    }
    out
}

fn rotten_text(row: &RottenRow) -> String {
    let folder = match row.folder {
        Listing::Local => "shared",
        Listing::Downloaded => "downloaded",
        Listing::Replicated => "replicated",
    };
    let state = match &row.state {
        RotState::Yours => {
            "yours: `scrub repair` fetches it again; touch it, if you changed it yourself".into()
        }
        RotState::Waiting => "is to be fetched again".into(),
        RotState::Fetching => "is being fetched again".into(),
        RotState::Repaired => "is whole again".into(),
        RotState::Failed(why) => format!("not whole again: {}; tried again", printable(why)),
    };
    let aside = if row.aside { "; the old bytes are beside it, as .rotten" } else { "" };
    let (name, root) = (&row.name, row.root.short());
    format!("rotten  {folder}  {name}  {}  was {root}  {state}{aside}\n", size(row.size))
}
