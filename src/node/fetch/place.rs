//! Where a download arrives: the folder, its part files, and how a file gets its final name.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::base::{Fault, FaultKind, FileEntry, Manifest, Name};
use crate::io::disk::{self, Batch, Beneath, PartFile, PartStore, PublishError, Published};
use crate::io::failpoint::fail_point;
use crate::io::index::{Index, Shelf};
use crate::node::claims::Claims;

/// A folder that receives files.
pub(in crate::node) struct Place {
    /// The folder itself.
    pub(in crate::node) into: Arc<Beneath>,
    /// As what the index has files there.
    pub(in crate::node) shelf: Shelf,
    /// Its path, for people.
    pub(in crate::node) path: PathBuf,
    /// Files on their way.
    pub(in crate::node) parts: PartStore,
    /// Whether data must be on the disk before the final name.
    pub(in crate::node) fsync: bool,
    /// Told of what arrives, so that it is served at once.
    pub(in crate::node) index: Option<Arc<Index>>,
    /// Told of what a download wants; a one-shot gives nothing up.
    pub(in crate::node) claims: Option<Arc<Claims>>,
}

/// What lies under a name already.
pub(in crate::node) enum There {
    /// Nothing.
    Nothing,
    /// The very file.
    Same,
    /// Something else, in words.
    Other(String),
    /// The caller stops.
    Stopped,
}

/// Why a large file that has arrived has no name.
#[derive(Debug)]
pub(in crate::node) enum Unput {
    /// The caller stops.
    Stopped,
    /// The words for a person.
    Fault(Fault),
}

impl Unput {
    /// Whether it is tried again, from what is here.
    pub(in crate::node) fn passes(&self) -> bool {
        match self {
            Unput::Stopped => true,
            Unput::Fault(fault) => fault.kind == FaultKind::DiskFull,
        }
    }
}

/// Why a small file that has arrived has no name.
pub(in crate::node) enum Unnamed {
    /// What was kept of it was taken away: have it again.
    Taken(Fault),
    /// There is no room for it; passes when there is.
    Full(Fault),
    /// Anything else.
    Other(Fault),
}

impl Unnamed {
    /// The words for a person.
    pub(in crate::node) fn into_fault(self) -> Fault {
        match self {
            Unnamed::Taken(fault) | Unnamed::Full(fault) | Unnamed::Other(fault) => fault,
        }
    }
}

