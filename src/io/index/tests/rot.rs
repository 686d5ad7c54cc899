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
