//! The small one-shot commands: `generate`, `key`, `prepare`, `completions`, `man`.

use std::path::Path;

use clap::CommandFactory;

use super::args::{Cli, GenerateArgs, PrepareArgs};
use super::{output, render};
use crate::base::{Fault, FaultKind, NodeLabel};
use crate::io::generate::{self, DataSet, GenerateError};
use crate::io::link::SwarmKey;
use crate::io::local;
use crate::io::prepare::{Preparation, PrepareError};

/// `parvi generate`.
///
/// # Errors
/// A full disk, a folder that cannot be written, other bytes in the way.
pub(super) fn generate(args: &GenerateArgs) -> Result<(), Fault> {
    let set = DataSet { small: args.small, large: args.large, seed: args.seed };
    let written = generate::generate(&args.dir, set).map_err(|e| not_generated(&e))?;
    let (files, bytes, dir) = (written.files, render::size(written.bytes), args.dir.display());
    output::err(&format!("{files} files, {bytes}, in {dir}; seed {}\n", args.seed));
    Ok(())
}

/// A folder of files for a node that shares nothing yet: other names and bytes for another label.
///
/// # Errors
/// As `generate`.
pub(super) fn generate_if_empty(shared: &Path, label: Option<&NodeLabel>) -> Result<(), Fault> {
    let empty = match std::fs::read_dir(shared) {
        Ok(mut entries) => entries.next().is_none(),
        Err(e) => e.kind() == std::io::ErrorKind::NotFound,
    };
    if !empty {
        return Ok(());
    }
    let host = local::host_name().unwrap_or_default();
    let label = label.map_or(host.as_str(), NodeLabel::as_str);
    let dir = shared.join(format!("from-{label}"));
    generate(&GenerateArgs { dir, small: 100, large: 4, seed: generate::seed_of(label) })
}

fn not_generated(error: &GenerateError) -> Fault {
    let kind = match error {
        GenerateError::Exists(_) => FaultKind::Exists,
        GenerateError::Io { source, .. } if is_full(source) => FaultKind::DiskFull,
        GenerateError::Io { .. } => FaultKind::Other,
    };
    Fault::new(kind, error.to_string())
}

fn is_full(e: &std::io::Error) -> bool {
    matches!(e.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
}

/// `parvi key`.
///
/// # Errors
/// When the system gives no random bytes.
pub(super) fn key() -> Result<(), Fault> {
    let key = SwarmKey::generate().map_err(|e| Fault::other(e.to_string()))?;
    output::out(&format!("{}\n", *key.to_hex()));
    Ok(())
}

/// `parvi prepare`.
///
/// # Errors
/// A folder or file that could not be made or given away; a full disk.
pub(super) fn prepare(args: PrepareArgs) -> Result<(), Fault> {
    let preparation = Preparation {
        volumes: args.volumes,
        logs: args.logs,
        keys: args.keys,
        first_files: args.first_files,
        owner: args.owner,
        names: args.names.iter().map(ToString::to_string).collect(),
    };
    let filled = preparation.run().map_err(|e| match &e {
        PrepareError::Generate(e) => not_generated(e),
        PrepareError::Io { source, .. } if is_full(source) => {
            Fault::new(FaultKind::DiskFull, e.to_string())
        }
        _ => Fault::other(e.to_string()),
    })?;
    if !filled.is_empty() {
        output::err(&format!("first files for {}\n", filled.join(", ")));
    }
    Ok(())
}

/// `parvi completions SHELL`.
pub(super) fn completions(shell: clap_complete::Shell) {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "parvi", &mut script);
    output::out(&String::from_utf8_lossy(&script));
}

/// `parvi man`: one page for the program and all its commands.
///
/// # Errors
/// When the page cannot be written.
pub(super) fn manual() -> Result<(), Fault> {
    let page = manual_page().map_err(|e| Fault::other(format!("cannot write the manual: {e}")))?;
    output::out(&String::from_utf8_lossy(&page));
    Ok(())
}

fn manual_page() -> std::io::Result<Vec<u8>> {
    let mut root = Cli::command();
    root.build();
    let mut page = Vec::new();
    clap_mangen::Man::new(root.clone()).render(&mut page)?;
    for command in root.get_subcommands() {
        let title = format!(".SH \"PARVI {}\"\n", command.get_name().to_uppercase());
        page.extend_from_slice(title.as_bytes());
        let man = clap_mangen::Man::new(command.clone());
        let mut part = Vec::new();
        man.render_synopsis_section(&mut part)?;
        man.render_description_section(&mut part)?;
        man.render_options_section(&mut part)?;
        // Below the command's own heading these are subsections.
        page.extend_from_slice(String::from_utf8_lossy(&part).replace(".SH ", ".SS ").as_bytes());
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_names_every_command_and_its_flags() {
        let page = String::from_utf8(manual_page().unwrap()).unwrap();
        for wanted in ["PARVI TRACKER", "PARVI NODE", "PARVI GET", "ack\\-timeout", "Exit codes"] {
            assert!(page.contains(wanted), "{wanted} is not in the manual:\n{page}");
        }
    }
}
