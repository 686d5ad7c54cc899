//! What must hold whatever happens: the invariants I1 to I8 of ARCHITECTURE.md.
//!
//! The oracle sees more than any node: all disks, all connections, and what was said before.

use std::collections::{BTreeMap, BTreeSet};

use parvi::base::limits::CORRUPT_CHUNKS_MAX;
use parvi::base::{Bitmap, Range};
use parvi::logic::items::Items;
use parvi::logic::ledger::{End, Record, SetKey};

use crate::network::{ConnId, Purpose, Side};
use crate::store;
use crate::tracker::number;
use crate::world::World;

/// What was seen.
#[derive(Debug, Default)]
pub struct Oracle {
    failure: Option<String>,
    /// Payloads of every record that a node has given to its log.
    known: BTreeSet<(usize, Vec<u8>)>,
    /// Uploads whose beginning is durable and whose end was not logged, with their attempt.
    open: BTreeMap<(usize, usize, SetKey), u32>,
    /// The files of each set.
    sets: BTreeMap<SetKey, Vec<usize>>,
    /// Files that a node has said it has.
    promised: BTreeSet<(usize, usize)>,
    tallies: BTreeMap<usize, Tally>,
}

/// What an order has cost, in items.
#[derive(Debug, Default)]
struct Tally {
    items: u32,
    window: u32,
    arrived: u32,
    /// Here at the last look; what is missing at the next was lost by a disk.
    here: u32,
    lost: u32,
    breaks: u32,
    /// Wrong items, ever, and from each liar in this try.
    wrong: u32,
    corrupt: BTreeMap<usize, u32>,
}

impl Oracle {
    /// The first violation is the one that counts.
    pub fn fail(&mut self, words: String) {
        self.failure.get_or_insert(words);
    }

    pub fn failure(&self) -> Option<String> {
        self.failure.clone()
    }

    /// A node gives a record to its log.
    pub fn appended(&mut self, node: usize, record: &Record, payload: &[u8]) {
        self.known(node, payload);
        if let Record::Ended { requester, set, .. } = record {
            self.open.remove(&(node, number(requester), *set));
        }
    }

    pub fn known(&mut self, node: usize, payload: &[u8]) {
        self.known.insert((node, payload.to_vec()));
    }

    /// An owner's log has an opening for good.
    pub fn begun(&mut self, owner: usize, requester: usize, set: SetKey, attempt: u32) {
        let before = self.open.insert((owner, requester, set), attempt);
        if before.is_some_and(|before| before >= attempt) {
            self.fail(format!("attempt {attempt} at {owner} by {requester} after {before:?}"));
        }
    }

    /// A fetch begins, or begins again, with what is here.
    pub fn fetch_begins(
        &mut self,
        set: SetKey,
        order: usize,
        files: &[usize],
        have: &Bitmap,
        items: &Items,
    ) {
        self.sets.insert(set, files.to_vec());
        if items.is_batch() {
            return;
        }
        let tally = self.tallies.entry(order).or_default();
        (tally.items, tally.window) = (items.count(), u32::from(items.window()));
        tally.corrupt.clear();
        tally.breaks += 1;
        tally.lost += tally.here.saturating_sub(have.count());
        tally.here = have.count();
    }

    /// Items have arrived, wanted or not; `fresh` of them are new on the disk.
    pub fn arrived(&mut self, order: usize, items: Range, fresh: u32) {
        if let Some(tally) = self.tallies.get_mut(&order) {
            tally.arrived += items.count;
            tally.here += fresh;
        }
    }

    /// Wrong bytes have arrived from `owner`: after so many a requester has nothing to do with it.
    pub fn corrupt(&mut self, order: usize, owner: usize, items: Range) {
        let tally = self.tallies.entry(order).or_default();
        let wrong = tally.corrupt.entry(owner).or_default();
        *wrong += items.count;
        (tally.wrong, tally.arrived) = (tally.wrong + items.count, tally.arrived + items.count);
        let wrong = *wrong;
        if wrong > CORRUPT_CHUNKS_MAX {
            self.fail(format!("order {order} takes {wrong} wrong items from {owner}"));
        }
    }

    pub fn lane_broken(&mut self, order: usize) {
        if let Some(tally) = self.tallies.get_mut(&order) {
            tally.breaks += 1;
        }
    }
}

impl World {
    /// I6: bytes only on a connection on which somebody has asked for them. I3: only for an upload
    /// that the log has begun and not ended, unless a newer attempt has just taken over.
    pub fn check_payload(&mut self, owner: usize, conn: ConnId) {
        let known = &self.net.conns[&conn];
        let asked = matches!(known.purpose, Purpose::Lane { .. });
        let process = self.nodes[owner].process.as_ref().expect("it runs");
        let serving = &process.serving[&conn];
        if !asked || known.end(Side::Dialler).node != serving.requester {
            self.oracle.fail(format!("I6: {owner} sends bytes that nobody asked for"));
        }
        let newest = process.newest.get(&(serving.requester, serving.set));
        let is_newest = newest.is_some_and(|(newest, _)| *newest == serving.connection);
        if is_newest && !process.ledger.is_current(serving.connection) {
            self.oracle.fail(format!("I3: {owner} sends bytes for an upload that has ended"));
        }
    }

    /// A requester is about to say DONE.
    pub fn promise(&mut self, node: usize, files: &[usize]) {
        self.oracle.promised.extend(files.iter().map(|file| (node, *file)));
        self.judge_disk(node);
    }

