//! One case from its beginning to its end.

use std::path::PathBuf;

use serde_json::Value;

use crate::cases::{Case, Scenario, Then, Who};
use crate::harness::{Swarm, noise, until, write};
use crate::life::Life;

const KIB: usize = 1 << 10;
/// Five chunks.
const FILM: usize = 5 * 256 * KIB - 7;
/// So many files that they come in many runs; at `SLOW` they take some seconds.
const FILES: u8 = 160;
const FILE: usize = 12 * KIB;
const SLOW: &str = "512KiB";
const STEPPED: &str = "256KiB";
/// How long a requester may be away before alice calls.
const ACK_TIMEOUT: &str = "1";

/// The process is killed at the point, and started again.
pub fn crashed(case: &Case) {
    run(case, "crash", case.after_crash);
}

/// The step fails once.
pub fn failed(case: &Case) {
    run(case, case.error, case.after_failure);
}

/// The swarm of one case.
struct Trial<'a> {
    case: &'a Case,
    swarm: &'a Swarm,
    alice: Life,
    bob: Life,
    /// Who fetches it, too, in the scenario that has her.
    carol: Option<Life>,
    /// What is downloaded, and how many files that are.
    name: &'static str,
    count: usize,
    /// Where they arrive, and what they must be.
    files: Vec<(PathBuf, Vec<u8>)>,
    /// Orders that the person may still give after the first.
    orders_left: usize,
}

fn run(case: &Case, what: &str, then: Then) {
    let swarm = Swarm::new();
    let (name, files) = lay_out(&swarm, case.scenario);
    let tracker = swarm.tracker();
    let plan = format!("{}@{}={what}", case.point, case.nth);
    let (alices, bobs) = plans(case, plan);
    let (of_alice, of_bob) = settings(case.scenario);
    let alice = Life::start(&swarm, "alice", &tracker, of_alice, &alices);
    let bob = Life::start(&swarm, "bob", &tracker, of_bob, &bobs);
    let has_carol = case.scenario == Scenario::Between;
    let carol = has_carol.then(|| Life::start(&swarm, "carol", &tracker, &[], &[]));
    let requesters = ["bob"].into_iter().chain(has_carol.then_some("carol"));
    let count = files.len();
    let files = requesters.flat_map(|who| arrivals(&swarm, who, &files)).collect();
    let orders_left = usize::from(then == Then::AskedAgain);
    let mut trial =
        Trial { case, swarm: &swarm, alice, bob, carol, name, count, files, orders_left };
    trial.order();
    trial.ends();
    let victim = if case.who == Who::Owner { &trial.alice } else { &trial.bob };
    assert!(victim.has_hit(case), "{} is not reached", case.point);
    assert!(what != "crash" || victim.crashes > 0, "it was not killed");
    assert_eq!(trial.orders_left, 0, "nobody needed to order it again: the table is wrong");
    if case.anew && what != "crash" {
        let sent = trial.alice.daemon().json(&["stats"])["bytes_up"].as_u64().unwrap();
        assert!(sent >= 2 * FILM as u64, "{sent} bytes: what a failed sync lost is believed");
    }
    trial.log_is_ended();
}

/// How alice and bob are started.
const fn settings(scenario: Scenario) -> (&'static [&'static str], &'static [&'static str]) {
    match scenario {
        Scenario::Clear => (
            &["--ack-timeout", ACK_TIMEOUT, "--bulk", "clear", "--up", "1MiB"],
            &["--bulk", "clear"],
        ),
        // A run of bob's leaves in several steps.
        Scenario::Between => (&["--ack-timeout", ACK_TIMEOUT, "--up", SLOW], &["--up", STEPPED]),
        _ => (&["--ack-timeout", ACK_TIMEOUT], &[]),
    }
}

/// What there is to download, below one name.
type Files = Vec<(String, Vec<u8>)>;

/// Where the files arrive, and what they must be.
fn arrivals(swarm: &Swarm, who: &str, files: &Files) -> Vec<(PathBuf, Vec<u8>)> {
    let arrive = |(path, bytes): &(String, Vec<u8>)| (swarm.downloaded(who, path), bytes.clone());
    files.iter().map(arrive).collect()
}

/// Puts alice's files there; returns what bob is to ask for, and what he gets.
fn lay_out(swarm: &Swarm, scenario: Scenario) -> (&'static str, Files) {
    let (name, files) = match scenario {
        Scenario::Notes | Scenario::NotesAgain => {
            let note = |n: u8| noise(n, 2 * KIB + usize::from(n));
            let at = ["notes/a", "notes/b", "notes/deep/c", "notes/deep/d", "notes/deep/twin"];
            let at = at.map(str::to_owned).into_iter();
            ("notes", at.zip([1, 2, 3, 4, 1].map(note)).collect())
        }
        Scenario::Between => {
            let file = |n| (format!("notes/{n}"), noise(n, FILE + usize::from(n)));
            ("notes", (0..FILES).map(file).collect())
        }
        Scenario::Empty => ("nothing", vec![("nothing".to_owned(), Vec::new())]),
        _ => ("film", vec![("film".to_owned(), noise(9, FILM))]),
    };
    if scenario == Scenario::Twin {
        swarm.put("bob", "twin", &files[0].1);
    }
    for (path, bytes) in &files {
        write(&swarm.shared("alice", path), bytes);
    }
    (name, files)
}

