//! A run that has arrived: verified, written, acknowledged, offered to others; what `Lane::keep` does.

use parvi::base::Range;
use parvi::logic::shares::{OwnerKey, Verdict};
use parvi::wire::List;
use parvi::wire::message::transfer::{Ack, Set};

use crate::fetching::Fetch;
use crate::network::{ConnId, Side};
use crate::store;
use crate::tracker::id;
use crate::world::{Sabotage, World};

impl World {
    /// The last byte of a run is here.
    pub fn keep(
        &mut self,
        node: usize,
        conn: ConnId,
        (order, run, key): (usize, u64, OwnerKey),
        (items, right): (Range, bool),
    ) {
        let careless = self.sabotage == Sabotage::NoVerification;
        let Some(fetch) = self.fetch(node, order, run) else { return };
        let Some(lane) = fetch.lanes.get_mut(&key) else { return };
        let owner = lane.node;
        let Some((began, verdict)) = lane.run.take() else { return };
        assert_eq!(began, items, "a run ends as it began");
        let ack = Ack { items: List::of(vec![items]) };
        if verdict != Verdict::Take || fetch.publishing {
            self.oracle.arrived(order, items, 0);
            return self.say(conn, Side::Dialler, ack.into());
        }
        if !right && !careless {
            return self.corrupt(node, (order, run, key), owner, items);
        }
        let fresh = fetch.fresh(items);
        if self.write(node, order, run, items, right).is_err() {
            let standing = parvi::logic::owners::Standing::Lost("the disk".into());
            return self.lane_over(node, conn, (order, run, key), standing);
        }
        let local = self.local(node);
        let Some(fetch) = self.fetch(node, order, run) else { return };
        fetch.owners.useful(id(owner));
        let (set, actions) = (fetch.key, fetch.shares.on_verified(local, key, items));
        self.oracle.arrived(order, items, fresh.len() as u32);
        self.gained(node, set, &fresh);
        self.say(conn, Side::Dialler, ack.into());
        self.carry_out(node, order, run, actions);
    }

    /// Writes a run into its parts.
    fn write(
        &mut self,
        node: usize,
        order: usize,
        run: u64,
        items: Range,
        right: bool,
    ) -> std::io::Result<()> {
        let disk = self.nodes[node].files.clone();
        let Some(fetch) = self.fetch(node, order, run) else { return Ok(()) };
        for item in items.iter() {
            let (file, chunk) = match &fetch.set {
                Set::File(_) => (fetch.files[0], item),
                Set::Batch(_) => (fetch.files[item as usize], 0),
            };
            let write = if right { store::write_chunk } else { store::write_wrong };
            write(&disk, file, chunk).inspect_err(|_| fetch.disk_error = true)?;
        }
        Ok(())
    }

    /// The bytes are not what they should be.
    fn corrupt(
        &mut self,
        node: usize,
        (order, run, key): (usize, u64, OwnerKey),
        owner: usize,
        items: Range,
    ) {
        self.trace(format_args!("{node} hears wrong bytes from {owner}"));
        self.oracle.corrupt(order, owner, items);
        let local = self.local(node);
        for item in items.iter() {
            let Some(fetch) = self.fetch(node, order, run) else { return };
            let actions = fetch.shares.on_corrupt(local, key, item);
            self.carry_out(node, order, run, actions);
        }
    }

    /// The first bytes of a run are here: too early to offer it to others.
    pub fn gained_of(&mut self, node: usize, order: usize, run: u64, items: Range) {
        let Some(fetch) = self.fetch(node, order, run) else { return };
        let (set, fresh) = (fetch.key, fetch.fresh(items));
        self.gained(node, set, &fresh);
    }
}

impl Fetch {
    /// Which of these are not here yet.
    fn fresh(&self, items: Range) -> Vec<u32> {
        items.iter().filter(|item| !self.shares.verified().contains(*item)).collect()
    }
}
