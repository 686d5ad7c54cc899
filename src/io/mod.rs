//! What touches the world: sockets, the secure link, threads, disk, clock.

pub mod disk;
