//! What the index knows: the files of each folder, and the catalogue that follows from them.
//!
//! Invariants: a file is in the catalogue only if its bytes were hashed in the state `print` tells
//! of, and it is not withheld; of two files of one name, the one of the first folder counts (what
//! is shared, then what was shared by path, then downloads, then replicas); files of one content
//! are all remembered, and any of them may serve it. Only what a person unshared, deleted or edited is
//! told to be taken back, and only once nothing is left to be hashed: it may only be called otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::rot::Rot;
use crate::base::chunk::chunk_count;
use crate::base::{FileEntry, Kept, Manifest, Name, Root};
use crate::io::disk::{Beneath, Fingerprint};
use crate::logic::catalogue::Catalogue;

/// Why a folder is indexed; the order is the one in which names count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Shared,
    Share,
    Downloaded,
    Replicated,
}

impl Kind {
    /// As what the files of such a folder are listed.
    pub(super) fn kept(self) -> Kept {
        match self {
            Kind::Shared | Kind::Share => Kept::Shared,
            Kind::Downloaded => Kept::Downloaded,
            Kind::Replicated => Kept::Replica,
        }
    }
}

/// Which folder; ordered as names count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FolderId {
    pub(super) kind: Kind,
    pub(super) nth: u32,
}

/// One file in one folder.
pub(super) type FileKey = (FolderId, Name);

/// Where the files of a folder are, and what they are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The folder on disk.
    pub(super) path: PathBuf,
    /// What stands before the names of its files.
    pub(super) prefix: Option<Name>,
    /// The one file of it that is shared.
    pub(super) only: Option<Name>,
}

impl Place {
    /// What the file `relative` to the folder is called.
    pub(super) fn full(&self, relative: Name) -> Option<Name> {
        match &self.prefix {
            Some(prefix) => prefix.join(&relative).ok(),
            None => Some(relative),
        }
    }

    /// The path below the folder of the file called `name`.
    pub(super) fn relative(&self, name: &Name) -> Option<Name> {
        match &self.prefix {
            Some(prefix) if name.is_below(prefix) => {
                Name::parse(&name.as_str()[prefix.as_str().len() + 1..]).ok()
            }
            Some(_) => None,
            None => Some(name.clone()),
        }
    }
}

#[derive(Debug)]
pub(super) struct Folder {
    pub(super) place: Place,
    pub(super) beneath: Option<Arc<Beneath>>,
    pub(super) files: BTreeMap<Name, Record>,
}

/// A hashed file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) print: Fingerprint,
    pub(super) root: Root,
    pub(super) executable: bool,
    /// Seen on the disk since the start; before that it is only what the cache remembers.
    pub(super) live: bool,
    /// The last scan that saw it.
    pub(super) scan: u32,
}

impl Record {
    pub(super) fn entry(&self, name: &Name) -> FileEntry {
        FileEntry {
            name: name.clone(),
            size: self.print.size,
            root: self.root,
            modified: self.print.modified,
            executable: self.executable,
        }
    }
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) folders: BTreeMap<FolderId, Folder>,
    pub(super) catalogue: Catalogue,
    pub(super) withheld: BTreeSet<Name>,
    /// Whether what was downloaded is offered to others.
    pub(super) shares_downloads: bool,
    /// Copies for others, by their names in `replicated/`, and what they are copies of.
    pub(super) replicas: BTreeMap<Name, Root>,
    /// Those that are here: how many, and their bytes.
    pub(super) kept: (u64, u64),
    /// What rots, or may.
    pub(super) rot: Rot,
    /// Every live file, by the first bytes of its root, which is with the file in full. `None` is
    /// never in it: it is where the files of such bytes begin.
    pub(super) roots: BTreeSet<(u64, Option<FileKey>)>,
    /// Of files with more than one chunk; the rest follow from the root.
    pub(super) manifests: BTreeMap<Root, Arc<Manifest>>,
    /// Grows with every change of what the cache keeps.
    pub(super) edits: u64,
    /// What persons no longer share by an act of theirs, to be told when nothing is left to be hashed.
    pub(super) taken_back: BTreeSet<Root>,
    /// Files taken out so far.
    pub(super) taken_out: u64,
    /// The scan that is under way, or the last one.
    scan: u32,
}

