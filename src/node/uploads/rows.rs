//! An upload as `transfers` shows it.
//!
//! Invariant: what is seen from here is said, and nobody is blamed for it.

use std::time::Duration;

use super::Connected;
use crate::base::{Rate, Time};
use crate::logic::ledger::Waiting;
use crate::node::view::{Direction, TransferRow, TransferState};

/// An upload that is silent for longer is shown as waiting.
const SILENCE_MAX: Duration = Duration::from_secs(2);

impl Connected {
    pub(super) fn row(&self, now: Time) -> TransferRow {
        let limit = self.limit.rate();
        let (state, reason) = standing(now.since(self.last_moved), limit);
        TransferRow {
            id: self.id,
            dir: Direction::Up,
            name: self.name.clone(),
            peer: String::new(),
            state,
            reason,
            done: self.acked,
            total: self.total,
            attempt: self.attempt,
            rate: (self.sent as f64 / now.since(self.began).as_secs_f64().max(0.1)) as u64,
            limit: limit.map(Rate::bytes),
            sources: Vec::new(),
        }
    }
}

/// One whose requester is waited for.
pub(super) fn waiting_row(id: u64, waiting: Waiting, limit: Option<Rate>) -> TransferRow {
    TransferRow {
        id,
        dir: Direction::Up,
        name: waiting.name,
        peer: String::new(),
        state: TransferState::Waiting,
        reason: waiting.reason,
        done: waiting.acked,
        total: waiting.total,
        attempt: waiting.attempt,
        rate: 0,
        limit: limit.map(Rate::bytes),
        sources: Vec::new(),
    }
}

/// What is seen from here: whether the requester, the wire or a bound of ours holds it back is not.
fn standing(silent: Duration, limit: Option<Rate>) -> (TransferState, String) {
    if silent < SILENCE_MAX {
        return (TransferState::Moving, String::new());
    }
    let mut reason = format!("nothing sent or acknowledged for {} s", silent.as_secs());
    if let Some(rate) = limit {
        reason.push_str(&format!("; it is limited to {rate}"));
    }
    (TransferState::Waiting, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_upload_says_for_how_long_and_blames_nobody() {
        let (state, reason) = standing(Duration::from_millis(1_999), None);
        assert_eq!((state, reason.as_str()), (TransferState::Moving, ""));
        let (state, reason) = standing(Duration::from_secs(7), None);
        assert_eq!(state, TransferState::Waiting);
        assert_eq!(reason, "nothing sent or acknowledged for 7 s");
        let (_, reason) = standing(Duration::from_secs(7), Some(Rate::per_second(1_024)));
        assert_eq!(reason, "nothing sent or acknowledged for 7 s; it is limited to 1.0 KiB/s");
    }
}
