//! What goes wrong, and how it is well again.

use std::time::Duration;

use parvi::base::Time;
use parvi_wal::testing::{Failure, MemStorage};

use crate::event::Event;
use crate::fetching::Job;
use crate::network::{Packet, Side};
use crate::node::State;
use crate::plan::{DiskKind, Fault};
use crate::store;
use crate::world::World;

impl World {
    /// Something goes wrong.
    pub fn on_fault(&mut self, fault: &Fault) {
        self.trace(format_args!("fault: {fault:?}"));
        match *fault {
            Fault::Kill { node, down } => self.end(node, down, State::Ended, false),
            Fault::Power { node, down } => self.end(node, down, State::Dark, false),
            Fault::Stop { node, down } => self.end(node, down, State::Ended, true),
            Fault::Pause { node, time } if self.nodes[node].state == State::Up => {
                self.nodes[node].state = State::Paused;
                self.after(time, Event::Resume { node });
            }
            Fault::Pause { .. } => {}
            Fault::Partition { a, b, time } => {
                self.net.part(a, b, true);
                self.after(time, Event::Join { a, b });
            }
            Fault::Reset => self.reset(),
            Fault::TrackerKill { down } => {
                self.tracker.kill();
                self.after(down, Event::TrackerStart);
            }
            Fault::Disk { node, disk, only, trouble, time } => {
                let ahead = self.dice.within(0, 3) * self.dice.within(0, 3);
                let at = self.disk(node, disk).operations() + ahead;
                let failure = Failure { at, forever: self.dice.chance(50), only, trouble };
                self.disk(node, disk).fail(Some(failure));
                self.after(time, Event::DiskWell { node, disk });
            }
            Fault::PausedByPerson { order, time } => self.pause_order(order, time),
        }
    }

    /// One of the disks of a node.
    pub fn disk(&self, node: usize, disk: DiskKind) -> &MemStorage {
        match disk {
            DiskKind::Log => &self.nodes[node].log,
            DiskKind::Files => &self.nodes[node].files,
            DiskKind::Orders => &self.nodes[node].orders,
        }
    }

    /// A process ends: by itself, killed, or with its machine.
    fn end(&mut self, node: usize, down: Duration, state: State, graceful: bool) {
        if matches!(self.nodes[node].state, State::Ended | State::Dark) {
            return;
        }
        let graceful = graceful && self.nodes[node].state == State::Up;
        if graceful {
            let process = self.nodes[node].process.as_ref().expect("it runs");
            for order in process.jobs.keys().copied().collect::<Vec<_>>() {
                self.halt(node, order, None);
            }
        }
        for (conn, side) in self.net.ends_of(node) {
            match state {
                // The system closes what its process had open.
                State::Ended => self.close(conn, side),
                _ => self.net.conns.get_mut(&conn).expect("known").end_mut(side).open = false,
            }
        }
        let process = self.nodes[node].process.take();
        self.take_deferred(node);
        if state == State::Ended && !self.net.is_parted(node, None) {
            self.tracker.closed(self.now, process.and_then(|process| process.session));
        }
        self.nodes[node].state = state;
        if state == State::Dark {
            self.lose_power(node);
        }
        self.judge_disk(node);
        self.after(down, Event::Boot { node });
    }

    /// What was not synced survives as chance has it.
    fn lose_power(&mut self, node: usize) {
        let survive = |dice: &mut crate::dice::Dice, disk: &MemStorage| {
            let disk = MemStorage::from_image(disk.image().random_survivor(&mut || dice.next()));
            disk.seed(dice.next());
            disk
        };
        let known = &mut self.nodes[node];
        for disk in [&mut known.log, &mut known.files, &mut known.orders] {
            *disk = survive(&mut self.dice, disk);
        }
    }

    /// A node starts.
    pub fn on_boot(&mut self, node: usize) {
        if matches!(self.nodes[node].state, State::Up | State::Paused) {
            return;
        }
        let now = self.now;
        let (records, damage) = match self.nodes[node].start(now) {
            Ok(recovered) => recovered,
            Err(why) => {
                self.trace(format_args!("{node} does not start: {why}"));
                return self.after(Duration::from_secs(1), Event::Boot { node });
            }
        };
        self.trace(format_args!("{node} starts, {} records", records.len()));
        self.judge_recovery(node, &records, damage);
        let life = self.nodes[node].life;
        self.after(Duration::from_secs(1), Event::Tick { node, life });
        let wait = self.dice.millis(1, 300);
        self.after(wait, Event::Beat { node, life });
        self.begin_to_talk(node);
        for (order, paused) in store::orders(&self.nodes[node].orders) {
            let process = self.nodes[node].process.as_mut().expect("it runs");
            process.jobs.insert(order, Job { paused, run: 0, fetch: None });
            self.start_job(node, order);
        }
        for order in self.unkept.clone() {
            if self.plan.orders[order].node == node {
                self.after(Duration::from_secs(1), Event::Person { order });
            }
        }
    }

