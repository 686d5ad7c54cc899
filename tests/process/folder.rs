//! Three fetch a folder of small files at once, and somebody dies: what each has is served to the others,
//! so all who live end with the right files.
//!
//! All lines are slow, so that there is time. The ACK timeout is longer than a test: who waited for
//! somebody dead would not end.

use std::collections::BTreeMap;

use parvi::base::{Bitmap, Root};
use parvi::io::link::{self, Bulk, LinkConfig, StaticKey};
use parvi::wire::message::transfer::{Content, Open, Set};
use parvi::wire::{List, Message};

use crate::harness::{Daemon, Swarm, noise, read, until};

const COUNT: usize = 250;
const SIZE: usize = 24 << 10;
const THREE: [&str; 3] = ["bob", "carol", "dave"];

fn file(n: usize) -> (String, Vec<u8>) {
    (format!("folder/{n:03}"), noise(n as u8, SIZE))
}

/// alice's folder, and those who fetch it. Its processes end before its folder goes.
struct Folder {
    alice: Option<Daemon>,
    requesters: BTreeMap<&'static str, Daemon>,
    tracker: Daemon,
    swarm: Swarm,
}

impl Folder {
    fn of_three() -> Folder {
        let swarm = Swarm::new();
        (0..COUNT).map(file).for_each(|(name, bytes)| swarm.put("alice", &name, bytes));
        let tracker = swarm.tracker();
        let alice = Some(swarm.node_with("alice", &tracker, &["--up", "2MiB"]));
        let mut folder = Folder { alice, requesters: BTreeMap::new(), tracker, swarm };
        for who in THREE {
            folder.start(who);
            let node = &folder.requesters[who];
            until("all of it is found", || {
                let found = node.ctl(&["--json", "lookup", "folder"]);
                let all = || found.json().as_array().map(Vec::len) == Some(COUNT);
                (found.code == 0 && all()).then_some(())
            });
        }
        THREE.iter().for_each(|who| {
            assert_eq!(folder.requesters[who].ctl(&["download", "folder"]).code, 0);
        });
        folder
    }

    #[track_caller]
    fn start(&mut self, who: &'static str) {
        let more = ["--up", "1MiB", "--ack-timeout", "600"];
        let node = self.swarm.node_with(who, &self.tracker, &more);
        self.requesters.insert(who, node);
    }

    /// What it says that it has of the folder, while it fetches that.
    fn has(&self, who: &str) -> Option<Bitmap> {
        let config = LinkConfig::new(StaticKey::generate().unwrap(), None, Bulk::Private);
        let (addr, here) = (self.requesters[who].addr().parse().unwrap(), [127, 0, 0, 1].into());
        let mut link = link::dial(addr, here, &config, None).unwrap();
        let content = |n| Content { root: Root::of(&file(n).1), size: SIZE as u64 };
        let set = Set::Batch(List::of((0..COUNT).map(content).collect()));
        match link.ask(Open { set, resumable: false }) {
            Ok(Message::Opened(opened)) => Some(opened.have),
            _ => None,
        }
    }

    fn sends(&self, who: &str) {
        until(&format!("{who} serves others"), || {
            let sent = self.requesters[who].json(&["stats"])["bytes_up"].as_u64();
            (sent > Some(SIZE as u64)).then_some(())
        });
    }

    #[track_caller]
    fn arrives(&self, all: &[&str]) {
        for who in all {
            let row =
                self.requesters[who].transfer(&format!("{who} has it"), |t| t["state"] == "done");
            assert_eq!(row["done"], row["total"], "{row}");
            for (name, bytes) in (0..COUNT).map(file) {
                assert!(read(&self.swarm.downloaded(who, &name)) == bytes, "{name} at {who}");
            }
        }
    }
}

#[test]
fn when_the_only_owner_of_a_folder_dies_the_three_finish_among_themselves() {
    let mut folder = Folder::of_three();
    until("each file is somewhere among the three", || {
        let all: Vec<Bitmap> = THREE.iter().filter_map(|who| folder.has(who)).collect();
        let somewhere = |item| all.iter().any(|has| has.contains(item));
        (0..COUNT as u32).all(somewhere).then_some(())
    });
    folder.alice.take().unwrap().kill();
    let left = THREE.iter().filter_map(|who| folder.has(who)).filter(|has| !has.is_full());
    assert!(left.count() > 0, "all had it before the owner died");
    folder.arrives(&THREE);
}

#[test]
fn who_is_killed_while_it_serves_small_files_holds_up_nobody_and_goes_on() {
    let mut folder = Folder::of_three();
    folder.sends("bob");
    folder.requesters.remove("bob").unwrap().kill();
    assert!(!folder.swarm.downloaded("bob", "folder").exists(), "it was too fast to be killed");
    folder.arrives(&["carol", "dave"]);
    folder.start("bob");
    folder.arrives(&["bob"]);
}
