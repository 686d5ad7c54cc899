//! What happened, as a fingerprint of all of it and the last lines in words.

use std::collections::VecDeque;
use std::fmt;
use std::fmt::Write;

use parvi::base::Time;
use parvi_wal::testing::mix;

use crate::event::Event;

/// Lines kept for a person.
const LAST: usize = 120;

/// A trace.
#[derive(Debug, Default)]
pub struct Trace {
    fingerprint: u64,
    last: VecDeque<String>,
    line: String,
}

impl Trace {
    /// An event begins.
    pub fn step(&mut self, now: Time, event: &Event) {
        // Looks and pieces of runs would hide everything else.
        let is_told = !matches!(
            event,
            Event::Look { .. }
                | Event::Tick { .. }
                | Event::Beat { .. }
                | Event::Talk { .. }
                | Event::Dialled { .. }
                | Event::Arrive { .. }
                | Event::Sent { .. }
        );
        self.line(now, format_args!("{event:?}"), is_told);
    }

    /// Something is worth a line.
    pub fn note(&mut self, now: Time, words: fmt::Arguments<'_>) {
        self.line(now, words, true);
    }

    fn line(&mut self, now: Time, words: fmt::Arguments<'_>, is_told: bool) {
        let seconds = now.since(Time::ZERO).as_secs_f64();
        self.line.clear();
        // Writing into a String cannot fail.
        write!(self.line, "{seconds:10.6} {words}").unwrap_or_default();
        for bytes in self.line.as_bytes().chunks(8) {
            let mut word = [0; 8];
            word[..bytes.len()].copy_from_slice(bytes);
            self.fingerprint = mix(self.fingerprint ^ u64::from_le_bytes(word));
        }
        if is_told {
            if self.last.len() == LAST {
                self.last.pop_front();
            }
            self.last.push_back(self.line.clone());
        }
    }

    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    pub fn into_last(self) -> Vec<String> {
        self.last.into()
    }
}
