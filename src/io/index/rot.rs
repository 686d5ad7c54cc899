//! What is not what it was, though nobody wrote it: files whose bytes have another root than they had
//! in the very same state, as far as size, time and inode tell. A disk does that; so does a person who
//! edits a file and sets its time back.
//!
//! Invariant: such a file is in no catalogue and opened for nobody, over restarts too, until it is in
//! another state: written, touched or replaced. What it was is remembered, so that it can be had again.
//! Kept in `.parvi/rotten`, one JSON line a file, replaced whole; a line that cannot be read is passed
//! over, and its file is hashed as if it were new.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Shelf;
use super::state::{FileKey, FolderId, Kind, Record};
use super::walk::Unread;
use crate::base::{FileEntry, Modified, Name, Root};
use crate::io::disk::{Fingerprint, replace_file};

/// Files that changed and are not hashed yet, of which it is remembered what they were.
const SUSPECTS_MAX: usize = 10_000;

/// A file that rots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotten {
    /// Where it lies.
    pub shelf: Shelf,
    /// Whether it is shared from elsewhere, by path.
    pub by_path: bool,
    /// Whether it is a copy for others, and not a person's that lies among those.
    pub copy: bool,
    /// What it was.
    pub entry: FileEntry,
    /// The root that it has now.
    pub found: Root,
    /// Whether it was put aside, so that what it was can take its name.
    pub aside: bool,
}

/// A file as the index has it, to be read and compared.
#[derive(Debug, Clone)]
pub struct Stored {
    pub(super) key: FileKey,
    pub(super) record: Record,
}

impl Stored {
    /// Its name.
    pub fn name(&self) -> &Name {
        &self.key.1
    }

    /// Bytes.
    pub fn size(&self) -> u64 {
        self.record.print.size
    }

    /// Where it comes in the order in which files are checked, for the next start.
    pub fn place(&self) -> (u8, u32) {
        let FolderId { kind, nth } = self.key.0;
        (kind as u8, nth)
    }
}

/// Where a file lies, whatever number its folder has after the next start.
pub(super) type RotKey = (Kind, Name);

/// What rots, and what may.
#[derive(Debug, Default)]
pub(super) struct Rot {
    rotten: BTreeMap<RotKey, Line>,
    /// What changed files were; those that still have their size, time and inode are compared when
    /// they are hashed.
    suspects: BTreeMap<RotKey, (Record, u32)>,
    /// Grows with every change of what is kept.
    pub(super) edits: u64,
    /// Those that nobody was told of yet.
    pub(super) news: Vec<RotKey>,
}

/// One file that rots, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    kind: Kind,
    name: Name,
    size: u64,
    modified: Modified,
    changed: Modified,
    inode: u64,
    executable: bool,
    /// What it was.
    pub(super) root: Root,
    found: Root,
    /// What it was called, once it is put aside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) was: Option<Name>,
    /// Whether the book called it a copy for others, of what it was.
    #[serde(default)]
    pub(super) copy: bool,
    /// The last scan that saw it.
    #[serde(skip)]
    scan: u32,
}

impl Line {
    pub(super) fn print(&self) -> Fingerprint {
        let Line { size, modified, changed, inode, .. } = *self;
        Fingerprint { size, modified, changed, inode }
    }

    fn set_print(&mut self, print: &Fingerprint) {
        let Fingerprint { size, modified, changed, inode } = *print;
        (self.size, self.modified, self.changed, self.inode) = (size, modified, changed, inode);
    }

    /// What it is called, or was before it was put aside.
    pub(super) fn proper_name(&self) -> &Name {
        self.was.as_ref().unwrap_or(&self.name)
    }

    fn told(&self) -> Rotten {
        let Line { size, modified, executable, root, copy, .. } = *self;
        let name = self.proper_name().clone();
        Rotten {
            shelf: self.kind.into(),
            by_path: self.kind == Kind::Share,
            copy,
            entry: FileEntry { name, size, root, modified, executable },
            found: self.found,
            aside: self.was.is_some(),
        }
    }
}

