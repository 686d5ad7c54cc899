//! The prompt on a real (pseudo) terminal: what a person sees.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::process::Command;

use rexpect::session::{PtySession, spawn_command};

/// Nothing here takes long; a wait that ends is a failure.
const PATIENCE_MS: u64 = 20_000;

fn start(words: &[&str], data: &tempfile::TempDir) -> PtySession {
    let mut command = Command::new(env!("CARGO_BIN_EXE_parvi"));
    command.args(words).args(["--data", data.path().to_str().unwrap()]);
    command.env_clear().env("TERM", "xterm").env("HOME", data.path());
    spawn_command(command, Some(PATIENCE_MS)).unwrap()
}

fn tracker(data: &tempfile::TempDir) -> PtySession {
    let mut session = start(&["tracker", "--listen", "127.0.0.1:0"], data);
    session.exp_string("***** START 127.0.0.1 *****").unwrap();
    session.exp_string("ready tracker listen=127.0.0.1:").unwrap();
    session.exp_string("tracker> ").unwrap();
    session
}

#[test]
fn commands_complete_hint_run_and_exit_ends() {
    let data = tempfile::tempdir().unwrap();
    let mut session = tracker(&data);
    session.send("pe\t").unwrap();
    session.flush().unwrap();
    session.exp_string("peers ").unwrap();
    session.send_line("").unwrap();
    session.exp_string("ADDRESS").unwrap();
    session.send_line("pers").unwrap();
    session.exp_string("parvi: there is no command pers; did you mean peers?").unwrap();
    session.send("help e").unwrap();
    session.send_line("xit").unwrap();
    session.exp_string("exit [--now]").unwrap();
    session.send_line("exit").unwrap();
    session.exp_eof().unwrap();
    let history = std::fs::read_to_string(data.path().join(".parvi/history")).unwrap();
    assert_eq!(history, "peers \npers\nhelp exit\nexit\n");
}

#[test]
fn ctrl_d_leaves_and_ctrl_c_leaves_when_pressed_twice() {
    let data = tempfile::tempdir().unwrap();
    let mut session = tracker(&data);
    session.send_control('d').unwrap();
    session.exp_eof().unwrap();

    let mut session = tracker(&data);
    session.send_control('c').unwrap();
    session.exp_string("Ctrl-C once more").unwrap();
    session.exp_string("tracker> ").unwrap();
    session.send_control('c').unwrap();
    session.exp_eof().unwrap();
}

#[test]
fn a_signal_in_the_middle_of_a_line_ends_the_process_and_leaves_the_terminal_clean() {
    let data = tempfile::tempdir().unwrap();
    let mut session = tracker(&data);
    session.send("half a line").unwrap();
    session.flush().unwrap();
    session.exp_string("a line").unwrap();
    let lock = std::fs::read_to_string(data.path().join(".parvi/lock")).unwrap();
    let pid = rustix::process::Pid::from_raw(lock.trim().parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    session.exp_string("\u{1b}[?2004l").unwrap();
    session.exp_eof().unwrap();
    assert!(!data.path().join(".parvi/ctl.sock").exists());
}

#[test]
fn the_end_of_a_pipe_is_not_the_end_of_the_daemon_but_ctl_exit_is() {
    use std::io::{BufRead, BufReader, Write};
    use std::process::Stdio;
    let data = tempfile::tempdir().unwrap();
    let parvi = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_parvi"));
        command.env_clear().env("PARVI_DATA", data.path());
        command
    };
    let mut daemon = parvi()
        .args(["tracker", "--listen", "127.0.0.1:0"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    daemon.stdin.take().unwrap().write_all(b"peers\n").unwrap();
    let mut lines = BufReader::new(daemon.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.starts_with("ready tracker listen=")));
    assert!(lines.any(|line| line.contains("ADDRESS")), "the piped command ran");
    let code = |words: &[&str]| parvi().args(words).output().unwrap().status.code();
    assert_eq!(code(&["health"]), Some(0), "it serves on");
    assert_eq!(code(&["ctl", "exit"]), Some(0));
    assert_eq!(code(&["ctl", "peers"]), Some(6), "when ctl exit returns the daemon is gone");
    assert_eq!(daemon.wait().unwrap().code(), Some(0));
}

#[test]
fn lines_typed_ahead_are_not_lost() {
    let data = tempfile::tempdir().unwrap();
    let mut session = tracker(&data);
    session.send("help peers\nhelp files\nhelp exit\n").unwrap();
    session.flush().unwrap();
    for usage in ["\npeers", "\nfiles", "\nexit [--now]"] {
        session.exp_string(usage).unwrap();
    }
    session.send_line("exit").unwrap();
    session.exp_eof().unwrap();
}
