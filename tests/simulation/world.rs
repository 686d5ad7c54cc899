//! The world: one queue of events in simulated time, and everything that they touch.
//!
//! Invariant: nothing but the plan and the dice decides what happens, so that a seed always gives
//! the same run. Ends when every order is done and nothing is left open, or at its deadline.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use parvi::base::Time;
use parvi::wire::message::transfer::Content;

use crate::dice::Dice;
use crate::event::Event;
use crate::network::{ConnId, Network, Side};
use crate::node::{Node, State};
use crate::oracle::Oracle;
use crate::plan::{HEALED_AT, LAST_FAULT, Plan, one_fault};
use crate::store;
use crate::trace::Trace;
use crate::tracker::{BEAT_EVERY, Tracker};

/// What is taken out of the nodes, to see that it is missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    Nothing,
    /// DONE is said without a sync before it.
    NoSyncBeforeDone,
    /// A file that is found under its final name is taken for durable.
    NoSyncOfWhatIsHere,
    /// A part is checked in memory, where more may be than a failed sync has left on the disk.
    FailedSyncAgain,
    /// What comes on an old connection counts for the current one.
    NoAttemptCheck,
    /// An upload is logged as ended when its last byte is acknowledged.
    EndOnLastAck,
    /// Bytes are taken for a chunk's without a look at their hash.
    NoVerification,
    /// A requester serves a chunk as soon as its first bytes come.
    ServedUnverified,
    /// What was promised of a part is still promised when that is lent no more.
    PromiseKept,
    /// Whoever says anything is taken for one who sends.
    TalkCounts,
}

/// Everything.
pub struct World {
    pub plan: Plan,
    pub now: Time,
    pub dice: Dice,
    pub nodes: Vec<Node>,
    pub net: Network,
    pub tracker: Tracker,
    pub oracle: Oracle,
    pub sabotage: Sabotage,
    /// Orders that were done once.
    pub satisfied: BTreeSet<usize>,
    /// Orders that a disk did not take: their persons look after them.
    pub unkept: BTreeSet<usize>,
    queue: BTreeMap<(Time, u64), Event>,
    events: u64,
    /// What a node that stands still has before it.
    deferred: BTreeMap<usize, Vec<Event>>,
    trace: Trace,
}

/// How a run went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Of everything that happened, in its order.
    pub fingerprint: u64,
    pub events: u64,
    /// What was violated; nothing when all was well.
    pub failure: Option<String>,
    /// The last things that happened.
    pub last: Vec<String>,
}

/// Runs `plan` with the dice of `seed`.
pub fn run(seed: u64, plan: Plan, sabotage: Sabotage) -> Outcome {
    let mut world = World::new(seed, plan, sabotage);
    world.begin();
    let deadline = HEALED_AT + world.time_after_healing();
    while world.oracle.failure().is_none() {
        let Some(((at, _), event)) = world.queue.pop_first() else { break };
        if at > deadline {
            let rest = world.rest();
            world.oracle.fail(format!("I3: after healing {rest} did not end in time"));
            break;
        }
        world.now = at;
        world.step(event);
        if at > HEALED_AT && world.is_over() {
            world.judge_all();
            break;
        }
    }
    Outcome {
        fingerprint: world.trace.fingerprint(),
        events: world.events,
        failure: world.oracle.failure(),
        last: world.trace.into_last(),
    }
}

impl World {
    fn new(seed: u64, plan: Plan, sabotage: Sabotage) -> World {
        let nodes = (0..plan.nodes).map(|n| Node::new(n, plan.drift[n], seed)).collect();
        World {
            now: Time::ZERO,
            dice: Dice::new(seed ^ 0x5eed),
            nodes,
            net: Network::default(),
            tracker: Tracker::new(),
            oracle: Oracle::default(),
            sabotage,
            satisfied: BTreeSet::new(),
            unkept: BTreeSet::new(),
            queue: BTreeMap::new(),
            events: 0,
            deferred: BTreeMap::new(),
            trace: Trace::default(),
            plan,
        }
    }

