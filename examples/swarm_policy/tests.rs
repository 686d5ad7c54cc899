//! Small swarms, with one seed.

use std::time::Duration;

use crate::plan::{Plan, Scene};
use crate::run::run;
use crate::table::Row;

fn plan(scene: Scene, nodes: usize) -> Plan {
    let latency = Duration::from_millis(1);
    Plan { scene, nodes, sources: 1, chunks: 64, small: None, latency, piece: 32 * 1024, seed: 1 }
}

fn play(plan: &Plan) -> Row {
    let outcome = run(plan).unwrap();
    assert_eq!(outcome.violations, 0, "an honest node was accused: {plan:?}");
    assert_eq!(outcome.unfinished, 0, "somebody waits for ever: {plan:?}");
    Row::of(plan, &outcome)
}

#[test]
fn a_swarm_is_not_far_from_what_is_possible() {
    for nodes in [1, 2, 8, 32] {
        let row = play(&plan(Scene::Equal, nodes));
        assert!(row.ratio >= 1.0, "faster than possible: {row:?}");
        assert!(row.ratio < 1.6, "{row:?}");
        assert!(row.first_sent < 2.0, "the first owner sends too much: {row:?}");
        assert!(row.twice < 0.1, "{row:?}");
    }
}

#[test]
fn all_who_stay_are_done_whatever_the_lines_and_whoever_leaves() {
    for scene in Scene::ALL {
        let row = play(&plan(scene, 20));
        assert!(row.ratio >= 1.0, "faster than possible: {row:?}");
    }
}

#[test]
fn one_seed_gives_one_run() {
    let plan = plan(Scene::Churn, 20);
    let [a, b] = [run(&plan).unwrap(), run(&plan).unwrap()];
    assert_eq!(format!("{a:?}"), format!("{b:?}"));
    let other = run(&Plan { seed: 2, ..plan }).unwrap();
    assert_ne!(format!("{a:?}"), format!("{other:?}"));
}
