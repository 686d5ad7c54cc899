//! Lines for the person at the prompt, from any thread.
//!
//! Policy when full: the newest line is dropped and counted, because no thread that moves bytes
//! may wait for a terminal; the next line tells how many are missing, and every line is in the
//! log. Ends when closed: what was told before is still handed out.

use std::collections::VecDeque;

use parking_lot::{Condvar, Mutex};

/// Lines kept until somebody reads them.
const NOTICES_MAX: usize = 1_024;

/// A bounded queue of lines.
pub struct Notices {
    target: &'static str,
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    lines: VecDeque<String>,
    dropped: u64,
    closed: bool,
}

impl Notices {
    /// An empty queue; what it is told is logged under `target`.
    pub fn new(target: &'static str) -> Notices {
        Notices { target, queue: Mutex::default(), changed: Condvar::new() }
    }

    /// Tells the person `line`, and the log. Never blocks.
    pub fn tell(&self, line: impl Into<String>) {
        let mut line = line.into();
        log::info!(target: self.target, "{line}");
        let mut queue = self.queue.lock();
        if queue.closed {
            return;
        }
        if queue.lines.len() >= NOTICES_MAX {
            queue.dropped += 1;
            return;
        }
        if queue.dropped > 0 {
            line = format!("{} {line}", missing(std::mem::take(&mut queue.dropped)));
        }
        queue.lines.push_back(line);
        self.changed.notify_one();
    }

    /// The next line; waits for it. `None`: there will be no more.
    pub fn next(&self) -> Option<String> {
        let mut queue = self.queue.lock();
        self.changed.wait_while(&mut queue, |queue| queue.lines.is_empty() && !queue.closed);
        let line = queue.lines.pop_front();
        let dropped = if line.is_none() { std::mem::take(&mut queue.dropped) } else { 0 };
        line.or_else(|| (dropped > 0).then(|| missing(dropped)))
    }

    /// No more lines will come.
    pub fn close(&self) {
        self.queue.lock().closed = true;
        self.changed.notify_all();
    }
}

fn missing(lines: u64) -> String {
    format!("({lines} lines are only in the log)")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Notices {
        let notices = Notices::new("test");
        (0..NOTICES_MAX + 2).for_each(|n| notices.tell(n.to_string()));
        notices
    }

    fn rest(notices: &Notices) -> Vec<String> {
        notices.close();
        std::iter::from_fn(|| notices.next()).collect()
    }

    #[test]
    fn the_newest_lines_are_dropped_and_the_next_one_tells() {
        let notices = full();
        assert_eq!(notices.next().as_deref(), Some("0"));
        notices.tell("bob joined");
        let lines = rest(&notices);
        assert_eq!((lines.len(), lines[0].as_str()), (NOTICES_MAX, "1"));
        assert_eq!(lines[NOTICES_MAX - 1], "(2 lines are only in the log) bob joined");
    }

    #[test]
    fn the_end_tells_what_no_line_told_and_nothing_comes_after_it() {
        let notices = full();
        notices.close();
        notices.tell("too late");
        let lines = rest(&notices);
        assert_eq!(lines.len(), NOTICES_MAX + 1);
        assert_eq!(lines[NOTICES_MAX], "(2 lines are only in the log)");
    }
}
