//! Against exact computation, with tables and with dice.

use super::*;
use crate::logic::dice::{Dice, rounds};

/// A number of any size that a sketch tells apart.
fn number(dice: &mut Dice) -> f64 {
    let fine = 1.0 + dice.below(1 << 30) as f64 / (1_u64 << 30) as f64;
    fine * 2_f64.powi(dice.below(69) as i32 - 20)
}

/// Many of them, often alike or close to each other.
fn numbers(dice: &mut Dice) -> Vec<f64> {
    let (count, likely) = (1 + dice.below(400), number(dice));
    let one = |dice: &mut Dice| match dice.below(3) {
        0 => likely,
        1 => likely * (1.0 + dice.below(100) as f64 / 1_000.0),
        _ => number(dice),
    };
    (0..count).map(|_| one(dice)).collect()
}

fn summary(numbers: &[f64]) -> Summary {
    let mut summary = Summary::default();
    numbers.iter().for_each(|x| summary.add(*x));
    summary
}

#[track_caller]
fn is_near(found: f64, exact: f64, error: f64) {
    assert!((found - exact).abs() <= exact.abs() * error, "{found} for {exact}");
}

/// What a summary must say of these, which are sorted.
#[track_caller]
fn check(figures: Figures, sorted: &[f64]) {
    let n = sorted.len() as f64;
    let mean = sorted.iter().sum::<f64>() / n;
    let squares: f64 = sorted.iter().map(|x| (x - mean) * (x - mean)).sum();
    let stdev = (squares / (n - 1.0).max(1.0)).sqrt();
    let extremes = (sorted[0], sorted[sorted.len() - 1]);
    assert_eq!(
        (figures.count, figures.min, figures.max),
        (sorted.len() as u64, extremes.0, extremes.1)
    );
    is_near(figures.mean, mean, 1e-9);
    assert!((figures.stdev - stdev).abs() <= 1e-6 * stdev + 1e-12 * mean, "{figures:?}, {stdev}");
    for (q, found) in [(0.5, figures.p50), (0.99, figures.p99)] {
        let rank = (n * q).ceil() as usize;
        is_near(found, sorted[rank - 1], RELATIVE_ERROR * (1.0 + 1e-9));
    }
}

#[test]
fn figures_are_those_of_all_numbers_within_the_error_however_they_were_merged() {
    rounds(|dice| {
        let mut all = numbers(dice);
        let (left, right) = all.split_at(dice.below(all.len() as u64 + 1) as usize);
        let (mut merged, other) = (summary(left), summary(right));
        merged.merge(&other);
        let whole = summary(&all);
        assert_eq!(merged.sketch, whole.sketch);
        all.sort_by(f64::total_cmp);
        check(whole.figures(), &all);
        check(merged.figures(), &all);
        assert!(whole.is_sound() && merged.is_sound());
    });
}

#[test]
fn a_small_spread_around_a_large_mean_is_not_lost() {
    let offset = 1e9;
    let figures = summary(&[4.0, 7.0, 13.0, 16.0].map(|x| x + offset)).figures();
    assert_eq!((figures.mean, figures.stdev), (offset + 10.0, 30_f64.sqrt()));
}

#[test]
fn none_and_one_and_what_is_no_number_have_figures_too() {
    assert_eq!(Summary::default().figures(), Figures::default());
    let mut one = Summary::default();
    [f64::NAN, f64::INFINITY, 3.0, f64::NEG_INFINITY].into_iter().for_each(|x| one.add(x));
    let three = Figures { count: 1, mean: 3.0, stdev: 0.0, min: 3.0, max: 3.0, p50: 3.0, p99: 3.0 };
    assert_eq!(one.figures(), three);
}

