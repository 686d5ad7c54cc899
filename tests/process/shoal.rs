//! Six fetch the same file at once, and somebody dies: what each has is served to the others, so all
//! who live end with the right bytes, and nobody sees the name before.
//!
//! All lines are slow, so that there is time: the film is somewhere among the six long before each of
//! them has it. The ACK timeout is longer than a test: who waited for somebody dead would not end.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use parvi::base::{Bitmap, Root};
use parvi::io::link::{self, Bulk, LinkConfig, StaticKey};
use parvi::wire::Message;
use parvi::wire::message::size::SizeQuestion;
use serde_json::Value;

use crate::destination::Destination;
use crate::harness::{Daemon, MIB, Swarm, noise, root, sent, until};
use crate::story::found;

const SIZE: usize = 24 * MIB;
const SIX: [&str; 6] = ["bob", "carol", "dave", "erin", "frank", "grace"];
/// Of bytes that come twice: what is in flight from each owner when somebody dies.
const WASTE_MAX: u64 = SIZE as u64 / 4;

/// alice's film, and those who fetch it. Its processes end before its folder goes.
struct Shoal {
    alice: Option<Daemon>,
    requesters: BTreeMap<&'static str, Daemon>,
    destinations: BTreeMap<&'static str, Destination>,
    tracker: Daemon,
    root: String,
    swarm: Swarm,
}

impl Shoal {
    /// alice has the film; nobody has ordered it yet.
    fn begin() -> Shoal {
        let (swarm, film) = (Swarm::new(), noise(1, SIZE));
        swarm.put("alice", "film", &film);
        let tracker = swarm.tracker();
        let alice = Some(swarm.node_with("alice", &tracker, &["--up", "4MiB"]));
        let (requesters, destinations) = Default::default();
        Shoal { alice, requesters, destinations, tracker, root: root(&film), swarm }
    }

    /// The same, and all six have.
    fn of_six() -> Shoal {
        let mut shoal = Shoal::begin();
        SIX.into_iter().for_each(|who| shoal.start(who));
        SIX.into_iter().for_each(|who| shoal.order(who));
        shoal
    }

    #[track_caller]
    fn start(&mut self, who: &'static str) {
        let downloaded = self.swarm.downloaded(who, "");
        fs::create_dir_all(&downloaded).unwrap();
        let watch = || Destination::watch(downloaded, "film", &self.root);
        self.destinations.entry(who).or_insert_with(watch);
        let node =
            self.swarm.node_with(who, &self.tracker, &["--up", "2MiB", "--ack-timeout", "600"]);
        self.requesters.insert(who, node);
    }

    #[track_caller]
    fn order(&self, who: &str) {
        let node = self.of(who);
        until("the film is found", || (node.ctl(&["lookup", "film"]).code == 0).then_some(()));
        assert_eq!(node.ctl(&["download", "film"]).code, 0);
    }

    fn of(&self, who: &str) -> &Daemon {
        &self.requesters[who]
    }

    /// Its row, once it has `bytes` of the film.
    #[track_caller]
    fn reaches(&self, who: &str, bytes: usize) -> Value {
        let what = format!("{who} has {bytes} bytes");
        let row = self
            .of(who)
            .transfer(&what, |t| t["dir"] == "down" && t["done"].as_u64() >= Some(bytes as u64));
        assert_ne!(row["state"], "done", "it was too fast to be interrupted");
        row
    }

    fn kill(&mut self, who: &str) {
        self.requesters.remove(who).unwrap().kill();
        assert!(!self.swarm.downloaded(who, "film").exists(), "half a film has its name");
    }

