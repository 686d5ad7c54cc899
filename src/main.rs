//! The `parvi` program; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    let argv: Vec<_> = std::env::args_os().collect();
    parvi::ui::main(&argv)
}
