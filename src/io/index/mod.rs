//! What this node shares: found, hashed, kept up to date, looked up and opened for peers.
//!
//! Invariants: what is in the catalogue was hashed in the state it is in, as far as the file system
//! tells; files are opened only below the data directory's folders and those a person named (I5);
//! nothing that a person withholds is served, from the moment she is told so.
//!
//! ```text
//! scanner   the one thread: walk -> hash -> cache -> rest      watch   reports of changes
//! walk      what lies in a folder          patterns  what a person leaves out of it
//! hasher    hashes on all cores
//! settling  what is still being written    pace    when to scan next
//! status    how it stands, what is listed     find      what is known of a content
//! state     what is known, and the catalogue that follows       cache   the same, across restarts
//! taken     what a person took back
//! shares    what a person shares by path and withholds
//! book      which files are copies for others      replicas  those: told of, counted, trimmed
//! rot       what is not what it was, though nobody wrote it     check   reads for it
//! source    where a content lies, and how that is opened         served  a file opened for a peer
//! ```

mod book;
mod cache;
mod check;
mod error;
mod find;
mod hasher;
mod pace;
mod patterns;
mod problem;
mod replicas;
mod rot;
mod scanner;
mod served;
mod settling;
mod share;
mod shares;
mod signals;
mod source;
mod state;
mod status;
mod taken;
mod walk;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::base::{FileEntry, Manifest, Name, Root};
use crate::io::clock;
use crate::io::disk::{Beneath, DataDir, Fingerprint, Published};
use crate::io::threads::{Group, StopToken};
use crate::logic::pattern::Matcher;
use crate::wire::message::tracker::{CatalogueDelta, Stamp};
use book::Book;
pub use check::Checked;
pub use error::IndexError;
pub use problem::Problem;
use problem::unreadable;
pub use replicas::Trimmed;
use rot::Rot;
pub use rot::{Rotten, Stored};
use scanner::Scanner;
pub use served::{OpenError, Served};
use shares::Shares;
use signals::Signals;
use source::Source;
use state::{FileKey, FolderId, Kind, Place, Record, State};
pub use status::{IndexSizes, IndexStatus};

/// A file that has just changed is left alone for this long.
const QUIET: Duration = Duration::from_millis(300);

/// What an index needs.
pub struct IndexConfig<'a> {
    /// Whose folders are indexed.
    pub data: &'a DataDir,
    /// Owns the scanner's thread.
    pub group: &'a Group,
    /// Ends it.
    pub stop: &'a StopToken,
    /// Whether what was downloaded is offered to others.
    pub share_downloaded: bool,
    /// Called after the catalogue has changed, on whatever thread changed it; must not block.
    pub on_change: Box<dyn Fn() + Send + Sync>,
}

/// A group of folders, as `list` shows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shelf {
    /// What the user shares, in `shared/` and by path.
    Local,
    /// What was downloaded.
    Downloaded,
    /// What is kept for others.
    Replicated,
}

impl Shelf {
    /// The folder of the data directory.
    fn folder(self) -> FolderId {
        match self {
            Shelf::Local => SHARED,
            Shelf::Downloaded => DOWNLOADED,
            Shelf::Replicated => REPLICATED,
        }
    }
}

/// What this node shares.
pub struct Index {
    data: PathBuf,
    shares_path: PathBuf,
    cache_path: PathBuf,
    rot_path: PathBuf,
    /// The edits of what rots that are on the disk; locked while that is written.
    rot_kept: Mutex<u64>,
    state: Mutex<State>,
    shares: Mutex<Shares>,
    /// Of the copies for others; locked while it is written.
    book: Mutex<Book>,
    signals: Mutex<Signals>,
    /// Wakes who waits for a change of `signals`.
    changed: Condvar,
    hashing: AtomicU64,
    hashed: AtomicU64,
    stop: StopToken,
    on_change: Box<dyn Fn() + Send + Sync>,
    told: Mutex<Stamp>,
}

impl Index {
    /// Begins to index; returns at once.
    ///
    /// # Errors
    /// A `shares.toml` that cannot be read; no thread.
    pub fn start(config: IndexConfig<'_>) -> Result<Arc<Index>, IndexError> {
        Index::start_with(config, QUIET)
    }

