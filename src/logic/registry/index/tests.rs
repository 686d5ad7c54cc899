use super::*;
use crate::base::limits::PAGE_FILES_MAX;
use std::collections::BTreeSet;

use crate::base::{FileEntry, Modified, Name, Root};
use crate::logic::pattern::{Matcher, part_or_glob};
use crate::wire::List;
use crate::wire::message::Message;
use crate::wire::message::find::{FindAnswer, FindQuestion, Listed, Pattern};
use crate::wire::message::tracker::{Found, Held, LookupAnswer, LookupQuestion};
use proptest::prelude::*;

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn node(n: u32) -> NodeId {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&n.to_be_bytes());
    NodeId::from_bytes(bytes)
}

fn file(text: &str, content: u8) -> FileEntry {
    let root = Root::from_bytes([content; 32]);
    let (size, modified) = (content.into(), Modified::default());
    FileEntry { name: name(text), size, root, modified, executable: false }
}

fn page(from: u64, to: u64, added: Vec<FileEntry>, removed: &[&str]) -> CatalogueDelta {
    let removed = List::of(removed.iter().map(|n| name(n)).collect());
    let added = List::of(added.into_iter().map(Held::shared).collect());
    CatalogueDelta { epoch: 1, from, to, added, removed, taken_back: List::default() }
}

fn at(version: u64) -> Stamp {
    Stamp { epoch: 1, version }
}

fn ask(index: &Index, text: &str) -> Vec<Found> {
    let mut after = None;
    let mut all: Vec<Found> = Vec::new();
    loop {
        let question = LookupQuestion { name: name(text), after };
        let LookupAnswer { found, more } = index.lookup(&question, 3);
        let answer = LookupAnswer { found: found.clone(), more };
        assert!(Message::from(answer).to_frame().is_ok(), "a page must fit its frame");
        all.extend(found.into_vec());
        after = all.last().map(|found| found.entry.name.clone());
        if !more {
            return all;
        }
    }
}

/// One page.
fn find(index: &Index, pattern: &Pattern, after: Option<Name>) -> FindAnswer {
    let question = FindQuestion { pattern: pattern.clone(), after };
    let mut finding = Finding::new(&question, 3).unwrap();
    while finding.goes_on() {
        index.find(&mut finding, &|_| 7);
    }
    let answer = finding.answer();
    assert!(Message::from(answer.clone()).to_frame().is_ok(), "a page must fit its frame");
    answer
}

/// All pages.
fn find_all(index: &Index, pattern: &Pattern) -> Vec<Listed> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = find(index, pattern, after);
        all.extend(page.found.into_vec());
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

fn names(index: &Index, text: &str) -> Vec<String> {
    ask(index, text).iter().map(|found| found.entry.name.as_str().to_owned()).collect()
}

#[test]
fn a_page_is_applied_only_where_it_builds_on_the_copy() {
    let mut index = Index::default();
    let alice = node(1);
    assert_eq!(index.apply(alice, &page(3, 4, vec![file("x", 1)], &[])), Ok(Stamp::default()));
    assert_eq!(index.apply(alice, &page(0, 2, vec![file("a", 1), file("b", 1)], &[])), Ok(at(2)));
    assert_eq!(index.apply(alice, &page(3, 4, vec![file("x", 1)], &[])), Ok(at(2)), "a gap");
    assert_eq!(index.apply(alice, &page(2, 4, vec![file("c", 1)], &["a"])), Ok(at(4)));
    assert_eq!(index.apply(alice, &page(2, 4, vec![file("x", 1)], &[])), Ok(at(4)), "doubled");
    let other_epoch = CatalogueDelta { epoch: 2, ..page(4, 5, vec![file("x", 1)], &[]) };
    assert_eq!(index.apply(alice, &other_epoch), Ok(at(4)));
    let found: Vec<usize> = ["a", "b", "c", "x"].map(|n| ask(&index, n).len()).to_vec();
    assert_eq!(found, [0, 1, 1, 0]);
    assert_eq!(index.apply(alice, &page(0, 1, vec![file("z", 1)], &[])), Ok(at(1)), "a full one");
    assert_eq!((ask(&index, "b").len(), ask(&index, "z").len()), (0, 1));
    let backwards = index.apply(alice, &page(4, 3, vec![], &[]));
    assert_eq!(backwards, Err(IndexError::Backwards { from: 4, to: 3 }));
}

