//! Runs a daemon from its greeting to its end: printer, control socket, notices, prompt, signals.
//!
//! The order of the end: the main thread waits for `exit` or a signal, lets what moves finish,
//! stops the daemon (which ends the notices), answers and closes the control socket, saves the
//! history, stops the printer, gives the terminal back. The prompt's thread alone is not joined: it
//! may be blocked in a read of standard input that nothing can interrupt, and the process ends
//! when main returns.

use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::ctl::server::Server;
use super::daemon::{Daemon, Shell};
use super::history::History;
use super::life::Life;
use super::printer::Printer;
use super::terminal::Saved;
use super::{editor, output, prompt};
use crate::base::Fault;
use crate::base::name::printable;
use crate::io::clock;
use crate::io::threads::Group;

/// The last notices have this long to be printed.
const NOTICES_TIME_MAX: Duration = Duration::from_secs(2);

/// How a daemon is run.
pub(super) struct Serving<'a> {
    /// Its data directory.
    pub data: &'a Path,
    /// Whether standard input is left alone.
    pub headless: bool,
    /// The first lines, `ready …` included.
    pub greeting: String,
}

/// Turns SIGINT, SIGTERM and SIGHUP into the end of `life`. At a prompt Ctrl-C is a key, not a
/// signal.
///
/// # Errors
/// When the handler cannot be set.
pub(super) fn watch_signals(life: &Arc<Life>) -> Result<(), Fault> {
    let life = Arc::clone(life);
    let end = move || {
        life.ask_to_leave(true);
    };
    ctrlc::set_handler(end).map_err(|e| Fault::other(format!("cannot watch for signals: {e}")))
}

/// Serves until the daemon is asked to leave.
///
/// # Errors
/// When the control socket or a thread cannot be made; the daemon is stopped then.
pub(super) fn serve(
    daemon: &Arc<dyn Daemon>,
    life: &Arc<Life>,
    printer: &Printer,
    how: &Serving<'_>,
) -> Result<(), Fault> {
    let shell = Shell { daemon: Arc::clone(daemon), life: Arc::clone(life) };
    let ctl = match Server::start(how.data, Arc::new(shell.clone())) {
        Ok(ctl) => ctl,
        Err(fault) => {
            daemon.stop();
            return Err(fault);
        }
    };
    output::out(&how.greeting);
    let person = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let saved = if person && !how.headless { Saved::take() } else { None };
    let history = Arc::new(History::load(how.data));
    let started = start_threads(&shell, printer, &history, saved.is_some(), how.headless);

    if started.is_ok() {
        let tell = |line: String| printer.notice(format!("[{}] {line}", clock::wall_hms()));
        life.wait_to_stop(&|| daemon.going_on(), &tell);
    }
    daemon.stop();
    if let Ok(notices) = &started
        && !notices.join_all(NOTICES_TIME_MAX).is_empty()
    {
        log::warn!("the notices did not end");
    }
    life.stopped();
    ctl.stop();
    printer.stop();
    // A signal comes while a line is edited: the terminal is still raw then.
    if let Some(saved) = saved {
        save_history(&history);
        saved.restore();
    }
    // Last: a client that asked to exit returns when its connection closes.
    ctl.release();
    started.map(|_| ())
}

/// The notices' thread, whose group is returned, and the prompt's.
fn start_threads(
    shell: &Shell,
    printer: &Printer,
    history: &Arc<History>,
    terminal: bool,
    headless: bool,
) -> Result<Group, Fault> {
    let failed = |e: std::io::Error| Fault::other(format!("cannot start a thread: {e}"));
    let notices = Group::new("notices");
    let (daemon, to) = (Arc::clone(&shell.daemon), printer.clone());
    let pump = move || {
        while let Some(line) = daemon.next_notice() {
            to.notice(format!("[{}] {}", clock::wall_hms(), printable(&line)));
        }
    };
    notices.spawn("notices", pump).map_err(failed)?;
    if headless {
        return Ok(notices);
    }
    let (shell, history, printer) = (shell.clone(), Arc::clone(history), printer.clone());
    let read = move || match terminal {
        false => prompt::run_piped(&shell),
        true => {
            if let Err(fault) = editor::run_terminal(&shell, &history, &printer) {
                output::fault(&fault);
            }
        }
    };
    Group::new("prompt").spawn("prompt", read).map_err(failed)?;
    Ok(notices)
}

fn save_history(history: &History) {
    if let Err(e) = history.save() {
        log::warn!("cannot save the prompt's history: {e}");
    }
}
