//! What an owner does each second: gives up who is silent, lets the ledger's time pass, tidies the
//! log, and calls who is missed; as `node/uploads` and `node/knock` do.

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use parvi::base::NodeId;
use parvi::base::limits::WORKING_EVERY;
use parvi::logic::ledger::{Answer, Knock, LOG_KIND, Lost, Met, Reach};
use parvi::wire::message::knock::{self, Knocked};

use crate::event::Event;
use crate::network::{ConnId, Purpose, Side};
use crate::node::PATIENCE;
use crate::serving::Serving;
use crate::tracker::{PORTS, id, ip, label, number};
use crate::world::World;

/// A call has so long for all its answers.
const ANSWERS_TIME: Duration = Duration::from_secs(5);

impl World {
    /// Once a second: gives up silent requesters, lets the ledger's time pass, tidies the log, calls.
    pub fn tick_uploads(&mut self, owner: usize) {
        let (now, local) = (self.now, self.local(owner));
        let drift = self.nodes[owner].drift;
        let patience = PATIENCE.max(WORKING_EVERY * 3).div_f64(drift);
        let process = self.nodes[owner].process.as_mut().expect("it runs");
        let silent = |s: &Serving| now.since(s.heard.max(s.moved)) > patience;
        let silent: Vec<ConnId> =
            process.serving.iter().filter(|(_, s)| s.open && silent(s)).map(|(c, _)| *c).collect();
        for conn in silent {
            self.trace(format_args!("{owner} gives up connection {conn}"));
            self.over(owner, conn, Lost::Silent);
        }
        let process = self.nodes[owner].process.as_mut().expect("it runs");
        let records = process.ledger.tick(local);
        self.note(owner, records);
        let process = self.nodes[owner].process.as_mut().expect("it runs");
        if process.wal.wants_checkpoint() {
            let live: Vec<_> = process
                .ledger
                .live()
                .iter()
                .map(|r| parvi_wal::Record::new(LOG_KIND, r.to_log().expect("it fits")))
                .collect();
            for record in process.ledger.live() {
                self.oracle.known(owner, &record.to_log().expect("it fits"));
            }
            // A failure is tried again at the next tick.
            process.wal.checkpoint(&live).map(drop).unwrap_or_default();
        }
        self.look_for_returned(owner);
        let process = self.nodes[owner].process.as_mut().expect("it runs");
        let (book, budget) = (&process.book, RefCell::new(&mut process.budget));
        let reach = |id: &NodeId| match book.get(id) {
            None => Reach::Absent,
            Some(peer) if budget.borrow_mut().take(local, peer.ip, *id) => Reach::Call,
            Some(_) => Reach::TooOften,
        };
        let knocks = process.ledger.due(local, &reach);
        for call in knocks.chunk_by(|a, b| a.requester == b.requester) {
            let to = number(&call[0].requester);
            self.trace(format_args!("{owner} calls {to} for {} sets", call.len()));
            let left = call.iter().copied().collect();
            self.dial(owner, to, Purpose::Call { left, heard: false });
        }
    }

    fn look_for_returned(&mut self, owner: usize) {
        let local = self.local(owner);
        let process = self.nodes[owner].process.as_mut().expect("it runs");
        let mut still = BTreeSet::new();
        for waiting in process.ledger.waiting(local) {
            match process.book.get(&waiting.requester) {
                None => {
                    still.insert(waiting.requester);
                }
                Some(peer) if process.away.contains(&waiting.requester) => {
                    process.budget.renewed(local, peer.ip);
                    process.ledger.returned(local, waiting.requester);
                }
                Some(_) => {}
            }
        }
        process.away = still;
    }

    /// A call has reached its process.
    pub fn call_connected(&mut self, conn: ConnId) {
        self.after(ANSWERS_TIME, Event::Hang { conn, side: Side::Dialler });
        self.ask_next(conn);
    }

    /// Asks after the next set of a call that is still missed, or hangs up.
    fn ask_next(&mut self, conn: ConnId) {
        let Some(owner) = self.node_of(conn, Side::Dialler) else { return };
        let Some(known) = self.net.conns.get_mut(&conn) else { return };
        let requester = known.end(Side::Acceptor).node;
        let Purpose::Call { left, .. } = &mut known.purpose else { return };
        let ledger = &self.nodes[owner].process.as_ref().expect("it runs").ledger;
        while left.front().is_some_and(|knock| !ledger.is_knocked(knock.requester, knock.set)) {
            left.pop_front();
        }
        let Some(Knock { set, content, .. }) = left.front().copied() else {
            self.hung_up(owner, requester, Met::Answered);
            return self.close(conn, Side::Dialler);
        };
        let knock = knock::Knock { set, content, label: label(owner), ports: PORTS };
        self.say(conn, Side::Dialler, knock.into());
    }

    /// What came of a knock.
    pub fn knock_answered(&mut self, owner: usize, conn: ConnId, answer: Knocked) {
        let Some(known) = self.net.conns.get_mut(&conn) else { return };
        let Purpose::Call { left, heard } = &mut known.purpose else { return };
        *heard = true;
        let Some(knock) = left.pop_front() else { return };
        let answer = match answer {
            Knocked::Coming => Answer::Coming,
            Knocked::Done => Answer::Done,
            Knocked::NotWanted(why) => Answer::Cancelled(why.shown()),
            Knocked::Later(why) => Answer::Later(why.shown()),
        };
        self.heard(owner, &knock, answer);
        self.ask_next(conn);
    }

    /// A call has ended before all of it was answered.
    pub fn call_over(&mut self, owner: usize, left: VecDeque<Knock>, met: Met) {
        let Some(first) = left.front() else { return };
        self.hung_up(owner, number(&first.requester), met);
        for knock in left {
            self.heard(owner, &knock, Answer::Away("no answer".into()));
        }
    }

    fn heard(&mut self, owner: usize, knock: &Knock, answer: Answer) {
        let (local, random) = (self.local(owner), self.dice.next());
        self.trace(format_args!("{owner} knocked at {}: {answer:?}", number(&knock.requester)));
        let Some(process) = self.nodes[owner].process.as_mut() else { return };
        let record = process.ledger.answered(local, knock.requester, knock.set, answer, random);
        self.note(owner, record);
    }

    fn hung_up(&mut self, owner: usize, requester: usize, met: Met) {
        let local = self.local(owner);
        let Some(process) = self.nodes[owner].process.as_mut() else { return };
        process.budget.met(local, ip(requester), id(requester), met);
    }
}
