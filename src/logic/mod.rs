//! Decisions: no I/O, no clock, no threads, no hash order. Time and random numbers are arguments.

pub mod owners;
pub mod peers;
