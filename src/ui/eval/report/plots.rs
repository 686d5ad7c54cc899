//! The plots of a report: which cells are on which chart, and what would be ideal there.
//!
//! ```text
//! weak-peers, weak-concurrency   MiB/s of all peers; ideal: all lines full, or else as many times one peer
//! strong-speedup                 how many times faster than one peer; ideal: as many times as peers
//! many-time                      seconds until all have the file; ideal: all lines full, or as one alone
//! search-latency, search-index   distribution, and quantiles against the index's size
//! restore-time                   seconds of each round until all copies were there again
//! ```
//!
//! Invariant: a plot without a cell is not made.

use super::chart::{Axis, Chart, Look, Point, Series};
use super::figures::{all_milliseconds, milliseconds, over, throughput};
use crate::logic::statistics::Sample;
use crate::ui::eval::cell::{Kind, Measured};
use crate::ui::eval::settings::Settings;
use crate::ui::render;

/// Bytes of a MiB.
const MIB: f64 = (1 << 20) as f64;

/// A chart and the file it goes to.
pub(super) struct Plot {
    pub file: &'static str,
    pub chart: Chart,
}

/// All that have something to show.
pub(super) fn plots(cells: &[Measured], settings: &Settings) -> Vec<Plot> {
    let of = |kind| cells.iter().filter(|m| m.cell.kind == kind).collect::<Vec<_>>();
    let (weak, strong, many) = (of(Kind::Weak), of(Kind::Strong), of(Kind::Many));
    let (search, restore) = (of(Kind::Search), of(Kind::Restore));
    let all = [
        ("weak-peers.svg", weak_peers(&weak, settings)),
        ("weak-concurrency.svg", weak_concurrency(&weak, settings)),
        ("strong-speedup.svg", strong_speedup(&strong)),
        ("many-time.svg", many_time(&many, settings)),
        ("search-latency.svg", search_latency(&search)),
        ("search-index.svg", search_index(&search)),
        ("restore-time.svg", restore_time(&restore)),
    ];
    let made = |(file, chart): (_, Option<Chart>)| chart.map(|chart| Plot { file, chart });
    all.into_iter().filter_map(made).collect()
}

fn weak_peers(cells: &[&Measured], settings: &Settings) -> Option<Chart> {
    let size = largest(cells)?;
    let cells: Vec<&Measured> = cells.iter().copied().filter(|m| m.cell.size == size).collect();
    let mut series = lines(
        &cells,
        |m| m.cell.concurrency,
        |c| format!("{c} at once"),
        |m| point(m.cell.peers, &over(m, throughput)),
    );
    let peers = ticks(&cells, |m| m.cell.peers);
    let of_one = of_one(&cells, settings);
    let ideal = peers.iter().map(|peers| Point::at(*peers, peers * of_one)).collect();
    series.push(Series { name: ideal_name(settings), points: ideal, look: Look::Other });
    Some(Chart {
        title: "Throughput of all peers, each fetching files of its own".into(),
        subtitle: subtitle(&format!("files of {}, each at two peers", render::size(size))),
        x: log("peers", peers),
        y: log("MiB/s, all peers together", Vec::new()),
        series,
    })
}

fn weak_concurrency(cells: &[&Measured], settings: &Settings) -> Option<Chart> {
    let size = smallest(cells)?;
    let cells: Vec<&Measured> = cells.iter().copied().filter(|m| m.cell.size == size).collect();
    let mut series = lines(
        &cells,
        |m| m.cell.peers,
        peers_word,
        |m| point(m.cell.concurrency, &over(m, throughput)),
    );
    let at_once = ticks(&cells, |m| m.cell.concurrency);
    let of_one = of_one(&cells, settings);
    let mut ideal = Vec::new();
    for (at, peers) in ticks(&cells, |m| m.cell.peers).into_iter().enumerate() {
        let points = at_once.iter().map(|c| Point::at(*c, peers * of_one)).collect();
        let name = if at == 0 { ideal_name(settings) } else { String::new() };
        ideal.push(Series { name, points, look: Look::Ideal(at) });
    }
    series.extend(ideal);
    Some(Chart {
        title: "Throughput against downloads that each peer has at once".into(),
        subtitle: subtitle(&format!("files of {}, each at two peers", render::size(size))),
        x: log("downloads of each peer at once", at_once),
        y: log("MiB/s, all peers together", Vec::new()),
        series,
    })
}

fn strong_speedup(cells: &[&Measured]) -> Option<Chart> {
    let first = cells.first()?;
    let alone = over(first, |r| r.seconds).median() * f64::from(first.cell.peers);
    let speedup = |m: &Measured| point(m.cell.peers, &over(m, |r| alone / r.seconds.max(1e-9)));
    let peers = ticks(cells, |m| m.cell.peers);
    let ideal = peers.iter().map(|peers| Point::at(*peers, *peers)).collect();
    let (files, size) = (first.cell.files, render::size(first.cell.size));
    Some(Chart {
        title: "One amount of work divided among the peers".into(),
        subtitle: subtitle(&format!("{files} files of {size} in all, each at two peers")),
        x: log("peers", peers),
        y: log("times as fast as one peer", Vec::new()),
        series: vec![
            Series {
                name: "measured".into(),
                points: cells.iter().map(|m| speedup(m)).collect(),
                look: Look::Measured(0),
            },
            Series { name: "ideal: as many".into(), points: ideal, look: Look::Ideal(0) },
        ],
    })
}

