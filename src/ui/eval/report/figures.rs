//! The figures of a cell: each is a sample over the rounds, with its median and its spread.

use crate::logic::statistics::Sample;
use crate::ui::eval::cell::{Kind, Measured, Round};

/// Bytes of a MiB.
const MIB: f64 = (1 << 20) as f64;

/// One figure over the rounds of a cell.
pub(super) fn over(measured: &Measured, figure: impl Fn(&Round) -> f64) -> Sample {
    Sample::of(measured.rounds.iter().map(figure))
}

/// MiB a second of all peers together.
pub(super) fn throughput(round: &Round) -> f64 {
    round.bytes as f64 / MIB / round.seconds.max(1e-9)
}

/// Requests a second of all peers together.
pub(super) fn request_rate(round: &Round) -> f64 {
    round.requests as f64 / round.seconds.max(1e-9)
}

/// Milliseconds within which a part `q` of the requests was done.
pub(super) fn milliseconds(round: &Round, q: f64) -> f64 {
    Sample::of(round.times.iter().copied()).quantile(q) * 1e3
}

/// The times of all rounds' requests, milliseconds.
pub(super) fn all_milliseconds(measured: &Measured) -> Sample {
    Sample::of(measured.rounds.iter().flat_map(|round| &round.times).map(|s| s * 1e3))
}

/// A cell's result in a few words.
pub(in crate::ui::eval) fn result(measured: &Measured) -> String {
    match measured.cell.kind {
        Kind::Weak => spread(&over(measured, throughput), "MiB/s"),
        Kind::Strong | Kind::Many | Kind::Restore => spread(&over(measured, |r| r.seconds), "s"),
        Kind::Search => spread(&over(measured, |r| milliseconds(r, 0.5)), "ms"),
    }
}

/// `7.5 MiB/s (7.1 to 7.9)`.
fn spread(sample: &Sample, unit: &str) -> String {
    let [median, min, max] = [sample.median(), sample.min(), sample.max()].map(number);
    format!("{median} {unit} ({min} to {max})")
}

/// With three digits that mean something, as far as there is something behind the point.
pub(super) fn number(value: f64) -> String {
    let decimals = match value.abs() {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 1.0 || v == 0.0 => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::ui::eval::cell::Cell;

    /// A cell whose rounds took so many seconds.
    pub(crate) fn measured(kind: Kind, peers: u32, seconds: &[f64]) -> Measured {
        let cell = Cell { kind, peers, concurrency: 2, size: 1 << 20, files: 10 };
        let round = |&seconds: &f64| Round {
            seconds,
            bytes: u64::from(peers) << 21,
            requests: 4,
            times: [1.0, 2.0, 3.0, 4.0].map(|part| seconds * part / 4.0).to_vec(),
        };
        Measured { cell, rounds: seconds.iter().map(round).collect() }
    }

    #[test]
    fn a_result_is_the_median_with_the_extremes() {
        let weak = measured(Kind::Weak, 4, &[2.0, 1.0, 4.0]);
        assert_eq!(result(&weak), "4.00 MiB/s (2.00 to 8.00)");
        assert_eq!(result(&measured(Kind::Many, 4, &[2.0, 1.0])), "1.50 s (1.00 to 2.00)");
        assert_eq!(result(&measured(Kind::Search, 1, &[0.5])), "250 ms (250 to 250)");
        assert_eq!(over(&weak, request_rate).max(), 4.0);
    }

    #[test]
    fn numbers_have_three_digits() {
        let table =
            [(0.0, "0.00"), (0.0123, "0.012"), (1.234, "1.23"), (12.34, "12.3"), (1234.5, "1234")];
        for (value, text) in table {
            assert_eq!(number(value), text);
        }
    }
}
