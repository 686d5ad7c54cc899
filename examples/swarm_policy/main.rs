//! The swarm's policy in simulated time: one node has a file, N others fetch it, from it and from each
//! other. The decisions are the production's (`Shares`, `Upload`, `Spread`, `Owners`); lines, latency,
//! sockets and threads are made up.
//!
//! ```text
//! main  arguments        plan  what is played, what came of it    table, plot  how it is shown
//! run   the event loop   fetching, serving  the two sides         node, net    what they consist of
//! ```
//!
//! `docs/swarm-policy.md` has what came of it and what is left out.
#![allow(clippy::print_stdout, reason = "a program for people")]

mod fair;
mod fetching;
mod net;
mod node;
mod plan;
mod plot;
mod run;
mod serving;
mod table;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use plan::{Fetched, Plan, Scene};
use table::Row;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Plays the swarm's policy and compares with what is possible at all.
#[derive(Debug, Parser)]
struct Args {
    /// Numbers of requesters.
    #[arg(long, value_delimiter = ',', default_value = "8,64,512")]
    sizes: Vec<usize>,
    /// equal, half, crawler, churn.
    #[arg(long, value_delimiter = ',', default_value = "equal")]
    scenes: Vec<String>,
    /// One-way latencies, milliseconds.
    #[arg(long, value_delimiter = ',', default_value = "1")]
    latencies: Vec<f64>,
    /// Chunks of the file, 256 KiB each; with `--small`, files of the batch.
    #[arg(long, default_value_t = 256)]
    chunks: u32,
    /// Plays a batch of small files, each of so many KiB, instead of a file.
    #[arg(long)]
    small: Option<u64>,
    /// KiB that a line sends at a time.
    #[arg(long, default_value_t = 32)]
    piece: u64,
    /// Numbers of nodes that have the file from the beginning.
    #[arg(long, value_delimiter = ',', default_value = "1")]
    sources: Vec<usize>,
    /// Seeds; one run each.
    #[arg(long, value_delimiter = ',', default_value = "1")]
    seeds: Vec<u64>,
    /// A file that is fetched besides, CHUNKSxREQUESTERS@FIRST: 64x1@8 is wanted by one, machine 8.
    #[arg(long, value_parser = fetched)]
    with: Vec<Fetched>,
    /// Also every kind of message.
    #[arg(long)]
    kinds: bool,
    /// One JSON line a run instead of the table.
    #[arg(long)]
    json: bool,
    /// Draws what `--json` printed before, from this file, instead of playing.
    #[arg(long, requires = "plot")]
    from: Option<PathBuf>,
    /// Where the plot goes.
    #[arg(long)]
    plot: Option<PathBuf>,
}

fn main() -> Result<(), Failure> {
    let args = Args::parse();
    let rows = match &args.from {
        Some(file) => table::read(&std::fs::read_to_string(file)?)?,
        None => play(&args)?,
    };
    if let Some(path) = &args.plot {
        std::fs::write(path, plot::svg(&rows))?;
    }
    Ok(())
}

/// Every run, told as soon as it is over.
fn play(args: &Args) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    if !args.json {
        println!("{}", table::HEAD);
    }
    for plan in plans(args)? {
        let outcome = run::run(&plan).ok_or("a node cannot be named")?;
        let row = Row::of(&plan, &outcome);
        match args.json {
            true => println!("{}", serde_json::to_string(&row)?),
            false => println!("{}", row.line()),
        }
        if !args.json && !row.files.is_empty() {
            println!("{}", fair::lines(&row.files));
        }
        if args.kinds {
            println!("{}", table::kinds(&plan, &outcome));
        }
        rows.push(row);
    }
    Ok(rows)
}

fn plans(args: &Args) -> Result<Vec<Plan>, Failure> {
    let mut plans = Vec::new();
    for word in &args.scenes {
        let scene = scene(word)?;
        for sources in &args.sources {
            for millis in &args.latencies {
                let latency = Duration::from_secs_f64(millis / 1e3);
                for nodes in &args.sizes {
                    plans.extend(args.seeds.iter().map(|seed| Plan {
                        scene,
                        nodes: *nodes,
                        sources: *sources,
                        chunks: args.chunks,
                        small: args.small.map(|kib| kib * 1024),
                        latency,
                        piece: args.piece * 1024,
                        seed: *seed,
                        others: args.with.clone(),
                    }));
                }
            }
        }
    }
    Ok(plans)
}

fn scene(word: &str) -> Result<Scene, Failure> {
    match word {
        "equal" => Ok(Scene::Equal),
        "half" => Ok(Scene::Half),
        "crawler" => Ok(Scene::Crawler),
        "churn" => Ok(Scene::Churn),
        _ => Err(format!("no scene is called {word}: equal, half, crawler, churn").into()),
    }
}

fn fetched(word: &str) -> Result<Fetched, String> {
    let wrong = || format!("{word} is not like 64x1@8");
    let (chunks, rest) = word.split_once('x').ok_or_else(wrong)?;
    let (nodes, first) = rest.split_once('@').ok_or_else(wrong)?;
    let chunks = chunks.parse().ok().filter(|chunks| (1..=256).contains(chunks));
    let nodes = nodes.parse().ok().filter(|nodes| *nodes > 0);
    let first = first.parse().map_err(|_| wrong())?;
    Ok(Fetched { chunks: chunks.ok_or_else(wrong)?, nodes: nodes.ok_or_else(wrong)?, first })
}
