//! What is said between the scanner and everybody else.

use super::pace::Pace;
use super::problem::Problems;
use crate::base::Time;
use crate::io::clock;

/// Enough that what was still being written is hashed, few enough that a file which is written all
/// day does not keep the doubt alive.
const DOUBT_SCANS: u32 = 10;

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
    /// Scans that have begun, and whether the last of them goes on.
    scan: u64,
    scanning: bool,
    /// Set while what was taken out lately may be found again.
    doubt: Option<Doubt>,
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
    /// It is a look at something that was shared when the first look was over.
    later: bool,
}

/// Something that was known was taken out: it may have been touched, or called otherwise, and is
/// found again when it is hashed.
#[derive(Debug)]
struct Doubt {
    /// The first scan that counts.
    from: u64,
    /// So many whole scans end it, if none does before that left nothing alone.
    scans: u32,
}

/// So many whole scans are a look: what was too young for the first is hashed by the second. More
/// would never end where a file is written all day.
const LOOK_SCANS: u32 = 2;

impl Signals {
    /// A scan begins; it answers all questions so far, whose number is returned.
    pub(super) fn begin(&mut self) -> u64 {
        self.reported = None;
        self.scan += 1;
        self.scanning = true;
        self.asked
    }

    /// The scan that answers `asked` questions ends: `whole` if all that was ready is hashed,
    /// `quiet` if nothing was left alone because it may still be written.
    pub(super) fn end(&mut self, asked: u64, whole: bool, quiet: bool, problems: Problems) {
        (self.answered, self.settled, self.problems) = (asked, whole && quiet, problems);
        self.scanning = false;
        if whole && let Some(doubt) = self.doubt.as_mut().filter(|doubt| self.scan >= doubt.from) {
            doubt.scans = if quiet { 0 } else { doubt.scans.saturating_sub(1) };
        }
        self.doubt.take_if(|doubt| doubt.scans == 0);
        if whole && asked >= self.look.asked {
            let more = if quiet { LOOK_SCANS } else { 1 };
            self.look.whole = self.look.whole.saturating_add(more);
        }
    }

    /// Something was added that the next scan looks through for the first time.
    pub(super) fn look_anew(&mut self) {
        let later = self.look.later || !self.is_looking();
        self.look = Look { asked: self.ask(), whole: 0, later };
    }

    /// Whether the folders are still being looked through: what is unknown may be found yet.
    pub(super) fn is_looking(&self) -> bool {
        self.look.whole < LOOK_SCANS
    }

    /// Whether this is the first look: what is unknown may have been known before the start.
    pub(super) fn is_starting(&self) -> bool {
        self.is_looking() && !self.look.later
    }

    /// Something that was known is taken out: by the scan that goes on, which has looked whether it
    /// is still there, or by somebody else, so that only a scan which begins later does.
    pub(super) fn taken_out(&mut self, by_scan: bool) {
        let from = if by_scan { self.scan } else { self.scan + 1 };
        let before = self.doubt.as_ref().map_or(0, |doubt| doubt.from);
        self.doubt = Some(Doubt { from: from.max(before), scans: DOUBT_SCANS });
    }

    /// Whether what is not known is not there: nothing that was taken out may be found again.
    pub(super) fn is_sure(&self) -> bool {
        !self.scanning && self.doubt.is_none() && !self.is_looking()
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

    #[test]
    fn what_is_shared_later_is_no_first_look() {
        let mut signals = Signals::default();
        signals.look_anew();
        assert!(signals.is_starting(), "shared while the first look lasts");
        scan(&mut signals, true, true);
        assert!(!signals.is_looking() && !signals.is_starting());
        signals.look_anew();
        assert!(signals.is_looking() && !signals.is_starting());
        signals.look_anew();
        assert!(signals.is_looking() && !signals.is_starting(), "one more folder");
    }

    #[test]
    fn what_was_taken_out_may_be_found_again_until_a_later_scan_has_hashed_everything() {
        let mut signals = Signals::default();
        assert!(!signals.is_sure(), "before the first look");
        scan(&mut signals, true, true);
        assert!(signals.is_sure());
        let asked = signals.begin();
        assert!(!signals.is_sure(), "it may take something out, and hash it at its end");
        signals.taken_out(false);
        signals.end(asked, true, true, Problems::default());
        assert!(!signals.is_sure(), "that scan may have passed by before");
        scan(&mut signals, false, true);
        assert!(!signals.is_sure(), "it was broken off");
        scan(&mut signals, true, false);
        assert!(!signals.is_sure(), "it may be what is still being written");
        scan(&mut signals, true, true);
        assert!(signals.is_sure());
    }

    #[test]
    fn what_a_scan_takes_out_and_does_not_find_again_is_gone() {
        let mut signals = Signals::default();
        scan(&mut signals, true, true);
        let asked = signals.begin();
        signals.taken_out(true);
        signals.end(asked, true, true, Problems::default());
        assert!(signals.is_sure());
    }

    #[test]
    fn a_file_that_is_written_all_day_does_not_keep_a_doubt_alive() {
        let mut signals = Signals::default();
        scan(&mut signals, true, true);
        signals.taken_out(false);
        (1..DOUBT_SCANS).for_each(|_| _ = scan(&mut signals, true, false));
        assert!(!signals.is_sure());
        scan(&mut signals, true, false);
        assert!(signals.is_sure());
    }
}
