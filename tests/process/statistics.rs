//! `stats` over restarts and kills: nothing is counted twice, little is forgotten, and no damage to what
//! is kept keeps a node from starting.

use std::fs;

use serde_json::Value;

use crate::harness::{Daemon, MIB, Swarm, noise, until};

const FILM: u64 = 3 * MIB as u64;

/// alice and carol have a film, bob has fetched it `from` them.
fn fetched(swarm: &Swarm, from: &[&str]) -> [Daemon; 4] {
    let tracker = swarm.tracker();
    for owner in ["alice", "carol"] {
        swarm.put(owner, "film", noise(1, FILM as usize));
    }
    let [alice, carol, bob] = ["alice", "carol", "bob"].map(|name| swarm.node(name, &tracker));
    bob.finds("film", 2);
    bob.json(&[&["download", "film", "--wait"], from].concat());
    [tracker, alice, carol, bob]
}

/// Each of these fields has this value.
#[track_caller]
fn says(stats: &Value, wanted: &[(&str, u64)]) {
    for (pointer, value) in wanted {
        assert_eq!(
            stats.pointer(pointer).and_then(Value::as_u64),
            Some(*value),
            "{pointer}: {stats}"
        );
    }
}

fn sum(rows: &Value) -> u64 {
    rows.as_array().unwrap().iter().map(|row| row["bytes"].as_u64().unwrap()).sum()
}

#[test]
fn what_was_counted_outlives_a_kill_and_an_end_and_a_reset_outlives_a_kill() {
    let swarm = Swarm::new();
    let [tracker, _alice, _carol, bob] = fetched(&swarm, &["--all"]);
    let kept = swarm.data("bob").join(".parvi/stats");
    until("the download is written", || {
        fs::read_to_string(&kept).is_ok_and(|text| text.contains("{\"done\":1,")).then_some(())
    });
    let before = bob.json(&["stats"]);
    let wanted = [("/downloads_done", 1), ("/bytes_down", FILM), ("/download_s/count", 1)];
    says(&before, &wanted);
    says(&before, &[("/starts", 1)]);
    assert_eq!(sum(&before["sources"]), FILM, "{before}");
    for kind in ["first_owner_ms", "search_ms"] {
        let figure = |name: &str| before[kind][name].as_f64().unwrap();
        let rising = [0.0, figure("min"), figure("p50"), figure("p99"), figure("max")];
        assert!(rising.is_sorted() && rising[1] > 0.0 && figure("count") >= 2.0, "{before}");
    }
    bob.kill();

    let bob = swarm.node("bob", &tracker);
    let after = bob.json(&["stats"]);
    says(&after, &wanted);
    says(&after, &[("/starts", 2)]);
    assert_eq!(after["sources"], before["sources"]);
    bob.ctl(&["lookup", "nothing of that name"]);
    let asked = bob.json(&["stats"])["lookups"].as_u64().unwrap();
    bob.exit();

    let bob = swarm.node("bob", &tracker);
    let again = bob.json(&["stats"]);
    says(&again, &[("/starts", 3), ("/lookups", asked)]);
    says(&again, &wanted);
    let text = bob.ctl(&["stats"]).out;
    assert!(text.contains(", 3 starts") && text.contains("SOURCE"), "{text}");
    assert_eq!(bob.json(&["stats", "reset"])["reset"], true);
    let none = [("/downloads_done", 0), ("/bytes_down", 0), ("/search_ms/count", 0)];
    says(&bob.json(&["stats"]), &none);
    bob.kill();

    let bob = swarm.node("bob", &tracker);
    says(&bob.json(&["stats"]), &none);
    says(&bob.json(&["stats"]), &[("/starts", 1), ("/lookups", 0)]);
}

