//! Load for a real tracker over the network: many nodes that register, tell their files, beat and ask.
//! `bench/index.sh` starts the trackers, and makes a page of what this prints.
//!
//! ```text
//! index_load names TRACKER PID NODES NAMES SECONDS   so many names of each of the nodes; then questions
//! index_load beats TRACKER PID NODES SECONDS         nothing but heartbeats, as many as go
//! ```
//!
//! TRACKER listens on loopback and is the process PID, whose memory and processor time are read.
//! Questions come at fixed times, whether those before are answered or not, and their time counts from
//! then: a tracker that falls behind is seen to.

#![allow(clippy::print_stdout, reason = "a program for a terminal")]

mod load;
mod process;
mod swarm;

use std::net::SocketAddr;
use std::time::Duration;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const USAGE: &str = "usage: index_load names TRACKER PID NODES NAMES SECONDS
       index_load beats TRACKER PID NODES SECONDS";

/// The tracker that is measured.
#[derive(Debug, Clone, Copy)]
struct Tracker {
    addr: SocketAddr,
    pid: u32,
}

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["names", addr, pid, nodes, names, seconds] => {
            let tracker = Tracker { addr: addr.parse()?, pid: pid.parse()? };
            let seconds = Duration::from_secs(seconds.parse()?);
            load::names(tracker, (nodes.parse()?, names.parse()?), seconds)
        }
        ["beats", addr, pid, nodes, seconds] => {
            let tracker = Tracker { addr: addr.parse()?, pid: pid.parse()? };
            load::beats(tracker, nodes.parse()?, Duration::from_secs(seconds.parse()?))
        }
        _ => Err(USAGE.into()),
    }
}
