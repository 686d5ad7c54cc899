//! Which owner makes room for another.

use super::*;

#[test]
fn who_has_brought_least_for_its_time_makes_room_unless_it_has_all_or_something_under_way() {
    let mut shares = alice(8);
    let mut part = Bitmap::all(8);
    part.remove(7);
    shares.on_opened(NOW, BOB, node(1), (Bitmap::all(8), false));
    shares.on_opened(NOW, CAROL, node(2), (part.clone(), true));
    shares.on_opened(NOW, DAVE, node(3), (part.clone(), true));
    let later = NOW + Duration::from_millis(200);
    assert_eq!(shares.least(NOW + Duration::from_millis(199)), None, "they have had no time");
    let asked = |shares: &Shares, key| Range::one(shares.owners[&key].share().next().unwrap());
    let first = asked(&shares, DAVE);
    shares.on_next(NOW, DAVE, first);
    assert_eq!(shares.least(later), Some(CAROL), "of dave something is awaited");
    assert_eq!(shares.on_chunk_begun(NOW, DAVE, first), Verdict::Take);
    shares.on_bytes(NOW, DAVE, MIB / 4);
    shares.on_verified(NOW, DAVE, first);
    assert_eq!(shares.least(later), Some(CAROL), "she has brought nothing");
    let second = asked(&shares, CAROL);
    shares.on_next(NOW, CAROL, second);
    assert_eq!(shares.least(later), Some(DAVE), "of carol something is awaited");
    shares.on_distance(DAVE, Duration::from_millis(10));
    assert_eq!(shares.least(later), None, "he is far away");
    shares.on_lost(NOW, DAVE);
    assert_eq!(shares.least(later), None, "bob does not fetch it");
    shares.on_opened(NOW, DAVE, node(3), (part, false));
    assert_eq!(shares.least(later), None, "he shares what he has, if not all of it");
}
