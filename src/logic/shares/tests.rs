//! The invariants, alice's downloads from bob, carol, dave and eve, and the bars of the design.

mod far;
mod least;
mod shared;
mod talk;

use proptest::prelude::*;

use super::sim::{MS, Outcome, Peer, node, peer, run, runs};
use super::*;

const MIB: u64 = 1 << 20;
const BOB: OwnerKey = OwnerKey(1);
const CAROL: OwnerKey = OwnerKey(2);
const DAVE: OwnerKey = OwnerKey(3);
const NOW: Time = Time::ZERO;

impl Shares {
    /// The invariants of the module's head.
    pub(super) fn check(&self) {
        let mut holders = vec![0_u16; self.holders.len()];
        let mut shared: BTreeSet<u32> = BTreeSet::new();
        for (key, owner) in &self.owners {
            for item in owner.held() {
                holders[item as usize] += 1;
            }
            let share: BTreeSet<u32> = owner.share().collect();
            for item in &share {
                assert!(shared.insert(*item), "item {item} is in two shares");
                assert!(owner.have.contains(*item), "{key:?} is asked for {item}, has it not");
                assert!(owner.asked.contains(*item), "{key:?} was never told of {item}");
                assert!(!self.verified.contains(*item), "{item} is here and in a share");
                assert!(!owner.flying.contains_key(item), "{item} is shared and in flight");
            }
            let corrupt = &self.records[&owner.node].corrupt;
            let again: BTreeSet<u32> = corrupt.intersection(&share).copied().collect();
            assert!(again.is_empty(), "{key:?} is asked again for {:?}", runs(&again));
            for (item, _) in owner.flying.iter().filter(|(_, s)| **s == Stage::Announced) {
                assert!(!self.verified.contains(*item), "{item} is here and awaited");
            }
            let bytes: u64 = share.iter().map(|i| self.items.len(*i)).sum();
            assert_eq!(owner.share_count(), share.len(), "the share of {key:?} is counted wrong");
            assert_eq!(owner.share_bytes(), bytes, "the share of {key:?} is counted wrong");
            assert!(!self.is_banned(&owner.node), "{key:?} is banned and connected");
        }
        assert_eq!(self.holders, holders, "holders are counted wrong");
        let mut missing = (0, 0);
        for item in self.verified.iter_missing() {
            missing = (missing.0 + 1, missing.1 + self.items.len(item));
            let held = holders[item as usize] > 0;
            let able = self.owners.values().any(|o| o.have.contains(item));
            assert!(held || !able, "nobody is asked for item {item}");
            assert_eq!(self.orphans.contains(&item), !held, "item {item} is wrongly unowned");
        }
        assert_eq!((self.missing_count, self.missing_bytes), missing);
    }
}

/// Alice wants a file of `chunks` chunks of 256 KiB.
fn alice(chunks: u64) -> Shares {
    let items = Items::chunks(chunks * MIB / 4);
    let none = Bitmap::none(items.count());
    Shares::new(items, none)
}

fn range(first: u32, count: u32) -> Range {
    Range { first, count }
}

fn open(shares: &mut Shares, key: OwnerKey, n: u8) -> Vec<Action> {
    let have = Bitmap::all(shares.items.count());
    let actions = shares.on_opened(NOW, key, node(n), (have, false));
    shares.check();
    actions
}

fn want(owner: OwnerKey, add: &[Range], remove: &[Range]) -> Action {
    Action::Want { owner, add: add.to_vec(), remove: remove.to_vec(), window: 32 }
}

/// The whole of an item comes from the owner and is verified.
fn bring(shares: &mut Shares, now: Time, key: OwnerKey, item: u32) -> Vec<Action> {
    let mut actions = shares.on_next(now, key, Range::one(item));
    assert_eq!(shares.on_chunk_begun(now, key, Range::one(item)), Verdict::Take);
    shares.on_bytes(now, key, shares.items.len(item));
    actions.extend(shares.on_verified(now, key, Range::one(item)));
    shares.check();
    actions
}

mod scenarios {
    use super::*;

