//! Who is called when there are more than may be, and what one call asks after.

use super::*;
use crate::logic::ledger::Met;

/// `n` sets of a requester are begun and lost at `second`.
fn lost(ledger: &mut Ledger, requester: NodeId, n: usize, second: u64) {
    for set in 0..n {
        let connection = Connection(u64::from(requester.as_bytes()[0]) * 1_000 + set as u64);
        ledger.open(opening(requester, numbered(set)), connection);
        ledger.close(at(second), connection, Lost::Broken);
    }
}

fn whom(knocks: &[Knock]) -> Vec<NodeId> {
    let mut whom: Vec<NodeId> = knocks.iter().map(|knock| knock.requester).collect();
    whom.dedup();
    whom
}

#[test]
fn one_call_asks_after_all_that_waits_for_a_requester_what_waited_longest_first() {
    let mut ledger = Ledger::new(PATIENCE);
    lost(&mut ledger, BOB, 12, 0);
    ledger.open(opening(BOB, FILM), Connection(7));
    ledger.close(at(1), Connection(7), Lost::Broken);
    let asked = std::cell::Cell::new(0);
    let once = |_: &NodeId| {
        asked.set(asked.get() + 1);
        Reach::Call
    };
    let knocks = ledger.due(at(20), &once);
    assert_eq!((knocks.len(), asked.get()), (13, 1), "the film is not due alone, but comes along");
    assert_eq!(knocks[12].set, FILM);
}

#[test]
fn who_is_being_called_is_not_called_for_what_becomes_due_meanwhile() {
    let mut ledger = Ledger::new(PATIENCE);
    lost(&mut ledger, BOB, 2, 0);
    assert_eq!(ledger.due(at(20), &everybody).len(), 2);
    ledger.open(opening(BOB, FILM), Connection(7));
    ledger.close(at(20), Connection(7), Lost::Broken);
    assert!(ledger.due(at(50), &everybody).is_empty());
    (0..2).for_each(|set| {
        ledger.answered(at(50), BOB, numbered(set), Answer::Later("paused".into()), 0);
    });
    assert_eq!(ledger.due(at(50), &everybody).len(), 3, "the film is due, the others come along");
}

#[test]
fn one_with_many_paused_sets_does_not_take_all_calls_to_the_address_he_shares_with_others() {
    let mut ledger = Ledger::new(PATIENCE);
    let ip = std::net::IpAddr::from([10, 0, 0, 9]);
    let others: Vec<NodeId> = (3..12).map(|n| NodeId::from_bytes([n; 32])).collect();
    lost(&mut ledger, BOB, 40, 0);
    others.iter().for_each(|other| lost(&mut ledger, *other, 3, 0));
    let mut budget = KnockBudget::default();
    let mut calls: BTreeMap<NodeId, Vec<u64>> = BTreeMap::new();
    for second in 20..620 {
        let now = at(second);
        let taken = std::cell::RefCell::new(&mut budget);
        let reach = |id: &NodeId| match taken.borrow_mut().take(now, ip, *id) {
            true => Reach::Call,
            false => Reach::TooOften,
        };
        let knocks = ledger.due(now, &reach);
        for requester in whom(&knocks) {
            budget.met(now, ip, requester, Met::Answered);
            calls.entry(requester).or_default().push(second);
        }
        for knock in knocks {
            let later = Answer::Later("paused".into());
            ledger.answered(now, knock.requester, knock.set, later, knock.set[0].into());
        }
    }
    assert_eq!(calls.len(), 10, "somebody was never called: {calls:?}");
    for (who, calls) in calls {
        let longest = calls.windows(2).map(|pair| pair[1] - pair[0]).max();
        assert!(
            longest <= Some(120),
            "{who:?} waited, though ten share six calls a minute: {calls:?}"
        );
    }
}

/// Whether it is asked at `second` if bob may be called, which he may not.
fn is_asked(ledger: &mut Ledger, second: u64, answer: fn() -> Reach) -> bool {
    let asked = std::cell::Cell::new(false);
    let knocks = ledger.due(at(second), &|_| {
        asked.set(true);
        answer()
    });
    assert!(knocks.is_empty(), "he is called");
    asked.get()
}

#[test]
fn who_may_not_be_called_is_looked_at_again_and_sooner_when_that_is_for_others_at_his_address() {
    let rows: [(fn() -> Reach, u64); 2] = [(|| Reach::Absent, 5), (|| Reach::TooOften, 1)];
    for (answer, wait) in rows {
        let mut ledger = Ledger::new(PATIENCE);
        lost(&mut ledger, BOB, 1, 0);
        assert!(is_asked(&mut ledger, 20, answer));
        assert!((20..20 + wait).all(|second| !is_asked(&mut ledger, second, answer)), "{wait}");
        assert!(is_asked(&mut ledger, 20 + wait, answer), "{wait}");
    }
}

#[test]
fn what_is_not_due_yet_is_not_put_off_with_the_rest() {
    let mut ledger = Ledger::new(PATIENCE);
    lost(&mut ledger, BOB, 1, 0);
    ledger.open(opening(BOB, FILM), Connection(7));
    ledger.close(at(1), Connection(7), Lost::Broken);
    assert!(is_asked(&mut ledger, 20, || Reach::Absent));
    assert!(is_asked(&mut ledger, 21, || Reach::Absent), "the film is due now");
}

#[test]
fn who_is_listed_again_is_called_soon_and_never_later_than_he_would_have_been() {
    let (mut ledger, _) = opened();
    ledger.close(at(0), Connection(1), Lost::Broken);
    let called_in_vain = |ledger: &mut Ledger, second| {
        assert!(knocked(ledger, second), "not called at {second}");
        ledger.answered(at(second), BOB, FILM, Answer::Away("refused".into()), u64::MAX);
    };
    [20, 40].into_iter().for_each(|second| called_in_vain(&mut ledger, second));
    ledger.returned(at(41), BOB);
    assert!(!knocked(&mut ledger, 42), "he may come by himself");
    called_in_vain(&mut ledger, 43);
    called_in_vain(&mut ledger, 63);
    ledger.returned(at(102), BOB);
    called_in_vain(&mut ledger, 103);
}

#[test]
fn a_call_that_was_not_made_is_made_soon_and_is_no_failure() {
    let (mut ledger, _) = opened();
    ledger.close(at(0), Connection(1), Lost::Broken);
    for second in (20..60).step_by(5) {
        assert!(knocked(&mut ledger, second), "{second}");
        let not_tried = Answer::NotTried("too many open files".into());
        assert_eq!(ledger.answered(at(second), BOB, FILM, not_tried, u64::MAX), None);
        let row = &ledger.waiting(at(second))[0].reason;
        assert!(row.starts_with("it could not be called: too many open files; "), "{row}");
    }
    assert!(knocked(&mut ledger, 60));
    ledger.answered(at(60), BOB, FILM, Answer::Away("refused".into()), u64::MAX);
    assert!(knocked(&mut ledger, 80), "the pauses are as after the first failure");
}

#[test]
fn who_is_forgotten_is_not_remembered_as_called() {
    let (mut ledger, _) = opened();
    ledger.close(at(0), Connection(1), Lost::Broken);
    assert!(knocked(&mut ledger, 20));
    ledger.tick(at(21));
    assert_eq!(ledger.called.len(), 1);
    ledger.answered(at(21), BOB, FILM, Answer::Done, 0);
    for n in 0..=ENDED_MAX {
        ledger.open(opening(EVE, numbered(n)), Connection(2));
        ledger.close(at(21), Connection(2), Lost::Done);
    }
    ledger.tick(at(22));
    assert!(ledger.called.is_empty());
}
