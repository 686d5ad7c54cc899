//! kill -9 at random moments of a transfer, ten times each: it goes on by itself after a start, ends
//! with the right bytes under the final name and never with others, and little is sent again (I8).
//!
//! One long transfer takes all ten kills of a role. What a process knew dies with it; what the
//! system had taken from it does not: losing that too is the power cut's business, not a kill's.

use std::time::Duration;

use serde_json::Value;

use crate::dice::{Dice, rounds};
use crate::harness::{column, until, until_within};
use crate::story::{ALL, FILM, Setting, Story, again_max, found};

const KILLS: usize = 10;

/// Bytes sent and not kept, kill by kill.
#[derive(Default)]
struct Waste {
    all: u64,
    worst: u64,
}

impl Waste {
    /// One more kill, after which `all` bytes of the whole transfer were wasted.
    #[track_caller]
    fn is_now(&mut self, all: u64) {
        self.worst = self.worst.max(all - std::mem::replace(&mut self.all, all));
        let most = again_max();
        assert!(
            self.worst <= most,
            "{} bytes are sent again after a kill, {most} at most",
            self.worst
        );
    }

    fn tell(&self) {
        eprintln!("sent again: {} bytes, {} at most after one kill", self.all, self.worst);
    }
}

#[test]
fn a_requester_that_is_killed_ten_times_keeps_what_it_had() {
    rounds("kills of the requester", |mut dice| {
        let (mut story, mut waste) = (Story::begin(), Waste::default());
        for moment in dice.moments(KILLS, FILM) {
            let had = story.reaches(moment)["done"].as_u64().unwrap();
            story.kill("bob");
            // Without a connection no more is sent.
            until("alice waits for bob", || story.alice_waits());
            let sent = story.count("alice", "bytes_up");
            story.start("bob");
            let found = found(&story.moves());
            // So nothing verified is fetched again, be it two seconds old or two milliseconds.
            assert!(found >= had, "{found} bytes of {had} were there after a kill");
            waste.is_now(sent - found);
        }
        story.arrives();
        waste.tell();
    });
}

#[test]
fn a_sender_that_is_killed_ten_times_sends_little_again() {
    rounds("kills of the sender", |mut dice| {
        let (mut story, mut waste) = (Story::begin(), Waste::default());
        for moment in dice.moments(KILLS, FILM) {
            story.reaches(moment);
            story.kill("alice");
            let waits = |t: &Value| t["state"] == "waiting";
            let row = story.of("bob").transfer("bob has noticed that alice is gone", waits);
            let arrived = story.count("bob", "bytes_arrived");
            waste.is_now(arrived - row["done"].as_u64().unwrap());
            story.start("alice");
            story.moves();
        }
        remembers(&story.arrives());
        waste.tell();
    });
}

#[test]
fn a_transfer_does_not_notice_a_tracker_that_is_killed_ten_times() {
    rounds("kills of the tracker", |mut dice| {
        let mut story = Story::begin();
        for moment in dice.moments(KILLS, FILM) {
            story.reaches(moment);
            story.kill("tracker");
            story.start("tracker");
        }
        assert_eq!(story.arrives()["attempt"], 1);
        assert_eq!(story.count("alice", "bytes_up"), FILM, "something was sent again");
    });
}

#[test]
fn a_tracker_that_was_killed_knows_everything_again_after_two_heartbeats() {
    let unhurried = |who: &str| Setting { heartbeat: "5", ..Setting::usual(who) };
    let mut story = Story::begin_as(unhurried, |_| {});
    story.kill("tracker");
    story.start("tracker");
    let tracker = story.of("tracker");
    until_within(Duration::from_secs(2 * 5), "nodes and files are listed", || {
        let nodes = tracker.json(&["peers"]).as_array()?.len();
        (nodes == 2 && column(&tracker.json(&["files"]), "name").contains(&"film")).then_some(())
    });
    assert_eq!(story.arrives()["attempt"], 1);
}

#[test]
fn a_transfer_survives_the_death_of_both_its_ends_and_of_everybody() {
    rounds("kills of several", |mut dice| {
        let mut story = Story::begin();
        for (nth, moment) in dice.moments(KILLS, FILM).into_iter().enumerate() {
            let had = story.reaches(moment)["done"].as_u64().unwrap();
            let dying = if nth % 2 == 0 { &ALL[1..] } else { &ALL };
            dying.iter().for_each(|who| story.kill(who));
            in_any_order(&mut dice, dying).into_iter().for_each(|who| story.start(who));
            let found = found(&story.moves());
            assert!(found >= had, "{found} bytes of {had} were there after a kill");
        }
        remembers(&story.arrives());
    });
}

/// An owner that is killed knows from its log how often an upload was opened: once a life at least.
#[track_caller]
fn remembers(row: &Value) {
    assert!(row["attempt"].as_u64() > Some(KILLS as u64), "attempts are forgotten: {row}");
}

fn in_any_order(dice: &mut Dice, all: &[&'static str]) -> Vec<&'static str> {
    let mut all: Vec<_> = all.iter().map(|who| (dice.number(), *who)).collect();
    all.sort_unstable();
    all.into_iter().map(|(_, who)| who).collect()
}
