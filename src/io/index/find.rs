//! What is known of a content: which files have it, its manifest; and the files of a folder.
//!
//! Invariant: only files that are live and offered are found by their content.

use std::sync::Arc;

use super::source::Source;
use super::state::{FileKey, Kind, Record, State, head};
use crate::base::{FileEntry, Manifest, Root};
use crate::io::disk::Fingerprint;

impl State {
    /// What the files with these bytes are.
    pub(super) fn sources(&self, root: &Root) -> Vec<Source> {
        self.with_root(root).filter_map(|(key, record)| self.source_of(key, record)).collect()
    }

    /// How a file is opened.
    pub(super) fn source_of(&self, (id, name): &FileKey, record: &Record) -> Option<Source> {
        let folder = self.folders.get(id)?;
        Some(Source {
            key: (*id, name.clone()),
            beneath: folder.beneath.clone()?,
            relative: folder.place.relative(name)?,
            entry: record.entry(name),
            print: record.print,
        })
    }

    /// Whether a file is known, in this state.
    pub(super) fn is_known(&self, (id, name): &FileKey, print: &Fingerprint) -> bool {
        let record = self.folders.get(id).and_then(|folder| folder.files.get(name));
        record.is_some_and(|record| record.print == *print)
    }

    pub(super) fn entry_of(&self, root: &Root) -> Option<FileEntry> {
        self.with_root(root).next().map(|((_, name), record)| record.entry(name))
    }

    pub(super) fn manifest(&self, root: &Root) -> Option<Arc<Manifest>> {
        let size = self.entry_of(root)?.size;
        match self.manifests.get(root) {
            Some(manifest) => Some(Arc::clone(manifest)),
            None => Manifest::check(size, *root, vec![*root.as_bytes()]).ok().map(Arc::new),
        }
    }

    /// The manifest values of a file, as far as they do not follow from its root.
    pub(super) fn values(&self, root: &Root) -> &[[u8; 32]] {
        self.manifests.get(root).map_or(&[], |m| m.values())
    }

    /// The live files of the folders of some kinds, ascending by name within each folder.
    pub(super) fn list(&self, kinds: &[Kind]) -> Vec<FileEntry> {
        let wanted = self.folders.iter().filter(|(id, _)| kinds.contains(&id.kind));
        let files = wanted.flat_map(|(_, folder)| &folder.files);
        files.filter(|(_, record)| record.live).map(|(name, record)| record.entry(name)).collect()
    }

    /// The live files with these bytes that are offered.
    pub(super) fn with_root(&self, root: &Root) -> impl Iterator<Item = (&FileKey, &Record)> {
        let root = *root;
        let like = self.roots.range((head(&root), None)..);
        let like = like.take_while(move |(h, _)| *h == head(&root));
        like.filter_map(move |(_, key)| {
            let key = key.as_ref()?;
            let record = self.folders.get(&key.0)?.files.get(&key.1)?;
            (record.root == root).then_some((key, record))
        })
    }
}
