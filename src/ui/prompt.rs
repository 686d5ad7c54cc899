//! The prompt: reads lines, runs them, asks which owner to download from.
//!
//! Invariant: the same loop serves a terminal and a pipe; only `Lines` differs. The end of a pipe
//! means no more commands, not `exit`: a node started from a script goes on serving.

use std::collections::BTreeMap;

use super::command::{Command, Download, Line};
use super::daemon::{Reply, Shell};
use super::life::Phase;
use super::outcome::Outcome;
use super::output::{self, Standard};
use super::words;
use crate::base::{Fault, FaultKind, NodeId};
use crate::io::clock;
use crate::node::view::{From, LookupHit, Owner};

/// What comes from the person or the pipe in front.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Input {
    /// A line, without its end.
    Line(String),
    /// Ctrl-C: the line is thrown away.
    Interrupted,
    /// Ctrl-D, or the end of a pipe.
    End,
}

/// Where lines come from.
pub(super) trait Lines {
    /// The next line, with `prompt` in front where a person sees it.
    fn next(&mut self, prompt: &str) -> Input;
    /// Whether the end of input is a person's wish to leave.
    fn end_is_exit(&self) -> bool;
}

/// Runs lines until the daemon stops or there are no more.
pub(super) fn run(shell: &Shell, lines: &mut dyn Lines, reply: &mut dyn Reply) {
    let mut interrupted = false;
    while shell.life.phase() < Phase::Stopping {
        let prompt = format!("[{}] {}> ", clock::wall_hms(), shell.daemon.label());
        let input = lines.next(&prompt);
        let twice = std::mem::replace(&mut interrupted, input == Input::Interrupted);
        match input {
            Input::Line(line) => obey(shell, &line, lines, reply),
            Input::Interrupted if twice => obey(shell, "exit", lines, reply),
            Input::Interrupted => reply.err("Ctrl-C once more, or exit, to leave\n"),
            Input::End if lines.end_is_exit() => obey(shell, "exit", lines, reply),
            Input::End => return,
        }
    }
}

fn obey(shell: &Shell, text: &str, lines: &mut dyn Lines, reply: &mut dyn Reply) {
    let answer = read(shell, text).and_then(|line| match line {
        Some(line) => settle(shell, line, lines, reply)?
            .map_or(Ok(String::new()), |line| shell.run(line, reply)),
        None => Ok(String::new()),
    });
    match answer {
        Ok(text) => reply.out(&text),
        Err(fault) => reply.err(&format!("parvi: {fault}\n")),
    }
}

fn read(shell: &Shell, text: &str) -> Result<Option<Line>, Fault> {
    let words = words::split(text).map_err(|e| Fault::new(FaultKind::Usage, e.to_string()))?;
    shell.parse(&words)
}

/// What a prompt adds to a command: a download without a choice asks; `None` when the person
/// decides against it.
fn settle(
    shell: &Shell,
    mut line: Line,
    lines: &mut dyn Lines,
    reply: &mut dyn Reply,
) -> Result<Option<Line>, Fault> {
    let json = line.json;
    match &mut line.command {
        Command::Download(download) => {
            download.wait |= json;
            if download.from.is_none() {
                download.from = choose(shell, download, lines, reply)?;
                if download.from.is_none() {
                    return Ok(None);
                }
            }
        }
        Command::Share(path) => {
            *path = std::path::absolute(&*path)
                .map_err(|e| Fault::other(format!("cannot share {}: {e}", path.display())))?;
        }
        _ => {}
    }
    Ok(Some(line))
}

/// Shows the numbered owners and asks for one.
fn choose(
    shell: &Shell,
    download: &mut Download,
    lines: &mut dyn Lines,
    reply: &mut dyn Reply,
) -> Result<Option<From>, Fault> {
    let name = download.name.clone();
    let lookup = match download.root.clone() {
        None => Command::Lookup(name),
        Some(root) => Command::LookupContent(name, root),
    };
    let found = shell.daemon.run(lookup, reply)?;
    let Outcome::Found { name, hits } = found else { return Ok(Some(From::All)) };
    if download.root.is_some() {
        if name == download.name {
            // The choice is made: of that content.
            return Ok(Some(From::All));
        }
        (download.name, download.root) = (name, None);
    }
    let hits = at_others(hits);
    if hits.is_empty() {
        let text = format!("only this node has {}", download.name);
        return Err(Fault::new(FaultKind::NotFound, text));
    }
    let owners = owners(&hits);
    reply.out(&question(&hits, &owners));
    loop {
        let answer = match lines.next("index, -1 to cancel, -2 for all in parallel: ") {
            Input::Line(text) => text,
            Input::Interrupted | Input::End => "-1".into(),
        };
        match answer.trim().parse::<i64>() {
            Ok(-1) => {
                reply.err("nothing is downloaded\n");
                return Ok(None);
            }
            Ok(-2) => return Ok(Some(From::All)),
            Ok(n) if (0..owners.len() as i64).contains(&n) => {
                return Ok(Some(From::One(owners[n as usize].0.id.to_string())));
            }
            _ => reply.err("there is no such number; -1 cancels\n"),
        }
    }
}

/// What can be fetched: what others have.
fn at_others(mut hits: Vec<LookupHit>) -> Vec<LookupHit> {
    hits.iter_mut().for_each(|hit| hit.owners.retain(|owner| !owner.here));
    hits.retain(|hit| !hit.owners.is_empty());
    hits
}

/// Each owner once, with how many of the files it has.
fn owners(hits: &[LookupHit]) -> Vec<(&Owner, usize)> {
    let mut files: BTreeMap<NodeId, usize> = BTreeMap::new();
    let mut distinct: Vec<&Owner> = Vec::new();
    for owner in hits.iter().flat_map(|hit| &hit.owners) {
        let count = files.entry(owner.id).or_default();
        *count += 1;
        if *count == 1 {
            distinct.push(owner);
        }
    }
    distinct.into_iter().map(|o| (o, files.get(&o.id).copied().unwrap_or(0))).collect()
}

fn question(hits: &[LookupHit], owners: &[(&Owner, usize)]) -> String {
    let bytes = hits.iter().map(|h| h.size).sum();
    let mut out = match hits {
        [one] => format!("{}  {}\n", one.name, super::render::size(bytes)),
        many => format!("{} files, {}\n", many.len(), super::render::size(bytes)),
    };
    for (n, (owner, files)) in owners.iter().enumerate() {
        let held = if hits.len() == 1 { owner.held() } else { format!("{files} files") };
        out.push_str(&format!("  [{n}] {}  {}  {held}\n", owner.node, owner.addr));
    }
    out
}

/// Lines of a pipe or a file.
pub(super) struct Piped;

/// Longest line of a pipe, bytes.
const LINE_BYTES_MAX: u64 = 64 * 1024;

impl Lines for Piped {
    fn next(&mut self, _prompt: &str) -> Input {
        use std::io::{BufRead, Read};
        let mut line = Vec::new();
        let read = std::io::stdin().lock().take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
        match read {
            Ok(1..) => Input::Line(String::from_utf8_lossy(&line).trim_end().to_owned()),
            Ok(0) => Input::End,
            Err(e) => {
                output::err(&format!("parvi: cannot read commands: {e}\n"));
                Input::End
            }
        }
    }

    fn end_is_exit(&self) -> bool {
        false
    }
}

/// The prompt of a pipe: blocks until it ends.
pub(super) fn run_piped(shell: &Shell) {
    run(shell, &mut Piped, &mut Standard);
}

#[cfg(test)]
#[path = "prompt_tests.rs"]
mod tests;
