use super::*;
use crate::base::Modified;
use crate::wire::List;
use crate::wire::message::tracker::{CatalogueDelta, Held};

fn node(n: usize) -> NodeId {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&n.to_be_bytes());
    NodeId::from_bytes(bytes)
}

/// A root of its own first bytes, whose further bytes are `last`.
fn root(first: u8, last: u8) -> Root {
    let mut bytes = [last; 32];
    bytes[..8].copy_from_slice(&[first; 8]);
    Root::from_bytes(bytes)
}

fn file(text: &str, root: Root, size: u64) -> FileEntry {
    let (name, modified) = (Name::parse(text).unwrap(), Modified::default());
    FileEntry { name, size, root, modified, executable: false }
}

fn lists(index: &mut Index, n: usize, entries: Vec<FileEntry>, kept: Kept) {
    let held = entries.into_iter().map(|entry| Held { entry, kept });
    let removed = List::default();
    let from = index.stamp(&node(n)).version;
    let added = List::of(held.collect());
    let page = CatalogueDelta {
        epoch: 1,
        from,
        to: from + 1,
        added,
        removed,
        taken_back: List::default(),
    };
    index.apply(node(n), &page).unwrap();
}

/// How many contents each step tells of.
fn steps(index: &Index) -> Vec<usize> {
    let (mut after, mut steps) = (None, Vec::new());
    loop {
        let mut told = 0;
        let goes_on = index.survey(&mut after, |_| {
            told += 1;
            true
        });
        steps.push(told);
        if !goes_on {
            return steps;
        }
    }
}

#[test]
fn owners_are_work_too_and_of_one_root_a_bounded_number_is_looked_at() {
    let mut index = Index::default();
    for n in 0..STEP {
        let entries = (1..=3).map(|i| file(&format!("popular{i}"), root(i, 0), 1)).collect();
        lists(&mut index, n, entries, Kept::Replica);
    }
    assert_eq!(steps(&index), [1, 1, 1], "a step looks at many owners of many roots");
    assert!(!index.content(&root(1, 0)).unwrap().is_cut);
    // The same under two more names.
    for n in 0..STEP {
        let entries = (0..2).map(|i| file(&format!("again{i}"), root(1, 0), 1)).collect();
        lists(&mut index, n, entries, Kept::Replica);
    }
    let content = index.content(&root(1, 0)).unwrap();
    assert!(content.is_cut && content.holders.len() == STEP, "{}", content.holders.len());
    assert!(index.is_own(&root(1, 0)), "it may be somebody's own");
    assert!(!index.is_own(&root(2, 0)));
    lists(&mut index, 0, vec![file("popular2", root(2, 0), 1)], Kept::Shared);
    assert!(index.is_own(&root(2, 0)) && index.has(&node(7), &root(2, 0)));
    assert!(!index.has(&node(STEP), &root(2, 0)) && !index.has(&node(7), &root(9, 0)));
}

#[test]
fn roots_that_begin_alike_cost_no_more_than_one_root_does() {
    let mut index = Index::default();
    let alike = (0..NAMES_MAX).map(|n| {
        let mut bytes = *root(1, 0).as_bytes();
        bytes[8..16].copy_from_slice(&n.to_be_bytes());
        file(&format!("alike/{n}"), Root::from_bytes(bytes), 1)
    });
    lists(&mut index, 1, alike.collect(), Kept::Shared);
    assert!(index.content(&root(1, 0)).is_some_and(|content| !content.is_cut));
    assert!(!index.has(&node(2), &root(1, 0)));
    lists(&mut index, 1, vec![file("one more", root(1, 9), 1)], Kept::Shared);
    assert!(index.content(&root(1, 0)).is_some_and(|content| content.is_cut));
    assert!(index.has(&node(2), &root(1, 0)), "it may have it");
}

#[test]
fn the_size_and_the_name_that_most_tell_are_taken() {
    let mut index = Index::default();
    let film = root(1, 0);
    let told = |index: &Index, doubted: usize| {
        let content = index.content(&film).unwrap();
        let size = content.size(|id| *id == node(doubted));
        (size, index.entry_of(&film, size).unwrap().name.to_string())
    };
    lists(&mut index, 1, vec![file("a lie", film, 1 << 40)], Kept::Shared);
    lists(&mut index, 2, vec![file("film", film, 5)], Kept::Shared);
    assert_eq!(told(&index, 0), (5, "film".to_owned()), "of two words the one that can be checked");
    lists(&mut index, 3, vec![file("a lie", film, 2)], Kept::Shared);
    assert_eq!(told(&index, 0), (2, "a lie".to_owned()));
    assert_eq!(told(&index, 3), (5, "film".to_owned()), "who could not be copied from has no word");
    lists(&mut index, 4, vec![file("other", film, 5)], Kept::Replica);
    lists(&mut index, 5, vec![file("film", film, 5)], Kept::Replica);
    assert_eq!(told(&index, 0), (5, "film".to_owned()), "most");
    let content = index.content(&film).unwrap();
    assert_eq!(names_of(&index, &content, 5).collect::<Vec<_>>(), ["film", "other"]);
}