    fn start_with(config: IndexConfig<'_>, quiet: Duration) -> Result<Arc<Index>, IndexError> {
        let shares_path = config.data.private("shares.toml");
        let shares = Shares::load(&shares_path)
            .map_err(|source| IndexError::io("read", &shares_path, source))?;
        let book_path = config.data.private("replicas");
        let (book, replicas) =
            Book::open(&book_path).map_err(|source| IndexError::io("read", &book_path, source))?;
        let rot_path = config.data.private("rotten");
        let rot =
            Rot::load(&rot_path).map_err(|source| IndexError::io("read", &rot_path, source))?;
        let mut state = State::new(clock::random_u64());
        state.withheld = shares.withheld.clone();
        state.shares_downloads = config.share_downloaded;
        (state.replicas, state.rot) = (replicas, rot);
        add_folders(&mut state, config.data, &shares);
        let stamp = state.catalogue.stamp();
        let index = Arc::new(Index {
            data: config.data.path().to_owned(),
            shares_path,
            cache_path: config.data.private("catalogue"),
            state: Mutex::new(state),
            shares: Mutex::new(shares),
            book: Mutex::new(book),
            rot_path,
            rot_kept: Mutex::default(),
            signals: Mutex::default(),
            changed: Condvar::new(),
            hashing: AtomicU64::new(0),
            hashed: AtomicU64::new(0),
            stop: config.stop.clone(),
            on_change: config.on_change,
            told: Mutex::new(stamp),
        });
        let scanner = Scanner::new(Arc::clone(&index), index.cache_path.clone(), quiet);
        let spawned = config.group.spawn("index", move || scanner.run());
        spawned.map_err(|e| IndexError::io("start a thread to index", &index.data, e))?;
        Ok(index)
    }

    /// The files that answer for `name`, the file of that name or all below that folder, ascending,
    /// behind `after`: at most a page, and whether there are more.
    pub fn find(&self, name: &Name, after: Option<&Name>) -> (Vec<FileEntry>, bool) {
        self.state.lock().catalogue.find(name, after)
    }

    /// The files that are meant, ascending, behind `after`: at most a page, and where to go on, if
    /// that was not all.
    pub fn search(
        &self,
        matcher: &Matcher,
        after: Option<&Name>,
    ) -> (Vec<FileEntry>, Option<Name>) {
        self.state.lock().catalogue.search(matcher, after)
    }

    /// Whether a person withholds this name.
    pub fn withholds(&self, name: &Name) -> bool {
        self.state.lock().is_withheld(name)
    }

    /// The file of that very name.
    pub fn named(&self, name: &Name) -> Option<FileEntry> {
        self.state.lock().catalogue.get(name)
    }

    /// One of the files with these bytes.
    pub fn entry_of(&self, root: &Root) -> Option<FileEntry> {
        self.state.lock().entry_of(root)
    }

    /// The manifest of a shared file.
    pub fn manifest(&self, root: &Root) -> Option<Arc<Manifest>> {
        self.state.lock().manifest(root)
    }

    /// Opens a file with these bytes that has not changed since it was hashed.
    ///
    /// # Errors
    /// None is shared; all of them have changed, which is then no longer told to anybody; the
    /// system, which may say otherwise next time: such a file stays, and is a problem.
    pub fn open(&self, root: &Root) -> Result<Served, OpenError> {
        let sources = self.state.lock().sources(root);
        let mut refused = OpenError::NotShared { root: *root };
        for source in sources {
            let name = source.entry.name.clone();
            match source.open() {
                Ok(Some(file)) => {
                    return Ok(Served { file, entry: source.entry, print: source.print });
                }
                Ok(None) => {
                    self.forget(&source.key, &source.print);
                    if !matches!(refused, OpenError::Io { .. }) {
                        refused = OpenError::Stale { name };
                    }
                }
                Err(error) => {
                    self.note(&source, &error);
                    refused = OpenError::Io { name, source: error };
                }
            }
        }
        self.tell();
        Err(refused)
    }

    /// Takes out, at once, every file of these bytes that has changed; it is hashed again soon.
    pub fn stale(&self, root: &Root) {
        let sources = self.state.lock().sources(root);
        for source in sources {
            match source.open() {
                Ok(Some(_)) => {}
                Ok(None) => self.forget(&source.key, &source.print),
                Err(error) => self.note(&source, &error),
            }
        }
        self.tell();
    }