impl Place {
    /// What lies under the entry's name; a file there is hashed, until `stop` says so.
    pub(in crate::node) fn look(
        &self,
        entry: &FileEntry,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> There {
        match disk::existing(&self.into, &entry.name, stop) {
            Ok(None) => There::Nothing,
            Ok(Some((_, root))) if root == entry.root => There::Same,
            Ok(Some((size, root))) => {
                There::Other(format!("another file is there ({size} bytes, root {})", root.short()))
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => There::Stopped,
            Err(e) => There::Other(e.to_string()),
        }
    }

    /// The outermost of `folder` and the folders above it that is not there.
    pub(in crate::node) fn missing(&self, folder: &Name) -> Option<Name> {
        let gone = |e: io::Error| e.kind() == io::ErrorKind::NotFound;
        if !self.into.open_folder(Some(folder)).is_err_and(gone) {
            return None;
        }
        folder.parent().and_then(|above| self.missing(&above)).or_else(|| Some(folder.clone()))
    }

    /// Makes files that are here, and the folders above them, durable, unless that is not wanted.
    ///
    /// # Errors
    /// What open and fsync say; the files must then be taken as lost.
    pub(in crate::node) fn make_durable(&self, names: &[Name]) -> io::Result<()> {
        if self.fsync { disk::make_durable(&self.into, names) } else { Ok(()) }
    }

    /// The path of a name, for people.
    pub(in crate::node) fn path_of(&self, name: &Name) -> PathBuf {
        self.path.join(name.as_path())
    }

    /// Gives a complete file its name; another download may have done so before. That is looked at
    /// until `stop` says so.
    pub(in crate::node) fn put(
        &self,
        part: PartFile,
        entry: &FileEntry,
        manifest: &Manifest,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<PathBuf, Unput> {
        let put = disk::publish(
            part,
            &self.into,
            &entry.name,
            entry.modified,
            entry.executable,
            self.fsync,
        );
        if let Err(PublishError::Exists { .. }) = put {
            match self.look(entry, stop) {
                There::Stopped => return Err(Unput::Stopped),
                There::Same => return self.put_before(entry).map_err(Unput::Fault),
                There::Nothing | There::Other(_) => {}
            }
        }
        let published = put.map_err(|e| Unput::Fault(fault(&entry.name, &e)))?;
        self.arrived(&[(entry, &published)], Some(manifest));
        Ok(published.path)
    }

    /// The very file has the name already: what else was kept of it goes.
    fn put_before(&self, entry: &FileEntry) -> Result<PathBuf, Fault> {
        let FileEntry { name, root, size, .. } = entry;
        self.make_durable(std::slice::from_ref(name)).map_err(|e| {
            Fault::other(format!("{name} is here already, but could not be synced: {e}"))
        })?;
        if let Err(e) = self.parts.remove(root, *size) {
            log::info!(target: "fetch", "what was kept of {name} stays: {e}");
        }
        Ok(self.path_of(name))
    }

    /// Gives the small files of a batch their names, with one sync for all of them. One result a
    /// file, in their order.
    pub(in crate::node) fn put_batch(
        &self,
        batch: &Batch,
        entries: &[FileEntry],
    ) -> Vec<Result<PathBuf, Unnamed>> {
        let results = disk::publish_batch(batch, &self.into, entries, self.fsync);
        let arrived: Vec<_> =
            entries.iter().zip(&results).filter_map(|(e, r)| Some((e, r.as_ref().ok()?))).collect();
        self.arrived(&arrived, None);
        let named = |(entry, result): (&FileEntry, Result<Published, PublishError>)| {
            if let Err(PublishError::Exists { .. }) = result
                && let There::Same = self.look(entry, &|| false)
            {
                batch.forget(&entry.root);
                return self.put_before(entry).map_err(Unnamed::Other);
            }
            let published = result.map_err(|e| match e {
                PublishError::Missing { .. } => Unnamed::Taken(fault(&entry.name, &e)),
                PublishError::DiskFull { .. } => Unnamed::Full(fault(&entry.name, &e)),
                _ => Unnamed::Other(fault(&entry.name, &e)),
            })?;
            Ok(published.path)
        };
        entries.iter().zip(results).map(named).collect()
    }

    fn arrived(&self, files: &[(&FileEntry, &Published)], manifest: Option<&Manifest>) {
        // The scanner finds what the index was not told of.
        if let Some(index) = &self.index
            && fail_point!("index.arrived").is_ok()
        {
            index.publish(self.shelf, files, manifest.cloned().map(Arc::new).as_ref());
        }
    }
}

fn fault(name: &Name, error: &PublishError) -> Fault {
    let kind = match error {
        PublishError::Exists { .. } | PublishError::Parent { .. } => FaultKind::Exists,
        PublishError::DiskFull { .. } => FaultKind::DiskFull,
        PublishError::Missing { .. } => FaultKind::Unfinished,
        PublishError::Damaged { .. } => FaultKind::Integrity,
        PublishError::Io { .. } => FaultKind::Other,
    };
    let words = error.to_string();
    let words = crate::base::name::printable(&words);
    Fault::new(kind, format!("{name} has arrived but has no name yet: {words}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::disk::Dress;
    use crate::node::samples::hit;

    fn place(home: &std::path::Path) -> Place {
        let path = home.join("downloaded");
        std::fs::create_dir(&path).unwrap();
        let parts = PartStore::open(&home.join("parts")).unwrap();
        let into = Arc::new(Beneath::open(&path).unwrap());
        let shelf = Shelf::Downloaded;
        Place { into, shelf, path, parts, fsync: true, index: None, claims: None }
    }

    fn put(place: &Place, content: &[u8]) -> Result<PathBuf, Unput> {
        let entry = hit("film", content, &[]).entry;
        let part = place.parts.open_part(&entry.root, entry.size).unwrap();
        part.write_at(0, content).unwrap();
        place.put(part, &entry, &Manifest::of(content), &|| false)
    }

    fn put_small(place: &Place, content: &[u8]) -> Result<PathBuf, Unnamed> {
        let entry = hit("film", content, &[]).entry;
        let batch = place.parts.new_batch().unwrap();
        batch.write(&entry.root, content, Dress::of(&entry)).unwrap();
        place.put_batch(&batch, &[entry]).pop().unwrap()
    }

    #[test]
    fn who_finds_the_very_file_under_its_name_has_it_and_another_file_stays() {
        let home = tempfile::tempdir().unwrap();
        let place = place(home.path());
        let left = || std::fs::read_dir(place.parts.path()).unwrap().count();
        let there = put(&place, b"pictures").unwrap();
        assert_eq!(put(&place, b"pictures").unwrap(), there);
        assert!(put_small(&place, b"pictures").is_ok_and(|path| path == there));
        assert_eq!(left(), 0, "nothing is kept of what is here");
        let fault = put(&place, b"other").unwrap_err();
        assert!(matches!(fault, Unput::Fault(f) if f.kind == FaultKind::Exists));
        let fault = put_small(&place, b"other").map_err(Unnamed::into_fault).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Exists);
        assert_eq!(std::fs::read(there).unwrap(), b"pictures");
    }
}
