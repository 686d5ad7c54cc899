//! Random sequences of all that the ledger can be told, beside a model that knows only who opened
//! last and what the log has begun. Proptest prints a sequence that fails, as short as it can, and
//! keeps its seed.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

type Key = (NodeId, SetKey);

const TOTAL: u64 = 1_600;

#[derive(Debug, Clone)]
enum Input {
    Open {
        who: u8,
        what: u8,
        resumable: bool,
    },
    /// On the connection with this number, of those there were.
    Ack(u64, u64),
    Close(u64, Lost),
    Answer(u8, u8, Answer),
    Gone(u8, u8),
    Returned(u8),
    Due(Reach),
    Pass(u64),
    Restart,
}

fn input() -> impl Strategy<Value = Input> {
    let (who, what) = (|| 0_u8..3, || 0_u8..2);
    let how = prop_oneof![
        Just(Lost::Done),
        Just(Lost::Cancelled("no".into())),
        Just(Lost::Silent),
        Just(Lost::Broken),
    ];
    let answer = prop_oneof![
        Just(Answer::Coming),
        Just(Answer::Done),
        Just(Answer::Cancelled("no".into())),
        Just(Answer::Later("busy".into())),
        Just(Answer::Away("refused".into())),
        Just(Answer::NotTried("no thread".into())),
    ];
    let reach = prop_oneof![
        4 => Just(Reach::Call),
        1 => Just(Reach::Absent),
        1 => Just(Reach::TooOften),
    ];
    // Seconds, or most of a day.
    let pass = prop_oneof![5 => 0_u64..60, 1 => 0_u64..100_000];
    prop_oneof![
        5 => (who(), what(), prop::bool::weighted(0.8))
            .prop_map(|(who, what, resumable)| Input::Open { who, what, resumable }),
        4 => (0_u64..40, 0_u64..2_000).prop_map(|(c, bytes)| Input::Ack(c, bytes)),
        5 => (0_u64..40, how).prop_map(|(c, how)| Input::Close(c, how)),
        4 => (who(), what(), answer).prop_map(|(who, what, a)| Input::Answer(who, what, a)),
        1 => (who(), what()).prop_map(|(who, what)| Input::Gone(who, what)),
        1 => who().prop_map(Input::Returned),
        5 => reach.prop_map(Input::Due),
        4 => pass.prop_map(Input::Pass),
        1 => Just(Input::Restart),
    ]
}

