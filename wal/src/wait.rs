//! Who waits for a sync. Each is woken alone, and needs no lock of the log to hear that its record is
//! durable: so those whom one sync has served are not in the way of the next.
//!
//! Invariant: a waiter is told exactly once, by whoever takes it off the list. While the list is not
//! empty a leader is at work, or somebody who was on it has been told to look and leads then. It ends
//! empty, with the last append.

use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

/// What a waiter hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// Its record is durable.
    Durable,
    /// The state of the log says what it is to do now.
    Look,
}

/// One thread that waits until record `seq` is durable.
pub(crate) struct Waiter {
    seq: u64,
    told: Mutex<Option<Told>>,
    woken: Condvar,
}

impl Waiter {
    /// Waits until something has become of its record. Call it without the log's lock.
    pub(crate) fn wait(&self) -> Told {
        let mut told = self.told.lock();
        loop {
            match *told {
                Some(told) => return told,
                None => self.woken.wait(&mut told),
            }
        }
    }

    fn tell(&self, told: Told) {
        *self.told.lock() = Some(told);
        self.woken.notify_one();
    }
}

/// All that wait, those who came first in front.
#[derive(Default)]
pub(crate) struct Waiters(Vec<Arc<Waiter>>);

impl Waiters {
    /// One more, for record `seq`.
    pub(crate) fn join(&mut self, seq: u64) -> Arc<Waiter> {
        let (told, woken) = (Mutex::new(None), Condvar::new());
        let waiter = Arc::new(Waiter { seq, told, woken });
        self.0.push(Arc::clone(&waiter));
        waiter
    }

    /// Takes off the list whom a sync of all up to `synced` concerns, and the next leader.
    pub(crate) fn after_sync(&mut self, synced: u64) -> Served {
        let (durable, mut others): (Vec<_>, Vec<_>) =
            self.0.drain(..).partition(|waiter| waiter.seq <= synced);
        let next = (!others.is_empty()).then(|| others.remove(0));
        self.0 = others;
        Served { durable, next }
    }

    /// All records that are waited for are durable.
    pub(crate) fn tell_durable(&mut self) {
        self.0.drain(..).for_each(|waiter| waiter.tell(Told::Durable));
    }

    /// Something has happened that concerns all.
    pub(crate) fn tell_to_look(&mut self) {
        self.0.drain(..).for_each(|waiter| waiter.tell(Told::Look));
    }
}

/// Whom the end of a sync concerns.
#[must_use = "they wait until they are told"]
pub(crate) struct Served {
    durable: Vec<Arc<Waiter>>,
    next: Option<Arc<Waiter>>,
}

impl Served {
    /// Wakes them, the next leader first. Call it without the log's lock.
    pub(crate) fn tell(self) {
        self.next.into_iter().for_each(|waiter| waiter.tell(Told::Look));
        self.durable.into_iter().for_each(|waiter| waiter.tell(Told::Durable));
    }
}
