//! Arguments, prompt, control socket, rendering: everything between a person or a script and a
//! node or tracker.
//!
//! Invariant: the environment and the command line are read once, here; what fails becomes one line
//! `parvi: …` on standard error and its documented exit code (`base::FaultKind`).

pub mod args;
mod ask;
pub mod command;
pub mod ctl;
pub mod daemon;
mod demo;
mod doctor;
mod editor;
mod eval;
mod fetch;
pub mod help;
mod history;
pub mod layers;
pub mod life;
mod logging;
mod node_commands;
pub mod outcome;
mod output;
mod printer;
mod process;
mod prompt;
pub mod render;
mod run;
mod serve;
mod service;
mod terminal;
mod tools;
mod tracker_commands;
mod values;
mod wal;
pub mod words;

use std::ffi::OsString;
use std::process::ExitCode;

use args::Task;
use ask::process_environment as environment;
use layers::Parsed;

use crate::base::Fault;

/// Runs the program; the code is for the shell.
pub fn main(argv: &[OsString]) -> ExitCode {
    let done = layers::resolve(argv, &environment).and_then(|parsed| match parsed {
        Parsed::Run(cli) => run_task(cli.task),
        Parsed::Print(text) => {
            output::out(&text);
            Ok(0)
        }
    });
    ExitCode::from(done.unwrap_or_else(|fault| {
        output::fault(&fault);
        fault.kind.exit_code()
    }))
}

fn run_task(task: Task) -> Result<u8, Fault> {
    let env = &environment;
    match task {
        Task::Tracker(args) => run::tracker(args, env).map(|()| 0),
        Task::Node(args) => run::node(args, env).map(|()| 0),
        Task::Ctl(args) => ask::ctl(args, env),
        Task::Get(args) => fetch::get(args, env).map(|()| 0),
        Task::Demo(args) => demo::demo(&args).map(|()| 0),
        Task::Eval(args) => eval::eval(args, env).map(|()| 0),
        Task::Generate(args) => tools::generate(&args).map(|()| 0),
        Task::Doctor(args) => doctor::doctor(args, env),
        Task::Service(args) => service::service(args).map(|()| 0),
        Task::Health(args) => ask::health(args, env).map(|()| 0),
        Task::Wal { task } => wal::wal(task).map(|()| 0),
        Task::Key => tools::key().map(|()| 0),
        Task::Prepare(args) => tools::prepare(args).map(|()| 0),
        Task::Completions { shell } => {
            tools::completions(shell);
            Ok(0)
        }
        Task::Man => tools::manual().map(|()| 0),
    }
}
