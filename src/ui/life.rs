//! How far a daemon is from its end.
//!
//! ```text
//! Serving --exit--> Leaving --nothing moves, or a second exit--> Stopping --> Stopped
//!    +----------------- exit --now, a signal --------------------^
//! ```
//!
//! Invariant: phases only go forward. Whoever asks never waits here; the main thread turns the
//! phases, and everybody else watches.

use std::collections::BTreeSet;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// The phases, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// As usual.
    Serving,
    /// Nothing new; what moves may finish.
    Leaving,
    /// Threads are being joined.
    Stopping,
    /// All is over.
    Stopped,
}

/// How often what moves is looked at, and whether a waiting asker is still there.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A daemon's phase.
#[derive(Debug)]
pub struct Life {
    phase: Mutex<Phase>,
    changed: Condvar,
}

impl Default for Life {
    fn default() -> Life {
        Life { phase: Mutex::new(Phase::Serving), changed: Condvar::new() }
    }
}

impl Life {
    /// The phase now.
    pub fn phase(&self) -> Phase {
        *self.phase.lock()
    }

    /// Asks the daemon to leave; insists when `now` or when it was asked before. Tells whether it
    /// leaves at once.
    pub fn ask_to_leave(&self, now: bool) -> bool {
        let mut phase = self.phase.lock();
        let next = if now || *phase != Phase::Serving { Phase::Stopping } else { Phase::Leaving };
        *phase = next.max(*phase);
        self.changed.notify_all();
        *phase >= Phase::Stopping
    }

    /// The main thread's wait: returns when it is time to stop. What `moving` names when leaving
    /// begins may finish; what begins later does not hold the end up.
    pub fn wait_to_stop(&self, moving: &dyn Fn() -> BTreeSet<u64>) {
        self.changed.wait_while(&mut self.phase.lock(), |phase| *phase == Phase::Serving);
        let mut left = if self.phase() == Phase::Leaving { moving() } else { BTreeSet::new() };
        while self.phase() == Phase::Leaving && !left.is_empty() {
            let mut phase = self.phase.lock();
            self.changed.wait_while_for(&mut phase, |p| *p == Phase::Leaving, LOOK_EVERY);
            drop(phase);
            left = &left & &moving();
        }
        self.advance(Phase::Stopping);
    }

    /// The daemon has stopped.
    pub fn stopped(&self) {
        self.advance(Phase::Stopped);
    }

    /// Blocks until the daemon has stopped (true) or the asker has gone (false).
    pub fn wait_stopped(&self, gone: &dyn Fn() -> bool) -> bool {
        loop {
            let mut phase = self.phase.lock();
            self.changed.wait_while_for(&mut phase, |p| *p != Phase::Stopped, LOOK_EVERY);
            if *phase == Phase::Stopped {
                return true;
            }
            drop(phase);
            if gone() {
                return false;
            }
        }
    }

    fn advance(&self, to: Phase) {
        let mut phase = self.phase.lock();
        *phase = to.max(*phase);
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn the_first_exit_waits_and_the_second_insists() {
        let life = Life::default();
        assert!(!life.ask_to_leave(false));
        assert_eq!(life.phase(), Phase::Leaving);
        assert!(life.ask_to_leave(false));
        assert_eq!(life.phase(), Phase::Stopping);
        life.stopped();
        assert!(life.ask_to_leave(true), "asking a stopped one changes nothing");
        assert_eq!(life.phase(), Phase::Stopped);
    }

    #[test]
    fn leaving_waits_for_what_moved_when_it_began_and_for_nothing_later() {
        let life = Life::default();
        life.ask_to_leave(false);
        let looks = Cell::new(0);
        let moving = || {
            looks.set(looks.get() + 1);
            let seen: &[u64] = [&[1, 2][..], &[2, 3], &[3, 4]][looks.get() - 1];
            seen.iter().copied().collect()
        };
        life.wait_to_stop(&moving);
        assert_eq!((looks.get(), life.phase()), (3, Phase::Stopping));
    }

    #[test]
    fn insisting_does_not_look_at_what_moves() {
        let life = Life::default();
        life.ask_to_leave(true);
        life.wait_to_stop(&|| panic!("nobody asks"));
    }
}