#[test]
fn a_sketch_is_bounded_and_takes_what_is_too_small_or_too_large_as_its_ends() {
    let mut sketch = Sketch::default();
    let ends = [-1.0, 0.0, f64::MIN_POSITIVE, 2_f64.powi(-21), 2_f64.powi(51), f64::MAX];
    ends.into_iter().for_each(|x| sketch.add(x));
    assert!(sketch.is_sound() && sketch.count() == 6);
    is_near(sketch.quantile(0.5).unwrap(), 2_f64.powi(-20), 2.0 * RELATIVE_ERROR);
    is_near(sketch.quantile(1.0).unwrap(), 2_f64.powi(50), 2.0 * RELATIVE_ERROR);
    assert_eq!(Sketch::default().quantile(0.5), None);
    let mut negative = Sketch::default();
    negative.add(-1.0);
    is_near(negative.quantile(1.0).unwrap(), 2_f64.powi(-20), 2.0 * RELATIVE_ERROR);
    let mut x = 2_f64.powi(-22);
    while x < 2_f64.powi(52) {
        sketch.add(x);
        x *= 1.001;
    }
    assert!(sketch.is_sound());
    let text = serde_json::to_string(&sketch).unwrap();
    assert!(text.matches(':').count() <= usize::from(BUCKETS), "{}", text.len());
}

#[test]
fn of_many_sources_the_large_ones_are_listed_and_nothing_is_lost() {
    rounds(|dice| {
        let label = |n: u64| format!("node{n}").parse().unwrap();
        let (mut halves, mut exact) = ([Sources::default(), Sources::default()], [0; 100]);
        // A few bring more than all others together.
        for (n, sum) in (0_u64..).zip(&mut exact) {
            for _ in 0..dice.below(4) {
                let bytes = if n < 5 { 1_000_000 } else { 1 + dice.below(900) };
                halves[dice.below(2) as usize].add(&label(n), bytes);
                *sum += bytes;
            }
        }
        let [mut sources, other] = halves;
        sources.merge(&other);
        assert!(sources.is_sound());
        assert_eq!(sources.total(), exact.iter().sum::<u64>());
        let listed = sources.listed();
        assert!(listed.is_sorted_by(|a, b| a.1 >= b.1));
        for (n, sum) in (0_u64..).zip(exact) {
            let found = listed.iter().find(|(node, _)| **node == label(n)).map_or(0, |row| row.1);
            assert!(found <= sum && (n >= 5 || found == sum), "node{n}: {found} of {sum}");
        }
    });
}

#[test]
fn throughput_is_all_bytes_by_all_seconds_and_what_was_here_already_is_no_measurement() {
    let mut downloads = Downloads::default();
    assert_eq!(downloads.throughput(), 0.0);
    downloads.ended(0, 5.0);
    downloads.ended(3_000, 1.0);
    downloads.ended(1_000, 3.0);
    assert_eq!((downloads.done, downloads.throughput()), (3, 1_000.0));
    assert_eq!(downloads.rate.figures().count, 2);
    assert_eq!(downloads.rate.figures().mean, (3_000.0 + 1_000.0 / 3.0) / 2.0);
}

#[test]
fn every_end_of_an_upload_and_of_a_knock_counts_once() {
    let mut uploads = Uploads::default();
    let cancelled = End::Cancelled(crate::wire::Text::of("no"));
    [End::Done, cancelled, End::Gone, End::Expired, End::Crowded]
        .iter()
        .for_each(|e| uploads.ended(e));
    [true, false, false].into_iter().for_each(|is_done| uploads.left(is_done));
    let wanted = Uploads { done: 2, cancelled: 3, gone: 1, expired: 2, ..Uploads::default() };
    assert_eq!(uploads, wanted);
    let mut retries = Retries::default();
    let no = String::new;
    let answers = [Answer::Coming, Answer::Done, Answer::Cancelled(no()), Answer::Later(no())];
    answers
        .iter()
        .chain(&[Answer::Away(no()), Answer::NotTried(no())])
        .for_each(|a| retries.knocked(a));
    assert_eq!((retries.knocks, retries.knocks_answered), (5, 4));
}

