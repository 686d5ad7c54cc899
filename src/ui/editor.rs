//! The prompt on a terminal: line editing, completion, hints, history.
//!
//! Invariant: while a line is edited, only the printer writes, above it (rustyline's external
//! printer); between lines the prompt's own thread writes. Neither waits for the other: the
//! printer may block until the next line is edited.

use std::borrow::Cow;
use std::sync::Arc;

use rustyline::completion::{Completer, FilenameCompleter, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::{Hint, Hinter};
use rustyline::history::MemHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, Editor, ExternalPrinter, Helper};

use super::daemon::{Candidates, Daemon, Shell};
use super::help;
use super::history::History;
use super::printer::Printer;
use super::prompt::{Input, Lines, run};
use super::terminal::{Person, Quiet};
use super::words;
use crate::base::Fault;

/// The prompt of a terminal: blocks until the daemon leaves.
pub(super) fn run_terminal(
    shell: &Shell,
    history: &Arc<History>,
    printer: &Printer,
) -> Result<(), Fault> {
    let mut terminal = Terminal::open(shell, history).map_err(|e| {
        Fault::other(format!("cannot edit lines on this terminal: {e}; try --headless"))
    })?;
    match terminal.editor.create_external_printer() {
        Ok(mut above) => printer.attach(Box::new(move |line| above.print(line).is_ok())),
        Err(e) => log::debug!("notices are printed plainly: {e}"),
    }
    run(shell, &mut terminal, &mut Person);
    Ok(())
}

struct Terminal {
    editor: Editor<Words, MemHistory>,
    history: Arc<History>,
    /// While no line is edited.
    quiet: Option<Quiet>,
}

impl Terminal {
    fn open(shell: &Shell, history: &Arc<History>) -> rustyline::Result<Terminal> {
        let config = Config::builder().completion_type(CompletionType::List).build();
        let mut editor = Editor::with_history(config.clone(), MemHistory::with_config(&config))?;
        for line in history.lines() {
            editor.add_history_entry(line)?;
        }
        editor.set_helper(Some(Words {
            daemon: Arc::clone(&shell.daemon),
            paths: FilenameCompleter::new(),
        }));
        Ok(Terminal { editor, history: Arc::clone(history), quiet: None })
    }
}

impl Lines for Terminal {
    fn next(&mut self, prompt: &str) -> Input {
        self.quiet = None;
        let read = self.editor.readline(prompt);
        self.quiet = Quiet::begin();
        match read {
            Ok(line) => {
                self.history.add(&line);
                if let Err(e) = self.editor.add_history_entry(&line) {
                    log::debug!("a line is not in the history: {e}");
                }
                Input::Line(line)
            }
            Err(ReadlineError::Interrupted) => Input::Interrupted,
            Err(ReadlineError::Eof) => Input::End,
            Err(e) => {
                log::error!("cannot read the terminal: {e}");
                Input::End
            }
        }
    }

    fn end_is_exit(&self) -> bool {
        true
    }
}

/// Knows which words may come next.
struct Words {
    daemon: Arc<dyn Daemon>,
    paths: FilenameCompleter,
}

impl Words {
    /// What may stand at the place of `partial`, behind the words `before`.
    fn candidates(&self, before: &[String], partial: &str) -> Vec<String> {
        let role = self.daemon.role();
        let Some(command) = before.first() else {
            return help::commands(role).iter().map(|s| s.name.to_owned()).collect();
        };
        let Some(spec) = help::find(role, command) else { return Vec::new() };
        if partial.starts_with('-') {
            return spec.flags.iter().chain(&["--json"]).map(|f| (*f).to_owned()).collect();
        }
        if before.last().is_some_and(|w| w == "--from") {
            return self.daemon.candidates(Candidates::Peers);
        }
        match spec.name {
            "help" => help::commands(role).iter().map(|s| s.name.to_owned()).collect(),
            "list" => ["local", "downloaded", "replicated"].map(str::to_owned).to_vec(),
            "unshare" => self.daemon.candidates(Candidates::Local),
            "lookup" | "download" | "request" => self.daemon.candidates(Candidates::Seen),
            "show" => self.daemon.candidates(Candidates::Peers),
            "limit" if before.len() > 1 => vec!["off".to_owned()],
            "cancel" | "pause" | "resume" | "limit" => {
                self.daemon.candidates(Candidates::Transfers)
            }
            _ => Vec::new(),
        }
    }
}

impl Completer for Words {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _ctx: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let (start, partial) = words::last(&line[..pos]);
        let before = words::split(&line[..start]).unwrap_or_default();
        if before.first().is_some_and(|w| w == "share") {
            return self.paths.complete_path(line, pos);
        }
        let mut found = self.candidates(&before, &partial);
        found.retain(|word| word.starts_with(&partial));
        let pair = |word: String| Pair {
            replacement: words::quote(&word) + " ",
            display: crate::base::name::printable(&word).into_owned(),
        };
        Ok((start, found.into_iter().map(pair).collect()))
    }
}

/// What is still to be typed, shown behind the cursor.
struct Usage {
    shown: String,
    /// The part that the right arrow inserts.
    insert: Option<String>,
}

impl Hint for Usage {
    fn display(&self) -> &str {
        &self.shown
    }
    fn completion(&self) -> Option<&str> {
        self.insert.as_deref()
    }
}

impl Hinter for Words {
    type Hint = Usage;

    fn hint(&self, line: &str, pos: usize, _ctx: &Context<'_>) -> Option<Usage> {
        let typed = line.trim_start();
        if pos < line.len() || typed.is_empty() {
            return None;
        }
        let role = self.daemon.role();
        if let Some(spec) = help::find(role, typed.trim_end()) {
            let rest = spec.usage.strip_prefix(typed.trim_end())?;
            let rest = if typed.ends_with(' ') { rest.trim_start() } else { rest };
            return Some(Usage { shown: rest.to_owned(), insert: None });
        }
        let mut matching = help::commands(role).iter().filter(|s| s.name.starts_with(typed));
        let (spec, None) = (matching.next()?, matching.next()) else { return None };
        let insert = spec.name.strip_prefix(typed).map(str::to_owned);
        Some(Usage { shown: spec.usage.strip_prefix(typed)?.to_owned(), insert })
    }
}

impl Highlighter for Words {
    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        Cow::Owned(format!("\x1b[2m{hint}\x1b[0m"))
    }
}

impl Validator for Words {}
impl Helper for Words {}
