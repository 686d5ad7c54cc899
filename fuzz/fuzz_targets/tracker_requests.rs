//! A tracker's life: each step names a session, says how much time passes, and brings a message as
//! it came off the wire. Whatever strangers send in whatever order, an identity is listed once,
//! answers fit their frames, and an empty tracker is left when all have gone.
#![no_main]

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use parvi::base::{NodeId, Time};
use parvi::logic::registry::{
    ClosedBy, DialOutcome, Effect, IndexLimits, Limits, Registry, SessionToken,
};
use parvi::wire::{Kind, Message};

/// Small, so that inputs reach the bounds.
const LIMITS: Limits = Limits {
    nodes: 5,
    per_address: 3,
    index: IndexLimits { files_per_node: 6, files: 12, name_bytes_per_node: 64, name_bytes: 96 },
};

fuzz_target!(|bytes: &[u8]| {
    let mut tracker = Tracker::new();
    let mut rest = bytes;
    while let Some(([who, wait, kind, len], behind)) = rest.split_first_chunk::<4>() {
        let Some((body, behind)) = behind.split_at_checked(usize::from(*len)) else { break };
        tracker.now = tracker.now + Duration::from_millis(u64::from(*wait) * 200);
        tracker.step(*who, *kind, body);
        tracker.holds();
        rest = behind;
    }
    tracker.everybody_leaves();
});

struct Tracker {
    registry: Registry,
    now: Time,
    /// Open connections; a closed one's place is taken by one with a new number.
    open: [Connection; 8],
    next: u64,
}

/// What the link has proved of whoever sends.
#[derive(Clone, Copy)]
struct Connection {
    session: SessionToken,
    id: NodeId,
    from: IpAddr,
}

impl Tracker {
    fn new() -> Tracker {
        // Some identities come twice, and some addresses are shared.
        let open = std::array::from_fn(|place| Connection {
            session: SessionToken(place as u64),
            id: NodeId::from_bytes([place as u8 % 6; 32]),
            from: IpAddr::V4(Ipv4Addr::new(10, 0, 0, place as u8 / 5)),
        });
        Tracker { registry: Registry::new(7, LIMITS), now: Time::ZERO, open, next: 100 }
    }

    fn step(&mut self, who: u8, kind: u8, body: &[u8]) {
        let place = usize::from(who) % self.open.len();
        match kind {
            0 => return self.close(place, ClosedBy::Peer),
            1 => return self.close(place, ClosedBy::Tracker),
            2 => return self.tick(),
            3 => return while self.registry.sweep() {},
            _ => {}
        }
        let kind = Kind::from_byte(kind).unwrap_or(Kind::ALL[usize::from(kind) % Kind::ALL.len()]);
        let Ok(message) = Message::decode(kind, body) else { return };
        if let Some(answer) = self.answer(self.open[place], message) {
            answer.to_frame().expect("an answer fits its frame");
        }
    }

    fn close(&mut self, place: usize, by: ClosedBy) {
        self.registry.on_session_closed(self.now, self.open[place].session, by);
        self.next += 1;
        self.open[place].session = SessionToken(self.next);
    }

    fn answer(&mut self, connection: Connection, message: Message) -> Option<Message> {
        let now = self.now;
        let Connection { session, id, from } = connection;
        let answer = match message {
            Message::Register(register) => {
                let done = self.registry.on_register(now, session, id, from, &register);
                done.map(|(registered, effects)| {
                    self.obey(effects);
                    registered.into()
                })
            }
            Message::Heartbeat(beat) => {
                self.registry.on_heartbeat(now, session, &beat).map(Into::into)
            }
            Message::CatalogueDelta(page) => {
                self.registry.on_catalogue(now, session, &page).map(Into::into)
            }
            Message::Exit(_) => {
                let effects = self.registry.on_exit(now, session).unwrap_or_default();
                self.obey(effects);
                return None;
            }
            Message::PeersQuestion(question) => Ok(self.registry.peers(&id, &question).into()),
            Message::LookupQuestion(question) => Ok(self.registry.lookup(&question, 3).into()),
            _ => return None,
        };
        Some(answer.unwrap_or_else(Into::into))
    }

    fn tick(&mut self) {
        let effects = self.registry.on_tick(self.now);
        self.obey(effects);
    }

    /// Dial-backs end in each way in turn.
    fn obey(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::DialBack { id, addr } => {
                    self.next += 1;
                    let outcomes = [DialOutcome::Met, DialOutcome::Failed, DialOutcome::NotTried];
                    let outcome = outcomes[self.next as usize % outcomes.len()];
                    self.registry.on_dial_back(self.now, &id, addr, outcome);
                }
                Effect::Close(session) => {
                    if let Some(place) = self.open.iter().position(|c| c.session == session) {
                        self.close(place, ClosedBy::Tracker);
                    }
                }
                Effect::Joined { .. } | Effect::Left { .. } => {}
            }
        }
    }

    fn holds(&self) {
        let listed: Vec<NodeId> = self.registry.nodes(self.now).map(|row| row.id).collect();
        assert_eq!(listed.iter().collect::<BTreeSet<_>>().len(), listed.len());
        assert!(listed.len() <= LIMITS.nodes, "{} nodes are listed", listed.len());
        let (nodes, files, _) = self.registry.totals();
        assert_eq!(nodes, listed.len());
        assert!(files as usize <= LIMITS.index.files, "{files} files are indexed");
    }

    /// After an hour's silence nothing is left.
    fn everybody_leaves(&mut self) {
        for _ in 0..3 {
            self.now = self.now + Duration::from_secs(3600);
            self.tick();
        }
        while self.registry.sweep() {}
        let (nodes, files, bytes) = self.registry.totals();
        assert_eq!((nodes, files, bytes), (0, 0, 0), "a silent node is remembered");
    }
}
