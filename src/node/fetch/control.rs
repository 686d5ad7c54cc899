//! What the person wants of a download: run, pause, cancel.

use parking_lot::{Condvar, Mutex};
use std::time::Duration;

/// The person's latest word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::node) enum Wish {
    /// Go on.
    Run,
    /// Stand still; what arrived is kept.
    Pause,
    /// Stop for good; a node gives up what arrived.
    Cancel,
}

/// A wish that threads can wait on.
pub(in crate::node) struct Control {
    wish: Mutex<Wish>,
    changed: Condvar,
}

impl Control {
    pub(in crate::node) fn new() -> Control {
        Control { wish: Mutex::new(Wish::Run), changed: Condvar::new() }
    }

    pub(in crate::node) fn wish(&self) -> Wish {
        *self.wish.lock()
    }

    /// Says what is wanted now; returns what holds. A cancelled download stays cancelled.
    pub(in crate::node) fn say(&self, new: Wish) -> Wish {
        let mut wish = self.wish.lock();
        if *wish != Wish::Cancel {
            *wish = new;
        }
        self.changed.notify_all();
        *wish
    }

    /// Waits for a change of the wish, at most `within`; returns what is wanted then.
    pub(in crate::node) fn wait(&self, within: Duration) -> Wish {
        let mut wish = self.wish.lock();
        self.changed.wait_for(&mut wish, within);
        *wish
    }
}
