//! The one place that writes to standard output and standard error outside a prompt.
//!
//! Invariant: a closed pipe never panics and never changes the exit code: whoever closed it has
//! seen enough. A text is written whole, so that lines of several threads do not mix.

use std::io::{self, ErrorKind, Write};

use super::daemon::Reply;
use crate::base::Fault;

/// Data.
pub(super) fn out(text: &str) {
    tell(io::stdout().lock(), text);
}

/// A message.
pub(super) fn err(text: &str) {
    tell(io::stderr().lock(), text);
}

/// A failure, as every one is shown.
pub(super) fn fault(fault: &Fault) {
    err(&format!("parvi: {fault}\n"));
}

fn tell(mut to: impl Write, text: &str) {
    match to.write_all(text.as_bytes()).and_then(|()| to.flush()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => log::warn!("cannot write output: {e}"),
        _ => {}
    }
}

/// Answers go straight to the standard streams.
pub(super) struct Standard;

impl Reply for Standard {
    fn out(&mut self, text: &str) {
        out(text);
    }
    fn err(&mut self, text: &str) {
        err(text);
    }
    fn gone(&self) -> bool {
        false
    }
}
