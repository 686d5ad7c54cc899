//! The scripts, as a person uses them: in containers, and as processes on loopback.
//!
//! Every test copies the scripts into a folder with spaces in its name and gives its swarm a name,
//! a network and an image of its own, so that a person's swarm beside it is not touched. Tests
//! that need a container engine are ignored unless `tests/containers.sh` asks for them.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test program")]
#![allow(unreachable_pub, reason = "the harness is used by the modules beside it")]

mod bad_input;
mod compose;
mod containers;
mod image;
mod local;
mod place;
mod prompt;
mod readme;
mod reset;
mod survive;
