//! Small swarms, with one seed.

use std::time::Duration;

use crate::fair::jain;
use crate::plan::{Fetched, Plan, Scene};
use crate::run::run;
use crate::table::Row;

fn plan(scene: Scene, nodes: usize) -> Plan {
    let latency = Duration::from_millis(1);
    Plan {
        scene,
        nodes,
        sources: 1,
        chunks: 64,
        small: None,
        latency,
        piece: 32 * 1024,
        seed: 1,
        others: Vec::new(),
    }
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

#[test]
fn a_file_that_few_want_is_slowed_by_one_that_many_want_but_within_bounds() {
    let of = |chunks, nodes, first| Fetched { chunks, nodes, first };
    let cases = [
        vec![of(32, 1, 12)],
        vec![of(64, 4, 12)],
        vec![of(64, 12, 0)],
        vec![of(32, 1, 12), of(32, 1, 12), of(32, 20, 13)],
    ];
    for others in cases {
        let row = play(&Plan { others, ..plan(Scene::Equal, 12) });
        for file in &row.files {
            assert!(file.took < file.fair * 3.0, "{file:?} of {:?}", row.files);
        }
        assert!(jain(&row.files) > 0.7, "{:?}", row.files);
    }
}
