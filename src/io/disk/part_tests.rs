use super::*;
use crate::base::Modified;
use crate::base::chunk::{chunk_size, chunk_span};
use crate::base::{Bitmap, Manifest};
use crate::io::clock;
use crate::io::disk::sweep::{PART_AGE_MAX, Removed};
use crate::io::disk::{Dress, verify_part};
use std::os::unix::fs::{FileExt, symlink};
use std::time::Duration;

const CHUNK: usize = 256 * 1024;

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i / 3) as u8 | 1).collect()
}

fn store() -> (tempfile::TempDir, PartStore) {
    let home = tempfile::tempdir().unwrap();
    let store = PartStore::open(&home.path().join("parts")).unwrap();
    (home, store)
}

fn path_of(store: &PartStore, root: &Root, size: u64) -> PathBuf {
    store.path().join(part_name(root, size))
}

/// A part with all bytes written, and its manifest.
fn whole(store: &PartStore, data: &[u8]) -> (PartFile, Manifest) {
    let manifest = Manifest::of(data);
    let part = store.open_part(&manifest.root(), data.len() as u64).unwrap();
    part.write_at(0, data).unwrap();
    (part, manifest)
}

fn check(part: &PartFile, manifest: &Manifest) -> Bitmap {
    verify_part(part, manifest, &|| false).unwrap()
}

#[test]
fn what_was_written_is_found_again_and_nothing_else() {
    let (_home, store) = store();
    let data = bytes(5 * CHUNK + 17);
    let manifest = Manifest::of(&data);
    let part = store.open_part(&manifest.root(), data.len() as u64).unwrap();
    assert!(check(&part, &manifest).is_empty());
    for index in [1, 5] {
        let span = chunk_span(data.len() as u64, index).unwrap();
        part.write_at(span.offset, &data[span.offset as usize..][..span.len as usize]).unwrap();
    }
    drop(part);
    let part = store.open_part(&manifest.root(), data.len() as u64).unwrap();
    assert_eq!(check(&part, &manifest).iter().collect::<Vec<_>>(), [1, 5]);
}

#[test]
fn zeros_and_holes_are_told_by_what_the_manifest_wants() {
    let (_home, store) = store();
    let mut data = vec![0; 6 * CHUNK];
    data[2 * CHUNK] = 1;
    let manifest = Manifest::of(&data);
    let part = store.open_part(&manifest.root(), data.len() as u64).unwrap();
    assert_eq!(
        check(&part, &manifest).iter().collect::<Vec<_>>(),
        [0, 1],
        "zeros up to the first byte"
    );
    part.write_at(2 * CHUNK as u64, &data[2 * CHUNK..3 * CHUNK]).unwrap();
    assert!(check(&part, &manifest).is_full(), "a file system may keep zeros as holes");
}

#[test]
fn empty_and_small_files_are_parts_too() {
    let (_home, store) = store();
    for data in [vec![], bytes(1), bytes(CHUNK)] {
        let (part, manifest) = whole(&store, &data);
        assert!(check(&part, &manifest).is_full(), "{} bytes", data.len());
    }
}

#[test]
fn damage_of_every_kind_is_found() {
    let (_home, store) = store();
    let data = bytes(4 * CHUNK);
    let size = data.len() as u64;
    let (part, manifest) = whole(&store, &data);
    let path = path_of(&store, &manifest.root(), size);
    part.file().write_all_at(b"\0", 5).unwrap();
    assert_eq!(check(&part, &manifest).iter_missing().collect::<Vec<_>>(), [0], "a flipped byte");
    part.file().write_all_at(&vec![0; CHUNK], CHUNK as u64).unwrap();
    assert_eq!(check(&part, &manifest).iter_missing().collect::<Vec<_>>(), [0, 1], "zeros");
    drop(part);
    File::options().write(true).open(&path).unwrap().set_len(3 * CHUNK as u64 - 1).unwrap();
    let part = store.open_part(&manifest.root(), size).unwrap();
    assert_eq!(check(&part, &manifest).iter_missing().collect::<Vec<_>>(), [0, 1, 2, 3], "cut off");
}

