//! A source file as the rules see it: with texts, comments and tests blanked out, line by line.

use std::path::{Path, PathBuf};

/// One file below `src/` or `wal/src/`.
#[derive(Debug)]
pub struct Source {
    /// From the crate's folder, with `/`.
    pub path: String,
    /// The lines as they are.
    pub raw: Vec<String>,
    /// The same lines without comments and the insides of texts.
    pub code: Vec<String>,
    /// The same without what is compiled for tests only.
    pub production: Vec<String>,
    /// The whole file is compiled for tests only.
    pub tests_only: bool,
}

impl Source {
    /// Reads `text` as the file `path`.
    pub fn read(path: &str, text: &str) -> Source {
        let code = without_comments_and_texts(text);
        let production = without_tests(&code);
        let lines = |text: &str| text.lines().map(str::to_owned).collect();
        Source {
            path: path.to_owned(),
            raw: lines(text),
            code: lines(&code),
            production: lines(&production),
            tests_only: false,
        }
    }

    /// The folder right below `src/`, or `None` for `src/lib.rs` and `src/main.rs`.
    pub fn room(&self) -> Option<&str> {
        let below = self.path.strip_prefix("src/")?;
        below.split_once('/').map(|(room, _)| room)
    }

    /// The folder the file is in, with a `/` at its end.
    pub fn folder(&self) -> &str {
        self.path.rfind('/').map_or("", |at| &self.path[..=at])
    }

    /// The path of the module `name` right below this file's.
    fn inner_module(&self, name: &str) -> Vec<String> {
        let own = self.module().into_iter().filter(|part| *part != "lib");
        own.chain([name]).map(str::to_owned).collect()
    }

    /// The module path: `src/a/b.rs` and `src/a/b/mod.rs` are both a, b; `wal/src/a.rs` is wal, a.
    pub fn module(&self) -> Vec<&str> {
        if let Some(below) = self.path.strip_prefix("wal/src/") {
            let below = below.strip_suffix(".rs").unwrap_or(below);
            let below = below.strip_suffix("/mod").unwrap_or(below);
            let parts = below.split('/').filter(|part| *part != "lib");
            return std::iter::once("wal").chain(parts).collect();
        }
        let below = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let below = below.strip_suffix(".rs").unwrap_or(below);
        below.strip_suffix("/mod").unwrap_or(below).split('/').collect()
    }
}

/// The crate's folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below `src/` and `wal/src/`; those declared for tests only have no production lines.
pub fn tree() -> Vec<Source> {
    let mut paths = Vec::new();
    for sources in ["src", "wal/src"] {
        collect(&root().join(sources), &mut paths);
    }
    paths.sort();
    let mut tree: Vec<Source> = paths.iter().map(|path| read_file(path)).collect();
    let for_tests: Vec<TestFile> = tree.iter().flat_map(test_files).collect();
    for file in &mut tree {
        if for_tests.iter().any(|t| t.covers(file)) {
            file.production.clear();
            file.tests_only = true;
        }
    }
    assert!(tree.len() > 20, "only {} files found: is the path right?", tree.len());
    tree
}

fn read_file(path: &Path) -> Source {
    let shown = path.strip_prefix(root()).unwrap().to_str().unwrap();
    Source::read(shown, &std::fs::read_to_string(path).unwrap())
}

