//! Commands of the prompt and of `ctl`, read from words.
//!
//! Invariant: a `Command` is complete and valid; what cannot be one is a `Usage` fault that shows
//! the usage, with a suggestion where a word is nearly right.

use std::path::PathBuf;

use super::help::{self, Role, Spec};
use super::values;
use crate::base::rate::RateError;
use crate::base::{Fault, FaultKind, Name, Rate, RootPrefix};
use crate::logic::pattern::{part_or_glob, root_or_glob};
use crate::node::view::{From, Listing};
use crate::wire::message::find::Pattern;

/// Something to do, in the words of the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// The commands, or one of them.
    Help(Option<String>),
    /// The node's IP address.
    GetIp,
    /// The node's own state.
    Show,
    /// What another node shares.
    Browse(String),
    /// The files of one folder.
    List(Listing),
    /// Who has it?
    Lookup(Name),
    /// Who has it with these bytes, unless something is called so as a whole?
    LookupContent(Name, RootPrefix),
    /// Who has it? If nobody: who has files like this, or why there can be none?
    LookupOr(Name, Result<Pattern, Fault>),
    /// Who has files like this?
    Find(Pattern),
    /// Fetch it.
    Download(Download),
    /// Give a transfer up.
    Cancel(u64),
    /// Hold a transfer.
    Pause(u64),
    /// Go on with one.
    Resume(u64),
    /// Hold one transfer to a rate, or to none.
    Limit {
        /// The transfer.
        id: u64,
        /// How fast it may be.
        rate: Option<Rate>,
    },
    /// Share a path.
    Share(PathBuf),
    /// Stop sharing a name.
    Unshare(Name),
    /// The nodes known.
    Peers,
    /// What moves.
    Transfers,
    /// What was counted.
    Stats,
    /// Count from zero.
    ResetStats,
    /// What is read and compared with its hashes.
    Scrub(Scrub),
    /// The files in a tracker's index.
    Files(Pattern),
    /// What is wrong, and what to do.
    Doctor,
    /// Why has it the copies it has?
    Why(Name, Option<RootPrefix>),
    /// Stop, waiting for what moves unless `now`.
    Exit {
        /// Do not wait.
        now: bool,
    },
}

/// What a person wants of the reading of what is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scrub {
    /// To know how it stands.
    Status,
    /// To have everything read now.
    Now,
    /// To have what she shares under this name, and rots, as it was.
    Repair(Name),
}

/// What to fetch and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Download {
    /// File or folder.
    pub name: Name,
    /// Written behind it with an `@`: with these bytes, unless something is called so as a whole.
    pub root: Option<RootPrefix>,
    /// From whom; `None`: the prompt asks, `ctl` takes all.
    pub from: Option<From>,
    /// Whether the command ends when the download does.
    pub wait: bool,
}

/// A command and how its answer is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What to do.
    pub command: Command,
    /// Answer with one JSON document.
    pub json: bool,
}

/// Reads `words`; `None` when there are none.
///
/// # Errors
/// `Usage`, with the usage of the command that was meant.
pub fn parse(words: &[String], role: Role) -> Result<Option<Line>, Fault> {
    let Some((first, rest)) = words.split_first() else { return Ok(None) };
    let Some(spec) = help::find(role, first) else { return Err(unknown(first, role)) };
    let mut args = Arguments::new(spec, rest);
    let json = args.switch("--json");
    let command = command(&mut args)?;
    args.end()?;
    Ok(Some(Line { command, json }))
}

fn command(args: &mut Arguments) -> Result<Command, Fault> {
    Ok(match args.spec.name {
        "help" => Command::Help(args.optional()),
        "getip" => Command::GetIp,
        "show" => args.optional().map_or(Command::Show, Command::Browse),
        "list" => Command::List(listing(args)?),
        "lookup" => lookup(args)?,
        "download" => Command::Download(download(args)?),
        "request" => {
            let wait = args.switch("--wait");
            let (name, root) = args.content()?;
            Command::Download(Download { name, root, from: Some(From::All), wait })
        }
        "cancel" => Command::Cancel(args.id()?),
        "pause" => Command::Pause(args.id()?),
        "resume" => Command::Resume(args.id()?),
        "limit" => Command::Limit { id: args.id()?, rate: args.rate()? },
        "share" => Command::Share(args.required("PATH")?.into()),
        "unshare" => Command::Unshare(args.name()?),
        "peers" => Command::Peers,
        "transfers" => Command::Transfers,
        "stats" => stats(args)?,
        "scrub" => Command::Scrub(scrub(args)?),
        "files" => Command::Files(files(args)?),
        "doctor" => Command::Doctor,
        "why" => {
            let (name, root) = args.content()?;
            Command::Why(name, root)
        }
        "exit" => Command::Exit { now: args.switch("--now") },
        other => return Err(Fault::other(format!("{other} is listed but not built"))),
    })
}

fn stats(args: &mut Arguments) -> Result<Command, Fault> {
    match args.optional().as_deref() {
        None => Ok(Command::Stats),
        Some("reset") => Ok(Command::ResetStats),
        Some(other) => Err(args.wrong(&format!("there is no stats {other:?}"))),
    }
}

fn scrub(args: &mut Arguments) -> Result<Scrub, Fault> {
    match args.optional().as_deref() {
        None | Some("status") => Ok(Scrub::Status),
        Some("now") => Ok(Scrub::Now),
        Some("repair") => args.name().map(Scrub::Repair),
        Some(other) => Err(args.wrong(&format!("there is no scrub {other:?}"))),
    }
}

