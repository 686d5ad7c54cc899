//! Decisions: what to do next, from what has happened, with the time passed in.

pub mod catalogue;
pub mod registry;
