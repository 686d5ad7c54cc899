//! `parvi service`: a systemd unit for a node or tracker with these flags, and how to install it.
//!
//! Invariant: the flags are read as the node or tracker will read them, so that a unit that is printed
//! starts; what cannot stand in a unit is refused with words. Nothing is installed.

mod unit;

use std::path::{Path, PathBuf};

use clap::Parser;

use super::args::{Cli, NodeArgs, ServiceArgs, ServiceRole, Task, TrackerArgs};
use super::output;
use crate::base::{Fault, FaultKind};
use crate::logic::doctor::typed;
use unit::{CREDENTIAL, Manager, SPECIFIED, Unit};

/// The account that a service has whose data is at a place of the person's choice.
const ACCOUNT: &str = "parvi";

/// `parvi service`.
///
/// # Errors
/// `Usage`: flags that nothing starts with, or that a unit cannot carry.
pub(super) fn service(args: ServiceArgs) -> Result<(), Fault> {
    let program = std::env::current_exe()
        .map_err(|e| Fault::other(format!("cannot tell where this program is: {e}")))?;
    let (unit, advice) = plan(&program, args)?;
    output::out(&unit.text());
    output::err(&advice);
    Ok(())
}

/// What the unit depends on among the flags.
struct Chosen {
    data: Option<PathBuf>,
    key_file: Option<PathBuf>,
    low_port: bool,
    headless: bool,
}

/// The unit, and words for the person.
fn plan(program: &Path, args: ServiceArgs) -> Result<(Unit, String), Fault> {
    let ServiceArgs { user, system: _, account, role, flags } = args;
    let chosen = chosen(role, &flags)?;
    let manager = if user { Manager::User } else { Manager::System };
    if user && account.is_some() {
        return Err(usage("--account goes with --system: a user's own service runs as that user"));
    }
    let (name, state) = match role {
        ServiceRole::Node => ("node", "parvi"),
        ServiceRole::Tracker => ("tracker", "parvi-tracker"),
    };
    let kept = chosen.data.is_none() && manager == Manager::System;
    let own_data = chosen.data.as_deref().map(absolute).transpose()?;
    let data = own_data.clone().or_else(|| kept.then(|| format!("/var/lib/{state}")));
    let account = account.or_else(|| (!kept && !user).then(|| ACCOUNT.to_owned()));
    let key_file = chosen.key_file.as_deref().map(absolute).transpose()?;
    let program = absolute(program)?;
    let homes = [Some(&program), own_data.as_ref()].into_iter().flatten().any(is_home);
    let mut command = vec![program, name.to_owned(), "--headless".to_owned()];
    command.extend(data.iter().flat_map(|data| ["--data".to_owned(), data.clone()]));
    command.extend(key_file.iter().flat_map(|path| {
        let read = match manager {
            Manager::System => format!("{SPECIFIED}{CREDENTIAL}"),
            Manager::User => path.clone(),
        };
        ["--swarm-key-file".to_owned(), read]
    }));
    command.extend(without(&flags, &["--data", "--swarm-key-file"], chosen.headless));
    if let Some(word) = command.iter().find(|word| word.chars().any(char::is_control)) {
        return Err(usage(format!("{word:?} has a character in it that no unit can carry")));
    }
    let unit = Unit {
        role: name,
        manager,
        command,
        account,
        state: kept.then_some(state),
        writes: own_data,
        key_file: key_file.filter(|_| !user),
        homes,
        low_port: chosen.low_port,
    };
    let advice = advice(&unit, &flags, data.as_deref());
    Ok((unit, advice))
}

