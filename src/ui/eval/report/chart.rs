//! A chart as SVG: lines through points with bars for their spread, two axes, a legend beside them.
//!
//! It is plain text with the viewer's own sans-serif font, dark on white, in colours that the colour-blind
//! tell apart (M. Okabe, K. Ito, 2008). Invariant: what is no number is not drawn; a chart without points has
//! its axes all the same.

use std::fmt::Write;

const COLOURS: [&str; 8] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#56b4e9", "#000000", "#8c564b"];
const INK: &str = "#222222";
const GREY: &str = "#777777";
const GRID: &str = "#e4e4e4";
/// The picture, and the plot in it, in pixels.
const WIDTH: f64 = 850.0;
const HEIGHT: f64 = 460.0;
const LEFT: f64 = 74.0;
const RIGHT: f64 = 590.0;
const TOP: f64 = 64.0;
const BOTTOM: f64 = 400.0;
/// Half of the line across the end of a bar.
const BAR_END: f64 = 4.0;
/// Most lines of the grid on an axis of numbers.
const TICKS_MAX: f64 = 8.0;

/// See the module.
pub(super) struct Chart {
    pub title: String,
    /// A line below the title, on how it was measured.
    pub subtitle: String,
    pub x: Axis,
    pub y: Axis,
    pub series: Vec<Series>,
}

/// What one direction means.
pub(super) struct Axis {
    /// With the unit.
    pub label: String,
    /// Whether equal steps are equal factors; if not, it begins at 0.
    pub is_log: bool,
    /// Where the lines of the grid are; without any, where they fit.
    pub ticks: Vec<f64>,
}

/// A line, or points of one kind.
pub(super) struct Series {
    /// In the legend; not there without one.
    pub name: String,
    pub points: Vec<Point>,
    pub look: Look,
}

/// How a series is drawn; those with equal numbers have equal colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// Points with bars, and a line through them.
    Measured(usize),
    /// A line without points.
    Curve(usize),
    /// What would be best: dashed, in the colour of what was measured.
    Ideal(usize),
    /// For comparison: dotted and grey.
    Other,
}

/// One value with its spread.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    pub x: f64,
    pub y: f64,
    pub low: f64,
    pub high: f64,
}

impl Point {
    /// One without a spread.
    pub(super) fn at(x: f64, y: f64) -> Point {
        Point { x, y, low: y, high: y }
    }
}

/// From values to pixels.
struct Scale {
    is_log: bool,
    from: f64,
    to: f64,
    /// Pixels of both ends.
    pixels: (f64, f64),
}

impl Scale {
    fn of(axis: &Axis, values: impl Iterator<Item = f64>, pixels: (f64, f64)) -> Scale {
        let all = values.chain(axis.ticks.iter().copied());
        let values: Vec<f64> = all.filter(|v| has_place(axis.is_log, *v)).collect();
        let max = values.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        let min = values.iter().copied().fold(max, f64::min);
        let (from, to) = match axis.is_log {
            true => (min / 1.25, max * 1.25),
            false => (0.0, max * 1.06),
        };
        Scale { is_log: axis.is_log, from, to, pixels }
    }

    fn has(&self, value: f64) -> bool {
        has_place(self.is_log, value)
    }

    fn pixel(&self, value: f64) -> f64 {
        let part = match self.is_log {
            true => (value / self.from).ln() / (self.to / self.from).ln(),
            false => (value - self.from) / (self.to - self.from),
        };
        self.pixels.0 + part.clamp(0.0, 1.0) * (self.pixels.1 - self.pixels.0)
    }

    /// Round numbers between both ends.
    fn ticks(&self) -> Vec<f64> {
        let inside = |value: &f64| *value >= self.from && *value <= self.to;
        if self.is_log {
            let decades = (self.from.log10().floor() as i32)..=(self.to.log10().ceil() as i32);
            let all = decades.flat_map(|d| [1.0, 2.0, 5.0].map(|m| m * 10_f64.powi(d)));
            let all: Vec<f64> = all.filter(inside).collect();
            // Over many decades only their beginnings.
            let few = |v: &f64| (v.log10() - v.log10().round()).abs() < 1e-9;
            return if all.len() as f64 > TICKS_MAX + 4.0 {
                all.into_iter().filter(few).collect()
            } else {
                all
            };
        }
        let rough = self.to / TICKS_MAX;
        let power = 10_f64.powf(rough.log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0].map(|m| m * power);
        let step = steps.into_iter().find(|step| *step >= rough).unwrap_or(rough);
        (0..).map(|n| f64::from(n) * step).take_while(inside).collect()
    }
}

