//! Who may come in: counts of connections, and whom to put out when strangers crowd the door.
//!
//! ```text
//! arrive -> pending -- authenticated --> open -- leave -->
//!              |                                   ^
//!              +-- made room for a newer one --> leaving
//! ```
//!
//! Invariant: `open <= connections_max`, `pending <= pending_max` and `leaving <= pending_max`,
//! so threads and descriptors are bounded whatever strangers do (I7). Pure: no sockets, no clock.

use std::collections::BTreeSet;

/// The bounds of one listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServeLimits {
    /// Connections with a proved identity, parked ones included.
    pub connections_max: usize,
    /// Connections that still have to prove one.
    pub pending_max: usize,
}

/// A connection's number; older ones have smaller numbers.
pub(super) type Ticket = u64;

/// What becomes of an arrival.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It comes in, at the cost of another.
    Enter { ticket: Ticket, put_out: Option<Ticket> },
    /// All connections are taken.
    Full,
    /// Those who were put out are still on their way: ask again when one has left.
    Crowded,
}

pub(super) struct Admission {
    limits: ServeLimits,
    next: Ticket,
    pending: BTreeSet<Ticket>,
    open: BTreeSet<Ticket>,
    /// Put out, but their threads have not ended yet.
    leaving: BTreeSet<Ticket>,
}

impl Admission {
    pub(super) fn new(limits: ServeLimits) -> Admission {
        let limits = ServeLimits { pending_max: limits.pending_max.max(1), ..limits };
        let none = BTreeSet::new;
        Admission { limits, next: 0, pending: none(), open: none(), leaving: none() }
    }

    /// Somebody stands at the door. When too many are unproved, the oldest of them makes room: a
    /// good peer proves itself at once, so the oldest is the likeliest to be idle.
    pub(super) fn arrive(&mut self) -> Verdict {
        let crowded = self.pending.len() >= self.limits.pending_max;
        if self.open.len() >= self.limits.connections_max {
            return Verdict::Full;
        }
        if crowded && self.leaving.len() >= self.limits.pending_max {
            return Verdict::Crowded;
        }
        let put_out = if crowded { self.pending.pop_first() } else { None };
        self.leaving.extend(put_out);
        let ticket = self.next;
        self.next += 1;
        self.pending.insert(ticket);
        Verdict::Enter { ticket, put_out }
    }

    /// `ticket` has proved who it is; returns whether it may stay.
    pub(super) fn authenticated(&mut self, ticket: Ticket) -> bool {
        let room = self.open.len() < self.limits.connections_max;
        room && self.pending.remove(&ticket) && self.open.insert(ticket)
    }

    /// `ticket` is gone.
    pub(super) fn leave(&mut self, ticket: Ticket) {
        self.pending.remove(&ticket);
        self.open.remove(&ticket);
        self.leaving.remove(&ticket);
    }

    #[cfg(test)]
    pub(super) fn counts(&self) -> (usize, usize, usize) {
        (self.pending.len(), self.open.len(), self.leaving.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(connections_max: usize, pending_max: usize) -> Admission {
        Admission::new(ServeLimits { connections_max, pending_max })
    }

    fn enter(a: &mut Admission) -> (Ticket, Option<Ticket>) {
        match a.arrive() {
            Verdict::Enter { ticket, put_out } => (ticket, put_out),
            other => panic!("turned away: {other:?}"),
        }
    }

    #[test]
    fn the_oldest_stranger_makes_room_and_those_who_proved_themselves_stay() {
        let mut a = admission(10, 2);
        let alice = enter(&mut a).0;
        assert!(a.authenticated(alice));
        let strangers = [enter(&mut a).0, enter(&mut a).0];
        assert_eq!(enter(&mut a).1, Some(strangers[0]));
        assert_eq!(enter(&mut a).1, Some(strangers[1]));
        assert!(!a.authenticated(strangers[0]), "put out, but let in after all");
        assert_eq!(a.counts(), (2, 1, 2));
    }

    #[test]
    fn a_flood_of_strangers_stays_within_the_bounds() {
        let mut a = admission(10, 4);
        let entered = (0..1_000).filter(|_| a.arrive() != Verdict::Crowded).count();
        assert_eq!((entered, a.counts()), (8, (4, 0, 4)));
        a.leave(0);
        assert_eq!(enter(&mut a).1, Some(4), "a thread that ended makes room for a newer arrival");
    }

    #[test]
    fn a_full_house_turns_arrivals_away_until_somebody_leaves() {
        let mut a = admission(2, 4);
        let guests = [enter(&mut a).0, enter(&mut a).0, enter(&mut a).0];
        assert!(a.authenticated(guests[0]) && a.authenticated(guests[1]));
        assert!(!a.authenticated(guests[2]), "a third where two have room");
        assert_eq!(a.arrive(), Verdict::Full);
        a.leave(guests[0]);
        assert!(a.authenticated(guests[2]));
        for guest in guests {
            a.leave(guest);
        }
        assert_eq!(a.counts(), (0, 0, 0));
    }
}
