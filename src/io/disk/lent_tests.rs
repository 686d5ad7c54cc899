use super::*;
use crate::base::{FileEntry, Modified};
use crate::io::disk::{Batch, Dress, PartStore, publish_batch};
use std::io::Read;
use std::path::PathBuf;

use rustix::io::Errno;

const ONE: &[u8] = b"one";
const TWO: &[u8] = b"two";

struct World {
    home: tempfile::TempDir,
    batch: Batch,
    lent: LentBatch,
}

fn entry(name: &str, bytes: &[u8]) -> FileEntry {
    let (root, size) = (Root::of(bytes), bytes.len() as u64);
    let modified = Modified { secs: 1_000_000_000, nanos: 0 };
    FileEntry { name: name.parse().unwrap(), size, root, modified, executable: false }
}

impl World {
    /// A batch to which both have come, to be called `d/one` and `d/two`.
    fn new() -> World {
        let home = tempfile::tempdir().unwrap();
        let store = PartStore::open(&home.path().join("parts")).unwrap();
        std::fs::create_dir(home.path().join("downloaded")).unwrap();
        let into = Arc::new(Beneath::open(&home.path().join("downloaded")).unwrap());
        let batch = store.new_batch().unwrap();
        let entries = [entry("d/one", ONE), entry("d/two", TWO)];
        let names = entries.iter().map(|file| (file.root, file.name.clone())).collect();
        let lent = batch.lend(into, names).unwrap();
        for (file, bytes) in entries.iter().zip([ONE, TWO]) {
            batch.write(&file.root, bytes, Dress::of(file)).unwrap();
        }
        World { home, batch, lent }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join("downloaded").join(name)
    }

    /// The bytes that one who asks for `bytes` gets.
    fn reads(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut lent = self.lent.open(&Root::of(bytes), bytes.len() as u64).unwrap()?;
        let mut read = Vec::new();
        lent.file.read_to_end(&mut read).unwrap();
        lent.unchanged().then_some(read)
    }

    fn name(&self, names: &[(&str, &[u8])], fsync: bool) -> usize {
        let files: Vec<FileEntry> = names.iter().map(|(name, bytes)| entry(name, bytes)).collect();
        let named = publish_batch(&self.batch, &self.lent.into, &files, fsync);
        named.iter().filter(|named| named.is_ok()).count()
    }
}

#[test]
fn what_is_kept_is_read_and_nothing_else_is() {
    let world = World::new();
    assert_eq!(world.reads(ONE).unwrap(), ONE);
    assert_eq!(world.reads(b"three"), None);
    assert!(world.lent.open(&Root::of(ONE), 7).unwrap().is_none(), "another size");
    world.batch.forget(&Root::of(ONE));
    assert_eq!(world.reads(ONE), None);
    assert_eq!(world.reads(TWO).unwrap(), TWO);
}

#[test]
fn at_every_step_of_its_naming_a_small_file_is_read() {
    let world = World::new();
    // Taken out of the batch, and not yet renamed.
    let staged = world.batch.take(&Root::of(ONE), 3).unwrap();
    assert_eq!(world.reads(ONE).unwrap(), ONE);
    world.batch.keep(staged);
    // Opened before, read after.
    let mut early = world.lent.open(&Root::of(ONE), 3).unwrap().unwrap();
    assert_eq!(world.name(&[("d/one", ONE), ("d/two", TWO), ("twin", ONE)], true), 3);
    let mut read = Vec::new();
    early.file.read_to_end(&mut read).unwrap();
    assert!(read == ONE && early.unchanged());
    // Renamed, whether the index knows or not.
    assert_eq!(world.reads(ONE).unwrap(), ONE);
    drop(world.batch);
    let lent = world.lent.open(&Root::of(TWO), 3).unwrap();
    assert!(lent.is_some_and(|lent| lent.unchanged()));
}

#[test]
fn what_a_person_does_to_a_file_with_its_name_is_noticed() {
    let world = World::new();
    world.name(&[("d/one", ONE), ("d/two", TWO)], false);
    std::fs::write(world.path("d/one"), b"own").unwrap();
    assert_eq!(world.reads(ONE), None, "edited");
    let open = world.lent.open(&Root::of(TWO), 3).unwrap().unwrap();
    std::fs::write(world.path("d/two"), b"own").unwrap();
    assert!(!open.unchanged(), "edited while it is sent");
    std::fs::remove_file(world.path("d/two")).unwrap();
    std::os::unix::fs::symlink("one", world.path("d/two")).unwrap();
    assert_eq!(world.reads(TWO), None, "a link");
    std::fs::remove_dir_all(world.path("d")).unwrap();
    assert_eq!(world.reads(TWO), None, "gone");
}

#[test]
fn what_gets_no_name_is_still_read_and_so_is_a_copy_that_takes_its_place() {
    let world = World::new();
    std::fs::create_dir(world.path("d")).unwrap();
    std::fs::write(world.path("d/one"), b"another").unwrap();
    assert_eq!(world.name(&[("d/one", ONE)], true), 0);
    assert_eq!(world.reads(ONE).unwrap(), ONE);
    let mut two = entry("d/two", TWO);
    two.executable = true;
    let ready = world.batch.take(&two.root, two.size).unwrap();
    let dressed = world.batch.dressed(ready, &two).unwrap().unwrap();
    assert_eq!(world.reads(TWO).unwrap(), TWO);
    world.batch.discard(&dressed);
    assert_eq!(world.reads(TWO), None, "what a failed sync has made worthless");
}

#[test]
fn a_failure_that_passes_is_not_taken_for_a_file_that_is_not_there() {
    let says = |errno: Errno| there(Err(errno.into())).map(|file| file.is_some());
    assert!(says(Errno::NOENT).is_ok_and(|there| !there));
    for errno in [Errno::IO, Errno::ACCESS, Errno::MFILE, Errno::NFILE, Errno::NOMEM] {
        assert!(says(errno).is_err(), "{errno}");
    }
}
