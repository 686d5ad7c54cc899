use std::collections::BTreeMap;

use super::*;
use crate::ui::args::{NodeArgs, Task};

fn run(words: &[&str], env: &[(&str, &str)]) -> Result<Cli, Fault> {
    let argv: Vec<OsString> =
        std::iter::once("parvi").chain(words.iter().copied()).map(OsString::from).collect();
    let table: BTreeMap<&str, &str> = env.iter().copied().collect();
    let lookup = |key: &str| table.get(key).map(OsString::from);
    match resolve(&argv, &lookup)? {
        Parsed::Run(cli) => Ok(*cli),
        Parsed::Print(text) => panic!("only a text: {text}"),
    }
}

fn node(words: &[&str], env: &[(&str, &str)]) -> NodeArgs {
    match run(words, env) {
        Ok(Cli { task: Task::Node(args) }) => args,
        other => panic!("no node: {other:?}"),
    }
}

fn refusal(words: &[&str], env: &[(&str, &str)]) -> String {
    let fault = run(words, env).expect_err("it was taken");
    assert_eq!(fault.kind, FaultKind::Usage, "{fault}");
    fault.text
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

#[test]
fn a_flag_beats_the_environment_beats_the_file_beats_the_default() {
    let conf = file("heartbeat = 3\nack-timeout = 4.5\nname = \"from-file\"\nport_base = 7000\n");
    let path = conf.path().to_str().unwrap();
    let args = node(
        &["node", "--config", path, "--heartbeat", "1"],
        &[("PARVI_HEARTBEAT", "2"), ("PARVI_NAME", "from-env")],
    );
    assert_eq!(args.heartbeat.as_secs(), 1);
    assert_eq!(args.name.unwrap().as_str(), "from-env");
    assert_eq!(args.ack_timeout.as_secs_f64(), 4.5);
    assert_eq!(args.port_base, Some(7000), "an underscore in a key is as good as a hyphen");
    assert_eq!(args.listen.to_string(), "0.0.0.0");
}

#[test]
fn a_list_replaces_the_lists_below_it() {
    let conf = file("tracker = [\"a:1\", \"b:2\"]\n");
    let path = conf.path().to_str().unwrap();
    assert_eq!(node(&["node", "--config", path], &[]).tracker, ["a:1", "b:2"]);
    assert_eq!(node(&["node"], &[("PARVI_TRACKER", "c:3,d:4")]).tracker, ["c:3", "d:4"]);
    let typed = ["node", "--config", path, "--tracker", "e:5", "--tracker=f:6"];
    assert_eq!(node(&typed, &[("PARVI_TRACKER", "c:3")]).tracker, ["e:5", "f:6"]);
}

#[test]
fn switches_can_be_turned_on_and_off_from_below_and_empty_counts_as_unset() {
    let conf = file("headless = true\n");
    let path = conf.path().to_str().unwrap();
    assert!(node(&["node", "--config", path], &[]).headless);
    assert!(node(&["node"], &[("PARVI_HEADLESS", "1"), ("PARVI_CONFIG", "")]).headless);
    assert!(!node(&["node"], &[("PARVI_HEADLESS", "no")]).headless);
    assert!(node(&["node"], &[("PARVI_CONFIG", path)]).headless, "the file's own twin");
}

#[test]
fn a_switch_turned_off_in_the_environment_stays_off_whatever_the_file_says() {
    let conf = file("headless = true\n");
    let path = conf.path().to_str().unwrap();
    assert!(!node(&["node", "--config", path], &[("PARVI_HEADLESS", "no")]).headless);
}

#[test]
fn an_unknown_key_is_refused_with_the_valid_ones() {
    let conf = file("heartbeet = 3\n");
    let words = refusal(&["node", "--config", conf.path().to_str().unwrap()], &[]);
    assert!(words.contains("\"heartbeet\""), "{words}");
    assert!(words.contains("ack-timeout, advertise, bulk, data"), "{words}");
}

#[test]
fn nonsense_is_refused_with_the_name_of_the_flag_the_variable_or_the_key() {
    let table = [
        ("node", "heartbeat", "soon"),
        ("node", "ack-timeout", "-3"),
        ("node", "tracker", "nowhere"),
        ("node", "listen", "1.2.3"),
        ("node", "advertise", "0.0.0.0"),
        ("node", "port-base", "70000"),
        ("node", "name", "a b"),
        ("node", "up", "fast"),
        ("node", "down", "0"),
        ("node", "bulk", "loud"),
        ("node", "fsync", "maybe"),
        ("node", "headless", "perhaps"),
        ("tracker", "listen", "12345"),
    ];
    for (task, flag, bad) in table {
        let words = refusal(&[task, &format!("--{flag}={bad}")], &[]);
        assert!(words.contains(&format!("--{flag}")), "{flag}: {words}");

        let words = refusal(&[task], &[(&twin(flag), bad)]);
        assert!(words.contains(&twin(flag)), "{flag} in the environment: {words}");

        let conf = file(&format!("{flag} = {bad:?}\n"));
        let words = refusal(&[task, "--config", conf.path().to_str().unwrap()], &[]);
        assert!(words.contains(&format!("key \"{flag}\" in")), "{flag} in the file: {words}");
    }
}

#[test]
fn a_file_that_is_missing_or_no_toml_or_no_plain_value_is_refused_by_name() {
    assert!(refusal(&["node", "--config", "/nowhere/x.toml"], &[]).contains("/nowhere/x.toml"));
    let conf = file("= = =\n");
    assert!(refusal(&["node", "--config", conf.path().to_str().unwrap()], &[]).contains("TOML"));
    let conf = file("[heartbeat]\na = 1\n");
    let words = refusal(&["node", "--config", conf.path().to_str().unwrap()], &[]);
    assert!(words.contains("heartbeat"), "{words}");
}

#[test]
fn the_words_of_ctl_are_left_alone_and_its_flags_have_twins() {
    let cli = run(&["ctl", "--", "download", "--all", "x"], &[("PARVI_DATA", "/d")]).unwrap();
    let Task::Ctl(args) = cli.task else { panic!("no ctl") };
    assert_eq!(args.words, ["download", "--all", "x"]);
    assert_eq!(args.data.unwrap().to_str(), Some("/d"));
    let cli = run(&["ctl", "--json", "download", "x", "--wait"], &[]).unwrap();
    let Task::Ctl(args) = cli.task else { panic!("no ctl") };
    assert!(args.json);
    assert_eq!(args.words, ["download", "x", "--wait"]);
}

#[test]
fn the_parser_itself_is_sound() {
    Cli::command().debug_assert();
}
