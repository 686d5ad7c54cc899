//! The owner's side, as `node::serve` and `node::swarm` have it: who may open, what its writer says
//! next, who hears of whom.

use parvi::base::{Bitmap, PeerInfo, Time};
use parvi::logic::turns::Turn;
use parvi::logic::upload::Step;
use parvi::wire::message::transfer::{Chunk, FETCHERS_MAX, Fetchers, Next, Opened};
use parvi::wire::{List, Message};

use crate::net::Event;
use crate::node::{Conn, ConnId, Dial, Refusal, SERVED_MAX};
use crate::run::World;

impl World {
    /// OPEN is here.
    pub(crate) fn open(&mut self, dial: Dial) {
        // Who is done by now does not say it.
        if !self.nodes[dial.requester].is_fetching() {
            return;
        }
        match self.admits(dial.owner) {
            Err(why) => self.queue.after(self.plan.latency, Event::Refused(dial, why)),
            Ok(have) => {
                self.count_open(self.nodes[dial.owner].file);
                let owner = &self.nodes[dial.owner];
                let conn = Conn::new(dial, self.items[owner.file].clone(), have.clone());
                let id = self.connect(conn);
                let owner = &mut self.nodes[dial.owner];
                owner.members.insert(id, None);
                owner.spread.join();
                self.machines[owner.machine].served += 1;
                let grows = !have.is_full();
                self.tell_requester(id, Opened { attempt: 1, have, grows }.into());
            }
        }
    }

    /// What a node offers to one more.
    fn admits(&self, n: usize) -> Result<Bitmap, Refusal> {
        let node = &self.nodes[n];
        if node.is_gone {
            return Err(Refusal::Away);
        }
        if self.machines[node.machine].served >= SERVED_MAX {
            return Err(Refusal::Busy);
        }
        node.have(self.items[node.file].count()).ok_or(Refusal::NotHere)
    }

    /// A message of a requester.
    pub(crate) fn owner_hears(&mut self, id: ConnId, message: &Message) {
        if matches!(message, Message::Done(_)) {
            self.requester_lost(id);
            return;
        }
        if matches!(message, Message::Serving(_)) {
            self.serving(id);
            return;
        }
        let Some(owner) = self.conn(id).map(|conn| conn.dial.owner) else { return };
        let mut spread = std::mem::take(&mut self.nodes[owner].spread);
        let heard = self.conn(id).map_or(Ok(()), |conn| match message {
            Message::Want(want) => conn.upload.on_want(want),
            Message::Skip(skip) => conn.upload.on_skip(skip, &mut spread),
            Message::Ack(ack) => conn.upload.on_ack(ack).map(drop),
            _ => Ok(()),
        });
        self.nodes[owner].spread = spread;
        self.outcome.violations += u64::from(heard.is_err());
        self.write(id);
    }

    /// The requester serves what it has: all who do hear of each other, and the owner may fetch there.
    fn serving(&mut self, id: ConnId) {
        let Some(Dial { requester, owner, .. }) = self.conn(id).map(|conn| conn.dial) else {
            return;
        };
        let info = self.nodes[requester].info.clone();
        let mut others: Vec<PeerInfo> = Vec::new();
        let mut told: Vec<ConnId> = Vec::new();
        for (conn, member) in &mut self.nodes[owner].members {
            if *conn == id {
                *member = Some(info.clone());
            } else if let Some(other) = member {
                others.push(other.clone());
                told.push(*conn);
            }
        }
        for conn in told {
            self.say(conn, Fetchers { nodes: List::of(vec![info.clone()]) }.into());
        }
        for page in others.chunks(FETCHERS_MAX) {
            self.say(id, Fetchers { nodes: List::of(page.to_vec()) }.into());
        }
        self.found(owner, vec![info], false);
    }

    /// Queues a message that is said between two chunks.
    fn say(&mut self, id: ConnId, message: Message) {
        if let Some(conn) = self.conn(id) {
            conn.outbox.push_back(message);
            self.write(id);
        }
    }

