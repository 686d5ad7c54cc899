//! Whoever fetches a file serves what is verified of it: what `node/swarm` and `node/fetch/given` do
//! with threads, here with events. The decisions are those of `logic::upload`, `spread`, `shares` and
//! `owners`.
//!
//! Invariant: a part is lent as long as its fetch lasts; what an honest node reads from it to send
//! is right on its disk, or the oracle says so.

use parvi::base::{Bitmap, PeerInfo, Range};
use parvi::logic::items::Items;
use parvi::logic::ledger::SetKey;
use parvi::wire::message::transfer::{FETCHERS_MAX, Fetchers, Serving, Set, Stale};
use parvi::wire::{List, Message};

use crate::fetching::Fetch;
use crate::network::ConnId;
use crate::store;
use crate::tracker::{PORTS, id, ip, label};
use crate::world::{Sabotage, World};

/// What an owner finds where it is about to read an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    Right,
    Wrong,
    /// Neither the file nor a part that is being fetched.
    Gone,
}

impl World {
    /// Which items of a set can be sent; `None`: it is not here, and not being fetched.
    pub fn what_is_here(
        &self,
        owner: usize,
        set: &Set,
        key: SetKey,
        files: &[usize],
    ) -> Option<Bitmap> {
        let count = Items::of(set).count();
        let whole = |file: &usize| self.has_file(owner, *file);
        let growing = self.growing(owner, key).map(|fetch| fetch.shares.verified().clone());
        let is_fetched = growing.is_some();
        let mut have = growing.unwrap_or_else(|| Bitmap::none(count));
        match set {
            Set::File(_) if files.iter().any(whole) => have = Bitmap::all(count),
            Set::File(_) => {}
            Set::Batch(_) => {
                (0_u32..).zip(files).filter(|(_, file)| whole(file)).for_each(|(item, _)| {
                    have.insert(item);
                });
            }
        }
        (is_fetched || !have.is_empty()).then_some(have)
    }

    /// Whether some of these files is here, in the part of a download that was paused.
    pub fn stands_still(&self, node: usize, files: &[usize]) -> bool {
        let jobs = self.nodes[node].process.iter().flat_map(|process| &process.jobs);
        let paused = jobs.filter(|(_, job)| job.paused).map(|(order, _)| *order);
        let mut wanted = paused.flat_map(|order| &self.plan.orders[order].files);
        let disk = &self.nodes[node].files;
        let is_some_here = |file: usize| {
            !store::right(disk, &store::part(file), file, self.plan.files[file].items).is_empty()
        };
        wanted.any(|file| files.contains(file) && is_some_here(*file))
    }

    /// The fetch of a set that lends what it has.
    pub fn growing(&self, node: usize, key: SetKey) -> Option<&Fetch> {
        let jobs = &self.nodes[node].process.as_ref()?.jobs;
        let mut fetches = jobs.values().filter_map(|job| job.fetch.as_ref());
        fetches.find(|fetch| fetch.key == key)
    }

    /// Reads an item of what a connection serves, as the writer does right before it sends it.
    pub fn read(&self, owner: usize, conn: ConnId, item: u32) -> Read {
        let serving = &self.nodes[owner].process.as_ref().expect("it runs").serving[&conn];
        let batch = serving.upload.items().is_batch();
        let (file, chunk) =
            if batch { (serving.files[item as usize], 0) } else { (serving.files[0], item) };
        let disk = &self.nodes[owner].files;
        let right = |name: String| store::is_right(disk, &name, file, chunk);
        let lent = self.growing(owner, serving.set).is_some();
        match (lent, self.has_file(owner, file)) {
            (false, false) => Read::Gone,
            (true, _) if right(store::part(file)) || right(store::named(file)) => Read::Right,
            (false, true) if right(store::named(file)) => Read::Right,
            _ => Read::Wrong,
        }
    }

