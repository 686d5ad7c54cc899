//! The nodes: a connection each, registered, with files.
//!
//! A tracker takes at most 1,024 nodes from one address, so they come from 127.0.0.1 to 127.0.0.N.

use std::net::{IpAddr, Ipv4Addr};

use parvi::base::{FileEntry, Modified, Name, Ports, Root};
use parvi::io::link::{self, Bulk, Link, LinkConfig, StaticKey};
use parvi::wire::message::copies::Offer;
use parvi::wire::message::tracker::{CatalogueDelta, Heartbeat, Held, Register, Stamp};
use parvi::wire::{List, Message};

use crate::{Failure, Tracker};

/// Nodes from one address.
const PER_ADDRESS: u32 = 1_000;
/// Files on one page.
const PAGE: usize = 1_000;
/// All catalogues count in this.
const EPOCH: u64 = 1;

/// A node as the tracker sees it.
pub(crate) struct Node {
    pub(crate) link: Link,
    number: u32,
    peers: Stamp,
    catalogue: Stamp,
}

/// A connection from where the node `number` is.
pub(crate) fn dial(tracker: Tracker, number: u32) -> Result<Link, Failure> {
    let host = u8::try_from(1 + number / PER_ADDRESS)?;
    let bind = IpAddr::from(Ipv4Addr::new(127, 0, 0, host));
    let config = LinkConfig::new(StaticKey::generate()?, None, Bulk::Private);
    Ok(link::dial(tracker.addr, bind, &config, None)?)
}

/// Connects and registers so many nodes.
pub(crate) fn join(tracker: Tracker, nodes: u32) -> Result<Vec<Node>, Failure> {
    (0..nodes).map(|number| Node::join(tracker, number)).collect()
}

/// One hears of all the others; those say that they have, too, which for many takes gigabytes.
pub(crate) fn know_each_other(swarm: &mut [Node]) -> Result<(), Failure> {
    let Some((first, others)) = swarm.split_first_mut() else { return Ok(()) };
    while first.beat()? {}
    others.iter_mut().for_each(|node| node.peers = first.peers);
    Ok(())
}

impl Node {
    fn join(tracker: Tracker, number: u32) -> Result<Node, Failure> {
        let mut link = dial(tracker, number)?;
        let catalogue = Stamp { epoch: EPOCH, version: 0 };
        let register = Register {
            instance: 1,
            label: format!("node-{number}").parse()?,
            ports: Ports { search: 9, size: 9, chunk: 9 },
            advertise: None,
            heartbeat_s: 300,
            catalogue,
            offer: Offer::default(),
        };
        match link.ask(register)? {
            Message::Registered(_) => Ok(Node { link, number, peers: Stamp::default(), catalogue }),
            other => Err(format!("not registered but {:?}", other.kind()).into()),
        }
    }

    /// Tells of so many files of its own, and of every tenth of the node behind it.
    pub(crate) fn share(&mut self, nodes: u32, names: u32) -> Result<(), Failure> {
        let own = (0..names).map(|n| file(&text(self.number, n)));
        let next = (self.number + 1) % nodes;
        let shared = (0..names).step_by(10).map(|n| file(&text(next, n)));
        let files = own.chain(shared).collect::<Result<Vec<Held>, Failure>>()?;
        files.chunks(PAGE).try_for_each(|page| self.tell(page.to_vec()))
    }

    /// Tells of a file that is new.
    pub(crate) fn share_one(&mut self, n: u32) -> Result<(), Failure> {
        let held = file(&format!("{}.new", text(self.number, n)))?;
        self.tell(vec![held])
    }

    fn tell(&mut self, page: Vec<Held>) -> Result<(), Failure> {
        let from = self.catalogue.version;
        let to = from + page.len() as u64;
        let (added, removed) = (List::of(page), List::default());
        let taken_back = List::default();
        match self.link.ask(CatalogueDelta {
            epoch: EPOCH,
            from,
            to,
            added,
            removed,
            taken_back,
        })? {
            Message::CatalogueAnswer(answer) if answer.catalogue.version == to => {
                self.catalogue = answer.catalogue;
                Ok(())
            }
            other => Err(format!("a page was not taken: {other:?}").into()),
        }
    }

    /// One heartbeat; whether the tracker has more to tell of the others.
    pub(crate) fn beat(&mut self) -> Result<bool, Failure> {
        let (peers, catalogue) = (self.peers, self.catalogue);
        match self.link.ask(Heartbeat { peers, catalogue, ..Heartbeat::default() })? {
            Message::HeartbeatAnswer(answer) => {
                self.peers = answer.peers.stamp;
                Ok(answer.peers.more)
            }
            other => Err(format!("a heartbeat was answered by {:?}", other.kind()).into()),
        }
    }
}

/// A name as people give them.
pub(crate) fn text(node: u32, n: u32) -> String {
    format!("project-{node:05}/measurements/2026/run-{n:05}.csv")
}

fn file(text: &str) -> Result<Held, Failure> {
    let (name, root) = (Name::parse(text)?, Root::of(text.as_bytes()));
    let modified = Modified { secs: 1_700_000_000, nanos: 0 };
    Ok(Held::shared(FileEntry { name, size: 1 << 20, root, modified, executable: false }))
}
