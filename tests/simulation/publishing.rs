//! From verified to named, step by step: what `io/disk/publish` does in a row, so that a crash or a
//! failing disk comes between any two steps.
//!
//! ```text
//! sync the part, or copies of the small files -> rename each -> sync the folder -> DONE -> forget the order
//! ```

use parvi::wire::Text;
use parvi::wire::message::transfer::{Cancel, Done};
use parvi_wal::Storage;

use crate::event::Event;
use crate::store;
use crate::world::{Sabotage, World};

impl World {
    /// One step.
    pub fn on_publish(&mut self, node: usize, order: usize, run: u64, step: u8) {
        let Some(fetch) = self.fetch(node, order, run) else { return };
        let (files, batch) = (fetch.files.clone(), fetch.items.is_batch());
        let disk = self.nodes[node].files.clone();
        let careless = self.sabotage == Sabotage::NoSyncBeforeDone;
        let done = match step {
            0 if careless && !batch => Ok(()),
            0 if batch => files.iter().try_for_each(|file| store::stage(&disk, *file, run)),
            0 => store::sync_part(&disk, files[0]),
            1 if batch => files.iter().try_for_each(|file| store::name_staged(&disk, *file, run)),
            1 => store::name_part(&disk, files[0]),
            2 if careless => Ok(()),
            2 => disk.sync_dir(),
            _ => return self.published(node, order, &files),
        };
        let life = self.nodes[node].life;
        match done {
            Ok(()) => {
                let slow = if self.dice.chance(20) { 3_000 } else { 100 };
                let wait = self.dice.millis(0, slow);
                let step = step + 1;
                self.after(wait, Event::Publish { node, life, order, run, step });
            }
            Err(e) => {
                self.trace(format_args!("{node} cannot publish order {order}: step {step}: {e}"));
                self.withdraw(node, order);
                let cancel = Cancel { reason: Text::of("no name") };
                self.last_word(node, order, Some(cancel.into()));
                self.job_failed(node, order);
            }
        }
    }

    fn published(&mut self, node: usize, order: usize, files: &[usize]) {
        self.trace(format_args!("{node} has order {order}"));
        self.promise(node, files);
        let process = self.nodes[node].process.as_mut().expect("it runs");
        let fetch = process.jobs.get(&order).and_then(|job| job.fetch.as_ref());
        process.done.extend(fetch.map(|fetch| fetch.key));
        self.last_word(node, order, Some(Done.into()));
        self.job_over(node, order);
    }

    /// The order is done: nobody needs to remember it.
    pub fn job_over(&mut self, node: usize, order: usize) {
        let process = self.nodes[node].process.as_mut().expect("it runs");
        process.jobs.remove(&order);
        // Should that fail, the next start finds that all is there.
        store::drop_order(&self.nodes[node].orders, order).unwrap_or_default();
        self.satisfied.insert(order);
    }

    /// It has ended with a fault: the person reads that, and orders again.
    fn job_failed(&mut self, node: usize, order: usize) {
        let process = self.nodes[node].process.as_mut().expect("it runs");
        process.jobs.remove(&order);
        store::drop_order(&self.nodes[node].orders, order).unwrap_or_default();
        let wait = self.dice.millis(2_000, 6_000);
        self.after(wait, Event::Person { order });
    }
}
