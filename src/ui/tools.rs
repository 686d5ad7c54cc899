//! The small one-shot commands: `generate`, `key`, `completions`, `man`.

use clap::CommandFactory;

use super::args::{Cli, GenerateArgs};
use super::{output, render};
use crate::base::{Fault, FaultKind};
use crate::io::link::SwarmKey;
use crate::io::generate::{self, DataSet, GenerateError};

/// `parvi generate`.
///
/// # Errors
/// A full disk, a folder that cannot be written, other bytes in the way.
pub(super) fn generate(args: &GenerateArgs) -> Result<(), Fault> {
    let set = DataSet { small: args.small, large: args.large, seed: args.seed };
    let written = generate::generate(&args.dir, set).map_err(|e| {
        let kind = match &e {
            GenerateError::Exists(_) => FaultKind::Exists,
            GenerateError::Io { source, .. } if is_full(source) => FaultKind::DiskFull,
            GenerateError::Io { .. } => FaultKind::Other,
        };
        Fault::new(kind, e.to_string())
    })?;
    let (files, bytes, dir) = (written.files, render::size(written.bytes), args.dir.display());
    output::err(&format!("{files} files, {bytes}, in {dir}; seed {}\n", args.seed));
    Ok(())
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
