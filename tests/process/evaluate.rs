//! `parvi eval` with real processes: what it writes, and how it goes on when it was killed or stopped.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::daemon::Answer;
use crate::harness::{Swarm, until};

/// A small evaluation into `out`.
fn eval(swarm: &Swarm, what: &str, out: &Path, more: &[&str]) -> Command {
    let small = ["--quick", "--peers", "1,2", "--concurrency", "1,2", "--sizes", "64KiB"];
    let mut command = swarm.parvi(&["eval", what]);
    command.args(small).args(["--index", "40", "--rounds", "1", "--line", "off"]);
    command.arg("--out").arg(out).args(more);
    command
}

fn run(mut command: Command) -> Answer {
    command.output().unwrap().into()
}

/// The lines of finished cells.
fn finished(out: &Path) -> Vec<String> {
    let text = fs::read_to_string(out.join("results.jsonl")).unwrap_or_default();
    text.split_inclusive('\n').skip(1).filter(|l| l.ends_with('\n')).map(str::to_owned).collect()
}

/// Processes that work on data directories below `out`, and folders of such.
fn left(out: &Path) -> Vec<String> {
    let name = out.to_str().unwrap();
    let processes = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        let line = fs::read_to_string(entry.path().join("cmdline")).ok()?;
        (line.contains(name) && line.contains("--end-with")).then_some(line)
    });
    let folders = fs::read_dir(out).unwrap().flatten();
    let folders = folders.filter_map(|entry| entry.file_name().into_string().ok());
    processes.chain(folders.filter(|name| name.starts_with("work-"))).collect()
}

/// One that has finished a cell and is in the middle of the others.
fn in_the_middle(swarm: &Swarm, out: &Path, more: &[&str]) -> Child {
    let mut command = eval(swarm, "weak", out, more);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("it has finished a cell and has begun another", || {
        (!finished(out).is_empty() && !left(out).is_empty()).then_some(())
    });
    child
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

#[test]
fn every_kind_is_measured_once_and_told_in_tables_and_plots() {
    let swarm = Swarm::new();
    let out = swarm.path().join("results");
    for (what, cells) in [("weak", 4), ("strong", 8), ("search", 10 + 1)] {
        let answer = run(eval(&swarm, what, &out, &[]));
        assert_eq!(answer.code, 0, "{answer:?}");
        assert!(answer.out.ends_with("summary.md\n"), "{answer:?}");
        assert_eq!(finished(&out).len(), cells, "{answer:?}");
    }
    let results: Value =
        serde_json::from_slice(&fs::read(out.join("results.json")).unwrap()).unwrap();
    assert!(results["machine"]["cores"].as_u64().unwrap() > 0, "{results}");
    let cells = results["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 11);
    for cell in cells {
        let rounds = cell["rounds"].as_array().unwrap();
        assert_eq!(rounds.len(), 1, "the first round does not count: {cell}");
        let files =
            cell["cell"]["peers"].as_u64().unwrap() * cell["cell"]["files"].as_u64().unwrap();
        let wanted = match cell["cell"]["kind"].as_str().unwrap() {
            "weak" | "many" => files * 64 * 1024,
            "strong" => 4 * 64 * 1024,
            _ => 0,
        };
        assert_eq!(rounds[0]["bytes"], wanted, "{cell}");
        assert!(rounds[0]["seconds"].as_f64().unwrap() > 0.0, "{cell}");
    }
    assert_eq!(fs::read_to_string(out.join("results.csv")).unwrap().lines().count(), 1 + 11);
    let summary = fs::read_to_string(out.join("summary.md")).unwrap();
    for plot in [
        "weak-peers",
        "weak-concurrency",
        "strong-speedup",
        "many-time",
        "search-latency",
        "search-index",
    ] {
        let file = format!("{plot}.svg");
        assert!(summary.contains(&file), "{file} is not in {summary}");
        assert!(fs::read_to_string(out.join(&file)).unwrap().ends_with("</svg>\n"), "{file}");
    }
    assert_eq!(left(&out), Vec::<String>::new());

    let before = finished(&out);
    let again = run(eval(&swarm, "strong", &out, &[]));
    assert!(again.code == 0 && again.err.contains("measured already"), "{again:?}");
    assert_eq!(finished(&out), before, "nothing was measured again");
    let other = run(eval(&swarm, "strong", &out, &["--seed", "2"]));
    other.refused(13, "--seed 2, not 1");
    assert_eq!(finished(&out), before);
}

#[test]
fn one_that_was_killed_leaves_no_process_and_goes_on_with_what_is_left() {
    let swarm = Swarm::new();
    let out = swarm.path().join("results");
    let mut child = in_the_middle(&swarm, &out, &[]);
    signal(&child, Signal::KILL);
    child.wait().unwrap();
    let before = finished(&out);
    assert!(before.len() < 4, "it was not in the middle: {before:?}");
    let is_process = |line: &String| line.contains("--end-with");
    until("its nodes have ended", || (!left(&out).iter().any(is_process)).then_some(()));

    let answer = run(eval(&swarm, "weak", &out, &[]));
    assert_eq!(answer.code, 0, "{answer:?}");
    let after = finished(&out);
    assert_eq!(after.len(), 4, "{answer:?}");
    assert_eq!(after[..before.len()], before[..], "what was finished was not measured again");
    assert_eq!(left(&out), Vec::<String>::new());
}

#[test]
fn one_that_is_interrupted_ends_its_nodes_and_says_how_to_go_on() {
    let swarm = Swarm::new();
    let out = swarm.path().join("results");
    // Slow enough that it is in a download.
    let slow = ["--line", "16KiB", "--peers", "2"];
    let mut command = swarm.parvi(&["eval", "weak", "--sizes", "1MiB", "--out"]);
    let child = command.arg(&out).args(slow).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.unwrap();
    until("a download is under way", || {
        let peers = fs::read_dir(&out).ok()?.flatten().map(|e| e.path().join("peer1/.parvi/parts"));
        peers
            .filter_map(|parts| fs::read_dir(parts).ok())
            .any(|mut p| p.next().is_some())
            .then_some(())
    });
    signal(&child, Signal::INT);
    let answer: Answer = child.wait_with_output().unwrap().into();
    answer.refused(7, "the same command goes on");
    assert_eq!(left(&out), Vec::<String>::new());
}