    #[test]
    fn a_single_owner_is_asked_for_all_it_has_of_what_is_missing() {
        let items = Items::chunks(25 * MIB);
        let mut verified = Bitmap::none(100);
        verified.insert(7);
        let mut shares = Shares::new(items, verified);
        let mut have = Bitmap::all(100);
        have.remove(50);
        let actions = shares.on_opened(NOW, BOB, node(1), (have, true));
        let runs = [range(0, 7), range(8, 42), range(51, 49)];
        assert_eq!(actions, [want(BOB, &runs, &[])]);
        assert_eq!(shares.unowned(), [Range::one(50)]);
        shares.check();
    }

    #[test]
    fn newcomers_get_equal_contiguous_shares_from_the_tails() {
        let mut shares = alice(120);
        open(&mut shares, BOB, 1);
        let actions = open(&mut shares, CAROL, 2);
        let half = &[range(60, 60)];
        assert_eq!(actions, [want(BOB, &[], half), want(CAROL, half, &[])]);
        open(&mut shares, DAVE, 3);
        for view in shares.owners(NOW) {
            assert!((35..=45).contains(&view.share), "{view:?}");
        }
    }

    #[test]
    fn what_a_lost_owner_held_goes_to_the_others_and_waits_when_there_is_none() {
        let mut shares = alice(100);
        open(&mut shares, BOB, 1);
        open(&mut shares, CAROL, 2);
        shares.on_next(NOW, BOB, Range::one(0));
        let actions = shares.on_lost(NOW, BOB);
        shares.check();
        assert!(
            matches!(&actions[..], [Action::Want { owner: CAROL, remove, .. }] if remove.is_empty())
        );
        assert_eq!(shares.owners(NOW)[0].share, 100);
        assert_eq!(shares.on_lost(NOW, CAROL), []);
        assert_eq!(shares.unowned(), [range(0, 100)]);
        assert_eq!(open(&mut shares, DAVE, 3), [want(DAVE, &[range(0, 100)], &[])]);
    }

    #[test]
    fn events_of_forgotten_owners_change_nothing_but_what_they_brought_counts() {
        let mut shares = alice(10);
        open(&mut shares, BOB, 1);
        shares.on_next(NOW, BOB, Range::one(0));
        shares.on_chunk_begun(NOW, BOB, Range::one(0));
        shares.on_lost(NOW, BOB);
        assert_eq!(shares.on_next(NOW, BOB, Range::one(1)), []);
        assert_eq!(shares.on_chunk_begun(NOW, BOB, Range::one(1)), Verdict::Unwanted);
        assert_eq!(shares.on_lost(NOW, BOB), []);
        assert_eq!(shares.on_verified(NOW, BOB, Range::one(0)), []);
        shares.check();
        assert_eq!(shares.missing(), [range(1, 9)]);
        assert_eq!(shares.sources().collect::<Vec<_>>(), [(node(1), MIB / 4)]);
    }

    #[test]
    fn an_announcement_that_crossed_a_move_is_skipped_or_taken_back_but_never_lost() {
        let mut shares = alice(100);
        open(&mut shares, BOB, 1);
        open(&mut shares, CAROL, 2);
        // Carol has all of the tail ahead of item 99; bob would be sooner.
        let actions = shares.on_next(NOW, BOB, Range::one(99));
        assert_eq!(actions, [want(CAROL, &[], &[Range::one(99)])]);
        shares.check();
        // What carol is sending, bob need not.
        let first = shares.owners(NOW)[1].in_flight.first().map_or(52, |r| r.first);
        shares.on_next(NOW, CAROL, Range::one(first));
        shares.on_chunk_begun(NOW, CAROL, Range::one(first));
        let actions = shares.on_next(NOW, BOB, Range::one(first));
        assert_eq!(actions, [Action::Skip { owner: BOB, items: Range::one(first) }]);
        shares.check();
    }

