//! Owners are killed in the middle of a large file, and a new one comes: it is used.

use std::time::Duration;

use parvi::base::Root;
use parvi::node::view::From;

use super::child::Process;
use super::swarm::{Swarm, bytes, from_node, name, until, write};

const MIB: u64 = 1 << 20;

#[test]
fn two_of_three_owners_are_killed_and_a_new_one_is_used() {
    let (swarm, content) = (Swarm::new(), bytes(64 << 20, 1));
    let share = |label: &str, rate: &str| {
        write(&swarm.data(label).join("shared/film"), &content);
        let process = Process::node(&swarm, label, &["--up", rate]);
        swarm.wait_for(label, 1);
        process
    };
    let alice = share("alice", "4MiB");
    let bob = share("bob", "4MiB");
    let _dora = share("dora", "1MiB");
    let carol = swarm.node("carol");
    let id = carol.download(&name("film"), From::All).unwrap();
    let row = || carol.transfers().into_iter().find(|row| row.id == id).unwrap();
    until("all three have sent something", Duration::from_secs(60), || {
        row().sources.iter().filter(|source| source.bytes > 0).count() == 3
    });
    drop((alice, bob));
    let _frank = share("frank", "64MiB");
    let reports = carol.wait(id, Duration::from_secs(80)).unwrap();
    let report = reports.unwrap_or_else(|| panic!("hangs: {:?}", row())).remove(0);
    assert_eq!(Root::of(&std::fs::read(&report.path).unwrap()), Root::of(&content));
    assert!(from_node(&report, "frank") > 8 * MIB, "{:?}", report.sources);
    let sum: u64 = report.sources.iter().map(|source| source.bytes).sum();
    assert_eq!(sum, 64 * MIB, "{:?}", report.sources);
}
