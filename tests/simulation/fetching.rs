//! The requester's half: what `node/fetch` does with threads, here with events. The decisions are
//! those of `logic::shares` and `logic::owners`.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use parvi::base::{Bitmap, PeerInfo, Range};
use parvi::logic::batch::set_key;
use parvi::logic::items::Items;
use parvi::logic::ledger::SetKey;
use parvi::logic::owners::{Owners, Returned, Standing};
use parvi::logic::shares::{OwnerKey, Shares, Verdict};
use parvi::wire::message::knock::{Knock, Knocked};
use parvi::wire::message::transfer::{Cancel, Set};
use parvi::wire::{List, Message, Text};
use parvi_wal::Storage;

use crate::event::Event;
use crate::network::{ConnId, Purpose, Side};
use crate::node::PATIENCE;
use crate::store;
use crate::swarm::peer;
use crate::tracker::{id, number};
use crate::world::{Sabotage, World};

/// Between two looks of a fetch's supervisor.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Before something that has to pass by itself is tried again.
const WAIT: Duration = Duration::from_secs(2);

/// An order that is not over.
pub struct Job {
    pub paused: bool,
    /// Which try this is; events of earlier ones mean nothing.
    pub run: u64,
    pub fetch: Option<Fetch>,
}

/// One set on its way.
pub struct Fetch {
    pub set: Set,
    pub key: SetKey,
    /// The file of each content.
    pub files: Vec<usize>,
    pub items: Items,
    pub shares: Shares,
    pub owners: Owners,
    pub lanes: BTreeMap<OwnerKey, Lane>,
    next_key: u64,
    finding: bool,
    pub publishing: bool,
    pub disk_error: bool,
}

/// A connection to one owner, or the attempt at one.
pub struct Lane {
    pub node: usize,
    pub conn: Option<ConnId>,
    pub attempt: u32,
    pub run: Option<(Range, Verdict)>,
}

impl World {
    /// Begins, or goes on with, an order: what is here already, and who has the rest.
    pub fn start_job(&mut self, node: usize, order: usize) {
        let process = self.nodes[node].process.as_mut().expect("it runs");
        let next = process.next_run();
        let Some(job) = process.jobs.get_mut(&order) else { return };
        job.run = next;
        job.fetch = None;
        let (run, paused) = (job.run, job.paused);
        if paused {
            return;
        }
        let missing = self.missing(node, order);
        if missing.is_empty() {
            // What is there already is only good when it is durable.
            let files = self.plan.orders[order].files.clone();
            return self.secure(node, order, &files);
        }
        self.find(node, order, run);
    }

    fn secure(&mut self, node: usize, order: usize, files: &[usize]) {
        match self.sync_finals(node, files) {
            Ok(()) => self.job_over(node, order),
            Err(_) => {
                let life = self.nodes[node].life;
                self.after(WAIT, Event::Order { node, life, order });
            }
        }
    }

    /// Makes files that have their final names durable: another life may not have come so far.
    fn sync_finals(&mut self, node: usize, files: &[usize]) -> io::Result<()> {
        if self.sabotage == Sabotage::NoSyncOfWhatIsHere {
            return Ok(());
        }
        let disk = &self.nodes[node].files;
        files.iter().try_for_each(|file| store::sync_final(disk, *file))?;
        disk.sync_dir()
    }

    /// The files of an order that have no final name yet.
    fn missing(&self, node: usize, order: usize) -> Vec<usize> {
        let files = self.plan.orders[order].files.iter().copied();
        files.filter(|file| !self.has_file(node, *file)).collect()
    }

    fn find(&mut self, node: usize, order: usize, run: u64) {
        let slow = if self.dice.chance(40) { 30 } else { 900 };
        let (life, wait) = (self.nodes[node].life, self.dice.millis(5, slow));
        self.after(wait, Event::Found { node, life, order, run });
    }

