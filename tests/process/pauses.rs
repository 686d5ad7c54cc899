//! A process that stands still for longer than anybody waits for it, and then goes on as if nothing
//! had happened: its old connection is refused, a new one takes over, no thread is left behind.

use std::thread;

use rustix::process::Signal;

use crate::harness::until;
use crate::story::{FILM, Setting, Story, again_max};

/// A transfer, and the threads that alice and bob have without one.
fn begun() -> (Story, [Vec<String>; 2]) {
    let mut idle = Default::default();
    let story = Story::begin_as(Setting::usual, |story| idle = settled(story));
    story.reaches(FILM / 5);
    (story, idle)
}

fn threads(story: &Story) -> [Vec<String>; 2] {
    ["alice", "bob"].map(|who| story.threads(who))
}

/// The threads when nothing comes and goes.
fn settled(story: &Story) -> [Vec<String>; 2] {
    let mut last = threads(story);
    until("threads come and go no more", || {
        let now = threads(story);
        let same = (0..5).all(|_| threads(story) == now);
        (std::mem::replace(&mut last, now.clone()) == now && same).then_some(now)
    })
}

/// The film arrives by a later attempt, and nothing is left of the earlier one.
#[track_caller]
fn recovers((mut story, idle): (Story, [Vec<String>; 2])) {
    let row = story.arrives();
    assert!(row["attempt"].as_u64() >= Some(2), "{row}");
    let again = story.count("alice", "bytes_up") - FILM;
    assert!(again <= again_max(), "{again} bytes were sent again");
    until(&format!("no thread is left besides {idle:?}"), || {
        let now = threads(&story);
        idle.iter().zip(&now).all(|(idle, now)| are_among(idle, now)).then_some(())
    });
}

/// Whether `now` has no thread that `idle` has not; a question of others may have been answered then.
fn are_among(idle: &[String], now: &[String]) -> bool {
    let mut rest = idle.to_vec();
    now.iter().all(|name| {
        let found = rest.iter().position(|other| other == name);
        found.map(|at| rest.remove(at)).is_some()
    })
}

fn a_requester() {
    let scene = begun();
    let bob = scene.0.of("bob");
    bob.signal(Signal::STOP);
    until("alice waits for bob", || scene.0.alice_waits());
    bob.signal(Signal::CONT);
    recovers(scene);
}

fn a_sender() {
    let scene = begun();
    let alice = scene.0.of("alice");
    alice.signal(Signal::STOP);
    scene.0.of("bob").transfer("bob waits for alice", |t| t["state"] == "waiting");
    scene.0.of("tracker").peers(1);
    alice.signal(Signal::CONT);
    recovers(scene);
}

/// The film arrives without a tracker; when that goes on, it is found again.
fn a_tracker() {
    let (mut story, _) = begun();
    story.of("tracker").signal(Signal::STOP);
    assert_eq!(story.arrives()["attempt"], 1);
    assert_eq!(story.count("alice", "bytes_up"), FILM);
    for who in ["alice", "bob"] {
        until(&format!("{who} has noticed"), || {
            (story.of(who).json(&["show"])["trackers"][0]["connected"] == false).then_some(())
        });
    }
    let tracker = story.of("tracker");
    tracker.signal(Signal::CONT);
    tracker.peers(2);
}

#[test]
fn whoever_stands_still_for_too_long_goes_on_with_a_new_attempt() {
    // Most of it is waiting, so at the same time.
    thread::scope(|scope| {
        let all = [scope.spawn(a_requester), scope.spawn(a_sender), scope.spawn(a_tracker)];
        all.into_iter().for_each(|one| one.join().unwrap());
    });
}
