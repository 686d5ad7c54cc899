use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use super::*;
use crate::base::{Name, Root};
use crate::ui::daemon::{Candidates, Daemon, Executor, Request};
use crate::ui::help::Role;
use crate::ui::life::{Going, Life, Pace};

/// A node that knows one file at alice and bob, and writes down what it is told to do.
#[derive(Default)]
struct Fake {
    ran: Mutex<Vec<Command>>,
    going_on: Vec<Going>,
}

impl Daemon for Fake {
    fn role(&self) -> Role {
        Role::Node
    }
    fn label(&self) -> String {
        "eve".into()
    }
    fn run(&self, command: Command, _: &mut dyn Reply) -> Result<Outcome, Fault> {
        if let Command::Lookup(name) = &command {
            let hits = vec![hit(name)];
            return Ok(Outcome::Found { name: name.clone(), hits });
        }
        self.ran.lock().push(command);
        Ok(Outcome::Nothing)
    }
    fn next_notice(&self) -> Option<String> {
        None
    }
    fn going_on(&self) -> Vec<Going> {
        self.going_on.clone()
    }
    fn stop(&self) {}
    fn candidates(&self, _: Candidates) -> Vec<String> {
        Vec::new()
    }
}

fn id(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

fn hit(name: &Name) -> LookupHit {
    let owner = |n: u8, label: &str| Owner {
        node: label.parse().unwrap(),
        id: id(n),
        addr: ([10, 0, 0, n], 5000).into(),
        complete: n == 1,
        here: false,
        part: None,
    };
    let owners = vec![owner(1, "alice"), owner(2, "bob")];
    LookupHit { name: name.clone(), size: 2048, root: Root::of(b""), owners }
}

struct Script {
    inputs: VecDeque<Input>,
    terminal: bool,
}

impl Lines for Script {
    fn next(&mut self, _: &str) -> Input {
        self.inputs.pop_front().unwrap_or(Input::End)
    }
    fn end_is_exit(&self) -> bool {
        self.terminal
    }
}

#[derive(Default)]
struct Heard {
    out: String,
    err: String,
}

impl Reply for Heard {
    fn out(&mut self, text: &str) {
        self.out.push_str(text);
    }
    fn err(&mut self, text: &str) {
        self.err.push_str(text);
    }
    fn gone(&self) -> bool {
        false
    }
}

fn shell(fake: Fake) -> (Shell, Arc<Fake>) {
    let fake = Arc::new(fake);
    (Shell { daemon: Arc::<Fake>::clone(&fake), life: Arc::new(Life::default()) }, fake)
}

fn play(shell: &Shell, lines: &[&str], terminal: bool) -> Heard {
    let inputs = lines
        .iter()
        .map(|l| if *l == "^C" { Input::Interrupted } else { Input::Line((*l).into()) })
        .collect();
    let mut heard = Heard::default();
    run(shell, &mut Script { inputs, terminal }, &mut heard);
    heard
}

fn fetched(from: From) -> Vec<Command> {
    let name = Name::parse("a.pdf").unwrap();
    vec![Command::Download(Download { name, root: None, from: Some(from), wait: false })]
}

#[test]
fn a_download_without_a_choice_shows_the_owners_and_asks() {
    let (shell, fake) = shell(Fake::default());
    let heard = play(&shell, &["download a.pdf", "5", "1"], false);
    assert_eq!(
        heard.out,
        "a.pdf  2.0 KiB\n  [0] alice  10.0.0.1:5000  complete\n  [1] bob  10.0.0.2:5000  in part\n"
    );
    assert_eq!(heard.err, "there is no such number; -1 cancels\n");
    assert_eq!(*fake.ran.lock(), fetched(From::One(id(2).to_string())));
}

#[test]
fn minus_two_takes_all_and_minus_one_nothing() {
    let (shell, fake) = shell(Fake::default());
    let heard = play(&shell, &["download a.pdf", "-1", "download a.pdf", "-2"], false);
    assert_eq!(heard.err, "nothing is downloaded\n");
    assert_eq!(*fake.ran.lock(), fetched(From::All));
}

#[test]
fn an_error_is_told_and_the_next_line_runs() {
    let (shell, fake) = shell(Fake::default());
    let heard = play(&shell, &["", "lookup 'x", "exti", "peers"], false);
    assert_eq!(
        heard.err,
        "parvi: a ' quote is not closed\nparvi: there is no command exti; did you mean exit?\n"
    );
    assert_eq!(*fake.ran.lock(), [Command::Peers]);
}

#[test]
fn the_end_of_a_pipe_goes_on_serving_and_the_end_of_a_terminal_leaves() {
    let (shell, _) = shell(Fake::default());
    play(&shell, &["peers"], false);
    assert_eq!(shell.life.phase(), Phase::Serving);
    play(&shell, &["peers"], true);
    assert_eq!(shell.life.phase(), Phase::Stopping);
}

#[test]
fn ctrl_c_clears_the_line_and_leaves_only_when_pressed_twice() {
    let (shell, _) = shell(Fake::default());
    let heard = play(&shell, &["^C", "peers", "^C"], false);
    assert_eq!(shell.life.phase(), Phase::Serving);
    assert_eq!(heard.err, "Ctrl-C once more, or exit, to leave\n".repeat(2));
    play(&shell, &["^C", "^C"], false);
    assert_eq!(shell.life.phase(), Phase::Stopping);
}

#[test]
fn exit_says_what_it_waits_for_and_a_second_one_insists() {
    let going = |id, pace, line: &str| Going { id, pace, line: line.into() };
    let going_on = vec![
        going(3, Pace::Moves, "download 3 a.pdf: 1.0 MiB of 4.0 MiB (25 %) from alice"),
        going(4, Pace::Waits, "download 4 b.pdf: waits"),
        going(5, Pace::Prepares, "download 5 c.pdf: prepares"),
    ];
    let (shell, _) = shell(Fake { going_on, ..Fake::default() });
    let heard = play(&shell, &["exit"], false);
    assert_eq!(
        heard.err,
        "waiting for these to finish; exit again to leave at once:\n  \
         download 3 a.pdf: 1.0 MiB of 4.0 MiB (25 %) from alice\n  \
         download 5 c.pdf: prepares\n"
    );
    assert_eq!(shell.life.phase(), Phase::Leaving);
    play(&shell, &["exit"], false);
    assert_eq!(shell.life.phase(), Phase::Stopping);
}

#[test]
fn behind_the_socket_nobody_is_asked_json_waits_and_paths_are_the_askers() {
    let (shell, fake) = shell(Fake::default());
    let ask = |words: &[&str], json| {
        let words = words.iter().map(ToString::to_string).collect();
        let request = Request { words, json, folder: Some("/home/eve".into()) };
        shell.execute(&request, &mut Heard::default())
    };
    assert_eq!(ask(&["download", "a.pdf"], true), 0);
    assert_eq!(ask(&["share", "x"], false), 0);
    assert_eq!(ask(&["share", "/y"], false), 0);
    assert_eq!(ask(&["frobnicate"], false), 2);
    assert_eq!(ask(&[], false), 2);
    let name = Name::parse("a.pdf").unwrap();
    let wanted = [
        Command::Download(Download { name, root: None, from: Some(From::All), wait: true }),
        Command::Share("/home/eve/x".into()),
        Command::Share("/y".into()),
    ];
    assert_eq!(*fake.ran.lock(), wanted);
}

#[test]
fn only_a_download_that_is_waited_for_is_a_long_command() {
    let (shell, _) = shell(Fake::default());
    let long = |line: &str, json| {
        let words = line.split(' ').map(str::to_owned).collect();
        shell.is_long(&Request { words, json, folder: None })
    };
    assert!(long("download a.pdf --wait", false) && long("request a.pdf --wait", false));
    assert!(long("download a.pdf", true) && long("download a.pdf --json", false));
    for line in ["download a.pdf", "stats", "exit", "frobnicate"] {
        assert!(!long(line, false), "{line}");
    }
    assert!(!long("stats", true));
}