/// Something in every part.
fn full() -> Statistics {
    let mut s = Statistics { starts: 1, ran_ms: 2, ..Statistics::default() };
    (s.searches.asked, s.searches.answered) = (3, 4);
    s.searches.first_ms.add(5.0);
    s.searches.whole_ms.add(6.5);
    s.downloads.ended(700, 0.5);
    (s.downloads.failed, s.downloads.cancelled) = (8, 9);
    (s.downloads.arrived, s.downloads.corrupt) = (1_000, 11);
    s.downloads.sources.add(&"alice".parse().unwrap(), 700);
    s.uploads = Uploads {
        begun: 12,
        done: 13,
        cancelled: 14,
        gone: 15,
        expired: 16,
        interrupted: 17,
        bytes: 18,
    };
    s.log = Log { appends: 19, bytes: 20, syncs: 21, checkpoints: 22, recovered: 23 };
    s.retries =
        Retries { knocks: 24, knocks_answered: 25, uploads_reopened: 26, downloads_reopened: 27 };
    s
}

#[test]
fn statistics_merge_in_every_part_and_are_read_as_they_were_written() {
    let one = full();
    let mut sum = Statistics::default();
    sum.merge(&one);
    assert_eq!(sum, one, "nothing and one is that one");
    sum.merge(&one);
    let value = |s: &Statistics| serde_json::to_value(s).unwrap();
    let (once, twice) = (value(&one), value(&sum));
    for part in ["log", "retries", "uploads"] {
        for (name, n) in once[part].as_object().unwrap() {
            assert_eq!(twice[part][name].as_u64(), n.as_u64().map(|n| 2 * n), "{part}.{name}");
        }
    }
    for (part, names) in [
        ("searches", vec!["asked", "answered"]),
        ("downloads", vec!["done", "failed", "cancelled", "arrived", "corrupt"]),
    ] {
        for name in names {
            let n = once[part][name].as_u64().unwrap();
            assert_eq!(twice[part][name], 2 * n, "{part}.{name}");
        }
    }
    assert_eq!((sum.starts, sum.ran_ms, sum.downloads.sources.total()), (2, 4, 1_400));
    let summaries = [&sum.searches.first_ms, &sum.searches.whole_ms, &sum.downloads.bytes];
    for summary in summaries.into_iter().chain([&sum.downloads.seconds, &sum.downloads.rate]) {
        assert_eq!(summary.figures().count, 2);
    }
    let text = serde_json::to_string(&sum).unwrap();
    let read: Statistics = serde_json::from_str(&text).unwrap();
    assert!(read == sum && read.is_sound());
    let earlier: Statistics = serde_json::from_str("{\"starts\":3}").unwrap();
    assert_eq!(earlier, Statistics { starts: 3, ..Statistics::default() });
}

#[test]
fn what_counting_cannot_lead_to_is_not_sound() {
    let sound = serde_json::to_value(full()).unwrap();
    let read = |value: serde_json::Value| serde_json::from_value::<Statistics>(value).unwrap();
    assert!(read(sound.clone()).is_sound());
    let summary = |value: &mut serde_json::Value, sketch: serde_json::Value| {
        value["searches"]["whole_ms"]["sketch"] = sketch;
    };
    for sketch in
        [serde_json::json!({"7": 2}), serde_json::json!({"4480": 1}), serde_json::json!({})]
    {
        let mut value = sound.clone();
        summary(&mut value, sketch);
        assert!(!read(value.clone()).is_sound(), "{value}");
    }
    let mut crowd = sound;
    let nodes = (0..=SOURCES_MAX).map(|n| (format!("n{n}"), 1.into())).collect();
    crowd["downloads"]["sources"]["listed"] = serde_json::Value::Object(nodes);
    assert!(!read(crowd).is_sound());
}
