//! What the ledger does with one upload, step by step.

mod acks;
mod bounds;
mod clocks;
mod due;
mod random;

use super::*;

const BOB: NodeId = NodeId::from_bytes([2; 32]);
const EVE: NodeId = NodeId::from_bytes([5; 32]);
const FILM: SetKey = [7; 32];
const PATIENCE: Duration = Duration::from_secs(20);

fn at(seconds: u64) -> Time {
    Time::ZERO + Duration::from_secs(seconds)
}

fn opening(requester: NodeId, set: SetKey) -> Opening {
    Opening { requester, set, name: "film".into(), content: None, total: 1_600, resumable: true }
}

fn numbered(n: usize) -> SetKey {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&(n as u64).to_le_bytes());
    key
}

/// A ledger with bob's film open on connection 1, and its log.
fn opened() -> (Ledger, Vec<Record>) {
    let mut ledger = Ledger::new(PATIENCE);
    let (_, record) = ledger.open(opening(BOB, FILM), Connection(1));
    (ledger, record.into_iter().collect())
}

/// Lets the time between two seconds pass as a node that runs does; returns what is to be logged.
fn pass(ledger: &mut Ledger, from: u64, to: u64) -> Vec<Record> {
    let looks = (from..to).step_by(30).chain([to]);
    looks.flat_map(|second| ledger.tick(at(second))).collect()
}

fn everybody(_: &NodeId) -> Reach {
    Reach::Call
}

fn knocked(ledger: &mut Ledger, seconds: u64) -> bool {
    ledger.due(at(seconds), &everybody) == [Knock { requester: BOB, set: FILM, content: None }]
}

fn is_end(record: Option<&Record>, wanted: &End) -> bool {
    matches!(record, Some(Record::Ended { requester: BOB, set: FILM, end }) if end == wanted)
}

#[test]
fn a_requester_that_comes_back_takes_over_from_its_old_connection() {
    let (mut ledger, _) = opened();
    let (again, record) = ledger.open(opening(BOB, FILM), Connection(2));
    assert_eq!((again.attempt, again.older, again.goes_on), (2, Some(Connection(1)), true));
    assert!(matches!(record, Some(Record::Begun { attempt: 2, .. })));
    assert!(!ledger.is_current(Connection(1)) && ledger.is_current(Connection(2)));
    assert_eq!(ledger.close(at(1), Connection(1), Lost::Done), None, "an old one ends nothing");
    assert!(ledger.is_current(Connection(2)));
}

#[test]
fn attempts_of_different_requesters_and_sets_are_apart() {
    let (mut ledger, _) = opened();
    for (requester, set) in [(EVE, FILM), (BOB, [8; 32])] {
        let (other, _) = ledger.open(opening(requester, set), Connection(u64::from(set[0])));
        assert_eq!((other.attempt, other.older, other.goes_on), (1, None, false));
    }
}

#[test]
fn every_way_to_end_is_told_once_and_the_next_attempt_is_above() {
    let ends =
        [(Lost::Done, End::Done), (Lost::Cancelled("no".into()), End::Cancelled(Text::of("no")))];
    for (how, end) in ends {
        let (mut ledger, _) = opened();
        let record = ledger.close(at(1), Connection(1), how.clone());
        assert!(is_end(record.as_ref(), &end), "{record:?}");
        assert_eq!(ledger.close(at(1), Connection(1), how), None, "once");
        assert!(ledger.due(at(9_999), &everybody).is_empty() && ledger.live().is_empty());
        assert_eq!(ledger.open(opening(BOB, FILM), Connection(2)).0.attempt, 2);
    }
}

#[test]
fn a_lost_requester_is_knocked_at_after_the_patience_and_then_less_and_less_often() {
    let (mut ledger, _) = opened();
    assert_eq!(ledger.close(at(100), Connection(1), Lost::Broken), None);
    assert!(!knocked(&mut ledger, 119), "it may come by itself");
    assert!(knocked(&mut ledger, 120));
    assert!(!knocked(&mut ledger, 121), "one knock at a time");
    let mut now = 120;
    for wait in [20, 40, 40, 40, 40] {
        let answer = Answer::Away("refused".into());
        assert_eq!(ledger.answered(at(now), BOB, FILM, answer, u64::MAX), None);
        let row = &ledger.waiting(at(now))[0];
        let reason = format!("the requester is away: refused; knocks again in {wait} s");
        assert_eq!((row.reason.as_str(), row.attempt), (reason.as_str(), 1));
        assert!(!knocked(&mut ledger, now + wait - 1), "{wait}");
        now += wait;
        assert!(knocked(&mut ledger, now), "{wait}");
    }
}

