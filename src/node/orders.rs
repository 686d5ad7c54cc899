//! The downloads that a person ordered and that are not over: `.parvi/downloads.toml`.
//!
//! Invariant: an order is on the disk before its download begins, and leaves it only when the
//! download has ended for good, so that after any end of the node the next start goes on with it.
//! One that cannot be written is tried again until it is, and the person is told. A file that is not
//! ours keeps nobody from starting: it is set aside as `downloads.toml.bad`, and that is said; for as
//! long as that lies there, nothing that such an order may want is removed. One that the disk does not
//! give keeps the node from starting, since the next order would take its place.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::view::From;
use crate::base::{Name, Rate, Root, RootPrefix};
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
    /// From whom, or `@` and the root it is to have; from all owners when nobody is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) from: Option<String>,
    /// Whether the person wants it to stand still.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) paused: bool,
    /// What the person holds it to, bytes a second.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "bytes_a_second")]
    pub(super) limit: Option<Rate>,
    /// The list of what its name stands for, once that is known: a file in `.parvi/lists/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) list: Option<Root>,
}

impl Order {
    /// From whom.
    pub(super) fn choice(&self) -> From {
        let Some(from) = self.from.clone() else { return From::All };
        match RootPrefix::split(&from) {
            ("", Some(root)) => From::Content(root),
            _ => From::One(from),
        }
    }
}

/// A rate as a number.
mod bytes_a_second {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::base::Rate;

    pub(super) fn serialize<S: Serializer>(rate: &Option<Rate>, to: S) -> Result<S::Ok, S::Error> {
        rate.map(Rate::bytes).serialize(to)
    }

    /// Never less than a person can ask for, whoever has edited the file.
    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Option<Rate>, D::Error> {
        let bytes = Option::<u64>::deserialize(from)?;
        Ok(bytes.map(|bytes| Rate::per_second(bytes).max(Rate::MIN)))
    }
}

/// The file.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Orders {
    download: Vec<Order>,
}

/// What was ordered before this start.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ordered {
    pub(super) orders: Vec<Order>,
    /// Whether these are all; otherwise nobody knows which others there were.
    pub(super) complete: bool,
}

/// What was ordered before this start. A file that is not ours is renamed, for a person to look at.
///
/// # Errors
/// What the disk says; the file is then where it was.
pub(super) fn load(path: &Path) -> io::Result<Ordered> {
    let aside = PathBuf::from(format!("{}.bad", path.display()));
    let read = std::fs::read_to_string(path).and_then(|text| {
        toml::from_str(&text).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
    });
    let orders = match read {
        Ok(Orders { download }) => download,
        Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(e) if e.kind() == io::ErrorKind::InvalidData => {
            std::fs::rename(path, &aside)?;
            log::error!(
                target: "node",
                "cannot read which downloads were not over in {}: {e}; kept as {}. Download them \
                 again; what had arrived stays until you remove that file",
                path.display(),
                aside.display()
            );
            Vec::new()
        }
        Err(e) => return Err(e),
    };
    Ok(Ordered { orders, complete: !aside.try_exists()? })
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
        let loaded = || load(&path).unwrap();
        let all = |orders: &[Order]| Ordered { orders: orders.to_vec(), complete: true };
        assert_eq!(loaded(), all(&[]));
        let order = |name: &str, from: Option<&str>, paused| Order {
            name: name.parse().unwrap(),
            from: from.map(str::to_owned),
            paused,
            limit: paused.then_some(Rate::MIN),
            list: paused.then(|| Root::of(b"a list")),
        };
        let orders = vec![order("a/film", None, false), order("new\nline", Some("alice"), true)];
        save(&path, orders.clone()).unwrap();
        assert_eq!(loaded(), all(&orders));
        assert_eq!(orders[1].choice(), From::One("alice".into()));
        let content = order("a", Some("@0123abcd"), false);
        assert_eq!(content.choice(), From::Content("0123abcd".parse().unwrap()));
        save(&path, Vec::new()).unwrap();
        assert_eq!(loaded(), all(&[]));
    }

    #[test]
    fn a_limit_is_kept_as_far_as_it_is_one() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("downloads.toml");
        let limit = || load(&path).unwrap().orders[0].limit;
        let (name, huge) = ("film".parse().unwrap(), Some(Rate::per_second(u64::MAX)));
        let order = Order { name, from: None, paused: false, limit: huge, list: None };
        save(&path, vec![order]).unwrap();
        assert_eq!(limit(), huge, "the largest");
        for (written, read) in [("", None), ("limit = 0", Some(Rate::MIN))] {
            std::fs::write(&path, format!("[[download]]\nname = \"film\"\n{written}")).unwrap();
            assert_eq!(limit(), read, "{written:?}");
        }
    }

    #[test]
    fn a_file_that_is_not_ours_is_set_aside_and_keeps_nobody_from_starting() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("downloads.toml");
        let unknown = Ordered { orders: Vec::new(), complete: false };
        for bad in ["download = 5", "[[download]]\nname = \"../x\"", "\u{0}", "[[download]]"] {
            std::fs::write(&path, bad).unwrap();
            assert_eq!(load(&path).unwrap(), unknown, "{bad}");
            let aside = home.path().join("downloads.toml.bad");
            assert_eq!(std::fs::read_to_string(aside).unwrap(), bad);
            assert!(!path.exists());
            save(&path, Vec::new()).unwrap();
            assert_eq!(load(&path).unwrap(), unknown, "as long as nobody has looked at it");
        }
    }

    #[test]
    fn a_file_that_the_disk_does_not_give_stays_where_it_is() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("downloads.toml");
        std::fs::create_dir(&path).unwrap();
        assert!(load(&path).is_err());
        assert!(path.is_dir());
    }
}
