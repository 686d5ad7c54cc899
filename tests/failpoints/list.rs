//! The list of points, and the program that has them.

use std::collections::BTreeSet;

use parvi::io::failpoint::POINTS;

use crate::cases::CASES;

/// The least the project wants.
const POINTS_MIN: usize = 40;

#[test]
fn every_point_has_a_case_and_every_case_a_point() {
    let listed: BTreeSet<&str> = POINTS.iter().map(|point| point.name).collect();
    let tried: BTreeSet<&str> = CASES.iter().map(|case| case.point).collect();
    assert_eq!(listed, tried);
    assert!(listed.len() == POINTS.len() && listed.len() >= POINTS_MIN, "{}", listed.len());
    assert!(POINTS.iter().all(|point| !point.step.is_empty()));
}

/// So that the test which looks for them in the ordinary program (`tests/cli.rs`) would see them.
#[test]
fn a_program_with_the_feature_has_the_names_in_it() {
    let program = std::fs::read(env!("CARGO_BIN_EXE_parvi")).unwrap();
    let has = |name: &str| program.windows(name.len()).any(|window| window == name.as_bytes());
    assert!(has("PARVI_FAILPOINTS"));
    let missing: Vec<_> = POINTS.iter().filter(|point| !has(point.name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