impl State {
    pub(super) fn new(epoch: u64) -> State {
        State {
            folders: BTreeMap::new(),
            catalogue: Catalogue::new(epoch),
            withheld: BTreeSet::new(),
            shares_downloads: true,
            replicas: BTreeMap::new(),
            kept: (0, 0),
            rot: Rot::default(),
            roots: BTreeSet::new(),
            manifests: BTreeMap::new(),
            edits: 0,
            taken_back: BTreeSet::new(),
            taken_out: 0,
            scan: 0,
        }
    }

    pub(super) fn add_folder(&mut self, id: FolderId, place: Place) {
        self.folders.insert(id, Folder { place, beneath: None, files: BTreeMap::new() });
    }

    /// Adds what a person shares by path.
    pub(super) fn add_share(&mut self, place: Place) {
        let shares = self.folders.keys().filter(|id| id.kind == Kind::Share);
        let nth = shares.map(|id| id.nth + 1).max().unwrap_or(0);
        self.add_folder(FolderId { kind: Kind::Share, nth }, place);
    }

    /// The folder of what is shared by path as `name`.
    pub(super) fn share_id(&self, name: &Name) -> Option<FolderId> {
        let is_it = |f: &Folder| f.place.prefix.as_ref().or(f.place.only.as_ref()) == Some(name);
        self.folders.iter().find(|(_, folder)| is_it(folder)).map(|(id, _)| *id)
    }

    pub(super) fn set_beneath(&mut self, id: FolderId, beneath: Option<Arc<Beneath>>) {
        if let Some(folder) = self.folders.get_mut(&id) {
            folder.beneath = beneath;
        }
    }

    pub(super) fn places(&self) -> Vec<(FolderId, Place)> {
        self.folders.iter().map(|(id, folder)| (*id, folder.place.clone())).collect()
    }

    /// Counts a scan that begins.
    pub(super) fn begin_scan(&mut self) -> u32 {
        self.scan = self.scan.wrapping_add(1);
        self.scan
    }

    /// The person shares a folder no more.
    pub(super) fn remove_folder(&mut self, id: FolderId) {
        let gone = self.remove_where(id, |_, _| true);
        self.take_back(id, gone);
        self.folders.remove(&id);
    }

    /// Takes what the cache remembers of a folder, records that are not live; each counts once it is
    /// seen on the disk. Ascending names are kept in half the room of others.
    pub(super) fn remember(
        &mut self,
        id: FolderId,
        files: Vec<(Name, Record)>,
        manifests: Vec<Manifest>,
    ) {
        let Some(folder) = self.folders.get_mut(&id) else { return };
        folder.files.append(&mut files.into_iter().collect());
        let manifests = manifests.into_iter().map(|manifest| (manifest.root(), manifest.into()));
        self.manifests.extend(manifests);
        self.kept = self.count_replicas();
    }

    /// Scan number `scan` has seen the file in the state `print`. Tells whether there is nothing to
    /// hash: it is known like that, or withheld. If it is not, what was known of it is forgotten.
    pub(super) fn see(&mut self, key: &FileKey, print: &Fingerprint, scan: u32) -> bool {
        if self.is_withheld(&key.1) || self.rot.sees(key, print, scan) {
            return true;
        }
        let offered = self.offers(key.0);
        let Some(folder) = self.folders.get_mut(&key.0) else { return true };
        let mut found = folder.files.range_mut::<Name, _>(&key.1..=&key.1);
        let Some((name, record)) = found.next() else { return false };
        if record.print != *print {
            let was = *record;
            self.rot.suspect(key, &was, scan);
            self.forget(key);
            return false;
        }
        record.scan = scan;
        if record.live {
            return true;
        }
        if chunk_count(print.size) > 1 && !self.manifests.contains_key(&record.root) {
            return false;
        }
        record.live = true;
        // The name that is kept, not another one of the same letters.
        let (name, root) = (name.clone(), record.root);
        if offered {
            self.roots.insert((head(&root), Some((key.0, name.clone()))));
        }
        self.refresh(&name);
        true
    }

