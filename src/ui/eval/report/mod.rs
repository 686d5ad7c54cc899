//! What was measured, as documents for people and programs.
//!
//! ```text
//! results.json   all: machine, parameters, every round
//! results.csv    a line for each round
//! summary.md     the machine, a table for each kind of measurement, the plots
//! *.svg          the plots
//! ```
//!
//! Invariant: all of it follows from the store alone, so it can be written again at any time.

mod chart;
mod figures;
mod plots;
mod tables;

use serde::Serialize;

use super::cell::Measured;
use super::store::{Header, Store};
use crate::base::Fault;

pub(super) use figures::result;

/// What a person reads.
pub(super) const SUMMARY: &str = "summary.md";

#[derive(Serialize)]
struct Results<'a> {
    #[serde(flatten)]
    header: &'a Header,
    cells: &'a [Measured],
}

/// Writes all documents.
///
/// # Errors
/// A disk that fails or is full.
pub(super) fn write(store: &Store) -> Result<(), Fault> {
    let mut cells = store.measured.clone();
    cells.sort_by_key(|measured| measured.cell);
    let results = Results { header: &store.header, cells: &cells };
    let json = serde_json::to_string_pretty(&results)
        .map_err(|e| Fault::other(format!("cannot write the results as JSON: {e}")))?;
    store.write("results.json", &(json + "\n"))?;
    store.write("results.csv", &tables::csv(&cells))?;
    let plots = plots::plots(&cells, &store.header.settings);
    for plot in &plots {
        store.write(plot.file, &plot.chart.svg())?;
    }
    store.write(SUMMARY, &tables::summary(&store.header, &cells, &plots))
}
