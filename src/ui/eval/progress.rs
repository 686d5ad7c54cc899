//! How far a run is: a bar on a terminal, a line for each finished cell elsewhere.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

use crate::ui::output;

const BAR: &str = "{wide_msg} [{bar:24}] {pos}/{len}, {eta} left";

/// See the module.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    done: usize,
    all: usize,
}

impl Progress {
    /// Of `all` cells, `done` are finished already.
    pub(super) fn new(all: usize, done: usize) -> Progress {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(all as u64).with_position(done as u64);
            if let Ok(style) = ProgressStyle::with_template(BAR) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.reset_eta();
            bar
        });
        Progress { bar, done, all }
    }

    /// What is measured now.
    pub(super) fn begin(&self, words: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(words.to_owned());
        }
    }

    /// A cell is finished, and came to `result`.
    pub(super) fn end(&mut self, words: &str, result: &str) {
        self.done += 1;
        let line = format!("{}/{} {words}: {result}", self.done, self.all);
        match &self.bar {
            Some(bar) => {
                bar.println(line);
                bar.inc(1);
            }
            None => output::err(&format!("{line}\n")),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
