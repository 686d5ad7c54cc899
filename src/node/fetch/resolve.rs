//! From a name and a choice of owners to the files to fetch.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::finder::Sources;
use crate::base::{Fault, FaultKind, FileEntry, Name, PeerInfo, Root};
use crate::node::context::Context;
use crate::node::lookup::{Hit, Lookup, lookup};
use crate::node::view::From;

/// One file to fetch.
#[derive(Debug, Clone)]
pub(in crate::node) struct Wanted {
    /// What, and under which name it arrives.
    pub(in crate::node) entry: FileEntry,
    /// Who has it.
    pub(in crate::node) owners: Vec<PeerInfo>,
    /// Who fetches it too, and serves what he has of it.
    pub(in crate::node) fetchers: Vec<PeerInfo>,
    /// The same root with other sizes, and who says so: at most one of all these is right.
    pub(in crate::node) rivals: Vec<Wanted>,
}

impl Wanted {
    /// A file of which nobody is known who has it.
    pub(in crate::node) fn new(entry: FileEntry) -> Wanted {
        Wanted { entry, owners: Vec::new(), fetchers: Vec::new(), rivals: Vec::new() }
    }

    /// Who has it.
    pub(in crate::node) fn sources(&self) -> Sources {
        Sources { owners: self.owners.clone(), fetchers: self.fetchers.clone() }
    }

    /// These have it now.
    pub(in crate::node) fn know(&mut self, sources: Sources) {
        (self.owners, self.fetchers) = (sources.owners, sources.fetchers);
    }

    /// Whether anybody is known who has some of it.
    pub(in crate::node) fn is_somewhere(&self) -> bool {
        self.everybody().next().is_some()
    }

    /// Those who have it, and those who fetch it.
    pub(in crate::node) fn everybody(&self) -> impl Iterator<Item = &PeerInfo> {
        self.owners.iter().chain(&self.fetchers)
    }

    /// Files as a list of them tells, with nobody known who has them: what differs from the one before
    /// it in nothing but the size is its rival.
    pub(in crate::node) fn of_list(entries: Vec<FileEntry>) -> Vec<Wanted> {
        let mut files: Vec<Wanted> = Vec::new();
        for entry in entries {
            let wanted = Wanted::new(entry);
            let same = |a: &FileEntry, b: &FileEntry| a.name == b.name && a.root == b.root;
            match files.last_mut() {
                Some(last) if same(&last.entry, &wanted.entry) => last.rivals.push(wanted),
                _ => files.push(wanted),
            }
        }
        files
    }

    /// Each size that it is said to have, the likeliest first.
    pub(in crate::node) fn sizes(&self) -> Vec<Wanted> {
        let first = Wanted { rivals: Vec::new(), ..self.clone() };
        std::iter::once(first).chain(self.rivals.iter().cloned()).collect()
    }
}

/// The files that `name` stands for, from whom the choice allows. Looks until `stop` says so.
pub(in crate::node) fn resolve(
    ctx: &Arc<Context>,
    name: &Name,
    from: &From,
    stop: &dyn Fn() -> bool,
) -> Result<Vec<Wanted>, Fault> {
    wanted_of(&lookup(ctx, name, stop), name, from)
}

/// What a lookup means, unless it leaves something open.
fn wanted_of(found: &Lookup, name: &Name, from: &From) -> Result<Vec<Wanted>, Fault> {
    if found.hits.is_empty() {
        return Err(found.nothing_found(name));
    }
    if let Some(peer) = found.cut_off.iter().find(|peer| is_meant(peer, from)) {
        return Err(too_many(name, peer));
    }
    let chosen = choose(&found.hits, from);
    if chosen.is_empty() {
        return Err(not_with(name, &found.hits, from));
    }
    one_content_each(one_root_each(complete_first(chosen)))
}

