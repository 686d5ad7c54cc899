//! Lines for the person at the prompt.
//!
//! Invariant: telling never blocks; when nobody reads, the oldest lines are lost, and every line
//! told is in the log as well. It ends when closed: what was told before is still handed out.

use std::collections::VecDeque;

use parking_lot::{Condvar, Mutex};

/// Lines kept for a reader.
const NOTICES_MAX: usize = 1_024;

/// See the module.
#[derive(Default)]
pub(super) struct Notices {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    lines: VecDeque<String>,
    closed: bool,
}

impl Notices {
    /// Adds a line.
    pub(super) fn tell(&self, line: String) {
        log::info!("{line}");
        let mut queue = self.queue.lock();
        if queue.lines.len() >= NOTICES_MAX {
            queue.lines.pop_front();
        }
        queue.lines.push_back(line);
        self.changed.notify_one();
    }

    /// The next line; waits for it. None: there will be no more.
    pub(super) fn next(&self) -> Option<String> {
        let mut queue = self.queue.lock();
        self.changed.wait_while(&mut queue, |queue| queue.lines.is_empty() && !queue.closed);
        queue.lines.pop_front()
    }

    /// No more lines will come.
    pub(super) fn close(&self) {
        self.queue.lock().closed = true;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_before_the_end_is_handed_out_and_the_oldest_make_room() {
        let notices = Notices::default();
        (0..=NOTICES_MAX).for_each(|n| notices.tell(n.to_string()));
        notices.close();
        let lines: Vec<String> = std::iter::from_fn(|| notices.next()).collect();
        assert_eq!((lines.len(), lines[0].as_str()), (NOTICES_MAX, "1"));
    }
}
