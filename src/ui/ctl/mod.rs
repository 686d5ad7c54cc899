//! The control socket `.parvi/ctl.sock`: a Unix socket through which `parvi ctl` sends a prompt
//! command to the daemon that runs on a data directory.
//!
//! One request and its answers, each one JSON line; the connection ends after `exit`:
//!
//! ```text
//! client  {"words":["lookup","a.pdf"],"json":true,"folder":"/home/alice"}
//! server  {"err":"waiting …\n"}  {"out":"{\"name\":…}\n"}  …  {"exit":0}
//! ```
//!
//! Invariant: only the owner of the data directory can connect (mode 0600); a request has at most
//! `REQUEST_BYTES_MAX`; at most `CONNECTIONS_MAX` commands run at once, and at most `LONG_MAX` of
//! them wait for downloads, so that `exit` and `stats` find a place; the next is told so.

pub mod client;
pub mod server;
mod socket;

use serde::{Deserialize, Serialize};

/// Longest request line, bytes: a command with the longest name is far shorter.
pub const REQUEST_BYTES_MAX: u64 = 64 * 1024;
/// Most commands at once, waiting ones included.
pub const CONNECTIONS_MAX: usize = 24;
/// Most commands at once that wait for downloads.
pub const LONG_MAX: usize = 16;

/// One line of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// For standard output.
    Out(String),
    /// For standard error.
    Err(String),
    /// The exit code; nothing follows.
    Exit(u8),
}