    /// A search has ended: whoever can be reached and has some of it.
    pub fn on_found(&mut self, node: usize, order: usize, run: u64) {
        let missing = self.missing(node, order);
        let known = self.nodes[node].process.as_ref().expect("it runs").book.all();
        let reachable = known.iter().map(|peer| number(&peer.info.id));
        let has_some = |n: &usize| missing.iter().any(|file| self.has_file(*n, *file));
        let found: Vec<PeerInfo> =
            reachable.filter(|n| self.reaches(node, *n) && has_some(n)).map(peer).collect();
        let local = self.local(node);
        let process = self.nodes[node].process.as_mut().expect("it runs");
        let Some(job) = process.jobs.get_mut(&order).filter(|job| job.run == run) else { return };
        if let Some(fetch) = &mut job.fetch {
            fetch.owners.found(local, found);
            fetch.finding = false;
        } else if found.is_empty() {
            let life = self.nodes[node].life;
            self.after(WAIT, Event::Found { node, life, order, run });
        } else {
            self.begin_fetch(node, order, run, missing, found);
        }
    }

    fn begin_fetch(
        &mut self,
        node: usize,
        order: usize,
        run: u64,
        files: Vec<usize>,
        owners: Vec<PeerInfo>,
    ) {
        let local = self.local(node);
        let specs: Vec<_> = files.iter().map(|file| &self.plan.files[*file]).collect();
        let set = match specs[..] {
            [only] if only.items > 1 => Set::File(only.content),
            _ => Set::Batch(List::of(specs.iter().map(|spec| spec.content).collect())),
        };
        let items = Items::of(&set);
        let mut have = Bitmap::none(items.count());
        let disk = &self.nodes[node].files;
        if self.sabotage != Sabotage::FailedSyncAgain {
            // What a failed sync has lost is not on the disk, whatever memory still says.
            files.iter().for_each(|file| disk.drop_cache(&store::part(*file)));
        }
        if let Set::File(_) = set {
            for item in store::right(disk, &store::part(files[0]), files[0], items.count()) {
                have.insert(item);
            }
        } else {
            let here = |file: usize| !store::right(disk, &store::part(file), file, 1).is_empty();
            (0_u32..).zip(&files).filter(|(_, file)| here(**file)).for_each(|(item, _)| {
                have.insert(item);
            });
        }
        self.trace(format_args!(
            "{node} fetches order {order}, {} of {} are here",
            have.count(),
            have.len()
        ));
        self.oracle.fetch_begins(set_key(&set), order, &files, &have, &items);
        let fetch = Fetch {
            key: set_key(&set),
            shares: Shares::new(items.clone(), have).patient_for(PATIENCE),
            owners: Owners::new(local, 0, owners),
            set,
            files,
            items,
            lanes: BTreeMap::new(),
            next_key: 0,
            finding: false,
            publishing: false,
            disk_error: false,
        };
        let process = self.nodes[node].process.as_mut().expect("it runs");
        let Some(job) = process.jobs.get_mut(&order) else { return };
        job.fetch = Some(fetch);
        self.on_look(node, order, run);
    }

    /// The supervisor: ends the fetch, or lets time pass and connects to who is due.
    pub fn on_look(&mut self, node: usize, order: usize, run: u64) {
        let (local, life) = (self.local(node), self.nodes[node].life);
        let Some(fetch) = self.fetch(node, order, run) else { return };
        if fetch.publishing {
            return;
        }
        if fetch.disk_error {
            self.halt(node, order, None);
            return self.after(WAIT, Event::Order { node, life, order });
        }
        if fetch.shares.is_complete() {
            fetch.publishing = true;
            let wait = self.dice.millis(1, 300);
            return self.after(wait, Event::Publish { node, life, order, run, step: 0 });
        }
        let actions = fetch.shares.on_tick(local);
        let due = fetch.owners.due(local, 16_usize.saturating_sub(fetch.lanes.len()));
        let mut dials = Vec::new();
        for owner in due {
            fetch.owners.dialling(owner.id);
            let key = OwnerKey(fetch.next_key);
            fetch.next_key += 1;
            let to = number(&owner.id);
            fetch.lanes.insert(key, Lane { node: to, conn: None, attempt: 0, run: None });
            dials.push((key, to));
        }
        self.carry_out(node, order, run, actions);
        for (key, to) in dials {
            self.dial(node, to, Purpose::Lane { order, run, key });
        }
        let random = self.dice.next();
        let Some(fetch) = self.fetch(node, order, run) else { return };
        if !fetch.finding && fetch.owners.search_due(local, random) {
            fetch.finding = true;
            self.find(node, order, run);
        }
        self.after(LOOK_EVERY, Event::Look { node, life, order, run });
    }