    fn begin(&mut self) {
        for (file, spec) in self.plan.files.iter().enumerate() {
            for node in &spec.holders {
                store::put_final(&self.nodes[*node].files, file, spec.items);
            }
        }
        for node in 0..self.plan.nodes {
            self.after(Duration::from_millis(node as u64), Event::Boot { node });
        }
        for order in 0..self.plan.orders.len() {
            self.at(self.plan.orders[order].at, Event::Person { order });
        }
        for number in 0..self.plan.faults.len() {
            self.at(self.plan.faults[number].0, Event::Fault { number });
        }
        self.at(HEALED_AT, Event::Heal);
    }

    /// Three ACK timeouts, and what the slowest line needs for everything.
    fn time_after_healing(&self) -> Duration {
        let orders = self.plan.orders.iter().flat_map(|order| &order.files);
        let bytes: u64 = orders.map(|file| self.plan.files[*file].content.size).sum();
        let slowest = self.plan.up.iter().min().copied().unwrap_or(1);
        crate::node::PATIENCE * 3 + Duration::from_secs_f64(bytes as f64 / slowest as f64)
    }

    /// Puts an event at a time.
    pub fn at(&mut self, at: Time, event: Event) {
        self.events += 1;
        self.queue.insert((at.max(self.now), self.events), event);
    }

    /// Puts an event a while from now.
    pub fn after(&mut self, wait: Duration, event: Event) {
        self.at(self.now + wait, event);
    }

    /// Notes what happens.
    pub fn trace(&mut self, words: fmt::Arguments<'_>) {
        self.trace.note(self.now, words);
    }