/// Whether an axis has a place for `value`.
fn has_place(is_log: bool, value: f64) -> bool {
    value.is_finite() && (!is_log || value > 0.0)
}

impl Chart {
    /// The picture.
    pub(super) fn svg(&self) -> String {
        let points = || self.series.iter().flat_map(|s| &s.points);
        let x = Scale::of(&self.x, points().map(|p| p.x), (LEFT, RIGHT));
        let spread = points().flat_map(|p| [p.y, p.low, p.high]);
        let y = Scale::of(&self.y, spread, (BOTTOM, TOP));
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             width=\"{WIDTH}\" height=\"{HEIGHT}\" font-family=\"Helvetica, Arial, sans-serif\" \
             font-size=\"13\" fill=\"{INK}\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
        );
        words(&mut out, (LEFT, 28.0), "font-size=\"17\" font-weight=\"bold\"", &self.title);
        words(&mut out, (LEFT, 48.0), &format!("font-size=\"12\" fill=\"{GREY}\""), &self.subtitle);
        self.axes(&mut out, &x, &y);
        for series in &self.series {
            series.draw(&mut out, &x, &y);
        }
        let named = self.series.iter().filter(|series| !series.name.is_empty());
        for (at, series) in named.enumerate() {
            series.legend(&mut out, TOP + 10.0 + 22.0 * at as f64);
        }
        out.push_str("</svg>\n");
        out
    }

    fn axes(&self, out: &mut String, x: &Scale, y: &Scale) {
        let ticks = |axis: &Axis, scale: &Scale| match axis.ticks.is_empty() {
            true => scale.ticks(),
            false => axis.ticks.clone(),
        };
        for value in ticks(&self.y, y) {
            let at = y.pixel(value);
            line(out, (LEFT, at), (RIGHT, at), GRID, "");
            words(out, (LEFT - 9.0, at + 4.5), "text-anchor=\"end\"", &tick(value));
        }
        for value in ticks(&self.x, x) {
            let at = x.pixel(value);
            line(out, (at, TOP), (at, BOTTOM), GRID, "");
            words(out, (at, BOTTOM + 20.0), "text-anchor=\"middle\"", &tick(value));
        }
        line(out, (LEFT, TOP), (LEFT, BOTTOM), INK, "");
        line(out, (LEFT, BOTTOM), (RIGHT, BOTTOM), INK, "");
        let middle = f64::midpoint(LEFT, RIGHT);
        words(out, (middle, BOTTOM + 46.0), "text-anchor=\"middle\"", &self.x.label);
        let (left, middle) = (20.0, f64::midpoint(TOP, BOTTOM));
        let turned = format!("text-anchor=\"middle\" transform=\"rotate(-90 {left} {middle})\"");
        words(out, (left, middle), &turned, &self.y.label);
    }
}

impl Series {
    fn draw(&self, out: &mut String, x: &Scale, y: &Scale) {
        let fits = |p: &&Point| x.has(p.x) && [p.y, p.low, p.high].iter().all(|v| y.has(*v));
        let points: Vec<&Point> = self.points.iter().filter(fits).collect();
        let (colour, dashes) = self.look.stroke();
        let path: Vec<String> =
            points.iter().map(|p| format!("{:.1},{:.1}", x.pixel(p.x), y.pixel(p.y))).collect();
        // Writing to a text does not fail.
        let _ = writeln!(
            out,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"{dashes}/>",
            path.join(" ")
        );
        if !matches!(self.look, Look::Measured(_)) {
            return;
        }
        for point in points {
            let (at, low, high) = (x.pixel(point.x), y.pixel(point.low), y.pixel(point.high));
            for (from, to) in [
                ((at, low), (at, high)),
                ((at - BAR_END, low), (at + BAR_END, low)),
                ((at - BAR_END, high), (at + BAR_END, high)),
            ] {
                line(out, from, to, colour, "");
            }
            dot(out, (at, y.pixel(point.y)), colour);
        }
    }

