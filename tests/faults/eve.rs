//! An owner of the test: it registers like any node and answers as its [`Acts`] say.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use parvi::base::chunk::{chunk_count, chunk_span};
use parvi::base::{Bitmap, FileEntry, Manifest, Modified, PeerInfo, Ports, Range};
use parvi::io::link::{self, Bulk, FileSlice, Link, LinkConfig, LinkError, Phase, StaticKey};
use parvi::io::listen::{Listener, ServeLimits, serve};
use parvi::io::threads::{Group, StopToken};
use parvi::node::Node;
use parvi::wire::message::copies::Offer;
use parvi::wire::message::search::SearchAnswer;
use parvi::wire::message::size::SizeAnswer;
use parvi::wire::message::tracker::{CatalogueDelta, Held, Register, Stamp};
use parvi::wire::message::transfer::{
    Chunk, Content, Have, Next, Open, Opened, Serving, Set, Stale,
};
use parvi::wire::{List, Message};

use super::swarm::{LONG, Swarm, name};

/// The file an owner offers.
pub struct Goods {
    pub entry: FileEntry,
    pub manifest: Manifest,
    pub right: File,
    pub wrong: File,
}

impl Goods {
    pub fn of(wanted: &str, content: &[u8]) -> Goods {
        let file = |bytes: &[u8]| {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(bytes).unwrap();
            file
        };
        let manifest = Manifest::of(content);
        let flipped: Vec<u8> = content.iter().map(|b| b ^ 0x55).collect();
        Goods {
            entry: FileEntry {
                name: name(wanted),
                size: content.len() as u64,
                root: manifest.root(),
                modified: Modified::default(),
                executable: false,
            },
            right: file(content),
            wrong: file(&flipped),
            manifest,
        }
    }

    /// The same goods, for another owner.
    pub fn again(&self) -> Goods {
        Goods {
            entry: self.entry.clone(),
            manifest: self.manifest.clone(),
            right: self.right.try_clone().unwrap(),
            wrong: self.wrong.try_clone().unwrap(),
        }
    }

    pub fn chunks(&self) -> u32 {
        chunk_count(self.entry.size)
    }

    /// Every chunk, as lists name them.
    pub fn all<const MAX: usize>(&self) -> List<Range, MAX> {
        List::of(vec![Range { first: 0, count: self.chunks() }])
    }

    pub fn content(&self) -> Content {
        Content { root: self.entry.root, size: self.entry.size }
    }

    fn slice<'a>(&self, file: &'a File, item: u32) -> FileSlice<'a> {
        let span = chunk_span(self.entry.size, item).unwrap();
        FileSlice { file, offset: span.offset, len: span.len }
    }

    /// Sends one chunk as it should be, or with wrong bytes.
    pub fn send(&self, link: &mut Link, item: u32, right: bool) -> Result<(), LinkError> {
        let slice = self.slice(if right { &self.right } else { &self.wrong }, item);
        send_as(link, Range::one(item), slice.len, slice)
    }

    /// Sends a header and the first `part` bytes of its chunk.
    pub fn send_part(&self, link: &mut Link, item: u32, part: u64) -> Result<(), LinkError> {
        let whole = self.slice(&self.right, item);
        let (offset, len) = (whole.offset, part.min(whole.len));
        send_as(link, Range::one(item), whole.len, FileSlice { file: &self.right, offset, len })
    }
}

/// Sends a header that may lie about the bytes behind it.
pub fn send_as(
    link: &mut Link,
    items: Range,
    len: u64,
    slice: FileSlice<'_>,
) -> Result<(), LinkError> {
    link.writer.send_payload(&Chunk { items, len }.into(), &[slice], &mut |_| ())
}

/// Answers one question; none closes the connection.
pub type Answer = Arc<dyn Fn(&Goods, &Message) -> Option<Message> + Send + Sync>;
/// One chunk connection, from its first message to its end.
pub type Transfer = Arc<dyn Fn(&mut Link, &Goods) -> Result<(), LinkError> + Send + Sync>;

/// How an owner behaves.
#[derive(Clone)]
pub struct Acts {
    pub search: Answer,
    pub size: Answer,
    pub chunk: Transfer,
}

