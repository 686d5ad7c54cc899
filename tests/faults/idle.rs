//! A thousand strangers that say nothing: the next good peer is served at once, memory stays flat.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use parvi::io::clock;
use parvi::io::link::{self, StaticKey, TcpPipe};
use parvi::wire::message::search::SearchQuestion;
use parvi::wire::message::tracker::LookupQuestion;

use super::child::{Process, parvi};
use super::eve::link_config;
use super::raw::connect;
use super::swarm::{Swarm, name, write};

const STRANGERS: usize = 1_000;
/// One second is the bar; the rest is for a busy machine.
const GOOD_TIME_MAX: Duration = Duration::from_secs(5);
const MEMORY_MAX: u64 = 64 << 20;

fn allow_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let now = getrlimit(Resource::Nofile);
    let wanted = now.maximum.map_or(4_096, |max| max.min(4_096));
    if now.current.is_none_or(|current| current >= wanted) {
        return;
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: now.maximum }).unwrap();
}

/// Fills the door of `process` at `addr` with strangers and measures a good question meanwhile.
fn stays_open(process: &Process, addr: SocketAddr, ask: impl Fn(&mut link::Link)) {
    allow_descriptors();
    let before = process.memory();
    let config = link_config(StaticKey::generate().unwrap());
    let good = || {
        let began = clock::now();
        ask(&mut link::dial(addr, Ipv4Addr::LOCALHOST.into(), &config, None).unwrap());
        clock::now().since(began)
    };
    let alone = good();
    let strangers: Vec<Arc<TcpPipe>> = (0..STRANGERS).map(|_| connect(addr)).collect();
    let among = good();
    let grown = process.memory().saturating_sub(before);
    eprintln!("{addr}: {alone:?} alone, {among:?} among {STRANGERS}, {} KiB more", grown / 1024);
    assert!(among <= GOOD_TIME_MAX, "a good peer waited {among:?}");
    assert!(grown <= MEMORY_MAX, "{grown} bytes more");
    drop(strangers);
}

#[test]
fn a_thousand_silent_strangers_do_not_close_the_door_of_a_node() {
    let swarm = Swarm::new();
    write(&swarm.data("alice").join("shared/film"), b"seven samurai");
    let alice = Process::node(&swarm, "alice", &[]);
    let question = || SearchQuestion { name: name("film"), after: None };
    stays_open(&alice, alice.addr("search"), |link| drop(link.ask(question()).unwrap()));
}

#[test]
fn a_thousand_silent_strangers_do_not_close_the_door_of_a_tracker() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = parvi(&["tracker", "--headless", "--listen", "127.0.0.1:0", "--data"]);
    command.arg(dir.path());
    let tracker = Process::start(command);
    let question = || LookupQuestion { name: name("film"), after: None };
    stays_open(&tracker, tracker.addr("listen"), |link| drop(link.ask(question()).unwrap()));
}
