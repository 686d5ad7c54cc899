//! Who has the files of a download now? Asked by all its sets, answered once for those who ask at about
//! the same time: a folder may have a hundred thousand names.
//!
//! Invariant: an answer is used for a few times as long as it took, never longer than `ANSWER_MAX`.
//! Ends with the download; an answer that is cut short by its stop is not kept.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::control::{Control, Wish};
use super::file::content;
use super::job::Job;
use super::resolve::is_meant;
use crate::base::{Name, NodeId, PeerInfo, Time};
use crate::io::clock;
use crate::node::context::Context;
use crate::node::lookup::{Hit, lookup};
use crate::node::view::From;
use crate::wire::message::transfer::Content;

/// Longest use of an answer.
const ANSWER_MAX: Duration = Duration::from_secs(20);
/// How often the time that an answer took it is used.
const TIMES_TAKEN: u32 = 4;

/// Who can be asked for something, within the person's choice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::node) struct Sources {
    /// They share it.
    pub(in crate::node) owners: Vec<PeerInfo>,
    /// They fetch it themselves, and serve what they have of it.
    pub(in crate::node) fetchers: Vec<PeerInfo>,
}

impl Sources {
    /// All of them, those who share it first.
    pub(super) fn all(self) -> Vec<PeerInfo> {
        self.owners.into_iter().chain(self.fetchers).collect()
    }

    /// Nobody twice, and who shares some of it is an owner.
    fn each_once(sources: impl Iterator<Item = Sources>) -> Sources {
        let (mut owners, mut fetchers) = (BTreeMap::new(), BTreeMap::new());
        for source in sources {
            owners.extend(source.owners.into_iter().map(|peer| (peer.id, peer)));
            fetchers.extend(source.fetchers.into_iter().map(|peer| (peer.id, peer)));
        }
        fetchers.retain(|id, _| !owners.contains_key(id));
        let (owners, fetchers) = (owners.into_values(), fetchers.into_values());
        Sources { owners: owners.collect(), fetchers: fetchers.collect() }
    }
}

/// Who has what, within the person's choice.
pub(super) type Owners = BTreeMap<Content, Sources>;

/// Looks for the owners of one download.
pub(super) struct Finder {
    ctx: Arc<Context>,
    name: Name,
    /// Whom somebody else says to have a content.
    named: Vec<(Content, NodeId)>,
    from: From,
    control: Arc<Control>,
    /// Locked while somebody looks: who asks meanwhile wants that answer.
    looking: Mutex<()>,
    last: Mutex<Option<Found>>,
}

struct Found {
    until: Time,
    owners: Arc<Owners>,
}

impl Finder {
    pub(super) fn new(ctx: &Arc<Context>, job: &Job) -> Arc<Finder> {
        let (name, sources) = job.sought();
        let named = job
            .errand
            .iter()
            .flat_map(|(_, entry)| sources.iter().map(|source| (content(entry), *source)));
        Arc::new(Finder {
            ctx: ctx.clone(),
            name: name.clone(),
            named: named.collect(),
            from: job.from.clone(),
            control: job.control.clone(),
            looking: Mutex::default(),
            last: Mutex::default(),
        })
    }

    /// Who has the files of the whole download.
    pub(super) fn all(&self) -> Arc<Owners> {
        let _looking = self.looking.lock();
        let began = clock::now();
        if let Some(found) = self.last.lock().as_ref().filter(|found| began < found.until) {
            return found.owners.clone();
        }
        let owners = Arc::new(self.with_named(owners_of(self.look(&self.name), &self.from)));
        if !self.stopped() {
            let now = clock::now();
            let until = now + (now.since(began) * TIMES_TAKEN).min(ANSWER_MAX);
            *self.last.lock() = Some(Found { until, owners: owners.clone() });
        }
        owners
    }

    /// Who has one file.
    pub(super) fn one(&self, name: &Name) -> Owners {
        self.with_named(owners_of(self.look(name), &self.from))
    }

    /// Whoever is named, and known, is an owner like one that was found; he may call it otherwise.
    fn with_named(&self, mut owners: Owners) -> Owners {
        let peers = self.ctx.peers.lock();
        for (content, node) in &self.named {
            let sources = &mut owners.entry(*content).or_default().owners;
            if sources.iter().all(|peer| peer.id != *node) {
                sources.extend(peers.get(node));
            }
        }
        owners
    }

    /// The last answer, however old; nobody is asked.
    pub(super) fn latest(&self) -> Option<Arc<Owners>> {
        self.last.lock().as_ref().map(|found| found.owners.clone())
    }

    fn look(&self, name: &Name) -> Vec<Hit> {
        lookup(&self.ctx, name, &|| self.stopped()).hits
    }

    fn stopped(&self) -> bool {
        self.ctx.stop.is_stopped() || self.control.wish() != Wish::Run
    }
}

/// Who says another size of the same root has another content.
fn owners_of(hits: Vec<Hit>, from: &From) -> Owners {
    let mut owners = Owners::new();
    for hit in hits {
        let sources = owners.entry(content(&hit.entry)).or_default();
        let meant = |peer: &PeerInfo| is_meant(peer, from);
        sources.owners.extend(hit.owners.into_iter().filter(meant));
        let fetchers = hit.fetchers.into_iter().map(|fetcher| fetcher.peer);
        sources.fetchers.extend(fetchers.filter(meant));
    }
    owners
}

/// Those who have any of `contents`, each once.
pub(super) fn any_of(owners: &Owners, contents: &[Content]) -> Sources {
    let sources = contents.iter().filter_map(|content| owners.get(content)).cloned();
    Sources::each_once(sources)
}

/// Those who were known, and those who are known now, each once.
pub(super) fn together(known: impl Iterator<Item = Sources>, now: Option<Sources>) -> Sources {
    Sources::each_once(known.chain(now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Root;
    use crate::node::lookup::hits::Fetcher;
    use crate::node::samples::{hit, peer};

    #[test]
    fn the_owners_of_any_file_of_a_batch_are_found_once_each() {
        let hits =
            || vec![hit("d/a", b"1", &[0]), hit("d/b", b"2", &[0, 1]), hit("d/c", b"3", &[2])];
        let wanted = [b"1", b"2"].map(|c| Content { root: Root::of(c), size: 1 });
        let found = |from| any_of(&owners_of(hits(), &from), &wanted).owners;
        assert_eq!(found(From::All), [peer(0), peer(1)]);
        assert_eq!(found(From::One("bob".into())), [peer(1)]);
    }

    #[test]
    fn who_says_another_size_is_no_owner() {
        let mut liar = hit("a", b"1", &[2]);
        liar.entry.size = 9;
        let wanted = [Content { root: Root::of(b"1"), size: 1 }];
        let owners = owners_of(vec![liar, hit("a", b"1", &[0])], &From::All);
        assert_eq!(any_of(&owners, &wanted).owners, [peer(0)]);
    }

    #[test]
    fn who_shares_some_and_fetches_the_rest_is_an_owner_and_who_only_fetches_is_not() {
        let mut hits = vec![hit("d/a", b"1", &[0]), hit("d/b", b"2", &[])];
        let fetcher = |n| Fetcher { peer: peer(n), have: 1, of: 1 };
        hits[1].fetchers = vec![fetcher(0), fetcher(1)];
        let wanted = [b"1", b"2"].map(|c| Content { root: Root::of(c), size: 1 });
        let found = any_of(&owners_of(hits, &From::All), &wanted);
        assert_eq!(found, Sources { owners: vec![peer(0)], fetchers: vec![peer(1)] });
    }
}
