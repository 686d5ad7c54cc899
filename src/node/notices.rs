//! Lines for the person at the prompt, from any thread.
//!
//! Policy when full: the newest line is dropped and counted, because no thread that moves bytes
//! may wait for a terminal; the next line that fits says how many are missing.

use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use super::Notice;

/// Lines kept until somebody reads them.
const NOTICES_MAX: usize = 256;

/// The queue of notices. Reading ends when the queue is closed.
pub(super) struct Notices {
    send: parking_lot::Mutex<Option<Sender<Notice>>>,
    receive: Receiver<Notice>,
    dropped: AtomicU64,
}

impl Notices {
    pub(super) fn new() -> Notices {
        let (send, receive) = bounded(NOTICES_MAX);
        Notices { send: Some(send).into(), receive, dropped: AtomicU64::new(0) }
    }

    /// Tells the person `line`, and the log.
    pub(super) fn tell(&self, line: impl Into<String>) {
        let mut line = line.into();
        log::info!(target: "node", "{line}");
        let missing = self.dropped.swap(0, Ordering::Relaxed);
        if missing > 0 {
            line = format!("({missing} lines are only in the log) {line}");
        }
        let guard = self.send.lock();
        if let Some(send) = guard.as_ref()
            && let Err(TrySendError::Full(_)) = send.try_send(Notice(line))
        {
            self.dropped.fetch_add(missing + 1, Ordering::Relaxed);
        }
    }

    /// The next line; blocks. `None` when the node has stopped.
    pub(super) fn next(&self) -> Option<Notice> {
        self.receive.recv().ok()
    }

    /// No more lines: readers see the end after what is queued.
    pub(super) fn close(&self) {
        self.send.lock().take();
    }
}
