//! The table of prompt commands: what `help`, completion, hints and suggestions know of them.
//!
//! Invariant: a command that `ui::command` understands has a line here and the other way round
//! (a test walks both).

use std::fmt::Write;

/// Who is being told: the two daemons understand different commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A node.
    Node,
    /// A tracker.
    Tracker,
}

/// One command.
#[derive(Debug)]
pub struct Spec {
    /// The word.
    pub name: &'static str,
    /// How it is written.
    pub usage: &'static str,
    /// What it does, one line.
    pub about: &'static str,
    /// The flags it takes, for completion.
    pub flags: &'static [&'static str],
}

const fn spec(
    name: &'static str,
    usage: &'static str,
    flags: &'static [&'static str],
    about: &'static str,
) -> Spec {
    Spec { name, usage, about, flags }
}

const NODE: &[Spec] = &[
    spec("help", "help [COMMAND]", &[], "this list, or more about one command"),
    spec("getip", "getip", &[], "this node's IP address"),
    spec(
        "show",
        "show [NODE]",
        &[],
        "this node: identity, trackers, files, problems; or NODE's files",
    ),
    spec("list", "list local|downloaded|replicated", &[], "the files in one folder"),
    spec(
        "lookup",
        "lookup NAME|PATTERN [-i]",
        &["-i"],
        "who has a file or folder, or files like *.txt, or with the bytes @ROOT; -i: any case",
    ),
    spec(
        "files",
        "files [PATTERN] [-i]",
        &["-i"],
        "files in the tracker's index: all, with a text in the name, like *.txt, or @ROOT",
    ),
    spec(
        "why",
        "why NAME[@ROOT]|@ROOT",
        &[],
        "how many copies a file is to have, who has them, and what keeps more from being made",
    ),
    spec(
        "download",
        "download NAME[@ROOT] [--from NODE|--all] [--wait]",
        &["--from", "--all", "--wait"],
        "fetch a file or folder, from one owner or from all at once",
    ),
    spec(
        "request",
        "request NAME[@ROOT] [--wait]",
        &["--wait"],
        "download from all owners, without a question",
    ),
    spec("cancel", "cancel ID", &[], "give a download up; what had arrived of it is removed"),
    spec("pause", "pause ID", &[], "hold a download; what arrived is kept"),
    spec("resume", "resume ID", &[], "go on with a paused download"),
    spec("limit", "limit ID RATE|off", &[], "hold one transfer to a rate, like 500kB a second"),
    spec("share", "share PATH", &[], "share a file or folder from anywhere"),
    spec("unshare", "unshare NAME", &[], "stop sharing it; the file stays where it is"),
    spec("peers", "peers", &[], "the nodes known now"),
    spec("transfers", "transfers", &[], "uploads and downloads, with why they wait"),
    spec(
        "stats",
        "stats [reset]",
        &[],
        "what this node has done, over restarts; or counts from zero",
    ),
    spec("doctor", "doctor", &[], "what is wrong here or around, and what to do about it"),
    spec(
        "scrub",
        "scrub [status|now|repair NAME]",
        &[],
        "stored files that rot; read all now; or fetch again what you share and rots",
    ),
    spec(
        "exit",
        "exit [--now]",
        &["--now"],
        "stop once moving transfers are done; a second exit, or --now, insists",
    ),
];

const TRACKER: &[Spec] = &[
    spec("help", "help [COMMAND]", &[], "this list, or more about one command"),
    spec("peers", "peers", &[], "the nodes that live"),
    spec(
        "files",
        "files [PATTERN] [-i]",
        &["-i"],
        "the files they have: all, with a text in the name, like *.txt, or @ROOT; -i: any case",
    ),
    spec(
        "why",
        "why NAME[@ROOT]|@ROOT",
        &[],
        "how many copies a file is to have, who has them, and what keeps more from being made",
    ),
    spec("stats", "stats [reset]", &[], "counters since the start; or counts from zero"),
    spec("doctor", "doctor", &[], "what is wrong here or around, and what to do about it"),
    spec("exit", "exit [--now]", &["--now"], "stop the tracker; running transfers are not touched"),
];

/// The commands of `role`, in the order of `help`.
pub fn commands(role: Role) -> &'static [Spec] {
    match role {
        Role::Node => NODE,
        Role::Tracker => TRACKER,
    }
}

/// The line of `name`.
pub fn find(role: Role, name: &str) -> Option<&'static Spec> {
    commands(role).iter().find(|s| s.name == name)
}

/// What `help` prints.
pub fn overview(role: Role) -> String {
    let width = commands(role).iter().map(|s| s.usage.len()).max().unwrap_or(0);
    let mut out = String::new();
    for s in commands(role) {
        // Writing into a String cannot fail.
        writeln!(out, "{:width$}  {}", s.usage, s.about).unwrap_or_default();
    }
    out.push_str(
        "\nNames with spaces go in quotes. Add --json to any command for one JSON document.\n",
    );
    out
}

/// What `help COMMAND` prints.
pub fn about(spec: &Spec) -> String {
    format!("{}\n    {}\n", spec.usage, spec.about)
}

/// The command most like `word`, when one is near enough to be meant.
pub fn suggestion(role: Role, word: &str) -> Option<&'static str> {
    let near = |s: &'static Spec| (distance(word, s.name), s.name);
    let (errors, name) = commands(role).iter().map(near).min()?;
    (errors <= 2 && errors < name.len()).then_some(name)
}

/// Edit distance, a swap of neighbours counting one. Words are short, so the table is small;
/// longer ones are no misspelt command.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(32).collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let changed = usize::from(a[i - 1] != b[j - 1]);
            let mut best =
                (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + changed);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_understood_and_a_foreign_word_is_not() {
        assert_eq!(suggestion(Role::Node, "donwload"), Some("download"));
        assert_eq!(suggestion(Role::Node, "peer"), Some("peers"));
        assert_eq!(suggestion(Role::Node, "exti"), Some("exit"));
        assert_eq!(suggestion(Role::Node, "frobnicate"), None);
        assert_eq!(suggestion(Role::Tracker, "donwload"), None, "a tracker downloads nothing");
    }

    #[test]
    fn the_overview_has_every_command_on_its_line() {
        let text = overview(Role::Tracker);
        assert!(text.starts_with("help [COMMAND]  "), "{text}");
        assert!(text.lines().next().is_some_and(|line| line.contains("  this list")), "{text}");
        assert_eq!(text.lines().count(), TRACKER.len() + 2);
    }
}
