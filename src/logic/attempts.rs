//! How often each requester opened each set here, and on which connection it last did.
//!
//! Invariants: the attempt of a transfer only grows; one connection at most is current for it,
//! so that a requester that comes back takes over from what is left of its old connection; the
//! table is bounded. When it is full the transfer closed longest ago is forgotten, and whatever
//! is opened next begins above the highest attempt ever forgotten, so that attempts still grow.

use std::collections::BTreeMap;

use crate::base::NodeId;

/// Most transfers remembered; above it the oldest closed ones go.
pub const ATTEMPTS_MAX: usize = 4_096;

/// A set's key, see `batch::set_key`.
pub type SetKey = [u8; 32];

/// A connection, numbered by the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Connection(pub u64);

/// A transfer was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// For OPENED; the first is 1.
    pub attempt: u32,
    /// The connection that was current until now: close it.
    pub older: Option<Connection>,
}

/// The attempts at all transfers.
#[derive(Debug, Default)]
pub struct Attempts {
    table: BTreeMap<(NodeId, SetKey), Entry>,
    /// The closed ones by when they were closed.
    closed: BTreeMap<u64, (NodeId, SetKey)>,
    closings: u64,
    /// The highest attempt forgotten.
    floor: u32,
}

#[derive(Debug)]
struct Entry {
    attempt: u32,
    state: State,
}

#[derive(Debug)]
enum State {
    Open(Connection),
    /// Its number among the closings.
    Closed(u64),
}

impl Attempts {
    /// An empty table.
    pub fn new() -> Attempts {
        Attempts::default()
    }

    /// `requester` opens `set` on `connection`.
    pub fn open(&mut self, requester: NodeId, set: SetKey, connection: Connection) -> Attempt {
        let first = Entry { attempt: self.floor, state: State::Open(connection) };
        let entry = self.table.entry((requester, set)).or_insert(first);
        entry.attempt = entry.attempt.saturating_add(1);
        let attempt = entry.attempt;
        let older = match std::mem::replace(&mut entry.state, State::Open(connection)) {
            State::Open(older) => (older != connection).then_some(older),
            State::Closed(number) => {
                self.closed.remove(&number);
                None
            }
        };
        self.trim();
        Attempt { attempt, older }
    }

    /// The transfer is over on `connection`. Of one that is not current any more nothing happens.
    pub fn close(&mut self, requester: NodeId, set: SetKey, connection: Connection) {
        let Some(entry) = self.table.get_mut(&(requester, set)) else { return };
        if matches!(entry.state, State::Open(current) if current == connection) {
            entry.state = State::Closed(self.closings);
            self.closed.insert(self.closings, (requester, set));
            self.closings += 1;
            self.trim();
        }
    }

    /// Whether `connection` is the one on which the transfer was opened last.
    pub fn is_current(&self, requester: NodeId, set: SetKey, connection: Connection) -> bool {
        self.table.get(&(requester, set)).is_some_and(
            |entry| matches!(entry.state, State::Open(current) if current == connection),
        )
    }

    /// Transfers remembered. More than `ATTEMPTS_MAX` only while more are open.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    fn trim(&mut self) {
        while self.table.len() > ATTEMPTS_MAX {
            let Some((_, key)) = self.closed.pop_first() else { return };
            if let Some(entry) = self.table.remove(&key) {
                self.floor = self.floor.max(entry.attempt);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: NodeId = NodeId::from_bytes([1; 32]);
    const BOB: NodeId = NodeId::from_bytes([2; 32]);
    const SET: SetKey = [7; 32];

    fn numbered(i: usize) -> SetKey {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&(i as u64).to_le_bytes());
        key
    }

    #[test]
    fn a_requester_that_comes_back_takes_over_from_its_old_connection() {
        let mut table = Attempts::new();
        let (old, new) = (Connection(1), Connection(2));
        assert_eq!(table.open(ALICE, SET, old), Attempt { attempt: 1, older: None });
        assert_eq!(table.open(ALICE, SET, new), Attempt { attempt: 2, older: Some(old) });
        assert!(table.is_current(ALICE, SET, new));
        assert!(!table.is_current(ALICE, SET, old), "the old attempt still counts");
        table.close(ALICE, SET, old);
        assert!(table.is_current(ALICE, SET, new), "the old connection's end closed the new one");
    }

    #[test]
    fn attempts_of_different_requesters_and_sets_are_apart() {
        let mut table = Attempts::new();
        table.open(ALICE, SET, Connection(1));
        assert_eq!(table.open(BOB, SET, Connection(2)), Attempt { attempt: 1, older: None });
        assert_eq!(table.open(ALICE, [8; 32], Connection(1)), Attempt { attempt: 1, older: None });
    }

    #[test]
    fn opening_again_on_the_same_connection_closes_nothing() {
        let mut table = Attempts::new();
        table.open(ALICE, SET, Connection(1));
        assert_eq!(table.open(ALICE, SET, Connection(1)), Attempt { attempt: 2, older: None });
        table.close(ALICE, SET, Connection(1));
        assert_eq!(table.open(ALICE, SET, Connection(9)), Attempt { attempt: 3, older: None });
    }

    #[test]
    fn a_full_table_forgets_the_oldest_closed_and_attempts_still_grow() {
        let mut table = Attempts::new();
        for i in 0..3 {
            table.open(ALICE, SET, Connection(i));
        }
        table.close(ALICE, SET, Connection(2));
        for i in 0..ATTEMPTS_MAX + 10 {
            table.open(BOB, numbered(i), Connection(100));
            table.close(BOB, numbered(i), Connection(100));
        }
        assert_eq!(table.len(), ATTEMPTS_MAX);
        let again = table.open(ALICE, SET, Connection(5));
        assert!(again.attempt > 3, "alice's attempts went back to {}", again.attempt);
        assert_eq!(again.older, None);
    }

    #[test]
    fn open_transfers_are_never_forgotten() {
        let mut table = Attempts::new();
        for i in 0..ATTEMPTS_MAX + 10 {
            table.open(BOB, numbered(i), Connection(1));
        }
        assert!((0..ATTEMPTS_MAX + 10).all(|i| table.is_current(BOB, numbered(i), Connection(1))));
        for i in 0..20 {
            table.close(BOB, numbered(i), Connection(1));
        }
        assert_eq!(table.len(), ATTEMPTS_MAX);
    }
}
