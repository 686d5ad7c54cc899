//! The folder of a run: what is finished stands there, and is not measured again.
//!
//! ```text
//! DIR/results.jsonl        the parameters in the first line, then one line for each finished cell
//! DIR/results.json         the same in one document, with results.csv, summary.md and the plots
//! DIR/.parvi-eval-work-*   data of nodes that run now; gone at the end, or at the next start
//! ```
//!
//! The folder itself is locked by the process that measures. It is ours when it was missing or empty, or has a
//! journal with our header: whatever else is there is a person's, and refused before anything is touched.
//!
//! Invariant: a line counts when its end is there, so a process that is killed leaves whole cells or nothing.
//! Results of two builds, two machines or two sets of parameters are never mixed.

use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::cell::Measured;
use super::settings::Settings;
use crate::base::{Fault, FaultKind};
use crate::io::disk::is_disk_full;
use crate::io::machine::Machine;

const JOURNAL: &str = "results.jsonl";
/// Begins the names of folders with nodes' data; no person's folder is called so.
pub(super) const WORK_PREFIX: &str = ".parvi-eval-work-";

/// What all results of a folder have in common.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Header {
    /// parvi's version.
    pub version: String,
    /// BLAKE3 of the program.
    pub build: String,
    /// The day it began.
    pub date: String,
    /// Processes that wanted to run when it began, as a mean over a minute.
    pub load: f64,
    /// Where it runs.
    pub machine: Machine,
    /// The parameters.
    pub settings: Settings,
}

/// See the module.
pub(super) struct Store {
    dir: PathBuf,
    journal: File,
    _lock: File,
    /// Those of the run's first start.
    pub header: Header,
    /// Finished cells.
    pub measured: Vec<Measured>,
}

impl Store {
    /// Opens `dir` to go on with `header`'s measurements, or to begin them.
    ///
    /// # Errors
    /// `Exists`: other measurements are there, or another process is at work. A disk that fails.
    pub(super) fn open(dir: &Path, header: Header) -> Result<Store, Fault> {
        std::fs::create_dir_all(dir).map_err(|e| cannot("open", dir, &e))?;
        let lock = lock(dir)?;
        let path = dir.join(JOURNAL);
        let (whole, found, measured) = match std::fs::read(&path) {
            Ok(bytes) => resumed(dir, &bytes, &header)?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                (begun(dir, &path, &header)?, header, Vec::new())
            }
            Err(e) => return Err(cannot("read", &path, &e)),
        };
        let journal = File::options().append(true).open(&path);
        let journal = journal.map_err(|e| cannot("open", &path, &e))?;
        journal.set_len(whole).map_err(|e| cannot("write", &path, &e))?;
        remove_work(dir);
        Ok(Store { dir: dir.to_owned(), journal, _lock: lock, header: found, measured })
    }

    /// Keeps a finished cell; when this returns, it is on the disk.
    ///
    /// # Errors
    /// A disk that fails or is full.
    pub(super) fn keep(&mut self, measured: Measured) -> Result<(), Fault> {
        self.append(&measured)?;
        self.measured.push(measured);
        Ok(())
    }

    fn append(&mut self, what: &Measured) -> Result<(), Fault> {
        let line = serde_json::to_string(what).map_err(io::Error::from);
        let written = line.and_then(|line| {
            self.journal.write_all((line + "\n").as_bytes())?;
            self.journal.sync_data()
        });
        written.map_err(|e| cannot("write", &self.dir.join(JOURNAL), &e))
    }

    /// Writes a document of the results, in the place of an older one.
    ///
    /// # Errors
    /// A disk that fails or is full.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<(), Fault> {
        let (path, fresh) = (self.dir.join(name), self.dir.join(format!("{name}.new")));
        let written = std::fs::write(&fresh, text).and_then(|()| std::fs::rename(&fresh, &path));
        written.map_err(|e| cannot("write", &path, &e))
    }

    /// Where it is.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }
}