    fn step(&mut self, event: Event) {
        if let Some((node, life)) = self.whose(&event) {
            let known = &self.nodes[node];
            if known.life != life || matches!(known.state, State::Ended | State::Dark) {
                return;
            }
            if known.state == State::Paused {
                self.deferred.entry(node).or_default().push(event);
                return;
            }
        }
        let is_delicate = matches!(
            event,
            Event::Publish { .. } | Event::Logged { .. } | Event::Found { .. } | Event::GoOn { .. }
        );
        if is_delicate && self.now < LAST_FAULT && self.dice.chance(self.plan.malice) {
            let (nodes, orders) = (self.plan.nodes, self.plan.orders.len());
            let fault = one_fault(&mut self.dice, &self.plan.kinds, nodes, orders);
            self.on_fault(&fault);
            return self.at(self.now, event);
        }
        self.trace.step(self.now, &event);
        self.happen(event);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Boot { node } => self.on_boot(node),
            Event::Tick { node, life } => self.on_tick(node, life),
            Event::Beat { node, life } => self.on_beat(node, life),
            Event::Person { order } => self.on_person(order),
            Event::Order { node, order, .. } => self.start_job(node, order),
            Event::Found { node, order, run, .. } => self.on_found(node, order, run),
            Event::Look { node, order, run, .. } => self.on_look(node, order, run),
            Event::Publish { node, order, run, step, .. } => {
                self.on_publish(node, order, run, step);
            }
            Event::Dialled { node, to, purpose, until, .. } => {
                self.on_dialled(node, to, purpose, until);
            }
            Event::DialFailed { node, purpose, .. } => self.on_dial_failed(node, purpose),
            Event::Arrive { conn, side } => self.on_arrive(conn, side),
            Event::Broken { conn, side } => self.on_broken(conn, side),
            Event::Hang { conn, side } => self.on_hang(conn, side),
            Event::AnswerDue { conn } => self.on_answer_due(conn),
            Event::Logged { conn } => self.on_logged(conn),
            Event::Sent { conn, items } => self.on_sent(conn, items),
            Event::Tell { conn } => self.pump(conn),
            Event::Talk { node, life } => self.on_talk(node, life),
            Event::Fault { number } => {
                let fault = self.plan.faults[number].1.clone();
                self.on_fault(&fault);
            }
            Event::Resume { node } => self.on_resume(node),
            Event::Join { a, b } => self.on_join(a, b),
            Event::TrackerStart => self.tracker.start(),
            Event::DiskWell { node, disk } => self.disk(node, disk).fail(None),
            Event::GoOn { order } => self.on_go_on(order),
            Event::Heal => self.on_heal(),
        }
    }

    /// The process that an event is for, where it is for one.
    fn whose(&self, event: &Event) -> Option<(usize, u64)> {
        let end = |conn: &ConnId, side: Side| {
            let end = self.net.conns.get(conn)?.end(side);
            Some((end.node, end.life))
        };
        match event {
            Event::Tick { node, life }
            | Event::Beat { node, life }
            | Event::Talk { node, life }
            | Event::Order { node, life, .. }
            | Event::Found { node, life, .. }
            | Event::Look { node, life, .. }
            | Event::Publish { node, life, .. }
            | Event::DialFailed { node, life, .. }
            | Event::Dialled { node, life, .. } => Some((*node, *life)),
            Event::Arrive { conn, side }
            | Event::Broken { conn, side }
            | Event::Hang { conn, side } => end(conn, *side),
            Event::AnswerDue { conn } => end(conn, Side::Dialler),
            Event::Logged { conn } | Event::Tell { conn } | Event::Sent { conn, .. } => {
                end(conn, Side::Acceptor)
            }
            _ => None,
        }
    }

    /// What a node that stood still finds before it.
    pub fn take_deferred(&mut self, node: usize) -> Vec<Event> {
        self.deferred.remove(&node).unwrap_or_default()
    }

    fn on_tick(&mut self, node: usize, life: u64) {
        self.tracker.tick(self.now);
        self.tick_uploads(node);
        self.say_working(node);
        self.net.sweep();
        self.after(Duration::from_secs(1), Event::Tick { node, life });
    }

    fn on_beat(&mut self, node: usize, life: u64) {
        let local = self.local(node);
        let reaches = !self.net.is_parted(node, None);
        let process = self.nodes[node].process.as_mut().expect("it runs");
        let mut wait = BEAT_EVERY;
        if reaches {
            let (session, book) = (&mut process.session, &mut process.book);
            self.tracker.beat(self.now, local, node, life, session, book);
            if session.is_none() {
                wait = Duration::from_secs(2);
            }
        }
        self.after(wait, Event::Beat { node, life });
    }

    /// Every five seconds a requester says that it is alive.
    fn say_working(&mut self, node: usize) {
        let process = self.nodes[node].process.as_mut().expect("it runs");
        process.ticks += 1;
        if !process.ticks.is_multiple_of(5) {
            return;
        }
        let fetches = process.jobs.values().filter_map(|job| job.fetch.as_ref());
        let lanes = fetches.flat_map(|fetch| fetch.lanes.values());
        let conns: Vec<ConnId> =
            lanes.filter(|lane| lane.attempt > 0).filter_map(|lane| lane.conn).collect();
        for conn in conns {
            let working = parvi::wire::message::transfer::Working;
            self.say(conn, Side::Dialler, working.into());
        }
    }

    /// A process's own clock.
    pub fn local(&self, node: usize) -> Time {
        self.nodes[node].local(self.now)
    }

    /// The file that has this content.
    pub fn file_of(&self, content: &Content) -> Option<usize> {
        self.plan.files.iter().position(|spec| spec.content == *content)
    }

    /// Whether a node has a file under its final name.
    pub fn has_file(&self, node: usize, file: usize) -> bool {
        let node = &self.nodes[node];
        store::final_is_right(&node.files, file, self.plan.files[file].items).is_some()
    }

    /// Whether a node answers another.
    pub fn reaches(&self, from: usize, to: usize) -> bool {
        from != to && self.nodes[to].state == State::Up && !self.net.is_parted(from, Some(to))
    }

    fn is_over(&self) -> bool {
        self.rest().is_empty()
    }

    /// What has not ended, in words.
    fn rest(&self) -> String {
        let mut rest: Vec<String> = (0..self.plan.orders.len())
            .filter(|order| !self.satisfied.contains(order))
            .map(|order| format!("order {order}"))
            .collect();
        for node in &self.nodes {
            let Some(process) = &node.process else {
                rest.push(format!("the start of node {}", node.n));
                continue;
            };
            let waiting = process.ledger.waiting(node.local(self.now));
            rest.extend(waiting.iter().map(|w| {
                format!("an upload of node {} to {}: {}", node.n, w.requester.short(), w.reason)
            }));
            let (serving, jobs) = (process.serving.len(), process.jobs.len());
            if serving + jobs > 0 {
                rest.push(format!("{serving} connections, {jobs} downloads of node {}", node.n));
            }
        }
        rest.join("; ")
    }
}