impl Acts {
    pub fn honest() -> Acts {
        Acts {
            search: Arc::new(|goods, _| {
                Some(
                    SearchAnswer {
                        files: List::of(vec![goods.entry.clone()]),
                        parts: List::default(),
                        more: false,
                    }
                    .into(),
                )
            }),
            size: Arc::new(|goods, _| {
                let values = List::of(goods.manifest.values().to_vec());
                let have = Bitmap::all(goods.chunks());
                Some(SizeAnswer { size: goods.entry.size, have, values }.into())
            }),
            chunk: transfer(|link, goods, item| goods.send(link, item, true)),
        }
    }

    /// Honest but for what it does instead of sending an item.
    pub fn sending(
        send: impl Fn(&mut Link, &Goods, u32) -> Result<(), LinkError> + Send + Sync + 'static,
    ) -> Acts {
        Acts { chunk: transfer(send), ..Acts::honest() }
    }

    pub fn transferring(
        chunk: impl Fn(&mut Link, &Goods) -> Result<(), LinkError> + Send + Sync + 'static,
    ) -> Acts {
        Acts { chunk: Arc::new(chunk), ..Acts::honest() }
    }
}

/// A transfer in which `send` is called for each item that is wanted.
pub fn transfer(
    send: impl Fn(&mut Link, &Goods, u32) -> Result<(), LinkError> + Send + Sync + 'static,
) -> Transfer {
    transfer_after(|link, goods| opened(link, Bitmap::all(goods.chunks())), send)
}

/// The same with another beginning.
pub fn transfer_after(
    begin: impl Fn(&mut Link, &Goods) -> Result<(), LinkError> + Send + Sync + 'static,
    send: impl Fn(&mut Link, &Goods, u32) -> Result<(), LinkError> + Send + Sync + 'static,
) -> Transfer {
    Arc::new(move |link, goods| {
        begin(link, goods)?;
        let mut wanted = BTreeSet::new();
        loop {
            let within = if wanted.is_empty() { LONG } else { Duration::from_millis(1) };
            match link.recv(within) {
                Ok(Message::Want(want)) => {
                    wanted.retain(|i| !want.remove.iter().any(|run| run.iter().contains(i)));
                    wanted.extend(want.add.iter().flat_map(|run| run.iter()));
                    continue;
                }
                Ok(Message::Skip(skip)) => wanted.retain(|i| !skip.items.iter().contains(i)),
                Ok(Message::Done(_) | Message::Cancel(_)) => return Ok(()),
                Ok(_) | Err(LinkError::Timeout(Phase::Header)) => {}
                Err(e) => return Err(e),
            }
            if let Some(item) = wanted.pop_first() {
                link.send(Next { items: Range::one(item) })?;
                send(link, goods, item)?;
            }
        }
    })
}

/// Takes the OPEN and says what is here.
pub fn opened(link: &mut Link, have: Bitmap) -> Result<(), LinkError> {
    match link.recv(LONG)? {
        Message::Open(_) => {
            let grows = !have.is_full();
            link.send(Opened { attempt: 1, have, grows })
        }
        other => Err(LinkError::Unexpected(other.kind())),
    }
}

/// Says that all of the file is gone, and listens on.
pub fn stale(link: &mut Link, goods: &Goods) -> Result<(), LinkError> {
    link.send(Stale { items: goods.all() })
}

/// Says that nothing is here yet, and then that all of it is, as one does who is fetching it.
pub fn claims_all(link: &mut Link, goods: &Goods) -> Result<(), LinkError> {
    opened(link, Bitmap::none(goods.chunks()))?;
    link.send(Have { items: goods.all() })
}

pub struct Eve {
    /// What went over the chunk listener: how each connection ended.
    pub ends: Arc<Mutex<Vec<String>>>,
    stop: StopToken,
    group: Group,
    /// Kept, so that the tracker, or the owner she fetches from, keeps her.
    _known: Link,
}

/// How a peer of the test links: quick to look up, otherwise as everybody.
pub fn link_config(key: StaticKey) -> LinkConfig {
    let mut config = LinkConfig::new(key, None, Bulk::Private);
    config.timeouts.poll = Duration::from_millis(5);
    config
}

