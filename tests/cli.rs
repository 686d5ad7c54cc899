//! The command line from outside: words, exit codes, streams. What a script sees.

#![allow(clippy::unwrap_used, reason = "a test")]

use assert_cmd::Command;

/// parvi with an empty environment and a home of its own.
fn parvi(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_parvi"));
    command.env_clear().env("HOME", "/nonexistent").args(words);
    command
}

/// Exit code, standard output, standard error.
fn run(mut command: Command) -> (i32, String, String) {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

fn refused(command: Command, wanted: &str) {
    let (code, out, err) = run(command);
    assert_eq!((code, out.as_str()), (2, ""), "{err}");
    assert!(err.starts_with("parvi: ") && err.contains(wanted), "{wanted} is not told: {err}");
}

#[test]
fn nonsense_on_the_command_line_is_exit_code_2_with_the_flag_named() {
    refused(parvi(&["node", "--heartbeat", "soon"]), "--heartbeat");
    refused(parvi(&["node", "--traker", "x:1"]), "--tracker");
    refused(parvi(&["frobnicate"]), "frobnicate");
    refused(parvi(&["tracker", "--listen", "12345"]), "like 0.0.0.0:12345");
    refused(parvi(&["get", "../x", "--tracker", "x:1"]), "cannot have . or ..");
    refused(parvi(&["get", "x"]), "--tracker");
    refused(parvi(&["ctl"]), "COMMAND");
    refused(parvi(&["generate", "--dir", "/tmp", "--small", "-1"]), "--small");
    refused(parvi(&["completions", "telepathy"]), "telepathy");
    refused(parvi(&["eval"]), "WHAT");
    refused(parvi(&["eval", "strongly"]), "strongly");
    refused(parvi(&["eval", "weak", "--peers", "0"]), "--peers");
    refused(parvi(&["eval", "weak", "--peers", "1,65"]), "--peers");
    refused(parvi(&["eval", "weak", "--peers", ""]), "--peers");
    refused(parvi(&["eval", "weak", "--concurrency", "17"]), "--concurrency");
    refused(parvi(&["eval", "weak", "--sizes", "1MiB,huge"]), "--sizes");
    refused(parvi(&["eval", "weak", "--rounds", "0"]), "--rounds");
    refused(parvi(&["eval", "search", "--index", "1"]), "--index");
    refused(parvi(&["eval", "weak", "--line", "fast"]), "--line");
    refused(parvi(&["eval", "restore", "--compose"]), "leave out --compose");
}

#[test]
fn nonsense_in_the_environment_and_in_the_file_is_exit_code_2_with_its_origin() {
    let mut command = parvi(&["node"]);
    command.env("PARVI_ACK_TIMEOUT", "never");
    refused(command, "PARVI_ACK_TIMEOUT");

    let mut command = parvi(&["tracker"]);
    command.env("PARVI_SWARM_KEY", "secret");
    refused(command, "PARVI_SWARM_KEY");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("parvi.toml");
    std::fs::write(&file, "hartbeat = 1\n").unwrap();
    refused(parvi(&["node", "--config", file.to_str().unwrap()]), "unknown key \"hartbeat\"");
}

#[test]
fn without_a_home_a_data_directory_must_be_named() {
    let mut command = parvi(&["health"]);
    command.env_remove("HOME");
    refused(command, "--data");
}

#[test]
fn where_no_daemon_runs_ctl_says_so_with_exit_code_6_and_health_with_1() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let (code, out, err) = run(parvi(&["ctl", "--data", data, "peers"]));
    assert_eq!((code, out.as_str()), (6, ""));
    assert!(err.contains("no node or tracker runs on"), "{err}");
    let (code, _, err) = run(parvi(&["health", "--data", data]));
    assert_eq!(code, 1, "{err}");
}

#[test]
fn a_key_is_64_hex_digits_and_never_the_same() {
    let (code, first, _) = run(parvi(&["key"]));
    let (_, second, _) = run(parvi(&["key"]));
    assert_eq!((code, first.trim_end().len()), (0, 64), "{first}");
    assert!(first.trim_end().bytes().all(|b| b.is_ascii_hexdigit()));
    assert_ne!(first, second);
}

#[test]
fn help_version_completions_and_the_manual_go_to_standard_output() {
    let table: [(&[&str], &str); 6] = [
        (&["--version"], "parvi 0.1.0"),
        (&["--help"], "Exit codes: 0 done"),
        (&["node", "--help"], "--port-base <PORT>"),
        (&["completions", "bash"], "_parvi()"),
        (&["completions", "fish"], "complete -c parvi"),
        (&["man"], ".TH parvi 1"),
    ];
    for (words, wanted) in table {
        let (code, out, err) = run(parvi(words));
        assert_eq!((code, err.as_str()), (0, ""), "{words:?}");
        assert!(out.contains(wanted), "{words:?}: {wanted} is not in {out}");
    }
}

#[test]
fn generate_writes_the_same_twice_and_refuses_to_overwrite() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().to_str().unwrap();
    let words = ["generate", "--dir", dir, "--small", "3", "--large", "0", "--seed", "5"];
    let (code, out, err) = run(parvi(&words));
    assert_eq!((code, out.as_str()), (0, ""));
    assert!(err.starts_with("3 files, "), "{err}");
    assert_eq!(run(parvi(&words)).2, err);
    std::fs::write(folder.path().join("small/000/000001.txt"), "mine").unwrap();
    let (code, _, err) = run(parvi(&words));
    assert_eq!(code, 13, "{err}");
}

#[test]
fn a_closed_pipe_is_no_panic() {
    use std::process::{Command, Stdio};
    let mut child = Command::new(env!("CARGO_BIN_EXE_parvi"))
        .arg("man")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}

/// The names of the fail points and their variable; a program built for tests has them all
/// (`tests/failpoints/list.rs`).
#[cfg(not(feature = "failpoints"))]
#[test]
fn the_ordinary_program_has_nothing_of_the_fail_points_in_it() {
    let list = include_str!("../src/io/failpoint/points.rs");
    let names = list.split("point(\"").skip(1).filter_map(|rest| rest.split('"').next());
    let names: Vec<&str> = names.chain(["PARVI_FAILPOINTS"]).collect();
    assert!(names.len() > 40, "only {names:?} are listed");
    let program = std::fs::read(env!("CARGO_BIN_EXE_parvi")).unwrap();
    let has = |name: &str| program.windows(name.len()).any(|window| window == name.as_bytes());
    let left: Vec<&str> = names.into_iter().filter(|name| has(name)).collect();
    assert!(left.is_empty(), "{left:?} are in the program");
}
