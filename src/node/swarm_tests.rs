//! What the transfers of one set do to each other.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::*;
use crate::io::threads;
use crate::logic::items::Items;
use crate::logic::spread::CROWD;
use crate::logic::turns::TURNS;
use crate::node::samples::peer;
use crate::wire::message::transfer::Want;

fn join(swarm: &Arc<Swarm>, connection: u64) -> Joined {
    let upload = Upload::new(Items::chunks(1_000_000), Bitmap::none(4));
    swarm.join(Connection(connection), upload, true)
}

fn told(joined: &Joined) -> usize {
    joined.outgoing.state.lock().outbox.len()
}

#[test]
fn those_who_serve_hear_of_each_other_once_whatever_one_of_them_says() {
    let swarm = Swarms::default().of([1; 32], 4);
    let [alice, bob, silent] = [1, 2, 3].map(|n| join(&swarm, n));
    alice.serves(&peer(0));
    bob.serves(&peer(1));
    assert_eq!([&alice, &bob, &silent].map(told), [1, 1, 0]);
    (0..1_000).for_each(|n| bob.serves(&PeerInfo { files: n, ..peer(1) }));
    assert_eq!(told(&alice), 1);
}

#[test]
fn what_waits_for_a_requester_that_does_not_read_is_bounded() {
    let swarm = Swarms::default().of([1; 32], 4);
    let alice = join(&swarm, 0);
    alice.serves(&peer(0));
    (1..1_000).for_each(|n| join(&swarm, n).serves(&peer(1)));
    assert_eq!(told(&alice), OUTBOX_MAX);
}

#[test]
fn what_was_promised_of_a_part_is_taken_back_once_and_what_is_shared_is_not() {
    let swarm = Swarms::default().of([1; 32], 4);
    let lent = join(&swarm, 1);
    let whole = Upload::new(Items::chunks(1_000_000), Bitmap::all(4));
    let shared = swarm.join(Connection(2), whole, false);
    swarm.gained(&[2]);
    let kept = Bitmap::none(4);
    (0..2).for_each(|_| lent.outgoing.withdrawn(&kept));
    shared.outgoing.withdrawn(&Bitmap::all(4));
    let mut state = lent.outgoing.state.lock();
    let all = List::of(vec![Range { first: 0, count: 4 }]);
    assert_eq!(state.next_message(clock::now()), Some(Stale { items: all }.into()));
    assert_eq!((state.next_message(clock::now()), state.upload.have().count()), (None, 0));
    drop(state);
    assert!(shared.outgoing.state.lock().upload.have().is_full());
    swarm.gained(&[1]);
    assert_eq!(lent.outgoing.state.lock().upload.have().count(), 1, "a later fetch has some");
}

#[test]
fn what_cannot_be_read_for_one_is_taken_back_from_all_others_who_were_promised_it() {
    let swarm = Swarms::default().of([1; 32], 4);
    let [alice, bob, carol] = [1, 2, 3].map(|n| join(&swarm, n));
    [&alice, &bob].iter().for_each(|one| one.outgoing.gained(clock::now(), &[1, 2], 3));
    (0..2).for_each(|_| alice.outgoing.others_lose(Range::one(2)));
    assert_eq!([&alice, &bob, &carol].map(told), [0, 1, 0], "once, and who was promised it");
    let have = |one: &Joined| one.outgoing.state.lock().upload.have().iter().collect::<Vec<_>>();
    assert_eq!((have(&alice), have(&bob)), (vec![1, 2], vec![1]));
}

#[test]
fn what_is_shared_of_a_batch_stays_promised_when_the_rest_is_taken_back() {
    let swarm = Swarms::default().of([1; 32], 4);
    let upload = Upload::new(Items::files(vec![1; 4]), Bitmap::none(4));
    let bob = swarm.join(Connection(1), upload, true);
    swarm.gained(&[0, 1, 2]);
    let mut kept = Bitmap::none(4);
    kept.insert(0);
    (0..2).for_each(|_| swarm.withdrawn(&kept));
    let mut state = bob.outgoing.state.lock();
    let gone = List::of(vec![Range { first: 1, count: 3 }]);
    assert_eq!(state.next_message(clock::now()), Some(Stale { items: gone }.into()));
    let here = Have { items: List::of(vec![Range::one(0)]) };
    assert_eq!(state.next_message(clock::now()), Some(here.into()));
    assert_eq!((state.next_message(clock::now()), state.upload.have().count()), (None, 1));
}