impl Eve {
    /// An owner of `goods` at the tracker of `swarm`.
    pub fn start(swarm: &Swarm, label: &str, goods: Goods, acts: &Acts) -> Eve {
        let entry = goods.entry.clone();
        let known = |config: &LinkConfig, info: &PeerInfo| {
            register(swarm, config, info, std::slice::from_ref(&entry))
        };
        Eve::listening(label, goods, acts, known)
    }

    /// One who fetches `goods` from `owner` and says that she serves them: whoever fetches them there,
    /// too, hears of her. No tracker knows her.
    pub fn fetching(owner: &Node, label: &str, goods: Goods, acts: &Acts) -> Eve {
        let set = Set::File(goods.content());
        let known = |config: &LinkConfig, info: &PeerInfo| {
            let mut link = link::dial(owner.ready().chunk, info.ip, config, None).unwrap();
            let opened = link.ask(Open { set, resumable: false });
            assert!(matches!(opened, Ok(Message::Opened(_))), "{opened:?}");
            link.send(Serving { label: info.label.clone(), ports: info.ports }).unwrap();
            link
        };
        Eve::listening(label, goods, acts, known)
    }

    fn listening(
        label: &str,
        goods: Goods,
        acts: &Acts,
        known: impl FnOnce(&LinkConfig, &PeerInfo) -> Link,
    ) -> Eve {
        let (stop, group, goods) = (StopToken::new(), Group::new("eve"), Arc::new(goods));
        let config = Arc::new(link_config(StaticKey::generate().unwrap()));
        let ends: Arc<Mutex<Vec<String>>> = Arc::default();
        let (chunk, chunk_goods, chunk_ends) = (acts.chunk.clone(), goods.clone(), ends.clone());
        let listen = |name, handler| {
            let listener = Listener::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
            let port = listener.local_addr().port();
            let limits = ServeLimits { connections_max: 256, pending_max: 64 };
            serve(listener, name, limits, config.clone(), &group, &stop, handler).unwrap();
            port
        };
        let ports = Ports {
            search: listen("eve search", answering(goods.clone(), acts.search.clone())),
            size: listen("eve size", answering(goods.clone(), acts.size.clone())),
            chunk: listen(
                "eve chunk",
                Arc::new(move |mut link: Link| {
                    let end = chunk(&mut link, &chunk_goods);
                    chunk_ends.lock().push(format!("{end:?}"));
                }),
            ),
        };
        let id = config.key.public();
        let info = PeerInfo {
            id,
            label: label.parse().unwrap(),
            ip: Ipv4Addr::LOCALHOST.into(),
            ports,
            files: 0,
        };
        let known = known(&config, &info);
        Eve { ends, stop, group, _known: known }
    }
}

impl Drop for Eve {
    fn drop(&mut self) {
        self.stop.stop();
        self.group.join_all(LONG);
    }
}

fn answering(goods: Arc<Goods>, answer: Answer) -> Arc<dyn Fn(Link) + Send + Sync> {
    Arc::new(move |mut link| {
        while let Ok(question) = link.recv(LONG) {
            let Some(reply) = answer(&goods, &question) else { return };
            if link.send(reply).is_err() {
                return;
            }
        }
    })
}

/// Puts `info` on the tracker's list with its files, for as long as the link is kept.
pub fn register(swarm: &Swarm, config: &LinkConfig, info: &PeerInfo, files: &[FileEntry]) -> Link {
    let mut link = link::dial(swarm.tracker.addr(), info.ip, config, None).unwrap();
    let register = Register {
        instance: 1,
        label: info.label.clone(),
        ports: info.ports,
        advertise: None,
        heartbeat_s: 300,
        catalogue: Stamp { epoch: 1, version: 1 },
        offer: Offer::default(),
    };
    let added = List::of(files.iter().cloned().map(Held::shared).collect());
    assert!(matches!(link.ask(register), Ok(Message::Registered(_))));
    let page = CatalogueDelta {
        epoch: 1,
        from: 0,
        to: 1,
        added,
        removed: List::default(),
        taken_back: List::default(),
    };
    assert!(matches!(link.ask(page), Ok(Message::CatalogueAnswer(_))));
    link
}
