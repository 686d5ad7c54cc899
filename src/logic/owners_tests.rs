//! Whom to dial, when, and why it waits.

use std::collections::BTreeSet;

use super::*;
use crate::base::Ports;

fn peer(n: u8) -> PeerInfo {
    PeerInfo {
        id: NodeId::from_bytes([n; 32]),
        label: ["alice", "bob", "eve"][n as usize % 3].parse().unwrap(),
        ip: [10, 0, 0, n].into(),
        ports: Ports { search: 1, size: 2, chunk: 3 },
        files: 1,
    }
}

#[test]
fn the_first_who_are_heard_of_are_due_at_once_and_the_others_in_a_drawn_order() {
    let order = |salt| {
        let mut owners = Owners::new(at(0), salt, Vec::new());
        owners.heard(at(0), (0..9).map(peer).collect());
        let last = at(0) + HEARD_TIME;
        let ids = |peers: Vec<PeerInfo>| peers.iter().map(|p| p.id).collect::<Vec<_>>();
        let first = ids(owners.due(at(0), 9));
        assert_eq!(first.len(), AT_ONCE);
        first.iter().for_each(|id| owners.dialling(*id));
        assert_eq!(owners.due(last, 9).len(), 9 - AT_ONCE);
        assert_eq!(ids(owners.due(last, 1)), ids(owners.due(last, 9))[..1]);
        (first.into_iter().collect::<BTreeSet<_>>(), ids(owners.due(last, 9)))
    };
    let (first, others) = order(70);
    assert!((80..100).any(|salt| order(salt).0 != first), "all begin with the same");
    assert!((80..100).any(|salt| order(salt).1 != others));
}

fn at(millis: u64) -> Time {
    Time::ZERO + Duration::from_millis(millis)
}

fn lost() -> Standing {
    Standing::Lost("connection refused".into())
}

#[test]
fn nothing_is_hoped_from_those_who_fetch_it_too_once_those_who_share_it_have_said_no() {
    let mut owners = Owners::new(at(0), 0, Vec::new()).patient_if(true);
    owners.heard(at(0), vec![peer(1)]);
    owners.ended(at(0), peer(1).id, Standing::NotHere("no".into()), 0);
    assert!(owners.awaits_answer(), "who shares it may yet be found");
    owners.ended(at(0), peer(1).id, lost(), 0);
    owners.found(at(0), vec![peer(0)]);
    owners.ended(at(0), peer(0).id, lost(), 0);
    assert!(owners.awaits_answer(), "it may come back");
    owners.ended(at(0), peer(0).id, Standing::NotHere("no".into()), 0);
    assert!(!owners.awaits_answer());
    owners.found(at(0), vec![peer(1)]);
    assert!(owners.awaits_answer(), "it shares it by now");
}

#[test]
fn what_nobody_shares_is_hoped_for_until_all_who_fetch_it_have_said_no() {
    let mut owners = Owners::new(at(0), 0, Vec::new());
    owners.heard(at(0), vec![peer(0), peer(1)]);
    owners.ended(at(0), peer(0).id, Standing::NotHere("no".into()), 0);
    assert!(owners.is_nobodys() && owners.awaits_answer(), "bob was not asked yet");
    owners.ended(at(0), peer(1).id, lost(), 0);
    assert!(owners.awaits_answer(), "bob may come back");
    owners.ended(at(0), peer(1).id, Standing::NotHere("no".into()), 0);
    assert!(!owners.awaits_answer());
    owners.found(at(0), vec![peer(2)]);
    assert!(!owners.is_nobodys() && owners.awaits_answer());
}

