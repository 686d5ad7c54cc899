//! The plot: how far from the bound, and what the first owner sends, over the number of requesters.

use std::fmt::Write;

use crate::table::Row;

const COLOURS: [&str; 6] = ["#1b6ca8", "#d1495b", "#2e933c", "#8f5db7", "#c77d0a", "#444444"];
/// Size of a panel, and where the first one begins.
const WIDTH: f64 = 330.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 55.0;
const TOP: f64 = 40.0;
/// From one panel to the next.
const STEP: f64 = 420.0;

/// A line of the plot.
struct Curve {
    name: String,
    points: Vec<(f64, f64)>,
}

/// Both panels.
pub(crate) fn svg(rows: &[Row]) -> String {
    let mut out = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 850 400\" \
         font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"850\" height=\"400\" fill=\"white\"/>\n",
    );
    let fast = curves(rows, |row| row.fast);
    let sent = curves(rows, |row| row.first_sent);
    panel(&mut out, 0, "time until the last at full rate is done / bound", &fast);
    panel(&mut out, 1, "bytes sent by the first owner / file", &sent);
    for (at, curve) in fast.iter().enumerate() {
        let (x, y) = (LEFT + 200.0 * (at % 4) as f64, 345.0 + 20.0 * (at / 4) as f64);
        let colour = COLOURS[at % COLOURS.len()];
        text(&mut out, (x + 26.0, y), "start", &curve.name);
        line(&mut out, (x, y - 4.0), (x + 20.0, y - 4.0), colour);
    }
    out.push_str("</svg>\n");
    out
}

/// One curve for each kind of lines and latency: the mean over the seeds.
fn curves(rows: &[Row], value: impl Fn(&Row) -> f64) -> Vec<Curve> {
    let mut names: Vec<String> = Vec::new();
    for row in rows {
        if !names.contains(&name(row)) {
            names.push(name(row));
        }
    }
    let curve = |name_: String| {
        let of: Vec<&Row> = rows.iter().filter(|row| name(row) == name_).collect();
        let mut sizes: Vec<usize> = of.iter().map(|row| row.nodes).collect();
        sizes.sort_unstable();
        sizes.dedup();
        let mean = |size: usize| {
            let values: Vec<f64> =
                of.iter().filter(|row| row.nodes == size).map(|row| value(row)).collect();
            values.iter().sum::<f64>() / values.len() as f64
        };
        let points = sizes.into_iter().map(|size| (size as f64, mean(size))).collect();
        Curve { name: name_, points }
    };
    names.into_iter().map(curve).collect()
}

fn name(row: &Row) -> String {
    let owners = if row.sources == 1 { String::new() } else { format!(", {} owners", row.sources) };
    format!("{}, {} chunks, {} ms{owners}", row.scene, row.chunks, row.latency_ms)
}

fn panel(out: &mut String, at: usize, title: &str, curves: &[Curve]) {
    let left = LEFT + STEP * at as f64;
    let values = curves.iter().flat_map(|curve| &curve.points);
    let highest = values.clone().map(|(_, y)| *y).fold(1.5, f64::max).mul_add(1.05, 0.0);
    let widest = values.map(|(x, _)| x.log2()).fold(4.0, f64::max).ceil();
    let x = |nodes: f64| left + (nodes.log2() - 2.0) / (widest - 2.0) * WIDTH;
    let y = |value: f64| TOP + HEIGHT - value / highest * HEIGHT;
    text(out, (left + WIDTH / 2.0, TOP - 15.0), "middle", title);
    line(out, (left, TOP), (left, TOP + HEIGHT), "#000000");
    line(out, (left, TOP + HEIGHT), (left + WIDTH, TOP + HEIGHT), "#000000");
    let tick = [0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0];
    let tick = tick.into_iter().find(|t| highest / t <= 8.0).unwrap_or(highest / 4.0);
    let mut value = 0.0;
    while value <= highest {
        let colour = if value == 1.0 { "#888888" } else { "#dddddd" };
        line(out, (left, y(value)), (left + WIDTH, y(value)), colour);
        text(out, (left - 6.0, y(value) + 4.0), "end", &format!("{value}"));
        value += tick;
    }
    let mut nodes = 8.0_f64;
    while nodes.log2() <= widest {
        text(out, (x(nodes), TOP + HEIGHT + 16.0), "middle", &format!("{nodes}"));
        nodes *= 8.0;
    }
    text(out, (left + WIDTH / 2.0, TOP + HEIGHT + 34.0), "middle", "requesters");
    for (curve, colour) in curves.iter().zip(COLOURS.iter().cycle()) {
        for pair in curve.points.windows(2) {
            line(out, (x(pair[0].0), y(pair[0].1)), (x(pair[1].0), y(pair[1].1)), colour);
        }
        for (nodes, value) in &curve.points {
            let (x, y) = (x(*nodes), y(*value));
            // Writing to a text does not fail.
            let _ =
                writeln!(out, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>");
        }
    }
}

fn line(out: &mut String, from: (f64, f64), to: (f64, f64), colour: &str) {
    let ((x1, y1), (x2, y2)) = (from, to);
    let _ = writeln!(
        out,
        "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{colour}\" \
         stroke-width=\"1.5\"/>"
    );
}

fn text(out: &mut String, at: (f64, f64), anchor: &str, words: &str) {
    let (x, y) = at;
    let _ =
        writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>");
}
