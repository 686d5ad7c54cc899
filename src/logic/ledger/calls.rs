//! Who is called next, of the requesters whose time has come.
//!
//! Invariant: at most `CALLS_MAX` calls are under way; those that are due are made in their order. What
//! waits is bounded: the ledger gives out one call a requester until all of it is answered, the
//! budget one call an address. So whoever takes long to answer, under however many names, holds up
//! others by one call an address of his and turn. Ends when nothing waits.

use std::collections::VecDeque;

use super::events::Knock;
use crate::base::PeerInfo;

/// Calls under way at once: one address that swallows everything must not hold up all others.
pub const CALLS_MAX: usize = 4;

/// The knocks at one requester, and where it was said to be when that was allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Where.
    pub peer: PeerInfo,
    /// For what, in the order in which it is asked after.
    pub knocks: Vec<Knock>,
}

/// The calls that are due and those under way.
#[derive(Debug, Default)]
pub struct Calls {
    waiting: VecDeque<Call>,
    under_way: usize,
}

impl Calls {
    /// More calls are due.
    pub fn add(&mut self, due: Vec<Call>) {
        self.waiting.extend(due);
    }

    /// The next call to be made now; `done` is to follow.
    pub fn next_call(&mut self) -> Option<Call> {
        if self.under_way >= CALLS_MAX {
            return None;
        }
        let call = self.waiting.pop_front()?;
        self.under_way += 1;
        Some(call)
    }

    /// A call is over.
    pub fn done(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{NodeId, Ports};

    fn call(requester: u8) -> Call {
        let id = NodeId::from_bytes([requester; 32]);
        let ports = Ports { search: 1, size: 2, chunk: 3 };
        let label = format!("node{requester}").parse().unwrap();
        let peer = PeerInfo { id, label, ip: [10, 0, 0, requester].into(), ports, files: 0 };
        Call { peer, knocks: vec![Knock { requester: id, set: [0; 32], content: None }] }
    }

    #[test]
    fn calls_under_way_are_bounded_and_those_that_wait_keep_their_order() {
        let mut calls = Calls::default();
        calls.add((1..9).map(call).collect());
        let begun: Vec<Call> = std::iter::from_fn(|| calls.next_call()).collect();
        assert_eq!(begun, (1..=CALLS_MAX as u8).map(call).collect::<Vec<_>>());
        calls.done();
        assert_eq!(calls.next_call(), Some(call(5)));
        assert_eq!(calls.next_call(), None);
    }
}