fn many_time(cells: &[&Measured], settings: &Settings) -> Option<Chart> {
    let size = largest(cells)?;
    let cells: Vec<&Measured> = cells.iter().copied().filter(|m| m.cell.size == size).collect();
    let peers = ticks(&cells, |m| m.cell.peers);
    let series = |name: &str, q: f64, at| Series {
        name: name.into(),
        points: cells
            .iter()
            .map(|m| point(m.cell.peers, &over(m, |r| milliseconds(r, q) / 1e3)))
            .collect(),
        look: Look::Measured(at),
    };
    let alone = size as f64 / MIB / of_one(&cells, settings);
    let ideal = peers.iter().map(|peers| Point::at(*peers, alone)).collect();
    let in_turn = peers.iter().map(|peers| Point::at(*peers, alone * peers)).collect();
    Some(Chart {
        title: "One file at one owner, fetched by all peers at once".into(),
        subtitle: subtitle(&format!("a file of {}", render::size(size))),
        x: log("peers that fetch it", peers),
        y: log("seconds", Vec::new()),
        series: vec![
            series("the last has it", 1.0, 0),
            series("half of them have it", 0.5, 1),
            Series { name: ideal_name(settings), points: ideal, look: Look::Ideal(0) },
            Series { name: "only the owner sends".into(), points: in_turn, look: Look::Other },
        ],
    })
}

fn search_latency(cells: &[&Measured]) -> Option<Chart> {
    cells.first()?;
    let curve = |(at, m): (usize, &&Measured)| {
        let all = all_milliseconds(m);
        let points = (0..=100)
            .map(|percent| Point::at(all.quantile(f64::from(percent) / 100.0), f64::from(percent)));
        let cell = &m.cell;
        let name = format!("{} p, {} at once, {}", cell.peers, cell.concurrency, files(cell.files));
        Series { name, points: points.collect(), look: Look::Curve(at) }
    };
    Some(Chart {
        title: "How long lookups take: part of them that is answered within a time".into(),
        subtitle: "p: peers; lookups of one asker one after the other; files in the index".into(),
        x: log("milliseconds", Vec::new()),
        y: Axis {
            label: "% of lookups".into(),
            is_log: false,
            ticks: (0..=10).map(|n| f64::from(n) * 10.0).collect(),
        },
        series: cells.iter().enumerate().map(curve).collect(),
    })
}

fn search_index(cells: &[&Measured]) -> Option<Chart> {
    // The sweep of the index is where one asker and the usual number of peers stay as they are.
    let widest = cells.iter().max_by_key(|m| m.cell.files)?;
    let (peers, alone) = (widest.cell.peers, widest.cell.concurrency);
    let same = |m: &&&Measured| m.cell.peers == peers && m.cell.concurrency == alone;
    let cells: Vec<&Measured> = cells.iter().filter(same).copied().collect();
    let series = |(at, (name, q)): (usize, (&str, f64))| Series {
        name: name.into(),
        points: cells
            .iter()
            .map(|m| point(m.cell.files, &over(m, |r| milliseconds(r, q))))
            .collect(),
        look: Look::Measured(at),
    };
    let quantiles = [("99 of 100", 0.99), ("9 of 10", 0.9), ("half of them", 0.5)];
    Some(Chart {
        title: "Lookups against the size of the index".into(),
        subtitle: subtitle(&format!("{}, {alone} at once", peers_word(peers))),
        x: log("files in the index", ticks(&cells, |m| m.cell.files)),
        y: Axis {
            label: "milliseconds within which they were answered".into(),
            is_log: false,
            ticks: Vec::new(),
        },
        series: quantiles.into_iter().enumerate().map(series).collect(),
    })
}

fn restore_time(cells: &[&Measured]) -> Option<Chart> {
    let measured = cells.first()?;
    let rounds = measured.rounds.iter().enumerate().map(|(at, round)| {
        let times = Sample::of(round.times.iter().copied());
        let files = times.count() as f64;
        let mut points: Vec<Point> = vec![Point::at(0.0, 0.0)];
        for have in 0..times.count() {
            let at = times.quantile((have + 1) as f64 / files);
            points.push(Point::at(at, have as f64));
            points.push(Point::at(at, (have + 1) as f64));
        }
        Series { name: format!("death {}", at + 1), points, look: Look::Curve(at) }
    });
    let cell = &measured.cell;
    Some(Chart {
        title: "Files with two copies, behind a node's death".into(),
        subtitle: format!(
            "{} of {} at {}",
            files(cell.files),
            render::size(cell.size),
            peers_word(cell.peers)
        ),
        x: Axis { label: "seconds since it was killed".into(), is_log: false, ticks: Vec::new() },
        y: Axis { label: "files with two live copies".into(), is_log: false, ticks: Vec::new() },
        series: rounds.collect(),
    })
}

