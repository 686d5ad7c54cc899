//! What is wrong with a node, a tracker or the machine under it, and what to do about that.
//!
//! Whoever can look gathers [`Facts`]; [`examine`] turns them into findings. Invariant: it asks nobody and
//! touches nothing, so every rule is a line in a table of tests; each finding that is not fine says what to
//! do; the findings come in the same order always.
//!
//! ```text
//! Facts ─┬─ place     disk, clock, limits ─┐
//!        ├─ doors     ports, addresses ────┼─> Report
//!        └─ company   key, trackers, nodes ┘
//! ```

mod company;
mod doors;
mod facts;
mod place;
#[cfg(test)]
mod tests;

use serde::Serialize;

pub use facts::{
    Addresses, Answered, Call, Clock, Disk, Door, Facts, FileSystem, Future, Interface, KeyFile,
    KeyState, Limits, Listener, Met, Registered, Role, SwarmKey, Tracker, Unreachable,
};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// It works, or will, but not as well as it could.
    Warning,
    /// It does not work.
    Problem,
}

/// What was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Check {
    /// Room on the disk, and the right to use it.
    Disk,
    /// The wall clock.
    Clock,
    /// What the system lets a process have.
    Limits,
    /// The ports that are listened on.
    Ports,
    /// Under which address others find it.
    Addresses,
    /// Its identity, and the swarm's key.
    Key,
    /// The trackers.
    Tracker,
    /// The other nodes.
    Nodes,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The check it belongs to.
    pub check: Check,
    /// How bad it is.
    pub level: Level,
    /// What was looked at, and what was seen.
    pub seen: String,
    /// What is wrong with that; empty where nothing is.
    pub wrong: String,
    /// What to do; empty where nothing is wrong.
    pub todo: String,
}

impl Finding {
    fn ok(check: Check, seen: impl Into<String>) -> Finding {
        Finding {
            check,
            level: Level::Ok,
            seen: seen.into(),
            wrong: String::new(),
            todo: String::new(),
        }
    }

    fn warning(
        check: Check,
        seen: impl Into<String>,
        wrong: impl Into<String>,
        todo: impl Into<String>,
    ) -> Finding {
        let (wrong, todo) = (wrong.into(), todo.into());
        Finding { level: Level::Warning, wrong, todo, ..Finding::ok(check, seen) }
    }

    fn problem(
        check: Check,
        seen: impl Into<String>,
        wrong: impl Into<String>,
        todo: impl Into<String>,
    ) -> Finding {
        Finding { level: Level::Problem, ..Finding::warning(check, seen, wrong, todo) }
    }
}

/// All findings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Things that do not work.
    pub problems: usize,
    /// Things that could be better.
    pub warnings: usize,
    /// Everything that was looked at.
    pub findings: Vec<Finding>,
}

/// Judges the facts.
pub fn examine(facts: &Facts) -> Report {
    let mut findings = place::disk(&facts.disk);
    findings.extend(place::clock(&facts.clock));
    findings.extend(place::limits(&facts.limits));
    findings.extend(doors::ports(facts));
    findings.extend(doors::addresses(facts));
    findings.extend(company::keys(facts));
    findings.extend(facts.trackers.iter().map(|tracker| company::tracker(facts, tracker)));
    findings.extend(company::no_tracker(facts));
    findings.extend(company::nodes(facts));
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    let (problems, warnings) = (count(Level::Problem), count(Level::Warning));
    Report { problems, warnings, findings }
}

/// A word as it is typed in a shell, in all advice there is.
pub fn typed(path: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,@%:".contains(c);
    match !path.is_empty() && path.chars().all(plain) {
        true => path.to_owned(),
        false => format!("'{}'", path.replace('\'', "'\\''")),
    }
}
