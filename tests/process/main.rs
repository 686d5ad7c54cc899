//! The real binary on loopback: a tracker and nodes as processes, driven as a script drives them.
//!
//! Every test has a swarm of its own in a temporary folder, on ports that the system chose. What
//! takes time is waited for with a deadline, never slept through; a test that fails shows what its
//! processes said.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test program")]
#![allow(unreachable_pub, reason = "the harness is used by the modules beside it")]

mod bad_input;
mod cancel;
mod clocks;
mod commands;
mod copies;
mod cuts;
mod daemon;
mod destination;
mod dice;
mod disk_full;
mod doctor;
mod download;
mod ends;
mod evaluate;
mod folder;
mod get;
mod harness;
mod headless;
mod identity;
mod kills;
mod liar;
mod limit;
mod lookup;
mod pauses;
mod prompt;
mod real_input;
mod remembered;
mod resume;
mod scrub;
mod settling_in;
mod shares;
mod shoal;
mod statistics;
mod story;
mod survive;
mod trackers;
mod twins;
mod unwritten;
mod wal_full;
mod wire;
