//! Who has a chunk connection: one requester must not take the place of all others, nor one machine,
//! nor those who sit there and do nothing.
//!
//! Invariant: an identity has at most `IDENTITY_MAX` places, an address `ADDRESS_MAX`, all together
//! `PLACES_MAX`; uploads, of those, what `--up` has room for. Strangers can make themselves identities
//! and come from several addresses; so whoever has moved nothing for `QUIET_MAX` makes room when there
//! is none, the quietest first. Only bytes that have left and first acknowledgements are a move: words
//! cost nothing. Below the listener's own bound, so that a newcomer gets as far as here.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use parking_lot::Mutex;

use super::TRANSFERS;
use crate::base::{NodeId, Time};
use crate::logic::ledger::{Connection, SetKey};

/// Chunk connections at once; those who are put out have the rest of the listener's to leave.
const PLACES_MAX: usize = TRANSFERS.connections_max - 16;
/// Of one requester: a quarter. A requester opens one a set, three sets a download, and two more while
/// those before get their names; from the seventh download from one owner on some wait for others.
const IDENTITY_MAX: usize = 32;
/// Of one address: three quarters, since many may share one.
const ADDRESS_MAX: usize = PLACES_MAX / 4 * 3;
/// Who has moved nothing for longer gives way.
const QUIET_MAX: Duration = Duration::from_secs(60);

/// Those who are connected.
#[derive(Default)]
pub(in crate::node) struct Crowd(Mutex<Guests>);

#[derive(Default)]
struct Guests {
    next: u64,
    all: BTreeMap<u64, Guest>,
}

struct Guest {
    peer: NodeId,
    ip: IpAddr,
    entered: Time,
    /// What it has opened or is about to, if anything.
    set: Option<SetKey>,
    upload: Option<Connection>,
    put_out: Box<dyn Fn() + Send>,
}

/// When an upload last moved something.
pub(super) type Moved<'a> = &'a dyn Fn(Connection) -> Option<Time>;

/// One connection's place; dropping it gives it back.
pub(super) struct Place<'a> {
    crowd: &'a Crowd,
    number: u64,
}

impl Crowd {
    /// A place for one more connection of `peer` at `ip`, if it may have one; `put_out` closes it.
    pub(super) fn enter(
        &self,
        now: Time,
        (peer, ip): (NodeId, IpAddr),
        moved: Moved<'_>,
        put_out: impl Fn() + Send + 'static,
    ) -> Option<Place<'_>> {
        let mut guests = self.0.lock();
        if !guests.make_room(IDENTITY_MAX, now, moved, |guest| guest.peer == peer)
            || !guests.make_room(ADDRESS_MAX, now, moved, |guest| guest.ip == ip)
            || !guests.make_room(PLACES_MAX, now, moved, |_| true)
        {
            return None;
        }
        let number = guests.next;
        guests.next += 1;
        let put_out = Box::new(put_out);
        let guest = Guest { peer, ip, entered: now, set: None, upload: None, put_out };
        guests.all.insert(number, guest);
        Some(Place { crowd: self, number })
    }
}

impl Place<'_> {
    /// It is about to open `set`: whether there is room, when `most` uploads may go on at once. It
    /// takes the place of an earlier one of the same set, whose connection nobody may have missed yet.
    pub(super) fn opens(&self, now: Time, most: usize, set: SetKey, moved: Moved<'_>) -> bool {
        let mut guests = self.crowd.0.lock();
        let Some(peer) = guests.all.get(&self.number).map(|guest| guest.peer) else { return false };
        let other = |guest: &Guest| guest.set.is_some_and(|s| (guest.peer, s) != (peer, set));
        let room = guests.make_room(most, now, moved, other);
        let guest = guests.all.get_mut(&self.number).filter(|_| room);
        guest.map(|guest| guest.set = Some(set)).is_some()
    }

    /// What it has opened.
    pub(super) fn opened(&self, upload: Connection) {
        if let Some(guest) = self.crowd.0.lock().all.get_mut(&self.number) {
            guest.upload = Some(upload);
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.crowd.0.lock().all.remove(&self.number);
    }
}

