//! What the ledger gives up, and what it keeps whatever others do.

use super::*;

fn node(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

/// `requester` begins upload number `n` at `second`, and its connection breaks.
fn begun_and_lost(ledger: &mut Ledger, requester: u8, n: usize, second: u64) {
    let connection = Connection(u64::from(requester) * 1_000 + n as u64);
    ledger.open(opening(node(requester), numbered(n)), connection);
    ledger.close(at(second), connection, Lost::Broken);
}

#[test]
fn an_upload_expires_by_running_time_that_survives_a_restart() {
    let (mut ledger, _) = opened();
    ledger.close(at(0), Connection(1), Lost::Broken);
    assert!(ledger.tick(at(0)).is_empty());
    let nearly = AGE_MAX.as_secs() - 10;
    let aged = pass(&mut ledger, 0, nearly);
    let told = |record: &Record| matches!(record, Record::Acked { age_s, .. } if *age_s > 0);
    assert!(aged.len() > 100 && aged.iter().all(told), "{aged:?}");
    let mut again = Ledger::recover(at(5_000_000), PATIENCE, ledger.live());
    assert!(again.tick(at(5_000_000)).is_empty(), "time while the node did not run is none");
    assert!(again.tick(at(5_000_009)).is_empty());
    let over = again.tick(at(5_000_010));
    assert!(is_end(over.first(), &End::Expired), "{over:?}");
}

#[test]
fn an_upload_that_is_opened_again_is_young_after_a_restart_too() {
    let (mut ledger, mut log) = opened();
    ledger.close(at(0), Connection(1), Lost::Broken);
    log.extend(pass(&mut ledger, 0, AGE_MAX.as_secs() - 3_600));
    log.extend(ledger.open(opening(BOB, FILM), Connection(2)).1);
    let mut again = Ledger::recover(at(0), PATIENCE, log);
    let over = pass(&mut again, 0, AGE_MAX.as_secs() - 60);
    assert!(over.iter().all(|r| !matches!(r, Record::Ended { .. })), "{over:?}");
    let over = pass(&mut again, AGE_MAX.as_secs() - 60, AGE_MAX.as_secs());
    assert!(is_end(over.last(), &End::Expired), "{over:?}");
}

#[test]
fn time_on_an_open_connection_that_does_not_move_is_no_time_away() {
    let (mut ledger, _) = opened();
    let mut log = pass(&mut ledger, 0, AGE_MAX.as_secs());
    ledger.close(at(AGE_MAX.as_secs()), Connection(1), Lost::Broken);
    log.extend(pass(&mut ledger, AGE_MAX.as_secs(), AGE_MAX.as_secs() + 3_600));
    assert!(log.iter().all(|r| !matches!(r, Record::Ended { .. })), "{log:?}");
}

#[test]
fn an_open_connection_never_expires() {
    let (mut ledger, _) = opened();
    ledger.tick(at(0));
    let records = ledger.tick(at(10 * AGE_MAX.as_secs()));
    assert!(records.iter().all(|record| !matches!(record, Record::Ended { .. })), "{records:?}");
    assert!(ledger.is_current(Connection(1)));
}

#[test]
fn what_is_unfinished_and_what_is_remembered_is_bounded() {
    let mut ledger = Ledger::new(PATIENCE);
    ledger.tick(at(0));
    for n in 0..UNFINISHED_PER_REQUESTER_MAX + 5 {
        ledger.open(opening(BOB, numbered(n)), Connection(n as u64));
        ledger.close(at(0), Connection(n as u64), Lost::Broken);
    }
    let over = ledger.tick(at(1));
    assert_eq!(over.len(), 5);
    assert!(matches!(over[0], Record::Ended { end: End::Crowded, .. }));
    assert_eq!(ledger.waiting(at(1)).len(), UNFINISHED_PER_REQUESTER_MAX);

    let mut ledger = Ledger::new(PATIENCE);
    for _ in 0..3 {
        ledger.open(opening(BOB, FILM), Connection(0));
    }
    ledger.close(at(0), Connection(0), Lost::Done);
    for n in 0..ENDED_MAX + 10 {
        ledger.open(opening(EVE, numbered(n)), Connection(1));
        ledger.close(at(0), Connection(1), Lost::Done);
    }
    assert_eq!(ledger.entries.len(), ENDED_MAX);
    let again = ledger.open(opening(BOB, FILM), Connection(2)).0.attempt;
    assert!(again > 3, "bob's attempts went back to {again}");
}

#[test]
fn an_upload_that_moved_for_longer_than_a_day_is_not_given_up_at_its_first_loss() {
    let (mut ledger, _) = opened();
    ledger.tick(at(0));
    for hour in 1..=25 {
        ledger.acked(Connection(1), 60);
        pass(&mut ledger, (hour - 1) * 3_600, hour * 3_600);
    }
    let lost = 25 * 3_600;
    ledger.close(at(lost), Connection(1), Lost::Broken);
    assert!(ledger.tick(at(lost + 1)).is_empty());
    let over = pass(&mut ledger, lost + 1, lost + AGE_MAX.as_secs());
    assert!(is_end(over.last(), &End::Expired), "{over:?}");
}

#[test]
fn many_strangers_with_many_uploads_do_not_drive_out_the_only_one_of_somebody_else() {
    let (mut ledger, _) = opened();
    ledger.tick(at(0));
    ledger.close(at(0), Connection(1), Lost::Broken);
    ledger.tick(at(60));
    for stranger in 10..27 {
        (0..256).for_each(|n| begun_and_lost(&mut ledger, stranger, n, 60));
    }
    let over = ledger.tick(at(61));
    assert_eq!(over.len(), 17 * 256 + 1 - UNFINISHED_MAX);
    assert!(ledger.is_unfinished(BOB, FILM));
}

#[test]
fn of_one_requester_that_has_too_much_the_upload_that_waited_longest_goes() {
    let mut ledger = Ledger::new(PATIENCE);
    ledger.tick(at(0));
    begun_and_lost(&mut ledger, 2, 77, 0);
    ledger.tick(at(10));
    (100..100 + UNFINISHED_PER_REQUESTER_MAX).for_each(|n| begun_and_lost(&mut ledger, 2, n, 10));
    let over = ledger.tick(at(11));
    assert!(matches!(over[..], [Record::Ended { set, .. }] if set == numbered(77)), "{over:?}");
}

#[test]
fn what_expires_while_there_is_too_much_ends_once_and_lives_again_when_it_is_opened() {
    let mut ledger = Ledger::new(PATIENCE);
    ledger.tick(at(0));
    begun_and_lost(&mut ledger, 9, 0, 0);
    pass(&mut ledger, 0, AGE_MAX.as_secs() - 1);
    for stranger in 10..27 {
        (0..256).for_each(|n| begun_and_lost(&mut ledger, stranger, n, AGE_MAX.as_secs() - 1));
    }
    let ended = |r: &&Record| matches!(r, Record::Ended { requester, .. } if *requester == node(9));
    assert_eq!(ledger.tick(at(AGE_MAX.as_secs())).iter().filter(ended).count(), 1);
    let again = Connection(7);
    ledger.open(opening(node(9), numbered(0)), again);
    for n in 0..ENDED_MAX + 10 {
        ledger.open(opening(EVE, numbered(n)), Connection(1));
        ledger.close(at(0), Connection(1), Lost::Done);
    }
    assert!(ledger.is_unfinished(node(9), numbered(0)), "endings of others have taken it away");
    assert!(ledger.close(at(0), again, Lost::Done).is_some());
}

#[test]
fn what_the_log_has_begun_ends_there_too_whoever_opens_it_now() {
    let (mut ledger, mut log) = opened();
    let one_shot = Opening { resumable: false, ..opening(BOB, FILM) };
    log.extend(ledger.open(one_shot, Connection(2)).1);
    log.extend(ledger.close(at(1), Connection(2), Lost::Done));
    assert!(Ledger::recover(at(0), PATIENCE, log).waiting(at(0)).is_empty());
}

#[test]
fn an_upload_of_which_nothing_is_here_any_more_is_over_when_it_is_asked_for_again() {
    let (mut ledger, _) = opened();
    assert_eq!(ledger.gone(BOB, FILM), None, "the connection that is open says so itself");
    ledger.close(at(0), Connection(1), Lost::Broken);
    assert_eq!(ledger.gone(EVE, FILM), None);
    assert!(is_end(ledger.gone(BOB, FILM).as_ref(), &End::Gone));
    assert_eq!(ledger.gone(BOB, FILM), None, "once");
}

#[test]
fn who_was_silent_for_an_ack_timeout_is_called_at_once() {
    let (mut ledger, _) = opened();
    ledger.close(at(100), Connection(1), Lost::Silent);
    assert!(knocked(&mut ledger, 100));
}
