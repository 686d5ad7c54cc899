//! What a person shares by path and what she withholds: `.parvi/shares.toml`.
//!
//! Invariant: a change counts only once it is on the disk, so a file that was withheld is never
//! shared again by a crash. A file that cannot be read stops the start, for the same reason; and so does
//! one that has a person's file under another name than its own, which would share its neighbour.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::state::Place;
use crate::base::Name;
use crate::base::name::printable;
use crate::io::disk::replace_file;

const HEAD: &str = "# Written by `share` and `unshare`. Edit it only while parvi does not run.\n\n";

/// What the file says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Shares {
    /// Names, and folders of names, that are not shared although they lie in a shared folder.
    pub(super) withheld: BTreeSet<Name>,
    /// Files and folders elsewhere, by the name under which they are shared.
    pub(super) share: BTreeMap<Name, Target>,
}

/// What a person shares by path. Its kind is kept, since it may be away when parvi starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Target {
    File(PathBuf),
    Folder(PathBuf),
}

impl Target {
    pub(super) fn path(&self) -> &Path {
        let (Target::File(path) | Target::Folder(path)) = self;
        path
    }

    /// Where its files are, shared as `name`.
    pub(super) fn place(&self, name: &Name) -> Place {
        let (path, prefix, only) = match self {
            Target::File(path) => (path.parent().unwrap_or(path), None, Some(name.clone())),
            Target::Folder(path) => (path.as_path(), Some(name.clone()), None),
        };
        Place { path: path.to_owned(), prefix, only }
    }
}

impl Shares {
    /// Reads the file; nothing is shared and nothing withheld when there is none.
    ///
    /// # Errors
    /// What read says; a file that is not what was written (`InvalidData`).
    pub(super) fn load(path: &Path) -> io::Result<Shares> {
        match std::fs::read_to_string(path) {
            Ok(text) => {
                let shares: Shares = toml::from_str(&text).map_err(invalid)?;
                match shares.misnamed() {
                    None => Ok(shares),
                    Some(words) => Err(invalid(words)),
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Shares::default()),
            Err(error) => Err(error),
        }
    }

    /// What is wrong when a file is to be called otherwise than it is.
    fn misnamed(&self) -> Option<String> {
        let own =
            |name: &Name, path: &Path| path.file_name().is_some_and(|own| own == name.as_str());
        self.share.iter().find_map(|(name, target)| match target {
            Target::File(path) if !own(name, path) => Some(format!(
                "{} can be shared under its own name only, not as {name}",
                printable(&path.to_string_lossy())
            )),
            _ => None,
        })
    }

    /// Puts this in the place of the file, in one step and durably.
    ///
    /// # Errors
    /// What the disk says; the file is then as it was.
    pub(super) fn save(&self, path: &Path) -> io::Result<()> {
        let text = toml::to_string(self).map_err(io::Error::other)?;
        replace_file(path, format!("{HEAD}{text}").as_bytes())
    }
}

fn invalid(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_loaded_odd_names_too() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("shares.toml");
        assert_eq!(Shares::load(&path).unwrap(), Shares::default());
        let mut shares = Shares::default();
        for name in ["a", "b/c", "new\nline", "quote\"", "dot.ted", "\u{1b}[2J"] {
            let name = Name::parse(name).unwrap();
            shares.withheld.insert(name.clone());
            shares.share.insert(name, Target::Folder(PathBuf::from("/somewhere/else")));
        }
        for name in ["x", "odd\nline"] {
            let path = Path::new("/else").join(name);
            shares.share.insert(Name::parse(name).unwrap(), Target::File(path));
        }
        shares.save(&path).unwrap();
        assert_eq!(Shares::load(&path).unwrap(), shares);
    }

    #[test]
    fn a_file_that_is_not_ours_is_an_error_not_nothing() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("shares.toml");
        for bad in [
            "withheld = [\"../x\"]",
            "share = 5",
            "[share]\na = \"/b\"",
            "other = 1",
            "[share.a]\nfile = \"/else/b\"",
            "[share.\"a/b\"]\nfile = \"/else/b\"",
            "\u{0}",
            "withheld = [",
        ] {
            std::fs::write(&path, bad).unwrap();
            let error = Shares::load(&path).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{bad}");
        }
    }
}
