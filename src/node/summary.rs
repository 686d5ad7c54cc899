//! A finished download in one line, for people.
//!
//! Invariant: shares are of the bytes that came from others; what was here already is said to be.

use std::collections::BTreeMap;

use super::view::DownloadReport;
use crate::base::Name;

/// Bytes that came from others, and seconds to the last of them.
pub(super) fn measure(reports: &[DownloadReport]) -> (u64, f64) {
    let bytes = reports.iter().flat_map(|r| &r.sources).map(|s| s.bytes).sum();
    (bytes, reports.iter().map(|r| r.seconds).fold(0.0, f64::max))
}

/// `report.pdf done: 12.0 MiB in 0.4 s (30.0 MiB/s) from alice 40 %, bob 60 %`
pub fn summary(name: &Name, reports: &[DownloadReport]) -> String {
    let bytes: u64 = reports.iter().map(|r| r.bytes).sum();
    let seconds = reports.iter().map(|r| r.seconds).fold(0.0, f64::max);
    let mut by_node: BTreeMap<&str, u64> = BTreeMap::new();
    for source in reports.iter().flat_map(|r| &r.sources) {
        *by_node.entry(source.node.as_str()).or_default() += source.bytes;
    }
    let sent: u64 = by_node.values().sum();
    if sent == 0 {
        return format!("{name} done: {} was here already", bytesize::ByteSize(bytes));
    }
    let shares: Vec<String> = by_node
        .iter()
        .map(|(node, n)| format!("{node} {} %", (n * 100 + sent / 2) / sent))
        .collect();
    let rate = bytesize::ByteSize((sent as f64 / seconds.max(0.001)) as u64);
    let files =
        if reports.len() == 1 { String::new() } else { format!("{} files, ", reports.len()) };
    format!(
        "{name} done: {files}{} in {seconds:.1} s ({rate}/s) from {}",
        bytesize::ByteSize(bytes),
        shares.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Root;
    use crate::node::view::Source;

    fn report(sources: &[(&str, u64)]) -> DownloadReport {
        DownloadReport {
            name: "a".parse().unwrap(),
            root: Root::of(b""),
            path: "a".into(),
            bytes: 2 << 20,
            seconds: 2.0,
            sources: sources
                .iter()
                .map(|(n, bytes)| Source { node: n.parse().unwrap(), bytes: *bytes })
                .collect(),
        }
    }

    #[test]
    fn the_summary_says_how_much_how_fast_and_from_whom() {
        let name = "a".parse().unwrap();
        let line = summary(&name, &[report(&[("alice", 1 << 20), ("bob", 1 << 20)])]);
        assert_eq!(line, "a done: 2.0 MiB in 2.0 s (1.0 MiB/s) from alice 50 %, bob 50 %");
        assert_eq!(summary(&name, &[report(&[])]), "a done: 2.0 MiB was here already");
    }
}