    #[test]
    fn an_item_held_up_is_given_twice_in_the_end_and_skipped_when_it_is_here() {
        let mut shares = alice(40);
        open(&mut shares, BOB, 1);
        open(&mut shares, CAROL, 2);
        let at = |ms: u32| NOW + MS * ms;
        shares.on_next(at(1), BOB, Range::one(0));
        shares.on_next(at(1), BOB, Range::one(1));
        shares.on_chunk_begun(at(1), BOB, Range::one(0));
        // Bob hangs. Carol brings everything else, and in the end what bob only announced.
        let rest = (2..40).rev().chain([1]);
        let mut last = Vec::new();
        for (ms, item) in (2..).step_by(10).zip(rest) {
            last = bring(&mut shares, at(ms), CAROL, item);
        }
        let skip = Action::Skip { owner: BOB, items: Range::one(1) };
        assert!(last.contains(&skip), "bob would still send item 1: {last:?}");
        assert_eq!(shares.missing(), [Range::one(0)]);
        bring(&mut shares, at(500), CAROL, 0);
        assert!(shares.is_complete());
        assert_eq!(shares.on_verified(at(501), BOB, Range::one(0)), []);
        assert_eq!(shares.sources().collect::<Vec<_>>(), [(node(2), 10 * MIB)]);
    }

    #[test]
    fn an_owner_that_announces_everything_and_sends_nothing_holds_nothing_up() {
        let mut shares = alice(40);
        let eve = BOB;
        open(&mut shares, eve, 9);
        shares.on_next(NOW, eve, range(0, 40));
        let mut asked: Vec<u32> = Vec::new();
        let mut given = |actions: Vec<Action>| {
            for action in actions {
                if let Action::Want { owner: CAROL, add, .. } = action {
                    asked.extend(add.iter().flat_map(|run| run.iter()));
                }
            }
            asked.pop()
        };
        let mut next = given(open(&mut shares, CAROL, 1));
        let mut now = NOW;
        while !shares.is_complete() {
            now = now + 25 * MS;
            let actions = match next {
                Some(item) => bring(&mut shares, now, CAROL, item),
                None => shares.on_tick(now),
            };
            next = given(actions);
            assert!(now < NOW + Duration::from_secs(2), "eve held it up: {:?}", shares.missing());
        }
    }

    #[test]
    fn announcing_what_was_sent_already_is_a_violation() {
        let mut shares = alice(4);
        open(&mut shares, BOB, 1);
        bring(&mut shares, NOW, BOB, 0);
        open(&mut shares, CAROL, 2);
        let actions = shares.on_next(NOW, BOB, Range::one(0));
        assert_eq!(actions[0], Action::Drop { owner: BOB, reason: DropReason::Violation });
        shares.check();
        for item in 1..4 {
            bring(&mut shares, NOW, CAROL, item);
        }
        assert!(shares.is_complete());
        assert_eq!(shares.missing_bytes(), 0);
    }

    #[test]
    fn an_owner_that_sends_what_it_was_not_asked_for_is_found_out() {
        let mut shares = alice(10);
        let mut have = Bitmap::none(10);
        have.insert(3);
        shares.on_opened(NOW, BOB, node(1), (have, true));
        for run in [Range::one(4), range(3, 2), range(10, 1), range(3, 0), range(3, u32::MAX)] {
            assert_eq!(shares.on_chunk_begun(NOW, BOB, run), Verdict::Violation, "{run:?}");
        }
        assert_eq!(shares.on_chunk_begun(NOW, BOB, Range::one(3)), Verdict::Take);
        assert_eq!(shares.on_chunk_begun(NOW, BOB, Range::one(3)), Verdict::Violation, "twice");
        let dropped = [Action::Drop { owner: BOB, reason: DropReason::Violation }];
        assert_eq!(shares.on_next(NOW, BOB, Range::one(4)), dropped);
        shares.check();
    }

