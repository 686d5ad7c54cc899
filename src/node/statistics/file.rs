//! The numbers on the disk: `.parvi/stats`.
//!
//! Invariant: it is replaced whole, and read whole or not at all. One that is damaged, or of a later
//! version, is set aside as `stats.bad`, in the place of an earlier one, and the numbers begin anew. One that
//! the disk does not give now (its mode, a failing disk) may be whole: it stays as it is.
//!
//! ```text
//! parvi statistics 1 CRC32\n    of all that follows, eight hex digits
//! {...}                         `Statistics` as JSON; what an earlier build did not count is 0
//! ```

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::io::disk::new_beside;
use crate::logic::statistics::Statistics;

/// What the first line begins with; the number is the version.
const HEAD: &str = "parvi statistics 1 ";

/// Why the numbers of earlier runs are not to be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unread {
    /// It was set aside: there is nothing at its path any more.
    #[error("{0}")]
    Damaged(String),
    /// It is where it was, and may be whole.
    #[error(
        "cannot read the numbers of `stats` in {path}: {source}; it stays as it is, and what is counted \
         from now on is added once it can be read: check its owner and mode"
    )]
    Kept {
        /// The file.
        path: String,
        /// What the disk said.
        source: io::Error,
    },
}

/// What was kept at `path`; nothing yet where there is no file.
///
/// # Errors
/// It cannot be read, or is not what was written.
pub(super) fn load(path: &Path) -> Result<Statistics, Unread> {
    let shown = path.display();
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Statistics::default()),
        Err(source) => return Err(Unread::Kept { path: shown.to_string(), source }),
    };
    let Some(statistics) = decode(&bytes) else {
        let aside = PathBuf::from(format!("{shown}.bad"));
        let kept = match std::fs::rename(path, &aside) {
            Ok(()) => format!("kept as {}", aside.display()),
            Err(e) => format!("it cannot be set aside: {e}"),
        };
        return Err(Unread::Damaged(format!(
            "{shown} is damaged or of a later version ({kept}); the numbers of `stats` begin anew"
        )));
    };
    Ok(statistics)
}

/// Puts `statistics` in the place of what was there, in one step.
///
/// # Errors
/// What the disk says; the file is then as it was.
pub(super) fn save(path: &Path, statistics: &Statistics) -> io::Result<()> {
    let body = serde_json::to_vec(statistics)?;
    let mut file = new_beside(path)?;
    file.write_all(format!("{HEAD}{:08x}\n", crc32fast::hash(&body)).as_bytes())?;
    file.write_all(&body)?;
    file.as_file().sync_data()?;
    file.persist(path)?;
    Ok(())
}

fn decode(bytes: &[u8]) -> Option<Statistics> {
    let rest = bytes.strip_prefix(HEAD.as_bytes())?;
    let (crc, body) = rest.split_at_checked(8)?;
    let body = body.strip_prefix(b"\n")?;
    let crc = u32::from_str_radix(std::str::from_utf8(crc).ok()?, 16).ok()?;
    if crc32fast::hash(body) != crc {
        return None;
    }
    serde_json::from_slice(body).ok().filter(Statistics::is_sound)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Statistics {
        let mut some = Statistics { starts: 4, ..Statistics::default() };
        some.searches.whole_ms.add(2.5);
        some.downloads.sources.add(&"alice".parse().unwrap(), 700);
        some
    }

    #[test]
    fn what_was_written_is_read_and_no_file_is_nothing_yet() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("stats");
        assert_eq!(load(&path).unwrap(), Statistics::default());
        for statistics in [Statistics { starts: 1, ..Statistics::default() }, some()] {
            save(&path, &statistics).unwrap();
            assert_eq!(load(&path).unwrap(), statistics);
        }
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn whatever_byte_is_wrong_or_missing_it_is_set_aside_and_told() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("stats");
        save(&path, &some()).unwrap();
        let whole = std::fs::read(&path).unwrap();
        let mut cases: Vec<Vec<u8>> = (0..whole.len()).map(|len| whole[..len].to_vec()).collect();
        cases.extend((0..whole.len()).map(|at| {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            flipped
        }));
        cases.push([whole.as_slice(), b" "].concat());
        assert!(decode(&whole).is_some() && cases.iter().all(|bad| decode(bad).is_none()));
        for bad in cases.into_iter().step_by(whole.len() / 2) {
            std::fs::write(&path, &bad).unwrap();
            let words = load(&path).unwrap_err().to_string();
            assert!(words.contains("stats.bad") && words.contains("begin anew"), "{words}");
            assert_eq!(std::fs::read(home.path().join("stats.bad")).unwrap(), bad);
            assert_eq!(load(&path).unwrap(), Statistics::default());
        }
    }

    #[test]
    fn one_of_a_later_version_and_one_that_counting_cannot_lead_to_are_not_believed() {
        let body = serde_json::to_string(&some()).unwrap();
        let file = |head: &str, body: &str| {
            format!("{head}{:08x}\n{body}", crc32fast::hash(body.as_bytes())).into_bytes()
        };
        assert_eq!(decode(&file(HEAD, &body)), Some(some()));
        assert_eq!(decode(&file("parvi statistics 2 ", &body)), None);
        let unsound = body.replace("\"count\":1", "\"count\":2");
        assert_ne!(unsound, body);
        assert_eq!(decode(&file(HEAD, &unsound)), None);
        assert_eq!(decode(&file(HEAD, "{\"starts\":-1}")), None);
    }

    #[test]
    fn what_the_disk_does_not_give_is_told_and_stays() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("stats");
        std::fs::create_dir(&path).unwrap();
        let unread = load(&path).unwrap_err();
        assert!(matches!(unread, Unread::Kept { .. }) && path.is_dir(), "{unread}");
        assert!(save(&path, &some()).is_err());
    }
}
