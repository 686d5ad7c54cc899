//! The rules of one file each: purpose, length, banned words, purity.

use super::source::{Source, path_attribute, root};

/// Most lines of a file without its tests.
pub const LINES_MAX: usize = 400;

/// Rooms that only decide.
const PURE: [&str; 3] = ["base", "wire", "logic"];

/// What a pure room has no business with: a word, and what to do instead.
const WORLD: &[(&str, &str)] = &[
    ("TcpStream", "sockets live in io"),
    ("TcpListener", "sockets live in io"),
    ("UdpSocket", "sockets live in io"),
    ("fs", "files live in io"),
    ("thread", "threads live in io"),
    ("Instant", "time is an argument"),
    ("SystemTime", "time is an argument"),
    ("getrandom", "random numbers are arguments"),
    ("rustix", "system calls live in io"),
    ("socket2", "sockets live in io"),
];

/// What production code does not contain.
const BANNED: &[(&str, &str)] = &[
    (".unwrap()", "return an error"),
    (".expect(", "return an error"),
    ("todo!", "write it"),
    ("panic!", "return an error"),
    ("unimplemented!", "write it"),
    ("unreachable!", "let the types say so, or return an error"),
    ("unsafe ", "find a crate that does it"),
];

/// The first thing in a file says what it is for: a sentence. Files of tests are for their module.
pub fn begins_with_its_purpose(file: &Source) -> Vec<String> {
    let doc = file.raw.iter().map_while(|line| line.strip_prefix("//!"));
    let text = doc.map(str::trim).collect::<Vec<_>>().join(" ");
    let is_sentence = text.contains(['.', '?']) && text.split(' ').count() >= 4;
    if is_sentence || file.tests_only {
        return Vec::new();
    }
    vec![format!("{}:1: begin with `//!` and a sentence on what it is for", file.path)]
}

/// A file fits into a reader's head.
pub fn is_short(file: &Source) -> Vec<String> {
    let lines = file.production.iter().zip(&file.raw).filter(|(p, raw)| kept(p, raw)).count();
    if lines <= LINES_MAX {
        return Vec::new();
    }
    vec![format!("{}:1: {lines} lines without tests, at most {LINES_MAX}: split it", file.path)]
}

/// Whether a line counts: code, or a comment or blank line as written.
fn kept(production: &str, raw: &str) -> bool {
    !production.trim().is_empty() || raw.trim().is_empty() || raw.trim_start().starts_with("//")
}

/// Nothing that panics without a reason in the lines above, nothing left for later.
pub fn has_no_banned_words(file: &Source) -> Vec<String> {
    let mut said = Vec::new();
    for (at, line) in file.production.iter().enumerate() {
        let found = BANNED.iter().filter(|(word, _)| has_word(line, word));
        for (word, instead) in found.filter(|_| !has_reason(file, at)) {
            said.push(format!("{}:{}: `{}`: {instead}", file.path, at + 1, word.trim()));
        }
    }
    for (at, line) in file.raw.iter().enumerate() {
        if ["TODO", "FIXME"].iter().any(|word| has_word(line, word)) {
            said.push(format!("{}:{}: do it, or write it down elsewhere", file.path, at + 1));
        }
    }
    said
}

/// Whether the comment right above line `at` begins with `// SAFETY:`.
fn has_reason(file: &Source, at: usize) -> bool {
    let above = file.raw[..at].iter().rev().map(|line| line.trim_start());
    let above = above.filter(|line| !line.starts_with("#["));
    above.take_while(|line| line.starts_with("//")).any(|line| line.starts_with("// SAFETY:"))
}

/// Decisions touch no socket, file, thread or clock.
pub fn is_pure(file: &Source) -> Vec<String> {
    if !file.room().is_some_and(|room| PURE.contains(&room)) {
        return Vec::new();
    }
    complain_of(file, WORLD)
}

/// What may ask for the wall clock: its home, what compares it with the times of files, and what says
/// whether it is right.
const WALL_CLOCK: [&str; 4] = [
    "src/io/clock.rs",
    "src/io/disk/sweep.rs",
    "src/io/doctor/place.rs",
    "src/io/index/scanner.rs",
];

