//! Bob sends to alice; eve asks for what she should not.

mod acks;
mod handed;

use proptest::prelude::*;

use super::*;
use crate::wire::bounded::List;

const KIB: u64 = 1024;

fn range(first: u32, count: u32) -> Range {
    Range { first, count }
}

fn want(add: &[Range], remove: &[Range], window: u16) -> Want {
    Want { add: List::of(add.to_vec()), remove: List::of(remove.to_vec()), window }
}

fn ack(items: &[Range]) -> Ack {
    Ack { items: List::of(items.to_vec()) }
}

fn skip(items: Range) -> Skip {
    Skip { items }
}

/// Bob has all of a file of `chunks` chunks of 256 KiB.
fn bob(chunks: u32) -> Upload {
    Upload::new(Items::chunks(u64::from(chunks) * 256 * KIB), Bitmap::all(chunks))
}

fn batch(sizes: Vec<u64>) -> Upload {
    let count = sizes.len() as u32;
    Upload::new(Items::files(sizes), Bitmap::all(count))
}

fn announce(item: u32) -> Option<Step> {
    Some(Step::Announce(Range::one(item)))
}

fn send(item: u32) -> Option<Step> {
    Some(Step::Send(Range::one(item)))
}

/// All steps until it has to wait, nothing being acknowledged.
fn drain(upload: &mut Upload) -> Vec<Step> {
    std::iter::from_fn(|| upload.next(&mut Spread::default())).collect()
}

/// The items sent, every run being acknowledged at once.
fn send_all(upload: &mut Upload) -> Vec<u32> {
    let mut sent = Vec::new();
    while let Some(step) = upload.next(&mut Spread::default()) {
        if let Step::Send(run) = step {
            sent.extend(run.iter());
            upload.on_sent(run);
            upload.on_ack(&ack(&[run])).unwrap();
        }
    }
    sent
}

#[test]
fn the_next_item_is_announced_before_the_bytes_of_this_one() {
    let mut upload = bob(3);
    assert_eq!(upload.next(&mut Spread::default()), None, "nothing was wanted yet");
    upload.on_want(&want(&[range(0, 3)], &[], 8)).unwrap();
    let steps = [announce(0), announce(1), send(0), announce(2), send(1), send(2), None];
    for step in steps {
        assert_eq!(upload.next(&mut Spread::default()), step);
    }
}

#[test]
fn the_window_limits_what_is_unacknowledged_and_an_ack_opens_it() {
    let mut upload = bob(10);
    upload.on_want(&want(&[range(0, 10)], &[], 2)).unwrap();
    let sent = |steps: &[Step]| steps.iter().filter(|s| matches!(s, Step::Send(_))).count();
    assert_eq!(sent(&drain(&mut upload)), 2);
    assert_eq!(upload.unacked(), 2);
    assert_eq!(upload.on_ack(&ack(&[Range::one(0)])), Ok(256 * KIB));
    assert_eq!(drain(&mut upload), [Step::Send(Range::one(2)), Step::Announce(Range::one(4))]);
    upload.on_want(&want(&[], &[], 4)).unwrap();
    assert_eq!(sent(&drain(&mut upload)), 2, "a larger window opened nothing");
}

#[test]
fn a_window_a_peer_made_up_is_clamped() {
    for (asked, granted) in [(0, 1), (1, 1), (64, 64), (65, 64), (u16::MAX, 64)] {
        let mut upload = bob(200);
        upload.on_want(&want(&[range(0, 200)], &[], asked)).unwrap();
        drain(&mut upload);
        assert_eq!(upload.unacked(), granted, "asked for a window of {asked}");
    }
}

#[test]
fn a_skip_before_the_start_makes_it_pick_again_and_after_it_only_frees_the_window() {
    let mut upload = bob(4);
    upload.on_want(&want(&[range(0, 4)], &[], 1)).unwrap();
    assert_eq!(
        [upload.next(&mut Spread::default()), upload.next(&mut Spread::default())],
        [announce(0), announce(1)]
    );
    assert_eq!(upload.next(&mut Spread::default()), send(0));
    upload.on_skip(&skip(Range::one(1)), &mut Spread::default()).unwrap();
    assert_eq!(
        [upload.next(&mut Spread::default()), upload.next(&mut Spread::default())],
        [announce(2), announce(3)]
    );
    assert_eq!(upload.next(&mut Spread::default()), None, "the window of one is taken by item 0");
    upload.on_skip(&skip(Range::one(0)), &mut Spread::default()).unwrap();
    assert_eq!(
        upload.next(&mut Spread::default()),
        send(2),
        "a worthless item still takes the window"
    );
    upload.on_ack(&ack(&[Range::one(2)])).unwrap();
    assert_eq!(
        [upload.next(&mut Spread::default()), upload.next(&mut Spread::default())],
        [send(3), None]
    );
}

