//! The command line of `parvi eval`, with its words.
//!
//! Invariant: as in `ui::args`: each flag has its twin in the environment.

use std::path::PathBuf;

use clap::Args;

use crate::ui::values::{self, Line};

/// What `parvi eval` measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum What {
    /// Work that grows with the peers: each fetches files of its own from the others.
    Weak,
    /// One amount of work divided among the peers; and one file that all of them fetch.
    Strong,
    /// How long lookups take, with more files in the index, more peers, more questions at once.
    Search,
    /// How long until every file has two copies again when a node has died.
    Restore,
    /// All four.
    All,
}

/// `parvi eval`.
#[derive(Debug, Args)]
pub struct EvalArgs {
    /// What to measure.
    #[arg(value_enum, value_name = "WHAT")]
    pub what: What,
    /// Peers that fetch or ask at once [default: 1,2,4,8,16; with --quick 1,2,4].
    #[arg(long, value_name = "LIST", value_delimiter = ',',
        value_parser = clap::value_parser!(u32).range(1..=64))]
    pub peers: Option<Vec<u32>>,
    /// Downloads, or lookups, of one peer at once [default: 1,4].
    #[arg(long, value_name = "LIST", value_delimiter = ',',
        value_parser = clap::value_parser!(u32).range(1..=16))]
    pub concurrency: Option<Vec<u32>>,
    /// Sizes of files [default: 1MiB,8MiB; with --quick 1MiB,4MiB].
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = values::file_size)]
    pub sizes: Option<Vec<u64>>,
    /// Files in the index that is searched [default: 1000,10000,100000; with --quick 1000,10000].
    #[arg(long, value_name = "LIST", value_delimiter = ',',
        value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    pub index: Option<Vec<u32>>,
    /// Rounds of each measurement that count, behind one that does not [default: 3; with --quick 2].
    #[arg(long, value_name = "N", allow_negative_numbers = true,
        value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: Option<u32>,
    /// What each peer may send, and receive, a second: on one machine all share its processors, with a
    /// line of its own each is like a machine of its own. off: no bound.
    #[arg(long, value_name = "RATE|off", default_value = "8MiB", value_parser = values::line)]
    pub line: Line,
    /// Where results go; what is there already is not measured again [default: eval-DATE].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// A minute or two: fewer peers, smaller files.
    #[arg(long)]
    pub quick: bool,
    /// What files and questions follow from.
    #[arg(long, value_name = "S", allow_negative_numbers = true, default_value_t = 1)]
    pub seed: u64,
    /// Measure the swarm that ./run.sh has started from this folder, as it is.
    #[arg(long)]
    pub compose: bool,
}
