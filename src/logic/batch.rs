//! Cuts a download of many files into sets: a large file is one, small files go in batches.
//!
//! Invariants: every file is in exactly one item of one set, or among the empty ones, which need
//! no bytes; files with equal contents share an item and are fetched once; a batch stays within
//! `BATCH_FILES_MAX` and `BATCH_BYTES_MAX`. The order is that of the files, so the same list gives
//! the same sets. Nothing fails.

use std::collections::BTreeMap;

use crate::base::Root;
use crate::base::chunk::chunk_count;
use crate::base::limits::{BATCH_BYTES_MAX, BATCH_FILES_MAX};
use crate::wire::bounded::List;
use crate::wire::message::transfer::{Content, Set};

/// What makes a key of a set different from every other hash; never change it.
const KEY_CONTEXT: &str = "parvi 2026-11 key of a transfer's set";

/// A file to be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// The caller's number for it.
    pub index: usize,
    /// Bytes.
    pub size: u64,
    /// What bytes.
    pub root: Root,
}

/// A set, and what is done with what it brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedSet {
    /// What to open.
    pub set: Set,
    /// Its key.
    pub key: [u8; 32],
    /// For each content of the set, one for a single file, the callers' numbers of the files that
    /// have it; never empty.
    pub files: Vec<Vec<usize>>,
}

/// How to fetch a list of files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// What to fetch, in order.
    pub sets: Vec<PlannedSet>,
    /// The files without bytes.
    pub empty: Vec<usize>,
}

/// Plans the download of `files`.
pub fn plan(files: &[Wanted]) -> Plan {
    let mut plan = Plan::default();
    let mut batch = Batch::default();
    for (content, same) in contents(files, &mut plan.empty) {
        if chunk_count(content.size) > 1 {
            plan.sets.push(planned(Set::File(content), vec![same]));
            continue;
        }
        if !batch.has_room_for(content.size) {
            plan.sets.extend(std::mem::take(&mut batch).finish());
        }
        batch.push(content, same);
    }
    plan.sets.extend(batch.finish());
    plan
}

/// The key under which a transfer of `set` is known: BLAKE3 of its canonical form.
///
/// ```text
/// u8 0 file, 1 batch | u32 number of contents | for each: 32 bytes root, u64 size    (little endian)
/// ```
pub fn set_key(set: &Set) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(KEY_CONTEXT);
    let (tag, contents) = match set {
        Set::File(content) => (0, std::slice::from_ref(content)),
        Set::Batch(list) => (1, &list[..]),
    };
    hasher.update(&[tag]);
    hasher.update(&(contents.len() as u32).to_le_bytes());
    for content in contents {
        hasher.update(content.root.as_bytes());
        hasher.update(&content.size.to_le_bytes());
    }
    *hasher.finalize().as_bytes()
}

/// The different contents in the order of their first file, each with all its files.
fn contents(files: &[Wanted], empty: &mut Vec<usize>) -> Vec<(Content, Vec<usize>)> {
    let mut place: BTreeMap<Content, usize> = BTreeMap::new();
    let mut out: Vec<(Content, Vec<usize>)> = Vec::new();
    for file in files {
        if file.size == 0 {
            empty.push(file.index);
            continue;
        }
        let content = Content { root: file.root, size: file.size };
        let at = *place.entry(content).or_insert(out.len());
        match out.get_mut(at) {
            Some((_, same)) => same.push(file.index),
            None => out.push((content, vec![file.index])),
        }
    }
    out
}

/// A batch being filled.
#[derive(Default)]
struct Batch {
    contents: Vec<Content>,
    files: Vec<Vec<usize>>,
    bytes: u64,
}

impl Batch {
    fn has_room_for(&self, size: u64) -> bool {
        self.contents.len() < BATCH_FILES_MAX && self.bytes + size <= BATCH_BYTES_MAX
    }

    fn push(&mut self, content: Content, same: Vec<usize>) {
        self.bytes += content.size;
        self.contents.push(content);
        self.files.push(same);
    }

    /// A single small file is a set like a large one.
    fn finish(self) -> Option<PlannedSet> {
        let set = match self.contents.as_slice() {
            [] => return None,
            [only] => Set::File(*only),
            _ => Set::Batch(List::of(self.contents)),
        };
        Some(planned(set, self.files))
    }
}