fn collect(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

/// What `file` declares by `#[cfg(test)] mod x;`, perhaps with a `#[path]`.
fn test_files(file: &Source) -> Vec<TestFile> {
    let declared = |line: usize| {
        let attributes = file.code[line..].iter().take_while(|l| l.trim_start().starts_with('#'));
        let end = line + attributes.count();
        let name = file.code.get(end)?.trim().strip_prefix("mod ")?.strip_suffix(';')?;
        let path = file.raw[line..end].iter().find_map(|attribute| path_attribute(attribute));
        Some(match path {
            Some(path) => TestFile::Path(file.folder().to_owned() + path),
            None => TestFile::Module(file.inner_module(name)),
        })
    };
    let marks = (0..file.code.len()).filter(|line| file.code[*line].trim() == CFG_TEST);
    marks.filter_map(declared).collect()
}

/// `x.rs` of `#[path = "x.rs"]`.
pub fn path_attribute(line: &str) -> Option<&str> {
    line.trim().strip_prefix("#[path = \"")?.strip_suffix("\"]")
}

/// A file, or a module with all below it, that is compiled for tests only.
enum TestFile {
    Path(String),
    Module(Vec<String>),
}

impl TestFile {
    fn covers(&self, file: &Source) -> bool {
        match self {
            TestFile::Path(path) => file.path == *path,
            TestFile::Module(module) => {
                let own = file.module();
                own.len() >= module.len() && own.iter().zip(module).all(|(a, b)| a == b)
            }
        }
    }
}

const CFG_TEST: &str = "#[cfg(test)]";

/// `code` with every item behind `#[cfg(test)]` blanked.
fn without_tests(code: &str) -> String {
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find(CFG_TEST) {
        let (before, item) = rest.split_at(at);
        let (item, behind) = item.split_at(item_len(item));
        out.push_str(before);
        out.extend(item.chars().filter(|c| *c == '\n'));
        rest = behind;
    }
    out + rest
}

/// How far the item reaches: to its `;` or its closing brace.
fn item_len(item: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in item.char_indices().skip(CFG_TEST.len()) {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' if depth <= 1 => return at + 1,
            '}' | ')' | ']' => depth = depth.saturating_sub(1),
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    item.len()
}

/// `text` with comments taken out and texts emptied; every line stays where it is.
fn without_comments_and_texts(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut word_before = false;
    while let Some(c) = rest.chars().next() {
        let len = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment_len(rest)
        } else if let Some(len) = (!word_before).then(|| text_len(rest)).flatten() {
            out.push_str("\"\"");
            len
        } else {
            out.push(c);
            word_before = c.is_alphanumeric() || c == '_';
            rest = &rest[c.len_utf8()..];
            continue;
        };
        out.extend(rest[..len].chars().filter(|c| *c == '\n'));
        word_before = false;
        rest = &rest[len..];
    }
    out
}

fn block_comment_len(rest: &str) -> usize {
    let mut depth = 0_usize;
    let bytes = rest.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match &bytes[at..bytes.len().min(at + 2)] {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" if depth == 1 => return at + 2,
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The length of the text or character that `rest` begins with, if it does.
fn text_len(rest: &str) -> Option<usize> {
    let quoted = rest.trim_start_matches(['b', 'c']);
    let prefix = rest.len() - quoted.len();
    if prefix > 1 {
        return None;
    }
    if let Some(raw) = quoted.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        let inside = raw[hashes..].strip_prefix('"')?;
        let end = format!("\"{}", "#".repeat(hashes));
        let len = inside.find(&end).map_or(inside.len(), |at| at + end.len());
        return Some(prefix + 1 + hashes + 1 + len);
    }
    match quoted.chars().next()? {
        '"' => Some(prefix + 1 + escaped_len(&quoted[1..], '"')),
        '\'' => character_len(&quoted[1..]).map(|len| prefix + 1 + len),
        _ => None,
    }
}

/// Up to and with the closing `end`, escapes skipped.
fn escaped_len(inside: &str, end: char) -> usize {
    let mut escaped = false;
    for (at, c) in inside.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == end => return at + 1,
            _ => {}
        }
    }
    inside.len()
}

/// A character literal; `None` for a lifetime.
fn character_len(inside: &str) -> Option<usize> {
    let mut chars = inside.chars();
    match chars.next()? {
        '\\' => Some(escaped_len(inside, '\'')),
        c if chars.next() == Some('\'') => Some(c.len_utf8() + 1),
        _ => None,
    }
}