    #[test]
    fn what_is_skipped_and_asked_for_again_may_come_twice_since_words_cross_on_the_way() {
        let mut shares = alice(4);
        open(&mut shares, BOB, 1);
        shares.on_next(NOW, BOB, Range::one(0));
        assert!(shares.withdraw(BOB, 0, &mut Edits::default()), "nobody else holds it");
        shares.owners.get_mut(&BOB).unwrap().ask(0, MIB / 4);
        for _ in 0..2 {
            assert!(shares.on_next(NOW, BOB, Range::one(0)).is_empty());
            assert_ne!(shares.on_chunk_begun(NOW, BOB, Range::one(0)), Verdict::Violation);
        }
        assert_eq!(shares.on_chunk_begun(NOW, BOB, Range::one(0)), Verdict::Violation, "thrice");
    }

    #[test]
    fn a_bitmap_for_another_set_is_a_violation() {
        let mut shares = alice(10);
        let actions = shares.on_opened(NOW, BOB, node(1), (Bitmap::all(11), false));
        assert_eq!(actions, [Action::Drop { owner: BOB, reason: DropReason::Violation }]);
        shares.check();
    }

    #[test]
    fn corrupt_items_are_not_asked_again_of_the_node_and_the_third_bans_it() {
        let mut shares = alice(10);
        open(&mut shares, BOB, 9);
        for item in 0..2 {
            shares.on_next(NOW, BOB, Range::one(item));
            shares.on_chunk_begun(NOW, BOB, Range::one(item));
            let actions = shares.on_corrupt(NOW, BOB, item);
            assert_eq!(actions, [Action::Skip { owner: BOB, items: Range::one(item) }]);
            shares.check();
        }
        assert_eq!(shares.unowned(), [range(0, 2)]);
        shares.on_lost(NOW, BOB);
        let eve_again = OwnerKey(8);
        assert_eq!(open(&mut shares, eve_again, 9), [want(eve_again, &[range(2, 8)], &[])]);
        shares.on_chunk_begun(NOW, eve_again, Range::one(2));
        let actions = shares.on_corrupt(NOW, eve_again, 2);
        assert_eq!(actions, [Action::Drop { owner: eve_again, reason: DropReason::Banned }]);
        shares.check();
        let third = OwnerKey(10);
        let banned = [Action::Drop { owner: third, reason: DropReason::Banned }];
        assert_eq!(open(&mut shares, third, 9), banned);
        assert!(shares.is_banned(&node(9)));
    }

    #[test]
    fn what_everybody_sent_corrupt_is_hopeless_unless_it_was_called_stale() {
        let mut shares = alice(2);
        let both = [node(9), node(1)];
        open(&mut shares, BOB, 9);
        open(&mut shares, CAROL, 1);
        for (owner, hopeless) in [(BOB, false), (CAROL, true)] {
            shares.on_chunk_begun(NOW, owner, Range::one(0));
            shares.on_corrupt(NOW, owner, 0);
            let asked = shares.is_hopeless(&both);
            // Only whom the item was asked of can have sent it: the other gets it now.
            assert_eq!(asked, hopeless, "{owner:?}");
        }
        assert!(!shares.is_hopeless(&[node(9), node(1), node(2)]), "a third may have it");
        assert!(!shares.is_hopeless(&[]));
        shares.on_stale(NOW, CAROL, &[Range::one(0)]);
        assert!(!shares.is_hopeless(&both));
    }

    #[test]
    fn stale_items_go_to_others_and_nobody_is_banned() {
        let mut shares = alice(10);
        open(&mut shares, BOB, 1);
        shares.on_next(NOW, BOB, Range::one(0));
        shares.on_stale(NOW, BOB, &[range(0, 5), range(9, 1)]);
        shares.check();
        assert_eq!(shares.unowned(), [range(0, 5), Range::one(9)]);
        assert!(!shares.is_banned(&node(1)));
        open(&mut shares, CAROL, 2);
        assert_eq!(shares.unowned(), []);
    }

