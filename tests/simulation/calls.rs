//! What an owner does each second: gives up who is silent, lets the ledger's time pass, tidies the
//! log, and calls who is missed; as `node/uploads` and `node/knock` do.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use parvi::base::NodeId;
use parvi::base::limits::WORKING_EVERY;
use parvi::logic::ledger::{Answer, Knock, LOG_KIND, Lost, Reach};
use parvi::wire::message::knock::{self, Knocked};

use crate::event::Event;
use crate::network::{ConnId, Purpose, Side};
use crate::node::PATIENCE;
use crate::serving::Serving;
use crate::tracker::{PORTS, ip, label, number};
use crate::world::World;

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
        for knock in process.ledger.due(local, &reach) {
            let to = number(&knock.requester);
            self.trace(format_args!("{owner} knocks at {to}"));
            self.dial(owner, to, Purpose::Knock(knock));
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
                    process.budget.renewed(peer.ip);
                    process.ledger.returned(local, waiting.requester);
                }
                Some(_) => {}
            }
        }
        process.away = still;
    }

    /// A call has reached its process.
    pub fn knock_connected(&mut self, conn: ConnId, knock: &Knock) {
        let Some(owner) = self.node_of(conn, Side::Dialler) else { return };
        let knock = knock::Knock {
            set: knock.set,
            content: knock.content,
            label: label(owner),
            ports: PORTS,
        };
        self.say(conn, Side::Dialler, knock.into());
        self.after(Duration::from_secs(10), Event::Hang { conn, side: Side::Dialler });
    }

    /// What came of a call, if it is known by now.
    pub fn knock_answered(&mut self, owner: usize, knock: &Knock, answer: Option<Knocked>) {
        let (local, random) = (self.local(owner), self.dice.next());
        let answer = match answer {
            Some(Knocked::Coming) => Answer::Coming,
            Some(Knocked::Done) => Answer::Done,
            Some(Knocked::NotWanted(why)) => Answer::Cancelled(why.shown()),
            Some(Knocked::Later(why)) => Answer::Later(why.shown()),
            None => Answer::Away("no answer".into()),
        };
        self.trace(format_args!("{owner} knocked at {}: {answer:?}", number(&knock.requester)));
        let Some(process) = self.nodes[owner].process.as_mut() else { return };
        let met = !matches!(answer, Answer::Away(_));
        process.budget.met(local, ip(number(&knock.requester)), knock.requester, met);
        let record = process.ledger.answered(local, knock.requester, knock.set, answer, random);
        self.note(owner, record);
    }
}
