//! Deltas lead to the whole list, from wherever they begin.

use super::*;
use crate::logic::pattern::part_or_glob;
use proptest::prelude::*;

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn entry(text: &str, content: u8) -> FileEntry {
    FileEntry {
        name: name(text),
        size: u64::from(content),
        root: Root::of(&[content]),
        modified: Modified::default(),
        executable: false,
    }
}

/// What a tracker holds of a node.
#[derive(Default)]
struct Copy {
    at: Stamp,
    files: BTreeMap<Name, FileEntry>,
}

impl Copy {
    /// Applies one page, checking that it builds on what is here.
    fn apply(&mut self, delta: CatalogueDelta) {
        if delta.from == 0 {
            self.files.clear();
        } else {
            assert_eq!((delta.epoch, delta.from), (self.at.epoch, self.at.version));
        }
        for name in delta.removed.into_vec() {
            self.files.remove(&name);
        }
        for Held { entry, .. } in delta.added.into_vec() {
            self.files.insert(entry.name.clone(), entry);
        }
        self.at = Stamp { epoch: delta.epoch, version: delta.to };
    }

    fn catch_up(&mut self, with: &Catalogue) -> usize {
        let mut pages = 0;
        while self.at != with.stamp() {
            self.apply(with.delta(self.at));
            pages += 1;
            assert!(pages < 10_000, "the pages have no end");
        }
        assert!(with.iter().eq(self.files.values().cloned()), "the copy differs");
        pages
    }
}

#[test]
fn only_a_change_gets_a_version() {
    let mut catalogue = Catalogue::new(7);
    assert!(catalogue.set(entry("a", 1), Kept::Shared));
    assert!(!catalogue.set(entry("a", 1), Kept::Shared));
    assert!(!catalogue.remove(&name("b")));
    assert_eq!(catalogue.stamp(), Stamp { epoch: 7, version: 1 });
    assert!(catalogue.set(entry("a", 2), Kept::Shared));
    assert!(catalogue.remove(&name("a")));
    assert_eq!(catalogue.stamp().version, 3);
    assert_eq!((catalogue.len(), catalogue.bytes()), (0, 0));
}