    #[test]
    fn who_takes_back_what_it_has_told_of_has_taken_back_and_who_gives_up_hope_has_not() {
        let mut shares = alice(4);
        let mut have = Bitmap::none(4);
        have.insert(0);
        shares.on_opened(NOW, BOB, node(1), (have, true));
        shares.on_stale(NOW, BOB, &[range(1, 3)]);
        assert!(!shares.took_back(BOB), "it had not told of these");
        bring(&mut shares, NOW, BOB, 0);
        assert!(shares.is_useless(BOB) && !shares.took_back(BOB));
        open(&mut shares, CAROL, 2);
        shares.on_stale(NOW, CAROL, &[range(0, 4)]);
        assert!(shares.is_useless(CAROL) && shares.took_back(CAROL));
    }

    #[test]
    fn who_sent_the_last_item_corrupt_is_listened_to_until_he_has_called_it_stale() {
        let mut shares = alice(2);
        open(&mut shares, BOB, 1);
        bring(&mut shares, NOW, BOB, 0);
        shares.on_next(NOW, BOB, Range::one(1));
        shares.on_chunk_begun(NOW, BOB, Range::one(1));
        shares.on_corrupt(NOW, BOB, 1);
        assert!(!shares.is_useless(BOB), "his word is right behind it");
        shares.on_stale(NOW, BOB, &[range(0, 2)]);
        assert!(shares.is_useless(BOB) && !shares.is_hopeless(&[node(1)]));
    }

    /// Bob has nothing yet; carol has it all.
    fn growing() -> Shares {
        let mut shares = alice(10);
        shares.on_opened(NOW, BOB, node(1), (Bitmap::none(10), true));
        open(&mut shares, CAROL, 2);
        shares
    }

    #[test]
    fn what_an_owner_gains_is_asked_of_it_and_no_more_of_the_others() {
        let mut shares = growing();
        let actions = shares.on_have(NOW, BOB, &[range(2, 3)]);
        shares.check();
        let moved = |action: &Action| match action {
            Action::Want { owner: BOB, add, .. } => add.clone(),
            _ => Vec::new(),
        };
        let to_bob: Vec<Range> = actions.iter().flat_map(moved).collect();
        assert_eq!(to_bob, [range(2, 3)], "{actions:?}");
        assert!(actions.contains(&want(CAROL, &[], &[range(2, 3)])), "{actions:?}");
    }

    #[test]
    fn what_nobody_had_is_asked_of_the_first_who_gains_it() {
        let mut shares = alice(10);
        shares.on_opened(NOW, BOB, node(1), (Bitmap::none(10), true));
        assert!(shares.is_idle() && !shares.is_useless(BOB), "it will have more");
        assert!(!shares.is_source(BOB), "it has nothing now");
        assert_eq!(shares.on_have(NOW, BOB, &[Range::one(7)]), [want(BOB, &[Range::one(7)], &[])]);
        assert!(!shares.is_idle() && shares.is_source(BOB));
        shares.on_stale(NOW, BOB, &[range(0, 10)]);
        assert!(shares.is_useless(BOB), "it has given the file up");
    }

    #[test]
    fn a_gain_of_what_the_set_does_not_have_is_a_violation() {
        let dropped = [Action::Drop { owner: BOB, reason: DropReason::Violation }];
        for bad in [&[range(9, 2)][..], &[range(0, 10), Range::one(3)], &[range(u32::MAX, 1)]] {
            let mut shares = growing();
            assert_eq!(shares.on_have(NOW, BOB, bad), dropped, "{bad:?}");
            shares.check();
        }
    }

    #[test]
    fn a_stale_list_that_names_more_than_the_set_has_is_a_violation() {
        let dropped = [Action::Drop { owner: BOB, reason: DropReason::Violation }];
        let whole = range(0, 10);
        for bad in
            [&[whole, Range::one(0)][..], &[range(9, 2)], &[range(9, u32::MAX)], &[range(3, 0)]]
        {
            let mut shares = alice(10);
            open(&mut shares, BOB, 1);
            assert_eq!(shares.on_stale(NOW, BOB, bad), dropped, "{bad:?}");
            shares.check();
            assert_eq!(shares.unowned(), [whole]);
        }
        let mut shares = alice(10);
        open(&mut shares, BOB, 1);
        assert_eq!(shares.on_stale(NOW, BOB, &[range(5, 5), range(0, 5)]), []);
    }

