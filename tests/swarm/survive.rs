//! Containers are killed, paused and cut off in the middle of a transfer; it is finished without a
//! command, and no file has its name too early.

use std::fs;

use serde_json::Value;

use parvi::base::chunk::chunk_size;
use parvi::logic::items::PIPE_BYTES;

use crate::place::{Place, hash, until, wait_for_owners};

/// node1 sends slowly, and calls whoever is gone for two seconds.
fn swarm() -> Place {
    let place = Place::containers();
    let mut start = place.command(place.root().join("run.sh"));
    start.args(["-d", "-s", "1", "-n", "4"]);
    start.env("PARVI_UP", "6MiB").env("PARVI_ACK_TIMEOUT", "2");
    assert!(start.status().unwrap().success());
    wait_for_owners(|words| place.ctl("node4", words), "ocean.bin", 3);
    place
}

/// node4 fetches ocean.bin from node1 and has between 20 and 80 % of it; returns what it has.
#[track_caller]
fn begin(place: &Place) -> u64 {
    let container = place.container("node4");
    let words = ["exec", &container, "/parvi", "ctl", "download", "ocean.bin", "--from", "node1"];
    place.docker(&words).ended(0);
    until("between 20 and 80 % are there", || {
        let rows = place.ctl("node4", &["transfers"]).json();
        let row = rows.as_array()?.iter().rfind(|row| row["dir"] == "down")?.clone();
        let (done, total) = (row["done"].as_u64()?, row["total"].as_u64()?);
        assert!(done * 5 <= total * 4, "it was too fast to be interrupted: {row}");
        (total > 0 && done * 5 >= total).then_some(done)
    })
}

/// The file arrives, whole from the first moment it has its name; then it is removed.
#[track_caller]
fn arrives(place: &Place, what: &str) {
    let ocean = hash(&place.volume("node1", "shared/ocean.bin"));
    let path = place.volume("node4", "downloaded/ocean.bin");
    until(&format!("the file arrives: {what}"), || {
        path.exists().then(|| assert_eq!(hash(&path), ocean, "{what}"))
    });
    until(&format!("node1's upload is over: {what}"), || {
        let rows: Value = serde_json::from_str(&place.ctl("node1", &["transfers"]).out).ok()?;
        rows.as_array()?.iter().all(|row| row["dir"] != "up").then_some(())
    });
    fs::remove_file(&path).unwrap();
    // Noticed, so that the next one does not copy it.
    until("node4 has forgotten the file", || {
        let list = place.ctl("node4", &["list", "downloaded"]).json();
        list.as_array()?.is_empty().then_some(())
    });
}

fn all(place: &Place, action: &str, names: &[&str]) {
    for name in names {
        place.docker(&[action, &place.container(name)]).ended(0);
    }
}

#[test]
#[ignore = "needs a container engine: tests/containers.sh"]
fn whoever_is_killed_in_the_middle_the_file_arrives_after_his_start() {
    let place = swarm();
    let cases: [&[&str]; 5] =
        [&["node4"], &["node1"], &["tracker"], &["node1", "node4"], &["tracker", "node4"]];
    let size = fs::metadata(place.volume("node1", "shared/ocean.bin")).unwrap().len();
    for killed in cases {
        let before = moved(&place, killed);
        begin(&place);
        all(&place, "kill", killed);
        assert!(!place.volume("node4", "downloaded/ocean.bin").exists(), "{killed:?}");
        all(&place, "start", killed);
        arrives(&place, &format!("killed {killed:?}"));
        if let (Some(before), Some(after)) = (before, moved(&place, killed)) {
            let again = after - before - size;
            assert!(again <= 2 * PIPE_BYTES + chunk_size(size), "{killed:?}: {again} bytes again");
        }
    }
}

/// What node1 has sent or node4 received until now, whoever of them is not killed and so remembers.
fn moved(place: &Place, killed: &[&str]) -> Option<u64> {
    let (node, counter) = match (killed.contains(&"node1"), killed.contains(&"node4")) {
        (true, true) => return None,
        (false, true) => ("node1", "bytes_up"),
        (_, false) => ("node4", "bytes_arrived"),
    };
    place.ctl(node, &["stats"]).json()[counter].as_u64()
}

#[test]
#[ignore = "needs a container engine: tests/containers.sh"]
fn whoever_is_paused_or_cut_off_in_the_middle_the_file_arrives() {
    let place = swarm();
    for paused in ["node4", "node1"] {
        begin(&place);
        all(&place, "pause", &[paused]);
        place.tracker_tells(&format!("{paused} exited not intentionally"));
        all(&place, "unpause", &[paused]);
        arrives(&place, &format!("paused {paused}"));
    }
    let network = format!("{}_swarm", place.project);
    begin(&place);
    let container = place.container("node4");
    place.docker(&["network", "disconnect", "--force", &network, &container]).ended(0);
    until("node1 waits for node4", || {
        let rows = place.ctl("node1", &["transfers"]).json();
        rows.as_array()?.iter().any(|row| row["state"] == "waiting").then_some(())
    });
    place.docker(&["network", "connect", &network, &container]).ended(0);
    arrives(&place, "cut off node4");
}

#[test]
#[ignore = "needs a container engine: tests/containers.sh"]
fn an_owner_finishes_what_it_began_when_a_requester_returns_after_a_long_time() {
    let place = swarm();
    begin(&place);
    all(&place, "kill", &["node4"]);
    let waits = until("node1 says that it waits, and for what", || {
        let rows = place.ctl("node1", &["transfers"]).json();
        let row = rows.as_array()?.iter().find(|row| row["state"] == "waiting")?.clone();
        row["reason"].as_str()?.contains("knocks again in").then_some(row)
    });
    assert!(waits["done"].as_u64() > Some(0), "{waits}");
    all(&place, "restart", &["node1"]);
    all(&place, "start", &["node4"]);
    arrives(&place, "long away");
}