    /// Takes a hashed file in, unless its folder is gone or its name withheld by now.
    pub(super) fn insert(
        &mut self,
        key: &FileKey,
        record: Record,
        manifest: Option<Arc<Manifest>>,
    ) {
        let was = self.rot.was(key).filter(|was| *was != record.root);
        let copies = &self.replicas;
        let is_copy =
            |root: &Root| key.0.kind == Kind::Replicated && copies.get(&key.1) == Some(root);
        let rots = self.rot.has_rotted(key, &record, &is_copy);
        let refused = self.is_withheld(&key.1) || rots;
        let offered = self.offers(key.0);
        let Some(folder) = self.folders.get_mut(&key.0).filter(|_| !refused) else {
            return self.forget(key);
        };
        // A scan that is under way may have passed by before the file was there.
        let known = folder.files.insert(key.1.clone(), Record { scan: self.scan, ..record });
        if let Some(known) = known {
            self.taken_out(key, &known);
        }
        self.count_replica(key, &record, true);
        if offered {
            self.roots.insert((head(&record.root), Some(key.clone())));
        }
        if let Some(manifest) = manifest.filter(|m| m.values().len() > 1) {
            self.manifests.insert(record.root, manifest);
        }
        self.edits += 1;
        self.refresh(&key.1);
        self.take_back(key.0, was);
    }

    /// Forgets one file, which says nothing of why it is not there.
    pub(super) fn forget(&mut self, key: &FileKey) {
        let Some(folder) = self.folders.get_mut(&key.0) else { return };
        let Some(record) = folder.files.remove(&key.1) else { return };
        self.taken_out(key, &record);
        self.refresh(&key.1);
    }

    /// A file is not what `record` says any more, nor among the files of its folder as that.
    fn taken_out(&mut self, key: &FileKey, record: &Record) {
        self.edits += 1;
        self.taken_out += 1;
        self.count_replica(key, record, false);
        self.roots.remove(&(head(&record.root), Some(key.clone())));
        if self.with_root(&record.root).next().is_none() {
            self.manifests.remove(&record.root);
        }
    }

    /// Forgets one file, if that is still what is known of it.
    pub(super) fn forget_if(&mut self, key: &FileKey, print: &Fingerprint) {
        let known = self.folders.get(&key.0).and_then(|folder| folder.files.get(&key.1));
        if let Some(record) = known.copied().filter(|record| record.print == *print) {
            self.rot.suspect(key, &record, self.scan);
            self.forget(key);
        }
    }

    /// Forgets all files: the cache was not to be trusted.
    pub(super) fn forget_all(&mut self) {
        let ids: Vec<_> = self.folders.keys().copied().collect();
        ids.into_iter().for_each(|id| _ = self.remove_where(id, |_, _| true));
    }

    pub(super) fn is_withheld(&self, name: &Name) -> bool {
        !self.withheld.is_empty() && self.withheld.iter().any(|w| name.answers(w))
    }

    /// How many files there are, and how many manifests.
    pub(super) fn sizes(&self) -> (usize, usize) {
        (self.roots.len(), self.manifests.len())
    }

    /// Whether the files of a folder are offered to others.
    fn offers(&self, id: FolderId) -> bool {
        id.kind != Kind::Downloaded || self.shares_downloads
    }

