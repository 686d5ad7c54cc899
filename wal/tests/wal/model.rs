//! What a log must return after a crash, kept beside it while it is used.
//!
//! A history is a list of records with what is owed for each. While it is not known whether a
//! checkpoint came to be there are two histories, and one of them must explain what is found.

use parvi_wal::testing::MemStorage;
use parvi_wal::{Fault, Record, Recovered, Wal, WalState};

use super::common::{Dice, open, record};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owed {
    /// It was acknowledged: it is there.
    Acknowledged,
    /// It was appended: it is there when anything after it is.
    Ordered,
    /// Its append failed or was not over: it may be there.
    Perhaps,
}

#[derive(Clone, Default)]
pub struct Model {
    pub histories: Vec<Vec<(Record, Owed)>>,
}

impl Model {
    pub fn of(records: &[Record]) -> Model {
        Model { histories: vec![acknowledged(records)] }
    }

    fn append(&mut self, record: &Record, owed: Owed) {
        self.histories.iter_mut().for_each(|h| h.push((record.clone(), owed)));
    }

    fn acknowledge_all(&mut self) {
        for (_, owed) in self.histories.iter_mut().flatten() {
            if *owed == Owed::Ordered {
                *owed = Owed::Acknowledged;
            }
        }
    }

    /// Panics with the reason when no history explains `found`; `only_crashed` when nothing but
    /// crashes happened, which no honest log takes for corruption.
    #[track_caller]
    pub fn check(&self, found: &Recovered, only_crashed: bool) {
        let explained = self.histories.iter().any(|h| explains(h, found));
        assert!(
            explained,
            "found {} records, owed {self:?}\n{}",
            found.records.len(),
            found.report
        );
        for damage in found.report.damage.iter().filter(|_| only_crashed) {
            let Fault::Corrupt(lost) = &damage.what else { panic!("a crash did: {damage}") };
            assert!(!lost.was_durable, "a crash did: {damage}");
        }
    }
}

fn number(record: &Record) -> u64 {
    u64::from_le_bytes(record.payload[..8].try_into().unwrap())
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for history in &self.histories {
            writeln!(f)?;
            history.iter().try_for_each(|(r, owed)| write!(f, " {}:{owed:?}", number(r)))?;
        }
        Ok(())
    }
}

fn acknowledged(records: &[Record]) -> Vec<(Record, Owed)> {
    records.iter().map(|r| (r.clone(), Owed::Acknowledged)).collect()
}

/// Whether `found` is in `history`'s order, has all that is acknowledged, and unless a gap is
/// reported, leaves out nothing in the middle.
fn explains(history: &[(Record, Owed)], found: &Recovered) -> bool {
    let mut rest = found.records.iter().peekable();
    let mut gap = false;
    let told = !found.report.damage.is_empty() || !found.report.kept_before.is_empty();
    for (record, owed) in history {
        let is_there = rest.next_if_eq(&record).is_some();
        match owed {
            Owed::Acknowledged if !is_there => return false,
            Owed::Ordered if !is_there => gap = true,
            Owed::Ordered if gap && !told => return false,
            _ => {}
        }
    }
    rest.peek().is_none()
}

/// What one step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Lazy(usize),
    Durable(usize),
    Sync,
    Checkpoint,
}

impl Step {
    pub fn random(dice: &mut Dice) -> Step {
        let longest = if dice.below(8) == 0 { 1500 } else { 80 };
        let len = dice.below(longest) as usize;
        match dice.below(16) {
            0..6 => Step::Lazy(len),
            6..13 => Step::Durable(len),
            13 => Step::Sync,
            _ => Step::Checkpoint,
        }
    }
}

/// A log, its disk and its model.
pub struct Run {
    pub storage: MemStorage,
    pub wal: Option<Wal>,
    pub model: Model,
    pub segment_bytes: u64,
    pub next: u64,
    /// What the log said no to.
    pub refused: u64,
}

impl Run {
    pub fn new(storage: MemStorage, segment_bytes: u64) -> Run {
        let (wal, found) = open(&storage, segment_bytes);
        let model = Model::of(&found.records);
        Run { storage, wal: Some(wal), model, segment_bytes, next: 0, refused: 0 }
    }

    /// The model while `step` is under way: what a crash in its middle may leave.
    pub fn during(&self, step: Step) -> Model {
        let mut model = self.model.clone();
        match step {
            Step::Lazy(len) | Step::Durable(len) => {
                model.append(&record(self.next, len), Owed::Perhaps);
            }
            Step::Sync => {}
            Step::Checkpoint => model.histories.push(acknowledged(&self.live())),
        }
        model
    }

    pub fn step(&mut self, step: Step) {
        let wal = self.wal.as_ref().unwrap();
        let before = (wal.state(), wal.last_record());
        match step {
            Step::Lazy(len) | Step::Durable(len) => {
                let record = record(self.next, len);
                self.next += 1;
                let durable = matches!(step, Step::Durable(_));
                let done =
                    if durable { wal.append_durable(&record) } else { wal.append_lazy(&record) };
                assert!(before.0 == WalState::Ready || done.is_err(), "poisoned, and it took one");
                self.refused += u64::from(done.is_err());
                let owed = if done.is_ok() { Owed::Ordered } else { Owed::Perhaps };
                self.model.append(&record, owed);
                if durable && done.is_ok() {
                    self.model.acknowledge_all();
                }
            }
            Step::Sync => {
                let done = wal.sync();
                assert!(before.0 == WalState::Ready || done.is_err());
                self.refused += u64::from(done.is_err());
                if done.is_ok() {
                    self.model.acknowledge_all();
                }
            }
            Step::Checkpoint => {
                let live = self.live();
                match wal.checkpoint(&live) {
                    Ok(_) => self.model = Model::of(&live),
                    Err(_) => {
                        self.refused += 1;
                        let poisoned = wal.state() != WalState::Ready;
                        assert!(poisoned || before.0 == WalState::Ready);
                        if poisoned {
                            self.model.histories.push(acknowledged(&live));
                        }
                    }
                }
            }
        }
    }

    /// Some of the records that are certain to be in the caller's mind.
    fn live(&self) -> Vec<Record> {
        let known = self.model.histories[0].iter().filter(|(_, owed)| *owed != Owed::Perhaps);
        let mut dice = Dice(self.next ^ 0xabcd);
        known.map(|(r, _)| r.clone()).filter(|_| dice.below(3) > 0).collect()
    }

    pub fn is_poisoned(&self) -> bool {
        self.wal.as_ref().is_some_and(|wal| wal.state() != WalState::Ready)
    }

    /// Ends the process, not the system, and starts it again.
    pub fn restart(&mut self) {
        self.wal = None;
        let (wal, found) = open(&self.storage, self.segment_bytes);
        self.model.check(&found, false);
        self.model = Model::of(&found.records);
        self.wal = Some(wal);
    }
}