    #[test]
    fn an_owner_silent_for_too_long_is_dropped_unless_it_waits_for_us() {
        let late = NOW + STALL_TIME_MAX;
        let mut shares = alice(10);
        open(&mut shares, BOB, 1);
        assert_eq!(shares.on_tick(late - MS), []);
        let dropped = [Action::Drop { owner: BOB, reason: DropReason::Stalled }];
        assert_eq!(shares.on_tick(late), dropped);
        shares.check();
        assert_eq!(shares.unowned(), [range(0, 10)]);

        open(&mut shares, CAROL, 1);
        shares.on_next(NOW, CAROL, Range::one(0));
        shares.on_chunk_begun(NOW, CAROL, Range::one(0));
        shares.on_bytes(NOW, CAROL, MIB / 4);
        assert_eq!(shares.on_tick(late), [], "carol waits for alice's slow disk");
    }

    #[test]
    fn an_owner_with_nothing_to_do_is_never_stalled() {
        let mut shares = alice(2);
        let mut have = Bitmap::none(2);
        have.insert(0);
        shares.on_opened(NOW, BOB, node(1), (have, true));
        bring(&mut shares, NOW, BOB, 0);
        assert_eq!(shares.on_tick(NOW + 100 * STALL_TIME_MAX), []);
    }

    #[test]
    fn a_set_that_is_here_already_asks_nobody_for_anything() {
        let items = Items::chunks(MIB);
        let mut shares = Shares::new(items, Bitmap::all(4));
        assert!(shares.is_complete());
        assert_eq!(open(&mut shares, BOB, 1), []);
    }

    #[test]
    fn a_run_of_a_batch_is_answered_file_by_file() {
        let mut shares = Shares::new(Items::files(vec![100; 20]), Bitmap::none(20));
        open(&mut shares, BOB, 1);
        assert_eq!(shares.on_next(NOW, BOB, range(0, 10)), []);
        assert_eq!(shares.on_chunk_begun(NOW, BOB, range(0, 10)), Verdict::Take);
        shares.on_bytes(NOW, BOB, 450);
        shares.on_verified(NOW, BOB, range(0, 4));
        shares.check();
        shares.on_bytes(NOW, BOB, 550);
        shares.on_verified(NOW, BOB, range(4, 6));
        shares.check();
        assert_eq!(shares.missing(), [range(10, 10)]);
    }
}

/// The bars of the design, in virtual time.
mod bars {
    use super::*;

    const FAST: u64 = 10_000_000;

    fn seconds(outcome: &Outcome) -> f64 {
        outcome.seconds.unwrap_or_else(|| panic!("never complete: {outcome:?}"))
    }

    fn three() -> Vec<Peer> {
        (1..=3).map(|n| peer(n, FAST)).collect()
    }

    /// How much longer it takes with `fourth` beside three fast owners than without.
    fn cost_of(items: &Items, fourth: &Peer) -> f64 {
        let without = run(items.clone(), three());
        for place in 0..=3 {
            let mut peers = three();
            peers.insert(place, fourth.clone());
            let with = run(items.clone(), peers);
            let ratio = seconds(&with) / seconds(&without);
            println!("{} items, fourth at {place}: {ratio:.3} {with:?}", items.count());
            assert!(ratio <= 1.15, "{ratio:.3} times as long with {fourth:?}");
        }
        seconds(&without)
    }

    fn sizes() -> Vec<Items> {
        vec![
            Items::chunks(25 * MIB),
            Items::chunks(256 * MIB),
            Items::chunks(1024 * MIB),
            Items::files((0..1_000).map(|i| 4_000 + i * 7 % 9_000).collect()),
        ]
    }

    #[test]
    fn three_equal_owners_each_give_at_least_a_fifth_and_finish_near_the_bound() {
        for items in sizes() {
            let outcome = run(items.clone(), three());
            let bound = items.total() as f64 / (3 * FAST) as f64;
            println!("{} items: {outcome:?} bound {bound}", items.count());
            for n in 1..=3 {
                let part = outcome.sources[&node(n)];
                assert!(part >= items.total() / 5, "{part} of {} from {n}", items.total());
            }
            let ratio = seconds(&outcome) / bound;
            assert!(ratio < 1.1, "{ratio:.3} of the bound for {} items", items.count());
        }
    }