fn listing(args: &mut Arguments) -> Result<Listing, Fault> {
    match args.required("local, downloaded or replicated")?.as_str() {
        "local" => Ok(Listing::Local),
        "downloaded" => Ok(Listing::Downloaded),
        "replicated" => Ok(Listing::Replicated),
        other => Err(args.wrong(&format!("there is no list {other:?}"))),
    }
}

fn download(args: &mut Arguments) -> Result<Download, Fault> {
    let wait = args.switch("--wait");
    let all = args.switch("--all");
    let from = match (args.option("--from")?, all) {
        (Some(_), true) => return Err(args.wrong("--from and --all exclude each other")),
        (Some(node), false) => Some(From::One(node)),
        (None, true) => Some(From::All),
        (None, false) => None,
    };
    // Who names a node has no need of a root: with one, the word is a name.
    let (name, root) = match &from {
        Some(From::One(_)) => (args.name()?, None),
        _ => args.content()?,
    };
    Ok(Download { name, root, from, wait })
}

fn lookup(args: &mut Arguments) -> Result<Command, Fault> {
    let ignore_case = args.switch("-i");
    let word = args.required("NAME")?;
    let like = root_or_glob(&word, ignore_case).map_err(|e| args.wrong(&e.to_string()));
    if let Some(like) = like.transpose() {
        // Names may have brackets in them.
        return Ok(match args.name_of(&word) {
            Ok(name) if !ignore_case => Command::LookupOr(name, like),
            _ => Command::Find(like?),
        });
    }
    Ok(match args.content_of(&word)? {
        (name, None) => Command::Lookup(name),
        (name, Some(root)) => Command::LookupContent(name, root),
    })
}

fn files(args: &mut Arguments) -> Result<Pattern, Fault> {
    let ignore_case = args.switch("-i");
    match args.optional() {
        None => Ok(Pattern::All),
        Some(word) => part_or_glob(&word, ignore_case).map_err(|e| args.wrong(&e.to_string())),
    }
}

fn unknown(word: &str, role: Role) -> Fault {
    let shown = crate::base::name::printable(word);
    let advice = match help::suggestion(role, word) {
        Some(near) => format!("did you mean {near}?"),
        None => "help lists the commands".into(),
    };
    Fault::new(FaultKind::Usage, format!("there is no command {shown}; {advice}"))
}

/// The words behind a command, taken out one by one. Behind `--` nothing is a flag.
struct Arguments {
    spec: &'static Spec,
    flags: Vec<String>,
    plain: Vec<String>,
}

impl Arguments {
    fn new(spec: &'static Spec, words: &[String]) -> Arguments {
        let cut = words.iter().position(|w| w == "--");
        let (flags, plain) = match cut {
            Some(at) => (&words[..at], &words[at + 1..]),
            None => (words, &[][..]),
        };
        Arguments { spec, flags: flags.to_vec(), plain: plain.to_vec() }
    }

    fn switch(&mut self, flag: &str) -> bool {
        let before = self.flags.len();
        self.flags.retain(|w| w != flag);
        self.flags.len() < before
    }

    /// `--flag VALUE` or `--flag=VALUE`.
    fn option(&mut self, flag: &str) -> Result<Option<String>, Fault> {
        let glued = format!("{flag}=");
        let Some(at) = self.flags.iter().position(|w| w == flag || w.starts_with(&glued)) else {
            return Ok(None);
        };
        let word = self.flags.remove(at);
        match word.strip_prefix(&glued) {
            Some(value) => Ok(Some(value.to_owned())),
            None if at < self.flags.len() => Ok(Some(self.flags.remove(at))),
            None => Err(self.wrong(&format!("{flag} needs a value"))),
        }
    }

    fn optional(&mut self) -> Option<String> {
        let from = self.flags.iter().position(|w| !w.starts_with("--"));
        match from {
            Some(at) => Some(self.flags.remove(at)),
            None if self.plain.is_empty() => None,
            None => Some(self.plain.remove(0)),
        }
    }

    fn required(&mut self, what: &str) -> Result<String, Fault> {
        self.optional().ok_or_else(|| self.wrong(&format!("{} needs {what}", self.spec.name)))
    }

    /// A folder may be written with slashes at its end.
    fn name(&mut self) -> Result<Name, Fault> {
        let word = self.required("NAME")?;
        self.name_of(&word)
    }

    fn name_of(&self, word: &str) -> Result<Name, Fault> {
        Name::parse(word.trim_end_matches('/')).map_err(|e| self.wrong(&e.to_string()))
    }

    /// A name, with a root behind it where several contents are called so.
    fn content(&mut self) -> Result<(Name, Option<RootPrefix>), Fault> {
        let word = self.required("NAME")?;
        self.content_of(&word)
    }

    fn content_of(&self, word: &str) -> Result<(Name, Option<RootPrefix>), Fault> {
        values::content(word).map_err(|why| self.wrong(&why))
    }

    fn id(&mut self) -> Result<u64, Fault> {
        let word = self.required("ID, the number that transfers shows")?;
        word.parse().map_err(|_| self.wrong(&format!("{word:?} is not a number")))
    }

    fn rate(&mut self) -> Result<Option<Rate>, Fault> {
        let word = self.required("RATE, like 500kB, or off")?;
        if word == "off" {
            return Ok(None);
        }
        word.parse().map(Some).map_err(|e: RateError| self.wrong(&format!("{word:?}: {e}")))
    }

    fn end(mut self) -> Result<(), Fault> {
        self.flags.append(&mut self.plain);
        match self.flags.first() {
            None => Ok(()),
            Some(word) => Err(self.wrong(&format!("{word:?} is too much"))),
        }
    }

    fn wrong(&self, why: &str) -> Fault {
        Fault::new(FaultKind::Usage, format!("{why}; usage: {}", self.spec.usage))
    }
}

#[cfg(test)]
#[path = "command_tests.rs"]
mod tests;
