//! Words become commands, or faults with the usage.

use super::*;
use crate::ui::words;
use crate::wire::Text;

fn read(line: &str, role: Role) -> Result<Option<Line>, Fault> {
    parse(&words::split(line).unwrap(), role)
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn fetch(text: &str, from: Option<From>, wait: bool) -> Command {
    let (name, root) = values::content(text).unwrap();
    Command::Download(Download { name, root, from, wait })
}

#[test]
fn every_command_is_read_from_its_words() {
    let bob = || Some(From::One("bob".into()));
    let root = || "0123abcd".parse().unwrap();
    let glob = |t: &str, ignore_case| Pattern::Glob { text: Text::of(t), ignore_case };
    let part = |t: &str, ignore_case| Pattern::Contains { text: Text::of(t), ignore_case };
    let table = [
        ("help", Command::Help(None)),
        ("help exit", Command::Help(Some("exit".into()))),
        ("getip", Command::GetIp),
        ("show", Command::Show),
        ("list local", Command::List(Listing::Local)),
        ("list downloaded", Command::List(Listing::Downloaded)),
        ("list replicated", Command::List(Listing::Replicated)),
        ("lookup 'a b/c'", Command::Lookup(name("a b/c"))),
        ("lookup folder/", Command::Lookup(name("folder"))),
        ("lookup a/b@0123abcd", Command::LookupContent(name("a/b"), root())),
        ("lookup a@0123ABCD", Command::Lookup(name("a@0123ABCD"))),
        ("lookup @0123abcd", Command::LookupOr(name("@0123abcd"), Ok(Pattern::Root(root())))),
        ("lookup '*.txt'", Command::LookupOr(name("*.txt"), Ok(glob("*.txt", false)))),
        ("lookup '/*.txt'", Command::Find(glob("/*.txt", false))),
        ("lookup -i readme", Command::Find(glob("readme", true))),
        ("files", Command::Files(Pattern::All)),
        ("files -i a", Command::Files(part("a", true))),
        ("files 'a*'", Command::Files(glob("a*", false))),
        ("why a/b@0123abcd", Command::Why(name("a/b"), Some(root()))),
        ("why @0123abcd", Command::Why(name("@0123abcd"), None)),
        ("show bob", Command::Browse("bob".into())),
        ("download x@0123abcd", fetch("x@0123abcd", None, false)),
        ("download x@0123abcd --all", fetch("x@0123abcd", Some(From::All), false)),
        ("request x@0123abcd", fetch("x@0123abcd", Some(From::All), false)),
        (
            "download x@0123abcd --from bob",
            Command::Download(Download {
                name: name("x@0123abcd"),
                root: None,
                from: bob(),
                wait: false,
            }),
        ),
        ("lookup -- --wait", Command::Lookup(name("--wait"))),
        ("download x", fetch("x", None, false)),
        ("download x --all --wait", fetch("x", Some(From::All), true)),
        ("download --from bob x", fetch("x", bob(), false)),
        ("download x --from=bob", fetch("x", bob(), false)),
        ("request x", fetch("x", Some(From::All), false)),
        ("cancel 3", Command::Cancel(3)),
        ("pause 3", Command::Pause(3)),
        ("resume 3", Command::Resume(3)),
        ("limit 3 500kB", Command::Limit { id: 3, rate: Some(Rate::per_second(500_000)) }),
        ("limit 3 1MiB/s", Command::Limit { id: 3, rate: Some(Rate::per_second(1 << 20)) }),
        ("limit 3 off", Command::Limit { id: 3, rate: None }),
        ("share '/a b'", Command::Share("/a b".into())),
        ("unshare x", Command::Unshare(name("x"))),
        ("peers", Command::Peers),
        ("transfers", Command::Transfers),
        ("stats", Command::Stats),
        ("stats reset", Command::ResetStats),
        ("doctor", Command::Doctor),
        ("scrub", Command::Scrub(Scrub::Status)),
        ("scrub status", Command::Scrub(Scrub::Status)),
        ("scrub now", Command::Scrub(Scrub::Now)),
        ("scrub repair a/b", Command::Scrub(Scrub::Repair(name("a/b")))),
        ("exit", Command::Exit { now: false }),
        ("exit --now", Command::Exit { now: true }),
    ];
    for (line, command) in table {
        let wanted = Some(Line { command, json: false });
        assert_eq!(read(line, Role::Node).unwrap(), wanted, "{line}");
    }
    assert!(read("peers --json", Role::Node).unwrap().unwrap().json);
    assert_eq!(read("   ", Role::Node), Ok(None));
}

#[test]
fn what_is_wrong_is_said_with_the_usage() {
    let table = [
        ("frobnicate", "there is no command frobnicate; help lists the commands"),
        ("lokup x", "there is no command lokup; did you mean lookup?"),
        ("lookup", "lookup needs NAME; usage: lookup NAME|PATTERN [-i]"),
        ("lookup ../x", "a name cannot have . or .. as a part; usage: lookup NAME|PATTERN [-i]"),
        ("lookup a b", "\"b\" is too much; usage: lookup NAME|PATTERN [-i]"),
        (
            "lookup -i a[",
            "a [ in a pattern is not closed by a ]; \\[ stands for the character itself; \
             usage: lookup NAME|PATTERN [-i]",
        ),
        ("list all", "there is no list \"all\"; usage: list local|downloaded|replicated"),
        ("stats all", "there is no stats \"all\"; usage: stats [reset]"),
        ("cancel x", "\"x\" is not a number; usage: cancel ID"),
        ("limit x 1MiB", "\"x\" is not a number; usage: limit ID RATE|off"),
        ("limit 3", "limit needs RATE, like 500kB, or off; usage: limit ID RATE|off"),
        (
            "limit 3 fast",
            "\"fast\": a rate is a size per second, at least 1KiB, like 20MiB or 500kB; \
             usage: limit ID RATE|off",
        ),
        (
            "limit 3 0",
            "\"0\": a rate is a size per second, at least 1KiB, like 20MiB or 500kB; \
             usage: limit ID RATE|off",
        ),
        ("limit 3 off now", "\"now\" is too much; usage: limit ID RATE|off"),
        ("peers --loud", "\"--loud\" is too much; usage: peers"),
        (
            "download x --from",
            "--from needs a value; usage: download NAME[@ROOT] [--from NODE|--all] [--wait]",
        ),
        (
            "download x --from a --all",
            "--from and --all exclude each other; \
             usage: download NAME[@ROOT] [--from NODE|--all] [--wait]",
        ),
    ];
    for (line, words) in table {
        let fault = read(line, Role::Node).expect_err(line);
        assert_eq!((fault.kind, fault.text.as_str()), (FaultKind::Usage, words), "{line}");
    }
    assert!(read("download x", Role::Tracker).is_err(), "a tracker downloads nothing");
}

#[test]
fn every_listed_command_is_built() {
    for role in [Role::Node, Role::Tracker] {
        for spec in help::commands(role) {
            let fault = read(spec.name, role).err().map(|f| f.kind);
            assert!(matches!(fault, None | Some(FaultKind::Usage)), "{}", spec.name);
        }
    }
}