#[test]
fn a_knock_is_answered_by_an_open_or_an_end() {
    let answers = [
        (Answer::Done, Some(End::Done)),
        (Answer::Cancelled("not mine".into()), Some(End::Cancelled(Text::of("not mine")))),
        (Answer::Coming, None),
        (Answer::Later("disk full".into()), None),
    ];
    for (answer, end) in answers {
        let (mut ledger, _) = opened();
        ledger.close(at(0), Connection(1), Lost::Broken);
        assert!(knocked(&mut ledger, 20));
        let record = ledger.answered(at(20), BOB, FILM, answer.clone(), 0);
        match end {
            Some(end) => assert!(is_end(record.as_ref(), &end), "{answer:?}: {record:?}"),
            None => {
                assert_eq!(record, None);
                assert!(knocked(&mut ledger, 60), "{answer:?}: asked again when it does not come");
            }
        }
    }
}

#[test]
fn one_that_says_it_comes_and_never_does_is_knocked_at_less_and_less_often() {
    let (mut ledger, _) = opened();
    ledger.close(at(0), Connection(1), Lost::Broken);
    let mut now = 20;
    for wait in [20, 40, 40, 40, 40] {
        assert!(knocked(&mut ledger, now), "{wait}");
        assert_eq!(ledger.answered(at(now), BOB, FILM, Answer::Coming, u64::MAX), None);
        assert!(!knocked(&mut ledger, now + wait - 1), "{wait}");
        now += wait;
    }
    ledger.open(opening(BOB, FILM), Connection(2));
    ledger.close(at(now), Connection(2), Lost::Broken);
    assert!(knocked(&mut ledger, now + 20), "who did come is called soon again");
}

#[test]
fn an_answer_that_comes_after_the_open_changes_nothing() {
    let (mut ledger, _) = opened();
    ledger.close(at(0), Connection(1), Lost::Broken);
    assert!(knocked(&mut ledger, 20));
    let (again, _) = ledger.open(opening(BOB, FILM), Connection(2));
    assert_eq!((again.attempt, again.older), (2, None));
    assert_eq!(ledger.answered(at(21), BOB, FILM, Answer::Done, 0), None);
    assert!(ledger.is_current(Connection(2)));
    assert_eq!(ledger.answered(at(21), EVE, FILM, Answer::Done, 0), None, "a foreign one neither");
}

#[test]
fn who_cannot_be_reached_is_not_dialled_until_a_tracker_lists_him() {
    let (mut ledger, _) = opened();
    ledger.close(at(0), Connection(1), Lost::Broken);
    for second in (20..600).step_by(5) {
        assert!(ledger.due(at(second), &|_| Reach::Absent).is_empty());
    }
    assert!(ledger.waiting(at(600))[0].reason.starts_with("the requester is not there"));
    assert!(ledger.due(at(600), &|_| Reach::TooOften).is_empty());
    assert!(ledger.waiting(at(600))[0].reason.starts_with("its address was called often"));
    ledger.returned(at(600), BOB);
    assert!(knocked(&mut ledger, 602));
}

#[test]
fn a_one_shot_requester_is_not_logged_and_ends_with_its_connection() {
    let mut ledger = Ledger::new(PATIENCE);
    let one_shot = Opening { resumable: false, ..opening(BOB, FILM) };
    assert_eq!(ledger.open(one_shot, Connection(1)).1, None);
    assert_eq!(ledger.acked(Connection(1), 1_600), None);
    assert!(ledger.live().is_empty());
    assert_eq!(ledger.close(at(1), Connection(1), Lost::Broken), None);
    assert!(ledger.due(at(999), &everybody).is_empty() && ledger.waiting(at(999)).is_empty());
}

#[test]
fn the_log_gives_the_ledger_again() {
    let (mut ledger, mut log) = opened();
    assert_eq!(ledger.acked(Connection(1), 99), None, "too little for a record");
    log.extend(ledger.acked(Connection(1), 1));
    log.extend(ledger.open(opening(EVE, FILM), Connection(2)).1);
    log.extend(ledger.close(at(1), Connection(2), Lost::Done));

    for log in [log.clone(), ledger.live()] {
        let mut again = Ledger::recover(at(0), PATIENCE, log);
        let rows = again.waiting(at(0));
        assert_eq!(rows.len(), 1, "eve's is over: {rows:?}");
        assert_eq!((rows[0].requester, rows[0].acked, rows[0].attempt), (BOB, 100, 1));
        assert!(rows[0].reason.starts_with("this node has restarted"), "{rows:?}");
        assert!(knocked(&mut again, 2), "soon, not after the patience");
        assert_eq!(again.open(opening(BOB, FILM), Connection(1)).0.attempt, 2);
    }
}
