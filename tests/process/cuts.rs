//! The network between the ends is cut, and no packet says so: both notice, and go on when it is
//! back.

use std::time::Duration;

use crate::dice::rounds;
use crate::harness::until_within;
use crate::story::{FILM, Setting, Story, again_max};
use crate::wire::{LEFT, RIGHT, Wire};

/// The usual one.
const ACK_TIMEOUT: &str = "20";
/// How long it may take until an end knows.
const NOTICED: Duration = Duration::from_secs(30);

#[test]
fn a_silent_cut_is_noticed_at_both_ends_and_the_transfer_goes_on_afterwards() {
    let Some(wire) = Wire::lay() else { return };
    rounds("cuts", |mut dice| {
        let setting = |who: &str| {
            let (starter, ip) =
                if who == "bob" { (wire.right(), RIGHT) } else { (wire.left(), LEFT) };
            Setting { starter, ip: ip.into(), ack_timeout: ACK_TIMEOUT, ..Setting::usual(who) }
        };
        let mut story = Story::begin_as(setting, |_| {});
        story.reaches(dice.moments(1, FILM)[0]);
        wire.cut();
        let (mut alice, mut bob) = (false, false);
        until_within(NOTICED, "both have noticed", || {
            alice = alice || story.alice_waits().is_some();
            bob = bob || story.of("bob").json(&["transfers"])[0]["state"] == "waiting";
            (alice && bob).then_some(())
        });
        wire.mend();
        let row = story.arrives();
        assert!(row["attempt"].as_u64() >= Some(2), "{row}");
        let again = story.count("alice", "bytes_up") - FILM;
        assert!(again <= again_max(), "{again} bytes were sent again");
    });
}
