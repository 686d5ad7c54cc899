//! Where a flag's value comes from: the command line, else its twin in the environment, else the
//! file of `--config`, else the default.
//!
//! Invariant: the lower layers are inserted as if typed, only for flags that no higher layer
//! names, so that one parser checks them all. An error tells from which layer the value came.
//!
//! ```text
//! argv ──parse──> which flags are typed? ──> + environment ──> + file ──parse──> Cli
//! ```

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, CommandFactory, FromArgMatches};

use super::args::Cli;
use crate::base::{Fault, FaultKind};

/// The answer to a command line: something to do, or a text to print (`--help`, `--version`).
#[derive(Debug)]
pub enum Parsed {
    /// Run it.
    Run(Box<Cli>),
    /// Print it on standard output and be done.
    Print(String),
}

/// Reads variables of the environment; tests pass a table.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// One value from below the command line.
struct Setting {
    /// The flag's id in the parser.
    id: String,
    /// `PARVI_ACK_TIMEOUT`, or `key "ack-timeout" in FILE`.
    origin: String,
    /// As if typed: `--ack-timeout=20`; nothing for a switch turned off.
    words: Vec<OsString>,
}

/// Reads the command line `argv` (with the program's name) and the layers below it.
///
/// # Errors
/// `Usage`, with words that name the flag, the variable or the key.
pub fn resolve(argv: &[OsString], env: Environment<'_>) -> Result<Parsed, Fault> {
    let typed = match lenient().try_get_matches_from(argv) {
        Ok(matches) => matches,
        Err(e) => return printed_or_fault(&e, None),
    };
    let Some((task, given)) = typed.subcommand() else {
        return Err(usage("no command given; see parvi --help"));
    };
    let command = task_command(task)?;
    let mut settings = from_environment(&command, given, env);
    if command.get_arguments().any(|a| a.get_id() == "config")
        && let Some(path) = config_path(given, &settings)
    {
        let taken = |id: &str| is_typed(given, id) || settings.iter().any(|s| s.id == id);
        let file = from_file(Path::new(&path), &command, &taken)?;
        settings.extend(file);
    }
    let words = with_settings(argv, &settings);
    let parsed = Cli::command().try_get_matches_from(words).and_then(|m| Cli::from_arg_matches(&m));
    match parsed {
        Ok(cli) => Ok(Parsed::Run(Box::new(cli))),
        Err(e) => printed_or_fault(&e, guilty(argv, &settings)),
    }
}

/// The twin of a flag in the environment.
pub fn twin(flag: &str) -> String {
    format!("PARVI_{}", flag.replace('-', "_").to_uppercase())
}

/// The parser without required flags: a lower layer may still bring them.
fn lenient() -> Command {
    let optional = |arg: Arg| if arg.get_long().is_some() { arg.required(false) } else { arg };
    Cli::command().mut_subcommands(|command| command.mut_args(optional))
}

fn task_command(task: &str) -> Result<Command, Fault> {
    let mut root = Cli::command();
    root.build();
    root.find_subcommand(task).cloned().ok_or_else(|| usage(format!("unknown command {task}")))
}

/// The flags of a subcommand that have twins: all but help and version.
fn flags(command: &Command) -> impl Iterator<Item = (&Arg, &str)> {
    command
        .get_arguments()
        .filter(|a| {
            matches!(a.get_action(), ArgAction::Set | ArgAction::Append | ArgAction::SetTrue)
        })
        .filter_map(|a| Some((a, a.get_long()?)))
}

fn is_typed(given: &ArgMatches, id: &str) -> bool {
    given.value_source(id) == Some(ValueSource::CommandLine)
}

/// An empty variable counts as not set: that is what container tools leave behind.
fn from_environment(command: &Command, given: &ArgMatches, env: Environment<'_>) -> Vec<Setting> {
    let untyped = flags(command).filter(|(arg, _)| !is_typed(given, arg.get_id().as_str()));
    untyped
        .filter_map(|(arg, flag)| {
            let origin = twin(flag);
            let value = env(&origin).filter(|v| !v.is_empty())?;
            let words = typed_as(arg, flag, &value);
            Some(Setting { id: arg.get_id().to_string(), origin, words })
        })
        .collect()
}

