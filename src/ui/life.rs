//! How far a daemon is from its end.
//!
//! ```text
//! Serving --exit--> Leaving --nothing moves, or a second exit--> Stopping --> Stopped
//!    +----------------- exit --now, a signal --------------------^
//! ```
//!
//! Invariant: phases only go forward. Whoever asks never waits here; the main thread turns the
//! phases, and everybody else watches.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::base::Time;
use crate::io::clock;

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

/// A transfer that is not over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Going {
    /// Its number.
    pub id: u64,
    /// What it does now.
    pub pace: Pace,
    /// The words of `transfers` about it.
    pub line: String,
}

/// What a transfer does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Bytes move, or a file gets its name.
    Moves,
    /// It is about to move: between two files of a folder, while a part is checked.
    Prepares,
    /// Somebody else is waited for: an owner, a requester, a person.
    Waits,
}

/// How long a transfer may wait, in all since it last moved, before the end no longer waits for it.
const WAITING_MAX: Duration = Duration::from_secs(15);

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

    /// The main thread's wait: returns when it is time to stop. What does not wait when leaving
    /// begins may finish, `WAITING_MAX` of standing still included; what begins later does not hold
    /// the end up. Who is given up is told.
    pub fn wait_to_stop(&self, going_on: &dyn Fn() -> Vec<Going>, tell: &dyn Fn(String)) {
        self.changed.wait_while(&mut self.phase.lock(), |phase| *phase == Phase::Serving);
        if self.phase() == Phase::Leaving {
            let mut awaited = Awaited::begin(clock::now(), &going_on());
            while self.phase() == Phase::Leaving && !awaited.is_empty() {
                let mut phase = self.phase.lock();
                self.changed.wait_while_for(&mut phase, |p| *p == Phase::Leaving, LOOK_EVERY);
                drop(phase);
                awaited.look(clock::now(), &going_on()).into_iter().for_each(tell);
            }
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

/// The transfers that the end waits for, and how long each has waited since it last moved.
struct Awaited {
    waited: BTreeMap<u64, Duration>,
    looked: Time,
}

impl Awaited {
    fn begin(now: Time, going_on: &[Going]) -> Awaited {
        let active = going_on.iter().filter(|t| t.pace != Pace::Waits);
        Awaited { waited: active.map(|t| (t.id, Duration::ZERO)).collect(), looked: now }
    }

    fn is_empty(&self) -> bool {
        self.waited.is_empty()
    }

    /// Forgets what is over and gives up what waits too long; returns words about the latter.
    /// Preparing neither counts as waiting nor ends it: a download whose owners are away prepares
    /// again and again.
    fn look(&mut self, now: Time, going_on: &[Going]) -> Vec<String> {
        let since = now.since(std::mem::replace(&mut self.looked, now));
        let mut given_up = Vec::new();
        self.waited.retain(|id, waited| {
            let Some(transfer) = going_on.iter().find(|t| t.id == *id) else { return false };
            match transfer.pace {
                Pace::Moves => *waited = Duration::ZERO,
                Pace::Prepares => {}
                Pace::Waits => *waited += since,
            }
            let patient = *waited < WAITING_MAX;
            if !patient {
                given_up.push(format!("{}; not waiting for it", transfer.line));
            }
            patient
        });
        given_up
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    use Pace::{Moves, Prepares, Waits};

    fn going(transfers: &[(u64, Pace)]) -> Vec<Going> {
        let line = |id: u64| format!("download {id} waits: alice is away");
        transfers.iter().map(|&(id, pace)| Going { id, pace, line: line(id) }).collect()
    }

    fn at(seconds: u64) -> Time {
        Time::ZERO + Duration::from_secs(seconds)
    }

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
            going(&seen.iter().map(|id| (*id, Moves)).collect::<Vec<_>>())
        };
        life.wait_to_stop(&moving, &|line| panic!("{line}"));
        assert_eq!((looks.get(), life.phase()), (3, Phase::Stopping));
    }

    #[test]
    fn insisting_does_not_look_at_what_moves() {
        let life = Life::default();
        life.ask_to_leave(true);
        life.wait_to_stop(&|| panic!("nobody asks"), &|line| panic!("{line}"));
    }

    #[test]
    fn a_transfer_that_stands_still_for_a_moment_is_waited_for() {
        let mut awaited = Awaited::begin(at(0), &going(&[(1, Moves), (2, Prepares), (3, Waits)]));
        for (second, pace) in [(14, Waits), (15, Prepares), (16, Moves), (30, Waits)] {
            let now = going(&[(1, pace), (2, Moves), (3, Moves)]);
            assert!(awaited.look(at(second), &now).is_empty(), "{second} s");
        }
        assert_eq!(Vec::from_iter(awaited.waited.keys().copied()), [1, 2], "3 waited already");
        awaited.look(at(31), &going(&[(2, Moves)]));
        assert_eq!(Vec::from_iter(awaited.waited.keys().copied()), [2], "1 is over");
    }

    #[test]
    fn a_transfer_that_waits_too_long_is_given_up_with_words_although_it_prepares_between() {
        let mut awaited = Awaited::begin(at(0), &going(&[(3, Moves)]));
        assert!(awaited.look(at(8), &going(&[(3, Waits)])).is_empty());
        assert!(awaited.look(at(100), &going(&[(3, Prepares)])).is_empty());
        assert!(awaited.look(at(106), &going(&[(3, Waits)])).is_empty());
        let words = awaited.look(at(107), &going(&[(3, Waits)]));
        assert_eq!(words, ["download 3 waits: alice is away; not waiting for it"]);
        assert!(awaited.is_empty());
    }
}
