//! A node that may be killed by its own fail point, and is started again without one.
//!
//! Invariant: it ends by the signal of a crash that was asked for, or not at all.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;

use serde_json::Value;

use crate::cases::Case;
use crate::harness::{Daemon, Swarm, until};

/// What a killed process ends with.
const SIGKILL: i32 = 9;

/// One node, through all its processes.
pub struct Life {
    name: &'static str,
    words: Vec<String>,
    /// The plans of the processes to come, the next one first.
    plans: Vec<String>,
    /// Where the points say that they were reached.
    hit: PathBuf,
    daemon: Daemon,
    pub crashes: usize,
}

impl Life {
    /// Starts the first process; each has the next of `plans`, and then none.
    pub fn start(
        swarm: &Swarm,
        name: &'static str,
        tracker: &Daemon,
        more: &[&str],
        plans: &[String],
    ) -> Life {
        let addr = tracker.addr();
        let words = ["node", "--listen", "127.0.0.1", "--heartbeat", "1", "--name", name];
        let words = [&words, &["--tracker", addr.as_str()][..], more].concat();
        let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
        let hit = swarm.path().join(format!("{name}.hit"));
        std::fs::create_dir(&hit).unwrap();
        let mut plans = plans.to_vec();
        let daemon = launch(swarm, name, &words, &mut plans, &hit);
        let mut life = Life { name, words, plans, hit, daemon, crashes: 0 };
        life.serves(swarm);
        life
    }

    /// Waits until a process of it serves.
    #[track_caller]
    pub fn serves(&mut self, swarm: &Swarm) {
        until(&format!("{} serves", self.name), || {
            self.tend(swarm);
            self.daemon.said().contains("ready ").then_some(())
        });
    }

    /// Starts it again if it has crashed; tells whether it had.
    pub fn tend(&mut self, swarm: &Swarm) -> bool {
        let Some(status) = self.daemon.child.try_wait().unwrap() else { return false };
        let log = self.daemon.logged();
        let refused = status.code() == Some(1) && log.contains("of the log");
        assert!(
            status.signal() == Some(SIGKILL) || refused,
            "{} ended: {status}\n{log}",
            self.name
        );
        self.crashes += 1;
        self.daemon = launch(swarm, self.name, &self.words, &mut self.plans, &self.hit);
        true
    }

    /// Whether the point was reached in any of its processes.
    pub fn has_hit(&self, case: &Case) -> bool {
        self.hit.join(format!("{}@{}", case.point, case.nth)).exists()
    }

    /// The transfers it shows; nothing while it does not answer.
    pub fn transfers(&self) -> Value {
        let answer = self.daemon.ctl(&["--json", "transfers"]);
        if answer.code == 0 { answer.json() } else { Value::Null }
    }

    /// The process that runs now, or ran last.
    pub fn daemon(&self) -> &Daemon {
        &self.daemon
    }
}

/// One process with the next plan.
fn launch(
    swarm: &Swarm,
    name: &str,
    words: &[String],
    plans: &mut Vec<String>,
    hit: &std::path::Path,
) -> Daemon {
    let plan = if plans.is_empty() { String::new() } else { plans.remove(0) };
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut command = swarm.parvi(&words);
    command.env("PARVI_FAILPOINTS", plan).env("PARVI_FAILPOINTS_HIT", hit);
    swarm.launch_by(name, command, &[])
}
