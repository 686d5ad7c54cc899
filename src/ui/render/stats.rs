//! `stats` for people: what is and was in lines, what was measured in one table, who sent in another.
//!
//! Invariant: what never happened on this node has no line of its own, so that it is short.

use super::{duration, size, table};
use crate::logic::statistics::Figures;
use crate::node::view::Stats;

/// Sources listed; the rest is summed.
const SOURCES_SHOWN: usize = 8;

/// All of it.
pub(super) fn stats_text(s: &Stats) -> String {
    let mut out = table(None, lines(s).map(|(what, value)| [what.to_owned(), value]));
    let measured = measured(s);
    if !measured.is_empty() {
        let header = ["", "COUNT", "MEAN", "STDEV", "MIN", "P50", "P99", "MAX"];
        out.push('\n');
        out.push_str(&table(Some(header), measured));
    }
    if s.bytes_down > 0 {
        out.push('\n');
        out.push_str(&table(Some(["SOURCE", "RECEIVED", ""]), sources(s)));
    }
    out
}

fn lines(s: &Stats) -> impl Iterator<Item = (&'static str, String)> {
    let (up, down) = (&s.uploads, s.bytes_arrived.saturating_sub(s.bytes_down));
    let up_for = duration(s.uptime_s);
    let counted = match s.counted_s.abs_diff(s.uptime_s) {
        // They are not taken at the same moment.
        0 | 1 => up_for,
        _ => with(format!("{up_for}; counted: {}", duration(s.counted_s)), &[(s.starts, "starts")]),
    };
    let ended = [
        (up.done, "done"),
        (up.cancelled, "cancelled"),
        (up.gone, "without their file"),
        (up.expired, "expired"),
        (s.retries.uploads_reopened, "times opened again"),
        (up.interrupted, "times interrupted"),
    ];
    let downloads = [
        (s.downloads_failed, "failed"),
        (s.downloads_cancelled, "cancelled"),
        (s.retries.downloads_reopened, "times opened again"),
    ];
    let knocks = format!("{}, {} answered", s.retries.knocks, s.retries.knocks_answered);
    let corrupt = [(s.corrupt_chunks, "corrupt chunks")];
    [
        Some(("up for", counted)),
        Some(("files shared", shared(s))),
        Some(("index", index(s))),
        Some(("peers", s.peers.to_string())),
        Some(("searches", format!("{} asked, {} answered", s.lookups, s.searches_answered))),
        Some(("downloads", with(format!("{} done", s.downloads_done), &downloads))),
        Some((
            "received",
            with(format!("{}, {} in vain", size(s.bytes_down), size(down)), &corrupt),
        )),
        (s.throughput > 0.0).then(|| ("throughput", format!("{}/s", size(s.throughput as u64)))),
        Some(("uploads", with(format!("{} begun", up.begun), &ended))),
        Some(("sent", size(s.bytes_up))),
        (s.retries.knocks > 0).then_some(("knocks", knocks)),
        Some(("log of uploads", log(s))),
    ]
    .into_iter()
    .flatten()
}

/// `first`, and what else there was.
fn with(first: String, others: &[(u64, &str)]) -> String {
    let others = others.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}"));
    std::iter::once(first).chain(others).collect::<Vec<_>>().join(", ")
}

/// How many files, and whether there will be more.
fn shared(s: &Stats) -> String {
    let more = match (s.hashing, s.looking) {
        (0, false) => String::new(),
        (0, true) => ", still looking".into(),
        (hashing, _) => format!(", {hashing} to be hashed"),
    };
    format!("{} ({}){more}", s.files, size(s.file_bytes))
}

fn index(s: &Stats) -> String {
    let i = &s.index;
    let (records, cache) = (i.records, size(i.cache_bytes));
    format!("{records} files, {} with chunk hashes, {cache} on the disk", i.manifests)
}

fn log(s: &Stats) -> String {
    let w = &s.wal;
    let first = format!("{} records, {}, {} syncs", w.appends, size(w.bytes), w.syncs);
    with(first, &[(w.checkpoints, "checkpoints"), (w.recovered, "records recovered")])
}

/// A row for each kind of measurement that there are any of.
fn measured(s: &Stats) -> Vec<[String; 8]> {
    let ms = |x: f64| format!("{x:.1} ms");
    let seconds = |x: f64| format!("{x:.2} s");
    let rate = |x: f64| format!("{}/s", size(x as u64));
    let rows = [
        row("first owner", &s.first_owner_ms, ms),
        row("search time", &s.search_ms, ms),
        row("download time", &s.download_s, seconds),
        row("download speed", &s.download_rate, rate),
    ];
    rows.into_iter().flatten().collect()
}

fn row(what: &str, f: &Figures, unit: impl Fn(f64) -> String) -> Option<[String; 8]> {
    let [mean, stdev, min, p50, p99, max] = [f.mean, f.stdev, f.min, f.p50, f.p99, f.max].map(unit);
    let row = [what.to_owned(), f.count.to_string(), mean, stdev, min, p50, p99, max];
    (f.count > 0).then_some(row)
}

