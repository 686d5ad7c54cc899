//! Several files at once over the same lines: what of the first owners' lines would be fair to each, and how
//! far from that it was.
//!
//! No file counts more than one, since those who fetch it pass it on to each other, and no requester either,
//! whatever number of files it fetches: each file counts as much as is possible within that, the least of
//! them first (max-min). Those who are not done share the first owner's line in that proportion; as soon as
//! one file is out, the others share the rest. A file's fair time is when the last of it is out then, and as
//! much more as its last chunk takes to everybody.

use serde::{Deserialize, Serialize};

use crate::plan::{Fetched, Outcome, Plan, RATE};

/// One file of several.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct FileRow {
    pub(crate) chunks: u32,
    pub(crate) nodes: usize,
    /// The first machine that fetches it.
    pub(crate) first: usize,
    /// Seconds until the last requester had it, and what would have been fair.
    pub(crate) took: f64,
    pub(crate) fair: f64,
}

/// Every file of a run, if there are several.
pub(crate) fn rows(plan: &Plan, outcome: &Outcome) -> Vec<FileRow> {
    if plan.others.is_empty() {
        return Vec::new();
    }
    let files = plan.files();
    let times = files.iter().zip(fair(&files)).zip(&outcome.files);
    let row = |((of, fair), took): ((&Fetched, f64), &f64)| FileRow {
        chunks: of.chunks,
        nodes: of.nodes,
        first: of.first,
        took: *took,
        fair,
    };
    times.map(row).collect()
}

/// Jain's index of how fast the files were, each against what is fair: 1 when all are equally far from it
/// (Jain, Chiu, Hawe, 1984).
pub(crate) fn jain(rows: &[FileRow]) -> f64 {
    let speeds = || rows.iter().map(|row| row.fair / row.took);
    speeds().sum::<f64>().powi(2) / (rows.len() as f64 * speeds().map(|x| x * x).sum::<f64>())
}

/// A line for each file.
pub(crate) fn lines(rows: &[FileRow]) -> String {
    let line = |row: &FileRow| {
        let last = row.first + row.nodes.max(1) - 1;
        format!(
            "  {} chunks, requesters {}-{last}: {:.2} s, fair {:.2} s, {:.2}",
            row.chunks,
            row.first,
            row.took,
            row.fair,
            row.took / row.fair
        )
    };
    let jain = format!("  Jain {:.3}", jain(rows));
    rows.iter().map(line).chain([jain]).collect::<Vec<_>>().join("\n")
}

/// Fair seconds of each file, with one first owner.
fn fair(files: &[Fetched]) -> Vec<f64> {
    let mut left: Vec<f64> = files.iter().map(|of| of.bytes() as f64).collect();
    let mut ends = vec![0.0; files.len()];
    let mut now = 0.0;
    loop {
        let weights = weights(files, &left);
        let sum: f64 = weights.iter().sum();
        let lasts = |at: usize| left[at] / (RATE * weights[at] / sum);
        let going = (0..files.len()).filter(|at| weights[*at] > 0.0);
        let Some(next) = going.clone().min_by(|a, b| lasts(*a).total_cmp(&lasts(*b))) else {
            break;
        };
        let step = lasts(next);
        now += step;
        for at in going.collect::<Vec<_>>() {
            left[at] -= RATE * weights[at] / sum * step;
            // Less than a byte is an error of rounding.
            if at == next || left[at] < 1.0 {
                (left[at], ends[at]) = (0.0, now);
            }
        }
    }
    let hops = |of: &Fetched| f64::from(of.nodes.max(1).ilog2()) / f64::from(of.chunks);
    files.iter().zip(ends).map(|(of, end)| end * (1.0 + hops(of))).collect()
}

/// What each file counts, of those of which something is `left`: all grow together until some of them have
/// all that their requesters together may have, and those stay.
fn weights(files: &[Fetched], left: &[f64]) -> Vec<f64> {
    let mut weights = vec![0.0; files.len()];
    let mut growing: Vec<usize> = (0..files.len()).filter(|at| left[*at] > 0.0).collect();
    let wanted = growing.clone();
    while !growing.is_empty() {
        // Any files among them are tight first; a file alone counts no more than one.
        let some = (1..1_u32 << wanted.len()).map(|bits| -> Vec<usize> {
            let chosen = wanted.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1);
            chosen.map(|(_, at)| *at).collect()
        });
        let room = |of: &Vec<usize>| {
            let most = requesters(files, of).min(of.len()) as f64;
            let (grow, stay): (Vec<usize>, Vec<usize>) =
                of.iter().partition(|at| growing.contains(at));
            let stay: f64 = stay.iter().map(|at| weights[*at]).sum();
            (!grow.is_empty()).then(|| ((most - stay) / grow.len() as f64, grow))
        };
        let tight = some.filter_map(|of| room(&of)).min_by(|a, b| a.0.total_cmp(&b.0));
        let Some((level, full)) = tight else { break };
        full.iter().for_each(|at| weights[*at] = level);
        growing.retain(|at| !full.contains(at));
    }
    weights
}

/// How many machines fetch any of them.
fn requesters(files: &[Fetched], of: &[usize]) -> usize {
    let machines = of.iter().flat_map(|at| files[*at].first..files[*at].first + files[*at].nodes);
    machines.collect::<std::collections::BTreeSet<_>>().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(chunks: u32, nodes: usize, first: usize) -> Fetched {
        Fetched { chunks, nodes, first }
    }

    /// In chunks' times of the whole line, without hops.
    fn shares(files: &[Fetched]) -> Vec<f64> {
        let chunk = of(1, 1, 0).bytes() as f64 / RATE;
        let hops = |of: &Fetched| 1.0 + f64::from(of.nodes.ilog2()) / f64::from(of.chunks);
        fair(files).iter().zip(files).map(|(end, of)| (end / hops(of) / chunk).round()).collect()
    }

    #[test]
    fn files_share_the_line_and_who_fetches_several_counts_once() {
        assert_eq!(shares(&[of(64, 8, 0), of(64, 1, 8)]), [128.0, 128.0]);
        assert_eq!(shares(&[of(256, 64, 0), of(64, 1, 64)]), [320.0, 128.0]);
        assert_eq!(shares(&[of(64, 8, 0), of(64, 8, 0)]), [128.0, 128.0]);
        // Two files for one requester, a third for another: each has half of the line.
        assert_eq!(shares(&[of(60, 1, 0), of(60, 1, 0), of(60, 1, 1)]), [180.0, 180.0, 120.0]);
        // One of eight fetches a second file, too.
        assert_eq!(shares(&[of(64, 8, 0), of(64, 1, 0)]), [128.0, 128.0]);
    }
}
