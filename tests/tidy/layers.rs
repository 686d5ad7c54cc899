//! Which room uses which: a module uses only ranks below its own.

use super::source::Source;

const RANKS: [(&str, u8); 7] =
    [("base", 0), ("wire", 1), ("logic", 2), ("io", 3), ("tracker", 4), ("node", 4), ("ui", 5)];

/// Every use of a room that is not below the file's own.
pub fn complaints(file: &Source) -> Vec<String> {
    let Some((room, own)) = file.room().and_then(rank_of) else { return Vec::new() };
    let code = file.production.join("\n");
    roots_used(&code, file.module().len())
        .into_iter()
        .filter_map(|(at, used)| rank_of(used).map(|(used, rank)| (at, used, rank)))
        .filter(|(_, used, rank)| *used != room && *rank >= own)
        .map(|(at, used, _)| {
            let line = code[..at].matches('\n').count() + 1;
            format!("{}:{line}: {room} uses {used}, which is not below it", file.path)
        })
        .collect()
}

fn rank_of(room: &str) -> Option<(&'static str, u8)> {
    RANKS.into_iter().find(|(name, _)| *name == room)
}

/// Where in `code` a name right below the crate's root is used, and which. In a module `depth`
/// below the root, that many `super::` are the root too.
fn roots_used(code: &str, depth: usize) -> Vec<(usize, &str)> {
    let supers = "super::".repeat(depth);
    let mut found = Vec::new();
    for prefix in ["crate::", "parvi::", supers.as_str()] {
        for (at, _) in code.match_indices(prefix) {
            let before = code[..at].chars().next_back();
            if before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':') {
                let behind = at + prefix.len();
                found.extend(first_names(&code[behind..]).into_iter().map(|name| (behind, name)));
            }
        }
    }
    found
}

/// `a` of `a::b`; `a` and `c` of `{a::b, c}`.
fn first_names(path: &str) -> Vec<&str> {
    let Some(group) = path.strip_prefix('{') else { return vec![first_name(path)] };
    let mut names = Vec::new();
    let (mut depth, mut from) = (0_usize, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                names.push(first_name(&group[from..at]));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                names.push(first_name(&group[from..at]));
                from = at + 1;
            }
            _ => {}
        }
    }
    names
}

fn first_name(path: &str) -> &str {
    let path = path.trim_start();
    let end = path.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(path.len());
    &path[..end]
}
