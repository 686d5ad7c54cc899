//! `docker compose up` alone, on the machine's own command for it.

use std::fs;
use std::process::Command;

use crate::place::{Place, hash, until, wait_for_owners};

/// The compose command found here, with the place's file.
fn compose(place: &Place, words: &[&str]) -> Command {
    let found = |program: &str, words: &[&str]| {
        Command::new(program).args(words).output().is_ok_and(|output| output.status.success())
    };
    let mut command = if found("docker", &["compose", "version"]) {
        let mut command = place.command("docker");
        command.arg("compose");
        command
    } else {
        place.command("docker-compose")
    };
    let subnet = place.subnet.trim_end_matches(".0/24");
    command.current_dir(place.root()).env("COMPOSE_PROJECT_NAME", &place.project);
    command.env("PARVI_TRACKER_IP", format!("{subnet}.2"));
    command.env("PARVI_IP_RANGE", format!("{subnet}.128/25")).args(words);
    command
}

#[test]
#[ignore = "needs a container engine: tests/containers.sh"]
fn plain_compose_brings_up_a_swarm_whose_folders_the_engine_made() {
    let place = Place::containers();
    assert!(!place.root().join("volumes").exists());
    let up = compose(&place, &["up", "--detach"]).output().unwrap();
    assert!(up.status.success(), "{}", String::from_utf8_lossy(&up.stderr));
    let ctl = |words: &[&str]| place.ctl("node4", words);
    until("node4 answers", || (ctl(&["peers"]).code == 0).then_some(()));
    wait_for_owners(ctl, "ocean.bin", 3);
    ctl(&["download", "ocean.bin", "--all"]).ended(0);
    let ocean = hash(&place.volume("node2", "shared/ocean.bin"));
    assert_eq!(hash(&place.volume("node4", "downloaded/ocean.bin")), ocean);
    assert!(fs::read_to_string(place.root().join("logs/node4/parvi.log")).is_ok());

    let down = compose(&place, &["down"]).output().unwrap();
    assert!(down.status.success(), "{}", String::from_utf8_lossy(&down.stderr));
    let log = fs::read_to_string(place.root().join("logs/node4/parvi.log")).unwrap();
    assert!(!log.contains("panicked"), "{log}");
}
