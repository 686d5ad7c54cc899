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
        assert_eq!(world.index().state.lock().count_replicas(), (1, 4));
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
    if trimmed.is_err() {
        assert_eq!(world.served("film").unwrap(), "film", "offered again at once");
        assert_eq!(world.index().replicas(), (1, 4));
    }
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

#[test]
fn what_is_here_is_counted_whatever_the_book_is_told_of_it() {
    let mut world = World::new();
    let (film, song) = (Root::of(b"film"), Root::of(b"a song"));
    let counts = |world: &World| {
        let kept = world.index().replicas();
        assert_eq!(kept, world.index().state.lock().count_replicas());
        kept
    };
    world.put("replicated/film", "film");
    world.put("shared/song", "a song");
    world.settle();
    assert_eq!(counts(&world), (0, 0));
    assert!(world.index().note_replica(&name("film"), film).unwrap(), "it is news");
    assert!(!world.index().note_replica(&name("film"), film).unwrap());
    world.index().note_replica(&name("song"), song).unwrap();
    assert_eq!(counts(&world), (1, 4));
    world.put("replicated/song", "a song");
    world.settle();
    assert_eq!(counts(&world), (2, 10));
    world.restart();
    assert_eq!(counts(&world), (2, 10));
    world.put("replicated/song", "hers now");
    world.settle();
    assert_eq!(counts(&world), (1, 4));
    world.index().note_replica(&name("film"), song).unwrap();
    assert_eq!(counts(&world), (0, 0));
}

#[test]
fn a_name_is_given_up_only_for_the_content_that_is_meant() {
    let world = World::new();
    copy(&world, "film", "film");
    world.settle();
    world.index().no_replica(&name("film"), &Root::of(b"another film")).unwrap();
    assert_eq!(world.index().replicas(), (1, 4), "it has become the person's");
    world.index().no_replica(&name("film"), &Root::of(b"film")).unwrap();
    assert_eq!(world.index().replicas(), (0, 0));
    assert_eq!(trim(&world, "film"), Trimmed::NotHere);
}

#[test]
fn a_copy_that_cannot_be_removed_is_offered_again_at_once() {
    let mut world = World::new();
    let index = Arc::clone(&world.run.as_ref().unwrap().index);
    world.stop();
    // Nobody may remove what is there, the super-user neither.
    let folder = Arc::new(Beneath::open(Path::new("/proc")).unwrap());
    let (_open, meta) = folder.open_and_look(&name("version")).unwrap();
    let (print, root) = (Fingerprint::new(&meta), Root::of(b"film"));
    let record = Record { print, root, executable: false, live: true, scan: 0 };
    index.note_replica(&name("version"), root).unwrap();
    let mut state = index.state.lock();
    state.set_beneath(REPLICATED, Some(folder));
    state.insert(&(REPLICATED, name("version")), record, None);
    drop(state);
    index.trim(&root).unwrap_err();
    assert!(index.offers(&root) && index.open(&root).is_ok());
    assert_eq!(index.replicas().0, 1, "it has become the person's");
}
