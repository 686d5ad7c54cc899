//! The tables of a report: one line a round as CSV, one table a kind of measurement as Markdown.

use super::figures::{all_milliseconds, milliseconds, number, over, request_rate, throughput};
use super::plots::Plot;
use crate::logic::replication::{GRACE, WANTED};
use crate::logic::statistics::Sample;
use crate::ui::eval::cell::{Kind, Measured, Round};
use crate::ui::eval::restore::GRACE as RESTORE_GRACE;
use crate::ui::eval::store::Header;
use crate::ui::render;

/// Every round, with the parameters of its cell.
pub(super) fn csv(cells: &[Measured]) -> String {
    let mut out = String::from(
        "kind,peers,concurrency,size_bytes,files,round,seconds,bytes,mib_per_s,requests,\
         requests_per_s,p50_ms,p90_ms,p99_ms,max_ms\n",
    );
    for Measured { cell, rounds } in cells {
        for (at, round) in rounds.iter().enumerate() {
            let [p50, p90, p99, max] = [0.5, 0.9, 0.99, 1.0].map(|q| milliseconds(round, q));
            out.push_str(&format!(
                "{},{},{},{},{},{},{:.6},{},{:.3},{},{:.3},{p50:.3},{p90:.3},{p99:.3},{max:.3}\n",
                cell.kind.word(),
                cell.peers,
                cell.concurrency,
                cell.size,
                cell.files,
                at + 1,
                round.seconds,
                round.bytes,
                throughput(round),
                round.requests,
                request_rate(round),
            ));
        }
    }
    out
}

/// The whole report for people.
pub(super) fn summary(header: &Header, cells: &[Measured], plots: &[Plot]) -> String {
    let mut out = format!("# parvi eval, {}\n\n{}\n", header.date, conditions(header));
    for (kind, title) in [
        (Kind::Weak, "Weak scaling: each peer fetches files of its own"),
        (Kind::Strong, "Strong scaling: one number of files, divided among the peers"),
        (Kind::Many, "One file to many: seconds until the last has it"),
        (Kind::Search, "Lookups"),
        (Kind::Restore, "Two copies again, behind a node's death"),
    ] {
        let of: Vec<&Measured> = cells.iter().filter(|m| m.cell.kind == kind).collect();
        let begins = format!("{}-", kind.word());
        let plots = plots.iter().filter(|plot| plot.file.starts_with(&begins));
        if !of.is_empty() {
            out.push_str(&format!("\n## {title}\n\n{}", table(kind, &of)));
            plots.for_each(|p| out.push_str(&format!("\n![{}]({})\n", p.chart.title, p.file)));
        }
    }
    out
}

/// Where and how it was measured.
fn conditions(header: &Header) -> String {
    let (machine, settings) = (&header.machine, &header.settings);
    let line = match (settings.compose, settings.line) {
        (true, _) => "nodes that were running already, as they were started".to_owned(),
        (false, Some(line)) => {
            let line = render::size(line);
            format!("processes on this one machine, each with a line of {line}/s up and down")
        }
        (false, None) => "processes on this one machine, without a bound on what they send".into(),
    };
    let copies = match settings.compose {
        true => "The tracker has no copies made.".to_owned(),
        false => format!(
            "The tracker has no copies made, but to restore them: {WANTED} of each file then, {} s after a node\n\
             was last seen (it waits {} s where nothing else is said).",
            RESTORE_GRACE.as_secs(),
            GRACE.as_secs()
        ),
    };
    format!(
        "parvi {} (program {}), {}, {} threads, {} of memory, {}; load {:.2} when it began.\n\
         Tracker and nodes: {line}. Figures are medians of {} rounds behind one that does not count,\n\
         in brackets the smallest and the largest. Seed {}.\n\
         {copies}\n",
        header.version,
        header.build.get(..12).unwrap_or(&header.build),
        machine.cpu,
        machine.cores,
        render::size(machine.memory),
        machine.kernel,
        header.load,
        settings.rounds,
        settings.seed,
    )
}

fn table(kind: Kind, cells: &[&Measured]) -> String {
    let alone =
        cells.first().map_or(0.0, |m| over(m, |r| r.seconds).median() * f64::from(m.cell.peers));
    let line = |words: Vec<String>| format!("| {} |\n", words.join(" | "));
    let head = head(kind);
    let mut out = line(head.iter().map(ToString::to_string).collect());
    out.push_str(&line(head.iter().map(|_| "---:".to_owned()).collect()));
    cells.iter().for_each(|m| out.push_str(&line(row(m, alone))));
    out
}