#[test]
fn a_folder_stands_for_what_is_below_it_page_by_page() {
    let mut catalogue = Catalogue::new(1);
    for file in ["a", "a-b", "a/b/c", "a/\u{1}", "a0", "b", "a/z"] {
        catalogue.set(entry(file, 1), Kept::Shared);
    }
    let found = |wanted, after: Option<&str>| {
        let (files, more) = catalogue.find(&name(wanted), after.map(name).as_ref());
        assert!(!more);
        files.into_iter().map(|f| f.name.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(found("a", None), ["a", "a/\u{1}", "a/b/c", "a/z"]);
    assert_eq!(found("a", Some("a")), ["a/\u{1}", "a/b/c", "a/z"]);
    assert_eq!(found("a", Some("a-b")), ["a/\u{1}", "a/b/c", "a/z"]);
    assert_eq!(found("a", Some("a/b")), ["a/b/c", "a/z"]);
    assert_eq!(found("a/b", None), ["a/b/c"]);
    assert_eq!(found("none", None), [""; 0]);
}

#[test]
fn pages_are_bounded_in_files_and_in_bytes() {
    let long = "x".repeat(250);
    for (count, text) in [(5_000, ""), (5_000, long.as_str())] {
        let mut catalogue = Catalogue::new(1);
        for i in 0..count {
            catalogue.set(entry(&format!("f/{i}{text}"), 1), Kept::Shared);
        }
        let (mut after, mut seen) = (None, 0);
        loop {
            let (files, more) = catalogue.find(&name("f"), after.as_ref());
            assert!(files.len() <= PAGE_FILES_MAX);
            assert!(files.iter().map(|f| f.name.as_str().len()).sum::<usize>() <= PAGE_BYTES_MAX);
            seen += files.len();
            after = files.last().map(|f| f.name.clone());
            if !more {
                break;
            }
        }
        assert_eq!(seen, count, "a page lost files");
        assert!(Copy::default().catch_up(&catalogue) >= 3);
    }
}

/// What a search finds in how many pages.
fn searched(catalogue: &Catalogue, pattern: &str) -> (usize, usize) {
    let matcher = Matcher::new(&part_or_glob(pattern, false).unwrap()).unwrap();
    let (mut found, mut pages, mut after) = (0, 0, None);
    loop {
        let (files, next) = catalogue.search(&matcher, after.as_ref());
        (found, pages) = (found + files.len(), pages + 1);
        assert!(next.is_none() || next > after, "a search that does not get on");
        after = next;
        if after.is_none() {
            return (found, pages);
        }
    }
}

#[test]
fn a_page_of_a_search_is_of_bounded_work_whatever_the_pattern() {
    let mut catalogue = Catalogue::new(1);
    for i in 0..1_000 {
        catalogue.set(entry(&format!("{i:0200}"), 1), Kept::Shared);
    }
    // Every name is read by a hundred steps at once: 22 MB of work.
    assert_eq!(searched(&catalogue, &format!("{}?", "*".to_owned() + &"?*".repeat(50))).1, 21);
    // As expensive, were it not for the letters that no name has.
    assert_eq!(searched(&catalogue, &format!("{}xyz", "?*".repeat(50))), (0, 1));
    assert_eq!(searched(&catalogue, "*7"), (100, 1));
}

#[test]
fn a_stamp_of_another_life_starts_from_nothing() {
    let mut catalogue = Catalogue::new(5);
    catalogue.set(entry("a", 1), Kept::Shared);
    for foreign in [Stamp { epoch: 4, version: 1 }, Stamp { epoch: 5, version: 9 }] {
        let delta = catalogue.delta(foreign);
        assert_eq!((delta.from, delta.to, delta.added.len()), (0, 1, 1));
    }
}

#[test]
fn tombstones_do_not_pile_up() {
    let mut catalogue = Catalogue::new(1);
    let mut copy = Copy::default();
    for i in 0..20_000_u32 {
        catalogue.set(entry(&format!("{i}"), 1), Kept::Shared);
        if i >= 10 {
            catalogue.remove(&name(&format!("{}", i - 10)));
        }
        if i % 3_000 == 0 {
            copy.catch_up(&catalogue);
        }
    }
    assert!(catalogue.gone.len() <= TOMBSTONES_MIN && catalogue.changes.len() <= 1_100);
    copy.catch_up(&catalogue);
}

#[test]
fn what_was_taken_back_is_told_once_in_its_place_and_not_for_ever() {
    let mut catalogue = Catalogue::new(1);
    catalogue.set(entry("a", 1), Kept::Shared);
    let before = catalogue.stamp();
    catalogue.remove(&name("a"));
    assert!(catalogue.delta(before).taken_back.is_empty(), "that it is gone says nothing of why");
    let before = catalogue.stamp();
    catalogue.take_back(Root::of(&[1]));
    let delta = catalogue.delta(before);
    assert_eq!((&delta.taken_back[..], delta.to), (&[Root::of(&[1])][..], before.version + 1));
    assert!(catalogue.delta(catalogue.stamp()).taken_back.is_empty());
    for n in 0..=TAKEN_BACK_MAX {
        catalogue.take_back(Root::of(&n.to_le_bytes()));
    }
    assert_eq!(
        (catalogue.taken_back.len(), catalogue.changes.len()),
        (TAKEN_BACK_MAX, TAKEN_BACK_MAX + 1)
    );
    let mut copy = Copy::default();
    assert!(copy.catch_up(&catalogue) >= TAKEN_BACK_MAX / PAGE_FILES_MAX, "pages are bounded");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn copies_that_catch_up_at_any_moment_are_equal(
        steps in proptest::collection::vec((0_u8..30, 0_u8..5, any::<bool>()), 0..400)
    ) {
        let mut catalogue = Catalogue::new(9);
        let mut copy = Copy::default();
        for (which, content, catches_up) in steps {
            let text = format!("file{which}");
            match content {
                0 => { catalogue.remove(&name(&text)); }
                _ => { catalogue.set(entry(&text, content), Kept::Shared); }
            }
            if catches_up {
                copy.catch_up(&catalogue);
            }
        }
        copy.catch_up(&catalogue);
        Copy::default().catch_up(&catalogue);
        prop_assert_eq!(catalogue.bytes(), catalogue.iter().map(|f| f.size).sum::<u64>());
    }
}
