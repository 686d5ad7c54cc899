use super::*;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::PathBuf;

const DRESS: Dress = Dress { modified: Modified { secs: 5, nanos: 0 }, executable: false };

fn store() -> (tempfile::TempDir, PartStore) {
    let home = tempfile::tempdir().unwrap();
    let store = PartStore::open(&home.path().join("parts")).unwrap();
    (home, store)
}

/// All files of all batches.
fn files(store: &PartStore) -> Vec<PathBuf> {
    let below = |path: PathBuf| std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    below(store.path().to_owned()).flat_map(below).collect()
}

fn batch(store: &PartStore, contents: &[&[u8]]) -> Batch {
    let batch = store.new_batch().unwrap();
    contents.iter().for_each(|bytes| batch.write(&Root::of(bytes), bytes, DRESS).unwrap());
    batch
}

/// A new batch that wants these, and which of them it has from those before.
fn again(store: &PartStore, contents: &[&[u8]]) -> (Batch, Vec<bool>) {
    let wanted = contents.iter().map(|bytes| ((Root::of(bytes), bytes.len() as u64), DRESS));
    let batch = store.new_batch().unwrap();
    batch.take_left(&wanted.collect()).unwrap();
    let has = contents.iter().map(|bytes| batch.has(&Root::of(bytes), bytes.len() as u64));
    let has = has.collect();
    (batch, has)
}

#[test]
fn what_a_batch_has_left_is_taken_over_and_nothing_else_is() {
    let (_home, store) = store();
    drop(batch(&store, &[b"one", b"two", b"", b"others want it"]));
    let (batch, has) = again(&store, &[b"one", b"", b"three"]);
    assert_eq!(has, [true, true, false]);
    assert_eq!(files(&store).len(), 4, "the rest stays where it is");
    let (_other, has) = again(&store, &[b"one", b"two"]);
    assert_eq!(has, [false, true], "the first is somebody's");
    let ready = batch.take(&Root::of(b"one"), 3).unwrap();
    let meta = File::open(store.path().join(&batch.name).join(&ready.name)).unwrap().metadata();
    assert_eq!(ready.print, Fingerprint::new(&meta.unwrap()));
}

#[test]
fn what_is_wrong_or_half_written_is_not_believed_and_goes() {
    let (home, store) = store();
    let left = batch(&store, &[b"whole", b"cut off", b"a link"]);
    drop(left);
    let find = |bytes: &[u8]| {
        let root = Root::of(bytes).to_string();
        files(&store).into_iter().find(|path| path.to_str().unwrap().contains(&root)).unwrap()
    };
    File::options().write(true).open(find(b"cut off")).unwrap().set_len(3).unwrap();
    std::fs::write(home.path().join("outside"), "a link").unwrap();
    let link = find(b"a link");
    std::fs::remove_file(&link).unwrap();
    symlink(home.path().join("outside"), &link).unwrap();
    let (_batch, has) = again(&store, &[b"whole", b"cut off", b"a link"]);
    assert_eq!(has, [true, false, false]);
    assert_eq!(files(&store).len(), 1);
    assert_eq!(std::fs::read(home.path().join("outside")).unwrap(), b"a link");
}

#[test]
fn one_root_with_another_size_is_not_what_is_wanted() {
    let (_home, store) = store();
    let batch = batch(&store, &[b"one"]);
    assert!(batch.has(&Root::of(b"one"), 3) && !batch.has(&Root::of(b"one"), 4));
    assert!(batch.take(&Root::of(b"one"), 4).is_none());
}

#[test]
fn the_same_from_two_owners_is_kept_once() {
    let (_home, store) = store();
    let batch = batch(&store, &[b"one", b"one"]);
    assert_eq!(files(&store).len(), 1);
    batch.forget(&Root::of(b"one"));
    assert!(files(&store).is_empty() && !batch.has(&Root::of(b"one"), 3));
}

#[test]
fn what_is_taken_over_is_a_new_file() {
    let (_home, store) = store();
    drop(batch(&store, &[b"one"]));
    let before = files(&store)[0].clone();
    let alias = store.path().join("alias");
    std::fs::hard_link(before, &alias).unwrap();
    let (batch, _) = again(&store, &[b"one"]);
    let ready = batch.take(&Root::of(b"one"), 3).unwrap();
    assert_ne!(ready.print.inode, alias.metadata().unwrap().ino());
}

#[test]
fn a_folder_that_is_swept_between_open_and_lock_is_made_anew() {
    let (_home, store) = store();
    let made = store.new_batch().unwrap();
    assert!(store.lock_batch(&made.name, false).unwrap().is_none(), "it is locked");
    let name = made.name.clone();
    drop(made);
    assert!(store.lock_batch(&name, false).unwrap().is_none(), "it has gone");
}

#[test]
fn a_process_that_gets_the_number_of_a_killed_one_keeps_clear_of_its_folders() {
    let (_home, store) = store();
    let next: u64 = unique().rsplit_once('-').unwrap().1.parse().unwrap();
    let left = (next..next + 100).map(|n| format!("{}-{n}{SUFFIX}", std::process::id()));
    let left: Vec<String> = left.collect();
    left.iter().for_each(|name| std::fs::create_dir(store.path().join(name)).unwrap());
    let made = store.new_batch().unwrap();
    assert!(!left.contains(&made.name) && store.path().join(&made.name).is_dir());
}