/// One line for each `key`, in order.
fn lines(
    cells: &[&Measured],
    key: impl Fn(&Measured) -> u32,
    name: impl Fn(u32) -> String,
    point: impl Fn(&Measured) -> Point,
) -> Vec<Series> {
    let keys = ticks(cells, &key).into_iter().map(|key| key as u32).enumerate();
    keys.map(|(at, wanted)| Series {
        name: name(wanted),
        points: cells.iter().filter(|m| key(m) == wanted).map(|m| point(m)).collect(),
        look: Look::Measured(at),
    })
    .collect()
}

fn point(x: u32, sample: &Sample) -> Point {
    Point { x: f64::from(x), y: sample.median(), low: sample.min(), high: sample.max() }
}

/// The values that there are, in order.
fn ticks(cells: &[&Measured], of: impl Fn(&Measured) -> u32) -> Vec<f64> {
    let mut values: Vec<u32> = cells.iter().map(|m| of(m)).collect();
    values.sort_unstable();
    values.dedup();
    values.into_iter().map(f64::from).collect()
}

fn log(label: &str, ticks: Vec<f64>) -> Axis {
    Axis { label: label.into(), is_log: true, ticks }
}

/// What one peer could have, MiB a second: its line, or the best that was seen of the fewest.
fn of_one(cells: &[&Measured], settings: &Settings) -> f64 {
    if let Some(line) = settings.line {
        return line as f64 / MIB;
    }
    let fewest = cells.iter().map(|m| m.cell.peers).min().unwrap_or(1);
    let best = cells.iter().filter(|m| m.cell.peers == fewest);
    best.map(|m| over(m, throughput).median()).fold(0.0, f64::max) / f64::from(fewest)
}

fn ideal_name(settings: &Settings) -> String {
    match settings.line {
        Some(line) => format!("ideal: {}/s each", render::size(line)),
        None => "ideal: as the fewest".into(),
    }
}

fn subtitle(what: &str) -> String {
    format!("{what}; points: medians of the rounds, bars: smallest and largest")
}

fn peers_word(peers: u32) -> String {
    if peers == 1 { "1 peer".into() } else { format!("{peers} peers") }
}

fn files(files: u32) -> String {
    format!("{} files", super::chart::tick(f64::from(files)))
}

fn largest(cells: &[&Measured]) -> Option<u64> {
    cells.iter().map(|m| m.cell.size).max()
}

fn smallest(cells: &[&Measured]) -> Option<u64> {
    cells.iter().map(|m| m.cell.size).min()
}

#[cfg(test)]
mod tests {
    use super::super::figures::tests::measured;
    use super::*;
    use crate::ui::eval::settings::tests::settings;

    fn plot<'a>(plots: &'a [Plot], file: &str) -> &'a Chart {
        &plots.iter().find(|plot| plot.file == file).unwrap().chart
    }

    #[test]
    fn without_cells_there_is_no_plot_and_with_all_kinds_there_are_all() {
        assert!(plots(&[], &settings()).is_empty());
        let kinds = [Kind::Weak, Kind::Strong, Kind::Many, Kind::Search, Kind::Restore];
        let cells: Vec<Measured> = kinds.map(|kind| measured(kind, 1, &[1.0])).to_vec();
        assert_eq!(plots(&cells, &settings()).len(), 7);
    }

    #[test]
    fn the_ideal_is_all_lines_full_or_as_many_times_the_fewest() {
        let cells = [measured(Kind::Weak, 1, &[4.0]), measured(Kind::Weak, 4, &[4.0])];
        let ideal = |settings: &Settings| {
            let plots = plots(&cells, settings);
            let series = plot(&plots, "weak-peers.svg").series.last().unwrap();
            series.points.iter().map(|p| p.y).collect::<Vec<_>>()
        };
        assert_eq!(ideal(&settings()), [1.0, 4.0], "a line of 1 MiB/s each");
        assert_eq!(ideal(&Settings { line: None, ..settings() }), [0.5, 2.0], "one had 0.5 MiB/s");
    }

    #[test]
    fn the_speedup_is_relative_to_one_peer_with_the_spread_of_the_rounds() {
        let cells =
            [measured(Kind::Strong, 1, &[8.0]), measured(Kind::Strong, 4, &[4.0, 2.0, 1.0])];
        let plots = plots(&cells, &settings());
        let chart = plot(&plots, "strong-speedup.svg");
        assert_eq!(chart.series[0].points[1], Point { x: 4.0, y: 4.0, low: 2.0, high: 8.0 });
        assert_eq!(chart.series[1].points[1], Point::at(4.0, 4.0));
    }
}
