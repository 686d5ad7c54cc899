//! The transcripts of the README are true: each is run, and what it shows is what comes.
//!
//! A transcript is a block of `console`. Its line before the block says how it is run:
//!
//! ```text
//! <!-- transcript: swarm -->        in one swarm of containers, in the order of the page
//! <!-- transcript: by hand, WHY -->  not run here
//! ```
//!
//! Numbers, hashes and times may differ, and a line of `...` stands for any lines.

use std::fmt::Write;
use std::process::Stdio;

use rexpect::session::{PtySession, spawn_command};

use crate::place::{Place, repository};
use crate::prompt::attach;

/// One block of the page.
struct Transcript {
    how: String,
    lines: Vec<String>,
}

fn transcripts(page: &str) -> Vec<Transcript> {
    let mut found = Vec::new();
    let mut lines = page.lines();
    let mut before = "";
    while let Some(line) = lines.next() {
        if line == "```console" {
            let how =
                before.strip_prefix("<!-- transcript: ").and_then(|how| how.strip_suffix(" -->"));
            let how = how.unwrap_or_else(|| {
                panic!("a transcript after {before:?} does not say how it is run")
            });
            let block = lines.by_ref().take_while(|line| *line != "```").map(str::to_owned);
            found.push(Transcript { how: how.to_owned(), lines: block.collect() });
        }
        before = line;
    }
    found
}

/// A line as a pattern: digits, hashes and white space may differ.
fn pattern(line: &str) -> String {
    let mut pattern = String::new();
    for (n, word) in line.split_whitespace().enumerate() {
        if n > 0 {
            pattern.push_str("\\s+");
        }
        let is_hash = word.len() >= 16 && word.bytes().all(|b| b.is_ascii_hexdigit());
        if is_hash {
            pattern.push_str("[0-9a-f]+");
            continue;
        }
        let mut number = false;
        for c in word.chars() {
            if c.is_ascii_digit() || (number && c == '.') {
                if !number {
                    pattern.push_str("[0-9.]+");
                }
                number = true;
            } else {
                number = false;
                let _ = if c.is_alphanumeric() {
                    write!(pattern, "{c}")
                } else {
                    write!(pattern, "\\x{{{:x}}}", c as u32)
                };
            }
        }
    }
    pattern
}

/// Runs a block's commands, each with the lines that should follow it.
fn run(place: &Place, block: &Transcript) {
    let renamed = |line: &String| line.replace("parvi-", &format!("{}-", place.project));
    let lines: Vec<String> = block.lines.iter().map(renamed).collect();
    let mut rest = &lines[..];
    while let Some((command, after)) = rest.split_first() {
        let command =
            command.strip_prefix("$ ").unwrap_or_else(|| panic!("expected a command: {command}"));
        let end = after.iter().position(|line| line.starts_with("$ ")).unwrap_or(after.len());
        let (expected, next) = after.split_at(end);
        match command.strip_prefix("docker attach ") {
            Some(container) => at_prompt(place, container, expected),
            None => at_shell(place, command, expected),
        }
        rest = next;
    }
}

/// Looks for the expected lines, in order, in what comes.
fn expect(session: &mut PtySession, expected: &str) {
    if expected != "..." && !expected.trim().is_empty() {
        let pattern = pattern(expected);
        session
            .exp_regex(&pattern)
            .unwrap_or_else(|e| panic!("no line {expected:?} ({pattern}): {e}"));
    }
}

fn at_shell(place: &Place, line: &str, expected: &[String]) {
    let mut command = place.command("bash");
    // The reader's terminal is his; here nobody could look at the panes. The file is smaller here,
    // so that it must be received more slowly, and sent more slowly: on a busy machine one owner would have sent
    // all of it before the others are connected.
    let line = line.replace("./run.sh", "./run.sh -d").replace("20MiB", "4MiB");
    command
        .env("PARVI_UP", "4MiB")
        // A copy that is made in the middle of it would be one owner more.
        .env("PARVI_REPLICAS_FOR", "**=1")
        .args(["-c", &format!("{line}\necho ended with $?")])
        .current_dir(place.root())
        .stdin(Stdio::inherit());
    let mut session = spawn_command(command, Some(120_000)).unwrap();
    expected.iter().for_each(|line| expect(&mut session, line));
    session.exp_string("ended with 0").unwrap_or_else(|e| panic!("{line}: {e}"));
}

/// Types what stands behind a prompt, and expects the other lines.
fn at_prompt(place: &Place, container: &str, lines: &[String]) {
    let mut session = attach(place, container);
    for line in lines {
        let typed = line.split_once("> ").filter(|(prompt, _)| prompt.starts_with('['));
        let answered = line.strip_prefix("index, -1 to cancel, -2 for all in parallel: ");
        if let Some(text) = typed.map(|(_, text)| text).or(answered) {
            session.send_line(text).unwrap();
        } else {
            expect(&mut session, line);
        }
    }
}

#[test]
fn every_transcript_says_how_it_is_run_and_has_a_command() {
    let page = std::fs::read_to_string(repository().join("README.md")).unwrap();
    let all = transcripts(&page);
    assert!(all.iter().filter(|t| t.how == "swarm").count() >= 4, "the tour is there");
    for transcript in &all {
        assert!(
            transcript.how == "swarm" || transcript.how.starts_with("by hand, "),
            "{}",
            transcript.how
        );
        assert!(transcript.lines[0].starts_with("$ "), "{:?}", transcript.lines);
    }
}

#[test]
fn a_pattern_lets_numbers_differ_and_words_not() {
    let line = "ocean.bin  256.0 MiB  7cb3b0c57da92af5 at 172.20.0.2:41";
    let pattern = pattern(line);
    assert_eq!(
        pattern,
        "ocean\\x{2e}bin\\s+[0-9.]+\\s+MiB\\s+[0-9a-f]+\\s+at\\s+[0-9.]+\\x{3a}[0-9.]+"
    );
}

#[test]
#[ignore = "needs a container engine: tests/containers.sh"]
fn the_tour_of_the_readme_happens_as_it_is_written() {
    let page = std::fs::read_to_string(repository().join("README.md")).unwrap();
    let place = Place::containers();
    transcripts(&page).iter().filter(|t| t.how == "swarm").for_each(|t| run(&place, t));
}