/// A new journal in a folder that has nothing in it; returns its bytes. It appears with its whole header, so
/// that a journal without one is never ours.
///
/// # Errors
/// `Exists`: something is there.
fn begun(dir: &Path, path: &Path, header: &Header) -> Result<u64, Fault> {
    let mut entries = std::fs::read_dir(dir).map_err(|e| cannot("read", dir, &e))?;
    if entries.next().is_some() {
        return Err(foreign(dir, "it is not empty, and has no results of parvi eval"));
    }
    let fresh = dir.join(format!("{JOURNAL}.new"));
    let line = serde_json::to_string(header).map_err(io::Error::from);
    let written = line.and_then(|line| {
        let mut file = File::create_new(&fresh)?;
        file.write_all((line.clone() + "\n").as_bytes())?;
        file.sync_data()?;
        std::fs::rename(&fresh, path)?;
        Ok(line.len() as u64 + 1)
    });
    written.map_err(|e| cannot("write", path, &e))
}

/// What a journal of ours has: its whole bytes, its header, its cells.
///
/// # Errors
/// `Exists`: it is not ours, or has other measurements.
fn resumed(
    dir: &Path,
    bytes: &[u8],
    header: &Header,
) -> Result<(u64, Header, Vec<Measured>), Fault> {
    let line_end = |byte: &u8| *byte == b'\n';
    // What is behind the last end of a line was being written when its process was killed.
    let whole = &bytes[..bytes.iter().rposition(line_end).map_or(0, |at| at + 1)];
    let mut lines = whole.split_inclusive(line_end);
    let first = lines.next().and_then(|line| serde_json::from_slice::<Header>(line).ok());
    let Some(found) = first else {
        return Err(foreign(dir, &format!("its {JOURNAL} is none of parvi eval")));
    };
    same(dir, &found, header)?;
    let measured = lines.map(serde_json::from_slice).collect::<Result<_, _>>();
    let measured = measured.map_err(|e| foreign(dir, &format!("its {JOURNAL} is damaged: {e}")))?;
    Ok((whole.len() as u64, found, measured))
}

/// Somebody else's folder.
fn foreign(dir: &Path, why: &str) -> Fault {
    let text =
        format!("cannot keep results in {}: {why}; name another folder with --out", dir.display());
    Fault::new(FaultKind::Exists, text)
}

fn lock(dir: &Path) -> Result<File, Fault> {
    let lock = File::open(dir).map_err(|e| cannot("open", dir, &e))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(Fault::new(
            FaultKind::Exists,
            format!(
                "another parvi eval is at work in {}; wait for it, or name another folder with --out",
                dir.display()
            ),
        )),
        Err(TryLockError::Error(e)) => Err(cannot("lock", dir, &e)),
    }
}

/// What a process that was killed has left. Its nodes were killed with it.
fn remove_work(dir: &Path) {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let is_work = |entry: &std::fs::DirEntry| {
        entry.file_name().as_encoded_bytes().starts_with(WORK_PREFIX.as_bytes())
    };
    for entry in entries.filter(is_work) {
        if let Err(e) = std::fs::remove_dir_all(entry.path()) {
            log::warn!(
                "cannot remove what an earlier run has left, {}: {e}",
                entry.path().display()
            );
        }
    }
}

/// # Errors
/// `Exists`, with all that differs.
fn same(dir: &Path, found: &Header, wanted: &Header) -> Result<(), Fault> {
    let mut differ = found.settings.differences(&wanted.settings);
    if found.version != wanted.version || found.build != wanted.build {
        differ.push("another build of parvi".into());
    }
    if found.machine != wanted.machine {
        differ.push("another machine or kernel".into());
    }
    if differ.is_empty() {
        return Ok(());
    }
    let text = format!(
        "{} has the results of another run: {}; name another folder with --out",
        dir.display(),
        differ.join("; ")
    );
    Err(Fault::new(FaultKind::Exists, text))
}

