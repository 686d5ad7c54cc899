//! What the tracker's index costs with a million names of a thousand nodes: memory, and how long
//! questions take. `bench/index.sh` builds it as it is meant to be run.
//!
//! ```text
//! index_scale [NODES=1000] [NAMES=1000]     so many names of each node alone; every tenth is on the
//!                                           next node, too
//! ```

#![allow(clippy::print_stdout, reason = "a program for a terminal")]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::RwLock;
use parvi::base::{FileEntry, Modified, Name, NodeId, Ports, Root, Time};
use parvi::io::clock;
use parvi::logic::pattern::part_or_glob;
use parvi::logic::registry::{Finding, Limits, Registry, SessionToken};
use parvi::wire::List;
use parvi::wire::message::copies::Offer;
use parvi::wire::message::find::FindQuestion;
use parvi::wire::message::tracker::{
    CatalogueDelta, Heartbeat, Held, LookupQuestion, Register, Stamp,
};

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let mut number = || args.next().map_or(Ok(1_000), |text| text.parse::<u32>());
    let (nodes, names) = (number()?, number()?);
    let before = resident()?;
    let registry = fill(nodes, names)?;
    let after = resident()?;
    let count = f64::from(nodes * names);
    let text: usize = (0..1_000).map(|n| text(n * 7 % nodes, n % names).len()).sum();
    let (each, name) = ((after - before) as f64 / count, text as f64 / 1e3);
    println!("names            {count} of {nodes} nodes, {:.1} owners each", 1.1);
    println!("memory a name    {each:.0} bytes, {:.0} beside its text", each - name);
    let registry = RwLock::new(registry);
    exact("exact lookup", &registry, (nodes, names))?;
    for word in ["such a thing is not there", "0042/", "run-00", "**/run-0*7.csv", "@00000000"] {
        for ignore_case in [false, true] {
            pattern(&registry, word, ignore_case)?;
        }
    }
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let searching = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                if find(&registry, "such a thing is not there", true).is_err() {
                    return;
                }
            }
        });
        let outcome = exact("exact lookup while a pattern is searched", &registry, (nodes, names));
        over.store(true, Ordering::Relaxed);
        searching.join().map_err(|_| "the searching thread panicked")?;
        outcome
    })?;
    heartbeats(&registry, nodes)
}

fn text(node: u32, n: u32) -> String {
    format!("project-{node:04}/measurements/2026/run-{n:05}.csv")
}

fn node_id(node: u32) -> NodeId {
    let mut bytes = [7; 32];
    bytes[..4].copy_from_slice(&node.to_be_bytes());
    NodeId::from_bytes(bytes)
}

fn file(node: u32, n: u32) -> Result<FileEntry, Failure> {
    let text = text(node, n);
    let root = Root::of(text.as_bytes());
    let (name, modified) = (Name::parse(&text)?, Modified { secs: 1_700_000_000, nanos: 0 });
    Ok(FileEntry { name, size: 1 << 20, root, modified, executable: false })
}

fn fill(nodes: u32, names: u32) -> Result<Registry, Failure> {
    let mut registry = Registry::new(1, Limits::default());
    for node in 0..nodes {
        let (session, from) =
            (SessionToken(node.into()), IpAddr::from(Ipv4Addr::from(0x0a00_0000 + node)));
        let register = Register {
            instance: 1,
            label: format!("node-{node}").parse()?,
            ports: Ports { search: 1, size: 2, chunk: 3 },
            advertise: None,
            heartbeat_s: 300,
            catalogue: Stamp { epoch: 1, version: 0 },
            offer: Offer::default(),
        };
        registry
            .on_register(Time::ZERO, session, node_id(node), from, &register)
            .map_err(|refused| refused.text.shown())?;
        let own = (0..names).map(|n| file(node, n));
        let shared = (0..names).step_by(10).map(|n| file((node + 1) % nodes, n));
        let files: Vec<FileEntry> = own.chain(shared).collect::<Result<_, _>>()?;
        for (at, page) in (0..).zip(files.chunks(1_000)) {
            let added = List::of(page.iter().cloned().map(Held::shared).collect());
            let from = at * 1_000;
            let page = CatalogueDelta {
                epoch: 1,
                from,
                to: from + 1_000,
                added,
                removed: List::default(),
                taken_back: List::default(),
            };
            registry
                .on_catalogue(Time::ZERO, session, &page)
                .map_err(|refused| refused.text.shown())?;
        }
    }
    Ok(registry)
}

