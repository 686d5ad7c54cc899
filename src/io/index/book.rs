//! Which files in `replicated/` are copies for others: `.parvi/replicas`.
//!
//! Invariant: a copy is in the book, durably, before it has its name, so that it is never taken for a
//! file of the person; what is not in the book with the content that it has is hers, and is neither
//! trimmed nor counted against the quota. A line that cannot be read is passed over: that copy is hers
//! from then on, and nobody removes it.
//!
//! ```text
//! {"name":"a/film","root":"…"}    a copy        one JSON line each; the last one of a name counts,
//! {"name":"a/film"}               no more       and at the start the book is written anew
//! ```

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::base::{Name, Root};
use crate::io::disk::replace_file;

/// The book, open for what is added.
#[derive(Debug)]
pub(super) struct Book {
    path: PathBuf,
    /// Opened with the first line that is added.
    file: Option<File>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    name: Name,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    root: Option<Root>,
}

impl Book {
    /// Reads the book at `path`; one that is not there is empty.
    ///
    /// # Errors
    /// What the disk says; the book is then as it was.
    pub(super) fn open(path: &Path) -> io::Result<(Book, BTreeMap<Name, Root>)> {
        let text = match std::fs::read(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            other => other?,
        };
        let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let (mut copies, mut count) = (BTreeMap::new(), 0);
        for line in lines {
            count += 1;
            match serde_json::from_slice(line) {
                Ok(Line { name, root: Some(root) }) => drop(copies.insert(name, root)),
                Ok(Line { name, root: None }) => drop(copies.remove(&name)),
                Err(e) => log::warn!("line {count} of {} is passed over: {e}", path.display()),
            }
        }
        if copies.len() < count {
            let lines = copies.iter().map(|(name, root)| line(name, Some(*root)));
            replace_file(path, &lines.collect::<io::Result<Vec<_>>>()?.concat())?;
        }
        Ok((Book { path: path.to_owned(), file: None }, copies))
    }

    /// Adds a copy, or that a name is one no more; it is durable when this returns.
    ///
    /// # Errors
    /// What the disk says; nothing is added then, as far as anybody can tell.
    pub(super) fn add(&mut self, name: &Name, root: Option<Root>) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let file = File::options().append(true).create(true).open(&self.path)?;
                // A line is no more durable than the book's own name.
                File::open(self.path.parent().unwrap_or(Path::new(".")))?.sync_all()?;
                none.insert(file)
            }
        };
        // What was cut off before ends where this begins.
        file.write_all(&[b"\n", &line(name, root)?[..]].concat())?;
        file.sync_data()
    }
}

fn line(name: &Name, root: Option<Root>) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(&Line { name: name.clone(), root })?;
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    #[test]
    fn the_last_line_of_a_name_counts_and_a_start_writes_the_book_anew() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("replicas");
        let (film, song) = (Root::of(b"film"), Root::of(b"song"));
        let (mut book, none) = Book::open(&path).unwrap();
        assert!(none.is_empty() && !path.exists());
        book.add(&name("a\nb"), Some(song)).unwrap();
        book.add(&name("film"), Some(song)).unwrap();
        book.add(&name("film"), Some(film)).unwrap();
        book.add(&name("a\nb"), None).unwrap();
        let wanted = BTreeMap::from([(name("film"), film)]);
        assert_eq!(Book::open(&path).unwrap().1, wanted);
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 1);
        assert_eq!(Book::open(&path).unwrap().1, wanted);
    }

    #[test]
    fn what_was_cut_off_or_is_not_ours_costs_only_its_own_line() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("replicas");
        let film = Root::of(b"film");
        std::fs::write(&path, "{\"name\":\"../x\",\"root\":\"0\"}\n{\"name\":\"so").unwrap();
        let (mut book, none) = Book::open(&path).unwrap();
        assert!(none.is_empty());
        std::fs::write(&path, "{\"name\":\"so").unwrap();
        book.add(&name("film"), Some(film)).unwrap();
        assert_eq!(Book::open(&path).unwrap().1, BTreeMap::from([(name("film"), film)]));
    }
}