    fn legend(&self, out: &mut String, at: f64) {
        let (colour, dashes) = self.look.stroke();
        let (from, to) = (RIGHT + 16.0, RIGHT + 46.0);
        line(out, (from, at), (to, at), colour, &format!("{dashes} stroke-width=\"2\""));
        if matches!(self.look, Look::Measured(_)) {
            dot(out, (f64::midpoint(from, to), at), colour);
        }
        words(out, (to + 8.0, at + 4.5), "", &self.name);
    }
}

impl Look {
    /// Colour, and how the line is broken.
    fn stroke(self) -> (&'static str, &'static str) {
        let colour = |at: usize| COLOURS[at % COLOURS.len()];
        match self {
            Look::Measured(at) | Look::Curve(at) => (colour(at), ""),
            Look::Ideal(at) => (colour(at), " stroke-dasharray=\"7 5\" stroke-opacity=\"0.75\""),
            Look::Other => (GREY, " stroke-dasharray=\"2 4\""),
        }
    }
}

fn line(out: &mut String, from: (f64, f64), to: (f64, f64), colour: &str, more: &str) {
    let ((x1, y1), (x2, y2)) = (from, to);
    let _ = writeln!(
        out,
        "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{colour}\"{more}/>"
    );
}

fn dot(out: &mut String, (x, y): (f64, f64), colour: &str) {
    let _ = writeln!(out, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{colour}\"/>");
}

fn words(out: &mut String, (x, y): (f64, f64), more: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let _ = writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" {more}>{text}</text>");
}

/// `0.05`, `2`, `10,000`.
pub(super) fn tick(value: f64) -> String {
    if value < 1.0 {
        let text = format!("{value:.3}");
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    let text = format!("{value:.1}");
    let (whole, rest) = text.split_once('.').unwrap_or((&text, "0"));
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if rest == "0" { grouped } else { format!("{grouped}.{rest}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(is_log: bool) -> Axis {
        Axis { label: "files & <more>".into(), is_log, ticks: Vec::new() }
    }

    fn chart(is_log: bool, points: Vec<Point>) -> String {
        let series = Series { name: "one".into(), points, look: Look::Measured(0) };
        let (title, subtitle) = ("title".into(), String::new());
        Chart { title, subtitle, x: axis(is_log), y: axis(is_log), series: vec![series] }.svg()
    }

    #[test]
    fn a_chart_is_well_formed_whatever_its_points() {
        let odd = [f64::NAN, f64::INFINITY, -1.0, 0.0, 1e300, 1.0];
        let odd: Vec<Point> = odd.iter().flat_map(|x| odd.map(|y| Point::at(*x, y))).collect();
        for (is_log, points) in [(true, vec![]), (false, vec![]), (true, odd.clone()), (false, odd)]
        {
            let svg = chart(is_log, points);
            assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
            assert!(svg.contains("files &amp; &lt;more&gt;"), "{svg}");
            let (opened, closed) = (svg.matches("<text").count(), svg.matches("</text>").count());
            assert_eq!(opened, closed);
        }
    }

    #[test]
    fn larger_values_are_higher_and_further_right_on_both_kinds_of_axes() {
        for is_log in [true, false] {
            let values = [1.0, 2.0, 10.0, 1000.0];
            let scale = Scale::of(&axis(is_log), values.into_iter(), (BOTTOM, TOP));
            let pixels = values.map(|v| scale.pixel(v));
            assert!(pixels.windows(2).all(|p| p[1] < p[0]), "{pixels:?}");
            assert!(pixels.iter().all(|p| (TOP..=BOTTOM).contains(p)), "{pixels:?}");
        }
    }

    #[test]
    fn ticks_are_round_numbers_and_not_too_many() {
        let ticks = |is_log, values: [f64; 2]| {
            Scale::of(&axis(is_log), values.into_iter(), (0.0, 1.0)).ticks()
        };
        assert_eq!(ticks(false, [0.0, 7.0]), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
        assert_eq!(ticks(true, [1.0, 10.0]), [1.0, 2.0, 5.0, 10.0]);
        assert_eq!(ticks(true, [0.001, 1e5]).len(), 9, "one each decade");
        for (value, text) in [(0.05, "0.05"), (2.0, "2"), (2.5, "2.5"), (100_000.0, "100,000")] {
            assert_eq!(tick(value), text);
        }
    }
}
