//! The terminal around the line editor.
//!
//! Invariant: while a command runs, keys are neither echoed nor turned into signals: Ctrl-C then
//! means "stop waiting", and a signal always means "end the process". However the process ends,
//! `Saved::restore` gives the terminal back as it was found.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};

use super::daemon::Reply;
use super::output;

/// Ends what the line editor may have left on: bracketed paste.
const EDITING_OFF: &str = "\x1b[?2004l";
/// The line editor waits with select, which knows no descriptor above.
const DESCRIPTORS_MAX: u64 = 1_024;
const CTRL_C: u8 = 3;

/// The terminal as it was found.
pub(super) struct Saved(Termios);

impl Saved {
    /// Remembers standard input's state; `None` where it has none.
    pub(super) fn take() -> Option<Saved> {
        tcgetattr(io::stdin()).ok().map(Saved)
    }

    /// Puts it back.
    pub(super) fn restore(&self) {
        output::out(&format!("{EDITING_OFF}\n"));
        if let Err(e) = tcsetattr(io::stdin(), OptionalActions::Drain, &self.0) {
            log::warn!("cannot give the terminal back: {e}");
        }
    }
}

/// Keys are held back while this lives.
pub(super) struct Quiet(Saved);

impl Quiet {
    /// Holds keys back; `None` where that is not possible.
    pub(super) fn begin() -> Option<Quiet> {
        let saved = Saved::take()?;
        let mut mode = saved.0.clone();
        mode.local_modes -= LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
        mode.special_codes[SpecialCodeIndex::VMIN] = 0;
        mode.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(io::stdin(), OptionalActions::Now, &mode).ok()?;
        Some(Quiet(saved))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if let Err(e) = tcsetattr(io::stdin(), OptionalActions::Now, &self.0.0) {
            log::debug!("cannot take keys again: {e}");
        }
    }
}

/// Keeps all descriptors within what the line editor can wait for; accepting backs off beyond.
pub(super) fn cap_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|n| n <= DESCRIPTORS_MAX) {
        return;
    }
    let capped = Rlimit { current: Some(DESCRIPTORS_MAX), maximum: limit.maximum };
    if let Err(e) = setrlimit(Resource::Nofile, capped) {
        log::warn!("cannot cap the descriptors at {DESCRIPTORS_MAX}: {e}");
    }
}

/// The person in front of the terminal; gone when they press Ctrl-C in the middle of a command.
pub(super) struct Person;

impl Reply for Person {
    fn out(&mut self, text: &str) {
        output::out(text);
    }

    fn err(&mut self, text: &str) {
        output::err(text);
    }

    /// Reads what was typed meanwhile (`Quiet` makes that not block); all of it is dropped.
    fn gone(&self) -> bool {
        let mut keys = [0; 64];
        match rustix::io::read(io::stdin(), &mut keys) {
            Ok(n) => keys[..n].contains(&CTRL_C),
            Err(e) => {
                log::debug!("cannot read keys: {e}");
                false
            }
        }
    }
}
