//! Without a container engine: the same swarm as processes on loopback, same folders, same reset.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::place::{Place, hash, shares, until, wait_for_owners};

/// A search path with all of this machine's commands but `without`.
fn path_without(place: &mut Place, without: &[&str]) {
    let folder = place.root().join("bin");
    fs::create_dir(&folder).unwrap();
    for dir in place.path.split(':') {
        let Ok(entries) = fs::read_dir(dir) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name();
            if !without.iter().any(|word| name == *word) {
                // The first of two of a name counts, as in a search path.
                let _ = symlink(entry.path(), folder.join(name));
            }
        }
    }
    place.path = folder.to_str().unwrap().to_owned();
}

fn walk_through(place: &Place, flags: &[&str]) {
    let run = |words: &[&str]| place.script("run.sh", &[flags, words].concat());
    let said = run(&["-d", "-s", "1", "-n", "4"]).ended(0);
    assert!(said.out.contains("starting tracker node1 node2 node3 node4"), "{}", said.out);

    let ctl = |words: &[&str]| place.ctl_local("node4", words);
    wait_for_owners(ctl, "ocean.bin", 3);
    let answer = ctl(&["download", "ocean.bin", "--all"]).ended(0).json();
    let ocean = hash(&place.volume("node1", "shared/ocean.bin"));
    assert_eq!(answer["root"], ocean.as_str());
    assert_eq!(hash(&place.volume("node4", "downloaded/ocean.bin")), ocean);
    assert_eq!(shares(&answer).len(), 3);

    let said = run(&["-d", "-nn", "node2"]).ended(13);
    assert!(said.err.contains("node2 runs already"), "{}", said.err);
    let said = run(&["-d", "-s", "1", "-n", "1"]).ended(0);
    assert!(said.out.contains("the tracker runs already"), "{}", said.out);
    assert!(said.out.contains("starting node5\n"), "{}", said.out);
    let generated = place.volume("node5", "shared/from-node5/small/000/000000.txt");
    assert!(generated.exists(), "a node without first files makes some");

    let pid = fs::read_to_string(place.volume("node2", ".parvi/lock")).unwrap();
    let pid = rustix::process::Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    place.tracker_tells("node2 exited not intentionally");
    let said = run(&["-d", "-n", "1"]).ended(0);
    assert!(said.out.contains("starting node2\n"), "the lowest free number: {}", said.out);

    let said = place.script("reset.sh", &[]).ended(0);
    assert!(said.out.contains("ended 6 processes"), "{}", said.out);
    assert!(!place.root().join("logs").exists() && !place.root().join(".run").exists());
    assert!(place.volume("node4", "downloaded/ocean.bin").exists(), "files stay");
    let key = fs::read(place.root().join("keys/swarm.key")).unwrap();
    place.script("reset.sh", &["-v"]).ended(0);
    assert!(!place.volume("node4", "downloaded").exists());
    assert!(!place.volume("node5", "").exists());
    assert!(!place.volume("node1", ".parvi").exists(), "new identities");
    assert_eq!(hash(&place.volume("node3", "shared/ocean.bin")), ocean, "first files are back");
    assert_ne!(fs::read(place.root().join("keys/swarm.key")).unwrap(), key);
    let said = place.script("reset.sh", &[]).ended(0);
    assert_eq!(said.out, "nothing runs any more\n");
}

#[test]
fn logs_of_all_are_shown_until_that_is_ended() {
    use std::io::{BufRead, BufReader};
    let place = Place::local();
    let mut command = place.command(place.root().join("run.sh"));
    command.args(["--local", "-d", "-s", "1", "-n", "1", "--logs"]);
    let mut shown = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(shown.stdout.take().unwrap()).lines();
    let joined = lines.map_while(Result::ok).any(|line| line.contains("node1 joined"));
    shown.kill().unwrap();
    shown.wait().unwrap();
    assert!(joined, "the tracker's log is shown");
    place.ctl_local("node1", &["peers"]).ended(0);
}

