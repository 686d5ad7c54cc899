//! Files of the size people have: 2 GiB from three owners, and a tree of a thousand files.

use std::fs;
use std::path::Path;
use std::process::Command;

use parvi::io::generate::generate_file;
use serde_json::Value;

use crate::harness::{Daemon, Swarm, pid, sent, until};

const GIB: u64 = 1 << 30;
/// No process of a swarm may grow beyond this, kB as in /proc.
const MEMORY_MAX_KB: u64 = 150 * 1024;

/// The most memory the process ever had, in kB.
fn peak_kb(daemon: &Daemon) -> u64 {
    let path = format!("/proc/{}/status", pid(&daemon.child).as_raw_nonzero());
    let status = fs::read_to_string(path).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// What `b3sum` says of a file; the library's own answer where the program is not installed.
fn b3sum(path: &Path) -> String {
    match Command::new("b3sum").arg("--no-names").arg(path).output() {
        Ok(output) => String::from_utf8(output.stdout).unwrap().trim().to_owned(),
        Err(_) => {
            let mut hasher = blake3::Hasher::new();
            std::io::copy(&mut fs::File::open(path).unwrap(), &mut hasher).unwrap();
            hasher.finalize().to_string()
        }
    }
}

#[test]
fn two_gibibytes_and_a_thousand_files_arrive_from_three_owners_in_little_memory() {
    let swarm = Swarm::new();
    let original = swarm.path().join("original");
    generate_file(&original, 2 * GIB, 7).unwrap();
    let owners = ["alice", "bob", "carol"];
    for owner in owners {
        let tree = swarm.shared(owner, "tree");
        let tree = tree.to_str().unwrap();
        let made = swarm.run(&["generate", "--dir", tree, "--small", "1000", "--large", "0"]);
        assert_eq!(made.code, 0, "{made:?}");
        fs::hard_link(&original, swarm.shared(owner, "film.mkv")).unwrap();
    }
    let tracker = swarm.tracker();
    let mut nodes: Vec<Daemon> = owners.iter().map(|o| swarm.node(o, &tracker)).collect();
    let dave = swarm.node_with("dave", &tracker, &["--fsync", "no"]);
    dave.finds("film.mkv", 3);

    let film = dave.json(&["download", "film.mkv"]);
    let arrived = swarm.downloaded("dave", "film.mkv");
    assert_eq!(film["root"].as_str().unwrap(), b3sum(&original));
    assert_eq!(b3sum(&arrived), b3sum(&original));
    assert_eq!(sent(&film), 2 * GIB);
    for source in film["sources"].as_array().unwrap() {
        let bytes = source["bytes"].as_u64().unwrap();
        assert!(bytes >= 2 * GIB / 5, "an owner supplied less than a fifth: {film}");
    }

    until("every owner has indexed the tree", || {
        let found = dave.ctl(&["--json", "lookup", "tree"]);
        let hits: Value = serde_json::from_str(&found.out).ok()?;
        let hits = hits.as_array()?;
        let all = hits.iter().all(|hit| hit["owners"].as_array().is_some_and(|o| o.len() == 3));
        (hits.len() == 1_000 && all).then_some(())
    });
    let tree = dave.json(&["download", "tree"]);
    let tree = tree.as_array().unwrap();
    assert_eq!(tree.len(), 1_000);
    for file in tree {
        let path = Path::new(file["path"].as_str().unwrap());
        let bytes = fs::read(path).unwrap();
        assert_eq!(blake3::hash(&bytes).to_string(), file["root"].as_str().unwrap());
    }
    nodes.push(dave);
    nodes.push(tracker);
    for process in &nodes {
        let peak = peak_kb(process);
        assert!(peak < MEMORY_MAX_KB, "{} had {peak} kB", process.data.display());
    }
}
