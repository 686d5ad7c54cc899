//! The downloads that a person ordered and that are not over: `.parvi/downloads.toml`.
//!
//! Invariant: an order is on the disk before its download begins, and leaves it only when the
//! download has ended for good, so that after any end of the node the next start goes on with it.
//! One that cannot be written is tried again until it is, and the person is told. A file that cannot be read keeps nobody from starting: it is set aside, and that is said.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::view::From;
use crate::base::{Name, Root};
use crate::io::disk::replace_file;
use crate::io::failpoint::fail_point;

const HEAD: &str =
    "# Downloads that are not over. Written by parvi; edit it only while it does not run.\n\n";

/// One download.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Order {
    /// A file, or a folder.
    pub(super) name: Name,
    /// From whom; from all owners when nobody is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) from: Option<String>,
    /// Whether the person wants it to stand still.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) paused: bool,
    /// The list of what its name stands for, once that is known: a file in `.parvi/lists/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) list: Option<Root>,
}

impl Order {
    /// From whom.
    pub(super) fn choice(&self) -> From {
        self.from.clone().map_or(From::All, From::One)
    }
}

/// The file.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Orders {
    download: Vec<Order>,
}

/// What was ordered before this start. A file that is not ours is renamed, for a person to look at;
/// `None`: nobody knows what was in it.
pub(super) fn load(path: &Path) -> Option<Vec<Order>> {
    let read = std::fs::read_to_string(path).and_then(|text| {
        toml::from_str(&text).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
    });
    match read {
        Ok(Orders { download }) => Some(download),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Some(Vec::new()),
        Err(e) => {
            let aside = PathBuf::from(format!("{}.bad", path.display()));
            let moved = std::fs::rename(path, &aside)
                .map_or("left there".to_owned(), |()| format!("kept as {}", aside.display()));
            log::error!(
                target: "node",
                "cannot read which downloads were not over in {}: {e}; {moved}. Download them again",
                path.display()
            );
            None
        }
    }
}

/// Puts the orders in the place of those that were there, durably.
///
/// # Errors
/// What the disk says; the file is then as it was.
pub(super) fn save(path: &Path, orders: Vec<Order>) -> io::Result<()> {
    fail_point!("orders.write")?;
    let text = toml::to_string(&Orders { download: orders }).map_err(io::Error::other)?;
    replace_file(path, format!("{HEAD}{text}").as_bytes())?;
    fail_point!("orders.written")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_ordered_is_there_after_a_restart() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("downloads.toml");
        assert_eq!(load(&path), Some(Vec::new()));
        let order = |name: &str, from: Option<&str>, paused| Order {
            name: name.parse().unwrap(),
            from: from.map(str::to_owned),
            paused,
            list: paused.then(|| Root::of(b"a list")),
        };
        let orders = vec![order("a/film", None, false), order("new\nline", Some("alice"), true)];
        save(&path, orders.clone()).unwrap();
        assert_eq!(load(&path), Some(orders.clone()));
        assert_eq!(orders[1].choice(), From::One("alice".into()));
        save(&path, Vec::new()).unwrap();
        assert_eq!(load(&path), Some(Vec::new()));
    }

    #[test]
    fn a_file_that_is_not_ours_is_set_aside_and_keeps_nobody_from_starting() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("downloads.toml");
        for bad in ["download = 5", "[[download]]\nname = \"../x\"", "\u{0}", "[[download]]"] {
            std::fs::write(&path, bad).unwrap();
            assert_eq!(load(&path), None, "{bad}");
            let aside = home.path().join("downloads.toml.bad");
            assert_eq!(std::fs::read_to_string(aside).unwrap(), bad);
            assert!(!path.exists());
        }
    }
}
