//! The real program as a process of its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::swarm::Swarm;

/// parvi with an empty environment.
pub fn parvi(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_parvi"));
    command.env_clear().env("HOME", "/nonexistent").args(words);
    command
}

/// Dies with its handle.
pub struct Process {
    pub child: Child,
    /// The `ready` line.
    pub ready: String,
    /// Kept open, so that it can go on writing.
    _out: BufReader<std::process::ChildStdout>,
}

impl Process {
    /// Starts `command` and waits for its `ready` line.
    pub fn start(mut command: Command) -> Process {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut ready = String::new();
        while !ready.starts_with("ready ") {
            ready.clear();
            assert!(out.read_line(&mut ready).unwrap() > 0, "{command:?} did not come up");
        }
        Process { child, ready, _out: out }
    }

    /// A node of `swarm`.
    pub fn node(swarm: &Swarm, label: &str, more: &[&str]) -> Process {
        let (tracker, data) = (swarm.tracker.addr().to_string(), swarm.data(label));
        let mut command = parvi(&["node", "--headless", "--listen", "127.0.0.1", "--fsync", "no"]);
        command.args(["--name", label, "--heartbeat", "1", "--tracker", &tracker, "--data"]);
        Process::start({
            command.arg(data).args(more);
            command
        })
    }

    /// Where one of its listeners is: `search`, `size`, `chunk` or `listen`.
    pub fn addr(&self, listener: &str) -> SocketAddr {
        let wanted = format!("{listener}=");
        let mut words = self.ready.split_whitespace();
        words.find_map(|word| word.strip_prefix(&wanted)).unwrap().parse().unwrap()
    }

    /// Its resident memory, bytes.
    pub fn memory(&self) -> u64 {
        let status = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(Path::new(&status)).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