fn planned(set: Set, files: Vec<Vec<usize>>) -> PlannedSet {
    PlannedSet { key: set_key(&set), set, files }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::items::Items;
    use proptest::prelude::*;

    const KIB: u64 = 1024;
    const MIB: u64 = 1024 * KIB;

    fn wanted(sizes_and_contents: &[(u64, u32)]) -> Vec<Wanted> {
        let file = |(index, (size, content)): (usize, &(u64, u32))| Wanted {
            index,
            size: *size,
            root: Root::of(&content.to_le_bytes()),
        };
        sizes_and_contents.iter().enumerate().map(file).collect()
    }

    #[test]
    fn large_files_stand_alone_and_small_ones_travel_together() {
        let plan = plan(&wanted(&[(10, 1), (MIB, 2), (256 * KIB, 3), (256 * KIB + 1, 4), (0, 5)]));
        let shapes: Vec<(bool, &[Vec<usize>])> = plan
            .sets
            .iter()
            .map(|set| (matches!(set.set, Set::Batch(_)), &set.files[..]))
            .collect();
        let expected: [(bool, &[Vec<usize>]); 3] =
            [(false, &[vec![1]]), (false, &[vec![3]]), (true, &[vec![0], vec![2]])];
        assert_eq!(shapes, expected);
        assert_eq!(plan.empty, [4]);
    }

    #[test]
    fn equal_contents_are_fetched_once() {
        let plan = plan(&wanted(&[(5, 1), (5, 2), (5, 1), (MIB, 3), (MIB, 3)]));
        assert_eq!(plan.sets.len(), 2);
        assert_eq!(plan.sets[0].files, [vec![3, 4]]);
        assert_eq!(plan.sets[1].files, [vec![0, 2], vec![1]]);
    }

    #[test]
    fn one_root_with_two_sizes_is_two_contents_for_one_of_them_is_a_lie() {
        let plan = plan(&wanted(&[(5, 1), (6, 1)]));
        assert_eq!(plan.sets[0].files, [vec![0], vec![1]]);
    }

    #[test]
    fn a_single_small_file_is_no_batch() {
        let plan = plan(&wanted(&[(5, 1)]));
        assert!(matches!(plan.sets[0].set, Set::File(Content { size: 5, .. })));
    }

    #[test]
    fn nothing_wanted_is_nothing_planned() {
        assert_eq!(plan(&[]), Plan::default());
    }

    #[test]
    fn keys_tell_sets_apart() {
        let content = |n: u8| Content { root: Root::of(&[n]), size: 1 };
        let batch = |list: Vec<Content>| Set::Batch(List::of(list));
        let sets = [
            Set::File(content(1)),
            Set::File(Content { size: 2, ..content(1) }),
            batch(vec![content(1)]),
            batch(vec![content(1), content(2)]),
            batch(vec![content(2), content(1)]),
            batch(vec![]),
        ];
        let keys: std::collections::BTreeSet<_> = sets.iter().map(set_key).collect();
        assert_eq!(keys.len(), sets.len(), "two of these sets have one key");
    }

    #[test]
    fn the_key_of_a_set_never_changes() {
        let set = Set::File(Content { root: Root::of(b"parvi"), size: 5 });
        let hex: String = set_key(&set).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "dd4ba26b345c03770c66cf3ffa433770cb5cafa08f6e2224f856d049c24b2cfe");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_file_is_planned_once_and_every_batch_is_within_its_bounds(
            list in proptest::collection::vec((0_u64..700 * KIB, 0_u32..2_000), 0..3_000),
        ) {
            let small = list.iter().map(|(size, c)| (if c % 3 == 0 { *size } else { size % 5_000 }, *c));
            let files = wanted(&small.collect::<Vec<_>>());
            let plan = plan(&files);
            let mut seen: Vec<usize> = plan.empty.clone();
            for set in &plan.sets {
                seen.extend(set.files.iter().flatten());
                let items = Items::of(&set.set);
                if items.is_batch() {
                    prop_assert!(items.total() <= BATCH_BYTES_MAX);
                    prop_assert!(set.files.len() <= BATCH_FILES_MAX);
                    prop_assert_eq!(items.count() as usize, set.files.len());
                }
                prop_assert!(set.files.iter().all(|same| !same.is_empty()));
            }
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..files.len()).collect::<Vec<_>>());
        }
    }
}