fn head(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Weak => &["peers", "at once", "file", "MiB/s", "seconds"],
        Kind::Strong => &["peers", "files", "file", "seconds", "times one peer"],
        Kind::Many => &["peers", "file", "last, s", "half, s", "MiB/s received"],
        Kind::Search => {
            &["files", "peers", "at once", "lookups/s", "half, ms", "90 %, ms", "99 %, ms"]
        }
        Kind::Restore => &["nodes", "files", "file", "copies lost", "seconds"],
    }
}

/// What stands below `head`; `alone` is how many seconds one peer would take.
fn row(m: &Measured, alone: f64) -> Vec<String> {
    let [peers, at_once, files] = [m.cell.peers, m.cell.concurrency, m.cell.files].map(count);
    let size = render::size(m.cell.size);
    let figure = |of: &dyn Fn(&Round) -> f64| spread(&over(m, of));
    let seconds = figure(&|r| r.seconds);
    match m.cell.kind {
        Kind::Weak => vec![peers, at_once, size, figure(&throughput), seconds],
        Kind::Strong => {
            vec![peers, files, size, seconds, figure(&|r| alone / r.seconds.max(1e-9))]
        }
        Kind::Many => {
            let half = figure(&|r| milliseconds(r, 0.5) / 1e3);
            vec![peers, size, seconds, half, figure(&throughput)]
        }
        Kind::Search => {
            let all = all_milliseconds(m);
            let quantiles = [0.5, 0.9, 0.99].map(|q| number(all.quantile(q)));
            [files, peers, at_once, figure(&request_rate)].into_iter().chain(quantiles).collect()
        }
        Kind::Restore => vec![peers, files, size, figure(&|r| r.requests as f64), seconds],
    }
}

fn count(number: u32) -> String {
    super::chart::tick(f64::from(number))
}

/// `7.5 (7.1 to 7.9)`.
fn spread(sample: &Sample) -> String {
    let [median, min, max] = [sample.median(), sample.min(), sample.max()].map(number);
    format!("{median} ({min} to {max})")
}

#[cfg(test)]
mod tests {
    use super::super::figures::tests::measured;
    use super::*;
    use crate::io::machine::Machine;
    use crate::ui::eval::settings::tests::settings;

    #[test]
    fn the_csv_has_a_line_for_each_round_with_as_many_columns_as_its_head() {
        let cells = [measured(Kind::Weak, 4, &[2.0, 1.0]), measured(Kind::Search, 1, &[0.5])];
        let text = csv(&cells);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 1 + 3);
        let columns = |line: &str| line.split(',').count();
        assert!(lines.iter().all(|line| columns(line) == columns(lines[0])), "{text}");
        let wanted = "weak,4,2,1048576,10,2,1.000000,8388608,8.000,4,4.000,500.000,1000.000,1000.000,1000.000";
        assert_eq!(lines[2], wanted);
    }

    #[test]
    fn the_summary_names_the_machine_and_has_a_table_of_each_kind_that_was_measured() {
        let machine = Machine {
            cpu: "A Processor".into(),
            cores: 2,
            memory: 1 << 30,
            kernel: "Linux 9".into(),
        };
        let (version, build, date) = ("7".into(), "abc".into(), "2026-11-22".into());
        let header = Header { version, build, date, load: 0.0, machine, settings: settings() };
        let cells =
            [measured(Kind::Strong, 1, &[8.0]), measured(Kind::Strong, 4, &[4.0, 2.0, 1.0])];
        let text = summary(&header, &cells, &[]);
        for wanted in [
            "A Processor, 2 threads, 1.0 GiB of memory, Linux 9",
            "medians of 2 rounds",
            "5 s after a node",
        ] {
            assert!(text.contains(wanted), "{wanted} is not in {text}");
        }
        assert!(
            text.contains("| 4 | 10 | 1.0 MiB | 2.00 (1.00 to 4.00) | 4.00 (2.00 to 8.00) |"),
            "{text}"
        );
        assert!(!text.contains("Weak"), "{text}");
    }
}