fn node(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

fn key(who: u8, what: u8) -> Key {
    (node(who), [what; 32])
}

/// The ledger, its log, and what must be true of them.
struct Model {
    now: u64,
    ledger: Ledger,
    log: Vec<Record>,
    connections: u64,
    /// Who opened last, on which connection.
    current: BTreeMap<Key, Connection>,
    attempts: BTreeMap<Key, u32>,
    /// Begun in the log and not ended there.
    begun: BTreeSet<Key>,
}

impl Model {
    fn new() -> Model {
        Model {
            now: 0,
            ledger: Ledger::new(PATIENCE),
            log: Vec::new(),
            connections: 0,
            current: BTreeMap::new(),
            attempts: BTreeMap::new(),
            begun: BTreeSet::new(),
        }
    }

    fn give(&mut self, input: Input) {
        let now = at(self.now);
        let one = match input {
            Input::Open { who, what, resumable } => self.open(key(who, what), resumable),
            Input::Ack(c, bytes) => self.ledger.acked(Connection(c), bytes),
            Input::Close(c, how) => {
                self.current.retain(|_, current| *current != Connection(c));
                self.ledger.close(now, Connection(c), how)
            }
            Input::Answer(who, what, answer) => {
                self.ledger.answered(now, node(who), [what; 32], answer, 7)
            }
            Input::Gone(who, what) => self.ledger.gone(node(who), [what; 32]),
            Input::Returned(who) => {
                self.ledger.returned(now, node(who));
                None
            }
            Input::Due(reach) => {
                self.call(reach);
                None
            }
            Input::Pass(seconds) => {
                self.now += seconds;
                let records = self.ledger.tick(at(self.now));
                records.into_iter().for_each(|record| self.log(record));
                None
            }
            Input::Restart => {
                self.restart();
                None
            }
        };
        one.into_iter().for_each(|record| self.log(record));
    }

    fn open(&mut self, key: Key, resumable: bool) -> Option<Record> {
        let connection = Connection(self.connections);
        self.connections += 1;
        let opening = Opening { resumable, ..opening(key.0, key.1) };
        let (opened, record) = self.ledger.open(opening, connection);
        let before = self.attempts.insert(key, opened.attempt).unwrap_or(0);
        assert!(opened.attempt > before, "attempt {} came after {before}", opened.attempt);
        assert_eq!(opened.older, self.current.insert(key, connection));
        assert!(opened.acked <= TOTAL);
        assert!(record.is_some() >= resumable, "it is not in the log");
        record
    }

    fn call(&mut self, reach: Reach) {
        for knock in self.ledger.due(at(self.now), &|_| reach) {
            let key = (knock.requester, knock.set);
            assert!(self.begun.contains(&key) && !self.current.contains_key(&key), "{knock:?}");
        }
    }

    fn restart(&mut self) {
        self.ledger = Ledger::recover(at(self.now), PATIENCE, self.log.clone());
        self.current.clear();
        self.attempts.retain(|key, _| self.begun.contains(key));
    }

    /// One more record, which must fit to those before it.
    fn log(&mut self, record: Record) {
        match &record {
            Record::Begun { requester, set, .. } => {
                self.begun.insert((*requester, *set));
            }
            Record::Acked { requester, set, bytes, .. } => {
                assert!(self.begun.contains(&(*requester, *set)), "{record} was not begun");
                assert!(*bytes <= TOTAL, "{record}");
            }
            Record::Ended { requester, set, .. } => {
                assert!(self.begun.remove(&(*requester, *set)), "{record} had ended before");
            }
        }
        self.log.push(record);
    }

    fn check(&self) {
        for c in (0..self.connections).map(Connection) {
            let current = self.current.values().any(|current| *current == c);
            assert_eq!(self.ledger.is_current(c), current, "{c:?}");
        }
        let again = Ledger::recover(at(self.now), PATIENCE, self.log.clone());
        assert_eq!(begun_in(&again), begun_in(&self.ledger), "the log gives another ledger");
        let keys: BTreeSet<Key> = begun_in(&again).into_keys().collect();
        assert_eq!(keys, self.begun);
    }

    /// Everybody comes once more and has it all.
    fn finish(&mut self) {
        for key in self.begun.clone() {
            let record = self.open(key, true);
            record.into_iter().for_each(|record| self.log(record));
            let last = Connection(self.connections - 1);
            let end = self.ledger.close(at(self.now), last, Lost::Done);
            end.into_iter().for_each(|record| self.log(record));
        }
        assert!(self.begun.is_empty(), "begun and never ended: {:?}", self.begun);
    }
}

/// The attempts of all that a checkpoint would keep.
fn begun_in(ledger: &Ledger) -> BTreeMap<Key, u32> {
    let begun = |record| match record {
        Record::Begun { requester, set, attempt, .. } => Some(((requester, set), attempt)),
        _ => None,
    };
    ledger.live().into_iter().filter_map(begun).collect()
}

proptest! {
    /// Attempts only grow, one connection at most is current, each upload that was begun in the log
    /// ends there once, and the log gives the same live set at any moment.
    #[test]
    fn any_sequence_keeps_what_the_log_says_and_ends_each_upload_once(
        inputs in proptest::collection::vec(input(), 1..120),
    ) {
        let mut model = Model::new();
        for input in inputs {
            model.give(input);
            model.check();
        }
        model.finish();
    }
}
