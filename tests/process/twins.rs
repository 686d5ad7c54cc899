//! One content under several names: it travels once, and downloads of it do not disturb each other.

use serde_json::Value;

use crate::harness::{MIB, Swarm, noise, read, sent, until};

#[test]
fn what_is_here_under_another_name_is_copied_and_not_fetched() {
    let swarm = Swarm::new();
    let (film, text) = (noise(1, 5 * MIB + 3), noise(2, 2_000));
    swarm.put("alice", "theirs/film.mkv", &film);
    swarm.put("alice", "theirs/text.txt", &text);
    swarm.put("bob", "mine.mkv", &film);
    swarm.put("bob", "mine.txt", &text);
    let tracker = swarm.tracker();
    let _alice = swarm.node("alice", &tracker);
    let bob = swarm.node("bob", &tracker);
    bob.finds("mine.txt", 1);
    bob.finds("mine.mkv", 1);
    for (name, bytes) in [("theirs/film.mkv", film), ("theirs/text.txt", text)] {
        bob.finds(name, 1);
        let report = bob.json(&["download", name]);
        assert_eq!(sent(&report), 0, "{report}");
        assert!(read(&swarm.downloaded("bob", name)) == bytes, "{name} has other bytes");
    }
}

#[test]
fn twins_in_a_folder_travel_once() {
    let swarm = Swarm::new();
    let (film, text) = (noise(3, 5 * MIB), noise(4, 2_000));
    for name in ["a", "b"] {
        swarm.put("alice", &format!("twins/{name}.mkv"), &film);
        swarm.put("alice", &format!("twins/{name}.txt"), &text);
    }
    let tracker = swarm.tracker();
    let _alice = swarm.node("alice", &tracker);
    let bob = swarm.node("bob", &tracker);
    for name in ["twins/a.mkv", "twins/b.mkv", "twins/a.txt", "twins/b.txt"] {
        bob.finds(name, 1);
    }
    let reports = bob.json(&["download", "twins"]);
    let large = |report: &&Value| report["name"].as_str().unwrap().ends_with(".mkv");
    let moved: u64 = reports.as_array().unwrap().iter().filter(large).map(sent).sum();
    assert_eq!(moved, film.len() as u64, "{reports}");
    for (name, bytes) in [("a.mkv", &film), ("b.mkv", &film), ("a.txt", &text), ("b.txt", &text)] {
        assert!(read(&swarm.downloaded("bob", &format!("twins/{name}"))) == *bytes, "{name}");
    }
}

#[test]
fn downloads_of_the_same_small_files_at_the_same_time_all_end_well() {
    let swarm = Swarm::new();
    const COPIES: usize = 4;
    for n in 0..150 {
        let bytes = noise(n, 500 + usize::from(n));
        for copy in 0..COPIES {
            swarm.put("alice", &format!("copy{copy}/{n:03}.txt"), &bytes);
        }
    }
    let tracker = swarm.tracker();
    let _alice = swarm.node("alice", &tracker);
    let bob = swarm.node("bob", &tracker);
    let folders: Vec<String> = (0..COPIES).map(|copy| format!("copy{copy}")).collect();
    for folder in &folders {
        until("all of it is found", || {
            let found = bob.ctl(&["--json", "lookup", folder]);
            let found: Value = serde_json::from_str(&found.out).ok()?;
            (found.as_array()?.len() == 150).then_some(())
        });
    }
    std::thread::scope(|scope| {
        for folder in &folders {
            let bob = &bob;
            scope.spawn(move || {
                let answer = bob.ctl(&["download", folder, "--wait"]);
                assert_eq!(answer.code, 0, "{folder}: {answer:?}");
            });
        }
    });
    for folder in &folders {
        for n in 0..150 {
            let path = swarm.downloaded("bob", &format!("{folder}/{n:03}.txt"));
            assert!(read(&path) == noise(n, 500 + usize::from(n)), "{}", path.display());
        }
    }
}