#[test]
fn a_pass_ends_while_copies_are_replaced_in_a_loop() {
    let mut index = Index::default();
    let full = || page(0, 1, vec![file("a", 1)], &[]);
    index.apply(node(1), &full()).unwrap();
    index.park(&node(1));
    let mut steps = 0;
    loop {
        let goes_on = index.sweep();
        for owner in [1, 2] {
            index.apply(node(owner), &full()).unwrap();
            index.apply(node(owner), &page(0, 1, vec![], &[])).unwrap();
        }
        steps += 1;
        assert!(steps < 10, "the sweep goes on for ever");
        if !goes_on {
            break;
        }
    }
    while index.sweep() {}
    assert!(index.retired.is_empty() && index.contents.len() == 0, "an empty copy has retired");
    for _ in 0..100 {
        index.apply(node(1), &page(0, 1, vec![], &[])).unwrap();
    }
    assert!(index.keys_used < 20 && index.retired.is_empty());
}

#[test]
fn a_file_of_very_many_owners_is_swept_in_several_steps() {
    let mut index = Index::default();
    for n in 0..2_000 {
        index.apply(node(n), &page(0, 1, vec![file("a", 1)], &[])).unwrap();
    }
    for n in 0..2_000 {
        index.park(&node(n));
    }
    let mut steps = 1;
    while index.sweep() {
        steps += 1;
    }
    assert_eq!((steps, index.contents.len()), (4, 0));
}

#[test]
fn a_folder_is_everything_below_it_and_not_its_neighbours() {
    let mut index = Index::default();
    let all = ["a", "a b/c", "a!", "a/\u{1}", "a/b", "a/b/c", "a/z", "a0", "ab/c", "b/a"];
    index.apply(node(1), &page(0, 1, all.map(|n| file(n, 1)).to_vec(), &[])).unwrap();
    assert_eq!(names(&index, "a"), ["a", "a/\u{1}", "a/b", "a/b/c", "a/z"]);
    assert_eq!(names(&index, "a/b"), ["a/b", "a/b/c"]);
    assert_eq!(names(&index, "ab"), ["ab/c"]);
    assert!(names(&index, "c").is_empty());
}

#[test]
fn two_contents_of_one_name_are_two_findings_and_the_more_common_is_first() {
    let mut index = Index::default();
    for (n, content) in [(1, 7), (2, 9), (3, 9)] {
        index.apply(node(n), &page(0, 1, vec![file("a", content)], &[])).unwrap();
    }
    let found = ask(&index, "a");
    let sizes: Vec<(u64, usize)> = found.iter().map(|f| (f.entry.size, f.owners.len())).collect();
    assert_eq!(sizes, [(9, 2), (7, 1)]);
    index.apply(node(2), &page(1, 2, vec![file("a", 7)], &[])).unwrap();
    let found = ask(&index, "a");
    let sizes: Vec<(u64, usize)> = found.iter().map(|f| (f.entry.size, f.owners.len())).collect();
    assert_eq!(sizes, [(7, 2), (9, 1)]);
}

#[test]
fn askers_are_spread_over_the_owners() {
    let mut index = Index::default();
    for n in 0..100 {
        index.apply(node(n), &page(0, 1, vec![file("a", 1)], &[])).unwrap();
    }
    let question = LookupQuestion { name: name("a"), after: None };
    let first: BTreeSet<NodeId> =
        (0..100).map(|spread| index.lookup(&question, spread).found[0].owners[0]).collect();
    assert_eq!(first.len(), 100);
    assert_eq!(index.lookup(&question, 99).found[0].owners.len(), 64);
}