#[test]
fn whoever_fetches_it_and_says_later_is_hoped_for_until_it_says_no_or_is_away() {
    let mut owners = Owners::new(at(0), 0, vec![peer(0)]);
    owners.heard(at(0), vec![peer(1)]);
    owners.ended(at(0), peer(0).id, Standing::NotHere("no".into()), 0);
    assert!(!owners.awaits_answer(), "bob fetches it himself");
    owners.dialling(peer(1).id);
    owners.ended(at(0), peer(1).id, Standing::Later("it was told to pause".into()), u64::MAX);
    assert!(owners.awaits_answer());
    assert!(owners.why_waiting(at(0)).contains("it was told to pause"));
    owners.dialling(peer(1).id);
    assert!(owners.awaits_answer(), "he is asked again");
    owners.ended(at(250), peer(1).id, lost(), 0);
    assert!(!owners.awaits_answer());
    owners.ended(at(250), peer(1).id, Standing::Later("later".into()), 0);
    assert!(owners.awaits_answer() && !owners.awaits_sharer(), "he may wait for us");
    owners.ended(at(250), peer(1).id, Standing::Busy("all places are taken".into()), 0);
    assert!(!owners.awaits_answer(), "those who have them may wait for us");
    owners.ended(at(250), peer(1).id, Standing::Later("later".into()), 0);
    owners.ended(at(500), peer(1).id, Standing::NotHere("he gave it up".into()), 0);
    assert!(!owners.awaits_answer());
}

#[test]
fn a_lost_owner_is_dialled_again_after_a_growing_wait() {
    let mut owners = Owners::new(at(0), 0, vec![peer(0)]);
    assert_eq!(owners.due(at(0), 9), [peer(0)]);
    owners.dialling(peer(0).id);
    assert!(owners.due(at(0), 9).is_empty(), "one connection an owner");
    owners.ended(at(0), peer(0).id, lost(), u64::MAX);
    assert!(owners.due(at(249), 9).is_empty());
    assert_eq!(owners.due(at(250), 9).len(), 1);
    owners.ended(at(250), peer(0).id, lost(), u64::MAX);
    assert!(owners.due(at(700), 9).is_empty());
    assert_eq!(
        owners.why_waiting(at(250)),
        "alice (10.0.0.0:3): connection refused; next try in 0 s"
    );
}

#[test]
fn an_owner_that_accepts_and_brings_nothing_is_dialled_less_and_less_often() {
    let (mut owners, alice) = (Owners::new(at(0), 0, vec![peer(0)]), peer(0).id);
    for _ in 0..5 {
        owners.connected_to(alice);
        owners.ended(at(0), alice, lost(), u64::MAX);
    }
    assert!(owners.due(at(3_999), 9).is_empty(), "250 ms, doubled four times");
    assert_eq!(owners.due(at(4_000), 9).len(), 1);
    for _ in 0..5 {
        owners.connected_to(alice);
        owners.ended(at(0), alice, lost(), u64::MAX);
    }
    assert!(owners.due(at(14_999), 9).is_empty());
    assert_eq!(owners.due(at(15_000), 9).len(), 1, "never longer than that");
    owners.connected_to(alice);
    owners.useful(alice);
    owners.ended(at(0), alice, lost(), u64::MAX);
    assert_eq!(owners.due(at(250), 9).len(), 1, "it has brought something");
}

#[test]
fn an_owner_without_the_file_comes_back_only_when_a_search_finds_it_again() {
    let mut owners = Owners::new(at(0), 0, vec![peer(1)]);
    owners.ended(at(0), peer(1).id, Standing::NotHere("it was edited".into()), 0);
    assert!(owners.due(at(99_999), 9).is_empty());
    assert!(owners.why_waiting(at(0)).contains("it was edited; looking for owners again in 1 s"));
    owners.found(at(5), vec![peer(1)]);
    assert_eq!(owners.due(at(5), 9).len(), 1);
}

#[test]
fn an_owner_that_was_not_asked_yet_may_have_everything() {
    let (mut owners, [alice, bob]) =
        (Owners::new(at(0), 0, vec![peer(0), peer(1)]), [0, 1].map(|n| peer(n).id));
    owners.dialling(alice);
    owners.connected_to(alice);
    owners.ended(at(0), alice, Standing::NotHere("edited".into()), 0);
    assert!(owners.awaits_answer(), "there was no room for bob");
    owners.dialling(bob);
    assert!(owners.awaits_answer(), "he is being dialled");
    owners.connected_to(bob);
    owners.ended(at(0), bob, Standing::NotHere("edited".into()), 0);
    assert!(!owners.awaits_answer());
    owners.found(at(1), vec![peer(0)]);
    owners.dialling(alice);
    assert!(!owners.awaits_answer(), "she has said no");
    owners.ended(at(1), alice, lost(), 0);
    assert!(owners.awaits_answer(), "she has not said it again");
}

