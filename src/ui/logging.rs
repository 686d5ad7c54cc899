//! Where log records go: a file, the printer (which keeps them off the prompt's line), or standard
//! error. `PARVI_LOG` filters as `RUST_LOG` does; the default is `warn`.

use std::io::Write;
use std::path::Path;

use env_logger::{Builder, Target};
use log::LevelFilter;

use super::printer::Printer;
use crate::base::Fault;

/// Starts logging to `file`, else to `printer`, else to standard error.
///
/// # Errors
/// When the file cannot be opened.
pub(super) fn start(
    filter: Option<&str>,
    file: Option<&Path>,
    printer: Option<&Printer>,
) -> Result<(), Fault> {
    let mut builder = Builder::new();
    builder.parse_filters(filter.unwrap_or("warn"));
    builder.filter_module("rustyline", LevelFilter::Off);
    match (file, printer) {
        (Some(path), _) => builder.target(Target::Pipe(open(path)?)),
        (None, Some(printer)) => builder.target(Target::Pipe(Box::new(printer.log_writer()))),
        (None, None) => builder.target(Target::Stderr),
    };
    builder.try_init().map_err(|e| Fault::other(format!("cannot start the log: {e}")))
}

fn open(path: &Path) -> Result<Box<dyn Write + Send>, Fault> {
    let opened = std::fs::OpenOptions::new().create(true).append(true).open(path);
    let failed = |e| Fault::other(format!("cannot open the log file {}: {e}", path.display()));
    opened.map(|f| Box::new(f) as Box<dyn Write + Send>).map_err(failed)
}