    #[test]
    fn an_owner_at_one_percent_costs_at_most_a_seventh() {
        for items in sizes() {
            cost_of(&items, &peer(4, FAST / 100));
        }
    }

    #[test]
    fn an_owner_that_stalls_for_ever_within_a_chunk_costs_at_most_a_seventh() {
        for items in sizes() {
            let part = items.total() / 8;
            for stalls_after in [0, 1, 100_000, part, 2 * part] {
                cost_of(&items, &Peer { stalls_after, ..peer(4, FAST) });
            }
        }
    }

    #[test]
    fn owners_of_different_speeds_end_together() {
        let items = Items::chunks(256 * MIB);
        let speeds = [20_000_000, 10_000_000, 5_000_000, 1_000_000];
        let peers = (1..).zip(speeds).map(|(n, speed)| peer(n, speed)).collect();
        let outcome = run(items.clone(), peers);
        let bound = items.total() as f64 / speeds.iter().sum::<u64>() as f64;
        println!("{outcome:?} bound {bound}");
        assert!(seconds(&outcome) < 1.1 * bound);
        assert!(outcome.wasted < 4 * MIB, "{} bytes came for nothing", outcome.wasted);
        assert!(outcome.wants < 200, "{} WANTs for 256 items", outcome.wants);
    }

    #[test]
    fn owners_that_come_and_go_do_not_stop_it() {
        let items = Items::chunks(256 * MIB);
        let at = |secs| Time::from_origin(Duration::from_secs(secs));
        let first = Peer { lost_at: Some(at(3)), ..peer(1, FAST) };
        let second = Peer { opens_at: at(2), lost_at: Some(at(9)), ..peer(2, FAST) };
        let third = Peer { opens_at: at(12), ..peer(3, FAST) };
        let outcome = run(items, vec![first, second, third]);
        assert_eq!(outcome.sources.len(), 3);
        assert!(seconds(&outcome) > 12.0, "{outcome:?}");
    }

    #[test]
    fn an_owner_that_corrupts_everything_wastes_three_items_and_is_banned() {
        for items in sizes() {
            let mut peers = three();
            peers.insert(0, Peer { corrupts: true, ..peer(4, FAST) });
            let outcome = run(items, peers);
            assert!(outcome.seconds.is_some());
            assert!(outcome.drops.contains(&(OwnerKey(0), DropReason::Banned)), "{outcome:?}");
            assert_eq!(outcome.corrupt, 3);
            assert!(!outcome.sources.contains_key(&node(4)));
        }
    }

    #[test]
    fn a_single_slow_owner_is_kept_for_there_is_no_other() {
        let outcome = run(Items::chunks(MIB), vec![peer(1, 50_000)]);
        assert_eq!(outcome.drops, []);
        assert!(seconds(&outcome) < 22.0, "{outcome:?}");
    }

    #[test]
    fn partial_owners_each_give_what_only_they_have() {
        let items = Items::chunks(256 * MIB);
        let part = |from, to| {
            let mut have = Bitmap::none(items.count());
            (from..to).for_each(|i| assert!(have.insert(i)));
            Some(have)
        };
        let bob = Peer { have: part(0, 150), ..peer(1, FAST) };
        let carol = Peer { have: part(100, 256), ..peer(2, FAST) };
        let outcome = run(items.clone(), vec![bob, carol]);
        let bound = items.total() as f64 / (2 * FAST) as f64;
        assert!(seconds(&outcome) < 1.1 * bound, "{outcome:?}");
    }

    #[test]
    fn the_same_world_runs_the_same_way() {
        let world = || {
            let slow = Peer { latency: 30 * MS, ..peer(4, FAST / 7) };
            run(Items::chunks(64 * MIB), vec![peer(1, FAST), slow, peer(2, FAST / 3)])
        };
        assert_eq!(world(), world());
    }
}