#[test]
fn a_link_a_folder_or_a_pipe_in_place_of_a_part_is_put_away_not_followed() {
    let (home, store) = store();
    let victim = home.path().join("victim");
    std::fs::write(&victim, "precious").unwrap();
    let data = bytes(2 * CHUNK);
    let root = Root::of(&data);
    let path = path_of(&store, &root, data.len() as u64);
    let fill = || {
        let part = store.open_part(&root, data.len() as u64).unwrap();
        part.write_at(0, &data).unwrap();
        drop(part);
        std::fs::remove_file(&path).unwrap();
    };
    symlink(&victim, &path).unwrap();
    fill();
    std::fs::hard_link(&victim, &path).unwrap();
    fill();
    std::fs::create_dir(&path).unwrap();
    fill();
    let mode = Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    fill();
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
}

#[test]
fn a_second_writer_is_told_that_it_is_busy() {
    let (_home, store) = store();
    let (part, manifest) = whole(&store, &bytes(2 * CHUNK));
    let again = PartStore::open(store.path()).unwrap();
    for store in [&store, &again] {
        let refused = store.open_part(&manifest.root(), part.size());
        assert!(matches!(refused, Err(PartError::Busy { .. })), "{refused:?}");
        assert!(matches!(store.remove(&manifest.root(), part.size()), Err(PartError::Busy { .. })));
    }
    drop(part);
    assert!(store.open_part(&manifest.root(), 1).is_ok());
}

#[test]
fn what_has_arrived_survives_whoever_lies_about_its_size() {
    let (_home, store) = store();
    let (part, manifest) = whole(&store, &bytes(2 * CHUNK));
    let size = part.size();
    drop(part);
    for lie in [1, size - 1, size + 1, CHUNK as u64] {
        drop(store.open_part(&manifest.root(), lie).unwrap());
        assert!(store.remove(&manifest.root(), lie).unwrap());
    }
    let part = store.open_part(&manifest.root(), size).unwrap();
    assert_eq!(check(&part, &manifest).len(), 2);
    drop(part);
    drop(store.open_part(&manifest.root(), 1).unwrap());
    let removed = store.remove_all(&|root| *root == manifest.root()).unwrap();
    assert_eq!(removed, Removed { gone: 2, in_use: vec![] }, "whatever its size");
}

#[test]
fn a_removed_part_begins_anew() {
    let (_home, store) = store();
    let (part, manifest) = whole(&store, &bytes(2 * CHUNK));
    let size = part.size();
    part.remove().unwrap();
    assert!(!store.remove(&manifest.root(), size).unwrap(), "there was still something to remove");
    let part = store.open_part(&manifest.root(), size).unwrap();
    assert!(check(&part, &manifest).is_empty());
    drop(part);
    assert!(store.remove(&manifest.root(), size).unwrap());
}

#[test]
fn a_part_takes_its_room_and_never_more() {
    let (_home, store) = store();
    let size = 3 * chunk_size(0) + 1;
    let part = store.open_part(&Root::of(b"x"), size).unwrap();
    let meta = part.file().metadata().unwrap();
    assert_eq!(meta.len(), size);
    assert!(meta.blocks() * 512 >= size, "the blocks are not there");
    assert!(part.data_ranges().unwrap().is_empty());
    assert!(part.write_at(size - 1, b"ab").is_err(), "written beyond the end");
    assert!(part.write_at(u64::MAX, b"ab").is_err());
    drop(part);
    let part = store.open_part(&Root::of(b"x"), 10).unwrap();
    assert_eq!(part.file().metadata().unwrap().len(), 10);
}

