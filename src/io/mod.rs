//! The only rank that touches the world: sockets, secure link, threads, disk, clock.

pub mod clock;
pub mod generate;
pub mod threads;
