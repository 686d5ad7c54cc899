//! What those who fetch the same batch are asked for rests with them for a while.

use super::*;

/// Both have the first ten small files of a batch; bob was asked for all of them before carol came, and has
/// shown that he is slow.
fn asked() -> (Shares, Time) {
    let items = Items::files(vec![8 << 10; 20]);
    let mut shares = Shares::new(items, Bitmap::none(20));
    let mut ten = Bitmap::none(20);
    (0..10).for_each(|item| _ = ten.insert(item));
    shares.on_opened(NOW, BOB, node(1), (ten.clone(), true));
    let now = NOW + Duration::from_millis(400);
    assert_eq!(
        shares.on_opened(now, CAROL, node(2), (ten, true)),
        [],
        "it has just been asked for"
    );
    (shares, now)
}

#[test]
fn what_one_who_fetches_the_batch_was_asked_for_is_left_to_him_for_a_while_and_no_longer() {
    let (mut shares, now) = asked();
    assert_eq!(shares.on_tick(now), []);
    let actions = shares.on_tick(NOW + Duration::from_millis(600));
    shares.check();
    let to_carol = |a: &Action| matches!(a, Action::Want { owner: CAROL, .. });
    assert!(actions.iter().any(to_carol), "bob keeps what he does not send: {actions:?}");
    let again = shares.on_tick(NOW + Duration::from_millis(700));
    assert!(
        !again.iter().any(|a| matches!(a, Action::Want { owner: BOB, add, .. } if !add.is_empty()))
    );
}

#[test]
fn to_one_who_fetches_the_batch_nothing_is_moved_that_gains_little() {
    let moved = |of_carol: u32| {
        let mut shares = Shares::new(Items::files(vec![256 << 10; 4]), Bitmap::none(4));
        open(&mut shares, BOB, 1);
        let mut have = Bitmap::none(4);
        (0..of_carol).for_each(|item| _ = have.insert(item));
        // 16 MiB/s are assumed of bob: all of it lasts 63 ms.
        let actions = shares.on_opened(NOW, CAROL, node(2), (have, true));
        shares.check();
        !actions.is_empty()
    };
    assert!(moved(4) && !moved(3));
}
