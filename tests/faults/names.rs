//! Names that file systems take and terminals do not like: round trip, or a refusal with words.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use super::swarm::{LONG, Swarm, download, name, until, write};

/// A name of exactly 3,072 bytes in parts of at most 255.
fn longest() -> String {
    let mut text = vec!["d".repeat(200); 15].join("/");
    text.push('/');
    text + &"f".repeat(3_072 - 15 * 201)
}

fn odd_names() -> Vec<String> {
    let mut names: Vec<String> = [
        "new\nline",
        "es\u{1b}[31mcape",
        "trailing.",
        "trailing ",
        "...",
        "..a",
        "a..",
        " ",
        "-rf",
        "Case",
        "case",
        "dir/Case",
        "DIR/case",
        "bidi\u{202e}txt",
        "e\u{301}",
        "\u{e9}",
        "back\\slash",
        "C:",
        "con",
        "*?[a]",
        "%2e%2e%2f",
        "\u{7f}",
        "\u{feff}",
    ]
    .map(str::to_owned)
    .to_vec();
    names.extend(["n".repeat(255), "\u{e9}".repeat(127), longest()]);
    names
}

#[test]
fn odd_names_arrive_under_the_very_same_name() {
    let swarm = Swarm::new();
    let names = odd_names();
    let files: Vec<(&str, &[u8])> = names.iter().map(|n| (n.as_str(), n.as_bytes())).collect();
    let alice = swarm.sharing("alice", &files);
    let carol = swarm.node("carol");
    for odd in &names {
        let hits = carol.lookup(&name(odd)).unwrap().hits;
        assert_eq!(hits.len(), 1, "{odd:?}: {hits:?}");
        let report = download(&carol, odd).unwrap_or_else(|e| panic!("{odd:?}: {e}")).remove(0);
        assert_eq!(report.path, swarm.data("carol").join("downloaded").join(odd));
        assert_eq!(fs::read(&report.path).unwrap(), odd.as_bytes(), "{odd:?}");
    }
    assert!(alice.status().problems.is_empty(), "{:?}", alice.status().problems);
    for notice in std::iter::from_fn(|| {
        carol.stop();
        carol.next_notice()
    }) {
        assert!(!notice.0.chars().any(char::is_control), "drives a terminal: {notice:?}");
    }
}

#[test]
fn a_name_that_is_not_utf8_or_too_deep_is_told_as_a_problem_and_not_shared() {
    let swarm = Swarm::new();
    let shared = swarm.data("alice").join("shared");
    write(&shared.join("film"), b"seven samurai");
    fs::write(shared.join(OsStr::from_bytes(b"bad\xff\x1bname")), b"x").unwrap();
    let alice = swarm.sharing("alice", &[("film", b"seven samurai")]);
    until("the problem is told", LONG, || !alice.status().problems.is_empty());
    let problems = alice.status().problems;
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].why.contains("UTF-8"), "{problems:?}");
    assert!(!problems[0].path.chars().any(char::is_control), "drives a terminal: {problems:?}");
    assert_eq!(alice.stats().files, 1);
}
