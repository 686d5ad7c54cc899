//! How many payload bytes move between two calls of `on_bytes`: for a sender or receiver that waits in
//! there to keep to a rate.
//!
//! Invariant: clones are the same step, so that it may be changed while a payload moves. A reader takes
//! no more than a step from its socket at once: what is read ahead is never more than what is paid for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The bound on one write or read of payload.
#[derive(Debug, Clone)]
pub struct Step(Arc<AtomicUsize>);

impl Step {
    /// As many bytes as go well.
    pub fn unbounded() -> Step {
        Step(Arc::new(AtomicUsize::new(usize::MAX)))
    }

    /// At most `bytes` from now on; without a number as many as go well.
    pub fn set(&self, bytes: Option<usize>) {
        self.0.store(bytes.map_or(usize::MAX, |bytes| bytes.max(1)), Ordering::Relaxed);
    }

    /// No more than `bytes`, nor than this step.
    pub fn at_most(&self, bytes: usize) -> usize {
        self.0.load(Ordering::Relaxed).min(bytes)
    }
}
