//! A peer that lies: its bytes are never taken for the file's, and nobody else suffers for it.
//!
//! eve is written here, with the library's own links: she registers at the real tracker, offers a
//! name with a root and a right manifest, and sends other bytes.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use parvi::base::{Bitmap, FileEntry, Manifest, Modified, Ports, Range};
use parvi::io::link::{self, Bulk, FileSlice, Link, LinkConfig, LinkError, StaticKey};
use parvi::io::listen::{Handler, Listener, ServeLimits, serve};
use parvi::io::threads::{Group, StopToken};
use parvi::wire::message::copies::Offer;
use parvi::wire::message::search::SearchAnswer;
use parvi::wire::message::size::SizeAnswer;
use parvi::wire::message::tracker::{Register, Stamp};
use parvi::wire::message::transfer::{Chunk, Next, Opened};
use parvi::wire::{List, Message};

use crate::harness::{Daemon, MIB, Swarm, noise, read, until};

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const IDLE_MAX: Duration = Duration::from_secs(10);

struct Eve {
    stop: StopToken,
    group: Group,
    /// Open as long as she is listed.
    _session: Link,
}

impl Drop for Eve {
    fn drop(&mut self) {
        self.stop.stop();
        self.group.join_all(Duration::from_secs(5));
    }
}

/// eve offers `film` under its name and sends what is in `other`.
fn eve(swarm: &Swarm, tracker: &Daemon, film: &[u8], other: &[u8]) -> Eve {
    let manifest = Manifest::of(film);
    let entry = FileEntry {
        name: "film".parse().unwrap(),
        size: film.len() as u64,
        root: manifest.root(),
        modified: Modified::default(),
        executable: false,
    };
    let path = swarm.path().join("lies");
    std::fs::write(&path, other).unwrap();
    let config = Arc::new(LinkConfig::new(StaticKey::generate().unwrap(), None, Bulk::Private));
    let (stop, group) = (StopToken::new(), Group::new("eve"));
    let chunks = manifest.values().len() as u32;
    let answer = move |question: Message| -> Message {
        match question {
            Message::SearchQuestion(_) => SearchAnswer {
                files: List::of(vec![entry.clone()]),
                parts: List::default(),
                more: false,
            }
            .into(),
            Message::SizeQuestion(_) => {
                let values = List::of(manifest.values().to_vec());
                SizeAnswer { size: entry.size, have: Bitmap::all(chunks), values }.into()
            }
            _ => Opened { attempt: 1, have: Bitmap::all(chunks), grows: false }.into(),
        }
    };
    let (lies, len) = (Arc::new(File::open(path).unwrap()), other.len() as u64);
    let handler: Handler = Arc::new(move |link| {
        if let Err(e) = talk(link, &answer, &lies, len) {
            eprintln!("eve: {e}");
        }
    });
    let listen = |name| {
        let listener = Listener::bind(SocketAddr::new(LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().port();
        let limits = ServeLimits { connections_max: 8, pending_max: 8 };
        serve(listener, name, limits, config.clone(), &group, &stop, handler.clone()).unwrap();
        port
    };
    let ports = Ports { search: listen("search"), size: listen("size"), chunk: listen("chunk") };
    let at = tracker.addr().parse().unwrap();
    let mut session = link::dial(at, LOCALHOST, &config, None).unwrap();
    let register = Register {
        instance: 1,
        label: "eve".parse().unwrap(),
        ports,
        advertise: None,
        heartbeat_s: 60,
        catalogue: Stamp::default(),
        offer: Offer::default(),
    };
    session.ask(register).unwrap();
    Eve { stop, group, _session: session }
}

/// Answers whatever is asked; sends a chunk of lies for every chunk that is wanted.
fn talk(
    mut link: Link,
    answer: &dyn Fn(Message) -> Message,
    lies: &File,
    len: u64,
) -> Result<(), LinkError> {
    loop {
        match link.recv(IDLE_MAX)? {
            Message::Want(want) => {
                for index in want.add.into_vec().into_iter().flat_map(Range::iter) {
                    let offset = u64::from(index) * CHUNK;
                    let part = CHUNK.min(len - offset);
                    let items = Range::one(index);
                    link.send(Next { items })?;
                    let source = [FileSlice { file: lies, offset, len: part }];
                    let header = Chunk { items, len: part }.into();
                    link.writer.send_payload(&header, &source, &mut |_| {})?;
                }
            }
            question @ (Message::SearchQuestion(_)
            | Message::SizeQuestion(_)
            | Message::Open(_)) => link.send(answer(question))?,
            Message::Ack(_) | Message::Skip(_) | Message::Working(_) | Message::Serving(_) => {}
            _ => return Ok(()),
        }
    }
}

/// Of files up to 64 MiB.
const CHUNK: u64 = 256 * 1024;

#[test]
fn a_file_that_only_a_liar_has_is_exit_code_5_and_gets_no_name() {
    let swarm = Swarm::new();
    let tracker = swarm.tracker();
    let _eve = eve(&swarm, &tracker, &noise(1, MIB), &noise(2, MIB));
    swarm.get("film", "out", &tracker, &[]).refused(5, "eve");
    assert!(!swarm.path().join("out/film").exists());

    let bob = swarm.node("bob", &tracker);
    bob.ctl(&["download", "film", "--wait"]).refused(5, "eve");
    assert!(!swarm.downloaded("bob", "film").exists());
    assert!(bob.json(&["stats"])["corrupt_chunks"].as_u64() > Some(0));
    bob.tells("sent 1 chunk(s) that do not match the file's hash");
}

#[test]
fn beside_an_honest_owner_a_liar_changes_nothing() {
    let swarm = Swarm::new();
    let film = noise(3, 4 * MIB);
    let mut lies = film.clone();
    lies[3 * MIB] ^= 1;
    swarm.put("alice", "film", &film);
    let tracker = swarm.tracker();
    let _alice = swarm.node_with("alice", &tracker, &["--up", "8MiB"]);
    let _eve = eve(&swarm, &tracker, &film, &lies);
    let bob = swarm.node("bob", &tracker);
    bob.finds("film", 2);
    let report = bob.json(&["download", "film"]);
    assert!(read(&swarm.downloaded("bob", "film")) == film, "{report}");
    until("alice sent something", || {
        report["sources"].as_array()?.iter().any(|s| s["node"] == "alice").then_some(())
    });
}