/// The hits with only the chosen owner, or with all of them.
fn choose(hits: &[Hit], from: &From) -> Vec<Wanted> {
    let is_content = |hit: &&Hit| match from {
        From::Content(prefix) => prefix.fits(&hit.entry.root),
        From::All | From::One(_) => true,
    };
    hits.iter()
        .filter(is_content)
        .filter_map(|hit| {
            let meant = |peer: &&PeerInfo| is_meant(peer, from);
            let mut wanted = Wanted::new(hit.entry.clone());
            wanted.owners = hit.owners.iter().filter(meant).cloned().collect();
            let fetchers = hit.fetchers.iter().map(|fetcher| &fetcher.peer);
            wanted.fetchers = fetchers.filter(meant).cloned().collect();
            wanted.is_somewhere().then_some(wanted)
        })
        .collect()
}

/// What a name stands for, and how large it is, those say who have it: who only fetches something counts
/// where nobody has the whole of anything under that name.
fn complete_first(wanted: Vec<Wanted>) -> Vec<Wanted> {
    let whole = wanted.iter().filter(|w| !w.owners.is_empty());
    let names: BTreeSet<Name> = whole.map(|w| w.entry.name.clone()).collect();
    let counts = |w: &Wanted| !w.owners.is_empty() || !names.contains(&w.entry.name);
    wanted.into_iter().filter(counts).collect()
}

/// Whether the choice means this peer: by label, by (the start of) its identity, by its address.
pub(in crate::node) fn is_meant(peer: &PeerInfo, from: &From) -> bool {
    match from {
        From::All | From::Content(_) => true,
        From::One(text) => {
            peer.label.as_str() == text
                || (text.len() >= 8 && peer.id.to_string().starts_with(&text.to_lowercase()))
                || peer.chunk().to_string() == *text
                || peer.ip.to_string() == *text
        }
    }
}

/// Half a folder is not what was asked for.
fn too_many(name: &Name, peer: &PeerInfo) -> Fault {
    Fault::other(format!(
        "{} lists more files below {name} than one download takes; download its folders one by one, or choose another owner with --from NODE",
        peer.shown()
    ))
}

fn not_with(name: &Name, hits: &[Hit], from: &From) -> Fault {
    let asked = match from {
        From::One(text) => crate::base::name::printable(text).into_owned(),
        From::All => "nobody".into(),
        From::Content(prefix) => {
            let contents: BTreeSet<String> =
                hits.iter().map(|hit| hit.entry.root.short()).collect();
            let contents: Vec<String> = contents.into_iter().collect();
            let text = format!(
                "nobody has {name} with a root that begins {prefix}; there are {}",
                contents.join(", ")
            );
            return Fault::new(FaultKind::NotFound, text);
        }
    };
    let owners: BTreeMap<_, _> =
        hits.iter().flat_map(Hit::everybody).map(|p| (p.id, p.shown())).collect();
    let owners: Vec<String> = owners.into_values().collect();
    Fault::new(
        FaultKind::NoOwner,
        format!("{asked} does not offer {name}; owners: {}", owners.join(", ")),
    )
}

/// Brings those together that differ in nothing but the size. The one that most owners say is
/// tried first; equally many: the group of the smaller identities, so that every attempt does alike.
/// Who says two sizes of one root lies for certain and is asked only where nobody else is there.
fn one_root_each(mut wanted: Vec<Wanted>) -> Vec<Wanted> {
    fn key(w: &Wanted) -> (&Name, &Root) {
        (&w.entry.name, &w.entry.root)
    }
    // What a lookup brings is in this order already, and nearly all of it is undisputed.
    wanted.sort_by(|a, b| key(a).cmp(&key(b)));
    let mut ranked = Vec::with_capacity(wanted.len());
    let mut rest = wanted.into_iter().peekable();
    while let Some(first) = rest.next() {
        let Some(rival) = rest.next_if(|w| key(w) == key(&first)) else {
            ranked.push(first);
            continue;
        };
        let mut sizes = vec![first, rival];
        while let Some(rival) = rest.next_if(|w| key(w) == key(&sizes[0])) {
            sizes.push(rival);
        }
        ranked.extend(rank(sizes));
    }
    ranked
}

fn rank(mut sizes: Vec<Wanted>) -> Option<Wanted> {
    if sizes.iter().all(|w| w.owners.is_empty()) {
        // Nobody has the whole: those who fetch it say what they were told.
        sizes.iter_mut().for_each(|w| w.owners = std::mem::take(&mut w.fetchers));
        return rank_said(sizes).map(only_fetched);
    }
    rank_said(sizes)
}