    /// What it says that it has of the film.
    fn has(&self, who: &str) -> Bitmap {
        let size = self.of(who).ready.split_whitespace().find_map(|w| w.strip_prefix("size="));
        let config = LinkConfig::new(StaticKey::generate().unwrap(), None, Bulk::Private);
        let (addr, here) = (size.unwrap().parse().unwrap(), [127, 0, 0, 1].into());
        let mut link = link::dial(addr, here, &config, None).unwrap();
        let root: Root = self.root.parse().unwrap();
        match link.ask(SizeQuestion { root, manifest: false }) {
            Ok(Message::SizeAnswer(answer)) => answer.have,
            _ => Bitmap::none(0),
        }
    }

    /// The film arrives at each of them: it appeared once and whole, and little came twice.
    #[track_caller]
    fn arrives(&self, all: &[&str]) {
        for who in all {
            self.of(who).transfer(&format!("{who} has the film"), |t| t["state"] == "done");
            self.destinations[who].saw_one_arrival();
            assert_eq!(b3sum(&self.swarm.downloaded(who, "film")), self.root);
            let arrived = self.count(who, "bytes_arrived");
            assert!(arrived <= SIZE as u64 + WASTE_MAX, "{arrived} bytes came to {who}");
        }
    }

    fn count(&self, who: &str, counter: &str) -> u64 {
        self.of(who).json(&["stats"])[counter].as_u64().unwrap()
    }
}

/// The hash of a file, by a program that is not ours where there is one.
fn b3sum(path: &std::path::Path) -> String {
    match Command::new("b3sum").arg("--no-names").arg(path).output() {
        Ok(output) => String::from_utf8(output.stdout).unwrap().trim().to_owned(),
        Err(_) => root(&fs::read(path).unwrap()),
    }
}

#[test]
fn one_of_six_is_killed_one_cancels_one_leaves_and_the_others_finish() {
    let mut shoal = Shoal::of_six();
    SIX.into_iter().for_each(|who| drop(shoal.reaches(who, SIZE / 4)));
    shoal.kill("bob");
    let id = shoal.reaches("carol", SIZE / 4)["id"].to_string();
    assert_eq!(shoal.of("carol").ctl(&["cancel", &id]).code, 0);
    shoal.requesters.remove("dave").unwrap().exit();
    shoal.arrives(&SIX[3..]);
    assert!(!shoal.swarm.downloaded("carol", "film").exists());
    for who in ["bob", "dave"] {
        shoal.start(who);
    }
    shoal.arrives(&["bob", "dave"]);
}

#[test]
fn when_the_only_seed_dies_the_six_finish_among_themselves() {
    let mut shoal = Shoal::of_six();
    until("each chunk is somewhere among the six", || {
        let all: Vec<Bitmap> = SIX.iter().map(|who| shoal.has(who)).collect();
        let count = all.iter().map(Bitmap::len).max()?;
        let somewhere = |chunk| all.iter().any(|has| chunk < has.len() && has.contains(chunk));
        (count > 0 && (0..count).all(somewhere)).then_some(())
    });
    shoal.alice.take().unwrap().kill();
    let left = SIX.iter().filter(|who| !shoal.has(who).is_full()).count();
    assert!(left > 0, "all had it before the seed died");
    shoal.arrives(&SIX);
}

#[test]
fn who_is_killed_and_started_again_goes_on_and_serves_what_it_has() {
    let mut shoal = Shoal::begin();
    shoal.start("bob");
    shoal.order("bob");
    let had = shoal.reaches("bob", SIZE / 2)["done"].as_u64().unwrap();
    shoal.kill("bob");
    shoal.start("bob");
    let moves = |t: &Value| t["dir"] == "down" && t["state"] == "moving";
    let row = shoal.of("bob").transfer("bob goes on", moves);
    assert!(found(&row) >= had, "{row}: of {had} bytes before the kill");
    shoal.start("carol");
    shoal.order("carol");
    until("bob serves what he had", || (shoal.count("bob", "bytes_up") > MIB as u64).then_some(()));
    shoal.arrives(&["bob", "carol"]);
    let report = shoal.of("bob").json(&["download", "film"]);
    assert!(sent(&report) <= SIZE as u64 - had, "{report}: {had} bytes were there");
}
