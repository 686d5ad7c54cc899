//! `parvi eval`: measures swarms of several sizes, and writes tables and plots.
//!
//! ```text
//! arguments -> settings -> cells -> for each: swarm, a round that warms up, rounds -> store -> report
//! ```
//!
//! A cell is one measurement with its parameters (`cell`), done with a swarm of its own (`swarm`). What is
//! finished is on the disk before the next one begins (`store`), so a run that was interrupted or killed
//! goes on where it stopped. All figures, tables and plots follow from the stored rounds alone (`report`).
//! Ends: with all cells measured; at the first that cannot be; at Ctrl-C. In each case the report is
//! written of what is there, and no process and no folder of a swarm is left.

mod cell;
mod fetch;
mod orders;
mod progress;
mod report;
mod restore;
mod running;
mod search;
mod settings;
mod store;
mod swarm;

use std::path::PathBuf;

use cell::{Cell, Kind, Measured, Round, cells};
use progress::Progress;
use settings::Settings;
use store::{Header, Store};
use swarm::{Ground, interrupted};

use super::args::EvalArgs;
use super::layers::Environment;
use super::{logging, output, run};
use crate::base::{Fault, FaultKind};
use crate::io::machine::{self, Machine};
use crate::io::threads::StopToken;
use crate::io::{clock, descriptors};
use crate::logic::doctor::typed;

/// Runs it.
///
/// # Errors
/// What cannot be measured; `Unfinished` at Ctrl-C: the same command goes on.
pub(super) fn eval(args: EvalArgs, env: Environment<'_>) -> Result<(), Fault> {
    logging::start(run::log_filter(env).as_deref(), None, None)?;
    let settings = Settings::of(&args);
    let mut cells = cells(args.what, &settings)?;
    let stop = StopToken::new();
    let interrupted = stop.clone();
    ctrlc::set_handler(move || interrupted.stop())
        .map_err(|e| Fault::other(format!("cannot watch for Ctrl-C: {e}")))?;
    descriptors::raise();
    let dir = args.out.unwrap_or_else(|| PathBuf::from(format!("eval-{}", clock::wall_day())));
    let ground = match settings.compose {
        true => Some(running::ground(&here()?)?),
        false => None,
    };
    let store = Store::open(&dir, header(settings)?)?;
    let line = store.header.settings.line;
    let ground = ground.unwrap_or_else(|| Ground::Own { dir: dir.clone(), line });
    let fits = |cell: &Cell| cell.nodes() <= ground.nodes_max();
    let left_out = cells.iter().filter(|cell| !fits(cell)).count();
    cells.retain(fits);
    if left_out > 0 {
        let nodes = ground.nodes_max();
        output::err(&format!("left out: {left_out} measurements with more than {nodes} nodes\n"));
    }
    let mut run = Run { store, ground, stop };
    let measured = run.measure(&cells);
    report::write(&run.store)?;
    measured.map_err(|fault| go_on(&fault, &run.store))?;
    output::out(&format!("{}\n", dir.join(report::SUMMARY).display()));
    Ok(())
}

fn here() -> Result<PathBuf, Fault> {
    std::env::current_dir().map_err(|e| Fault::other(format!("cannot find this folder: {e}")))
}

fn header(settings: Settings) -> Result<Header, Fault> {
    let build = machine::build();
    Ok(Header {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        build: build.map_err(|e| Fault::other(format!("cannot read this program: {e}")))?,
        date: clock::wall_day(),
        load: machine::load(),
        machine: Machine::here(),
        settings,
    })
}

/// A fault with how to go on behind it.
fn go_on(fault: &Fault, store: &Store) -> Fault {
    let dir = typed(&store.dir().to_string_lossy());
    let text = format!("{}; the same command with --out {dir} goes on", fault.text);
    Fault::new(fault.kind, text)
}

struct Run {
    store: Store,
    ground: Ground,
    stop: StopToken,
}

impl Run {
    /// Measures what of `cells` is not in the store.
    fn measure(&mut self, cells: &[Cell]) -> Result<(), Fault> {
        let finished = |cell: &&Cell| !self.store.measured.iter().any(|m| m.cell == **cell);
        let left: Vec<Cell> = cells.iter().filter(finished).copied().collect();
        if left.is_empty() {
            let dir = self.store.dir().display();
            output::err(&format!(
                "all is measured already in {dir}; name another folder with --out to do it again\n"
            ));
        }
        let mut progress = Progress::new(cells.len(), cells.len() - left.len());
        for cell in left {
            let words = cell.words();
            progress.begin(&words);
            let rounds = self.rounds(&cell).map_err(|fault| match fault.kind {
                FaultKind::Unfinished => fault,
                _ => Fault::new(fault.kind, format!("{words}: {}", fault.text)),
            })?;
            let measured = Measured { cell, rounds };
            progress.end(&words, &report::result(&measured));
            self.store.keep(measured)?;
        }
        Ok(())
    }

    /// All rounds of one cell, with a swarm of its own.
    fn rounds(&self, cell: &Cell) -> Result<Vec<Round>, Fault> {
        let settings = &self.store.header.settings;
        let rounds = cell.rounds(settings);
        let files = orders::files(cell, rounds, settings.seed);
        let swarm = self.ground.swarm(cell, &files, &self.stop)?;
        if cell.kind == Kind::Restore {
            let line = settings.line;
            restore::ready(&swarm, cell, line, &self.stop)?;
            let victims = 0..rounds as usize;
            return victims.map(|v| restore::round(&swarm, cell, (v, line), &self.stop)).collect();
        }
        if cell.kind == Kind::Search {
            swarm.wait_acquainted(&self.stop)?;
        }
        let mut measured = Vec::new();
        for number in 0..rounds {
            if self.stop.is_stopped() {
                return Err(interrupted());
            }
            measured.push(match cell.kind {
                Kind::Search => {
                    let questions = (settings.lookups, number, settings.seed);
                    search::round(&swarm, cell, questions, &self.stop)?
                }
                _ => {
                    let orders = orders::orders(cell, number, settings.seed);
                    fetch::round(&swarm, cell, orders, &self.stop)?
                }
            });
            // With one node less it was another measurement.
            swarm.check()?;
        }
        // The first one has warmed up memory, caches, connections.
        Ok(measured.split_off(1))
    }
}
