//! A file's name: its path below the shared folder, `/`-separated UTF-8.
//!
//! Invariant: a `Name` is relative, has no `.`, `..` or empty component, no NUL, and never enters
//! parvi's own folder. It is still only a lexical promise: opening one goes through
//! `io::disk::Beneath`, which also survives symlinks. Newlines and escapes are legal in file names,
//! so they are legal here; `Display` shows them escaped, so that a name cannot drive a terminal.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest name, bytes: room is left for the folder in front, below Linux's 4,096.
pub const NAME_BYTES_MAX: usize = 3_072;
/// Longest component, bytes: what common file systems take.
pub const COMPONENT_BYTES_MAX: usize = 255;
/// Our own folder inside a data directory; no shared name may enter it.
pub const PRIVATE_FOLDER: &str = ".parvi";

/// A valid name. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

/// Why a text is not a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing there.
    #[error("a name cannot be empty")]
    Empty,
    /// Longer than a path may be.
    #[error("a name has at most {NAME_BYTES_MAX} bytes")]
    TooLong,
    /// One component longer than a file system takes.
    #[error("each part of a name has at most {COMPONENT_BYTES_MAX} bytes")]
    ComponentTooLong,
    /// Begins with `/`, ends with `/`, or has `//`.
    #[error("a name is relative and has no empty parts: no / at its start or end, no //")]
    EmptyComponent,
    /// `.` or `..`.
    #[error("a name cannot have . or .. as a part")]
    Dots,
    /// A NUL byte.
    #[error("a name cannot have a NUL byte")]
    Nul,
    /// Enters `.parvi`.
    #[error("a name cannot enter {PRIVATE_FOLDER}, which is parvi's own")]
    Private,
    /// The bytes of the path are not UTF-8.
    #[error("the name is not valid UTF-8; rename the file to share it")]
    NotUtf8,
}

impl Name {
    /// Checks `text`.
    ///
    /// # Errors
    /// Says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Name, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > NAME_BYTES_MAX {
            return Err(NameError::TooLong);
        }
        text.split('/').try_for_each(check_component)?;
        Ok(Name(text.into()))
    }

    /// Checks a relative path as found on disk.
    ///
    /// # Errors
    /// As `parse`; also a path that is not UTF-8.
    pub fn from_path(path: &std::path::Path) -> Result<Name, NameError> {
        path.to_str().ok_or(NameError::NotUtf8).and_then(Name::parse)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text as a relative path.
    pub fn as_path(&self) -> &std::path::Path {
        std::path::Path::new(&*self.0)
    }

    /// The parts between the slashes; at least one.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// The last part.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// Whether `self` lies inside the folder `folder`, at any depth.
    pub fn is_below(&self, folder: &Name) -> bool {
        self.0.strip_prefix(&*folder.0).is_some_and(|rest| rest.starts_with('/'))
    }

    /// The folder above; `None` at the top.
    pub fn parent(&self) -> Option<Name> {
        self.0.rsplit_once('/').and_then(|(above, _)| Name::parse(above).ok())
    }

    /// Whether a question for `wanted` means this file: it is it, or lies below it.
    pub fn answers(&self, wanted: &Name) -> bool {
        self == wanted || self.is_below(wanted)
    }

    /// `self/below`.
    ///
    /// # Errors
    /// When the whole is too long.
    pub fn join(&self, below: &Name) -> Result<Name, NameError> {
        Name::parse(&format!("{self_}/{below_}", self_ = self.0, below_ = below.0))
    }
}

fn check_component(part: &str) -> Result<(), NameError> {
    match part {
        "" => Err(NameError::EmptyComponent),
        "." | ".." => Err(NameError::Dots),
        PRIVATE_FOLDER => Err(NameError::Private),
        p if p.len() > COMPONENT_BYTES_MAX => Err(NameError::ComponentTooLong),
        p if p.contains('\0') => Err(NameError::Nul),
        _ => Ok(()),
    }
}

/// `text` with everything a terminal would act on shown as an escape: control characters and the
/// Unicode marks that turn the writing direction.
pub fn printable(text: &str) -> Cow<'_, str> {
    let risky = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.chars().any(risky) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if risky(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    Cow::Owned(out)
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&printable(&self.0))
    }
}

impl std::fmt::Debug for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl std::str::FromStr for Name {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Name::parse(text)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        super::text::deserialize_checked(d, Name::parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_and_odd_names_are_kept_as_they_are() {
        let long = "x".repeat(255);
        for good in
            ["a", "a/b/c.txt", " ", "…", "a\nb", "\u{1b}[2J", "a.", "..a", "a..", "C:\\x", &long]
        {
            assert_eq!(Name::parse(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn names_that_leave_the_folder_or_enter_ours_are_refused_with_the_rule() {
        use NameError::*;
        let table = [
            ("", Empty),
            ("/etc/passwd", EmptyComponent),
            ("a//b", EmptyComponent),
            ("a/", EmptyComponent),
            ("..", Dots),
            ("a/../../b", Dots),
            ("./a", Dots),
            ("a\0b", Nul),
            (".parvi/id", Private),
            ("a/.parvi/id", Private),
        ];
        for (bad, why) in table {
            assert_eq!(Name::parse(bad), Err(why), "{bad:?}");
        }
        assert_eq!(Name::parse(&"x".repeat(256)), Err(ComponentTooLong));
        assert_eq!(Name::parse(&"x/".repeat(2000)), Err(TooLong));
    }

    #[test]
    fn a_name_cannot_drive_the_terminal() {
        let name = Name::parse("a\u{1b}[2J\nb\u{202e}c").unwrap();
        assert_eq!(name.to_string(), "a\\u{1b}[2J\\nb\\u{202e}c");
    }

    #[test]
    fn a_folder_answers_for_what_lies_below_it_and_nothing_else() {
        let name = |t| Name::parse(t).unwrap();
        assert!(name("a/b/c").answers(&name("a/b")));
        assert!(name("a/b").answers(&name("a/b")));
        assert!(!name("a/bc").answers(&name("a/b")));
        assert!(!name("a").answers(&name("a/b")));
    }
}
