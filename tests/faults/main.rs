//! Real nodes and a real tracker against hostile peers, broken disks and cut wires.
//!
//! Every test has a swarm of its own on loopback. A panic on any thread of the program fails it.
//! `PARVI_SOAK=N` multiplies the counts by N.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, reason = "tests")]
#![allow(unreachable_pub, reason = "a test crate has no outside")]

mod batches;
mod boss;
mod called;
mod child;
mod copies;
mod corrupt;
mod crowd;
mod cut;
mod disk;
mod early;
mod edited;
mod endless;
mod eve;
mod exchange;
mod idle;
mod keys;
mod knock;
mod lost;
mod names;
mod numbers;
mod orders;
mod partial;
mod pretend;
mod raw;
mod slow;
mod stubborn;
mod swarm;
mod symlinks;
mod traversal;
