//! Whether a name is meant by a pattern.
//!
//! ```text
//! contains   anywhere in the name
//! glob       *  any run without /     ?  one character but /     [a-z] [!a-z]  one of these, of others
//!            ** any run               **/ any folders, or none   \x  x itself
//!            without a / it is about the last part of a name, with one about the whole
//! ```
//!
//! A name that is the very text of a glob is meant too: brackets are common in names. Invariant: the
//! work for one name is bounded by its length times the pattern's; `cost` says it.

use std::borrow::Cow;

use memchr::memmem::Finder;

use crate::base::{Root, RootPrefix};
use crate::wire::Text;
use crate::wire::message::find::{PATTERN_BYTES_MAX, Pattern};

/// Why a text is no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Nothing there.
    #[error("a pattern cannot be empty")]
    Empty,
    /// Too much there.
    #[error("a pattern has at most {PATTERN_BYTES_MAX} bytes")]
    TooLong,
    /// `[` without `]`.
    #[error("a [ in a pattern is not closed by a ]; \\[ stands for the character itself")]
    OpenClass,
    /// `[z-a]`.
    #[error("a range in a pattern goes backwards, as in [z-a]")]
    Backwards,
    /// Nothing behind the last backslash.
    #[error("a backslash at the end of a pattern escapes nothing")]
    Backslash,
}

/// What a person writes where any file may be meant: `@DIGITS` of a root, a glob, or else a part of
/// names.
///
/// # Errors
/// It is too long; the glob is malformed.
pub fn part_or_glob(word: &str, ignore_case: bool) -> Result<Pattern, PatternError> {
    if let Some(pattern) = root_or_glob(word, false)? {
        return Ok(match pattern {
            Pattern::Glob { text, .. } => Pattern::Glob { text, ignore_case },
            other => other,
        });
    }
    checked(Pattern::Contains { text: bounded(word)?, ignore_case })
}

/// The same where a plain word is a name; none then, unless its case is to be ignored.
///
/// # Errors
/// As above.
pub fn root_or_glob(word: &str, ignore_case: bool) -> Result<Option<Pattern>, PatternError> {
    if let ("", Some(root)) = RootPrefix::split(word) {
        return Ok(Some(Pattern::Root(root)));
    }
    if !ignore_case && !word.contains(['*', '?', '[']) {
        return Ok(None);
    }
    checked(Pattern::Glob { text: bounded(word)?, ignore_case }).map(Some)
}

fn bounded(word: &str) -> Result<Text<PATTERN_BYTES_MAX>, PatternError> {
    match word.len() {
        0 => Err(PatternError::Empty),
        1..=PATTERN_BYTES_MAX => Ok(Text::of(word)),
        _ => Err(PatternError::TooLong),
    }
}

fn checked(pattern: Pattern) -> Result<Pattern, PatternError> {
    Matcher::new(&pattern).map(|_| pattern)
}

/// A pattern made ready.
#[derive(Debug, Clone)]
pub struct Matcher {
    means: Means,
    /// What one byte of a name costs.
    cost: usize,
    fold: bool,
    /// Every name that is meant has it, folded when the case is ignored.
    needle: Option<Finder<'static>>,
}

#[derive(Debug, Clone)]
enum Means {
    All,
    Contains,
    Glob { tokens: Vec<Token>, text: String, whole: bool },
    Root(RootPrefix),
}

/// One step of a glob; a name is read by all that are reached at once.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Is(char),
    One,
    Class {
        not: bool,
        ranges: Vec<(char, char)>,
    },
    Star,
    Deep,
    /// In front of `Folders`, which may be left out.
    Maybe,
    /// Up to a slash, any number of them.
    Folders,
}