    /// I1, I2: every final name is right, and what was promised is there.
    pub fn judge_disk(&mut self, node: usize) {
        for (file, spec) in self.plan.files.iter().enumerate() {
            let disk = &self.nodes[node].files;
            match store::final_is_right(disk, file, spec.items) {
                Some(false) => {
                    self.oracle.fail(format!("I1: the final file {file} of {node} is wrong"));
                }
                None if self.oracle.promised.contains(&(node, file)) => {
                    let words = format!("I2: {node} has said DONE and does not have file {file}");
                    self.oracle.fail(words);
                }
                Some(true) | None => {}
            }
        }
    }

    /// I3: an upload ends as DONE only when the requester has said so and has it; it is cancelled
    /// only by the attempt that counts.
    pub fn judge_end(&mut self, owner: usize, record: &Record) {
        let Record::Ended { requester, set, end } = record else { return };
        let requester = number(requester);
        match end {
            End::Done => {
                let files = self.oracle.sets.get(set).cloned().unwrap_or_default();
                if files.iter().any(|file| !self.oracle.promised.contains(&(requester, *file))) {
                    let words = format!("I3: {owner} logs an end that {requester} has not said");
                    self.oracle.fail(words);
                }
            }
            End::Cancelled(_) => {
                let process = self.nodes[owner].process.as_ref().expect("it runs");
                let newest = process.newest.get(&(requester, *set)).map(|(_, attempt)| *attempt);
                if newest.is_some() && self.is_fetching(requester, owner, set, newest) {
                    let words = format!("I3: {owner} ends an upload that {requester} goes on with");
                    self.oracle.fail(words);
                }
            }
            End::Gone => {
                let files = self.oracle.sets.get(set).cloned().unwrap_or_default();
                let growing = self.growing(owner, *set).is_some();
                if growing || files.iter().any(|file| self.has_file(owner, *file)) {
                    self.oracle.fail(format!("I3: {owner} has what it says is gone"));
                }
            }
            _ => self.oracle.fail(format!("I3: {owner} gives an upload up: {end:?}")),
        }
    }

    /// Whether a requester has this attempt open, by its own and by the network's account.
    fn is_fetching(
        &self,
        requester: usize,
        owner: usize,
        set: &SetKey,
        attempt: Option<u32>,
    ) -> bool {
        let Some(process) = &self.nodes[requester].process else { return false };
        let fetches = process.jobs.values().filter_map(|job| job.fetch.as_ref());
        let mut lanes = fetches.filter(|fetch| fetch.key == *set).flat_map(|f| f.lanes.values());
        lanes.any(|lane| {
            let conn = lane.conn.and_then(|conn| self.net.conns.get(&conn));
            let open = conn
                .is_some_and(|conn| conn.end(Side::Dialler).open && conn.end(Side::Acceptor).open);
            lane.node == owner && Some(lane.attempt) == attempt && open
        })
    }

    /// I4: a log gives back what was durable and not over, and nothing that was never written.
    pub fn judge_recovery(
        &mut self,
        node: usize,
        records: &[parvi_wal::Record],
        damage: Option<String>,
    ) {
        if let Some(damage) = damage {
            self.oracle.fail(format!("I4: the log of {node} is damaged: {damage}"));
        }
        for record in records {
            if !self.oracle.known.contains(&(node, record.payload.clone())) {
                self.oracle.fail(format!("I4: the log of {node} invents a record"));
            }
        }
        let ledger = &self.nodes[node].process.as_ref().expect("it runs").ledger;
        let lost: Vec<_> = self
            .oracle
            .open
            .keys()
            .filter(|(owner, requester, set)| {
                *owner == node && !ledger.is_unfinished(crate::tracker::id(*requester), *set)
            })
            .map(|(_, requester, _)| *requester)
            .collect();
        if let Some(requester) = lost.first() {
            self.oracle.fail(format!("I4: {node} has forgotten an upload to {requester}"));
        }
        self.judge_disk(node);
    }

    /// At the end: everything once more, and what it has cost.
    pub fn judge_all(&mut self) {
        for node in 0..self.nodes.len() {
            self.judge_disk(node);
            let ours = |name: &String| {
                ["part-", "stage-", "final-"].iter().any(|start| name.starts_with(start))
            };
            if let Some(name) = self.nodes[node].files.names().iter().find(|name| !ours(name)) {
                self.oracle.fail(format!("I5: {node} has written {name}"));
            }
        }
        self.judge_cost();
    }

    /// I8: what is sent again is bounded by what breaks. Where several owners help, one may send what
    /// another has in flight on a line that stands still: no more than everything once.
    fn judge_cost(&mut self) {
        for (order, tally) in &self.oracle.tallies {
            let file = self.plan.orders[*order].files[0];
            let wanted = self.plan.orders.iter().filter(|order| order.files.contains(&file));
            let several = self.plan.files[file].holders.len() > 1 || wanted.count() > 1;
            let twice = if several { tally.items } else { 0 };
            let again = tally.lost + tally.wrong + tally.breaks * (2 * tally.window + 1);
            if tally.arrived > tally.items + twice + again {
                let words = format!("I8: order {order} took {} items: {tally:?}", tally.arrived);
                self.oracle.failure.get_or_insert(words);
            }
        }
    }
}
