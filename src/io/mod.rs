//! Everything that touches the world: sockets, threads, the disk, the clock.
//!
//! The ranks above see typed values and typed errors; no rank below knows this one exists. Each
//! kind of side effect has one home here, and `clippy.toml` keeps it there.

pub mod clock;
pub mod descriptors;
pub mod disk;
pub mod doctor;
pub mod failpoint;
pub mod generate;
pub mod index;
pub mod link;
pub mod listen;
pub mod local;
pub mod machine;
pub mod notices;
pub mod poll;
pub mod prepare;
pub mod space;
pub mod threads;