impl Matcher {
    /// # Errors
    /// The pattern is malformed.
    pub fn new(pattern: &Pattern) -> Result<Matcher, PatternError> {
        let (means, fold, needle) = match pattern {
            Pattern::All => return Ok(Matcher::all()),
            Pattern::Root(prefix) => (Means::Root(prefix.clone()), false, String::new()),
            Pattern::Contains { text, .. } if text.as_str().is_empty() => {
                return Err(PatternError::Empty);
            }
            Pattern::Contains { text, ignore_case } => {
                (Means::Contains, *ignore_case, folded(text.as_str(), *ignore_case).into_owned())
            }
            Pattern::Glob { text, ignore_case } => {
                // Classes keep their letters: a range that is folded is another range.
                let tokens = tokens(text.as_str(), *ignore_case)?;
                let text = folded(text.as_str(), *ignore_case).into_owned();
                let (mut needle, whole) = (longest_run(&tokens), text.contains('/'));
                // A name that is the very text, with its backslashes, is meant as well.
                if !text.contains(&needle) {
                    needle.clear();
                }
                (Means::Glob { tokens, text, whole }, *ignore_case, needle)
            }
        };
        let needle = (!needle.is_empty()).then(|| Finder::new(needle.as_bytes()).into_owned());
        let cost = match &means {
            Means::Glob { tokens, .. } => 8 + tokens.iter().map(Token::cost).sum::<usize>(),
            _ => 4,
        };
        Ok(Matcher { means, cost, fold, needle })
    }

    /// Every file is meant.
    pub fn all() -> Matcher {
        Matcher { means: Means::All, cost: 4, fold: false, needle: None }
    }

    /// Whether a file is meant.
    pub fn means(&self, name: &str, root: &Root) -> bool {
        match &self.means {
            Means::All => true,
            Means::Root(prefix) => prefix.fits(root),
            Means::Contains => {
                let name = folded(name, self.fold);
                self.needle.as_ref().is_some_and(|needle| needle.find(name.as_bytes()).is_some())
            }
            Means::Glob { tokens, text, whole } => {
                let name = folded(name, self.fold);
                let last = name.rsplit('/').next().unwrap_or(&name);
                let about = if *whole { &*name } else { last };
                about == text || reads(tokens, about, self.fold)
            }
        }
    }

    /// Whether a name has what every name that is meant has: cheaper than `means`, which decides.
    pub fn may_mean(&self, name: &str) -> bool {
        let has = |needle: &Finder<'_>| needle.find(folded(name, self.fold).as_bytes()).is_some();
        self.needle.as_ref().is_none_or(has)
    }

    /// The root that is asked for.
    pub fn root(&self) -> Option<&RootPrefix> {
        match &self.means {
            Means::Root(prefix) => Some(prefix),
            _ => None,
        }
    }

    /// What every name that is meant has in it.
    pub fn needle(&self) -> Option<&Finder<'static>> {
        self.needle.as_ref()
    }

    /// Whether case is ignored: the needle is then in the folded name.
    pub fn ignores_case(&self) -> bool {
        self.fold
    }

    /// Looking at a name of `len` bytes costs as much as reading so many bytes.
    pub fn cost(&self, len: usize) -> usize {
        len * self.cost
    }
}

impl Token {
    /// Steps to read one character.
    fn cost(&self) -> usize {
        match self {
            Token::Class { ranges, .. } => 1 + ranges.len(),
            _ => 1,
        }
    }
}

/// Small letters for capital ones, when case is ignored.
fn folded(text: &str, fold: bool) -> Cow<'_, str> {
    if fold { Cow::Owned(text.chars().map(small).collect()) } else { Cow::Borrowed(text) }
}

/// The small letter, one for one, wherever it stands: a sigma at the end of a word is a sigma.
fn small(c: char) -> char {
    match one(c.to_lowercase()) {
        Some('ς') => 'σ',
        Some(small) => small,
        None => c,
    }
}

fn one(mut letters: impl Iterator<Item = char>) -> Option<char> {
    letters.next().filter(|_| letters.next().is_none())
}

/// Whether a letter, small as `fold` says, is within; capital it may be as well then.
fn is_within(ranges: &[(char, char)], c: char, fold: bool) -> bool {
    let has = |c: char| ranges.iter().any(|(from, to)| (*from..=*to).contains(&c));
    has(c) || fold && (one(c.to_uppercase()).is_some_and(has) || c == 'σ' && has('ς'))
}

