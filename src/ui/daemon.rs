//! A running node or tracker as its prompt and its control socket see it.
//!
//! Invariant: prompt and socket go through the same `Executor`, so a command means the same in
//! both. Commands end early when the one who asked has gone (`Reply::gone`).

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::command::{self, Command, Download, Line};
use super::help::{self, Role};
use super::life::{Going, Life, Pace, Phase};
use super::outcome::Outcome;
use super::render::render;
use crate::base::{Fault, FaultKind};
use crate::node::view::From;

/// A node or a tracker.
pub trait Daemon: Send + Sync {
    /// Which of the two.
    fn role(&self) -> Role;
    /// What the prompt calls it.
    fn label(&self) -> String;
    /// Runs one command; never `help` or `exit`.
    ///
    /// # Errors
    /// The command's own.
    fn run(&self, command: Command, reply: &mut dyn Reply) -> Result<Outcome, Fault>;
    /// Blocks for the next line for the person in front; `None` once stopped.
    fn next_notice(&self) -> Option<String>;
    /// The transfers that are not over.
    fn going_on(&self) -> Vec<Going>;
    /// Ends for good, within seconds.
    fn stop(&self);
    /// Words that may follow, for completion.
    fn candidates(&self, of: Candidates) -> Vec<String>;
}

/// What can be completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Candidates {
    /// Names this node shares.
    Local,
    /// Names seen at others.
    Seen,
    /// Transfers.
    Transfers,
    /// Nodes.
    Peers,
}

/// The one who asked.
pub trait Reply {
    /// Data: standard output.
    fn out(&mut self, text: &str);
    /// A message: standard error.
    fn err(&mut self, text: &str);
    /// Whether nobody listens any more.
    fn gone(&self) -> bool;
}

/// A command as it comes over the control socket: one JSON line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The words of the command.
    pub words: Vec<String>,
    /// Whether the answer is one JSON document.
    #[serde(default)]
    pub json: bool,
    /// Where the asker stands, for relative paths.
    #[serde(default)]
    pub folder: Option<PathBuf>,
}

/// Runs requests; returns the exit code.
pub trait Executor: Send + Sync {
    /// Runs `request`, answering through `reply`.
    fn execute(&self, request: &Request, reply: &mut dyn Reply) -> u8;
    /// Whether `request` may take as long as a download does.
    fn is_long(&self, request: &Request) -> bool;
    /// Blocks until what a successful `request` began is over: an `exit` until the daemon has
    /// stopped. Returns at once for all others. Tells whether the daemon has stopped.
    fn finish(&self, request: &Request, reply: &mut dyn Reply) -> bool;
}

/// A daemon with its life: what both prompt and socket talk to.
#[derive(Clone)]
pub struct Shell {
    /// The node or tracker.
    pub daemon: Arc<dyn Daemon>,
    /// How far it is from its end.
    pub life: Arc<Life>,
}

impl Shell {
    /// Reads the words of a command.
    ///
    /// # Errors
    /// `Usage`.
    pub fn parse(&self, words: &[String]) -> Result<Option<Line>, Fault> {
        command::parse(words, self.daemon.role())
    }

    /// Runs a command; the text is for standard output.
    ///
    /// # Errors
    /// The command's own.
    pub fn run(&self, line: Line, reply: &mut dyn Reply) -> Result<String, Fault> {
        let outcome = match line.command {
            Command::Help(of) => Outcome::Help(self.help(of.as_deref())?),
            Command::Exit { now } => self.leave(now, reply),
            Command::Download(_) if self.life.phase() != Phase::Serving => {
                return Err(Fault::other("the node is leaving and begins no more downloads"));
            }
            command => self.daemon.run(command, reply)?,
        };
        let text = render(&outcome, line.json)?;
        match outcome.fault() {
            None => Ok(text),
            // The answer is told, and then why it is a bad one.
            Some(fault) => {
                reply.out(&text);
                Err(fault)
            }
        }
    }

    fn help(&self, of: Option<&str>) -> Result<String, Fault> {
        let role = self.daemon.role();
        let Some(word) = of else { return Ok(help::overview(role)) };
        help::find(role, word).map(help::about).ok_or_else(|| {
            Fault::new(FaultKind::Usage, format!("there is no command {word}; help lists them"))
        })
    }

    /// The first `exit` waits for what moves; the second insists.
    fn leave(&self, now: bool, reply: &mut dyn Reply) -> Outcome {
        let mut moving = self.daemon.going_on();
        moving.retain(|transfer| transfer.pace != Pace::Waits);
        if !self.life.ask_to_leave(now || moving.is_empty()) {
            reply.err("waiting for these to finish; exit again to leave at once:\n");
            for transfer in moving {
                reply.err(&format!("  {}\n", transfer.line));
            }
        }
        Outcome::Left
    }
}

impl Executor for Shell {
    fn execute(&self, request: &Request, reply: &mut dyn Reply) -> u8 {
        let answer = self.parse(&request.words).and_then(|line| match line {
            Some(line) => self.run(settled(line, request), reply),
            None => Err(Fault::new(FaultKind::Usage, "no command given; help lists them")),
        });
        match answer {
            Ok(text) => {
                reply.out(&text);
                0
            }
            Err(fault) => {
                reply.err(&format!("parvi: {fault}\n"));
                fault.kind.exit_code()
            }
        }
    }

    fn is_long(&self, request: &Request) -> bool {
        let line = self.parse(&request.words).ok().flatten();
        let line = line.map(|line| settled(line, request));
        matches!(line, Some(Line { command: Command::Download(Download { wait: true, .. }), .. }))
    }

    fn finish(&self, request: &Request, reply: &mut dyn Reply) -> bool {
        let exit = matches!(
            self.parse(&request.words),
            Ok(Some(Line { command: Command::Exit { .. }, .. }))
        );
        exit && self.life.wait_stopped(&|| reply.gone())
    }
}

/// What differs behind a socket: nobody can be asked, so a download without a choice takes all
/// owners; a JSON document needs the end; paths are relative to where the asker stands.
fn settled(mut line: Line, request: &Request) -> Line {
    line.json |= request.json;
    match (&mut line.command, &request.folder) {
        (Command::Download(download), _) => {
            download.from.get_or_insert(From::All);
            download.wait |= line.json;
        }
        (Command::Share(path), Some(folder)) => *path = folder.join(&path),
        _ => {}
    }
    line
}