    /// Forgets some files of a folder; says what they were.
    pub(super) fn remove_where(
        &mut self,
        id: FolderId,
        gone: impl Fn(&Name, &Record) -> bool,
    ) -> Vec<Root> {
        let Some(folder) = self.folders.get(&id) else { return Vec::new() };
        let gone = folder.files.iter().filter(|(name, record)| gone(name, record));
        let gone: Vec<(FileKey, Root)> =
            gone.map(|(name, record)| ((id, name.clone()), record.root)).collect();
        gone.iter().for_each(|(key, _)| self.forget(key));
        gone.into_iter().map(|(_, root)| root).collect()
    }

    /// Brings the catalogue's entry of `name` up to date with the folders.
    pub(super) fn refresh(&mut self, name: &Name) {
        let offered = self.folders.iter().filter(|(id, _)| self.offers(**id));
        let all = offered.filter_map(|(id, folder)| Some((id, folder.files.get(name)?)));
        let mut live = all.filter(|(_, record)| record.live);
        let first = live.next().map(|(id, record)| {
            // What a person put there, or wrote since, is hers.
            let is_hers = id.kind == Kind::Replicated
                && self.replicas.get(name).is_none_or(|root| *root != record.root);
            (record.entry(name), if is_hers { Kept::Shared } else { id.kind.kept() })
        });
        match first {
            Some((entry, kept)) => self.catalogue.set(entry, kept),
            None => self.catalogue.remove(name),
        };
    }
}

