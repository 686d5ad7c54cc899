//! Copies for others: what counts as one, and what a trim removes.

use super::*;
use crate::base::Kept;
use crate::wire::message::tracker::Held;

/// As what the catalogue has each file.
fn kept(world: &World) -> Vec<(String, Kept)> {
    let delta = world.index().catalogue_delta(Stamp::default());
    let mut kept: Vec<_> = delta
        .added
        .iter()
        .map(|Held { entry, kept }| (entry.name.as_str().to_owned(), *kept))
        .collect();
    kept.sort();
    kept
}

fn copy(world: &World, below: &str, text: &str) {
    world.index().note_replica(&name(below), Root::of(text.as_bytes())).unwrap();
    world.put(&format!("replicated/{below}"), text);
}

fn trim(world: &World, text: &str) -> Trimmed {
    world.index().trim(&Root::of(text.as_bytes())).unwrap()
}

#[test]
fn only_what_the_book_calls_a_copy_with_that_content_is_one_over_restarts_too() {
    let mut world = World::new();
    world.put("shared/mine", "mine");
    world.put("downloaded/got", "got");
    world.put("replicated/put there", "by the person");
    copy(&world, "film", "film");
    copy(&world, "edited", "before");
    world.put("replicated/edited", "after, at some length");
    let wanted = [
        ("edited", Kept::Shared),
        ("film", Kept::Replica),
        ("got", Kept::Downloaded),
        ("mine", Kept::Shared),
        ("put there", Kept::Shared),
    ];
    let wanted = wanted.map(|(name, kept)| (name.to_owned(), kept));
    for _ in 0..2 {
        world.settle();
        assert_eq!(kept(&world), wanted);
        assert_eq!(world.index().replicas(), (1, 4));
        world.restart();
    }
    assert_eq!(trim(&world, "film"), Trimmed::Gone(vec![name("film")]));
    // A copy that is none any more is the person's if she puts it there.
    world.put("replicated/film", "film");
    world.settle();
    assert_eq!(kept(&world)[1], ("film".to_owned(), Kept::Shared));
}

#[test]
fn a_trim_removes_copies_of_that_very_content_and_nothing_else() {
    let world = World::new();
    for folder in ["shared", "downloaded", "replicated"] {
        world.put(&format!("{folder}/{folder}"), "the same");
    }
    copy(&world, "a/b/copy", "the same");
    copy(&world, "a/other", "another");
    copy(&world, "a/c/edited", "the same");
    world.settle();
    world.put("replicated/a/c/edited", "edited since, and not seen yet");
    assert_eq!(trim(&world, "the same"), Trimmed::Gone(vec![name("a/b/copy")]));
    let there = |below: &str| world.path(below).exists();
    assert!(!there("replicated/a/b"), "an empty folder stays");
    for below in ["shared/shared", "downloaded/downloaded", "replicated/replicated"] {
        assert!(there(below), "{below} is the person's");
    }
    assert!(there("replicated/a/other") && there("replicated/a/c/edited"));
    world.settle();
    assert_eq!(trim(&world, "the same"), Trimmed::NotHere);
    assert_eq!(world.served("the same").unwrap(), "the same", "the person's are offered");
    assert_eq!(trim(&world, "never heard of"), Trimmed::NotHere);
}

#[test]
fn a_copy_that_is_trimmed_is_out_of_the_catalogue_before_it_is_gone() {
    let world = World::new();
    copy(&world, "film", "film");
    world.settle();
    // What cannot be removed is found again.
    let folder = world.path("replicated");
    let mut closed = folder.metadata().unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut closed, 0o555);
    let stamp = world.index().stamp();
    std::fs::set_permissions(&folder, closed.clone()).unwrap();
    let trimmed = world.index().trim(&Root::of(b"film"));
    std::os::unix::fs::PermissionsExt::set_mode(&mut closed, 0o755);
    std::fs::set_permissions(&folder, closed).unwrap();
    assert!(world.index().stamp() != stamp, "withdrawn");
    world.settle();
    // The super-user removes it all the same.
    let gone = trimmed.is_ok();
    assert_eq!(world.names().is_empty(), gone);
    assert_eq!(world.index().replicas().0, u64::from(!gone));
}

#[test]
fn what_is_downloaded_is_offered_only_if_that_is_wanted_and_listed_anyway() {
    let mut world = World::new();
    world.put("downloaded/film", "film");
    world.put("downloaded/both", "both");
    world.put("shared/both", "both");
    world.settle();
    assert_eq!(world.names(), ["both", "film"]);
    for share_downloaded in [false, true] {
        world.stop();
        world.share_downloaded = share_downloaded;
        world.start();
        world.settle();
        let wanted: &[&str] = if share_downloaded { &["both", "film"] } else { &["both"] };
        assert_eq!(world.names(), wanted);
        assert_eq!(world.served("film").is_ok(), share_downloaded);
        assert_eq!(world.index().offers(&Root::of(b"film")), share_downloaded);
        assert_eq!(world.index().list(Shelf::Downloaded).len(), 2);
    }
}

#[test]
fn a_content_is_offered_unless_another_file_hides_its_name() {
    let world = World::new();
    copy(&world, "notes", "theirs");
    world.settle();
    assert!(world.index().offers(&Root::of(b"theirs")));
    world.put("shared/notes", "mine");
    world.settle();
    assert!(!world.index().offers(&Root::of(b"theirs")), "nobody is told of it");
    assert_eq!(world.index().named(&name("notes")).unwrap().root, Root::of(b"mine"));
}
