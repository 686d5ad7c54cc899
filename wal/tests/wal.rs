//! The log against everything `FAULTS.md` has in its table, on a disk in memory and on a real one.
//!
//! Every module is one kind of trouble. `PARVI_SOAK=N` multiplies the counts of those that draw at
//! random or take samples, `WAL_FIRST=N` lets them begin with another seed; `WAL_SEED=N` runs one
//! random sequence again.
#![allow(clippy::unwrap_used, unreachable_pub, reason = "a test program")]

#[path = "wal/basics.rs"]
mod basics;
#[path = "wal/common.rs"]
mod common;
#[path = "wal/crash.rs"]
mod crash;
#[path = "wal/cut.rs"]
mod cut;
#[path = "wal/faults.rs"]
mod faults;
#[path = "wal/flip.rs"]
mod flip;
#[path = "wal/group.rs"]
mod group;
#[path = "wal/lock.rs"]
mod lock;
#[path = "wal/model.rs"]
mod model;
#[path = "wal/random.rs"]
mod random;
#[path = "wal/segments.rs"]
mod segments;
#[path = "wal/show.rs"]
mod show;
