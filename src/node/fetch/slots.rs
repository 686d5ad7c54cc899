//! How many sets of one download are on their way at the same time.
//!
//! Invariant: no more of them than there are slots have bytes on their way; one that has arrived leaves
//! its slot to the next before it gets its names, so that the line is not idle while the disk works.
//! What another download took away of it at that moment is had again without one. However a set ends,
//! its slot is free then, once.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Condvar, Mutex};

/// The slots of a download.
pub(super) struct Slots {
    free: Mutex<usize>,
    changed: Condvar,
}

/// One of them, free again when this is left or dropped.
pub(super) struct Slot<'a> {
    slots: &'a Slots,
    taken: AtomicBool,
}

impl Slots {
    pub(super) fn new(count: usize) -> Slots {
        Slots { free: Mutex::new(count), changed: Condvar::new() }
    }

    /// Waits for a free one.
    pub(super) fn take(&self) -> Slot<'_> {
        let mut free = self.free.lock();
        while *free == 0 {
            self.changed.wait(&mut free);
        }
        *free -= 1;
        Slot { slots: self, taken: AtomicBool::new(true) }
    }
}

impl Slot<'_> {
    /// The set has arrived.
    fn leave(&self) {
        if self.taken.swap(false, Ordering::Relaxed) {
            *self.slots.free.lock() += 1;
            self.slots.changed.notify_one();
        }
    }
}

/// Names a set, while another may have its slot if all of it has arrived.
pub(super) fn naming<T>(slot: Option<&Slot<'_>>, is_all: bool, name: impl FnOnce() -> T) -> T {
    slot.filter(|_| is_all).inspect(|slot| slot.leave());
    name()
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_arrived_gets_its_names_without_a_slot_and_what_has_not_keeps_it() {
        let slots = Slots::new(1);
        let (slot, free) = (slots.take(), || *slots.free.lock());
        naming(Some(&slot), false, || assert_eq!(free(), 0, "some of it is missing"));
        naming(Some(&slot), true, || assert_eq!(free(), 1, "the line is idle meanwhile"));
        drop(slot);
        assert_eq!((free(), naming(None, true, || 7)), (1, 7));
    }

    #[test]
    fn a_slot_is_free_once_when_its_set_has_arrived_and_when_it_ends_otherwise() {
        let slots = Slots::new(2);
        let free = || *slots.free.lock();
        let (arrived, stopped) = (slots.take(), slots.take());
        assert_eq!(free(), 0);
        arrived.leave();
        assert_eq!(free(), 1, "it waits for the names");
        drop((arrived, stopped));
        assert_eq!(free(), 2, "one was given back twice, or not at all");
    }
}