#[test]
fn an_owner_counts_uploads_by_their_ends_and_what_its_log_has_done() {
    let swarm = Swarm::new();
    let [tracker, alice, carol, bob] = fetched(&swarm, &["--from", "alice"]);
    alice.transfer_gone("bob has said that he has it");
    carol.exit();
    bob.exit();
    let before = alice.json(&["stats"]);
    says(&before, &[("/uploads/begun", 1), ("/uploads/done", 1), ("/starts", 1)]);
    let of = |stats: &Value, pointer: &str| stats.pointer(pointer).unwrap().as_u64().unwrap();
    let appends = of(&before, "/wal/appends");
    assert!(appends >= 2 && of(&before, "/wal/syncs") >= 1, "{before}");
    assert!(of(&before, "/wal/bytes") > 0 && of(&before, "/bytes_up") > 0, "{before}");
    assert_eq!(of(&before, "/bytes_up"), of(&before, "/uploads/bytes"));

    assert_eq!(swarm.get("film", "out", &tracker, &[]).code, 0);
    alice.transfer_gone("the one-shot has said that it has it");
    let after = alice.json(&["stats"]);
    says(&after, &[("/uploads/begun", 2), ("/uploads/done", 2), ("/wal/appends", appends)]);
    alice.exit();
    let alice = swarm.node("alice", &tracker);
    let again = alice.json(&["stats"]);
    says(&again, &[("/uploads/done", 2), ("/wal/appends", appends)]);
    assert!(of(&again, "/wal/recovered") >= 2, "{again}");
    says(&again, &[("/index/records", 1), ("/index/manifests", 1), ("/files", 1)]);
}

#[test]
fn what_is_fetched_anew_after_it_was_over_is_not_counted_as_opened_again() {
    let swarm = Swarm::new();
    let [_tracker, alice, _carol, bob] = fetched(&swarm, &["--from", "alice"]);
    alice.transfer_gone("bob has said that he has it");
    fs::remove_file(swarm.downloaded("bob", "film")).unwrap();
    until("bob has seen that it is gone", || {
        bob.json(&["list", "downloaded"]).as_array()?.is_empty().then_some(())
    });
    bob.json(&["download", "film", "--wait", "--from", "alice"]);
    let rows = bob.json(&["transfers"]);
    assert_eq!(rows[1]["attempt"], 2, "the owner counts on: {rows}");
    says(&bob.json(&["stats"]), &[("/downloads_done", 2), ("/retries/downloads_reopened", 0)]);
}

#[test]
fn numbers_that_cannot_be_read_stay_and_are_told() {
    let swarm = Swarm::new();
    let [tracker, _alice, _carol, bob] = fetched(&swarm, &["--all"]);
    bob.exit();
    let (kept, away) = (swarm.data("bob").join(".parvi/stats"), swarm.data("kept"));
    fs::rename(&kept, &away).unwrap();
    // Not to be read, and replaced as easily as any file.
    std::os::unix::fs::symlink(&kept, &kept).unwrap();
    let bob = swarm.node("bob", &tracker);
    bob.tells("stats: Too many levels of symbolic links");
    bob.exit();
    assert!(kept.is_symlink(), "it was replaced");
    fs::remove_file(&kept).unwrap();
    fs::rename(&away, &kept).unwrap();
    let bob = swarm.node("bob", &tracker);
    says(&bob.json(&["stats"]), &[("/downloads_done", 1), ("/starts", 2)]);
}

#[test]
fn numbers_that_are_damaged_are_told_and_set_aside_and_the_node_starts() {
    let swarm = Swarm::new();
    let [tracker, _alice, _carol, bob] = fetched(&swarm, &["--all"]);
    bob.exit();
    let kept = swarm.data("bob").join(".parvi/stats");
    let mut bytes = fs::read(&kept).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    fs::write(&kept, &bytes).unwrap();
    let bob = swarm.node("bob", &tracker);
    bob.tells("stats is damaged or of a later version (kept as");
    says(&bob.json(&["stats"]), &[("/downloads_done", 0), ("/starts", 1)]);
    assert_eq!(fs::read(kept.with_extension("bad")).unwrap(), bytes);
    bob.exit();
    assert!(fs::read_to_string(&kept).unwrap().starts_with("parvi statistics 1 "));
}

#[test]
fn a_tracker_counts_from_zero_when_it_is_told_to() {
    let swarm = Swarm::new();
    let [tracker, ..] = fetched(&swarm, &["--all"]);
    assert!(tracker.json(&["stats"])["registrations"].as_u64() >= Some(3));
    assert_eq!(tracker.json(&["stats", "reset"])["reset"], true);
    says(&tracker.json(&["stats"]), &[("/registrations", 0), ("/peers", 3)]);
    tracker.ctl(&["stats", "all"]).refused(2, "usage: stats [reset]");
}