    /// Items have arrived at a node: whoever fetches from it may have them.
    pub(crate) fn gained(&mut self, n: usize, fresh: &[u32]) {
        if fresh.is_empty() {
            return;
        }
        let members: Vec<ConnId> = self.nodes[n].members.keys().copied().collect();
        let (now, told) = (self.queue.now, members.len());
        for id in members {
            if let Some(conn) = self.conn(id) {
                let new = conn.upload.on_gained(fresh);
                if conn.haves.gained(now, new, told) {
                    self.write(id);
                }
            }
        }
    }

    /// The writer: says and sends until it has to wait, or a run is going out.
    pub(crate) fn write(&mut self, id: ConnId) {
        loop {
            let now = self.queue.now;
            let Some(conn) = self.conn(id).filter(|conn| conn.sending.is_none()) else { return };
            let owner = conn.dial.owner;
            if let Some(message) = conn.next_message(now) {
                let due = conn.haves.due(now);
                due.into_iter().for_each(|at| self.look_again(id, at));
                self.tell_requester(id, message);
                continue;
            }
            let step = self.next_step(id, owner);
            match step {
                None => {
                    self.wake_granted(owner);
                    return;
                }
                Some(Step::Announce(items)) => self.tell_requester(id, Next { items }.into()),
                Some(Step::Send(items)) => {
                    let len = self.conn(id).map_or(0, |conn| conn.upload.items().bytes(items));
                    self.tell_requester(id, Chunk { items, len }.into());
                    if let Some(conn) = self.conn(id) {
                        conn.sending = Some((items, len));
                    }
                    self.enqueue(id);
                    return;
                }
            }
        }
    }

    /// The upload's next step, when its turn has come.
    fn next_step(&mut self, id: ConnId, owner: usize) -> Option<Step> {
        let now = self.queue.now;
        let mut spread = std::mem::take(&mut self.nodes[owner].spread);
        let run = self.conn(id).and_then(|conn| conn.upload.has_step(&spread));
        let (set, machine) = (self.nodes[owner].set(), self.nodes[owner].machine);
        let turns = &mut self.machines[machine].turns;
        let turn = match run {
            Some(bytes) => turns.ask(now, &set, id as u64, bytes),
            None => {
                turns.over(now, &set, id as u64, 0);
                Turn::Yours
            }
        };
        let step = match turn {
            Turn::Yours => self.conn(id).and_then(|conn| conn.upload.next(&mut spread)),
            Turn::Later(at) => {
                self.look_again(id, at);
                None
            }
        };
        self.nodes[owner].spread = spread;
        step
    }

    /// A writer that waits for its turn looks at `at`, too.
    fn look_again(&mut self, id: ConnId, at: Time) {
        let now = self.queue.now;
        if let Some(conn) = self.conn(id)
            && (conn.looks <= now || at < conn.looks)
        {
            conn.looks = at;
            self.queue.push(at, Event::Turn(id));
        }
    }

    /// Those whose turn has come go.
    pub(crate) fn wake_granted(&mut self, owner: usize) {
        let machine = self.nodes[owner].machine;
        for conn in self.machines[machine].turns.granted() {
            self.queue.push(self.queue.now, Event::Turn(conn as ConnId));
        }
    }

    /// The requester of a connection is done, or gone.
    pub(crate) fn requester_lost(&mut self, id: ConnId) {
        let Some(mut conn) = self.disconnect(id) else { return };
        let owner = &mut self.nodes[conn.dial.owner];
        let machine = owner.machine;
        if owner.members.remove(&id).is_some() {
            self.machines[machine].served -= 1;
        }
        conn.upload.leave(&mut owner.spread);
        owner.spread.leave();
        let set = owner.set();
        self.machines[machine].turns.over(self.queue.now, &set, id as u64, 0);
        self.wake_granted(conn.dial.owner);
    }
}
