//! parvi: peer-to-peer file sharing for the machines of a lab, a class, an office.
//!
//! The folders are ranks; a module uses only ranks below its own (a test holds this):
//!
//! ```text
//! ui       arguments, prompt, control socket, rendering
//! node     search, size and chunk listeners, heartbeat, downloads, uploads
//! tracker  the tracker's pool and its requests
//! io       sockets, secure link, threads, disk, clock: the only rank that touches the world
//! logic    decisions: registry, catalogue, shares of a download     no I/O, no clock, no threads
//! wire     bytes <-> messages                                       no I/O
//! base     words: ids, names, chunks, manifests, time               no I/O
//! ```
//!
//! `node` and `tracker` share a rank and do not use each other. ARCHITECTURE.md has the tour.

#![forbid(unsafe_code)]

pub mod base;
pub mod io;
pub mod logic;
pub mod node;
pub mod tracker;
pub mod ui;
pub mod wire;

// Files that tests and fuzzers share name everything as an outsider does.
#[cfg(test)]
extern crate self as parvi;
