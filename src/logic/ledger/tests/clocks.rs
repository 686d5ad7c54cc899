//! What the ledger does with a clock that jumps, stands still, is at its origin or goes back: nobody
//! is called or given up but by the time that has really passed while the node ran.

use super::*;

/// The film, lost at second `lost`; then the ledger is asked at each of these seconds.
struct Row {
    name: &'static str,
    lost: u64,
    seconds: Vec<u64>,
    /// At which of them bob was called, and at which his film was given up.
    called: Vec<u64>,
    expired: Vec<u64>,
}

const DAY: u64 = AGE_MAX.as_secs();

fn rows() -> Vec<Row> {
    let row = |name, lost, seconds: &[u64], called: &[u64], expired: &[u64]| Row {
        name,
        lost,
        seconds: seconds.to_vec(),
        called: called.to_vec(),
        expired: expired.to_vec(),
    };
    let still = |second| vec![second; 10_000];
    let days = |n| (0..n).map(|day| 25 + day * DAY).collect::<Vec<_>>();
    vec![
        row("it stands at the origin", 0, &still(0), &[], &[]),
        row("it stands just before the call", 100, &still(119), &[], &[]),
        row("it stands when the call is due", 100, &still(120), &[120], &[]),
        row("it leaves the origin", 0, &[0, 19, 20], &[20], &[]),
        row("it jumps to just before the end", 5, &[5, 5 + DAY - 1], &[5 + DAY - 1], &[]),
        row("it jumps by a day: nobody could be called in it", 5, &[5, 5 + DAY], &[5 + DAY], &[]),
        row("it jumps by a day between loss and first look", 5, &[5 + DAY], &[5 + DAY], &[]),
        row("it jumps by a day a hundred times", 5, &days(100), &[25], &[]),
        row("it goes back to the origin", 100, &[100, 0, 0, 0], &[], &[]),
        row("it goes back and forth", 0, &[0, DAY - 1, 0, DAY - 1, 0, DAY - 1], &[DAY - 1], &[]),
        row("it goes back and on for days", 0, &[0, 29].repeat(4_000), &[29], &[]),
        row("it goes back, then on", 0, &[10, 0, 10, 19, 20], &[20], &[]),
    ]
}

#[test]
fn only_time_that_passes_while_the_node_runs_calls_or_gives_up() {
    for Row { name, lost, seconds, called, expired } in rows() {
        let (mut ledger, _) = opened();
        assert_eq!(ledger.close(at(lost), Connection(1), Lost::Broken), None);
        let (mut calls, mut ends) = (Vec::new(), Vec::new());
        for second in seconds {
            let records = ledger.tick(at(second));
            let over = records.iter().filter(|r| is_end(Some(r), &End::Expired));
            ends.extend(over.map(|_| second));
            if knocked(&mut ledger, second) {
                calls.push(second);
            }
        }
        assert_eq!((calls, ends), (called, expired), "{name}");
    }
}

#[test]
fn an_open_upload_outlives_a_clock_that_jumps_by_a_day_ten_times() {
    let (mut ledger, _) = opened();
    for day in 0..10 {
        let records = ledger.tick(at(day * DAY));
        assert!(!records.iter().any(|r| matches!(r, Record::Ended { .. })), "day {day}");
        assert!(ledger.due(at(day * DAY), &everybody).is_empty(), "day {day}");
        ledger.acked(Connection(1), 1);
    }
    ledger.close(at(10 * DAY), Connection(1), Lost::Broken);
    assert!(!knocked(&mut ledger, 10 * DAY + 19) && knocked(&mut ledger, 10 * DAY + 20));
}

#[test]
fn a_call_that_was_answered_at_the_origin_is_not_made_again_at_once() {
    let (mut ledger, _) = opened();
    ledger.close(at(0), Connection(1), Lost::Silent);
    assert!(knocked(&mut ledger, 0), "who was silent has had the time");
    let away = Answer::Away("refused".into());
    assert_eq!(ledger.answered(Time::ZERO, BOB, FILM, away, u64::MAX), None);
    assert!((0..20).all(|second| !knocked(&mut ledger, second)));
    assert!(knocked(&mut ledger, 20));
}

#[test]
fn a_restart_into_another_clock_gives_up_nobody() {
    let (mut ledger, _) = opened();
    ledger.close(at(0), Connection(1), Lost::Broken);
    pass(&mut ledger, 0, DAY - 1);
    for second in [0, 1, 100 * DAY, u64::from(u32::MAX)] {
        let mut again = Ledger::recover(at(second), PATIENCE, ledger.live());
        let mut calls = 0;
        for _ in 0..100 {
            let records = again.tick(at(second));
            assert!(!records.iter().any(|r| matches!(r, Record::Ended { .. })), "at {second}");
            calls += usize::from(knocked(&mut again, second));
        }
        assert_eq!(calls, 0, "at {second}: he has a moment to come by himself");
        assert!(knocked(&mut again, second + 2));
    }
}

#[test]
fn whoever_was_stopped_for_more_than_a_day_has_given_up_nobody() {
    let (mut ledger, _) = opened();
    ledger.close(at(0), Connection(1), Lost::Broken);
    pass(&mut ledger, 0, 10);
    let stopped = 25 * 3_600;
    assert!(ledger.tick(at(10 + stopped)).is_empty());
    assert!(knocked(&mut ledger, 10 + stopped));
    assert!(pass(&mut ledger, 10 + stopped, stopped + DAY - 60).iter().all(|r| !is_over(r)));
    assert!(pass(&mut ledger, stopped + DAY - 60, stopped + DAY + 10).iter().any(is_over));
}

fn is_over(record: &Record) -> bool {
    is_end(Some(record), &End::Expired)
}
