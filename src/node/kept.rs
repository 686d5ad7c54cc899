//! What each order was resolved to, in files beside the orders: `.parvi/lists/`.
//!
//! Invariant: a list is written once, durably, before the order that names it, and is called by the
//! BLAKE3 of its bytes, so that a damaged one is never taken for whole. One that no order names is
//! removed. What is too large to be read again is not written.
//!
//! ```text
//! lists/<BLAKE3 of the bytes>    one file a line, as JSON; the sizes of a disputed file follow
//!                                each other
//! ```

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::base::{FileEntry, Root};
use crate::io::disk::replace_file;

/// Largest list, bytes: about a million files.
const LIST_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// The folder of lists.
pub(super) struct Lists(PathBuf);

impl Lists {
    /// Those of the orders at `orders`.
    pub(super) fn beside(orders: &Path) -> Lists {
        Lists(orders.with_file_name("lists"))
    }

    /// Keeps a list; tells its name.
    ///
    /// # Errors
    /// What the disk says; the list is too large.
    pub(super) fn write(&self, files: &[FileEntry]) -> io::Result<Root> {
        let bytes = lines(files, LIST_BYTES_MAX)?;
        let name = Root::of(&bytes);
        std::fs::create_dir_all(&self.0)?;
        replace_file(&self.path(&name), &bytes)?;
        Ok(name)
    }

    /// What was kept under this name.
    ///
    /// # Errors
    /// What the disk says; the bytes are not those that were written.
    pub(super) fn read(&self, name: &Root) -> io::Result<Vec<FileEntry>> {
        let mut bytes = Vec::new();
        let file = std::fs::File::open(self.path(name))?;
        file.take(LIST_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        if Root::of(&bytes) != *name {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it was changed or damaged"));
        }
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).map_err(io::Error::from)).collect()
    }

    /// The names of all lists but these: of downloads that were given up, the node ended before they
    /// were tidied away.
    pub(super) fn others(&self, named: &BTreeSet<Root>) -> BTreeSet<Root> {
        let others = self.unnamed(named);
        others.filter_map(|path| path.file_name()?.to_str()?.parse().ok()).collect()
    }

    /// Removes every list but these.
    pub(super) fn keep_only(&self, named: &BTreeSet<Root>) {
        for path in self.unnamed(named) {
            if let Err(e) = std::fs::remove_file(&path) {
                log::warn!(target: "node", "cannot remove {}: {e}", path.display());
            }
        }
    }

    fn unnamed<'a>(&self, named: &'a BTreeSet<Root>) -> impl Iterator<Item = PathBuf> + use<'a> {
        let all = std::fs::read_dir(&self.0).into_iter().flatten().flatten();
        all.filter_map(|entry| {
            let name: Option<Root> = entry.file_name().to_str().and_then(|name| name.parse().ok());
            let is_named = name.is_some_and(|name| named.contains(&name));
            (!is_named).then(|| entry.path())
        })
    }

    /// Where a list is.
    pub(super) fn path(&self, name: &Root) -> PathBuf {
        self.0.join(name.to_string())
    }
}

/// A list as it is written, unless that is more than `max` bytes.
fn lines(files: &[FileEntry], max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for file in files {
        serde_json::to_writer(&mut bytes, file)?;
        bytes.push(b'\n');
        if bytes.len() as u64 > max {
            let words = format!("the list of its {} files is too large to be kept", files.len());
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, words));
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::samples::hit;

    #[test]
    fn a_list_is_read_as_it_was_written_or_not_at_all() {
        let home = tempfile::tempdir().unwrap();
        let lists = Lists::beside(&home.path().join("downloads.toml"));
        let files = [hit("d/a", b"1", &[]).entry, hit("d/new\nline", b"2", &[]).entry];
        let name = lists.write(&files).unwrap();
        assert_eq!(lists.read(&name).unwrap(), files);
        let bytes = std::fs::read(lists.path(&name)).unwrap();
        std::fs::write(lists.path(&name), &bytes[..bytes.len() / 2]).unwrap();
        assert_eq!(lists.read(&name).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_list_that_is_too_large_is_not_written_and_the_error_says_so() {
        let files = [hit("d/a", b"1", &[]).entry, hit("d/b", b"2", &[]).entry];
        let whole = lines(&files, 1 << 20).unwrap().len() as u64;
        assert!(lines(&files, whole).is_ok());
        assert_eq!(lines(&files, whole - 1).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn a_list_that_no_order_names_goes() {
        let home = tempfile::tempdir().unwrap();
        let lists = Lists::beside(&home.path().join("downloads.toml"));
        let [a, b] = ["a", "b"].map(|name| lists.write(&[hit(name, b"1", &[]).entry]).unwrap());
        assert_eq!(lists.others(&BTreeSet::from([b])), BTreeSet::from([a]));
        lists.keep_only(&BTreeSet::from([b]));
        assert!(lists.read(&a).is_err());
        assert_eq!(lists.read(&b).unwrap().len(), 1);
    }
}
