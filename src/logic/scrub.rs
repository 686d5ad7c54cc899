//! How fast what is stored is read again and compared with its hashes, and where that stands.
//!
//! ```text
//! resting --a round is due, or a person asks--> reading --the last file--> resting
//! ```
//!
//! Invariant: a round reads each file once, in the order of folders and names, and goes on where it was
//! after a restart. Its age is time in which the node ran, since a clock on the wall may be wrong by
//! decades. Ends with the node.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::{Name, Rate, Time};

/// From the beginning of a round to that of the next.
pub const ROUND: Duration = Duration::from_secs(30 * 86_400);
/// All is to be read in so much of it.
const READ_IN: Duration = Duration::from_secs(20 * 86_400);
/// What a new node has was hashed just now: its first round begins so long after its start.
const FIRST_AFTER: Duration = Duration::from_secs(86_400);
/// Slowest that is chosen, bytes a second: less would save nothing.
const RATE_MIN: u64 = 1 << 20;
/// Bytes that a read counts as at least: a disk reads whole blocks.
const BLOCK: u64 = 4_096;

/// How fast a person wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ScrubPace {
    /// Not at all, unless she asks.
    Off,
    /// As slowly as brings it to an end in time.
    #[default]
    Auto,
    /// So fast, bytes a second, whether that is in time or not.
    Rate(Rate),
}

/// Where a file comes: its folder, and its name.
pub type At = ((u8, u32), Name);

/// Where the reading stands; kept across restarts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scrub {
    /// Rounds that came to their end.
    pub rounds: u64,
    /// The last file of this round that was read.
    at: Option<At>,
    /// Time since this round began, in which the node ran.
    age: Duration,
    /// Files and bytes read in this round.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// The round is over.
    resting: bool,
    /// A person asked for this round.
    pub asked: bool,
}

impl Default for Scrub {
    fn default() -> Scrub {
        let age = ROUND.saturating_sub(FIRST_AFTER);
        Scrub { rounds: 0, at: None, age, files: 0, bytes: 0, resting: true, asked: false }
    }
}

impl Scrub {
    /// A person wants a round from the first file on, as fast as it can be.
    pub fn ask(&mut self) {
        *self = Scrub { asked: true, resting: false, age: Duration::ZERO, ..self.anew() };
    }

    /// So much time has passed. Tells whether files are to be read now.
    pub fn tick(&mut self, passed: Duration, pace: ScrubPace) -> bool {
        self.age += passed;
        if self.resting && self.age >= ROUND && pace != ScrubPace::Off {
            *self = Scrub { resting: false, age: Duration::ZERO, ..self.anew() };
        }
        !self.resting && (self.asked || pace != ScrubPace::Off)
    }

    fn anew(&self) -> Scrub {
        Scrub { rounds: self.rounds, ..Scrub::default() }
    }

    /// Behind which file it goes on.
    pub fn at(&self) -> Option<&At> {
        self.at.as_ref()
    }

    /// A file was read, or passed over.
    pub fn on_read(&mut self, at: At, bytes: u64) {
        self.at = Some(at);
        self.files += 1;
        self.bytes += bytes;
    }

    /// There is no further file.
    pub fn on_end(&mut self) {
        self.rounds += 1;
        (self.resting, self.asked, self.at) = (true, false, None);
    }

    /// Whether a round is under way.
    pub fn is_reading(&self) -> bool {
        !self.resting
    }

    /// How long until the next round begins.
    pub fn next_in(&self) -> Duration {
        if self.resting { ROUND.saturating_sub(self.age) } else { Duration::ZERO }
    }

    /// How fast it reads, bytes a second, where `stored` bytes are here in all; `None`: as fast as it
    /// can.
    pub fn rate(&self, pace: ScrubPace, stored: u64) -> Option<u64> {
        match pace {
            _ if self.asked => None,
            ScrubPace::Rate(rate) => Some(rate.bytes()),
            ScrubPace::Auto | ScrubPace::Off => {
                let time = READ_IN.saturating_sub(self.age).as_secs().max(1);
                Some((stored.saturating_sub(self.bytes) / time).max(RATE_MIN))
            }
        }
    }
}