    /// Items have arrived here: whoever fetches the set from this node may have them.
    pub fn gained(&mut self, node: usize, set: SetKey, items: &[u32]) {
        let now = self.local(node);
        let process = self.nodes[node].process.as_mut().expect("it runs");
        let mut told = Vec::new();
        let members = process.serving.values().filter(|s| s.set == set).count();
        for (conn, serving) in process.serving.iter_mut().filter(|(_, s)| s.set == set) {
            let fresh = serving.upload.on_gained(items);
            if serving.haves.gained(now, fresh, members) {
                told.push(*conn);
            }
        }
        told.into_iter().for_each(|conn| self.pump(conn));
    }

    /// The requester of a connection serves what it has, too: those who do hear of each other, and so
    /// does our own fetch of it.
    pub fn requester_serves(&mut self, owner: usize, conn: ConnId) {
        let local = self.local(owner);
        let process = self.nodes[owner].process.as_mut().expect("it runs");
        let Some(own) = process.serving.get_mut(&conn) else { return };
        if std::mem::replace(&mut own.serves, true) {
            return;
        }
        let (set, info) = (own.set, peer(own.requester));
        let mut fetches = process.jobs.values_mut().filter_map(|job| job.fetch.as_mut());
        if let Some(fetch) = fetches.find(|fetch| fetch.key == set) {
            fetch.owners.heard(local, vec![info.clone()]);
        }
        let (mut others, mut told) = (Vec::new(), vec![conn]);
        let members =
            process.serving.iter_mut().filter(|(other, s)| **other != conn && s.set == set);
        for (other, serving) in members.filter(|(_, s)| s.serves) {
            others.push(peer(serving.requester));
            serving.outbox.push_back(Fetchers { nodes: List::of(vec![info.clone()]) }.into());
            told.push(*other);
        }
        if let Some(own) = process.serving.get_mut(&conn) {
            let pages = others.chunks(FETCHERS_MAX);
            let page = |page: &[PeerInfo]| Fetchers { nodes: List::of(page.to_vec()) }.into();
            own.outbox.extend(pages.map(page));
        }
        told.into_iter().for_each(|conn| self.pump(conn));
    }

    /// The part of a fetch is lent no more: what was promised of it is taken back, since a later fetch
    /// may find less of it.
    pub fn withdraw(&mut self, node: usize, order: usize) {
        if self.sabotage == Sabotage::PromiseKept {
            return;
        }
        let process = self.nodes[node].process.as_ref().expect("it runs");
        let Some(fetch) = process.jobs.get(&order).and_then(|job| job.fetch.as_ref()) else {
            return;
        };
        let set = fetch.key;
        let lent = process.serving.iter().filter(|(_, s)| s.set == set && s.lent);
        let promised = lent.filter(|(_, serving)| !serving.upload.have().is_empty());
        for conn in promised.map(|(conn, _)| *conn).collect::<Vec<_>>() {
            self.stale(node, conn);
            self.pump(conn);
        }
    }

    /// What was promised to a requester is not here any more.
    pub fn stale(&mut self, owner: usize, conn: ConnId) {
        self.trace(format_args!("{owner} has nothing more for {conn}"));
        // Of a batch, what has its name is shared.
        let process = self.nodes[owner].process.as_ref().expect("it runs");
        let Some(serving) = process.serving.get(&conn) else { return };
        let is_batch = serving.upload.items().is_batch();
        let files = (0_u32..).zip(&serving.files).filter(|_| is_batch);
        let shared = files.filter(|(_, file)| self.has_file(owner, **file));
        let kept: Vec<u32> = shared.map(|(item, _)| item).collect();
        let process = self.nodes[owner].process.as_mut().expect("it runs");
        let Some(serving) = process.serving.get_mut(&conn) else { return };
        let count = serving.upload.items().count();
        let gone = Range::collect((0..count).filter(|item| !kept.contains(item)));
        let spread = process.spreads.get_mut(&serving.set).expect("it has joined");
        gone.iter().for_each(|items| serving.upload.on_stale(*items, spread));
        serving.haves.retain(|item| kept.contains(&item));
        serving.outbox.push_back(Stale { items: List::of(gone) }.into());
    }
}

/// What a requester of a file says first.
pub fn serving(node: usize) -> Message {
    Serving { label: label(node), ports: PORTS }.into()
}

pub fn peer(n: usize) -> PeerInfo {
    PeerInfo { id: id(n), label: label(n), ip: ip(n), ports: PORTS, files: 1 }
}
