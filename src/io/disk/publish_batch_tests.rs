use super::*;
use crate::io::disk::publish;
use crate::io::disk::world::{WHEN, World};
use std::os::unix::fs::MetadataExt;

fn entry(text: &str, bytes: &[u8]) -> FileEntry {
    let (name, size, root) = (text.parse().unwrap(), bytes.len() as u64, Root::of(bytes));
    FileEntry { name, size, root, modified: WHEN, executable: text.ends_with(".sh") }
}

#[test]
fn a_batch_gets_its_names_twins_included() {
    let world = World::new();
    std::fs::write(world.path("taken"), "before").unwrap();
    let files = [
        entry("a/one", b"one"),
        entry("a/b/two.sh", b"two"),
        entry("twin", b"one"),
        entry("a/twin.sh", b"one"),
        entry("a/empty", b""),
        entry("a/empty too", b""),
        entry("taken", b"taken"),
        entry("never", b"never written"),
    ];
    let batch = world.batch(&[b"one", b"two", b"", b"taken"]);
    let outcomes = publish_batch(&batch, &world.into, &files, true);
    for (file, outcome) in files.iter().zip(&outcomes) {
        match file.name.as_str() {
            "taken" => assert!(matches!(outcome, Err(PublishError::Exists { .. }))),
            "never" => assert!(matches!(outcome, Err(PublishError::Missing { .. }))),
            _ => {
                let published = outcome.as_ref().unwrap();
                let meta = published.path.metadata().unwrap();
                assert_eq!(Root::of(&std::fs::read(&published.path).unwrap()), file.root);
                assert_eq!(meta.mode() & 0o100 != 0, file.executable, "{}", file.name);
                assert_eq!((meta.mtime(), meta.nlink()), (WHEN.secs, 1));
                assert_eq!(published.print, Fingerprint::new(&meta));
            }
        }
    }
    assert_eq!(std::fs::read(world.path("taken")).unwrap(), b"before");
    assert!(!world.path("never").exists());
    assert_eq!(world.parts_left(), 1, "what is kept of `taken`");
    batch.forget(&Root::of(b"taken"));
    drop(batch);
    assert_eq!(world.entries_left(), 0, "an empty folder stays");
}

#[test]
fn a_small_file_is_the_very_file_that_was_written_when_it_arrived() {
    let world = World::new();
    let batch = world.batch(&[b"one"]);
    let written = batch.take(&Root::of(b"one"), 3).unwrap();
    let inode = written.print.inode;
    batch.keep(written);
    let named = publish_batch(&batch, &world.into, &[entry("a/one", b"one")], false);
    assert_eq!(named[0].as_ref().unwrap().print.inode, inode);
}

#[test]
fn a_twin_of_a_part_that_was_changed_has_no_name() {
    let world = World::new();
    let batch = world.batch(&[b"right"]);
    let kept = batch.take(&Root::of(b"right"), 5).unwrap();
    let folder = std::fs::read_dir(world.store.path()).unwrap().next().unwrap().unwrap().path();
    std::fs::write(folder.join(&kept.name), "wrong").unwrap();
    batch.keep(kept);
    let outcome = publish_batch(&batch, &world.into, &[entry("copy.sh", b"right")], false);
    assert!(matches!(outcome[0], Err(PublishError::Damaged { .. })), "{outcome:?}");
    assert!(!world.path("copy.sh").exists());
}

#[test]
fn downloads_that_share_a_small_content_do_not_break_each_other() {
    let world = World::new();
    let part = world.part(b"shared");
    let [one, two] =
        ["one", "two"].map(|text| (world.batch(&[b"shared"]), [entry(text, b"shared")]));
    for (batch, files) in [&two, &one] {
        assert!(publish_batch(batch, &world.into, files, true)[0].is_ok());
    }
    publish(part, &world.into, &"alone".parse().unwrap(), WHEN, false, false).unwrap();
    for name in ["one", "two", "alone"] {
        assert_eq!(std::fs::read(world.path(name)).unwrap(), b"shared");
        assert_eq!(world.path(name).metadata().unwrap().nlink(), 1);
    }
    drop((one, two));
    assert_eq!(world.entries_left(), 0);
}

#[test]
fn of_many_batches_that_want_one_name_exactly_one_gets_it() {
    let world = World::new();
    let won = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8_u8)
            .map(|i| {
                let (batch, into) = (world.batch(&[&[i]]), &world.into);
                scope.spawn(move || publish_batch(&batch, into, &[entry("a/b", &[i])], false).pop())
            })
            .collect();
        let outcomes = threads.into_iter().map(|t| t.join().unwrap().unwrap());
        outcomes.filter(Result::is_ok).count()
    });
    assert_eq!((won, world.parts_left()), (1, 7));
}

#[test]
fn a_batch_over_many_folders_is_published() {
    let world = World::new();
    let contents: Vec<[u8; 1]> = (0..100_u8).map(|i| [i]).collect();
    let files: Vec<_> = contents.iter().map(|c| entry(&format!("{}/file", c[0]), c)).collect();
    let batch = world.batch(&contents.iter().map(|c| &c[..]).collect::<Vec<_>>());
    assert!(publish_batch(&batch, &world.into, &files, true).iter().all(Result::is_ok));
    assert_eq!(world.parts_left(), 0);
}
