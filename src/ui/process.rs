//! A tracker or node as a process of its own, for the demonstration and for measurements.
//!
//! Invariant: it never outlives its handle: `end` asks it to exit, dropping kills it. Nor does it outlive this
//! process, however that ends (`--end-with`), or rather the thread that starts it: the kernel watches
//! that one, so it must be the main thread.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use super::ask::quietly;
use crate::base::{Fault, FaultKind};
use crate::io::threads::StopToken;

/// An exit takes at most this long.
const END_TIME_MAX: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// See the module.
pub(super) struct Process {
    child: Child,
    data: PathBuf,
}

impl Process {
    /// Starts `parvi WORDS --data DATA` and waits until it serves; returns its `ready` line. The
    /// caller's `PARVI_…` variables are not for it.
    pub(super) fn start(words: &[&str], data: &Path) -> Result<(Process, String), Fault> {
        let failed =
            |e: std::io::Error| Fault::other(format!("cannot start parvi {}: {e}", words[0]));
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        let ours = std::env::vars_os().map(|(key, _)| key);
        for key in ours.filter(|key| key.as_encoded_bytes().starts_with(b"PARVI_")) {
            command.env_remove(key);
        }
        command.args(words).arg("--data").arg(data);
        command.arg("--end-with").arg(std::process::id().to_string());
        // Ctrl-C is for who has started it, which ends it in order.
        command.process_group(0);
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(failed)?;
        let lines = child.stdout.take().map(BufReader::new);
        let process = Process { child, data: data.to_owned() };
        // The pipe is closed then; parvi takes no harm from that.
        let ready = lines
            .and_then(|l| l.lines().map_while(Result::ok).find(|line| line.starts_with("ready ")));
        match ready {
            Some(line) => Ok((process, line)),
            None => Err(Fault::other(format!("parvi {} did not come up", words[0]))),
        }
    }

    /// How it has ended, if it has.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Asks it to exit and waits for it.
    ///
    /// # Errors
    /// It did not exit by itself, or not well.
    pub(super) fn end(mut self) -> Result<(), Fault> {
        quietly(&self.data, &["exit", "--now"], Some(END_TIME_MAX))?;
        let patience = StopToken::new();
        let looks = END_TIME_MAX.as_millis() / LOOK_EVERY.as_millis();
        for _ in 0..looks {
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => {
                    return Err(Fault::other(format!("{}: {status}", self.data.display())));
                }
                Ok(None) => patience.wait(LOOK_EVERY),
                Err(e) => return Err(Fault::other(format!("cannot wait for a process: {e}"))),
            };
        }
        Err(Fault::new(FaultKind::Other, format!("{} does not exit", self.data.display())))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let killed = self.child.kill().and_then(|()| self.child.wait());
            if let Err(e) = killed {
                log::warn!("cannot end a process that was started here: {e}");
            }
        }
    }
}