impl Rot {
    /// Reads what was kept at `path`.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn load(path: &Path) -> io::Result<Rot> {
        let text = match std::fs::read(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            other => other?,
        };
        let mut rot = Rot::default();
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match serde_json::from_slice::<Line>(line) {
                Ok(line) => drop(rot.rotten.insert((line.kind, line.name.clone()), line)),
                Err(e) => log::warn!("a line of {} is passed over: {e}", path.display()),
            }
        }
        Ok(rot)
    }

    /// What is kept.
    pub(super) fn bytes(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for line in self.rotten.values() {
            serde_json::to_writer(&mut bytes, line)?;
            bytes.push(b'\n');
        }
        Ok(bytes)
    }

    /// A scan has seen a file; whether that is one that rots, which is not looked at any more. One with
    /// another size, time or inode was written since. Another mode, owner or number of links says nothing
    /// of its bytes: it rots until it is hashed again.
    pub(super) fn sees(&mut self, key: &FileKey, print: &Fingerprint, scan: u32) -> bool {
        if self.rotten.is_empty() && self.suspects.is_empty() {
            return false;
        }
        let key = rot_key(key);
        if let Some((_, seen)) = self.suspects.get_mut(&key) {
            *seen = scan;
        }
        let Some(line) = self.rotten.get_mut(&key) else { return false };
        line.scan = scan;
        if line.print() == *print {
            return true;
        }
        let (same, aside) = (line.print().same_bytes(print), line.was.is_some());
        match (same, aside) {
            // What was put aside is not offered, whatever it is.
            (true, true) => line.set_print(print),
            (true, false) => return false,
            (false, _) => drop(self.rotten.remove(&key)),
        }
        self.edits += 1;
        same
    }

    /// A file is not in the state any more in which it was `record`.
    pub(super) fn suspect(&mut self, key: &FileKey, record: &Record, scan: u32) {
        if self.suspects.len() < SUSPECTS_MAX {
            self.suspects.insert(rot_key(key), (*record, scan));
        }
    }

    /// What a file was that is to be hashed again.
    pub(super) fn was(&self, key: &FileKey) -> Option<Root> {
        Some(self.suspects.get(&rot_key(key))?.0.root)
    }

    /// A file was hashed; whether it rots: it is as it was, but for its bytes. `is_copy` tells whether
    /// the book says that it is a copy for others of a content.
    pub(super) fn has_rotted(
        &mut self,
        key: &FileKey,
        now: &Record,
        is_copy: &dyn Fn(&Root) -> bool,
    ) -> bool {
        let rot_key = rot_key(key);
        let suspect = self.suspects.remove(&rot_key);
        if let Some(line) = self.rotten.get_mut(&rot_key) {
            self.edits += 1;
            let same = line.print().same_bytes(&now.print);
            if same && line.root != now.root {
                line.set_print(&now.print);
                line.found = now.root;
                return true;
            }
            self.rotten.remove(&rot_key);
            if same {
                return false;
            }
        }
        let Some((was, _)) = suspect else { return false };
        let rots = was.print.same_bytes(&now.print) && was.root != now.root;
        if rots {
            self.condemn(key, &was, (&now.print, now.root), is_copy(&was.root));
        }
        rots
    }

    /// A file rots: it was `was`, a copy for others or not, and is in this state with this root.
    pub(super) fn condemn(
        &mut self,
        key: &FileKey,
        was: &Record,
        (print, found): (&Fingerprint, Root),
        copy: bool,
    ) {
        let (rot_key, Record { root, executable, scan, .. }) = (rot_key(key), *was);
        let Fingerprint { size, modified, changed, inode } = *print;
        let (kind, name, was) = (rot_key.0, rot_key.1.clone(), None);
        let line = Line {
            kind,
            name,
            size,
            modified,
            changed,
            inode,
            executable,
            root,
            found,
            was,
            copy,
            scan,
        };
        self.rotten.insert(rot_key.clone(), line);
        self.news.push(rot_key);
        self.edits += 1;
    }

    /// Forgets files of a folder that scan number `scan` has not seen, but for those it could not look
    /// at.
    pub(super) fn sweep(
        &mut self,
        id: FolderId,
        scan: u32,
        unread: &Unread,
        mine: &dyn Fn(&Name) -> bool,
    ) {
        let stays = |(kind, name): &RotKey, seen: u32| {
            *kind != id.kind || seen == scan || unread.covers(name) || !mine(name)
        };
        let before = self.rotten.len();
        self.rotten.retain(|key, line| stays(key, line.scan));
        self.suspects.retain(|key, (_, seen)| stays(key, *seen));
        self.edits += u64::from(self.rotten.len() != before);
    }

    /// A file that rots was put aside under another name, and is in this state there.
    pub(super) fn put_aside(&mut self, key: &RotKey, aside: &Name, print: &Fingerprint) {
        let Some(mut line) = self.rotten.remove(key) else { return };
        line.set_print(print);
        line.was = Some(std::mem::replace(&mut line.name, aside.clone()));
        self.rotten.insert((key.0, aside.clone()), line);
        self.edits += 1;
    }

    /// A file that rots is there no more.
    pub(super) fn forget(&mut self, key: &RotKey) {
        self.edits += u64::from(self.rotten.remove(key).is_some());
    }

    /// One of them.
    pub(super) fn get(&self, key: &RotKey) -> Option<&Line> {
        self.rotten.get(key)
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&RotKey, &Line)> {
        self.rotten.iter()
    }

    /// All of them, for people.
    pub(super) fn told(&self) -> Vec<Rotten> {
        self.rotten.values().map(Line::told).collect()
    }

    /// Those that nobody was told of yet.
    pub(super) fn take_news(&mut self) -> Vec<Rotten> {
        let news = std::mem::take(&mut self.news);
        news.iter().filter_map(|key| self.rotten.get(key)).map(Line::told).collect()
    }
}

/// Puts what is kept in its place.
///
/// # Errors
/// What the disk says.
pub(super) fn save(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_file(path, bytes)
}

fn rot_key((id, name): &FileKey) -> RotKey {
    (id.kind, name.clone())
}
