//! Files whose bytes are not what they were, though nobody wrote them.

use super::*;

const FOLDERS: [&str; 3] = ["shared", "downloaded", "replicated"];

/// The index believes that a file has another root, in the state that it is in: as if it had rotted.
fn rots(world: &World, below: &str, text: &str) {
    let (folder, file) = below.split_once('/').unwrap();
    let id = match folder {
        "shared" => SHARED,
        "downloaded" => DOWNLOADED,
        _ => REPLICATED,
    };
    let mut state = world.index().state.lock();
    let record = state.folders[&id].files[&name(file)];
    let record = Record { root: Root::of(text.as_bytes()), ..record };
    state.insert(&(id, name(file)), record, None);
}

/// Reads everything once; what it came to, file by file.
fn scrub(world: &World) -> Vec<(String, Checked)> {
    let (mut at, mut found) = (None, Vec::new());
    while let Some(stored) = world.index().stored_after(at.as_ref()) {
        let checked = world.index().check(&stored, &|| false);
        found.push((stored.name().as_str().to_owned(), checked));
        at = Some((stored.place(), stored.name().clone()));
    }
    found
}

fn rotten(world: &World) -> Vec<(Shelf, String)> {
    let all = world.index().rotten().into_iter();
    all.map(|r| (r.shelf, r.entry.name.as_str().to_owned())).collect()
}

#[test]
fn a_scrub_finds_what_rots_in_each_folder_and_by_path_and_nothing_else() {
    let world = World::new();
    write(&world.outside("far"), "far");
    world.index().share(&world.outside("far")).unwrap();
    for folder in FOLDERS {
        world.put(&format!("{folder}/{folder}"), &format!("now of {folder}"));
        world.put(&format!("{folder}/sound of {folder}"), &format!("sound of {folder}"));
    }
    world.settle();
    for folder in FOLDERS {
        rots(&world, &format!("{folder}/{folder}"), &format!("was of {folder}"));
    }
    assert!(world.served("now of shared").is_err() && world.names().len() == 7);
    let found = scrub(&world);
    assert_eq!(found.len(), 7, "{found:?}");
    for (name, checked) in found {
        let is_rotten = FOLDERS.contains(&name.as_str());
        assert_eq!(matches!(checked, Checked::Rotten), is_rotten, "{name}: {checked:?}");
    }
    let shelves = [Shelf::Local, Shelf::Downloaded, Shelf::Replicated];
    let wanted: Vec<_> = shelves.into_iter().zip(FOLDERS.map(str::to_owned)).collect();
    assert_eq!(rotten(&world), wanted);
    assert_eq!(world.index().rot_news().len(), 3);
    assert_eq!(world.index().rot_news(), [], "told once");
}

#[test]
fn what_rots_is_offered_to_nobody_until_it_is_written_over_restarts_too() {
    let mut world = World::new();
    world.put("shared/film", "now");
    world.settle();
    rots(&world, "shared/film", "was");
    scrub(&world);
    for _ in 0..2 {
        assert_eq!(world.names(), [""; 0]);
        assert!(world.served("now").is_err() && world.served("was").is_err());
        assert_eq!(rotten(&world), [(Shelf::Local, "film".to_owned())]);
        world.restart();
    }
    world.put("shared/film", "new");
    world.settle();
    assert_eq!((world.served("new").unwrap(), rotten(&world)), ("new".to_owned(), vec![]));
    world.restart();
    assert_eq!((world.names(), rotten(&world)), (vec!["film".to_owned()], vec![]));
}

#[test]
fn an_edit_that_hides_is_found_by_the_next_scan_and_a_touch_says_that_it_was_one() {
    let mut world = World::new();
    world.put("shared/film", "before");
    world.put("shared/mode", "mode");
    world.settle();
    let path = world.path("shared/film");
    let before = path.metadata().unwrap().modified().unwrap();
    let edit = std::fs::File::options().write(true).open(&path).unwrap();
    edit.write_all_at(b"bef0re", 0).unwrap();
    edit.set_modified(before).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(world.path("shared/mode"), mode).unwrap();
    world.settle();
    assert_eq!((world.names(), rotten(&world).len()), (vec!["mode".to_owned()], 1));
    assert_eq!(world.index().rotten()[0].entry.root, Root::of(b"before"));
    world.restart();
    assert_eq!((world.names().len(), rotten(&world).len()), (1, 1));
    edit.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    world.settle();
    assert_eq!((world.served("bef0re").unwrap(), rotten(&world).len()), ("bef0re".to_owned(), 0));
}

#[test]
fn what_is_edited_or_goes_while_it_is_read_is_no_rot() {
    let world = World::new();
    world.put("shared/film", "film");
    world.settle();
    let stored = world.index().stored_after(None).unwrap();
    let path = world.path("shared/film");
    // It is written when it is read, after it was opened.
    let write_it = || {
        write(&path, "filn");
        false
    };
    let checked = world.index().check(&stored, &write_it);
    assert!(matches!(checked, Checked::Changed), "{checked:?}");
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(world.index().check(&stored, &|| false), Checked::Changed));
    world.settle();
    assert!(world.index().stored_after(None).is_none() && rotten(&world).is_empty());
}