#[test]
fn two_runs_at_once_start_different_nodes() {
    let place = Place::local();
    place.script("run.sh", &["--local", "-d", "-s", "1"]).ended(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| place.script("run.sh", &["--local", "-d", "-n", "1"]).ended(0));
        }
    });
    for node in ["node1", "node2"] {
        place.ctl_local(node, &["peers"]).ended(0);
    }
}

#[test]
fn nodes_run_in_the_background_where_there_is_neither_engine_nor_tmux() {
    let mut place = Place::local();
    path_without(&mut place, &["docker", "docker-compose", "tmux"]);
    walk_through(&place, &[]);
}

#[test]
fn prompts_live_in_tmux_where_it_is() {
    let place = Place::local();
    let tmux = |words: &[&str]| {
        let mut command = place.command("tmux");
        command.args(["-L", &place.project]).args(words);
        command.output().map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    if tmux(&["-V"]).is_err() {
        eprintln!("skipped: tmux is not installed (Debian: apt install tmux)");
        return;
    }
    let said = place.script("run.sh", &["--local", "-s", "1", "-n", "1"]).ended(0);
    assert!(
        said.out.contains(&format!("the prompts are in tmux: tmux -L {} attach", place.project))
    );
    let pane = format!("={}:", place.project);
    tmux(&["send-keys", "-t", &pane, "help exit", "Enter"]).unwrap();
    until("the prompt in tmux answers", || {
        let screen = tmux(&["capture-pane", "-p", "-t", &pane]).ok()?;
        screen.contains("exit [--now]").then_some(())
    });
    tmux(&["send-keys", "-t", &pane, "exit", "Enter"]).unwrap();
    place.tracker_tells("node1 exited intentionally");
    place.script("reset.sh", &["-v"]).ended(0);
    assert!(!tmux(&["list-sessions"]).unwrap().contains(&place.project), "our server is gone");
    walk_through(&place, &["--local"]);
}

/// Puts a command that says `words` and fails in front of the search path.
fn shadow(place: &mut Place, command: &str, words: &str) {
    let folder = place.root().join("shadow");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(command);
    fs::write(&path, format!("#!/bin/sh\necho '{words}' >&2\nexit 1\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    place.path = format!("{}:{}", folder.display(), place.path);
}

#[test]
fn an_engine_that_lets_nobody_in_is_told_with_what_to_do() {
    let mut place = Place::local();
    shadow(&mut place, "docker", "Got permission denied while trying to connect to the daemon");
    let said = place.script("run.sh", &["-d", "-s", "1", "-n", "0"]).ended(0);
    assert!(said.out.contains("docker does not let you in (sudo usermod"), "{}", said.out);
    assert!(said.out.contains("starting processes on this machine"), "{}", said.out);
}

#[test]
fn a_missing_tool_is_named_with_its_package() {
    let mut place = Place::local();
    path_without(&mut place, &["flock"]);
    let said = place.script("run.sh", &["-d", "-s", "1"]).ended(1);
    assert!(said.err.contains("the command flock is missing (Debian: apt install"), "{}", said.err);
    place.path = std::env::var("PATH").unwrap();
}

#[test]
fn a_desktop_that_cannot_be_reached_is_not_waited_for() {
    let mut place = Place::local();
    shadow(&mut place, "konsole", "cannot connect to display");
    let mut command = place.command("bash");
    let script = r#"source "$0/scripts/common.sh"; source "$0/scripts/terminals.sh"
        open_window node1 true && echo opened || echo not opened"#;
    command.args(["-c", script]).arg(place.root()).env("DISPLAY", ":99");
    assert_eq!(String::from_utf8_lossy(&command.output().unwrap().stdout), "not opened\n");
    fs::write(place.root().join("shadow/konsole"), "#!/bin/sh\nexec sleep 2\n").unwrap();
    assert_eq!(String::from_utf8_lossy(&command.output().unwrap().stdout), "opened\n");
}