/// Ranks by what the owners say.
fn rank_said(mut sizes: Vec<Wanted>) -> Option<Wanted> {
    let mut says: BTreeMap<_, usize> = BTreeMap::new();
    for peer in sizes.iter().flat_map(|w| &w.owners) {
        *says.entry(peer.id).or_default() += 1;
    }
    if says.values().any(|n| *n == 1) {
        let is_one = |peer: &PeerInfo| says.get(&peer.id) == Some(&1);
        sizes.iter_mut().for_each(|w| w.owners.retain(is_one));
        sizes.retain(|w| !w.owners.is_empty());
    } else {
        sizes.truncate(1);
    }
    sizes.sort_by_cached_key(|w| {
        let ids: BTreeSet<_> = w.owners.iter().map(|p| p.id).collect();
        (Reverse(ids.len()), ids)
    });
    let mut sizes = sizes.into_iter();
    let first = sizes.next()?;
    Some(Wanted { rivals: sizes.collect(), ..first })
}

/// The same, of whom nobody is an owner.
fn only_fetched(mut wanted: Wanted) -> Wanted {
    wanted.fetchers = std::mem::take(&mut wanted.owners);
    wanted.rivals = wanted.rivals.into_iter().map(only_fetched).collect();
    wanted
}

/// Refuses to guess between two contents of one name.
fn one_content_each(wanted: Vec<Wanted>) -> Result<Vec<Wanted>, Fault> {
    let names = wanted.iter().map(|w| &w.entry.name);
    if names.clone().zip(names.skip(1)).all(|(a, b)| a < b) {
        return Ok(wanted);
    }
    let mut by_name: BTreeMap<&Name, Vec<(&Root, &Wanted)>> = BTreeMap::new();
    for w in &wanted {
        by_name.entry(&w.entry.name).or_default().push((&w.entry.root, w));
    }
    if let Some((name, contents)) = by_name.iter().find(|(_, contents)| contents.len() > 1) {
        let list: Vec<String> = contents
            .iter()
            .map(|(root, w)| {
                let owners: Vec<&str> = w.everybody().map(|p| p.label.as_str()).collect();
                format!("{} at {}", root.short(), owners.join(", "))
            })
            .collect();
        return Err(Fault::new(
            FaultKind::Exists,
            format!(
                "{} different files are called {name}: {}; choose one with --from NODE, or one content with {name}@ROOT",
                contents.len(),
                list.join("; ")
            ),
        ));
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::lookup::hits::Fetcher;
    use crate::node::samples::{hit, peer};

    #[test]
    fn an_owner_is_meant_by_label_identity_or_address() {
        for text in ["bob", "01010101", "10.0.0.1", "10.0.0.1:3"] {
            let from = From::One(text.into());
            assert!(is_meant(&peer(1), &from), "{text}");
            assert!(!is_meant(&peer(0), &from), "{text}");
        }
    }

    #[test]
    fn half_a_folder_is_refused_unless_another_owner_is_chosen() {
        let hits = vec![hit("d/a", b"1", &[0, 2])];
        let found = Lookup { hits, cut_off: vec![peer(2)], ..Lookup::default() };
        let wanted = |from| wanted_of(&found, &"d".parse().unwrap(), &from);
        let fault = wanted(From::All).unwrap_err();
        assert!(fault.text.contains("eve (10.0.0.2:3) lists more files below d"), "{fault}");
        assert_eq!(wanted(From::One("alice".into())).unwrap().len(), 1);
        assert!(wanted(From::One("eve".into())).is_err());
    }

    #[test]
    fn a_list_of_files_gives_the_same_files_and_their_rivals() {
        let entry = |name, size| FileEntry { size, ..hit(name, b"1", &[]).entry };
        let files = Wanted::of_list(vec![entry("a", 1), entry("b", 1), entry("b", 7)]);
        let sizes = |w: &Wanted| w.sizes().iter().map(|w| w.entry.size).collect::<Vec<_>>();
        assert_eq!(files.iter().map(sizes).collect::<Vec<_>>(), [vec![1], vec![1, 7]]);
    }

    #[test]
    fn two_contents_of_one_name_are_told_apart_and_a_choice_of_owner_settles_it() {
        let hits = [hit("a", b"1", &[0, 1]), hit("a", b"2", &[2])];
        let fault = one_content_each(choose(&hits, &From::All)).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Exists);
        assert!(fault.text.contains("at alice, bob") && fault.text.contains("at eve"), "{fault}");
        let chosen = one_content_each(choose(&hits, &From::One("eve".into()))).unwrap();
        assert_eq!((chosen.len(), chosen[0].entry.root), (1, Root::of(b"2")));
        let second = From::Content(Root::of(b"2").short().parse().unwrap());
        let chosen = one_content_each(choose(&hits, &second)).unwrap();
        assert_eq!((chosen.len(), chosen[0].entry.root), (1, Root::of(b"2")));
        let neither = From::Content("0".repeat(64).parse().unwrap());
        assert!(choose(&hits, &neither).is_empty());
        assert_eq!(not_with(&hits[0].entry.name, &hits, &neither).kind, FaultKind::NotFound);
    }

    #[test]
    fn of_a_disputed_size_every_one_is_kept_the_likeliest_first_but_for_who_says_two() {
        let with_size = |size: u64, owners: &[u8]| {
            let mut hit = hit("a", b"1", owners);
            hit.entry.size = size;
            hit
        };
        let resolved = |hits: &[Hit]| -> Vec<(u64, Vec<PeerInfo>)> {
            let chosen = one_content_each(one_root_each(choose(hits, &From::All))).unwrap();
            assert!(chosen.len() <= 1);
            let sizes = chosen.iter().flat_map(Wanted::sizes);
            sizes.map(|w| (w.entry.size, w.owners)).collect()
        };
        let hits = [with_size(0, &[0]), with_size(1, &[1, 2])];
        assert_eq!(resolved(&hits), [(1, vec![peer(1), peer(2)]), (0, vec![peer(0)])]);
        let tie = [with_size(1, &[2]), with_size(7, &[1])];
        assert_eq!(resolved(&tie), [(7, vec![peer(1)]), (1, vec![peer(2)])], "by identity");
        let two = [with_size(1, &[0, 2]), with_size(7, &[2]), with_size(9, &[2])];
        assert_eq!(resolved(&two), [(1, vec![peer(0)])]);
        assert_eq!(resolved(&two[1..]), [(7, vec![peer(2)])], "nobody else is there");
    }

    #[test]
    fn who_only_fetches_a_file_outvotes_nobody_who_has_it_and_counts_where_nobody_has() {
        let fetcher = |n| Fetcher { peer: peer(n), have: 1, of: 9 };
        let with = |content: &[u8], size: u64, owners: &[u8], fetchers: &[u8]| {
            let mut hit = hit("a", content, owners);
            hit.entry.size = size;
            hit.fetchers = fetchers.iter().map(|n| fetcher(*n)).collect();
            hit
        };
        let resolved = |hits: Vec<Hit>| {
            let found = Lookup { hits, ..Lookup::default() };
            wanted_of(&found, &"a".parse().unwrap(), &From::All).map(|mut wanted| {
                assert_eq!(wanted.len(), 1);
                wanted.remove(0)
            })
        };
        // Another size, another content: alice has the whole.
        let more =
            vec![with(b"1", 1, &[0], &[1]), with(b"1", 7, &[], &[2]), with(b"2", 1, &[], &[2])];
        let one = resolved(more).unwrap();
        assert_eq!((one.entry.size, one.entry.root), (1, Root::of(b"1")));
        assert_eq!(one.sources(), Sources { owners: vec![peer(0)], fetchers: vec![peer(1)] });
        assert!(one.rivals.is_empty());
        let nobody = resolved(vec![with(b"1", 1, &[], &[1, 2]), with(b"1", 7, &[], &[0])]).unwrap();
        assert_eq!((nobody.entry.size, nobody.rivals[0].entry.size), (1, 7));
        assert_eq!(nobody.sources(), Sources { owners: vec![], fetchers: vec![peer(1), peer(2)] });
        let two = vec![with(b"1", 1, &[], &[0]), with(b"2", 1, &[], &[1])];
        let fault = resolved(two).unwrap_err();
        assert!(fault.kind == FaultKind::Exists && fault.text.contains("at alice"), "{fault}");
    }
}
