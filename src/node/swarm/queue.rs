//! Who waits for his turn to send, of all sets: they share this node's line.
//!
//! Invariant: a writer is known here from the beginning of its transfer to its end, so that whoever is
//! granted a turn can be woken. The turns are asked for under their own lock, the writers are looked up
//! without it, and are woken without either.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use super::Outgoing;
use crate::logic::ledger::Connection;
use crate::logic::turns::Turns;

/// See the module.
#[derive(Default)]
pub(super) struct Queue {
    turns: Mutex<Turns>,
    writers: Mutex<BTreeMap<Connection, Arc<Outgoing>>>,
}

impl Queue {
    /// A transfer begins.
    pub(super) fn enter(&self, connection: Connection, writer: Arc<Outgoing>) {
        self.writers.lock().insert(connection, writer);
    }

    /// It has ended.
    pub(super) fn leave(&self, connection: Connection) {
        self.writers.lock().remove(&connection);
    }

    /// Whose turn it is. Held for decisions only.
    pub(super) fn turns(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock()
    }

    /// Wakes those whose turn has come. Call it without a transfer's lock.
    pub(super) fn wake_granted(&self) {
        let granted = self.turns.lock().granted();
        self.wake(&granted);
    }

    /// Wakes these. Call it without a transfer's lock.
    pub(super) fn wake(&self, granted: &[u64]) {
        for who in granted {
            let outgoing = self.writers.lock().get(&Connection(*who)).cloned();
            outgoing.iter().for_each(|outgoing| outgoing.nudge());
        }
    }
}
