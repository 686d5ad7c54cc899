//! What was typed at the prompt, kept in `.parvi/history` from one run to the next.
//!
//! Invariant: written once, at exit, by the thread that ends the process: the prompt's own thread
//! may be blocked in a read then. One line each, the newest last, at most `LINES_MAX`, mode 0600.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use crate::base::name::PRIVATE_FOLDER;

/// Lines kept.
const LINES_MAX: usize = 1_000;

/// The lines of this run and the ones before.
pub(super) struct History {
    path: PathBuf,
    lines: Mutex<VecDeque<String>>,
}

impl History {
    /// The history of a data directory; empty when there is none that can be read.
    pub(super) fn load(data: &Path) -> History {
        let path = data.join(PRIVATE_FOLDER).join("history");
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let mut lines: VecDeque<String> = text.lines().map(str::to_owned).collect();
        lines.drain(..lines.len().saturating_sub(LINES_MAX));
        History { path, lines: Mutex::new(lines) }
    }

    /// All lines, oldest first.
    pub(super) fn lines(&self) -> Vec<String> {
        self.lines.lock().iter().cloned().collect()
    }

    /// One more line; a repetition of the last is not kept, nor a number: an answer, no command.
    pub(super) fn add(&self, line: &str) {
        let mut lines = self.lines.lock();
        let number = line.trim().parse::<i64>().is_ok();
        if line.trim().is_empty() || number || lines.back().is_some_and(|last| last == line) {
            return;
        }
        if lines.len() == LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(line.to_owned());
    }

    /// Writes it down.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn save(&self) -> io::Result<()> {
        let mut options = std::fs::OpenOptions::new();
        let mut file =
            options.write(true).create(true).truncate(true).mode(0o600).open(&self.path)?;
        let text: String = self.lines.lock().iter().flat_map(|line| [line, "\n"]).collect();
        file.write_all(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back_in_their_order_without_repetitions() {
        let data = tempfile::tempdir().unwrap();
        std::fs::create_dir(data.path().join(PRIVATE_FOLDER)).unwrap();
        let history = History::load(data.path());
        for line in ["peers", "peers", " ", "-2", "lookup x"] {
            history.add(line);
        }
        history.save().unwrap();
        let again = History::load(data.path());
        assert_eq!(again.lines(), ["peers", "lookup x"]);
        for n in 0..LINES_MAX {
            again.add(&format!("pause {n}"));
        }
        assert_eq!(again.lines().len(), LINES_MAX);
        assert_eq!(again.lines()[0], "pause 0", "the oldest make room");
    }
}
