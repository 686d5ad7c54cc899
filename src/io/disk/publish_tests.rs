use super::*;
use crate::io::disk::world::{WHEN, World};
use std::os::unix::fs::{MetadataExt, symlink};

impl World {
    fn publish(&self, bytes: &[u8], to: &str) -> Result<Published, PublishError> {
        publish(self.part(bytes), &self.into, &name(to), WHEN, false, true)
    }
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

#[test]
fn a_published_file_has_its_bytes_time_mode_and_folders() {
    let world = World::new();
    let plain = world.publish(b"plain", "a/b/plain").unwrap();
    assert_eq!(plain.path, world.path("a/b/plain"));
    assert_eq!(std::fs::read(&plain.path).unwrap(), b"plain");
    let meta = plain.path.metadata().unwrap();
    assert_eq!(plain.print, Fingerprint::new(&meta));
    assert_eq!((meta.mtime(), meta.mtime_nsec()), (WHEN.secs, i64::from(WHEN.nanos)));
    assert_eq!(meta.mode() & 0o133, 0, "executable, or writable for all: {:o}", meta.mode());
    let script = publish(world.part(b"#!"), &world.into, &name("run"), WHEN, true, false).unwrap();
    assert_eq!(script.path.metadata().unwrap().mode() & 0o100, 0o100);
    assert_eq!(world.parts_left(), 0);
}

#[test]
fn times_no_file_system_can_keep_are_clamped() {
    let world = World::new();
    for (i, secs) in [i64::MIN, -1, i64::MAX].into_iter().enumerate() {
        let odd = Modified { secs, nanos: u32::MAX };
        let text = format!("file{i}");
        publish(world.part(&[i as u8]), &world.into, &name(&text), odd, false, false).unwrap();
    }
}

#[test]
fn a_taken_name_stays_as_it_is_and_the_part_stays_too() {
    let world = World::new();
    std::fs::write(world.path("file"), "first").unwrap();
    symlink("nowhere", world.path("link")).unwrap();
    std::fs::create_dir(world.path("folder")).unwrap();
    for taken in ["file", "link", "folder"] {
        let refused = world.publish(b"second", taken);
        assert!(matches!(refused, Err(PublishError::Exists { .. })), "{taken}: {refused:?}");
    }
    assert_eq!(std::fs::read(world.path("file")).unwrap(), b"first");
    assert_eq!(world.parts_left(), 1);
}

#[test]
fn a_file_or_a_link_where_a_folder_should_be_is_told() {
    let world = World::new();
    std::fs::write(world.path("file"), "").unwrap();
    std::fs::create_dir(world.home.path().join("outside")).unwrap();
    symlink("../outside", world.path("link")).unwrap();
    for (bytes, bad) in [(b"1", "file/x"), (b"2", "link/x"), (b"3", "link/deep/x")] {
        let refused = world.publish(bytes, bad);
        assert!(matches!(refused, Err(PublishError::Parent { .. })), "{bad}: {refused:?}");
    }
    assert_eq!(std::fs::read_dir(world.home.path().join("outside")).unwrap().count(), 0);
}

#[test]
fn a_part_cut_off_or_exchanged_meanwhile_is_not_published() {
    let world = World::new();
    let part = world.part(b"whole");
    part.file().set_len(3).unwrap();
    let cut = publish(part, &world.into, &name("cut"), WHEN, false, false);
    assert!(matches!(cut, Err(PublishError::Damaged { .. })), "{cut:?}");
    let part = world.part(b"other");
    let path = world.store.path().join(part_name(&part.root(), part.size()));
    std::fs::remove_file(&path).unwrap();
    symlink("/etc/passwd", &path).unwrap();
    let exchanged = publish(part, &world.into, &name("exchanged"), WHEN, false, false);
    assert!(matches!(exchanged, Err(PublishError::Damaged { .. })), "{exchanged:?}");
    assert_eq!(std::fs::read_dir(world.path("")).unwrap().count(), 0);
}

#[test]
fn of_eight_that_want_one_name_exactly_one_gets_it() {
    for round in 0..20_u8 {
        let world = World::new();
        let won = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8_u8)
                .map(|i| {
                    let part = world.part(&[round, i]);
                    let into = &world.into;
                    scope.spawn(move || publish(part, into, &name("a/b"), WHEN, false, false))
                })
                .collect();
            let outcomes = threads.into_iter().map(|t| t.join().unwrap());
            outcomes
                .filter(|o| match o {
                    Ok(_) => true,
                    Err(PublishError::Exists { .. }) => false,
                    Err(other) => panic!("{other}"),
                })
                .count()
        });
        assert_eq!(won, 1, "round {round}");
        assert_eq!(world.parts_left(), 7);
    }
}

#[test]
fn what_exists_is_told_by_size_and_root() {
    let world = World::new();
    let go: &(dyn Fn() -> bool + Sync) = &|| false;
    world.publish(b"here", "folder/here").unwrap();
    assert_eq!(
        existing(&world.into, &name("folder/here"), go).unwrap(),
        Some((4, Root::of(b"here")))
    );
    assert_eq!(existing(&world.into, &name("folder/none"), go).unwrap(), None);
    assert!(existing(&world.into, &name("folder"), go).is_err());
    let stopped = existing(&world.into, &name("folder/here"), &|| true).unwrap_err();
    assert_eq!(stopped.kind(), io::ErrorKind::Interrupted);
}

#[test]
fn a_full_disk_is_told_by_its_type() {
    let world = World::new();
    let full = error(&world.into, &name("x"), "sync", Errno::NOSPC.into());
    assert!(matches!(full, PublishError::DiskFull { .. }));
    let quota = error(&world.into, &name("x"), "sync", Errno::DQUOT.into());
    assert!(matches!(quota, PublishError::DiskFull { .. }));
}