/// What could not be done with which file, and why.
pub(super) fn cannot(what: &str, path: &Path, e: &io::Error) -> Fault {
    let kind = if is_disk_full(e) { FaultKind::DiskFull } else { FaultKind::Other };
    Fault::new(kind, format!("cannot {what} {}: {e}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::super::cell::{Cell, Kind, Round};
    use super::super::settings::tests::settings;
    use super::*;

    fn header() -> Header {
        Header {
            version: "1".into(),
            build: "b".into(),
            date: "2026-11-22".into(),
            load: 0.5,
            machine: Machine::default(),
            settings: settings(),
        }
    }

    fn measured(peers: u32) -> Measured {
        let cell = Cell { kind: Kind::Weak, peers, concurrency: 1, size: 1, files: 1 };
        let times = vec![0.1, 1.0 / 3.0];
        Measured { cell, rounds: vec![Round { seconds: 0.7, bytes: 3, requests: 2, times }] }
    }

    #[test]
    fn what_was_kept_is_there_again_and_a_torn_line_is_not() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("a/b");
        let mut store = Store::open(&dir, header()).unwrap();
        store.keep(measured(1)).unwrap();
        store.keep(measured(2)).unwrap();
        drop(store);
        let later = Header { date: "2026-11-23".into(), load: 9.0, ..header() };
        let store = Store::open(&dir, later.clone()).unwrap();
        assert_eq!(store.measured, [measured(1), measured(2)]);
        assert_eq!(store.header, header(), "the day is that of the first start");
        drop(store);

        let journal = dir.join(JOURNAL);
        let text = std::fs::read_to_string(&journal).unwrap();
        for cut in 1..text.lines().last().unwrap().len() + 1 {
            std::fs::write(&journal, &text[..text.len() - cut]).unwrap();
            let mut store = Store::open(&dir, later.clone()).unwrap();
            assert_eq!(store.measured, [measured(1)], "{cut} bytes were cut off");
            store.keep(measured(2)).unwrap();
            drop(store);
            assert_eq!(std::fs::read_to_string(&journal).unwrap(), text, "{cut}");
        }
    }

    #[test]
    fn another_build_and_other_parameters_are_refused_with_what_differs() {
        let root = tempfile::tempdir().unwrap();
        drop(Store::open(root.path(), header()).unwrap());
        let mut other = header();
        other.settings.seed = 2;
        let machine = Machine { cores: 99, ..Machine::default() };
        let table = [
            (other, "--seed 2, not 1"),
            (Header { build: "c".into(), ..header() }, "another build"),
            (Header { machine, ..header() }, "another machine"),
        ];
        for (header, wanted) in table {
            let fault = Store::open(root.path(), header).err().expect(wanted);
            assert_eq!(fault.kind, FaultKind::Exists, "{fault}");
            assert!(fault.text.contains(wanted) && fault.text.contains("--out"), "{fault}");
        }
    }

    #[test]
    fn two_at_once_are_refused_and_what_a_killed_one_left_is_removed() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path(), header()).unwrap();
        let fault = Store::open(root.path(), header()).err().unwrap();
        assert!(fault.text.contains("at work"), "{fault}");
        drop(store);
        let left = root.path().join(".parvi-eval-work-1/node1/shared");
        let kept = root.path().join("work-thesis");
        std::fs::create_dir_all(&left).unwrap();
        std::fs::create_dir(&kept).unwrap();
        std::fs::write(root.path().join("notes.txt"), "mine").unwrap();
        let other = Header { build: "c".into(), ..header() };
        assert_eq!(Store::open(root.path(), other).err().unwrap().kind, FaultKind::Exists);
        assert!(left.exists(), "it may be at work for another one's results");
        drop(Store::open(root.path(), header()).unwrap());
        assert!(!left.exists());
        assert!(kept.exists() && root.path().join("notes.txt").exists(), "a person's stay");
    }

    #[test]
    fn a_folder_that_is_not_ours_is_refused_and_left_as_it_is() {
        let mine = serde_json::to_string(&header()).unwrap();
        let foreign: [&[u8]; 6] =
            [b"", b"{\"a\":1}\n", b"no end", b"\xff\xfe\n{}\n", b"\n\n", mine.as_bytes()];
        for bytes in foreign {
            let root = tempfile::tempdir().unwrap();
            let (journal, thesis) =
                (root.path().join(JOURNAL), root.path().join("work-thesis/text"));
            std::fs::create_dir(thesis.parent().unwrap()).unwrap();
            std::fs::write(&thesis, "years").unwrap();
            let refused = || {
                let fault = Store::open(root.path(), header()).err().unwrap();
                assert_eq!(fault.kind, FaultKind::Exists, "{fault}");
                assert!(fault.text.contains("--out"), "{fault}");
            };
            refused();
            assert!(!journal.exists(), "nothing is made beside a person's files");
            std::fs::write(&journal, bytes).unwrap();
            refused();
            assert_eq!(std::fs::read(&journal).unwrap(), bytes);
            assert_eq!(std::fs::read_to_string(&thesis).unwrap(), "years");
        }
    }
}