#[test]
fn what_was_skipped_may_be_wanted_again() {
    let mut upload = bob(1);
    upload.on_want(&want(&[Range::one(0)], &[], 1)).unwrap();
    assert_eq!(upload.next(&mut Spread::default()), announce(0));
    upload.on_skip(&skip(Range::one(0)), &mut Spread::default()).unwrap();
    assert_eq!(upload.next(&mut Spread::default()), None);
    upload.on_want(&want(&[Range::one(0)], &[], 1)).unwrap();
    assert_eq!(
        [upload.next(&mut Spread::default()), upload.next(&mut Spread::default())],
        [announce(0), send(0)]
    );
}

#[test]
fn an_item_taken_back_is_not_sent_unless_it_was_announced() {
    let mut upload = bob(4);
    upload.on_want(&want(&[range(0, 4)], &[], 8)).unwrap();
    assert_eq!(
        [upload.next(&mut Spread::default()), upload.next(&mut Spread::default())],
        [announce(0), announce(1)]
    );
    upload.on_want(&want(&[], &[range(1, 2)], 8)).unwrap();
    assert_eq!(send_all(&mut upload), [0, 1, 3], "item 1 was announced: alice answers that");
}

#[test]
fn nothing_is_sent_twice_on_a_connection() {
    let mut upload = bob(3);
    upload.on_want(&want(&[range(0, 3)], &[], 8)).unwrap();
    assert_eq!(
        [
            upload.next(&mut Spread::default()),
            upload.next(&mut Spread::default()),
            upload.next(&mut Spread::default())
        ],
        [announce(0), announce(1), send(0)]
    );
    upload.on_want(&want(&[range(0, 3)], &[], 8)).unwrap();
    assert_eq!(send_all(&mut upload), [1, 2]);
    upload.on_want(&want(&[range(0, 3)], &[], 8)).unwrap();
    assert_eq!(upload.next(&mut Spread::default()), None);
}

#[test]
fn items_not_here_are_not_promised() {
    let mut have = Bitmap::all(4);
    have.remove(2);
    let mut upload = Upload::new(Items::chunks(1024 * KIB), have);
    upload.on_want(&want(&[range(0, 4)], &[], 8)).unwrap();
    assert_eq!(upload.next(&mut Spread::default()), announce(0));
    upload.on_stale(range(0, 2), &mut Spread::default());
    upload.on_stale(range(9, u32::MAX), &mut Spread::default());
    assert_eq!(send_all(&mut upload), [3]);
    let mut upload = Upload::new(Items::chunks(1024 * KIB), Bitmap::all(5));
    upload.on_want(&want(&[range(0, 4)], &[], 8)).unwrap();
    assert_eq!(upload.next(&mut Spread::default()), None, "a bitmap of another set was believed");
}

#[test]
fn a_share_given_later_below_is_sent_after_the_disk_has_come_to_the_end() {
    let mut upload = bob(8);
    upload.on_want(&want(&[range(4, 4)], &[], 8)).unwrap();
    assert_eq!(upload.next(&mut Spread::default()), announce(4));
    upload.on_want(&want(&[range(0, 2)], &[], 8)).unwrap();
    assert_eq!(send_all(&mut upload), [4, 5, 6, 7, 0, 1]);
}

#[test]
fn small_files_travel_in_runs_within_their_bounds() {
    let mut upload = batch(vec![1; 600]);
    upload.on_want(&want(&[range(0, 600)], &[range(5, 1)], 1_024)).unwrap();
    let runs: Vec<Range> = drain(&mut upload)
        .into_iter()
        .filter_map(|step| if let Step::Send(run) = step { Some(run) } else { None })
        .collect();
    assert_eq!(runs.iter().map(|run| run.count).sum::<u32>(), 600);
    assert_eq!(runs[..3], [range(0, 64), range(64, 64), range(128, 64)]);

    let mut upload = batch(vec![100 * KIB; 7]);
    upload.on_want(&want(&[range(0, 7)], &[Range::one(3)], 1_024)).unwrap();
    assert_eq!(drain(&mut upload)[0], Step::Announce(range(0, 2)));
}

#[test]
fn runs_are_no_longer_than_the_window() {
    let mut upload = batch(vec![1; 30]);
    upload.on_want(&want(&[range(0, 30)], &[], 10)).unwrap();
    let run = range(0, 10);
    let next = range(10, 10);
    assert_eq!(
        drain(&mut upload),
        [Step::Announce(run), Step::Announce(next), Step::Send(run), Step::Announce(range(20, 10))]
    );
    upload.on_ack(&ack(&[range(0, 9)])).unwrap();
    assert_eq!(upload.next(&mut Spread::default()), None);
    upload.on_ack(&ack(&[range(9, 1)])).unwrap();
    assert_eq!(upload.next(&mut Spread::default()), Some(Step::Send(next)));
}

