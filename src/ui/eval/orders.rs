//! Which files a round moves: who has them, and who fetches them.
//!
//! Invariant: a round's files are of that round alone, so nothing is at a requester already; an owner never
//! fetches what it has. All follows from the cell, the round and the seed.

use super::cell::{Cell, Kind};
use crate::io::generate;

/// The folder of all files of an evaluation, in a shared folder.
pub(super) const FOLDER: &str = "parvi-eval";
/// Names of an index in one folder.
const NAMES_PER_FOLDER: u32 = 1_000;

/// One file that one peer is to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Order {
    /// Who fetches it.
    pub requester: usize,
    /// The file.
    pub file: File,
}

/// One file and who has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File {
    /// Below the shared folder.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// What they follow from.
    pub seed: u64,
    /// Who has it from the beginning.
    pub owners: Vec<usize>,
}

/// The downloads of one round.
pub(super) fn orders(cell: &Cell, round: u32, seed: u64) -> Vec<Order> {
    let peers = cell.peers as usize;
    let order = |number: u32, requester: usize| {
        let owners = owners(cell, requester);
        Order { requester, file: file(cell, seed, &format!("{round}/{number}.bin"), owners) }
    };
    match cell.kind {
        Kind::Weak => {
            let numbers = 0..cell.peers * cell.files;
            numbers.map(|number| order(number, number as usize % peers)).collect()
        }
        Kind::Strong => {
            (0..cell.files).map(|number| order(number, number as usize % peers)).collect()
        }
        Kind::Many => (0..peers).map(|requester| order(0, requester)).collect(),
        Kind::Search | Kind::Restore => Vec::new(),
    }
}

/// All files that a cell needs, for `rounds` rounds, the one that does not count among them.
pub(super) fn files(cell: &Cell, rounds: u32, seed: u64) -> Vec<File> {
    match cell.kind {
        Kind::Weak | Kind::Strong | Kind::Many => {
            let all = (0..rounds).flat_map(|round| orders(cell, round, seed));
            let mut files: Vec<File> = all.map(|order| order.file).collect();
            files.dedup();
            files
        }
        Kind::Search => {
            let nodes = cell.nodes() as u32;
            (0..cell.files)
                .map(|number| {
                    file(cell, seed, &index_path(number), vec![(number % nodes) as usize])
                })
                .collect()
        }
        Kind::Restore => {
            let nodes = cell.peers as usize;
            let owner = |number: u32| vec![number as usize % nodes];
            (0..cell.files).map(|n| file(cell, seed, &format!("{n}.bin"), owner(n))).collect()
        }
    }
}

/// The name of file `number` of the index that `cell` searches.
pub(super) fn indexed(cell: &Cell, number: u32) -> String {
    name(cell, &index_path(number))
}

fn index_path(number: u32) -> String {
    format!("{:03}/{number:06}.txt", number / NAMES_PER_FOLDER)
}

/// The next two of the ring, so that all send and receive alike; one behind all, of what many fetch.
fn owners(cell: &Cell, requester: usize) -> Vec<usize> {
    let nodes = cell.nodes();
    if cell.kind == Kind::Many {
        return vec![nodes - 1];
    }
    let next = [1, 2].map(|step| (requester + step) % nodes);
    next.into_iter().filter(|owner| *owner != requester).collect()
}

fn file(cell: &Cell, seed: u64, path: &str, owners: Vec<usize>) -> File {
    let name = name(cell, path);
    let seed = generate::seed_of(&format!("{seed} {name}"));
    File { name, size: cell.size, seed, owners }
}

fn name(cell: &Cell, path: &str) -> String {
    format!("{FOLDER}/{}/{path}", cell.id())
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::super::cell::cells;
    use super::super::settings::tests::settings;
    use super::*;
    use crate::ui::args::What;

    #[test]
    fn nobody_has_what_it_fetches_and_no_round_has_another_ones_files() {
        for cell in cells(What::All, &settings()).unwrap() {
            let mut before = BTreeSet::new();
            for round in 0..3 {
                let orders = orders(&cell, round, 1);
                for order in &orders {
                    let Order { requester, file } = order;
                    assert!(!file.owners.is_empty() && !file.owners.contains(requester));
                    assert!(file.owners.iter().all(|owner| *owner < cell.nodes()), "{order:?}");
                    assert!(*requester < cell.peers as usize, "{order:?}");
                }
                let names: BTreeSet<String> = orders.into_iter().map(|o| o.file.name).collect();
                assert!(before.is_disjoint(&names), "{}", cell.id());
                before.extend(names);
            }
        }
    }

    #[test]
    fn weak_work_grows_with_the_peers_strong_work_does_not_and_is_divided_evenly() {
        for cell in cells(What::All, &settings()).unwrap() {
            let mut of: BTreeMap<usize, u32> = BTreeMap::new();
            orders(&cell, 0, 1).iter().for_each(|o| *of.entry(o.requester).or_default() += 1);
            let each: BTreeSet<u32> = of.values().copied().collect();
            let wanted = match cell.kind {
                Kind::Weak => cell.concurrency,
                Kind::Strong => 8 / cell.peers,
                Kind::Many => 1,
                Kind::Search | Kind::Restore => continue,
            };
            assert_eq!((of.len(), each), (cell.peers as usize, BTreeSet::from([wanted])));
        }
    }

    #[test]
    fn another_seed_has_other_bytes_and_every_file_its_own() {
        let cell = cells(What::Search, &settings()).unwrap()[0];
        let seeds = |seed| files(&cell, 1, seed).into_iter().map(|f| f.seed).collect();
        let (one, two): (BTreeSet<u64>, BTreeSet<u64>) = (seeds(1), seeds(2));
        assert_eq!(one.len(), cell.files as usize);
        assert!(one.is_disjoint(&two));
        assert_eq!(files(&cell, 1, 1)[7].name, indexed(&cell, 7));
    }
}
