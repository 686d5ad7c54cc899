//! The prompt of a node's container, as a person at a terminal has it.

use std::process::Stdio;

use rexpect::session::{PtySession, spawn_command};

use crate::place::{Place, hash, until, wait_for_owners};

const PATIENCE_MS: u64 = 30_000;

/// `docker attach` on a terminal of a usual size; ends with the prompt shown. What is typed before
/// the engine's client listens would be lost.
pub fn attach(place: &Place, container: &str) -> PtySession {
    let mut command = place.command("bash");
    command
        .args(["-c", "stty cols 150 rows 40; exec docker attach \"$0\"", container])
        .stdin(Stdio::inherit());
    let mut session = spawn_command(command, Some(PATIENCE_MS)).unwrap();
    session.send_line("").unwrap();
    session.exp_string("> ").unwrap();
    session
}

#[test]
#[ignore = "needs a container engine: tests/containers.sh"]
fn the_menu_of_owners_works_in_a_container_and_leaving_the_prompt_does_not_end_the_node() {
    let place = Place::containers();
    place.script("run.sh", &["-d", "-s", "1", "-n", "4"]).ended(0);
    wait_for_owners(|words| place.ctl("node4", words), "ocean.bin", 3);
    let mut session = attach(&place, &place.container("node4"));
    session.send_line("download ocean.bin").unwrap();
    for owner in ["[0] node1", "[1] node2", "[2] node3"] {
        session.exp_string(owner).unwrap();
    }
    session.exp_string("index, -1 to cancel, -2 for all in parallel: ").unwrap();
    session.send_line("-2").unwrap();
    session.exp_regex("download 1 ocean.bin done: 24.0 MiB").unwrap();
    let ocean = hash(&place.volume("node1", "shared/ocean.bin"));
    assert_eq!(hash(&place.volume("node4", "downloaded/ocean.bin")), ocean);

    session.send_control('p').unwrap();
    session.send_control('q').unwrap();
    session.exp_eof().unwrap();
    assert_eq!(place.inspect("node4", "{{.State.Running}}"), "true");

    let mut session = attach(&place, &place.container("node4"));
    session.send_line("exit").unwrap();
    session.exp_eof().unwrap();
    place.tracker_tells("node4 exited intentionally");
    until("the container has ended", || {
        (place.inspect("node4", "{{.State.Running}}") == "false").then_some(())
    });
    assert_eq!(place.inspect("node4", "{{.State.ExitCode}}"), "0");
}

#[test]
#[ignore = "needs a container engine: tests/containers.sh"]
fn exit_while_sending_waits_and_says_for_what() {
    let place = Place::containers();
    let mut start = place.command(place.root().join("run.sh"));
    start.args(["-d", "-s", "1", "-n", "4"]).env("PARVI_UP", "4MiB");
    assert!(start.output().unwrap().status.success());
    wait_for_owners(|words| place.ctl("node4", words), "ocean.bin", 3);
    let mut owner = attach(&place, &place.container("node1"));
    let mut requester = attach(&place, &place.container("node4"));
    requester.send_line("download ocean.bin --from node1").unwrap();
    requester.exp_string("download 1 started").unwrap();
    until("node1 sends", || {
        let transfers = place.ctl("node1", &["transfers"]).json();
        transfers.as_array()?.iter().any(|t| t["done"].as_u64() > Some(0)).then_some(())
    });
    owner.send_line("exit").unwrap();
    owner.exp_string("waiting for these to finish; exit again to leave at once:").unwrap();
    owner.exp_eof().unwrap();
    requester.exp_string("download 1 ocean.bin done: 24.0 MiB").unwrap();
    place.tracker_tells("node1 exited intentionally");
}
