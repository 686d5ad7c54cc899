//! The scripts refuse what they do not understand, with words and exit code 2, and begin nothing.

use std::fs;

use crate::place::Place;

#[track_caller]
fn refused(script: &str, words: &[&str], environment: &[(&str, &str)], expected: &str) {
    let place = Place::local();
    let mut command = place.command(place.root().join(script));
    command.args(words).envs(environment.iter().copied());
    let output = command.output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{script} {words:?}: {err}");
    assert!(err.contains(expected), "{script} {words:?} says {err}");
    assert!(!place.root().join("volumes").exists(), "nothing has begun");
}

#[test]
fn nonsense_on_a_command_line_is_told() {
    refused("run.sh", &[], &[], "usage: ./run.sh");
    refused("run.sh", &["--what"], &[], "unknown argument --what");
    refused("run.sh", &["-n"], &[], "-n wants a number from 0 to 1000");
    refused("run.sh", &["-n", "four"], &[], "-n wants a number from 0 to 1000, not four");
    refused("run.sh", &["-n", "9999"], &[], "not 9999");
    refused("run.sh", &["-s", "2"], &[], "-s wants a number from 0 to 1, not 2");
    refused("run.sh", &["-nn"], &[], "-nn wants a name");
    refused("config.sh", &["-x"], &[], "unknown argument -x");
    refused("reset.sh", &["now"], &[], "unknown argument now");
}

#[test]
fn a_name_that_would_be_a_path_or_the_trackers_is_refused() {
    for name in ["../evil", "a b", "tracker", "Node", "-d", "x/y", ".", "prepare"] {
        refused("run.sh", &["-nn", name], &[], "cannot be a node's name");
    }
}

#[test]
fn a_project_or_network_that_cannot_be_is_refused() {
    let run = |name, value, expected| {
        refused("run.sh", &["--local", "-d", "-n", "1"], &[(name, value)], expected);
    };
    run("PARVI_PROJECT", "My Swarm", "expected lower-case letters");
    run("PARVI_SUBNET", "172.20", "expected a network like 172.20.0.0/16");
    run("PARVI_SUBNET", "300.1.1.0/24", "expected a network like");
    run("PARVI_SUBNET", "10.0.0.0/30", "expected between /8 and /28");
}

#[test]
fn help_is_no_error_and_needs_nothing() {
    let place = Place::local();
    for script in ["config.sh", "run.sh", "reset.sh"] {
        let said = place.script(script, &["-h"]).ended(0);
        assert!(said.out.starts_with(&format!("usage: ./{script}")), "{}", said.out);
    }
}

#[test]
fn a_network_with_bits_beyond_its_mask_is_taken_as_the_network() {
    let place = Place::local();
    let mut command = place.command("bash");
    let script = r#"source "$0/scripts/common.sh"; network
        echo "$PARVI_SUBNET $PARVI_TRACKER_IP $PARVI_IP_RANGE""#;
    command.args(["-c", script]).arg(place.root()).env("PARVI_SUBNET", "10.9.8.7/16");
    let said = String::from_utf8(command.output().unwrap().stdout).unwrap();
    assert_eq!(said, "10.9.0.0/16 10.9.0.2 10.9.128.0/17\n");
}

#[test]
fn scripts_say_at_their_start_what_they_are_for() {
    for script in ["config.sh", "run.sh", "reset.sh"] {
        let text = fs::read_to_string(crate::place::repository().join(script)).unwrap();
        assert!(text.lines().nth(1).unwrap().starts_with("# "), "{script}");
    }
}