/// What the processes of alice and of bob are to do, one after the other.
fn plans(case: &Case, plan: String) -> (Vec<String>, Vec<String>) {
    let first = |before: &str| vec![before.to_owned()];
    let with = |before: &str, plan: String| vec![format!("{before},{plan}")];
    let (mut alices, mut bobs) = match case.scenario {
        Scenario::Film
        | Scenario::Clear
        | Scenario::Notes
        | Scenario::Empty
        | Scenario::Twin
        | Scenario::Between => (Vec::new(), Vec::new()),
        Scenario::Resume => (Vec::new(), first("part.written@3=crash")),
        Scenario::NotesAgain => (Vec::new(), first("batch.rename@1=crash")),
        Scenario::Knock => (Vec::new(), first("fetch.done@1=crash")),
        Scenario::Reopen => (first("serve.sent@2=crash"), Vec::new()),
        Scenario::Checkpoint => return (with("wal.sync@2=EIO", plan), Vec::new()),
        Scenario::CutBack => return (with("wal.write@2=EIO", plan), Vec::new()),
    };
    match case.who {
        Who::Owner => alices.push(plan),
        Who::Requester => bobs.push(plan),
    }
    (alices, bobs)
}

impl Trial<'_> {
    /// The person orders it; who crashes meanwhile has not taken the order, or has.
    fn order(&mut self) {
        until("alice's files are found", || {
            self.tend();
            let mut all = [Some(&self.bob), self.carol.as_ref()].into_iter().flatten();
            all.all(|one| self.is_found_by(one)).then_some(())
        });
        if self.case.scenario == Scenario::Twin {
            until("bob knows his twin", || {
                let own = self.bob.daemon().json(&["list", "local"]);
                (own.as_array()?.len() == 1).then_some(())
            });
        }
        let answer = self.bob.daemon().ctl(&["download", self.name]);
        if answer.code != 0 {
            until(&format!("bob has crashed, or else {answer:?}"), || {
                self.tend();
                (self.bob.crashes > 0).then_some(())
            });
        }
        if let Some(carol) = &self.carol {
            assert_eq!(carol.daemon().ctl(&["download", self.name]).code, 0);
        }
    }

    fn is_found_by(&self, requester: &Life) -> bool {
        let found = requester.daemon().ctl(&["--json", "lookup", self.name]);
        found.code == 0 && found.json().as_array().map_or(1, Vec::len) == self.count
    }

    /// Who has crashed is started again. Nothing wrong has a final name, at any moment.
    fn tend(&mut self) {
        self.alice.tend(self.swarm);
        self.bob.tend(self.swarm);
        for (path, bytes) in &self.files {
            if let Ok(there) = std::fs::read(path) {
                assert!(there == *bytes, "{} is not what alice has", path.display());
            }
        }
    }

    /// Waits until all has arrived and everybody says that it is over.
    fn ends(&mut self) {
        let mut last = Value::Null;
        let case = self.case;
        let waited_for = format!("{} of {:?} ends", case.point, case.scenario);
        until(&waited_for, || {
            self.tend();
            let victim = if case.who == Who::Owner { &self.alice } else { &self.bob };
            if !victim.has_hit(case) {
                return None;
            }
            let rows = self.bob.transfers();
            self.ask_again(&rows);
            let here = self.files.iter().all(|(path, _)| path.exists());
            let (up, of_carol) = (self.alice.transfers(), self.carol.as_ref().map(Life::transfers));
            let over =
                is_over(&rows)? && of_carol.as_ref().is_none_or(|rows| is_over(rows) == Some(true));
            last = Value::Array([rows, up.clone()].into_iter().chain(of_carol).collect());
            (here && over && up.as_array()?.is_empty() && self.orders_left == 0).then_some(())
        });
    }

    /// A download that has failed, or was never taken, is ordered again, where the table says so.
    fn ask_again(&mut self, rows: &Value) {
        let Some(rows) = rows.as_array() else { return };
        let own = rows.iter().rfind(|row| row["dir"] == "down");
        let failed = own.filter(|row| row["state"] == "failed");
        if let Some(row) = failed {
            let words = row["reason"].as_str().unwrap();
            assert!(!words.is_empty() && self.orders_left > 0, "it does not end by itself: {row}");
        } else if own.is_some() || self.orders_left == 0 {
            return;
        }
        if self.bob.daemon().ctl(&["download", self.name]).code == 0 {
            self.orders_left -= 1;
        }
    }

    /// What alice's log began, it ended.
    fn log_is_ended(&self) {
        let data = self.alice.daemon().data.to_str().unwrap();
        let dump = self.swarm.run(&["wal", "dump", data]);
        assert_eq!(dump.code, 0, "{dump:?}");
        let verdict = self.swarm.run(&["wal", "verify", data]);
        assert_eq!(verdict.code, 0, "{verdict:?}");
        let mut open = Vec::new();
        for line in dump.out.lines() {
            let upload = |word: &str| {
                let (_, after) = line.split_once(word)?;
                after.split_once(':').map(|(upload, _)| upload.to_owned())
            };
            if let Some(upload) = upload(" begun ") {
                open.push(upload);
            } else if let Some(upload) = upload(" ended ") {
                open.retain(|begun| *begun != upload);
            }
        }
        assert!(open.is_empty(), "begun and never ended: {open:?}\n{}", dump.out);
    }
}

/// Whether these transfers say that the last download has arrived.
fn is_over(rows: &Value) -> Option<bool> {
    let last = rows.as_array()?.iter().rfind(|row| row["dir"] == "down");
    Some(last.is_none_or(|row| row["state"] == "done"))
}
