//! A second tracker, of the test: it lists nobody, gives a node what orders it is told to, and notes
//! what the node says. Who has what, nodes ask of the real one.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use parking_lot::Mutex;
use parvi::base::{FileEntry, Kept, NodeId, Root};
use parvi::io::link::{Link, StaticKey};
use parvi::io::listen::{Listener, ServeLimits, serve};
use parvi::io::threads::{Group, StopToken};
use parvi::node::{Node, NodeConfig};
use parvi::wire::message::copies::{CopyEnd, CopyOrder, Duties, Offer, Outcome};
use parvi::wire::message::tracker::{
    Bye, CatalogueAnswer, HeartbeatAnswer, Held, PeersDelta, Refused, Registered, Stamp, Why,
};
use parvi::wire::{List, Message};

use super::eve::link_config;
use super::swarm::{LONG, Swarm, until};

/// What the boss wants of the one node that it has, and knows of it.
#[derive(Default)]
struct Books {
    copies: BTreeMap<Root, CopyOrder>,
    trims: Vec<Root>,
    catalogue: Stamp,
    files: BTreeMap<String, (Root, Kept)>,
    offer: Offer,
    beats: u64,
    outcomes: Vec<Outcome>,
}

pub struct Boss {
    books: Arc<Mutex<Books>>,
    pub addr: SocketAddr,
    stop: StopToken,
    group: Group,
}

impl Boss {
    pub fn start() -> Boss {
        let (stop, group) = (StopToken::new(), Group::new("boss"));
        let books: Arc<Mutex<Books>> = Arc::default();
        let listener = Listener::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let addr = listener.local_addr();
        let limits = ServeLimits { connections_max: 8, pending_max: 8 };
        let config = Arc::new(link_config(StaticKey::generate().unwrap()));
        let its = books.clone();
        let handler = Arc::new(move |mut link: Link| {
            while let Ok(question) = link.recv(LONG) {
                if link.send(answer(&mut its.lock(), question)).is_err() {
                    return;
                }
            }
        });
        serve(listener, "boss", limits, config, &group, &stop, handler).unwrap();
        Boss { books, addr, stop, group }
    }

    /// A node that does what the boss says.
    pub fn config(&self, swarm: &Swarm, label: &str) -> NodeConfig {
        let mut config = swarm.config(label);
        config.trackers.push(self.addr.to_string());
        config
    }

    pub fn node(&self, swarm: &Swarm, label: &str) -> Arc<Node> {
        swarm.start(&self.config(swarm, label))
    }

    pub fn orders(&self, entry: &FileEntry, sources: &[NodeId]) {
        let order = CopyOrder { entry: entry.clone(), sources: List::of(sources.to_vec()) };
        let mut books = self.books.lock();
        books.outcomes.retain(|outcome| outcome.root != entry.root);
        books.copies.insert(entry.root, order);
    }

    pub fn trims(&self, root: Root) {
        self.books.lock().trims.push(root);
    }

    /// What became of a copy, once the node has told.
    #[track_caller]
    pub fn end(&self, root: &Root) -> CopyEnd {
        let mut end = None;
        until("the node tells how the copy ended", LONG, || {
            let books = self.books.lock();
            end = books.outcomes.iter().rfind(|o| o.root == *root).map(|o| o.end.clone());
            end.is_some()
        });
        end.unwrap()
    }

    /// What the node lists.
    pub fn files(&self) -> BTreeMap<String, (Root, Kept)> {
        self.books.lock().files.clone()
    }

    /// Waits until the node lists exactly these.
    #[track_caller]
    pub fn lists(&self, files: &[(&str, &[u8], Kept)]) {
        let wanted: BTreeMap<_, _> = files
            .iter()
            .map(|(name, content, kept)| ((*name).to_owned(), (Root::of(content), *kept)))
            .collect();
        let what = format!("{:?}", wanted.keys());
        until(&what, LONG, || self.files() == wanted);
    }

    /// The node's next offer.
    pub fn offer(&self) -> Offer {
        let beats = self.books.lock().beats;
        until("two further heartbeats", LONG, || self.books.lock().beats > beats + 1);
        self.books.lock().offer
    }
}

impl Drop for Boss {
    fn drop(&mut self) {
        self.stop.stop();
        self.group.join_all(LONG);
    }
}

fn answer(books: &mut Books, question: Message) -> Message {
    let duties = |books: &Books| Duties {
        copies: List::of(books.copies.values().cloned().collect()),
        trims: List::of(books.trims.clone()),
    };
    match question {
        Message::Register(register) => {
            (books.catalogue, books.offer) = (Stamp::default(), register.offer);
            let (seen_as, catalogue) = (Ipv4Addr::LOCALHOST.into(), Stamp::default());
            Registered { seen_as, catalogue, duties: duties(books) }.into()
        }
        Message::Heartbeat(beat) => {
            books.offer = beat.offer;
            books.beats += 1;
            for outcome in beat.outcomes.into_vec() {
                books.copies.remove(&outcome.root);
                books.outcomes.push(outcome);
            }
            let peers = PeersDelta { stamp: beat.peers, ..PeersDelta::default() };
            let (catalogue, duties) = (books.catalogue, duties(books));
            HeartbeatAnswer { peers, catalogue, duties }.into()
        }
        Message::CatalogueDelta(page) => {
            if page.from == 0 {
                books.files.clear();
            }
            for name in page.removed.iter() {
                books.files.remove(name.as_str());
            }
            for Held { entry, kept } in page.added.into_vec() {
                books.files.insert(entry.name.as_str().to_owned(), (entry.root, kept));
            }
            let files = &books.files;
            books
                .trims
                .retain(|root| files.values().any(|(r, kept)| r == root && *kept == Kept::Replica));
            books.catalogue = Stamp { epoch: page.epoch, version: page.to };
            CatalogueAnswer { catalogue: books.catalogue }.into()
        }
        Message::Exit(_) => Bye.into(),
        _ => Refused::new(Why::NotHere, "the boss knows nothing").into(),
    }
}