/// Retries, deadlines and expiries go by monotonic time: a clock that is set changes nothing.
pub fn goes_by_monotonic_time(file: &Source) -> Vec<String> {
    if WALL_CLOCK.contains(&file.path.as_str()) {
        return Vec::new();
    }
    complain_of(file, &[("unix_now", "use clock::now")])
}

/// The order of things never depends on a hash seed.
pub fn has_no_hash_order(file: &Source) -> Vec<String> {
    complain_of(file, &[("HashMap", "use a BTreeMap"), ("HashSet", "use a BTreeSet")])
}

fn complain_of(file: &Source, words: &[(&str, &str)]) -> Vec<String> {
    let lines = file.production.iter().zip(1..);
    lines
        .flat_map(|(line, at)| {
            words
                .iter()
                .filter(|(word, _)| has_word(line, word))
                .map(move |(word, instead)| format!("{}:{at}: {word}: {instead}", file.path))
        })
        .collect()
}

/// Whether `word` stands in `line` and is not part of a longer name.
fn has_word(line: &str, word: &str) -> bool {
    let name = |c: char| c.is_alphanumeric() || c == '_';
    let (first_is_name, last_is_name) = (word.starts_with(name), word.ends_with(name));
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back().is_some_and(name);
        let behind = line[at + word.len()..].chars().next().is_some_and(name);
        !(first_is_name && before || last_is_name && behind)
    })
}

/// Whether some file of `tree` has the `mod` that makes `file` part of the crate.
pub fn is_declared(file: &Source, tree: &[Source]) -> bool {
    if file.room().is_none()
        && ["src/lib.rs", "src/main.rs", "wal/src/lib.rs"].contains(&file.path.as_str())
    {
        return true;
    }
    let module = file.module();
    let Some((name, folder)) = module.split_last() else { return false };
    let folder = if folder.is_empty() { &["lib"] } else { folder };
    let declaration = format!("mod {name};");
    let by_path = |line: &String| {
        path_attribute(line).is_some_and(|p| file.path.strip_prefix(file.folder()) == Some(p))
    };
    tree.iter().any(|f| {
        f.module() == folder && f.code.iter().any(|line| has_word(line, &declaration))
            || f.folder() == file.folder() && f.raw.iter().any(by_path)
    })
}

/// The exit codes of `FaultKind` that `readme` has in no table cell and in no backticks.
pub fn undocumented_codes(readme: &str) -> Vec<u8> {
    let fault = std::fs::read_to_string(root().join("src/base/fault.rs")).unwrap();
    let codes = fault.lines().filter_map(|line| {
        let (_, code) = line.trim().strip_prefix("FaultKind::")?.split_once(" => ")?;
        code.trim_end_matches(',').parse::<u8>().ok()
    });
    let codes: Vec<u8> = codes.collect();
    assert!(codes.len() >= 9, "only {codes:?} found in fault.rs");
    let told = |code: &u8| {
        readme.contains(&format!("| {code} |")) || readme.contains(&format!("`{code}`"))
    };
    codes.into_iter().filter(|code| !told(code)).collect()
}

/// The one file that lists the fail points.
const POINTS: &str = "src/io/failpoint/points.rs";

/// The fail points that are not listed once and placed once.
pub fn odd_fail_points(tree: &[Source]) -> Vec<String> {
    let mut points: std::collections::BTreeMap<String, (u32, u32)> = Default::default();
    for file in tree {
        let text = file.raw.join("\n");
        let is_list = file.path == POINTS;
        for name in quoted(&text, if is_list { "point(" } else { "fail_point!(" }) {
            let (listed, placed) = points.entry(name.to_owned()).or_default();
            *(if is_list { listed } else { placed }) += 1;
        }
    }
    let odd = points.into_iter().filter(|(_, counts)| *counts != (1, 1));
    odd.map(|(name, (listed, placed))| {
        format!("{POINTS}: {name} is listed {listed} times and placed {placed} times, not once")
    })
    .collect()
}

/// The texts that stand right behind `opening`.
fn quoted<'a>(text: &'a str, opening: &str) -> Vec<&'a str> {
    let behind = text.split(opening).skip(1).map(str::trim_start);
    behind.filter_map(|rest| rest.strip_prefix('"')?.split('"').next()).collect()
}