#[test]
fn what_rots_is_put_aside_and_neither_name_is_offered() {
    let mut world = World::new();
    world.put("downloaded/a/film", "now");
    world.put("downloaded/a/film.rotten", "the person's");
    world.settle();
    rots(&world, "downloaded/a/film", "was");
    scrub(&world);
    let found = world.index().rotten().remove(0);
    assert_eq!(world.index().put_aside(&found).unwrap(), name("a/film.rotten.2"));
    assert!(world.index().put_aside(&found).is_err(), "it is not there any more");
    for _ in 0..2 {
        assert!(!world.path("downloaded/a/film").exists());
        assert_eq!(std::fs::read(world.path("downloaded/a/film.rotten.2")).unwrap(), b"now");
        assert_eq!(world.names(), ["a/film.rotten"]);
        let found = world.index().rotten().remove(0);
        assert_eq!((found.entry.name, found.aside), (name("a/film"), true));
        world.restart();
    }
    std::fs::remove_file(world.path("downloaded/a/film.rotten.2")).unwrap();
    world.settle();
    assert!(rotten(&world).is_empty(), "it has gone");
}

#[test]
fn a_copy_for_others_that_rots_is_trimmed_like_any() {
    let world = World::new();
    world.index().note_replica(&name("film"), Root::of(b"was")).unwrap();
    world.put("replicated/film", "now");
    world.settle();
    rots(&world, "replicated/film", "was");
    scrub(&world);
    assert_eq!(rotten(&world).len(), 1);
    let trimmed = world.index().trim(&Root::of(b"was")).unwrap();
    assert_eq!(trimmed, Trimmed::Gone(vec![name("film")]));
    assert!(rotten(&world).is_empty() && !world.path("replicated/film").exists());
}

#[test]
fn what_a_person_put_among_the_copies_stays_hers_when_it_rots() {
    let world = World::new();
    let was = Root::of(b"was");
    world.index().note_replica(&name("copy"), was).unwrap();
    for file in ["copy", "hers"] {
        world.put(&format!("replicated/{file}"), "now");
        world.settle();
        rots(&world, &format!("replicated/{file}"), "was");
    }
    scrub(&world);
    let found = world.index().rotten();
    let copies: Vec<_> = found.iter().map(|r| (r.entry.name.as_str(), r.copy)).collect();
    assert_eq!(copies, [("copy", true), ("hers", false)]);
    for rotten in &found {
        world.index().put_aside(rotten).unwrap();
    }
    // A copy gets her file's name meanwhile.
    world.index().note_replica(&name("hers"), was).unwrap();
    world.index().remove_rotten(&was);
    let there = |file: &str| world.path(&format!("replicated/{file}")).exists();
    assert!(there("hers.rotten") && !there("copy.rotten"));
    assert_eq!(world.index().trim(&was).unwrap(), Trimmed::NotHere);
    assert!(there("hers.rotten"), "a trim removes what is hers");
}

#[test]
fn a_trim_of_what_was_put_aside_leaves_the_whole_copy_in_the_book() {
    let world = World::new();
    let was = Root::of(b"was");
    world.index().note_replica(&name("film"), was).unwrap();
    world.put("replicated/film", "now");
    world.settle();
    rots(&world, "replicated/film", "was");
    scrub(&world);
    let found = world.index().rotten().remove(0);
    world.index().put_aside(&found).unwrap();
    world.put("replicated/film", "was");
    // It is not hashed yet: another content, as far as the index knows.
    let trimmed = world.index().trim(&was).unwrap();
    let Trimmed::Gone(gone) = trimmed else { panic!("nothing was removed") };
    assert!(gone.contains(&name("film.rotten")));
    world.settle();
    let left = world.path("replicated/film").exists();
    assert_eq!(world.index().replicas().0, u64::from(left), "it has become the person's");
}

#[test]
fn a_mode_an_owner_or_a_link_makes_nothing_sound_and_its_bytes_do() {
    let mut world = World::new();
    for file in ["mode", "link", "bytes", "aside"] {
        world.put(&format!("shared/{file}"), "now");
        world.settle();
        rots(&world, &format!("shared/{file}"), "was");
    }
    scrub(&world);
    let aside = world.index().rotten().remove(0);
    assert_eq!(world.index().put_aside(&aside).unwrap(), name("aside.rotten"));
    let mode = |file: &str| {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(world.path(file), mode).unwrap();
    };
    mode("shared/mode");
    mode("shared/aside.rotten");
    std::fs::create_dir_all(world.outside("")).unwrap();
    std::fs::hard_link(world.path("shared/link"), world.outside("other")).unwrap();
    // The very bytes again, and the time that they had.
    let bytes = std::fs::File::options().write(true).open(world.path("shared/bytes")).unwrap();
    let before = bytes.metadata().unwrap().modified().unwrap();
    bytes.write_all_at(b"was", 0).unwrap();
    bytes.set_modified(before).unwrap();
    for _ in 0..2 {
        world.settle();
        assert_eq!(world.names(), ["bytes"], "what rots is offered");
        assert_eq!(world.served("was").unwrap(), "was");
        let rotten: Vec<_> = rotten(&world).into_iter().map(|(_, name)| name).collect();
        assert_eq!(rotten, ["aside", "link", "mode"]);
        world.restart();
    }
}

#[test]
fn a_share_of_one_file_forgets_no_rot_of_another_share() {
    let mut world = World::new();
    for file in ["a", "b"] {
        write(&world.outside(&format!("in {file}/{file}")), "now");
        world.index().share(&world.outside(&format!("in {file}/{file}"))).unwrap();
    }
    world.settle();
    {
        let mut state = world.index().state.lock();
        let id = state.share_id(&name("b")).unwrap();
        let record = state.folders[&id].files[&name("b")];
        state.insert(&(id, name("b")), Record { root: Root::of(b"was"), ..record }, None);
    }
    scrub(&world);
    for _ in 0..3 {
        assert_eq!((rotten(&world).len(), world.names()), (1, vec!["a".to_owned()]));
        world.settle();
        world.restart();
    }
}