/// `--flag=value`; a switch is typed or not by yes or no, and other words are left for the parser
/// to refuse.
fn typed_as(arg: &Arg, flag: &str, value: &OsStr) -> Vec<OsString> {
    let switch = matches!(arg.get_action(), ArgAction::SetTrue);
    match (switch, value.to_str()) {
        (true, Some("1" | "true" | "yes" | "on")) => vec![format!("--{flag}").into()],
        (true, Some("0" | "false" | "no" | "off")) => Vec::new(),
        _ => {
            let mut word = OsString::from(format!("--{flag}="));
            word.push(value);
            vec![word]
        }
    }
}

fn config_path(given: &ArgMatches, settings: &[Setting]) -> Option<OsString> {
    let typed = given.try_get_one::<std::path::PathBuf>("config").ok().flatten();
    let from_env = || {
        let word = settings.iter().find(|s| s.origin == twin("config"))?.words.first()?;
        Some(OsString::from(word.to_str()?.strip_prefix("--config=")?))
    };
    typed.map(|p| p.clone().into_os_string()).or_else(from_env)
}

fn from_file(
    path: &Path,
    command: &Command,
    taken: &dyn Fn(&str) -> bool,
) -> Result<Vec<Setting>, Fault> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|e| usage(format!("cannot read the file of --config, {shown}: {e}")))?;
    let table: toml::Table =
        text.parse().map_err(|e| usage(format!("{shown} is not valid TOML: {e}")))?;
    let mut settings = Vec::new();
    for (key, value) in &table {
        let flag = key.replace('_', "-");
        let Some((arg, flag)) = flags(command).find(|(_, long)| *long == flag && *long != "config")
        else {
            return Err(unknown_key(key, path, command));
        };
        let words = file_words(arg, flag, value)
            .ok_or_else(|| usage(format!("{shown}: {key} takes a value or a list of values")))?;
        let id = arg.get_id().to_string();
        if !taken(&id) {
            settings.push(Setting { id, origin: format!("key {key:?} in {shown}"), words });
        }
    }
    Ok(settings)
}

fn unknown_key(key: &str, path: &Path, command: &Command) -> Fault {
    let mut valid: Vec<&str> = flags(command).map(|(_, f)| f).filter(|f| *f != "config").collect();
    valid.sort_unstable();
    usage(format!(
        "{}: unknown key {key:?} for parvi {}; valid keys: {}",
        path.display(),
        command.get_name(),
        valid.join(", ")
    ))
}

/// A key's value as words; `None` for what no flag takes (tables, dates).
fn file_words(arg: &Arg, flag: &str, value: &toml::Value) -> Option<Vec<OsString>> {
    let scalar = |v: &toml::Value| match v {
        toml::Value::String(s) => Some(s.clone()),
        toml::Value::Integer(n) => Some(n.to_string()),
        toml::Value::Float(x) => Some(x.to_string()),
        toml::Value::Boolean(b) => Some(b.to_string()),
        _ => None,
    };
    let values = match value {
        toml::Value::Array(list) => list.iter().map(scalar).collect::<Option<Vec<_>>>()?,
        one => vec![scalar(one)?],
    };
    Some(values.iter().flat_map(|v| typed_as(arg, flag, OsStr::new(v))).collect())
}

/// The command line with the settings right behind the subcommand, before what was typed.
fn with_settings<'a>(
    argv: &[OsString],
    settings: impl IntoIterator<Item = &'a Setting>,
) -> Vec<OsString> {
    let (head, tail) = argv.split_at(argv.len().min(2));
    let lower = settings.into_iter().flat_map(|s| s.words.iter().cloned());
    head.iter().cloned().chain(lower).chain(tail.iter().cloned()).collect()
}

/// The setting that the parser refuses, if it is one of them and not what was typed.
fn guilty<'a>(argv: &[OsString], settings: &'a [Setting]) -> Option<&'a Setting> {
    settings.iter().find(|s| lenient().try_get_matches_from(with_settings(argv, [*s])).is_err())
}

/// clap's words without its colours; its `error: ` becomes our `parvi: ` at the printer.
fn printed_or_fault(e: &clap::Error, guilty: Option<&Setting>) -> Result<Parsed, Fault> {
    let text = e.to_string();
    if e.exit_code() == 0 {
        return Ok(Parsed::Print(text));
    }
    let words = text.trim_start_matches("error: ").trim_end();
    Err(usage(match guilty {
        Some(setting) => format!("{}: {words}", setting.origin),
        None => words.to_owned(),
    }))
}

fn usage(text: impl Into<String>) -> Fault {
    Fault::new(FaultKind::Usage, text)
}

#[cfg(test)]
#[path = "layers_tests.rs"]
mod tests;