fn sources(s: &Stats) -> Vec<[String; 3]> {
    let one = |who: String, bytes: u64| {
        let percent = (u128::from(bytes) * 100).checked_div(u128::from(s.bytes_down));
        [who, size(bytes), format!("{} %", percent.unwrap_or(0))]
    };
    let shown = s.sources.iter().take(SOURCES_SHOWN);
    let mut rows: Vec<_> = shown.map(|source| one(source.node.to_string(), source.bytes)).collect();
    let rest = s.sources.iter().skip(SOURCES_SHOWN).map(|source| source.bytes).sum::<u64>();
    let rest = rest + s.other_sources;
    rows.extend((rest > 0).then(|| one("others".into(), rest)));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::statistics::{Log, Retries, Statistics, Uploads};

    #[test]
    fn a_node_that_has_done_nothing_says_so_in_a_few_lines() {
        let text =
            stats_text(&Stats { uptime_s: 61, counted_s: 60, starts: 1, ..Stats::default() });
        let wanted = "\
up for          1m 1s
files shared    0 (0 B)
index           0 files, 0 with chunk hashes, 0 B on the disk
peers           0
searches        0 asked, 0 answered
downloads       0 done
received        0 B, 0 B in vain
uploads         0 begun
sent            0 B
log of uploads  0 records, 0 B, 0 syncs
";
        assert_eq!(text, wanted);
    }

    #[test]
    fn all_that_was_counted_and_measured_is_in_lines_and_in_tables() {
        let mut all = Statistics { starts: 3, ran_ms: 3_600_000, ..Statistics::default() };
        [1.0, 3.0].into_iter().for_each(|ms| all.searches.whole_ms.add(ms));
        all.downloads.ended(4 << 20, 2.0);
        (all.downloads.arrived, all.downloads.corrupt) = (5 << 20, 2);
        (all.downloads.failed, all.downloads.cancelled) = (1, 0);
        for (node, mib) in [("alice", 3), ("bob", 1)] {
            all.downloads.sources.add(&node.parse().unwrap(), mib << 20);
        }
        all.uploads = Uploads { begun: 9, done: 4, gone: 1, interrupted: 2, ..Uploads::default() };
        all.log = Log { appends: 7, bytes: 1_024, syncs: 5, checkpoints: 0, recovered: 3 };
        all.retries = Retries { knocks: 6, knocks_answered: 5, ..Retries::default() };
        let text = stats_text(&Stats { uptime_s: 5, ..Stats::of(&all) });
        for line in [
            "up for          5s; counted: 1h, 3 starts\n",
            "downloads       1 done, 1 failed\n",
            "received        4.0 MiB, 1.0 MiB in vain, 2 corrupt chunks\n",
            "throughput      2.0 MiB/s\n",
            "uploads         9 begun, 4 done, 1 without their file, 2 times interrupted\n",
            "knocks          6, 5 answered\n",
            "log of uploads  7 records, 1.0 KiB, 5 syncs, 3 records recovered\n",
            "                COUNT  MEAN       STDEV   MIN        P50        P99        MAX\n",
            "search time     2      2.0 ms     1.4 ms  1.0 ms     1.0 ms     3.0 ms     3.0 ms\n",
            "download speed  1      2.0 MiB/s  0 B/s   2.0 MiB/s  2.0 MiB/s  2.0 MiB/s  2.0 MiB/s\n",
            "\nSOURCE  RECEIVED\nalice   3.0 MiB   75 %\nbob     1.0 MiB   25 %\n",
        ] {
            assert!(text.contains(line), "{line}in\n{text}");
        }
        assert!(!text.contains("first owner"), "{text}");
    }

    #[test]
    fn of_many_sources_the_largest_are_shown_and_the_rest_is_summed() {
        let mut all = Statistics::default();
        for n in 0..SOURCES_SHOWN as u64 + 3 {
            all.downloads.sources.add(&format!("node{n}").parse().unwrap(), 1_000 - n);
        }
        let text = stats_text(&Stats { other_sources: 1, ..Stats::of(&all) });
        let rows = text.split_once("SOURCE").unwrap().1.lines().count() - 1;
        assert_eq!(rows, SOURCES_SHOWN + 1, "{text}");
        assert!(text.contains("others  2.9 KiB   27 %\n"), "{text}");
    }

    #[test]
    fn while_it_looks_through_its_folders_it_says_so() {
        for (hashing, looking, said) in [
            (0, false, "0 (0 B)\n"),
            (0, true, "0 (0 B), still looking\n"),
            (7, true, ", 7 to be hashed\n"),
        ] {
            let text = stats_text(&Stats { hashing, looking, ..Stats::default() });
            assert!(text.contains(said), "{text}");
        }
    }
}
