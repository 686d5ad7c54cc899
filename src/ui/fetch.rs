//! `parvi get`: one fetch without a daemon, with a bar on a terminal and a line now and then
//! elsewhere. Ends early on Ctrl-C with exit code 7; what arrived is kept.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::args::GetArgs;
use super::layers::Environment;
use super::outcome::Outcome;
use super::render::{render, transfer_line};
use super::{output, run};
use crate::base::name::printable;
use crate::base::{Fault, FaultKind, Name, Time};
use crate::io::clock;
use crate::node::summary::summary;
use crate::node::view::{From, TransferRow};
use crate::node::{self, GetConfig};

/// How often progress is told where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);
const BAR: &str =
    "{msg} [{bar:30}] {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}";

/// Runs it and prints the paths, or the JSON document.
///
/// # Errors
/// What kept the file from arriving.
pub(super) fn get(args: GetArgs, env: Environment<'_>) -> Result<(), Fault> {
    if args.tracker.is_empty() {
        let text = "get needs --tracker HOST:PORT (or PARVI_TRACKER, or a key in --config)";
        return Err(Fault::new(FaultKind::Usage, text));
    }
    let swarm_key = run::swarm_key(&args.swarm, env)?;
    run::start_log(&args.swarm, env, None)?;
    let interrupted = watch_ctrl_c()?;
    let ((name, root), json) = (args.name, args.json);
    let config = GetConfig {
        name: name.clone(),
        from: root.map_or(From::All, From::Content),
        trackers: args.tracker,
        out: args.out,
        listen: args.listen,
        swarm_key,
        bulk: args.swarm.bulk,
        fsync: args.swarm.fsync,
        down: args.down,
        ack_timeout: args.ack_timeout,
    };
    let mut progress = Progress::new();
    let fetched =
        node::get(config, &|| interrupted.load(Ordering::SeqCst), &mut |row| progress.show(row));
    progress.end();
    let (name, reports) = match interrupted.load(Ordering::SeqCst) {
        true => fetched.map_err(|fault| stopped_by_you(fault, &name))?,
        false => fetched?,
    };
    output::err(&format!("{}\n", summary(&name, &reports)));
    output::out(&if json {
        render(&Outcome::Downloaded { name, reports }, true)?
    } else {
        reports.iter().map(|r| format!("{}\n", printable(&r.path.to_string_lossy()))).collect()
    });
    Ok(())
}

/// There is no prompt to download again at: the command itself goes on where it stopped.
fn stopped_by_you(fault: Fault, name: &Name) -> Fault {
    if fault.kind != FaultKind::Unfinished {
        return fault;
    }
    let text = "was interrupted; what arrived is kept, run the same command again to go on";
    Fault::new(FaultKind::Unfinished, format!("{name} {text}"))
}

fn watch_ctrl_c() -> Result<Arc<AtomicBool>, Fault> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    ctrlc::set_handler(move || flag.store(true, Ordering::SeqCst))
        .map_err(|e| Fault::other(format!("cannot watch for Ctrl-C: {e}")))?;
    Ok(interrupted)
}

/// A bar for people, lines for logs.
enum Progress {
    Bar(ProgressBar),
    Lines(Option<Time>),
}

impl Progress {
    fn new() -> Progress {
        if !std::io::stderr().is_terminal() {
            return Progress::Lines(None);
        }
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template(BAR) {
            bar.set_style(style.progress_chars("=> "));
        }
        Progress::Bar(bar)
    }

    fn show(&mut self, row: &TransferRow) {
        match self {
            Progress::Bar(bar) => {
                bar.set_length(row.total);
                bar.set_position(row.done);
                let extra = [&row.peer, &row.reason].map(|s| printable(s).into_owned());
                bar.set_message(format!("{} {}", printable(&row.name), extra.join(" ").trim()));
            }
            Progress::Lines(told) => {
                let now = clock::now();
                if now.since(*told.get_or_insert(now)) >= LINE_EVERY {
                    *told = Some(now);
                    output::err(&format!("{}\n", transfer_line(row)));
                }
            }
        }
    }

    fn end(&self) {
        if let Progress::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupted_get_says_how_to_go_on_and_other_faults_stay_as_they_are() {
        let name = Name::parse("a.pdf").unwrap();
        let fault = stopped_by_you(Fault::new(FaultKind::Unfinished, "download it again"), &name);
        assert_eq!(fault.kind, FaultKind::Unfinished);
        assert!(fault.text.ends_with("run the same command again to go on"), "{fault}");
        let full = Fault::new(FaultKind::DiskFull, "no room");
        assert_eq!(stopped_by_you(full.clone(), &name), full);
    }
}