/// Reads the flags as the node or tracker will.
fn chosen(role: ServiceRole, flags: &[String]) -> Result<Chosen, Fault> {
    let task = match role {
        ServiceRole::Node => "node",
        ServiceRole::Tracker => "tracker",
    };
    let argv = ["parvi", task].into_iter().map(str::to_owned).chain(flags.iter().cloned());
    let cli = Cli::try_parse_from(argv).map_err(|e| usage(e.to_string().trim_end().to_owned()))?;
    let is_low = |port: u16| (1..1_024).contains(&port);
    let (data, swarm, low_port, headless) = match cli.task {
        Task::Node(NodeArgs { data, swarm, port_base, headless, .. }) => {
            (data, swarm, port_base.is_some_and(is_low), headless)
        }
        Task::Tracker(TrackerArgs { data, swarm, listen, headless, .. }) => {
            (data, swarm, is_low(listen.port()), headless)
        }
        _ => return Err(usage("only a node or a tracker is a service")),
    };
    if swarm.config.is_some() {
        return Err(usage("a unit has its flags itself: give them instead of --config"));
    }
    if swarm.log_file.is_some() {
        let text = format!(
            "the journal has a service's log (journalctl -u parvi-{task}): leave --log-file out"
        );
        return Err(usage(text));
    }
    Ok(Chosen { data, key_file: swarm.swarm_key_file, low_port, headless })
}

/// The flags without some that take a value, and without `--headless` if that is there.
fn without(flags: &[String], taken: &[&str], headless: bool) -> Vec<String> {
    let mut left = Vec::new();
    let mut words = flags.iter();
    while let Some(word) = words.next() {
        if taken.contains(&word.as_str()) {
            words.next();
        } else if !taken.iter().any(|flag| is_glued(word, flag)) {
            left.push(word.clone());
        }
    }
    left.retain(|word| !(headless && word == "--headless"));
    left
}

/// `--flag=value`.
fn is_glued(word: &str, flag: &str) -> bool {
    word.strip_prefix(flag).is_some_and(|rest| rest.starts_with('='))
}

/// A service has no folder of its own to stand in.
fn absolute(path: &Path) -> Result<String, Fault> {
    match path.to_str() {
        Some(text) if path.is_absolute() => Ok(text.to_owned()),
        Some(text) => Err(usage(format!("{text} is a relative path; a service needs a whole one"))),
        None => Err(usage(format!("{} is not UTF-8, which no unit can carry", path.display()))),
    }
}

/// Whether a path is where `ProtectHome=` hides everything.
fn is_home(path: &String) -> bool {
    ["/home", "/root", "/run/user"].iter().any(|home| Path::new(path).starts_with(home))
}

fn usage(text: impl Into<String>) -> Fault {
    Fault::new(FaultKind::Usage, text)
}

/// How to install it. A folder that is there already keeps its mode and its owner.
fn advice(unit: &Unit, flags: &[String], data: Option<&str>) -> String {
    let role = unit.role;
    let again: String = flags.iter().map(|flag| format!(" {}", typed(flag))).collect();
    let again = if again.is_empty() { again } else { format!(" --{again}") };
    let place = data.map_or_else(String::new, |data| format!(" --data {}", typed(data)));
    if unit.manager == Manager::User {
        return format!(
            "to install it:\n  \
             mkdir -p ~/.config/systemd/user\n  \
             parvi service --user {role}{again} > ~/.config/systemd/user/parvi-{role}.service\n  \
             systemctl --user daemon-reload && systemctl --user enable --now parvi-{role}\n  \
             loginctl enable-linger   # it runs without you being logged in\n  \
             parvi ctl{} help\n",
            match (data, role) {
                (None, "tracker") => " --data ~/.local/state/parvi-tracker".to_owned(),
                _ => place,
            }
        );
    }
    let mut out = String::from("to install it:\n");
    if unit.homes && is_home(&unit.command[0]) {
        out.push_str("  # first put the program where every user can run it: /usr/local/bin\n");
    }
    let mut as_whom = String::new();
    if let Some(account) = &unit.account {
        let account = typed(account);
        as_whom = format!(" --account {account}");
        out.push_str(&format!("  sudo useradd --system --no-create-home {account}\n"));
        if let Some(folder) = unit.writes.as_deref().map(typed) {
            out.push_str(&format!(
                "  sudo test -e {folder} || sudo install -d -o {account} {folder}   # else it must be \
                 {account}'s\n"
            ));
        }
    }
    out.push_str(&format!(
        "  parvi service{as_whom} {role}{again} | sudo tee /etc/systemd/system/parvi-{role}.service\n  \
         sudo systemctl daemon-reload && sudo systemctl enable --now parvi-{role}\n  \
         sudo parvi ctl{place} help\n"
    ));
    if !unit.homes && role == "node" {
        out.push_str("  # to share what is below /home: ProtectHome=read-only\n");
    }
    out
}

#[cfg(test)]
mod tests;
