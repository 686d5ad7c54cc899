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
    /// What the last scan found that cannot be shared, and what could not be opened since.
    pub(super) problems: Problems,
}

impl Signals {
    /// A scan begins; it answers all questions so far, whose number is returned.
    pub(super) fn begin(&mut self) -> u64 {
        self.reported = None;
        self.asked
    }

    /// The scan that answers `asked` questions ends.
    pub(super) fn end(&mut self, asked: u64, settled: bool, problems: Problems) {
        (self.answered, self.settled, self.problems) = (asked, settled, problems);
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