impl Guests {
    /// Whether one more fits among those who are `counted`, of whom there may be `most`; the quietest
    /// of them is put out for it, when it is quiet enough.
    fn make_room(
        &mut self,
        most: usize,
        now: Time,
        moved: Moved<'_>,
        counted: impl Fn(&Guest) -> bool,
    ) -> bool {
        let last = |guest: &Guest| guest.upload.and_then(moved).unwrap_or(guest.entered);
        let among = self.all.iter().filter(|(_, guest)| counted(guest));
        let mut among: Vec<(Time, u64)> = among.map(|(n, guest)| (last(guest), *n)).collect();
        if among.len() < most {
            return true;
        }
        among.sort_unstable();
        let quietest = among.first().filter(|(at, _)| now.since(*at) > QUIET_MAX);
        let gone = quietest.and_then(|(_, number)| self.all.remove(number));
        gone.inspect(|guest| (guest.put_out)()).is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::*;

    const NOW: Time = Time::ZERO;

    fn who(n: u32) -> (NodeId, IpAddr) {
        let [a, b, c, d] = n.to_le_bytes();
        (NodeId::from_bytes([a; 32]), Ipv4Addr::new(10, b, c, d).into())
    }

    /// Identity and address differ from one to the next.
    fn stranger(n: u32) -> (NodeId, IpAddr) {
        (who(n).0, who(n << 8).1)
    }

    const SETS: [SetKey; 2] = [[1; 32], [2; 32]];

    fn never(_: Connection) -> Option<Time> {
        None
    }

    fn enter(crowd: &Crowd, now: Time, who: (NodeId, IpAddr)) -> Option<Place<'_>> {
        crowd.enter(now, who, &never, || ())
    }

    #[test]
    fn one_who_has_all_its_places_waits_for_one_and_others_do_not() {
        let crowd = Crowd::default();
        let [eve, bob] = [1, 2].map(who);
        let mut places: Vec<_> =
            (0..IDENTITY_MAX).map(|_| enter(&crowd, NOW, eve).unwrap()).collect();
        assert!(enter(&crowd, NOW, eve).is_none());
        assert!(enter(&crowd, NOW, bob).is_some());
        places.pop();
        places.push(enter(&crowd, NOW, eve).unwrap());
        assert!(enter(&crowd, NOW, eve).is_none());
        drop(places);
        assert!(crowd.0.lock().all.is_empty(), "who has left is not remembered");
    }

    #[test]
    fn one_address_does_not_take_all_places_with_many_identities() {
        let crowd = Crowd::default();
        let held: Vec<_> = (0..200).map_while(|n| enter(&crowd, NOW, who(n))).collect();
        assert_eq!(held.len(), ADDRESS_MAX);
        assert!(enter(&crowd, NOW, stranger(7)).is_some());
    }

    #[test]
    fn who_moves_nothing_makes_room_for_a_newcomer_and_who_moves_does_not() {
        let crowd = Crowd::default();
        let out = Arc::new(AtomicUsize::new(0));
        let later = NOW + QUIET_MAX + Duration::from_millis(1);
        let moved = |c: Connection| (c.0 != 5).then_some(later);
        let places: Vec<_> = (0..PLACES_MAX as u32)
            .map(|n| {
                let out = out.clone();
                let gone = move || out.store(n as usize, Relaxed);
                let place = crowd.enter(NOW, stranger(n), &moved, gone).unwrap();
                place.opened(Connection(n.into()));
                place
            })
            .collect();
        let newcomer = || crowd.enter(later, stranger(999), &moved, || ());
        assert!(crowd.enter(NOW, stranger(999), &never, || ()).is_none(), "none is quiet yet");
        let place = newcomer().unwrap();
        assert_eq!(out.load(Relaxed), 5, "another than the quiet one was put out");
        assert!(newcomer().is_none(), "who moves has to leave");
        drop(places);
        drop(place);
        assert!(crowd.0.lock().all.is_empty());
    }

    #[test]
    fn a_small_rate_has_room_for_few_uploads_and_for_any_number_of_calls() {
        let crowd = Crowd::default();
        let first = enter(&crowd, NOW, who(1)).unwrap();
        assert!(first.opens(NOW, 1, SETS[0], &never));
        let calls: Vec<_> = (2..20).map_while(|n| enter(&crowd, NOW, who(n))).collect();
        assert_eq!(calls.len(), 18);
        assert!(!calls[0].opens(NOW, 1, SETS[0], &never));
        let again = enter(&crowd, NOW, who(1)).unwrap();
        assert!(again.opens(NOW, 1, SETS[0], &never), "it waits for its own lost connection");
        assert!(!calls[1].opens(NOW, 2, SETS[1], &never));
        let later = NOW + QUIET_MAX + Duration::from_millis(1);
        assert!(calls[0].opens(later, 2, SETS[0], &never), "it waits for one that does nothing");
    }
}