mod random {
    use super::*;

    fn any_peer(n: u8) -> impl Strategy<Value = Peer> {
        (
            10_000_u64..50_000_000,
            0_u32..80,
            0_u64..5_000,
            proptest::option::weighted(0.3, 0_u64..20_000),
            prop_oneof![4 => Just(u64::MAX), 1 => 0_u64..20_000_000],
            prop_oneof![5 => Just(false), 1 => Just(true)],
            proptest::option::weighted(0.3, 1_u32..5),
        )
            .prop_map(
                move |(speed, latency, opens, lost, stalls_after, corrupts, part)| Peer {
                    speed,
                    latency: MS * latency,
                    opens_at: Time::from_origin(Duration::from_millis(opens)),
                    lost_at: lost.map(|ms| Time::from_origin(Duration::from_millis(opens + ms))),
                    stalls_after,
                    corrupts,
                    have: part.map(|step| {
                        let mut have = Bitmap::none(100);
                        (0..100).filter(|i| i % step == 0).for_each(|i| assert!(have.insert(i)));
                        have
                    }),
                    ..peer(n, 1)
                },
            )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(150))]

        /// Whatever the others do, one honest owner that stays is enough.
        #[test]
        fn a_download_with_one_honest_owner_always_ends(
            others in (any_peer(1), any_peer(2), any_peer(3), any_peer(1)),
            opens in 0_u64..3_000,
            batch: bool,
        ) {
            let items = if batch {
                Items::files((0..100).map(|i| 1 + i * 997 % 200_000).collect())
            } else {
                Items::chunks(25 * MIB)
            };
            let opens_at = Time::from_origin(Duration::from_millis(opens));
            let honest = Peer { opens_at, ..peer(9, 1_000_000) };
            let (a, b, c, d) = others;
            let outcome = run(items, vec![a, b, honest, c, d]);
            prop_assert!(outcome.seconds.is_some_and(|s| s < 90.0), "{:?}", outcome);
        }

        /// Any order of events, also from owners that lie about all of it.
        #[test]
        fn the_invariants_hold_after_any_events(
            steps in proptest::collection::vec((0_u8..10, 0_u64..6, 0_u32..66, 1_u32..6, 0_u64..900), 1..300),
            batch: bool,
        ) {
            let items = if batch {
                Items::files((0..64).map(|i| i * 1_000).collect())
            } else {
                Items::chunks(16 * MIB)
            };
            let mut shares = Shares::new(items, Bitmap::none(64));
            let mut now = Time::ZERO;
            for (what, key, first, count, ms) in steps {
                now = now + MS * (ms as u32);
                let (owner, run) = (OwnerKey(key), Range { first, count });
                let actions = match what {
                    0 | 1 => {
                        let mut have = Bitmap::all(64);
                        run.iter().filter(|i| *i < 64).for_each(|i| assert!(have.remove(i)));
                        if shares.owners.contains_key(&owner) {
                            shares.on_lost(now, owner);
                        }
                        let grows = key % 2 == 0;
                        shares.on_opened(now, owner, node(key as u8 / 2), (have, grows))
                    }
                    2 => shares.on_lost(now, owner),
                    3 => shares.on_next(now, owner, run),
                    4 => {
                        shares.on_chunk_begun(now, owner, run);
                        vec![]
                    }
                    5 => {
                        shares.on_bytes(now, owner, u64::from(first) * 9_999);
                        vec![]
                    }
                    6 if count > 2 => shares.on_verified(now, owner, run),
                    6 => shares.on_corrupt(now, owner, first),
                    7 => shares.on_stale(now, owner, &[run]),
                    8 => shares.on_have(now, owner, &[run]),
                    _ => shares.on_tick(now),
                };
                shares.check();
                for action in actions {
                    if let Action::Want { owner, .. } | Action::Skip { owner, .. } = action {
                        prop_assert!(shares.owners.contains_key(&owner), "told somebody gone");
                    }
                }
            }
        }
    }
}
