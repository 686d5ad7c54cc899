//! Who is called next, of the requesters whose time has come.
//!
//! Invariant: at most `CALLS_MAX` calls are under way, and at most one to each requester; a call that
//! waits is overtaken only by those to other requesters. What waits is bounded by the ledger, which
//! gives out an upload once until its call is answered. Ends when nothing waits.

use std::collections::{BTreeSet, VecDeque};

use super::events::Knock;
use crate::base::{NodeId, PeerInfo};

/// Calls under way at once: one address that swallows everything must not hold up all others.
pub const CALLS_MAX: usize = 4;

/// A knock, and where its requester was said to be when that was allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// For what.
    pub knock: Knock,
    /// Where.
    pub peer: PeerInfo,
}

/// The calls that are due and those under way.
#[derive(Debug, Default)]
pub struct Calls {
    waiting: VecDeque<Call>,
    under_way: BTreeSet<NodeId>,
}

impl Calls {
    /// More calls are due.
    pub fn add(&mut self, due: Vec<Call>) {
        self.waiting.extend(due);
    }

    /// The next call to be made now; `done` is to follow.
    pub fn next_call(&mut self) -> Option<Call> {
        if self.under_way.len() >= CALLS_MAX {
            return None;
        }
        let free = |call: &Call| !self.under_way.contains(&call.knock.requester);
        let call = self.waiting.iter().position(free).and_then(|at| self.waiting.remove(at))?;
        self.under_way.insert(call.knock.requester);
        Some(call)
    }

    /// The call to `requester` is over.
    pub fn done(&mut self, requester: NodeId) {
        self.under_way.remove(&requester);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Ports;

    fn call(requester: u8, set: u8) -> Call {
        let id = NodeId::from_bytes([requester; 32]);
        let ports = Ports { search: 1, size: 2, chunk: 3 };
        let label = format!("node{requester}").parse().unwrap();
        let peer = PeerInfo { id, label, ip: [10, 0, 0, requester].into(), ports, files: 0 };
        Call { knock: Knock { requester: id, set: [set; 32], content: None }, peer }
    }

    #[test]
    fn a_requester_is_called_once_at_a_time_and_holds_up_nobody() {
        let mut calls = Calls::default();
        calls.add(vec![call(1, 1), call(1, 2), call(2, 1)]);
        assert_eq!(calls.next_call(), Some(call(1, 1)));
        assert_eq!(calls.next_call(), Some(call(2, 1)), "the first one's second call waits");
        assert_eq!(calls.next_call(), None);
        calls.done(call(1, 1).knock.requester);
        assert_eq!(calls.next_call(), Some(call(1, 2)));
        assert_eq!(calls.next_call(), None);
    }

    #[test]
    fn calls_under_way_are_bounded() {
        let mut calls = Calls::default();
        calls.add((1..9).map(|requester| call(requester, 0)).collect());
        let begun: Vec<Call> = std::iter::from_fn(|| calls.next_call()).collect();
        assert_eq!(begun.len(), CALLS_MAX);
        calls.done(begun[2].knock.requester);
        assert_eq!(calls.next_call(), Some(call(5, 0)));
        assert_eq!(calls.next_call(), None);
    }
}
