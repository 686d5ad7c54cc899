//! Every step between two disks, once crashed and once failed: a tracker, alice who has the files
//! and bob who downloads them, and in some of them carol who does so, too, as processes on loopback.
//!
//! After both nobody types a command, but for the exceptions that `cases.rs` lists: the download
//! ends with the right bytes, nothing wrong has a final name meanwhile, and what alice's log began
//! it ends. A point that is not reached fails its test. `cargo nextest run --features failpoints
//! --test failpoints --test-threads 8`, and a name of `cases.rs` for one of them.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test program")]
#![allow(unreachable_pub, dead_code, reason = "the harness is that of tests/process")]

mod cases;
#[path = "../process/daemon.rs"]
mod daemon;
#[path = "../process/harness.rs"]
mod harness;
mod life;
mod list;
mod run;
