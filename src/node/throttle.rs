//! Holds all uploads, or all downloads, of a node to one rate (`--up`, `--down`).
//!
//! The bytes have moved when they are paid for; the thread that moved them waits off the debt, so
//! many connections share the rate without a queue. Ends early when the node stops.

use parking_lot::Mutex;

use crate::base::{Rate, TokenBucket};
use crate::io::clock;
use crate::io::threads::StopToken;

/// A rate shared by threads, or none.
pub(super) struct Throttle {
    bucket: Option<Mutex<TokenBucket>>,
    stop: StopToken,
}

impl Throttle {
    pub(super) fn new(rate: Option<Rate>, stop: StopToken) -> Throttle {
        Throttle { bucket: rate.map(|r| Mutex::new(TokenBucket::new(r))), stop }
    }

    /// Pays for `bytes` that have just moved.
    pub(super) fn pay(&self, bytes: usize) {
        let Some(bucket) = &self.bucket else { return };
        let wait = bucket.lock().take(clock::now(), bytes as u64);
        if !wait.is_zero() {
            self.stop.wait(wait);
        }
    }
}