fn tokens(glob: &str, fold: bool) -> Result<Vec<Token>, PatternError> {
    if glob.is_empty() {
        return Err(PatternError::Empty);
    }
    let mut tokens = Vec::new();
    let mut rest = glob;
    while let Some(c) = rest.chars().next() {
        let behind_folders = tokens.last() == Some(&Token::Folders);
        let starts_part =
            rest.len() == glob.len() || behind_folders || tokens.last() == Some(&Token::Is('/'));
        rest = &rest[c.len_utf8()..];
        match c {
            '*' if rest.starts_with('*') => {
                rest = rest.trim_start_matches('*');
                match rest.strip_prefix('/') {
                    Some(behind) if starts_part => {
                        rest = behind;
                        // Any folders behind any folders are any folders.
                        if !behind_folders {
                            tokens.extend([Token::Maybe, Token::Folders]);
                        }
                    }
                    _ => tokens.push(Token::Deep),
                }
            }
            '*' => tokens.push(Token::Star),
            '?' => tokens.push(Token::One),
            '[' => {
                let (class, behind) = class(rest)?;
                (rest, _) = (behind, tokens.push(class));
            }
            '\\' => {
                let escaped = rest.chars().next().ok_or(PatternError::Backslash)?;
                rest = &rest[escaped.len_utf8()..];
                tokens.push(Token::Is(if fold { small(escaped) } else { escaped }));
            }
            other => tokens.push(Token::Is(if fold { small(other) } else { other })),
        }
    }
    Ok(tokens)
}

/// What stands behind a `[`, and the rest. A `]` that comes first is one of the characters.
fn class(text: &str) -> Result<(Token, &str), PatternError> {
    let inner = text.strip_prefix(['!', '^']);
    let (not, mut rest) = (inner.is_some(), inner.unwrap_or(text));
    let mut ranges = Vec::new();
    loop {
        let first = rest.chars().next().ok_or(PatternError::OpenClass)?;
        rest = &rest[first.len_utf8()..];
        if first == ']' && !ranges.is_empty() {
            return Ok((Token::Class { not, ranges }, rest));
        }
        let last = rest.strip_prefix('-').and_then(|behind| behind.chars().next());
        let Some(last) = last.filter(|last| *last != ']') else {
            ranges.push((first, first));
            continue;
        };
        rest = &rest[1 + last.len_utf8()..];
        if last < first {
            return Err(PatternError::Backwards);
        }
        ranges.push((first, last));
    }
}

/// The longest text that stands in the pattern as it is.
fn longest_run(tokens: &[Token]) -> String {
    let (mut longest, mut run) = (String::new(), String::new());
    for token in tokens {
        match token {
            Token::Is(c) => run.push(*c),
            _ => run.clear(),
        }
        if run.len() > longest.len() {
            longest.clone_from(&run);
        }
    }
    longest
}

/// Whether the steps lead from the beginning of `text`, folded as `fold` says, to its end.
fn reads(tokens: &[Token], text: &str, fold: bool) -> bool {
    let mut here = vec![false; tokens.len() + 1];
    let mut there = here.clone();
    here[0] = true;
    go_free(tokens, &mut here);
    for c in text.chars() {
        there.fill(false);
        for at in (0..tokens.len()).filter(|at| here[*at]) {
            let (stays, steps) = match &tokens[at] {
                Token::Is(x) => (false, c == *x),
                Token::One => (false, c != '/'),
                Token::Class { not, ranges } => {
                    (false, c != '/' && is_within(ranges, c, fold) != *not)
                }
                Token::Star => (c != '/', false),
                Token::Deep => (true, false),
                Token::Maybe => (false, false),
                Token::Folders => (true, c == '/'),
            };
            there[at] |= stays;
            there[at + 1] |= steps;
        }
        go_free(tokens, &mut there);
        std::mem::swap(&mut here, &mut there);
    }
    here[tokens.len()]
}

/// Reaches what is reached without a character.
fn go_free(tokens: &[Token], reached: &mut [bool]) {
    for (at, token) in tokens.iter().enumerate() {
        if reached[at] && matches!(token, Token::Star | Token::Deep | Token::Maybe) {
            reached[at + 1] = true;
        }
        if reached[at] && *token == Token::Maybe {
            reached[at + 2] = true;
        }
    }
}

#[cfg(test)]
#[path = "pattern_tests.rs"]
mod tests;
