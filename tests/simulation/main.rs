//! Several nodes with the production decisions (`logic/`) and the production log (`wal/`) over a
//! simulated network, simulated disks and clocks, all from one seed (after TigerBeetle's and
//! FoundationDB's simulators). Faults of every kind come first; then all is healed, and everything
//! must end within three ACK timeouts. The oracle watches the invariants of ARCHITECTURE.md.
//!
//! ```text
//! SIM_RUNS=100000 cargo nextest run --release --test simulation seeds    more seeds
//! SIM_SEED=4711   cargo nextest run --test simulation seeds              one of them, with its story
//! SIM_LONGER=15 SIM_ONLY=Disk,Reset  beside these: longer lines, and faults of these kinds only (`plan::Kind`)
//! ```
//!
//! What is simulated here and not the production's: threads, sockets and files, that is the
//! straight lines of `node/` and `io/` between two decisions (`serving`, `fetching`, `publishing`).

#![allow(unreachable_pub, reason = "a test crate has no outside")]
#![allow(clippy::print_stdout, clippy::expect_used, reason = "a test program")]
#![allow(clippy::needless_pass_by_value, reason = "events give away what they carry")]

mod arriving;
mod calls;
mod dice;
mod event;
mod faults;
mod fetching;
mod lanes;
mod liars;
mod network;
mod node;
mod oracle;
mod plan;
mod publishing;
mod sending;
mod serving;
mod store;
mod swarm;
mod trace;
mod tracker;
mod wires;
mod world;

use std::num::NonZero;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use plan::{Kind, Plan};
use world::{Outcome, Sabotage, run};

/// Seeds of one run of the tests.
const SEEDS: u64 = 1_000;
/// Within so many seeds a missing safeguard must show.
const SEEDS_TO_FIND: u64 = 5_000;

fn from_env(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text}")))
}

/// The plan of a seed, with the faults and the lines that the environment asks for.
fn plan(seed: u64) -> Plan {
    let only = std::env::var("SIM_ONLY").ok().map(|names| {
        let kind = |name| Kind::named(name).unwrap_or_else(|| panic!("SIM_ONLY: no fault {name}"));
        names.split(',').map(kind).collect::<Vec<_>>()
    });
    let longer = from_env("SIM_LONGER").unwrap_or(1);
    Plan::of_kinds(seed, only.as_deref()).with_lines(longer, 1)
}

fn play(seed: u64) -> Outcome {
    run(seed, plan(seed), Sabotage::Nothing)
}

fn tell(seed: u64, outcome: &Outcome) {
    if let Some(failure) = &outcome.failure {
        panic!(
            "{failure}\n{}\nthe last of it is above; again with SIM_SEED={seed}",
            outcome.last.join("\n")
        );
    }
}

#[test]
fn seeds_end_well() {
    if let Some(seed) = from_env("SIM_SEED") {
        let outcome = play(seed);
        println!("{}", outcome.last.join("\n"));
        return tell(seed, &outcome);
    }
    let runs = from_env("SIM_RUNS").unwrap_or(SEEDS);
    let first = from_env("SIM_FIRST").unwrap_or(0);
    let (next, events) = (AtomicU64::new(first), AtomicU64::new(0));
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Relaxed);
                    if seed >= first + runs {
                        break;
                    }
                    let outcome = play(seed);
                    tell(seed, &outcome);
                    events.fetch_add(outcome.events, Relaxed);
                }
            });
        }
    });
    println!("{runs} seeds from {first}, {} events", events.into_inner());
}

/// There a try is over, and the next one has begun, while words of the first are still under way. Beyond
/// 1.6 s one way nobody connects any more: the handshake has its deadline.
#[test]
fn seeds_end_well_on_long_lines() {
    let of_disks = (0..60).chain([2_104]).map(|seed| (seed, 15, Some(&[Kind::Disk][..])));
    for (seed, longer, only) in of_disks.chain((0..60).map(|seed| (seed, 20, None))) {
        let plan = Plan::of_kinds(seed, only).with_lines(longer, 1);
        let outcome = run(seed, plan, Sabotage::Nothing);
        if outcome.failure.is_some() {
            println!("SIM_LONGER={longer}, SIM_ONLY={only:?}");
        }
        tell(seed, &outcome);
    }
}

#[test]
fn a_seed_replays_exactly() {
    for seed in 0..20 {
        assert_eq!(play(seed), play(seed), "seed {seed}");
    }
    assert_ne!(play(1).fingerprint, play(2).fingerprint, "the seed decides nothing");
}

/// What the oracle says within the first seeds when a safeguard is taken out. What takes three
/// faults in a row is looked for among runs with faults of these kinds only.
fn found(sabotage: Sabotage, kinds: Option<&[Kind]>) -> String {
    found_on(sabotage, kinds, 1)
}

/// The same where all lines are so many times slower.
fn found_on(sabotage: Sabotage, kinds: Option<&[Kind]>, slower: u64) -> String {
    let found = (0..SEEDS_TO_FIND).find_map(|seed| {
        let plan = Plan::of_kinds(seed, kinds).with_lines(1, slower);
        let failure = run(seed, plan, sabotage).failure?;
        Some((seed, failure))
    });
    let (seed, failure) = found.expect("a safeguard is missing, and nobody has seen it");
    println!("{sabotage:?}: seed {seed}: {failure}");
    failure
}

#[test]
fn a_done_without_a_sync_is_found() {
    let failure = found(Sabotage::NoSyncBeforeDone, None);
    assert!(failure.starts_with("I1") || failure.starts_with("I2"), "{failure}");
}

#[test]
fn a_final_name_that_is_not_durable_yet_is_found() {
    assert!(
        found(Sabotage::NoSyncOfWhatIsHere, Some(&[Kind::Kill, Kind::Power])).starts_with("I2")
    );
}

#[test]
fn a_failed_sync_that_is_tried_again_is_found() {
    let failure = found(Sabotage::FailedSyncAgain, Some(&[Kind::Disk, Kind::Power]));
    assert!(failure.starts_with("I1") || failure.starts_with("I2"), "{failure}");
}

#[test]
fn an_old_attempt_that_counts_is_found() {
    assert!(
        found(Sabotage::NoAttemptCheck, Some(&[Kind::PausedByPerson, Kind::Partition]))
            .starts_with("I3")
    );
}

#[test]
fn bytes_that_nobody_has_verified_are_found() {
    assert!(found(Sabotage::NoVerification, None).starts_with("I1"));
}

#[test]
fn a_chunk_that_is_served_before_it_is_verified_is_found() {
    let failure = found(Sabotage::ServedUnverified, None);
    assert!(failure.contains("that it has not verified"), "{failure}");
}

#[test]
fn a_promise_of_a_part_that_is_lent_no_more_is_found() {
    // On slow lines what was asked of an owner stays with it for longer: others have sent it soon otherwise.
    let failure = found_on(Sabotage::PromiseKept, Some(&[Kind::Disk, Kind::Pause]), 4);
    assert!(failure.contains("that it has not verified"), "{failure}");
}

#[test]
fn one_who_only_talks_and_is_waited_for_is_found() {
    let failure = found(Sabotage::TalkCounts, None);
    assert!(failure.starts_with("I3: after healing"), "{failure}");
}

#[test]
fn an_end_at_the_last_ack_is_found() {
    assert!(found(Sabotage::EndOnLastAck, None).starts_with("I3"));
}
