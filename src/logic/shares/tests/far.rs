//! On far lines a move must gain more than the time in which it may cross an announcement.

use super::*;

const TRIP: Duration = Duration::from_millis(200);

/// bob and carol, both with everything and equally fast, have sent one item each; bob was asked for what
/// takes him 0.8 s more, carol for nothing. Both are `trip` away.
fn one_is_done(trip: Duration) -> (Shares, Time) {
    let mut shares = alice(8);
    open(&mut shares, BOB, 1);
    shares.on_distance(BOB, trip);
    let second = NOW + Duration::from_secs(1);
    shares.on_next(NOW, BOB, Range::one(0));
    assert_eq!(shares.on_chunk_begun(NOW, BOB, Range::one(0)), Verdict::Take);
    shares.on_bytes(second, BOB, MIB / 4);
    shares.on_verified(second, BOB, Range::one(0));
    shares.on_opened(second, CAROL, node(2), (Bitmap::none(8), true));
    shares.on_distance(CAROL, trip);
    shares.check();
    (shares, second)
}

/// What carol is asked for when she gains items that bob has been asked for.
fn carol_gets(shares: &mut Shares, now: Time, items: Range) -> Vec<u32> {
    let actions = shares.on_have(now, CAROL, &[items]);
    shares.check();
    let to_carol = actions.into_iter().filter_map(|action| match action {
        Action::Want { owner: CAROL, add, .. } => Some(add),
        _ => None,
    });
    to_carol.flatten().flat_map(Range::iter).collect()
}

#[test]
fn what_waits_elsewhere_is_moved_while_that_gains_two_round_trips() {
    let all = range(0, 8);
    let near = {
        let (mut shares, now) = one_is_done(Duration::ZERO);
        carol_gets(&mut shares, now, all)
    };
    let far = {
        // An item takes about a second, so a move of the third would gain less than four trips.
        let (mut shares, now) = one_is_done(Duration::from_millis(500));
        carol_gets(&mut shares, now, all)
    };
    assert!(near.len() > far.len() && !far.is_empty(), "near {near:?}, far {far:?}");
}

#[test]
fn the_last_item_of_a_far_owner_stays_with_it_and_that_of_a_near_one_does_not() {
    for (trip, moves) in [(Duration::ZERO, 1), (ROUND_TRIP_MAX, 0)] {
        let mut shares = alice(2);
        open(&mut shares, BOB, 1);
        shares.on_distance(BOB, trip);
        // 16 MiB/s are assumed of both: half a MiB ends after 31 ms.
        let actions = open(&mut shares, CAROL, 2);
        assert_eq!(actions.len(), moves * 2, "{trip:?}: {actions:?}");
    }
}

#[test]
fn nothing_is_moved_to_one_who_would_be_no_sooner() {
    let mut shares = alice(1);
    open(&mut shares, BOB, 1);
    assert_eq!(open(&mut shares, CAROL, 2), [], "both would have it at the same time");
}

#[test]
fn nothing_is_asked_for_twice_while_something_waits_to_be_sent() {
    let mut shares = alice(10);
    open(&mut shares, BOB, 1);
    shares.on_opened(NOW, CAROL, node(2), (Bitmap::none(10), true));
    shares.on_next(NOW, BOB, Range::one(0));
    shares.on_next(NOW, BOB, Range::one(1));
    let carols = carol_gets(&mut shares, NOW, Range::one(1));
    assert!(carols.is_empty(), "{carols:?} is on its way");
}

#[test]
fn no_distance_is_believed_that_would_keep_everything_with_one() {
    let mut shares = alice(100);
    open(&mut shares, BOB, 1);
    shares.on_distance(BOB, Duration::from_secs(3_600));
    assert!(shares.owners[&BOB].round_trip <= ROUND_TRIP_MAX);
}

/// bob's item was moved to carol when his announcement of it comes.
fn crossed(trip: Duration, ahead: bool) -> Vec<Action> {
    let mut shares = alice(8);
    open(&mut shares, BOB, 1);
    open(&mut shares, CAROL, 2);
    shares.on_distance(BOB, trip);
    let carols: Vec<u32> = shares.owners[&CAROL].share().collect();
    let last = *carols.last().unwrap();
    if ahead {
        shares.on_next(NOW, BOB, Range::one(0));
        shares.on_next(NOW, BOB, Range::one(1));
    }
    // carol sends hundred times as fast, so she would have all of hers first.
    let secs = NOW + Duration::from_millis(100);
    shares.on_bytes(secs, CAROL, 64 * MIB);
    let actions = shares.on_next(secs, BOB, Range::one(last));
    shares.check();
    actions
}

#[test]
fn what_crossed_a_move_is_skipped_only_when_that_can_come_in_time() {
    let skips = |actions: &[Action]| {
        actions.iter().any(|action| matches!(action, Action::Skip { owner: BOB, .. }))
    };
    assert!(skips(&crossed(Duration::ZERO, false)), "carol is sooner");
    assert!(skips(&crossed(TRIP, true)), "bob has two others to send first");
    let taken = crossed(TRIP, false);
    assert!(!skips(&taken), "{taken:?}: bob has begun to send it before he hears");
    let from_carol = |action: &Action| matches!(action, Action::Want { owner: CAROL, remove, .. } if !remove.is_empty());
    assert!(taken.iter().any(from_carol), "{taken:?}: it would come twice");
}