#[test]
fn a_window_that_shrinks_below_an_announced_run_does_not_stop_it() {
    let mut upload = batch(vec![1; 10]);
    upload.on_want(&want(&[range(0, 10)], &[], 10)).unwrap();
    assert_eq!(upload.next(&mut Spread::default()), Some(Step::Announce(range(0, 10))));
    upload.on_want(&want(&[], &[], 1)).unwrap();
    assert_eq!(upload.next(&mut Spread::default()), Some(Step::Send(range(0, 10))));
}

#[test]
fn part_of_an_announced_run_can_be_skipped() {
    let mut upload = batch(vec![1; 10]);
    upload.on_want(&want(&[range(0, 10)], &[], 64)).unwrap();
    assert_eq!(upload.next(&mut Spread::default()), Some(Step::Announce(range(0, 10))));
    upload.on_skip(&skip(range(3, 2)), &mut Spread::default()).unwrap();
    let steps = [Step::Send(range(0, 3)), Step::Send(range(5, 5))];
    assert_eq!(drain(&mut upload), steps);
}

#[test]
fn acks_count_once_and_only_for_what_was_sent() {
    let mut upload = bob(4);
    upload.on_want(&want(&[range(0, 3)], &[], 1)).unwrap();
    assert_eq!(upload.on_ack(&ack(&[Range::one(0)])), Ok(0), "nothing was sent yet");
    assert_eq!(
        [upload.next(&mut Spread::default()), upload.next(&mut Spread::default())],
        [announce(0), announce(1)]
    );
    assert_eq!(upload.on_ack(&ack(&[range(0, 2)])), Ok(0), "only announced");
    assert_eq!(upload.next(&mut Spread::default()), send(0));
    upload.on_sent(Range::one(0));
    assert_eq!(upload.on_ack(&ack(&[range(0, 3)])), Ok(256 * KIB), "one of three was sent");
    assert_eq!(upload.on_ack(&ack(&[Range::one(0)])), Ok(0), "a late duplicate");
    assert_eq!((upload.sent_bytes(), upload.acked_bytes()), (256 * KIB, 256 * KIB));
    assert!(!upload.is_idle());
    assert_eq!(send_all(&mut upload), [1, 2]);
    assert!(upload.is_idle());
}

#[test]
fn an_ack_for_an_item_skipped_too_late_still_counts() {
    let mut upload = bob(1);
    upload.on_want(&want(&[Range::one(0)], &[], 1)).unwrap();
    drain(&mut upload);
    upload.on_skip(&skip(Range::one(0)), &mut Spread::default()).unwrap();
    assert_eq!(upload.unacked(), 0);
    assert_eq!(upload.on_ack(&ack(&[Range::one(0)])), Ok(256 * KIB));
    assert_eq!(upload.unacked(), 0);
}

#[test]
fn items_beyond_the_set_are_a_violation_and_change_nothing() {
    let mut upload = bob(4);
    upload.on_want(&want(&[Range::one(1)], &[], 4)).unwrap();
    for run in [range(4, 1), range(0, 5), range(0, 0), range(u32::MAX, 1), range(1, u32::MAX)] {
        let violation = Violation::Range { first: run.first, count: run.count, items: 4 };
        assert_eq!(upload.on_want(&want(&[range(0, 2), run], &[], 4)), Err(violation));
        assert_eq!(upload.on_want(&want(&[], &[run], 4)), Err(violation));
        assert_eq!(upload.on_skip(&skip(run), &mut Spread::default()), Err(violation));
        assert_eq!(upload.on_ack(&ack(&[run])), Err(violation));
    }
    assert_eq!(send_all(&mut upload), [1]);
}

#[test]
fn a_list_that_repeats_itself_to_cost_time_is_a_violation() {
    let mut upload = bob(100);
    let bomb = vec![range(0, 100); 1_000];
    let repeated = Err(Violation::Repeated { items: 100 });
    assert_eq!(upload.on_want(&want(&bomb, &[], 4)), repeated);
    assert_eq!(upload.on_want(&want(&[], &bomb, 4)), repeated);
    assert_eq!(upload.on_ack(&ack(&bomb)).map(|_| ()), repeated);
}

/// What `upload` announces until it has no place free, sent at once.
fn announced(upload: &mut Upload, spread: &mut Spread) -> Vec<u32> {
    let steps = std::iter::from_fn(|| upload.next(spread));
    let items = steps.filter_map(|step| match step {
        Step::Announce(run) => Some(run.first),
        Step::Send(_) => None,
    });
    items.collect()
}

