//! House rules that a compiler does not know, held by reading the sources.
//!
//! Each rule is a function from one source file to complaints (`tidy/rules.rs`); each has a test
//! on the real tree and one that shows it can fail. A complaint says where, what, and what to do.
#![allow(clippy::unwrap_used, unreachable_pub, reason = "a test program")]

#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/source.rs"]
mod source;

use source::{Source, tree};

/// Fails with all that `rule` has to say about the tree.
fn holds(rule: impl Fn(&Source) -> Vec<String>) {
    let complaints: Vec<String> = tree().iter().flat_map(rule).collect();
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

/// What `rule` says of `text` as the file `path`.
#[track_caller]
fn complains(rule: impl Fn(&Source) -> Vec<String>, path: &str, text: &str, expected: &str) {
    let said = rule(&Source::read(path, text));
    assert!(said.iter().any(|s| s.contains(expected)), "about {text:?} it says {said:?}");
}

/// `rule` has nothing to say of `text` as the file `path`.
#[track_caller]
fn accepts(rule: impl Fn(&Source) -> Vec<String>, path: &str, text: &str) {
    assert_eq!(rule(&Source::read(path, text)), Vec::<String>::new(), "about {text:?}");
}

#[test]
fn a_module_uses_only_ranks_below_its_own() {
    holds(layers::complaints);
}

#[test]
fn a_use_of_a_higher_rank_is_found_however_it_is_written() {
    let rule = layers::complaints;
    complains(rule, "src/logic/x.rs", "use crate::io::Link;", "logic uses io");
    complains(rule, "src/logic/x.rs", "use crate::{base::Name, io::Link};", "logic uses io");
    complains(rule, "src/base/x.rs", "fn f() { parvi::wire::go() }", "base uses wire");
    complains(rule, "src/node/x.rs", "use crate::tracker::Pool;", "node uses tracker");
    complains(
        rule,
        "src/tracker/x.rs",
        "use crate::{\n    base,\n    node,\n};",
        "tracker uses node",
    );
    complains(rule, "src/wire/mod.rs", "use super::logic::X;", "wire uses logic");
    complains(rule, "src/wire/message/x.rs", "use super::super::super::io::X;", "wire uses io");
    accepts(rule, "src/wire/message/x.rs", "use super::super::io::X;");
    accepts(rule, "src/node/x.rs", "use crate::{base::{Name, Root}, io, node::view};");
    accepts(rule, "src/base/x.rs", "// use crate::io;\nconst S: &str = \"crate::io::x\";");
    accepts(rule, "src/base/x.rs", "#[cfg(test)]\nmod tests { use crate::io; }");
}

#[test]
fn every_file_begins_with_what_it_is_for() {
    holds(rules::begins_with_its_purpose);
}

#[test]
fn a_file_without_a_purpose_is_found() {
    let rule = rules::begins_with_its_purpose;
    for bad in ["", "use std::fs;\n//! Late words do not count.", "//! x", "// No doc at all here."]
    {
        complains(rule, "src/base/x.rs", bad, "what it is for");
    }
    accepts(rule, "src/base/x.rs", "//! Rates like `20MiB` a second.\n");
}

#[test]
fn files_are_short_enough_to_read() {
    holds(rules::is_short);
}

#[test]
fn a_long_file_is_found_and_its_tests_are_not_counted() {
    let long = "fn f() {}\n".repeat(rules::LINES_MAX + 1);
    complains(rules::is_short, "src/base/x.rs", &long, "split it");
    let tests = format!("#[cfg(test)]\nmod tests {{\n{long}}}\n");
    accepts(rules::is_short, "src/base/x.rs", &tests);
}

#[test]
fn production_code_does_not_panic_and_leaves_nothing_for_later() {
    holds(rules::has_no_banned_words);
}

#[test]
fn banned_words_are_found_outside_tests_comments_and_texts() {
    let rule = rules::has_no_banned_words;
    for bad in [
        "x.unwrap();",
        "x.expect(\"y\");",
        "todo!()",
        "panic!(\"x\")",
        "unimplemented!()",
        "unreachable!()",
        "// TODO later",
        "/// FIXME",
        "unsafe { x }",
        "// SAFETY: said too early\n\nx.unwrap();",
        "'\"'; x.unwrap(); '\"';",
    ] {
        complains(rule, "src/base/x.rs", bad, "x.rs");
    }
    for good in [
        "// SAFETY: it is Some above.\nx.unwrap();",
        "// SAFETY: it is Some.\n#[expect(clippy::unwrap_used)]\nx.unwrap();",
        "// SAFETY: it is\n// Some above.\nx.unwrap();",
        "#[cfg(test)]\nmod tests { fn f() { x.unwrap(); panic!() } }",
        "let s = \"todo!\"; // never panic!",
        "let s = r#\"a\"panic!()\"#;",
        "/* .unwrap() /* nested */ panic! */",
        "#[expect(clippy::x, reason = \"y\")]",
        "x.unwrap_or(1); no_panic!(2); let c: &'static str = d;",
    ] {
        accepts(rule, "src/base/x.rs", good);
    }
}

#[test]
fn base_wire_and_logic_do_not_touch_the_world() {
    holds(rules::is_pure);
}

#[test]
fn a_pure_room_that_touches_the_world_is_found() {
    let rule = rules::is_pure;
    for bad in [
        "use std::net::TcpStream;",
        "use std::net::{IpAddr, TcpListener};",
        "std::fs::read(p)",
        "use std::{fs, io};",
        "std::thread::yield_now()",
        "Instant::now()",
        "time::SystemTime",
    ] {
        complains(rule, "src/logic/x.rs", bad, "x.rs:1");
        accepts(rule, "src/io/x.rs", bad);
    }
    accepts(rule, "src/logic/x.rs", "use std::net::{IpAddr, SocketAddr};\nlet instant = now;");
}

#[test]
fn the_wall_clock_decides_nothing() {
    holds(rules::goes_by_monotonic_time);
}

#[test]
fn a_use_of_the_wall_clock_is_found() {
    let rule = rules::goes_by_monotonic_time;
    complains(rule, "src/node/x.rs", "let t = clock::unix_now();", "use clock::now");
    accepts(rule, "src/io/disk/sweep.rs", "let t = clock::unix_now();");
}

#[test]
fn nothing_depends_on_a_hash_order() {
    holds(rules::has_no_hash_order);
}

#[test]
fn a_hash_map_is_found() {
    complains(
        rules::has_no_hash_order,
        "src/ui/x.rs",
        "use std::collections::HashMap;",
        "BTreeMap",
    );
    complains(rules::has_no_hash_order, "src/ui/x.rs", "HashSet::<u8>::new()", "BTreeSet");
}

#[test]
fn every_file_is_part_of_the_crate() {
    let tree = tree();
    let dead: Vec<&str> =
        tree.iter().filter(|f| !rules::is_declared(f, &tree)).map(|f| f.path.as_str()).collect();
    assert!(dead.is_empty(), "no `mod` declares {dead:?}");
}

#[test]
fn a_file_that_nobody_declares_is_found() {
    let parent = Source::read("src/base/mod.rs", "pub mod name;\n// mod root;");
    let odd = Source::read("src/base/x.rs", "#[cfg(test)]\n#[path = \"odd.rs\"]\nmod tests;");
    let tree = [parent, odd];
    assert!(rules::is_declared(&Source::read("src/base/odd.rs", ""), &tree));
    assert!(rules::is_declared(&Source::read("src/base/name.rs", ""), &tree));
    assert!(!rules::is_declared(&Source::read("src/base/root.rs", ""), &tree));
    let wal = [Source::read("wal/src/lib.rs", "mod log;"), Source::read("src/lib.rs", "mod end;")];
    assert!(rules::is_declared(&Source::read("wal/src/log.rs", ""), &wal));
    assert!(!rules::is_declared(&Source::read("wal/src/end.rs", ""), &wal));
}

#[test]
fn every_exit_code_is_in_the_readme() {
    let Ok(readme) = std::fs::read_to_string(source::root().join("README.md")) else {
        return; // nothing to hold against yet
    };
    let missing = rules::undocumented_codes(&readme);
    assert!(missing.is_empty(), "README.md does not explain the exit codes {missing:?}");
}

#[test]
fn a_missing_exit_code_is_found() {
    let all = "| 1 | 2 | 3 | 4 | 5 | 6 | 7 | 9 | 13 |";
    assert_eq!(rules::undocumented_codes(all), [0_u8; 0]);
    assert_eq!(rules::undocumented_codes(&all.replace("| 13 ", "| 130 ")), [13]);
}

#[test]
fn every_fail_point_is_listed_once_and_placed_once() {
    let tree = tree();
    assert_eq!(rules::odd_fail_points(&tree), Vec::<String>::new());
    let placed = tree.iter().flat_map(|f| &f.raw).filter(|line| line.contains("fail_point!(\""));
    assert!(placed.count() >= 40);
}

#[test]
fn a_fail_point_that_is_missing_doubled_or_unlisted_is_found() {
    let list =
        Source::read("src/io/failpoint/points.rs", "point(\"a\", \"x\"), point(\n\"b\", \"y\")");
    let odd = |text: &str| {
        let list = Source::read(&list.path, &list.raw.join("\n"));
        rules::odd_fail_points(&[list, Source::read("src/io/x.rs", text)]).len()
    };
    let (a, b) = ("fail_point!(\"a\")", "fail_point!(\n    \"b\"\n)");
    assert_eq!(odd(&format!("{a}; {b}")), 0);
    assert_eq!(odd(a), 1, "b is not placed");
    assert_eq!(odd(&format!("{a}; {b}; {a}")), 1, "a is placed twice");
    assert_eq!(odd(&format!("{a}; {b}; fail_point!(\"c\")")), 1, "c is not listed");
}
