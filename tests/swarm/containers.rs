//! A tracker and nodes in containers: start, more nodes, downloads, and every way a node can end.

use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::place::{Place, hash, shares, until, wait_for_owners};

/// Starts a tracker and `nodes` nodes.
#[track_caller]
fn swarm(nodes: &str) -> Place {
    let place = Place::containers();
    place.script("run.sh", &["-d", "-s", "1", "-n", nodes]).ended(0);
    place
}

#[test]
#[ignore = "needs a container engine: tests/containers.sh"]
fn one_command_starts_a_swarm_and_ten_more_nodes_join() {
    let place = swarm("4");
    let tracker =
        place.inspect("tracker", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}");
    assert_eq!(tracker, place.subnet.replace(".0/24", ".2"));
    let ctl = |words: &[&str]| place.ctl("node4", words);
    wait_for_owners(ctl, "ocean.bin", 3);
    let single = ctl(&["download", "ocean.bin", "--from", "node2"]).ended(0).json();
    assert_eq!(shares(&single), [24 << 20]);
    let ocean = hash(&place.volume("node1", "shared/ocean.bin"));
    let downloaded = place.volume("node4", "downloaded/ocean.bin");
    assert_eq!(hash(&downloaded), ocean);
    let person = if rustix::process::geteuid().is_root() {
        1000
    } else {
        rustix::process::geteuid().as_raw()
    };
    for path in ["volumes/node4/downloaded/ocean.bin", "logs/node4/parvi.log", "keys/swarm.key"] {
        assert_eq!(fs::metadata(place.root().join(path)).unwrap().uid(), person, "{path}");
    }

    let said = place.script("run.sh", &["-d", "-n", "10"]).ended(0);
    assert!(said.out.contains("node14\n"), "{}", said.out);
    let peers = || place.ctl("tracker", &["peers"]).json().as_array().unwrap().len();
    until("the tracker knows all fourteen", || (peers() == 14).then_some(()));
    let ctl = |words: &[&str]| place.ctl("node14", words);
    wait_for_owners(ctl, "ocean.bin", 4);
    let parallel = ctl(&["download", "ocean.bin", "--all"]).ended(0).json();
    assert!(shares(&parallel).len() >= 3, "{parallel}");
    assert_eq!(hash(&place.volume("node14", "downloaded/ocean.bin")), ocean);
    let made = place.volume("node5", "shared/from-node5/large/0003.bin");
    assert!(made.exists(), "a node without first files makes some");

    let said = place.script("run.sh", &["-d", "-s", "1"]).ended(0);
    assert!(said.out.contains("the tracker runs already"), "twice is harmless: {}", said.out);
    let said = place.script("run.sh", &["-d", "-nn", "node3"]).ended(13);
    assert!(said.err.contains("node3 runs already"), "{}", said.err);
}

#[test]
#[ignore = "needs a container engine: tests/containers.sh"]
fn a_stop_is_told_as_intentional_and_a_kill_is_not_and_both_come_back() {
    let place = swarm("2");
    place.docker(&["stop", &place.container("node1")]).ended(0);
    place.tracker_tells("node1 exited intentionally");
    assert_eq!(place.inspect("node1", "{{.State.ExitCode}}"), "0", "gone in order, not by force");

    let identity = fs::read(place.volume("node2", ".parvi/id")).unwrap();
    place.docker(&["kill", &place.container("node2")]).ended(0);
    place.tracker_tells("node2 exited not intentionally");
    assert_eq!(place.inspect("node2", "{{.State.Running}}"), "false", "the container stays");

    let said = place.script("run.sh", &["-d", "-nn", "node2", "-n", "1"]).ended(0);
    assert!(said.out.contains("starting node2 node1\n"), "{}", said.out);
    wait_for_owners(|words| place.ctl("node1", words), "welcome.txt", 2);
    assert_eq!(fs::read(place.volume("node2", ".parvi/id")).unwrap(), identity);
}

#[test]
#[ignore = "needs a container engine: tests/containers.sh"]
fn a_paused_node_is_dropped_and_returns() {
    let place = swarm("2");
    place.docker(&["pause", &place.container("node2")]).ended(0);
    place.tracker_tells("node2 exited not intentionally");
    place.docker(&["unpause", &place.container("node2")]).ended(0);
    let peers = || place.ctl("tracker", &["peers"]).json().as_array().unwrap().len();
    until("node2 is back", || (peers() == 2).then_some(()));
}

#[test]
#[ignore = "needs a container engine: tests/containers.sh"]
fn the_tracker_stops_in_order_and_its_nodes_find_the_next_one() {
    let place = swarm("1");
    place.docker(&["stop", &place.container("tracker")]).ended(0);
    assert_eq!(place.inspect("tracker", "{{.State.ExitCode}}"), "0");
    let alone = place.ctl("node1", &["list", "local"]).ended(0).json();
    assert!(!alone.as_array().unwrap().is_empty(), "a node goes on without it");
    place.script("run.sh", &["-d", "-s", "1"]).ended(0);
    let peers = || place.ctl("tracker", &["peers"]).json().as_array().unwrap().len();
    until("the node registers by itself", || (peers() == 1).then_some(()));
}

#[test]
#[ignore = "needs a container engine: tests/containers.sh"]
fn the_engine_sees_health_and_the_lack_of_it() {
    let place = swarm("1");
    let health = || place.inspect("tracker", "{{.State.Health.Status}}");
    until("the tracker is healthy", || (health() == "healthy").then_some(()));
    let container = place.container("node1");
    place.docker(&["exec", &container, "/parvi", "health"]).ended(0);
    place.docker(&["exec", &container, "/parvi", "health", "--data", "/elsewhere"]).ended(1);
}

#[test]
#[ignore = "needs a container engine: tests/containers.sh"]
fn a_node_that_is_started_again_has_the_settings_of_now() {
    let place = swarm("1");
    place.docker(&["kill", &place.container("node1")]).ended(0);
    place.tracker_tells("node1 exited not intentionally");
    let mut again = place.command(place.root().join("run.sh"));
    again.args(["-d", "-n", "1"]).env("PARVI_UP", "1MiB");
    assert!(again.status().unwrap().success());
    let settings = place.inspect("node1", "{{.Config.Env}}");
    assert!(settings.contains("PARVI_UP=1MiB"), "{settings}");
}

#[test]
#[ignore = "needs a container engine: tests/containers.sh"]
fn odd_folders_and_odd_names_start_as_well() {
    let place = swarm("1");
    for odd in ["My Backup", "lost+found", "Upper"] {
        fs::create_dir(place.volume(odd, "")).unwrap();
    }
    // What YAML would take for a truth, nothing, and a number.
    for name in ["on", "null", "123"] {
        place.script("run.sh", &["-d", "-nn", name]).ended(0);
        place.ctl(name, &["peers"]).ended(0);
    }
    assert!(!place.volume("node2", "").exists(), "only what was asked for is made");
    let said = place.script("run.sh", &["--local", "-d", "-n", "1"]).ended(13);
    assert!(said.err.contains("run in containers"), "{}", said.err);
}

#[test]
#[ignore = "needs a container engine: tests/containers.sh"]
fn a_network_without_room_is_told_before_anything_starts() {
    let mut place = Place::containers();
    place.subnet = place.subnet.replace("/24", "/28");
    let said = place.script("run.sh", &["-d", "-s", "1", "-n", "9"]).ended(2);
    assert!(said.err.contains("has no room for 10 containers"), "{}", said.err);
    assert!(!place.root().join("volumes").exists());
}