#[test]
fn a_part_that_is_given_back_holds_what_it_received_and_no_more() {
    let (_home, store) = store();
    let data = bytes(64 * CHUNK + 17);
    let manifest = Manifest::of(&data);
    let (root, size) = (manifest.root(), data.len() as u64);
    let held = || std::fs::metadata(path_of(&store, &root, size)).unwrap().blocks() * 512;
    for received in [&[][..], &[3, 4, 40, 64], &[0]] {
        let part = store.open_part(&root, size).unwrap();
        assert!(held() >= size, "the room was not taken again");
        for index in received {
            let span = chunk_span(size, *index).unwrap();
            part.write_at(span.offset, &data[span.offset as usize..][..span.len as usize]).unwrap();
        }
        part.give_back().unwrap();
        assert_eq!(std::fs::metadata(path_of(&store, &root, size)).unwrap().len(), size);
    }
    let kept = [0, 3, 4, 40, 64];
    // A file system may keep whole blocks, and a few of its own.
    assert!(held() <= (kept.len() * CHUNK + 256 * 1024) as u64, "{} bytes are held", held());
    let part = store.open_part(&root, size).unwrap();
    assert_eq!(check(&part, &manifest).iter().collect::<Vec<_>>(), kept);
    part.write_at(0, &data).unwrap();
    part.give_back().unwrap();
    let part = store.open_part(&root, size).unwrap();
    assert!(check(&part, &manifest).is_full(), "a whole part lost something");
}

#[test]
fn parts_that_nobody_continues_are_removed_unless_they_are_open() {
    let (_home, store) = store();
    let (left, manifest) = whole(&store, &bytes(2 * CHUNK));
    drop(left);
    let mut batches = Vec::new();
    for bytes in [&b"small"[..], b"in use"] {
        let batch = store.new_batch().unwrap();
        let dress = Dress { modified: Modified::default(), executable: false };
        batch.write(&Root::of(bytes), bytes, dress).unwrap();
        batches.push(batch);
    }
    drop(batches.remove(0));
    let open = store.open_part(&Root::of(b"open"), 4).unwrap();
    std::fs::write(store.path().join("not ours"), "").unwrap();
    let after = |age: Duration| {
        let now = clock::unix_now();
        let now = Modified { secs: now.secs + age.as_secs().cast_signed(), ..now };
        store.forget_older(now).unwrap();
        std::fs::read_dir(store.path()).unwrap().count()
    };
    assert_eq!(after(PART_AGE_MAX - Duration::from_secs(60)), 5);
    PartStore::open(store.path()).unwrap();
    assert_eq!(after(Duration::ZERO), 5, "opening alone removes no part");
    assert_eq!(after(PART_AGE_MAX + Duration::from_secs(60)), 3, "what is open and not ours");
    assert!(path_of(&store, &open.root(), 4).exists());
    assert!(!path_of(&store, &manifest.root(), 2 * CHUNK as u64).exists());
}

#[test]
fn a_full_disk_is_told_by_its_type_and_gives_back_what_it_took() {
    let home = tempfile::tempdir().unwrap();
    let run = |command: &str, args: &[&str]| {
        let command = std::process::Command::new(command).args(args).arg(home.path()).output();
        command.is_ok_and(|output| output.status.success())
    };
    if !run("mount", &["-t", "tmpfs", "-o", "size=1m", "tmpfs"]) {
        eprintln!("skipped: a small tmpfs can be mounted by root only");
        return;
    }
    let store = PartStore::open(&home.path().join("parts")).unwrap();
    let big = store.open_part(&Root::of(b"big"), 8 << 20);
    let left = std::fs::read_dir(store.path()).unwrap().count();
    let fits = store.open_part(&Root::of(b"fits"), 900 << 10);
    let batch = store.new_batch().unwrap();
    let dress = Dress { modified: Modified::default(), executable: false };
    let small = batch.write(&Root::of(b"small"), &bytes(CHUNK), dress);
    drop(batch);
    let kept = std::fs::read_dir(store.path()).unwrap().count();
    drop(fits.unwrap());
    drop(store);
    assert!(run("umount", &["-l"]), "the tmpfs is still mounted");
    assert!(matches!(big, Err(PartError::DiskFull { .. })), "{big:?}");
    assert_eq!(left, 0, "the part that did not fit was left");
    assert!(matches!(small, Err(PartError::DiskFull { .. })), "{small:?}");
    assert_eq!(kept, 1, "what there was no room for was left");
}