    /// A person orders, as soon as the node is there to take it.
    pub fn on_person(&mut self, order: usize) {
        let node = self.plan.orders[order].node;
        if self.satisfied.contains(&order) {
            return;
        }
        if self.nodes[node].state != State::Up {
            return self.after(Duration::from_secs(1), Event::Person { order });
        }
        let process = self.nodes[node].process.as_mut().expect("it runs");
        if process.jobs.contains_key(&order) {
            return;
        }
        process.jobs.insert(order, Job { paused: false, run: 0, fetch: None });
        self.keep_order(order, false);
        self.start_job(node, order);
    }

    fn keep_order(&mut self, order: usize, paused: bool) {
        let node = self.plan.orders[order].node;
        match store::keep_order(&self.nodes[node].orders, order, paused) {
            Ok(()) => self.unkept.remove(&order),
            Err(_) => self.unkept.insert(order),
        };
    }

    fn pause_order(&mut self, order: usize, time: Duration) {
        let node = self.plan.orders[order].node;
        let state = self.nodes[node].state;
        let Some(process) = self.nodes[node].process.as_mut() else { return };
        let Some(job) = process.jobs.get_mut(&order) else { return };
        if state != State::Up || job.paused {
            return;
        }
        if job.fetch.as_ref().is_some_and(|fetch| fetch.publishing) {
            return;
        }
        job.paused = true;
        self.keep_order(order, true);
        self.halt(node, order, Some("paused"));
        self.after(time, Event::GoOn { order });
    }

    /// The person who paused an order goes on with it.
    pub fn on_go_on(&mut self, order: usize) {
        let node = self.plan.orders[order].node;
        if self.nodes[node].state != State::Up {
            return self.after(Duration::from_secs(1), Event::GoOn { order });
        }
        let process = self.nodes[node].process.as_mut().expect("it runs");
        let Some(job) = process.jobs.get_mut(&order).filter(|job| job.paused) else { return };
        job.paused = false;
        self.keep_order(order, false);
        self.start_job(node, order);
    }

    /// A connection breaks, with all that is on the way.
    fn reset(&mut self) {
        let open: Vec<_> =
            self.net.conns.iter().filter(|(_, c)| !c.is_dead()).map(|(id, _)| *id).collect();
        let Some(conn) = open.get(self.dice.below(open.len())).copied() else { return };
        for side in [Side::Dialler, Side::Acceptor] {
            let end = self.net.conns.get_mut(&conn).expect("known").end_mut(side);
            // Whole messages before the break may still come through.
            let kept = self.dice.below(end.inbox.len() + 1);
            end.inbox.truncate(kept);
            let at: Time = end.inbox.back().map_or(self.now, |(at, _)| *at);
            end.inbox.push_back((at, Packet::Closed));
            self.at(at, Event::Arrive { conn, side });
        }
    }

    /// A process goes on where it stood still.
    pub fn on_resume(&mut self, node: usize) {
        if self.nodes[node].state != State::Paused {
            return;
        }
        self.nodes[node].state = State::Up;
        for event in self.take_deferred(node) {
            self.after(Duration::ZERO, event);
        }
        self.release(|here, _| here == node);
    }

    /// Two reach each other again.
    pub fn on_join(&mut self, a: usize, b: Option<usize>) {
        self.net.part(a, b, false);
        if let Some(b) = b {
            self.release(|x, y| (x, y) == (a, b) || (y, x) == (a, b));
        }
    }

    /// From now on nothing goes wrong.
    pub fn on_heal(&mut self) {
        self.trace(format_args!("all is well again"));
        self.net.join_all();
        self.tracker.start();
        for node in 0..self.nodes.len() {
            for disk in [DiskKind::Log, DiskKind::Files, DiskKind::Orders] {
                self.disk(node, disk).fail(None);
            }
            self.on_resume(node);
            self.on_boot(node);
        }
        self.release(|_, _| true);
        for order in 0..self.plan.orders.len() {
            self.on_go_on(order);
        }
    }
}
