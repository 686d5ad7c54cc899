//! One among those who fetch a file pretends: it says that it has all of it, and sends what is wrong,
//! or nothing; or it asks for everything and does not read. Nobody waits for it, and nobody gets a
//! wrong file.
//!
//! The ACK timeout is longer than a test: whoever waited for it would not end.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use parvi::base::limits::CORRUPT_CHUNKS_MAX;
use parvi::base::{Rate, Root};
use parvi::io::link::{self, Link, LinkError, Phase, StaticKey};
use parvi::node::view::From;
use parvi::node::{Node, NodeConfig};
use parvi::wire::message::transfer::{Have, Next, Open, Set, Want};
use parvi::wire::{List, Message};

use super::eve::{Acts, Eve, Goods, claims_all, link_config, transfer_after};
use super::swarm::{LONG, Swarm, bytes, name, until};

const SIZE: usize = 8 << 20;
const CHUNK: u64 = 256 << 10;
/// Of bytes that honest owners send twice at the end.
const TWICE_MAX: u64 = 8 * CHUNK;

/// alice, who has a film and a slow line, and those who are to fetch it.
struct Cinema {
    film: Vec<u8>,
    alice: Arc<Node>,
    nodes: Vec<Arc<Node>>,
    _swarm: Swarm,
}

impl Cinema {
    fn new() -> Cinema {
        let (swarm, film) = (Swarm::new(), bytes(SIZE, 1));
        let slow = |label| NodeConfig {
            up: Some(Rate::per_second(4 << 20)),
            ack_timeout: Duration::from_secs(600),
            ..swarm.config(label)
        };
        let alice = swarm.sharing_with(&slow("alice"), &[("film", &film)]);
        let nodes: Vec<_> =
            ["bob", "carol", "dave", "erin"].map(|label| swarm.start(&slow(label))).into();
        for node in &nodes {
            until("alice is found", LONG, || node.lookup(&name("film")).is_ok());
        }
        Cinema { film, alice, nodes, _swarm: swarm }
    }

    fn goods(&self) -> Goods {
        Goods::of("film", &self.film)
    }

    /// Somebody of whom alice tells all others.
    fn pretender(&self, acts: &Acts) -> Eve {
        Eve::fetching(&self.alice, "eve", self.goods(), acts)
    }

    fn order(&self) -> Vec<u64> {
        self.nodes.iter().map(|node| node.download(&name("film"), From::All).unwrap()).collect()
    }

    /// All four get it, and not much besides.
    fn arrives(&self, orders: &[u64]) {
        for (node, id) in self.nodes.iter().zip(orders) {
            let reports = node.wait(*id, LONG).expect("it ends");
            let reports = reports.unwrap_or_else(|| panic!("it waits: {:?}", node.transfers()));
            assert_eq!(reports[0].root, Root::of(&self.film));
            assert!(std::fs::read(&reports[0].path).unwrap() == self.film, "wrong bytes");
            let stats = node.stats();
            let wrong = stats.corrupt_chunks * CHUNK;
            assert!(stats.bytes_arrived <= SIZE as u64 + wrong + TWICE_MAX, "{stats:?}");
        }
    }
}

fn wrong(nodes: &[Arc<Node>]) -> Vec<u64> {
    nodes.iter().map(|node| node.stats().corrupt_chunks).collect()
}

#[test]
fn one_that_says_it_has_all_and_sends_wrong_bytes_is_banned_by_each() {
    let cinema = Cinema::new();
    let sends = |link: &mut Link, goods: &Goods, item| goods.send(link, item, false);
    let acts = Acts { chunk: transfer_after(claims_all, sends), ..Acts::honest() };
    let eve = cinema.pretender(&acts);
    cinema.arrives(&cinema.order());
    let wrong = wrong(&cinema.nodes);
    assert!(wrong.iter().all(|n| *n <= u64::from(CORRUPT_CHUNKS_MAX)), "{wrong:?}");
    assert!(wrong.iter().any(|n| *n > 0), "nobody has asked eve: {:?}", eve.ends.lock());
}

#[test]
fn what_one_announces_and_never_sends_comes_from_others() {
    let cinema = Cinema::new();
    let announced: Arc<Mutex<u32>> = Arc::default();
    let count = announced.clone();
    let announces = move |link: &mut Link, goods: &Goods| {
        claims_all(link, goods)?;
        loop {
            let Message::Want(want) = link.recv(LONG)? else { continue };
            for item in want.add.iter().flat_map(|run| run.iter()).take(2) {
                link.send(Next { items: parvi::base::Range::one(item) })?;
                *count.lock() += 1;
            }
        }
    };
    let _eve = cinema.pretender(&Acts::transferring(announces));
    cinema.arrives(&cinema.order());
    assert!(*announced.lock() > 0, "nobody has asked eve");
}

#[test]
fn one_that_only_says_again_and_again_that_it_has_all_keeps_nothing() {
    let cinema = Cinema::new();
    let asked: Arc<Mutex<bool>> = Arc::default();
    let noted = asked.clone();
    let talks = move |link: &mut Link, goods: &Goods| {
        claims_all(link, goods)?;
        loop {
            match link.recv(Duration::from_millis(50)) {
                Ok(Message::Want(_)) => *noted.lock() = true,
                Ok(_) => {}
                Err(LinkError::Timeout(Phase::Header)) => link.send(Have { items: goods.all() })?,
                Err(e) => return Err(e),
            }
        }
    };
    let _eve = cinema.pretender(&Acts::transferring(talks));
    cinema.arrives(&cinema.order());
    assert!(*asked.lock(), "nobody has asked eve");
}

#[test]
fn one_that_asks_everybody_for_everything_and_reads_nothing_holds_nobody_up() {
    let cinema = Cinema::new();
    let orders = cinema.order();
    let config = link_config(StaticKey::generate().unwrap());
    let goods = cinema.goods();
    let asks = |node: &Arc<Node>| {
        let mut asked = None;
        until("it takes the transfer", LONG, || {
            let here = Ipv4Addr::LOCALHOST.into();
            let link = link::dial(node.ready().chunk, here, &config, None);
            let Ok(mut link) = link else { return false };
            let set = Set::File(goods.content());
            let opened = link.ask(Open { set, resumable: false });
            asked = matches!(opened, Ok(Message::Opened(_))).then_some(link);
            asked.is_some()
        });
        let mut link = asked.unwrap();
        let want = Want { add: goods.all(), remove: List::default(), window: u16::MAX };
        link.send(want).unwrap();
        link
    };
    let begun = |node: &Arc<Node>| node.stats().bytes_down > SIZE as u64 / 8;
    until("all have something", LONG, || cinema.nodes.iter().all(begun));
    let held: Vec<Link> = cinema.nodes.iter().chain([&cinema.alice]).map(asks).collect();
    cinema.arrives(&orders);
    drop(held);
}