#[test]
fn a_banned_owner_stays_banned_whatever_happens() {
    let mut owners = Owners::new(at(0), 0, vec![peer(0), peer(2)]);
    owners.ban(peer(2).id);
    assert_eq!(owners.all_banned(), None);
    owners.ended(at(0), peer(2).id, lost(), 0);
    owners.found(at(1), vec![peer(2)]);
    owners.connected_to(peer(2).id);
    assert_eq!(owners.due(at(9_999), 9), [peer(0)]);
    owners.ban(peer(0).id);
    assert!(owners.all_banned().unwrap().contains("alice"));
}

#[test]
fn an_owner_that_breaks_the_protocol_three_times_is_banned_and_the_person_told() {
    let mut owners = Owners::new(at(0), 0, vec![peer(0), peer(2)]);
    let eve = peer(2).id;
    for _ in 1..VIOLATIONS_MAX {
        assert_eq!(owners.broke_protocol(eve), None);
        owners.ended(at(0), eve, lost(), 0);
    }
    owners.connected_to(eve);
    owners.useful(eve);
    assert!(!owners.is_banned(eve), "it may have been a bug that passed");
    let told = "eve (10.0.0.2:3) broke the protocol too often; not asked again";
    assert_eq!(owners.broke_protocol(eve).as_deref(), Some(told));
    assert_eq!(owners.broke_protocol(eve), None, "told once");
    owners.ended(at(0), eve, lost(), 0);
    owners.found(at(1), vec![peer(2)]);
    assert_eq!(owners.due(at(99_999), 9), [peer(0)]);
    owners.connected_to(peer(0).id);
    assert!(owners.why_waiting(at(0)).starts_with("eve (10.0.0.2:3) broke the protocol"));
    assert_eq!(owners.all_banned(), None);
    owners.ban(peer(0).id);
    let words = owners.all_banned().unwrap();
    assert!(words.contains("alice (10.0.0.0:3) sent wrong bytes, eve"), "{words}");
    let mut owners = Owners::new(at(0), 0, vec![peer(2)]);
    (0..VIOLATIONS_MAX).for_each(|_| _ = owners.broke_protocol(eve));
    let words = "every owner broke the protocol too often: eve (10.0.0.2:3)";
    assert_eq!(owners.all_banned().as_deref(), Some(words));
}

#[test]
fn owners_are_looked_for_often_when_nobody_is_connected_and_calmly_otherwise() {
    let mut owners = Owners::new(at(0), 0, vec![]);
    assert!(!owners.search_due(at(999), 0));
    assert!(owners.search_due(at(1_000), u64::MAX));
    assert!(owners.search_due(at(2_000), u64::MAX));
    assert!(!owners.search_due(at(3_500), u64::MAX), "the wait doubles");
    owners.found(at(4_000), vec![peer(0)]);
    owners.connected_to(peer(0).id);
    assert!(owners.search_due(at(4_000), 0));
    assert!(!owners.search_due(at(18_000), 0));
}