/// Keeps all files together to a rate, small ones too.
#[derive(Debug, Clone, Copy, Default)]
pub struct Turns {
    next: Time,
}

impl Turns {
    /// When the next `bytes` may be read, at `rate` bytes a second.
    pub fn take(&mut self, now: Time, bytes: u64, rate: u64) -> Time {
        let begin = self.next.max(now);
        let takes = bytes.max(BLOCK) as f64 / rate.max(1) as f64;
        self.next = begin + Duration::from_secs_f64(takes);
        begin
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_files_are_read_at_the_rate_too_and_rest_is_not_made_up_for() {
        let (mut turns, second) = (Turns::default(), Duration::from_secs(1));
        let mut now = Time::ZERO;
        for bytes in [0, 1, 4_096].repeat(100) {
            now = turns.take(now, bytes, 4_096);
        }
        assert_eq!(now.since(Time::ZERO), second * 299);
        let later = now + second * 1_000;
        assert_eq!(turns.take(later, 8_192, 4_096), later);
        assert_eq!(turns.take(later, 1, 4_096), later + second * 2);
    }

    const HOUR: Duration = Duration::from_secs(3_600);

    fn at(text: &str) -> At {
        ((0, 0), Name::parse(text).unwrap())
    }

    #[test]
    fn rounds_begin_a_month_after_each_other_and_the_first_one_after_a_day() {
        let mut scrub = Scrub::default();
        let hours_to = |scrub: &mut Scrub| {
            (1..).find(|_| scrub.tick(HOUR, ScrubPace::Auto)).unwrap_or_default()
        };
        assert_eq!(hours_to(&mut scrub), 24);
        scrub.on_read(at("a"), 5);
        scrub.on_end();
        assert_eq!((scrub.rounds, scrub.next_in()), (1, ROUND));
        assert_eq!(hours_to(&mut scrub), 30 * 24);
        assert_eq!((scrub.files, scrub.bytes, scrub.at()), (0, 0, None), "it begins at nothing");
    }

    #[test]
    fn a_terabyte_is_read_in_time_and_what_is_late_is_read_faster() {
        let (mut scrub, stored) = (Scrub::default(), 1 << 40);
        scrub.tick(ROUND, ScrubPace::Auto);
        let rate = |scrub: &Scrub| scrub.rate(ScrubPace::Auto, stored).unwrap();
        let first = rate(&scrub);
        assert!((RATE_MIN..2 * RATE_MIN).contains(&first), "{first}");
        let mut hours = 0;
        while scrub.bytes < stored {
            assert!(scrub.tick(HOUR, ScrubPace::Auto));
            scrub.on_read(at("a"), rate(&scrub) * 3_600 / 2);
            hours += 1;
        }
        assert!(hours <= 31 * 24, "the disk gave half of what was wanted, and it took {hours} h");
        assert_eq!(Scrub::default().rate(ScrubPace::Auto, 5), Some(RATE_MIN));
    }

    #[test]
    fn who_asks_is_not_held_to_a_rate_and_off_reads_only_then() {
        let mut scrub = Scrub::default();
        assert!(!scrub.tick(2 * ROUND, ScrubPace::Off));
        scrub.ask();
        assert!(scrub.tick(HOUR, ScrubPace::Off) && scrub.is_reading());
        assert_eq!(scrub.rate(ScrubPace::Rate(Rate::MIN), 1), None);
        scrub.on_end();
        assert!(!scrub.tick(HOUR, ScrubPace::Off));
        assert!(!scrub.tick(HOUR, ScrubPace::Rate(Rate::MIN)), "its month is not over");
        scrub.tick(ROUND, ScrubPace::Rate(Rate::MIN));
        assert_eq!(scrub.rate(ScrubPace::Rate(Rate::MIN), 1 << 50), Some(Rate::MIN.bytes()));
    }

    #[test]
    fn a_restart_goes_on_where_it_was() {
        let mut scrub = Scrub::default();
        scrub.ask();
        scrub.on_read(at("a/b"), 7);
        let kept = serde_json::to_string(&scrub).unwrap();
        assert_eq!(serde_json::from_str::<Scrub>(&kept).unwrap(), scrub);
        assert_eq!(scrub.at(), Some(&at("a/b")));
    }
}
