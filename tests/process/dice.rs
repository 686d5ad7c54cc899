//! How often a test repeats itself, and chance that can be had again.
//!
//! `PARVI_SOAK=N` multiplies the rounds. Every round prints its seed; `PARVI_SEED=N` plays that one
//! round again.

use std::ops::Range;

use parvi::io::clock;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {text:?}")))
}

/// Plays a round once, or `PARVI_SOAK` times, each with dice of its own.
pub fn rounds(what: &str, round: impl Fn(Dice)) {
    let seeds = match number("PARVI_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("PARVI_SOAK").unwrap_or(1)).map(|_| clock::random_u64()).collect(),
    };
    for seed in seeds {
        eprintln!("{what}: PARVI_SEED={seed} plays this again");
        round(Dice(seed));
    }
}

/// Numbers that follow from a seed.
pub struct Dice(u64);

impl Dice {
    pub fn number(&mut self) -> u64 {
        let mut bytes = [0; 8];
        blake3::Hasher::new().update(&self.0.to_le_bytes()).finalize_xof().fill(&mut bytes);
        self.0 = u64::from_le_bytes(bytes);
        self.0
    }

    /// `count` moments of a transfer of `total` bytes, in their order, all between 20 and 80 %.
    pub fn moments(&mut self, count: usize, total: u64) -> Vec<u64> {
        let Range { start, end } = total / 5..total * 4 / 5;
        let mut all: Vec<u64> = (0..count).map(|_| start + self.number() % (end - start)).collect();
        all.sort_unstable();
        all
    }
}
