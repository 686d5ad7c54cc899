//! An owner that talks and sends nothing keeps nothing of what it was asked for.

use super::*;

/// bob, who is far away, has been asked for both items; carol, who has them too, comes later.
fn asked() -> Shares {
    let mut shares = alice(2);
    open(&mut shares, BOB, 1);
    shares.on_distance(BOB, ROUND_TRIP_MAX);
    assert_eq!(open(&mut shares, CAROL, 2), [], "both may be on their way by now");
    shares
}

/// What comes of it when bob says something ten times a second, until something does.
fn talks(shares: &mut Shares, say: impl Fn(&mut Shares, Time) -> Vec<Action>) -> Vec<Action> {
    for n in 1..=300 {
        let now = NOW + Duration::from_millis(100) * n;
        let mut actions = say(shares, now);
        actions.extend(shares.on_tick(now));
        shares.check();
        if !actions.is_empty() {
            return actions;
        }
    }
    panic!("bob keeps what he was asked for");
}

#[test]
fn one_that_says_again_what_it_has_keeps_nothing() {
    let gets = |actions: &[Action]| {
        let carols =
            |a: &Action| matches!(a, Action::Want { owner: CAROL, add, .. } if !add.is_empty());
        actions.iter().any(carols)
    };
    let all = [range(0, 2)];
    assert!(gets(&talks(&mut asked(), |shares, now| shares.on_have(now, BOB, &all))));
    assert!(gets(&talks(&mut asked(), |shares, now| shares.on_have(now, BOB, &[]))));
    assert!(gets(&talks(&mut asked(), |shares, now| shares.on_stale(now, BOB, &[]))));
}

#[test]
fn one_that_announces_the_same_again_is_silent_for_too_long() {
    let mut shares = asked();
    shares.on_lost(NOW, CAROL);
    shares.on_next(NOW, BOB, Range::one(0));
    let actions = talks(&mut shares, |shares, now| shares.on_next(now, BOB, Range::one(0)));
    assert_eq!(actions, [Action::Drop { owner: BOB, reason: DropReason::Stalled }]);
}

#[test]
fn one_that_takes_back_an_item_may_have_more_later_and_one_that_takes_back_what_it_never_had_has_not()
 {
    let opened = || {
        let (mut shares, mut have) = (alice(4), Bitmap::none(4));
        have.insert(0);
        shares.on_opened(NOW, BOB, node(1), (have, true));
        shares
    };
    let mut shares = opened();
    shares.on_stale(NOW, BOB, &[range(0, 1)]);
    assert!(!shares.is_useless(BOB), "the rest may be on its way there");
    for run in [range(0, 4), range(0, 2)] {
        let mut shares = opened();
        shares.on_stale(NOW, BOB, &[run]);
        assert!(shares.is_useless(BOB), "{run:?}");
    }
}
