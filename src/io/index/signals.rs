//! What is said between the scanner and everybody else.

use super::pace::Pace;
use super::problem::Problems;
use crate::base::Time;
use crate::io::clock;

/// Questions to the scanner, reports for it, and what it has answered.
#[derive(Debug, Default)]
pub(super) struct Signals {
    /// Scans asked for, counted.
    pub(super) asked: u64,
    /// How many of them the scans that have ended answer.
    pub(super) answered: u64,
    /// When the first change was reported that no scan has looked for yet.
    pub(super) reported: Option<Time>,
    /// Whether the last scan left nothing to be hashed.
    pub(super) settled: bool,
    /// Whether what the folders hold is known.
    look: Look,
    /// What the last scan found that cannot be shared, and what could not be opened since.
    pub(super) problems: Problems,
}

/// The first look at the folders, or at one that has just been shared.
#[derive(Debug, Default)]
struct Look {
    /// The questions that a scan must answer to count.
    asked: u64,
    /// Scans since then that hashed all they found.
    whole: u32,
}

/// So many whole scans are a look: what was too young for the first is hashed by the second. More
/// would never end where a file is written all day.
const LOOK_SCANS: u32 = 2;

impl Signals {
    /// A scan begins; it answers all questions so far, whose number is returned.
    pub(super) fn begin(&mut self) -> u64 {
        self.reported = None;
        self.asked
    }

    /// The scan that answers `asked` questions ends: `whole` if all that was ready is hashed,
    /// `quiet` if nothing was left alone because it may still be written.
    pub(super) fn end(&mut self, asked: u64, whole: bool, quiet: bool, problems: Problems) {
        (self.answered, self.settled, self.problems) = (asked, whole && quiet, problems);
        if whole && asked >= self.look.asked {
            let more = if quiet { LOOK_SCANS } else { 1 };
            self.look.whole = self.look.whole.saturating_add(more);
        }
    }

    /// Something was added that the next scan looks through for the first time.
    pub(super) fn look_anew(&mut self) {
        self.look = Look { asked: self.ask(), whole: 0 };
    }

    /// Whether the folders are still being looked through: what is unknown may be found yet.
    pub(super) fn is_looking(&self) -> bool {
        self.look.whole < LOOK_SCANS
    }

    /// Something has changed.
    pub(super) fn report(&mut self) {
        self.reported.get_or_insert_with(clock::now);
    }

    /// Asks for a scan; returns the number to wait for.
    pub(super) fn ask(&mut self) -> u64 {
        self.asked += 1;
        self.asked
    }

    /// Whether it is time for a scan after the one that answered `asked` questions.
    pub(super) fn is_due(&self, asked: u64, pace: &Pace, settling: Option<Time>) -> bool {
        self.asked > asked || clock::now() >= pace.next(self.reported, settling)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One scan from its begin to its end.
    fn scan(signals: &mut Signals, whole: bool, quiet: bool) -> bool {
        let asked = signals.begin();
        signals.end(asked, whole, quiet, Problems::default());
        signals.is_looking()
    }

    #[test]
    fn the_first_look_ends_when_all_that_was_found_is_hashed() {
        let mut signals = Signals::default();
        assert!(signals.is_looking(), "before the first scan");
        assert!(scan(&mut signals, false, true), "a scan that was broken off");
        assert!(!scan(&mut signals, true, true));
        assert!(!scan(&mut signals, false, false), "later scans are not the first look");
    }

    #[test]
    fn a_file_that_is_written_all_day_does_not_keep_the_look_open() {
        let mut signals = Signals::default();
        assert!(scan(&mut signals, true, false), "a young file waits for the second scan");
        assert!(!scan(&mut signals, true, false));
    }

    #[test]
    fn a_scan_that_began_before_a_folder_was_shared_is_no_look_at_it() {
        let mut signals = Signals::default();
        scan(&mut signals, true, true);
        let asked = signals.begin();
        signals.look_anew();
        signals.end(asked, true, true, Problems::default());
        assert!(signals.is_looking());
        assert!(!scan(&mut signals, true, true));
    }
}
