//! Decisions: no I/O, no clock, no threads, no hash order. Time and random numbers are arguments.

pub mod batch;
pub mod catalogue;
pub mod claims;
pub mod copies;
#[cfg(test)]
mod dice;
pub mod doctor;
pub mod haves;
pub mod items;
pub mod ledger;
pub mod owners;
pub mod pattern;
pub mod peers;
pub mod registry;
pub mod replication;
pub mod scrub;
pub mod shares;
pub mod spread;
pub mod statistics;
pub mod turns;
pub mod unreadable;
pub mod upload;
mod window;