    /// Takes files in that were just verified and published into the folder of a shelf, unread; a
    /// file of several chunks comes alone, with its manifest.
    pub fn publish(
        &self,
        shelf: Shelf,
        files: &[(&FileEntry, &Published)],
        manifest: Option<&Arc<Manifest>>,
    ) {
        let folder = shelf.folder();
        let mut state = self.state.lock();
        for (entry, published) in files {
            let FileEntry { root, executable, .. } = **entry;
            let record = Record { print: published.print, root, executable, live: true, scan: 0 };
            state.insert(&(folder, entry.name.clone()), record, manifest.cloned());
        }
        drop(state);
        self.tell();
    }

    /// Where the catalogue stands.
    pub fn stamp(&self) -> Stamp {
        self.state.lock().catalogue.stamp()
    }

    /// The next page of changes for a tracker that is at `from`.
    pub fn catalogue_delta(&self, from: Stamp) -> CatalogueDelta {
        self.state.lock().catalogue.delta(from)
    }

    /// Looks again at all folders, and waits until what is there now is indexed, at most `within`.
    /// Tells whether it is.
    pub fn wait_settled(&self, within: Duration) -> bool {
        let mut signals = self.signals.lock();
        let mine = signals.ask();
        self.changed.notify_all();
        let waiting = |s: &mut Signals| s.answered < mine || !s.settled;
        !self.changed.wait_while_for(&mut signals, waiting, within).timed_out()
    }

    /// Whether the folders, or one that was just shared, are still being looked through: what is
    /// unknown may be found yet. Ask this before asking for a file, which may be found in between.
    pub fn is_looking(&self) -> bool {
        self.signals.lock().is_looking()
    }

    /// Whether the first look since the start lasts: of many files that were here before it, some may
    /// not be known again yet.
    pub fn is_starting(&self) -> bool {
        self.signals.lock().is_starting()
    }

    /// Whether what is not known is not here. For a while after a file was touched, or called
    /// otherwise, it may only not be hashed again yet. Ask this before asking for a file and after.
    pub fn is_sure(&self) -> bool {
        self.signals.lock().is_sure()
    }

    /// Asks for a scan now, which looks at something for the first time.
    fn look_anew(&self) {
        self.signals.lock().look_anew();
        self.changed.notify_all();
    }

    /// Asks for a scan now.
    fn rescan(&self) {
        self.signals.lock().ask();
        self.changed.notify_all();
    }

    /// Something has changed on the disk.
    fn report(&self) {
        self.signals.lock().report();
        self.changed.notify_all();
    }

    fn take_hashed(&self, key: &FileKey, record: Record, manifest: Arc<Manifest>) {
        self.hashed.fetch_add(1, Relaxed);
        self.state.lock().insert(key, record, Some(manifest));
    }

    /// Forgets a file that is not in the state `print` any more, unless it was hashed anew since.
    fn forget(&self, key: &FileKey, print: &Fingerprint) {
        self.signals.lock().taken_out(false);
        self.state.lock().forget_if(key, print);
        self.report();
    }

    /// Tells the person of a file that could not be opened, until the next scan.
    fn note(&self, source: &Source, error: &std::io::Error) {
        let path = source.beneath.path().join(source.relative.as_path());
        if self.signals.lock().problems.add_once(&path, unreadable(error)) {
            log::warn!("{}: {}", source.entry.name, unreadable(error));
        }
    }

    /// Tells that the catalogue has changed, if it has since it was last told.
    fn tell(&self) {
        let stamp = self.stamp();
        if std::mem::replace(&mut *self.told.lock(), stamp) != stamp {
            (self.on_change)();
        }
    }
}

const SHARED: FolderId = FolderId { kind: Kind::Shared, nth: 0 };
const DOWNLOADED: FolderId = FolderId { kind: Kind::Downloaded, nth: 0 };
const REPLICATED: FolderId = FolderId { kind: Kind::Replicated, nth: 0 };

fn add_folders(state: &mut State, data: &DataDir, shares: &Shares) {
    let own =
        [(SHARED, data.shared()), (DOWNLOADED, data.downloaded()), (REPLICATED, data.replicated())];
    for (id, path) in own {
        let beneath = Beneath::open(&path).ok().map(Arc::new);
        state.add_folder(id, Place { path, prefix: None, only: None });
        state.set_beneath(id, beneath);
    }
    for (name, target) in &shares.share {
        state.add_share(target.place(name));
    }
}

#[cfg(test)]
mod tests;
