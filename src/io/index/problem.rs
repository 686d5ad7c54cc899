//! What lies in a shared folder and cannot be shared, told to people.

use std::fmt::Display;
use std::io;
use std::path::Path;

use crate::base::name::printable;

/// Most problems that are listed; more are only counted.
const PROBLEMS_MAX: usize = 200;

/// A file that is not shared, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Its path, made printable.
    pub path: String,
    /// Why, and what to do.
    pub why: String,
}

/// The problems of one scan, and of what was opened since.
#[derive(Debug, Clone, Default)]
pub(super) struct Problems {
    pub(super) listed: Vec<Problem>,
    pub(super) more: u64,
}

impl Problems {
    pub(super) fn add(&mut self, path: &Path, why: impl Display) {
        if self.listed.len() < PROBLEMS_MAX {
            let path = printable(&path.to_string_lossy()).into_owned();
            self.listed.push(Problem { path, why: printable(&why.to_string()).into_owned() });
        } else {
            self.more += 1;
        }
    }

    /// The same, unless `path` is listed already, or no more are; tells whether it is listed now.
    pub(super) fn add_once(&mut self, path: &Path, why: impl Display) -> bool {
        let text = path.to_string_lossy();
        let fresh = self.listed.iter().all(|problem| problem.path != printable(&text));
        let fits = fresh && self.listed.len() < PROBLEMS_MAX;
        if fits {
            self.add(path, why);
        }
        fits
    }
}

/// Words for what the system does not let us read, and what to do where a person can.
pub(super) fn unreadable(error: &io::Error) -> String {
    let todo = match error.kind() {
        io::ErrorKind::PermissionDenied => "; let the user that parvi runs as read it",
        _ => "",
    };
    format!("could not be read: {error}{todo}")
}
