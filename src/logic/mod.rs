//! Decisions without I/O: the time is an argument, what is to be done comes back as a value.

pub mod registry;