/// Looks a hundred thousand names up, spread over all.
fn exact(
    what: &str,
    registry: &RwLock<Registry>,
    (nodes, names): (u32, u32),
) -> Result<(), Failure> {
    let mut took = Vec::new();
    for n in 0..100_000_u32 {
        let spread = n.wrapping_mul(2_654_435_761);
        let name = Name::parse(&text(spread % nodes, spread / nodes % names))?;
        let question = LookupQuestion { name, after: None };
        let began = clock::now();
        let answer = registry.read().lookup(&question, n.into());
        took.push(clock::now().since(began));
        if answer.found.len() != 1 {
            return Err(format!("{} is not found", question.name).into());
        }
    }
    tell(what, &mut took);
    Ok(())
}

/// All files that are meant on the first page, as the tracker finds them; the longest step, too.
fn find(
    registry: &RwLock<Registry>,
    word: &str,
    ignore_case: bool,
) -> Result<(usize, Duration), Failure> {
    let question = FindQuestion { pattern: part_or_glob(word, ignore_case)?, after: None };
    let mut finding = Finding::new(&question, 1)?;
    let mut longest = Duration::ZERO;
    while finding.goes_on() {
        let began = clock::now();
        registry.read().find(Time::ZERO, &mut finding);
        longest = longest.max(clock::now().since(began));
    }
    Ok((finding.answer().found.len(), longest))
}

fn pattern(registry: &RwLock<Registry>, word: &str, ignore_case: bool) -> Result<(), Failure> {
    let (mut took, mut steps, mut found) = (Vec::new(), Duration::ZERO, 0);
    for _ in 0..100 {
        let began = clock::now();
        let (count, longest) = find(registry, word, ignore_case)?;
        took.push(clock::now().since(began));
        (found, steps) = (count, steps.max(longest));
    }
    let case = if ignore_case { " -i" } else { "" };
    tell(&format!("files {word}{case}: {found} on a page, longest step {steps:?}"), &mut took);
    Ok(())
}

fn heartbeats(registry: &RwLock<Registry>, nodes: u32) -> Result<(), Failure> {
    let mut took = Vec::new();
    let now = Time::from_origin(Duration::from_secs(1));
    let here = registry.read().peers(
        &node_id(0),
        &parvi::wire::message::tracker::PeersQuestion { peers: Stamp::default() },
    );
    let heartbeat = Heartbeat { peers: here.peers.stamp, ..Heartbeat::default() };
    for n in 0..100_000 {
        let began = clock::now();
        let answer =
            registry.write().on_heartbeat(now, SessionToken((n % nodes).into()), &heartbeat);
        took.push(clock::now().since(began));
        answer.map_err(|refused| refused.text.shown())?;
    }
    tell("heartbeat, the decision alone", &mut took);
    Ok(())
}

fn tell(what: &str, took: &mut [Duration]) {
    took.sort_unstable();
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize];
    println!("{what}: p50 {:?}, p99 {:?}, max {:?}", at(0.5), at(0.99), at(1.0));
}

/// Resident memory of this process, bytes.
fn resident() -> Result<usize, Failure> {
    let text = std::fs::read_to_string("/proc/self/statm")?;
    let pages = text.split(' ').nth(1).ok_or("statm has no second word")?;
    Ok(pages.parse::<usize>()? * 4_096)
}