#[test]
fn two_requesters_get_nothing_twice_while_there_is_something_nobody_has() {
    let mut spread = Spread::new(6);
    let mut two = [bob(6), bob(6)];
    for upload in &mut two {
        spread.join();
        upload.on_want(&want(&[range(0, 6)], &[], 1)).unwrap();
    }
    let first = announced(&mut two[0], &mut spread);
    let second = announced(&mut two[1], &mut spread);
    assert_eq!((first, second), (vec![0, 1, 2], vec![3, 4, 5]));
    two[1].on_skip(&skip(Range::one(4)), &mut spread).unwrap();
    two[0].on_ack(&ack(&[Range::one(0)])).unwrap();
    assert_eq!(announced(&mut two[0], &mut spread), [4], "it was not handed out after all");
    two[1].leave(&mut spread);
    spread.leave();
    two[0].on_ack(&ack(&[Range::one(1)])).unwrap();
    assert_eq!(announced(&mut two[0], &mut spread), [5], "what was lost counts for nothing");
}

#[test]
fn what_an_owner_gains_is_new_once_and_can_be_wanted_then() {
    let mut upload = Upload::new(Items::chunks(4 * 256 * KIB), Bitmap::none(4));
    upload.on_want(&want(&[range(0, 4)], &[], 4)).unwrap();
    assert!(send_all(&mut upload).is_empty());
    assert_eq!(upload.on_gained(&[1, 3]), [1, 3]);
    assert_eq!(upload.on_gained(&[1, 2, 9]), [2], "9 is no item of the set");
    upload.on_want(&want(&[range(0, 4)], &[], 4)).unwrap();
    assert_eq!(send_all(&mut upload), [1, 2, 3]);
}

#[derive(Debug, Clone)]
enum Heard {
    Want(Vec<Range>, Vec<Range>, u16),
    Skip(Range),
    Ack(Vec<Range>),
    Stale(Range),
    Steps(usize),
}

fn heard() -> impl Strategy<Value = Heard> {
    let run = || (0_u32..42, 0_u32..12).prop_map(|(first, count)| range(first, count));
    let runs = move || proptest::collection::vec(run(), 0..4);
    prop_oneof![
        3 => (runs(), runs(), 0_u16..20).prop_map(|(add, remove, w)| Heard::Want(add, remove, w)),
        2 => run().prop_map(Heard::Skip),
        3 => runs().prop_map(Heard::Ack),
        1 => run().prop_map(Heard::Stale),
        5 => (0_usize..9).prop_map(Heard::Steps),
    ]
}

proptest! {
    /// Whatever a requester says: nothing twice, nothing unannounced, nothing beyond the window
    /// it was granted when the run was chosen, nothing that is not here.
    #[test]
    fn any_requester_gets_each_item_once_announced_and_within_bounds(
        is_batch: bool,
        events in proptest::collection::vec(heard(), 1..60),
    ) {
        let items = if is_batch { Items::files((0..40).map(|i| i * 3_000).collect()) }
            else { Items::chunks(40 * 256 * KIB) };
        let mut upload = Upload::new(items, Bitmap::all(40));
        let (mut announced, mut sent) = (BTreeSet::new(), BTreeSet::new());
        let (mut stale, mut widest) = (BTreeSet::new(), 1_u32);
        for event in events {
            match event {
                Heard::Want(add, remove, window) => {
                    if upload.on_want(&want(&add, &remove, window)).is_ok() {
                        widest = widest.max(u32::from(window));
                    }
                }
                Heard::Skip(run) => drop(upload.on_skip(&skip(run), &mut Spread::default())),
                Heard::Ack(runs) => drop(upload.on_ack(&ack(&runs))),
                Heard::Stale(run) => {
                    upload.on_stale(run, &mut Spread::default());
                    stale.extend(run.iter());
                }
                Heard::Steps(count) => for _ in 0..count {
                    match upload.next(&mut Spread::default()) {
                        Some(Step::Announce(run)) => {
                            prop_assert!(is_batch || run.count == 1);
                            announced.extend(run.iter());
                        }
                        Some(Step::Send(run)) => for item in run.iter() {
                            prop_assert!(announced.contains(&item), "{} came unannounced", item);
                            prop_assert!(sent.insert(item), "{} was sent twice", item);
                            prop_assert!(!stale.contains(&item), "{} is not here", item);
                        },
                        None => break,
                    }
                },
            }
            prop_assert!(upload.unacked() <= widest, "{} of {}", upload.unacked(), widest);
            prop_assert!(upload.acked_bytes() <= upload.items().bytes(range(0, 40)));
            prop_assert_eq!(upload.open.count(), upload.open_count);
        }
    }
}