#[test]
fn pages_are_bounded_in_files_and_in_bytes_and_never_split_a_name() {
    let mut index = Index::default();
    let long = "n".repeat(200);
    for n in 0..70_u32 {
        let entries = (0..500).map(|i| file(&format!("d/{long}{i:04}"), n as u8 % 3)).collect();
        index.apply(node(n), &page(0, 1, entries, &[])).unwrap();
    }
    let all = ask(&index, "d");
    assert_eq!(all.len(), 1_500);
    let question = LookupQuestion { name: name("d"), after: None };
    let first = index.lookup(&question, 0);
    assert!(first.more);
    assert_eq!(first.found.len() % 3, 0, "a name was split");

    let mut index = Index::default();
    for n in 0..3 {
        let entries = (0..1_500).map(|i| file(&format!("{}", n * 1_500 + i), 1)).collect();
        index.apply(node(1), &page(n * 1_500, (n + 1) * 1_500, entries, &[])).unwrap();
    }
    let mut pages = Vec::new();
    let mut after = None;
    loop {
        let page = find(&index, &Pattern::All, after);
        pages.push(page.found.len());
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(pages, [PAGE_FILES_MAX, PAGE_FILES_MAX, 500]);
}

#[test]
fn bounds_refuse_the_page_with_words_and_leave_the_copy_as_it_was() {
    let limits = IndexLimits { files_per_node: 3, files: 4, ..IndexLimits::default() };
    let mut index = Index::new(limits);
    index.apply(node(1), &page(0, 2, vec![file("a", 1), file("b", 1)], &[])).unwrap();
    let refused = index.apply(node(1), &page(2, 4, vec![file("c", 1), file("d", 1)], &[]));
    assert!(matches!(refused, Err(IndexError::NodeFull { files: 3, .. })));
    assert_eq!((index.stamp(&node(1)), index.files_of(&node(1))), (at(2), 2));
    let three = vec![file("a", 1), file("b", 1), file("c", 1)];
    let refused = index.apply(node(2), &page(0, 3, three.clone(), &[]));
    assert!(matches!(refused, Err(IndexError::Full { files: 4 })));
    index.park(&node(1));
    assert!(index.apply(node(2), &page(0, 3, three.clone(), &[])).is_err(), "not swept yet");
    while index.sweep() {}
    assert_eq!(index.apply(node(2), &page(0, 3, three, &[])), Ok(at(3)));
}

#[test]
fn a_large_copy_is_hidden_at_once_and_swept_in_steps() {
    let mut index = Index::default();
    let entries = (0..2_000).map(|i| file(&format!("d/{i}"), 1)).collect();
    index.apply(node(1), &page(0, 1, entries, &[])).unwrap();
    index.park(&node(1));
    assert!(ask(&index, "d").is_empty());
    assert!(index.sweep(), "2,000 names are more than one step");
    assert!(ask(&index, "d").is_empty());
    while index.sweep() {}
    assert_eq!((index.names.len(), index.contents.len()), (0, 0));
    assert_eq!((index.held, index.name_bytes, index.totals()), (0, 0, (0, 0)));
}

#[test]
fn patterns_find_across_blocks_what_trying_every_name_finds() {
    crate::logic::dice::rounds(|dice| {
        let mut index = Index::default();
        let mut all = BTreeSet::new();
        let parts = ["a", "Ab", "aB/", "é", "É", "b/x", "/a"];
        let mut text = |n: u64| -> String {
            let some = (0..dice.below(4)).map(|_| parts[dice.below(7) as usize]);
            format!("{}{}", some.collect::<String>().replace("//", "/"), n % 700)
        };
        for owner in 0..3 {
            let names = (0..400).map(&mut text).filter_map(|text| Name::parse(&text).ok());
            let names: BTreeSet<Name> = names.collect();
            let files: Vec<FileEntry> =
                names.iter().map(|n| file(n.as_str(), n.as_str().len() as u8 % 5)).collect();
            all.extend(files.iter().map(|entry| (entry.name.clone(), entry.root)));
            index.apply(node(owner), &page(0, 1, files, &[])).unwrap();
        }
        for word in ["a", "ab", "É", "1a", "*b*", "**/x*", "?b?", "@01010101", "x", "*", "7"] {
            for ignore_case in [false, true] {
                let pattern = part_or_glob(word, ignore_case).unwrap();
                let matcher = Matcher::new(&pattern).unwrap();
                let meant = all.iter().filter(|(n, root)| matcher.means(n.as_str(), root));
                let found = find_all(&index, &pattern);
                let found = found.iter().map(|l| (l.entry.name.clone(), l.entry.root));
                assert_eq!(found.collect::<BTreeSet<_>>(), meant.cloned().collect(), "{word}");
            }
        }
    });
}

#[test]
fn a_listed_file_has_its_copies_and_who_has_it() {
    let mut index = Index::default();
    for n in 0..20 {
        let files = vec![file("d/a", 1), file(&format!("only {n}"), 2)];
        index.apply(node(n), &page(0, 1, files, &[])).unwrap();
    }
    index.park(&node(0));
    let found = find_all(&index, &Pattern::All);
    let first = &found[0];
    assert_eq!((found.len(), first.copies, first.seen_s, first.owners.len()), (20, 19, 7, 8));
    let root = part_or_glob(&format!("@{}", file("d/a", 1).root.short()), false).unwrap();
    assert_eq!(find_all(&index, &root)[0].entry, file("d/a", 1));
    let many = part_or_glob(&format!("@{}", file("d/a", 2).root), false).unwrap();
    assert_eq!(find_all(&index, &many).len(), 19);
}

#[test]
fn a_root_of_very_many_names_is_found_by_reading_them() {
    let mut index = Index::default();
    let files = (0..1_500).map(|n| file(&format!("{n:04}"), 1)).collect();
    index.apply(node(1), &page(0, 1, files, &[])).unwrap();
    let root = part_or_glob(&format!("@{}", file("a", 1).root), false).unwrap();
    assert_eq!(find_all(&index, &root).len(), 1_500);
}

#[test]
fn a_step_counts_every_owner_it_looks_at_and_ends_within_a_block() {
    let mut index = Index::default();
    let files = || (0..200).map(|n| file(&format!("{n:03}"), 1)).collect::<Vec<_>>();
    for owner in 0..300 {
        index.apply(node(owner), &page(0, 1, files(), &[])).unwrap();
    }
    // One block of a few hundred bytes, and 60,000 owners.
    let mut finding =
        Finding::new(&FindQuestion { pattern: Pattern::All, after: None }, 3).unwrap();
    let mut steps = 0;
    while finding.goes_on() {
        let before = finding.read();
        index.find(&mut finding, &|_| 7);
        assert!(finding.read() - before < 2 * find::STEP, "a step of {}", finding.read() - before);
        steps += 1;
    }
    assert_eq!(finding.answer().found.len(), 200);
    assert!(steps > 10, "{steps} steps");
}

#[test]
fn that_a_root_is_everywhere_is_found_out_once() {
    let mut index = Index::default();
    let many = (0..1_500).map(|n| file(&format!("{n:04}"), 1)).collect();
    index.apply(node(1), &page(0, 1, many, &[])).unwrap();
    let pattern = part_or_glob(&format!("@{}", file("a", 1).root), false).unwrap();
    let mut finding = Finding::new(&FindQuestion { pattern, after: None }, 3).unwrap();
    assert!(!finding.reads_all());
    index.find(&mut finding, &|_| 7);
    assert!(finding.reads_all(), "the next step gathers again");
}

#[test]
fn the_names_of_a_root_are_gathered_once_and_what_goes_meanwhile_is_not_told() {
    let mut index = Index::default();
    let few = || (0..900).map(|n| file(&format!("{n:03}"), 1)).collect::<Vec<_>>();
    for owner in 0..50 {
        index.apply(node(owner), &page(0, 1, few(), &[])).unwrap();
    }
    let pattern = part_or_glob(&format!("@{}", file("a", 1).root), false).unwrap();
    let mut finding = Finding::new(&FindQuestion { pattern, after: None }, 3).unwrap();
    index.find(&mut finding, &|_| 7);
    assert!(finding.goes_on() && !finding.reads_all(), "45,000 owners are more than one step");
    for owner in 0..50 {
        index.apply(node(owner), &page(1, 2, Vec::new(), &["899"])).unwrap();
    }
    while finding.goes_on() {
        let before = finding.read();
        index.find(&mut finding, &|_| 7);
        assert!(finding.read() - before < 2 * find::STEP);
    }
    let answer = finding.answer();
    assert_eq!((answer.found.len(), answer.next), (899, None));
}

/// What is to be true, without an index.
#[derive(Default)]
struct Naive(BTreeMap<(String, [u8; 32]), BTreeSet<NodeId>>);

impl Naive {
    fn forget(&mut self, owner: NodeId, name: Option<&str>) {
        self.0.retain(|(known, _), owners| {
            if name.is_none_or(|name| name == known) {
                owners.remove(&owner);
            }
            !owners.is_empty()
        });
    }

    fn ask(&self, wanted: &Name) -> Vec<(String, [u8; 32], Vec<NodeId>)> {
        let found = self.0.iter().filter(|((n, _), _)| name(n).answers(wanted));
        found.map(|((n, root), o)| (n.clone(), *root, o.iter().copied().collect())).collect()
    }
}

#[derive(Debug, Clone)]
enum Step {
    Page { owner: u32, full: bool, added: Vec<(usize, u8)>, removed: Vec<usize> },
    Leave(u32),
    Sweep,
}

const NAMES: [&str; 8] = ["a", "a/b", "a/b/c", "a b", "a0", "b", "b/c", "b/d"];

fn step() -> impl Strategy<Value = Step> {
    let added = prop::collection::vec((0..NAMES.len(), 0_u8..3), 0..5);
    let removed = prop::collection::vec(0..NAMES.len(), 0..3);
    prop_oneof![
        6 => (0_u32..4, any::<bool>(), added, removed)
            .prop_map(|(owner, full, added, removed)| Step::Page { owner, full, added, removed }),
        1 => (0_u32..4).prop_map(Step::Leave),
        1 => Just(Step::Sweep),
    ]
}

proptest! {
    #[test]
    fn lookup_says_what_a_naive_model_says(steps in prop::collection::vec(step(), 1..60)) {
        let (mut index, mut naive) = (Index::default(), Naive::default());
        for step in steps {
            match step {
                Step::Leave(owner) => {
                    index.park(&node(owner));
                    naive.forget(node(owner), None);
                }
                Step::Sweep => drop(index.sweep()),
                Step::Page { owner, full, added, removed } => {
                    let owner = node(owner);
                    let from = if full { 0 } else { index.stamp(&owner).version };
                    if from == 0 {
                        naive.forget(owner, None);
                    }
                    for n in &removed {
                        naive.forget(owner, Some(NAMES[*n]));
                    }
                    for (n, content) in &added {
                        naive.forget(owner, Some(NAMES[*n]));
                        let key = (NAMES[*n].to_owned(), [*content; 32]);
                        naive.0.entry(key).or_default().insert(owner);
                    }
                    let added = added.iter().map(|(n, content)| file(NAMES[*n], *content)).collect();
                    let removed: Vec<&str> = removed.iter().map(|n| NAMES[*n]).collect();
                    let to = from + 1;
                    prop_assert_eq!(index.apply(owner, &page(from, to, added, &removed)), Ok(at(to)));
                }
            }
            for wanted in NAMES {
                let mut found: Vec<_> = ask(&index, wanted)
                    .into_iter()
                    .map(|f| {
                        let mut owners = f.owners.to_vec();
                        owners.sort();
                        (f.entry.name.as_str().to_owned(), *f.entry.root.as_bytes(), owners)
                    })
                    .collect();
                found.sort();
                prop_assert_eq!(found, naive.ask(&name(wanted)));
            }
        }
    }
}

/// Resident memory of this process, bytes.
#[cfg(target_os = "linux")]
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// Nextest gives each test a process of its own, so that what is resident is the index.
#[test]
#[cfg(target_os = "linux")]
fn memory_per_file_is_as_documented() {
    const FILES: u64 = 200_000;
    let mut index = Index::default();
    let one_page = |start: u64| {
        let entries = (start..start + 2_000)
            .map(|i| file(&format!("project/data/measurement-{i:08}/run.csv"), 1))
            .collect();
        page(start, start + 2_000, entries, &[])
    };
    // What a page itself takes, while it is there, is no part of the index.
    drop((one_page(0), one_page(0)));
    let mut fill = |owner: u32| {
        let before = resident();
        for start in (0..FILES).step_by(2_000) {
            index.apply(node(owner), &one_page(start)).unwrap();
        }
        (resident().saturating_sub(before)) / FILES as usize
    };
    let (first, second, third) = (fill(1), fill(2), fill(3));
    println!("{first} bytes a file, {second} and {third} for further owners");
    assert!(first < 150 + 38, "{first} bytes a file, 38 of them its name");
    assert!(second < 8, "{second} bytes for a second owner");
    assert!(third < 80, "{third} bytes for a third owner");
}
