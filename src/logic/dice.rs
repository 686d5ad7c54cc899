//! Chance for the random tests of decisions, that can be had again.
//!
//! `PARVI_SOAK=N` multiplies the rounds. A round that fails has printed its seed; `PARVI_SEED=N` plays that
//! one again.

use std::time::Duration;

use crate::base::Time;

/// Rounds of one run of a test.
const ROUNDS: u64 = 300;

fn from_env(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text}")))
}

/// Plays rounds, each with dice of its own.
pub(crate) fn rounds(round: impl Fn(&mut Dice)) {
    let seeds = match from_env("PARVI_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..ROUNDS * from_env("PARVI_SOAK").unwrap_or(1),
    };
    for seed in seeds {
        let _told = Told(seed);
        round(&mut Dice(seed));
    }
}

/// Prints the seed of a round that fails.
struct Told(u64);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("PARVI_SEED={} plays this again", self.0);
        }
    }
}

/// Numbers that follow from a seed: SplitMix64 (Steele, Lea, Flood, 2014).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let a = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let b = (a ^ (a >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        b ^ (b >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.throw() % end.max(1)
    }
}

/// So many milliseconds after the beginning.
pub(crate) fn at(ms: u64) -> Time {
    Time::from_origin(Duration::from_millis(ms))
}
