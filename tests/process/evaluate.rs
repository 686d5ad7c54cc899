//! `parvi eval` with real processes: what it writes, what it leaves alone, and how it goes on when it was
//! killed or stopped.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::daemon::{Answer, Daemon};
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
    processes.chain(folders.filter(|name| name.starts_with(".parvi-eval-work-"))).collect()
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

/// Whether its first node is fetching.
fn under_way(out: &Path) -> Option<()> {
    let peers = fs::read_dir(out).ok()?.flatten().map(|e| e.path().join("peer1/.parvi/parts"));
    let mut parts = peers.filter_map(|parts| fs::read_dir(parts).ok());
    parts.any(|mut p| p.next().is_some()).then_some(())
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
    until("a download is under way", || under_way(&out));
    signal(&child, Signal::INT);
    let answer: Answer = child.wait_with_output().unwrap().into();
    answer.refused(7, &format!("the same command with --out {} goes on", out.display()));
    assert_eq!(left(&out), Vec::<String>::new());
}

#[test]
fn copies_are_restored_behind_each_of_two_deaths() {
    let swarm = Swarm::new();
    let out = swarm.path().join("results");
    let answer = run(eval(&swarm, "restore", &out, &[]));
    assert_eq!(answer.code, 0, "{answer:?}");
    let cell: Value = serde_json::from_str(&finished(&out)[0]).unwrap();
    let rounds = cell["rounds"].as_array().unwrap();
    assert_eq!(rounds.len(), 2);
    for round in rounds {
        assert!(round["requests"].as_u64().unwrap() > 0, "no copies were lost: {round}");
        assert_eq!(round["times"].as_array().unwrap().len(), 16, "{round}");
    }
    let summary = fs::read_to_string(out.join("summary.md")).unwrap();
    assert!(summary.contains("restore-time.svg") && summary.contains("5 s after"), "{summary}");
    assert_eq!(left(&out), Vec::<String>::new());
}

#[test]
fn a_folder_of_a_person_is_refused_and_all_in_it_stays() {
    let swarm = Swarm::new();
    let out = swarm.path().join("results");
    let (thesis, journal) = (out.join("work-thesis/text"), out.join("results.jsonl"));
    fs::create_dir_all(thesis.parent().unwrap()).unwrap();
    fs::write(&thesis, "years").unwrap();
    run(eval(&swarm, "weak", &out, &[])).refused(13, "not empty");
    fs::write(&journal, "{\"theirs\":1}\nand more").unwrap();
    run(eval(&swarm, "weak", &out, &[])).refused(13, "none of parvi eval");
    assert_eq!(fs::read_to_string(&thesis).unwrap(), "years");
    assert_eq!(fs::read_to_string(&journal).unwrap(), "{\"theirs\":1}\nand more");
    assert_eq!(fs::read_dir(&out).unwrap().count(), 2);
}

#[test]
fn a_node_that_ends_by_itself_is_told() {
    let swarm = Swarm::new();
    let out = swarm.path().join("results");
    let mut command = swarm.parvi(&["eval", "weak", "--sizes", "1MiB", "--line", "16KiB"]);
    command.args(["--peers", "2", "--out"]).arg(&out);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let node = until("a node of it runs and a download is under way", || {
        under_way(&out)?;
        let name = format!("{}/.parvi-eval-work-", out.display());
        let of = |pid: &i32| {
            let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.contains(&name) && line.contains("\0peer2\0")
        };
        let pids = fs::read_dir("/proc").ok()?.flatten();
        pids.filter_map(|e| e.file_name().to_str()?.parse().ok()).find(of)
    });
    kill_process(Pid::from_raw(node).unwrap(), Signal::KILL).unwrap();
    let answer: Answer = child.wait_with_output().unwrap().into();
    answer.refused(1, "peer2 has ended by itself (signal: 9");
    assert_eq!(left(&out), Vec::<String>::new());
}

/// A swarm as `run.sh` makes it, with these flags for its tracker.
fn running(swarm: &Swarm, more: &[&str]) -> [Daemon; 3] {
    fs::create_dir(swarm.path().join("volumes")).unwrap();
    let words = ["tracker", "--listen", "127.0.0.1:0"];
    let tracker = swarm.start("volumes/tracker", &words, more);
    let addr = tracker.addr();
    let node = |name: &str| {
        let words = ["node", "--listen", "127.0.0.1", "--heartbeat", "1", "--tracker", &addr];
        swarm.start(&format!("volumes/{name}"), &words, &["--name", name])
    };
    [node("node1"), node("node2"), tracker]
}

#[test]
fn a_running_swarm_is_measured_and_left_as_it_was() {
    let swarm = Swarm::new();
    let daemons = running(&swarm, &["--replicas-for", "parvi-eval/**=1"]);
    // A name like ours is none of ours.
    let theirs = daemons[0].data.join("shared/their-parvi-eval.txt");
    fs::write(&theirs, "theirs").unwrap();
    let out = swarm.path().join("results");
    let answer = run(eval(&swarm, "weak", &out, &["--compose"]));
    assert_eq!(answer.code, 0, "{answer:?}");
    assert_eq!(finished(&out).len(), 4);
    for daemon in &daemons[..2] {
        for kind in ["shared", "downloaded", "replicated"] {
            let folder = daemon.data.join(kind).join("parvi-eval");
            assert!(!folder.exists(), "{} has stayed", folder.display());
        }
    }
    assert_eq!(fs::read_to_string(&theirs).unwrap(), "theirs");
}

#[test]
fn a_running_swarm_that_makes_copies_or_has_a_folder_of_that_name_is_refused() {
    let swarm = Swarm::new();
    let [node, other, _tracker] = running(&swarm, &[]);
    let out = swarm.path().join("results");
    run(eval(&swarm, "weak", &out, &["--compose"])).refused(2, "--replicas-for 'parvi-eval/**=1'");
    assert!(!node.data.join("shared/parvi-eval").exists());
    let mine = other.data.join("shared/parvi-eval/mine.txt");
    fs::create_dir(mine.parent().unwrap()).unwrap();
    fs::write(&mine, "mine").unwrap();
    run(eval(&swarm, "weak", &out, &["--compose"])).refused(13, "has not made it");
    assert_eq!(fs::read_to_string(&mine).unwrap(), "mine");
}