/// The first bytes of a root: enough to find a file by.
pub(super) fn head(root: &Root) -> u64 {
    root.as_bytes().iter().take(8).fold(0, |head, byte| head << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Modified;
    use crate::io::index::walk::Unread;

    const SHARED: FolderId = FolderId { kind: Kind::Shared, nth: 0 };
    const DOWNLOADED: FolderId = FolderId { kind: Kind::Downloaded, nth: 0 };

    fn state() -> State {
        let mut state = State::new(1);
        for id in [SHARED, DOWNLOADED] {
            let place = Place { path: PathBuf::from("/data"), prefix: None, only: None };
            state.add_folder(id, place);
        }
        state
    }

    fn key(id: FolderId, name: &str) -> FileKey {
        (id, Name::parse(name).unwrap())
    }

    fn record(content: u8) -> Record {
        let moment = Modified::default();
        let print = Fingerprint { size: 1, modified: moment, changed: moment, inode: 1 };
        Record { print, root: Root::of(&[content]), executable: false, live: true, scan: 0 }
    }

    #[test]
    fn a_file_that_arrives_during_a_scan_survives_it_but_not_the_next() {
        let mut state = state();
        let scan = state.begin_scan();
        state.insert(&key(DOWNLOADED, "a"), record(1), None);
        state.sweep(DOWNLOADED, scan, &Unread::default(), true);
        assert_eq!(state.catalogue.len(), 1, "the scan that could not see it took it away");
        let scan = state.begin_scan();
        state.sweep(DOWNLOADED, scan, &Unread::all(), true);
        assert_eq!(state.catalogue.len(), 1, "nothing was looked at");
        state.sweep(DOWNLOADED, scan, &Unread::default(), true);
        assert_eq!(state.catalogue.len(), 0);
        assert!(state.sources(&record(1).root).is_empty() && state.roots.is_empty());
    }

    #[test]
    fn the_catalogue_follows_the_first_folder_that_has_the_name() {
        let mut state = state();
        let root = |state: &State| state.catalogue.get(&key(SHARED, "a").1).map(|file| file.root);
        state.insert(&key(DOWNLOADED, "a"), record(1), None);
        state.insert(&key(SHARED, "a"), record(2), None);
        assert_eq!(root(&state), Some(record(2).root));
        state.insert(&key(DOWNLOADED, "a"), record(3), None);
        assert_eq!(root(&state), Some(record(2).root));
        state.forget(&key(SHARED, "a"));
        assert_eq!(root(&state), Some(record(3).root));
    }

    #[test]
    fn what_is_withheld_while_it_is_hashed_is_not_taken_in() {
        let mut state = state();
        state.withhold(&key(SHARED, "folder").1);
        state.insert(&key(SHARED, "folder/a"), record(1), None);
        state.insert(&key(SHARED, "folders"), record(2), None);
        assert_eq!(state.catalogue.len(), 1);
        assert!(state.entry_of(&record(1).root).is_none());
        state.remove_folder(SHARED);
        state.insert(&key(SHARED, "b"), record(3), None);
        assert_eq!(state.catalogue.len(), 0, "its folder is not shared any more");
    }

    /// What is told to be taken back once nothing is left to be hashed.
    fn taken_back(state: &mut State) -> Vec<Root> {
        let stamp = state.catalogue.stamp();
        state.tell_taken_back();
        state.catalogue.delta(stamp).taken_back.into_vec()
    }

    /// A scan that finds some files as they were.
    fn look(state: &mut State, found: &[&str], unread: &Unread, is_there: bool) {
        let scan = state.begin_scan();
        for name in found {
            let key = key(SHARED, name);
            let print = state.folders[&SHARED].files[&key.1].print;
            assert!(state.see(&key, &print, scan));
        }
        state.sweep(SHARED, scan, unread, is_there);
    }

    fn four_files() -> State {
        let mut state = state();
        for n in 0..4 {
            state.insert(&key(SHARED, &n.to_string()), record(n), None);
        }
        state
    }

    #[test]
    fn what_a_person_deletes_unshares_or_edits_is_taken_back() {
        let mut state = four_files();
        look(&mut state, &["0", "1", "2"], &Unread::default(), true);
        assert_eq!(taken_back(&mut state), [record(3).root]);
        state.withhold(&key(SHARED, "2").1);
        assert_eq!(taken_back(&mut state), [record(2).root]);
        let (edited, scan) = (key(SHARED, "1"), state.begin_scan());
        let print = Fingerprint { size: 2, ..record(9).print };
        assert!(!state.see(&edited, &print, scan));
        assert_eq!(taken_back(&mut state), [], "it is not hashed yet");
        state.insert(&edited, Record { print, ..record(9) }, None);
        assert_eq!(taken_back(&mut state), [record(1).root]);
        state.remove_folder(SHARED);
        assert_eq!(taken_back(&mut state).len(), 2);
    }

    #[test]
    fn what_is_away_rots_is_renamed_or_to_be_hashed_again_is_not_taken_back() {
        let mut state = four_files();
        look(&mut state, &["0", "1", "2", "3"], &Unread::default(), true);
        state.forget(&key(SHARED, "0"));
        assert_eq!(taken_back(&mut state), [], "it rots");
        state.insert(&key(SHARED, "0"), record(0), None);
        let touched = Fingerprint { changed: Modified { secs: 5, nanos: 0 }, ..record(0).print };
        let scan = state.begin_scan();
        for n in 0..4 {
            assert!(!state.see(&key(SHARED, &n.to_string()), &touched, scan));
        }
        state.sweep(SHARED, scan, &Unread::default(), true);
        assert_eq!(taken_back(&mut state), [], "they are hashed again");
        for (is_there, unread, found) in [
            (false, Unread::default(), &["0", "1", "2"][..]),
            (true, Unread::all(), &["0", "1", "2"]),
            (true, Unread::default(), &["0"]),
            (true, Unread::default(), &[]),
        ] {
            let mut state = four_files();
            look(&mut state, found, &unread, is_there);
            assert_eq!(taken_back(&mut state), [], "{is_there} {unread:?} {found:?}");
        }
        let mut state = four_files();
        look(&mut state, &["0", "1", "2"], &Unread::default(), true);
        state.insert(&key(SHARED, "renamed"), record(3), None);
        assert_eq!(taken_back(&mut state), []);
        state.insert(&key(DOWNLOADED, "a"), record(7), None);
        state.insert(&key(DOWNLOADED, "b"), record(8), None);
        state.withhold(&key(DOWNLOADED, "a").1);
        assert_eq!(taken_back(&mut state), [], "it was only downloaded");
    }
}