    /// Stops in the middle: what is verified stays. The owners hear CANCEL with a reason only where
    /// the order is not to go on by itself.
    pub fn halt(&mut self, node: usize, order: usize, why: Option<&str>) {
        self.withdraw(node, order);
        let cancel = why.map(|why| Cancel { reason: Text::of(why) }.into());
        self.last_word(node, order, cancel);
        let process = self.nodes[node].process.as_mut().expect("it runs");
        let next = process.next_run();
        if let Some(job) = process.jobs.get_mut(&order) {
            job.fetch = None;
            job.run = next;
        }
    }

    /// Tells every owner the last word, if there is one, and closes.
    pub fn last_word(&mut self, node: usize, order: usize, word: Option<Message>) {
        let process = self.nodes[node].process.as_mut().expect("it runs");
        let Some(fetch) = process.jobs.get_mut(&order).and_then(|job| job.fetch.as_mut()) else {
            return;
        };
        let lanes = std::mem::take(&mut fetch.lanes);
        for conn in lanes.into_values().filter_map(|lane| lane.conn) {
            if let Some(word) = &word {
                self.say(conn, Side::Dialler, word.clone());
            }
            self.close(conn, Side::Dialler);
        }
    }

    /// An owner misses us: as `Downloads::knocked` answers.
    pub fn knocked(&mut self, node: usize, owner: usize, knock: &Knock) -> Knocked {
        let local = self.local(node);
        let process = self.nodes[node].process.as_mut().expect("it runs");
        let fetching = process.jobs.iter_mut().find_map(|(order, job)| {
            let fetch = job.fetch.as_mut().filter(|f| !f.publishing && f.key == knock.set)?;
            Some((*order, job.run, fetch))
        });
        if let Some((order, run, fetch)) = fetching {
            let listed = process.book.get(&id(owner)).is_some();
            let returned = fetch.owners.returned(local, peer(owner), listed);
            let dead = fetch.lanes.iter().find(|(_, l)| l.node == owner && l.conn.is_some());
            let dead = dead.map(|(key, lane)| (lane.conn, *key));
            return match (returned, dead) {
                (Returned::NoOwner, _) => Knocked::Later(Text::of("it is looking for who has it")),
                (Returned::LaneIsDead, Some((Some(conn), key))) => {
                    let how = Standing::Lost("the owner misses us".into());
                    self.lane_over(node, conn, (order, run, key), how);
                    Knocked::Coming
                }
                _ => Knocked::Coming,
            };
        }
        if process.done.contains(&knock.set) {
            return Knocked::Done;
        }
        // What such a job wants is not known yet.
        let unknown = process.jobs.values().any(|job| job.fetch.is_none() && !job.paused);
        let file = knock.content.and_then(|content| self.file_of(&content));
        if let Some(file) = file.filter(|file| self.has_file(node, *file)) {
            return match self.sync_finals(node, &[file]) {
                Ok(()) => {
                    self.promise(node, &[file]);
                    Knocked::Done
                }
                Err(_) => Knocked::Later(Text::of("its disk fails")),
            };
        }
        match unknown {
            true => Knocked::Later(Text::of("its downloads are not that far")),
            false => Knocked::NotWanted(Text::of("it is not being downloaded any more")),
        }
    }

    /// The fetch of an order, in this try.
    pub fn fetch(&mut self, node: usize, order: usize, run: u64) -> Option<&mut Fetch> {
        let job = self.nodes[node].process.as_mut()?.jobs.get_mut(&order)?;
        job.fetch.as_mut().filter(|_| job.run == run)
    }
}