#[test]
fn who_finds_no_place_hears_of_some_who_serve_that_set_and_of_nobody_else() {
    let (swarms, key) = (Swarms::default(), [1; 32]);
    assert!(swarms.some_of(&key, 7).is_empty());
    let swarm = swarms.of(key, 4);
    let members: Vec<Joined> = (0..40).map(|n| join(&swarm, n)).collect();
    assert!(swarms.some_of(&key, 7).is_empty(), "none of them has said that it serves");
    let served = |n: u32| PeerInfo { files: n, ..peer(0) };
    (0..20).for_each(|n| members[n as usize].serves(&served(n)));
    let told: Vec<u32> = swarms.some_of(&key, 15).iter().map(|one| one.files).collect();
    assert_eq!(told, [15, 16, 17, 18, 19, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    assert!(swarms.some_of(&[2; 32], 0).is_empty());
    drop(members);
    assert!(swarms.some_of(&key, 7).is_empty());
}

/// So many who want all of it, which is here.
fn wanting(swarm: &Arc<Swarm>, count: u64) -> Vec<Joined> {
    let members: Vec<Joined> = (0..count).map(|n| join(swarm, n)).collect();
    let want = Want {
        add: List::of(vec![Range { first: 0, count: 4 }]),
        remove: List::default(),
        window: 8,
    };
    for member in &members {
        let mut state = member.outgoing.state.lock();
        state.upload.on_gained(&[0, 1, 2, 3]);
        state.upload.on_want(&want).unwrap();
    }
    members
}

fn goes(one: &Joined) -> bool {
    let ahead = one.outgoing.state.lock().next_step(&one.outgoing, clock::now());
    matches!(ahead, Ahead::Step(_))
}

#[test]
fn who_comes_while_four_are_served_waits_until_one_of_them_has_its_run() {
    let swarm = Swarms::default().of([1; 32], 4);
    let members = wanting(&swarm, 5);
    assert_eq!(members.iter().map(goes).collect::<Vec<_>>(), [true, true, true, true, false]);
    members[1].outgoing.sent(Range::one(0));
    assert!(goes(&members[4]) && !goes(&members[1]), "a run each");
}

#[test]
fn a_few_of_many_are_served_at_a_time_and_whoever_leaves_makes_room() {
    let swarm = Swarms::default().of([1; 32], 4);
    let mut members = wanting(&swarm, 12);
    let first: Vec<bool> = members.iter().map(goes).collect();
    assert_eq!(first.iter().filter(|went| **went).count(), TURNS);
    drop(members.remove(0));
    assert!(goes(&members[TURNS - 1]) && !goes(&members[TURNS]));
    members.truncate(CROWD as usize);
    assert!(members.iter().all(goes), "there is a turn for each who is left");
}

#[test]
fn one_that_has_nobody_to_wake_keeps_its_lock_so_that_no_request_comes_unheard() {
    let swarm = Swarms::default().of([1; 32], 4);
    let alice = join(&swarm, 1);
    let outgoing = alice.outgoing();
    let (begun, over) = (AtomicBool::new(false), AtomicBool::new(false));
    let mut state = outgoing.state.lock();
    let gets_in = || {
        begun.store(true, Relaxed);
        while !over.load(Relaxed) {
            if outgoing.state.try_lock().is_some() {
                return true;
            }
        }
        false
    };
    let got_in = std::thread::scope(|scope| {
        let other = threads::spawn_scoped(scope, "other", gets_in).unwrap();
        while !begun.load(Relaxed) {
            std::hint::spin_loop();
        }
        let woken = (0..100_000).any(|_| outgoing.wake_granted(&mut state));
        over.store(true, Relaxed);
        assert!(!woken);
        other.join().unwrap()
    });
    assert!(!got_in);
}

#[test]
fn what_arrives_here_is_told_once() {
    let swarm = Swarms::default().of([1; 32], 4);
    let alice = join(&swarm, 1);
    swarm.gained(&[2, 0]);
    swarm.gained(&[0]);
    let mut state = alice.outgoing.state.lock();
    let have = Have { items: List::of(vec![Range::one(0), Range::one(2)]) };
    assert_eq!(state.next_message(clock::now()), Some(have.into()));
    assert_eq!(state.next_message(clock::now()), None);
}

#[test]
fn what_arrives_soon_after_is_told_when_the_writer_looks_again_by_itself() {
    let swarm = Swarms::default().of([1; 32], 4);
    let members: Vec<Joined> = (1..=4).map(|n| join(&swarm, n)).collect();
    let outgoing = members[0].outgoing();
    swarm.gained(&[0]);
    let (mut state, now) = (outgoing.state.lock(), clock::now());
    assert!(state.next_message(now).is_some(), "at once");
    drop(state);
    swarm.gained(&[1]);
    let mut state = outgoing.state.lock();
    assert_eq!(state.next_message(now), None);
    let Ahead::Nothing(Some(at)) = state.next_step(outgoing, now) else { panic!("no alarm") };
    assert!(state.next_message(at).is_some());
    assert_eq!(state.next_step(outgoing, at + at.since(now)), Ahead::Nothing(None));
}