#[test]
fn a_stranger_who_calls_joins_only_if_he_may_and_makes_no_more_searches() {
    let mut owners = Owners::new(at(0), 0, vec![peer(0)]);
    owners.ended(at(0), peer(0).id, lost(), u64::MAX);
    let already = owners.returned(at(1), peer(0), false);
    assert_eq!(already, Returned::Dialled, "an owner of this fetch already");
    assert_eq!(owners.due(at(1), 9), [peer(0)]);
    assert!(owners.search_due(at(1_000), u64::MAX));
    owners.connected_to(peer(0).id);
    assert!(owners.search_due(at(9_000), 0), "calm from now on");
    assert_eq!(owners.returned(at(9_100), peer(2), false), Returned::NoOwner);
    assert_eq!(owners.returned(at(9_200), peer(2), false), Returned::NoOwner);
    assert!(!owners.search_due(at(9_999), 0), "not sooner than a second after the last");
    assert!(owners.search_due(at(10_000), 0));
    assert!(owners.due(at(10_000), 9).is_empty(), "he is not dialled");
    assert_eq!(owners.returned(at(10_001), peer(2), true), Returned::Dialled);
    assert_eq!(owners.due(at(10_001), 9), [peer(2)]);
}

#[test]
fn a_connection_makes_room_for_who_was_not_tried_yet_and_for_nobody_else() {
    let mut owners = Owners::new(at(0), 0, vec![peer(0), peer(1)]);
    owners.dialling(peer(0).id);
    owners.connected_to(peer(0).id);
    assert!(!owners.exchange_due(at(99)), "too early");
    assert!(owners.exchange_due(at(100)));
    assert!(!owners.exchange_due(at(199)), "one at a time");
    owners.give_up(peer(0).id);
    owners.ended(at(200), peer(0).id, lost(), u64::MAX);
    assert_eq!(owners.due(at(200), 9), [peer(1)]);
    owners.dialling(peer(1).id);
    owners.connected_to(peer(1).id);
    assert!(owners.due(at(10_199), 9).is_empty(), "the others come first");
    assert_eq!(owners.due(at(10_200), 9), [peer(0)]);
    assert!(!owners.exchange_due(at(10_200)), "it was tried");
    owners.dialling(peer(0).id);
    owners.ended(at(20_000), peer(0).id, lost(), u64::MAX);
    assert_eq!(owners.due(at(20_250), 9), [peer(0)], "it was lost this time");
    owners.found(at(20_300), vec![peer(2), peer(3)]);
    owners.dialling(peer(2).id);
    assert!(!owners.exchange_due(at(20_300)), "peer 2 may take a place");
    owners.connected_to(peer(2).id);
    assert!(owners.exchange_due(at(20_300)));
}

#[test]
fn owners_are_bounded() {
    let many = |from: u16| {
        let id = |n: u16| NodeId::from_bytes([n.to_le_bytes(); 16].concat().try_into().unwrap());
        (from..from + 200).map(|n| PeerInfo { id: id(n), ..peer(0) }).collect::<Vec<_>>()
    };
    let mut owners = Owners::new(at(0), 0, many(0));
    owners.found(at(0), many(200));
    assert_eq!(owners.due(at(0), 999).len(), OWNERS_MAX);
    assert_eq!(owners.returned(at(0), peer(2), true), Returned::NoOwner);
}

#[test]
fn an_owner_that_moved_is_dialled_at_its_new_address_at_once() {
    let mut owners = Owners::new(at(0), 0, vec![peer(0)]);
    owners.ended(at(0), peer(0).id, lost(), u64::MAX);
    let moved = PeerInfo { ip: [10, 9, 9, 9].into(), ..peer(0) };
    owners.found(at(1), vec![moved.clone()]);
    assert_eq!(owners.due(at(1), 9), [moved]);
}

#[test]
fn an_owner_that_calls_while_he_is_believed_connected_is_dialled_when_that_lane_is_closed() {
    let (mut owners, alice) = (Owners::new(at(0), 0, vec![peer(0)]), peer(0).id);
    owners.dialling(alice);
    assert_eq!(owners.returned(at(1), peer(0), true), Returned::Dialled, "already under way");
    owners.connected_to(alice);
    owners.useful(alice);
    assert_eq!(owners.returned(at(2), peer(0), true), Returned::LaneIsDead);
    assert!(owners.due(at(9_999), 9).is_empty(), "one connection an owner");
    owners.ended(at(9_999), alice, lost(), u64::MAX);
    assert_eq!(owners.due(at(10_249), 9), [peer(0)]);
}
