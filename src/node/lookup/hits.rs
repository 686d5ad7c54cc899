//! What a lookup has found: each content under each name, and who has it or fetches it.
//!
//! Invariant: a node counts once for a content, and as an owner if it says both. Ends with the lookup.

use std::collections::BTreeMap;

use crate::base::{FileEntry, Name, PeerInfo, Root};
use crate::wire::message::search::Part;

/// One content under one name, and who said that he has it.
#[derive(Debug, Clone)]
pub(in crate::node) struct Hit {
    pub(in crate::node) entry: FileEntry,
    pub(in crate::node) owners: Vec<PeerInfo>,
    /// Those who have some of it.
    pub(in crate::node) fetchers: Vec<Fetcher>,
}

/// One who is fetching a file, and serves what he has of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::node) struct Fetcher {
    pub(in crate::node) peer: PeerInfo,
    /// Chunks that he has.
    pub(in crate::node) have: u32,
    /// Chunks of the whole.
    pub(in crate::node) of: u32,
}

impl Hit {
    /// Those who have it, and those who have some of it.
    pub(in crate::node) fn everybody(&self) -> impl Iterator<Item = &PeerInfo> {
        self.owners.iter().chain(self.fetchers.iter().map(|fetcher| &fetcher.peer))
    }

    /// By label.
    pub(super) fn sort(&mut self) {
        let by_label = |a: &PeerInfo, b: &PeerInfo| (&a.label, a.id).cmp(&(&b.label, b.id));
        self.owners.sort_by(by_label);
        self.fetchers.sort_by(|a, b| by_label(&a.peer, &b.peer));
    }
}

/// The size belongs to the key: one peer's wrong size must not spoil what the others say.
pub(super) type Hits = BTreeMap<(Name, Root, u64), Hit>;

/// Adds what one peer has, and what it is fetching.
pub(super) fn add_hits(hits: &mut Hits, peer: &PeerInfo, files: Vec<FileEntry>, parts: Vec<Part>) {
    for entry in files {
        let hit = hit_of(hits, entry);
        // A peer may name a file twice; it is one owner all the same.
        if hit.owners.last().is_none_or(|last| last.id != peer.id) {
            hit.owners.push(peer.clone());
        }
    }
    for Part { entry, have, of } in parts {
        let hit = hit_of(hits, entry);
        if hit.everybody().all(|other| other.id != peer.id) {
            hit.fetchers.push(Fetcher { peer: peer.clone(), have, of });
        }
    }
}

fn hit_of(hits: &mut Hits, entry: FileEntry) -> &mut Hit {
    let key = (entry.name.clone(), entry.root, entry.size);
    let new = || Hit { entry, owners: Vec::new(), fetchers: Vec::new() };
    hits.entry(key).or_insert_with(new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::samples::{hit, peer};

    fn entry(size: u64) -> FileEntry {
        FileEntry { size, ..hit("film", b"film", &[]).entry }
    }

    #[test]
    fn a_wrong_size_does_not_spoil_what_honest_owners_say() {
        let mut hits = Hits::new();
        add_hits(&mut hits, &peer(2), vec![entry(9)], Vec::new());
        add_hits(&mut hits, &peer(0), vec![entry(4), entry(4)], Vec::new());
        add_hits(&mut hits, &peer(1), vec![entry(4)], Vec::new());
        let seen: Vec<_> = hits.into_values().map(|h| (h.entry.size, h.owners)).collect();
        assert_eq!(seen, [(4, vec![peer(0), peer(1)]), (9, vec![peer(2)])]);
    }

    #[test]
    fn one_who_fetches_a_file_is_told_apart_from_its_owners_and_is_one_however_often_he_says_it() {
        let part = || Part { entry: entry(4), have: 3, of: 256 };
        let mut hits = Hits::new();
        add_hits(&mut hits, &peer(1), Vec::new(), vec![part(), part()]);
        add_hits(&mut hits, &peer(0), vec![entry(4)], vec![part()]);
        let hit = hits.into_values().next().unwrap();
        assert_eq!(hit.owners, [peer(0)]);
        assert_eq!(hit.fetchers, [Fetcher { peer: peer(1), have: 3, of: 256 }]);
    }
}
