//! How many dials there were in the last minute.
//!
//! Invariant: no sixty seconds hold more than `DIALS_PER_MINUTE` dials, wherever they begin: the
//! minute slides. Whoever makes a dial asks for room first and notes it.

use std::collections::VecDeque;
use std::time::Duration;

use crate::base::Time;

/// Dials in a minute, to whatever has a window.
pub const DIALS_PER_MINUTE: usize = 6;
const MINUTE: Duration = Duration::from_secs(60);

/// The dials of the last minute.
#[derive(Debug, Default)]
pub(super) struct Window(VecDeque<Time>);

impl Window {
    /// Whether one more may be made now.
    pub(super) fn has_room(&mut self, now: Time) -> bool {
        while self.0.front().is_some_and(|first| now.since(*first) >= MINUTE) {
            self.0.pop_front();
        }
        self.0.len() < DIALS_PER_MINUTE
    }

    /// One is made now.
    pub(super) fn note(&mut self, now: Time) {
        self.0.push_back(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_minute_has_more_wherever_it_begins() {
        let mut window = Window::default();
        let dials: Vec<u64> = (55..600)
            .filter(|second| {
                let now = Time::ZERO + Duration::from_secs(*second);
                let room = window.has_room(now);
                if room {
                    window.note(now);
                }
                room
            })
            .collect();
        for begins in 0..600 {
            let within = dials.iter().filter(|at| (begins..begins + 60).contains(*at)).count();
            assert!(within <= DIALS_PER_MINUTE, "{within} from second {begins}");
        }
        assert!(dials.len() >= 9 * DIALS_PER_MINUTE, "{dials:?}");
    }
}
