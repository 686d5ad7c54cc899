//! A tracker or node as a process, and what it answers.
//!
//! Invariant: no process outlives its handle. A handle that is dropped by a failing test prints
//! what its process said.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output};

use rustix::process::{Signal, kill_process};
use serde_json::Value;

use crate::harness::{pid, until};

/// What a finished process said.
#[derive(Debug)]
pub struct Answer {
    /// Exit code; -1 after a signal.
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl From<Output> for Answer {
    fn from(output: Output) -> Answer {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let code = output.status.code().unwrap_or(-1);
        Answer { code, out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Answer {
    /// The JSON document of a success.
    #[track_caller]
    pub fn json(&self) -> Value {
        assert_eq!(self.code, 0, "{self:?}");
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// Ended with `code`, and the messages contain `words`.
    #[track_caller]
    pub fn refused(&self, code: i32, words: &str) {
        assert!(self.code == code && self.err.contains(words), "{code}, {words:?}: {self:?}");
    }
}

/// A tracker or node that runs.
pub struct Daemon {
    pub child: Child,
    pub data: PathBuf,
    /// Its `ready` line.
    pub ready: String,
    pub out: PathBuf,
    pub err: PathBuf,
}

impl Daemon {
    /// The last address of the `ready` line: where a tracker listens, where a node sends chunks.
    pub fn addr(&self) -> String {
        self.ready.rsplit('=').next().unwrap().to_owned()
    }

    /// All it has written to standard output.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.out).unwrap()
    }

    /// All it has written to standard error.
    pub fn logged(&self) -> String {
        fs::read_to_string(&self.err).unwrap()
    }

    /// Waits until it has told `words` to the person in front.
    #[track_caller]
    pub fn tells(&self, words: &str) {
        until(&format!("it tells {words:?}"), || self.said().contains(words).then_some(()));
    }

    /// A prompt command, sent as a script does.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_parvi"));
        command.env_clear().args(["ctl", "--data"]).arg(&self.data).args(words);
        command
    }

    pub fn ctl(&self, words: &[&str]) -> Answer {
        Answer::from(self.command(words).output().unwrap())
    }

    /// The document that a command answers.
    #[track_caller]
    pub fn json(&self, words: &[&str]) -> Value {
        self.ctl(&[&["--json"], words].concat()).json()
    }

    /// Looks a name up until `owners` have it.
    #[track_caller]
    pub fn finds(&self, name: &str, owners: usize) -> Value {
        until(&format!("{name} is found at {owners}"), || {
            let answer = self.ctl(&["--json", "lookup", name]);
            let found = (answer.code == 0).then(|| answer.json())?;
            (found["owners"].as_array()?.len() == owners).then_some(found)
        })
    }

    /// Looks a name up until nobody has it.
    #[track_caller]
    pub fn loses(&self, name: &str) {
        until(&format!("{name} is gone"), || (self.ctl(&["lookup", name]).code == 3).then_some(()));
    }

    /// Its latest transfer of which `enough` is true, once there is one.
    #[track_caller]
    pub fn transfer(&self, what: &str, enough: impl Fn(&Value) -> bool) -> Value {
        until(what, || {
            self.json(&["transfers"]).as_array()?.iter().rev().find(|t| enough(t)).cloned()
        })
    }

    /// Waits until it sends nothing to anybody.
    #[track_caller]
    pub fn transfer_gone(&self, what: &str) {
        until(what, || {
            let rows = self.json(&["transfers"]);
            rows.as_array()?.iter().all(|t| t["dir"] != "up").then_some(())
        });
    }

    /// Waits until it knows `count` peers.
    #[track_caller]
    pub fn peers(&self, count: usize) -> Value {
        until(&format!("{count} peers"), || {
            let peers = self.json(&["peers"]);
            (peers.as_array().unwrap().len() == count).then_some(peers)
        })
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(pid(&self.child), signal).unwrap();
    }

    /// Ends it as a power cut does.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end.
    #[track_caller]
    pub fn ended(&mut self) -> ExitStatus {
        until("the process ends", || self.child.try_wait().unwrap())
    }

    /// Asks it to exit, and waits.
    #[track_caller]
    pub fn exit(mut self) {
        assert_eq!(self.ctl(&["exit", "--now"]).code, 0);
        assert_eq!(self.ended().code(), Some(0));
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.child.try_wait().unwrap().is_none() {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
        if std::thread::panicking() {
            let log = self.logged();
            let from = log.len().saturating_sub(6_000);
            let end = String::from_utf8_lossy(&log.as_bytes()[from..]);
            eprintln!("---- {}\n{}{end}", self.data.display(), self.said());
        }
    }
}
