//! An owner whose requester has gone calls him, and never sends a byte to anybody who did not ask.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use parvi::base::{PeerInfo, Ports, Root};
use parvi::io::link::{self, Link, LinkConfig, LinkError, StaticKey};
use parvi::io::listen::{Listener, ServeLimits, serve};
use parvi::io::threads::{Group, StopToken};
use parvi::node::Node;
use parvi::node::view::{Direction, TransferRow, TransferState};
use parvi::wire::message::knock::{Knock, Knocked};
use parvi::wire::message::transfer::{Content, Open, Set};
use parvi::wire::{Message, Text};

use super::eve::{link_config, register};
use super::swarm::{LONG, Swarm, bytes, until};

/// A requester of the test: it opens, goes away, and answers knocks as told.
struct Bob {
    config: Arc<LinkConfig>,
    ip: Ipv4Addr,
    heard: Arc<Mutex<Vec<Message>>>,
    /// Connections that he was called on.
    calls: Arc<AtomicUsize>,
    stop: StopToken,
    group: Group,
    _tracker: Link,
}

impl Bob {
    /// Listed by the tracker; answers every call with `answer`, as `identity`.
    fn start(swarm: &Swarm, answer: impl Fn() -> Message + Send + Sync + 'static) -> Bob {
        Bob::at(swarm, Ipv4Addr::LOCALHOST, answer)
    }

    /// The same at another address of this machine.
    fn at(
        swarm: &Swarm,
        ip: Ipv4Addr,
        answer: impl Fn() -> Message + Send + Sync + 'static,
    ) -> Bob {
        let key = StaticKey::generate().unwrap();
        let config = Arc::new(link_config(key));
        Bob::answering_as(swarm, ip, config.clone(), config, move || Some(answer()))
    }

    /// Listed as one, answering calls as another; where there is no answer he hangs up.
    fn answering_as(
        swarm: &Swarm,
        ip: Ipv4Addr,
        listed: Arc<LinkConfig>,
        answering: Arc<LinkConfig>,
        answer: impl Fn() -> Option<Message> + Send + Sync + 'static,
    ) -> Bob {
        let (stop, group) = (StopToken::new(), Group::new("bob"));
        let heard: Arc<Mutex<Vec<Message>>> = Arc::default();
        let calls: Arc<AtomicUsize> = Arc::default();
        let (told, counted) = (heard.clone(), calls.clone());
        let handler = Arc::new(move |mut link: Link| {
            counted.fetch_add(1, Ordering::Relaxed);
            while let Ok(message) = link.recv(LONG) {
                told.lock().push(message);
                let Some(answer) = answer() else { return };
                if link.send(answer).is_err() {
                    return;
                }
            }
        });
        let listener = Listener::bind((ip, 0).into()).unwrap();
        let chunk = listener.local_addr().port();
        let limits = ServeLimits { connections_max: 64, pending_max: 32 };
        serve(listener, "bob chunk", limits, answering, &group, &stop, handler).unwrap();
        let info = PeerInfo {
            id: listed.key.public(),
            label: "bob".parse().unwrap(),
            ip: ip.into(),
            ports: Ports { search: 1, size: 2, chunk },
            files: 0,
        };
        let tracker = register(swarm, &listed, &info, &[]);
        Bob { config: listed, ip, heard, calls, stop, group, _tracker: tracker }
    }

    /// Opens a file at alice and breaks off without a word.
    fn opens_and_goes(&self, alice: &Node, content: Content, resumable: bool) {
        let here = self.ip.into();
        let mut link = link::dial(alice.ready().chunk, here, &self.config, None).unwrap();
        let opened = link.ask(Open { set: Set::File(content), resumable });
        assert!(matches!(opened, Ok(Message::Opened(_))), "{opened:?}");
    }

    fn knocks(&self) -> Vec<Knock> {
        let heard = self.heard.lock();
        let knock = |message: &Message| match message {
            Message::Knock(knock) => knock.clone(),
            other => panic!("alice says {other:?} to who did not ask"),
        };
        heard.iter().map(knock).collect()
    }
}

impl Drop for Bob {
    fn drop(&mut self) {
        self.stop.stop();
        self.group.join_all(LONG);
    }
}

/// alice, who calls after a second, and her film.
fn alice(swarm: &Swarm) -> (Arc<Node>, Content) {
    let film = bytes(600_000, 1);
    let mut config = swarm.config("alice");
    config.ack_timeout = Duration::from_secs(1);
    let alice = swarm.sharing_with(&config, &[("film", &film)]);
    (alice, Content { root: Root::of(&film), size: film.len() as u64 })
}

fn upload(alice: &Node) -> Option<TransferRow> {
    alice.transfers().into_iter().find(|row| row.dir == Direction::Up)
}

fn knows_bob(alice: &Node) -> bool {
    alice.peers().iter().any(|peer| peer.node.as_str() == "bob")
}

#[test]
fn a_requester_that_has_gone_is_called_and_its_answer_ends_the_upload() {
    let answers: [fn() -> Message; 2] =
        [|| Knocked::Done.into(), || Knocked::NotWanted(Text::of("no more")).into()];
    for answer in answers {
        let swarm = Swarm::new();
        let (alice, content) = alice(&swarm);
        let bob = Bob::start(&swarm, answer);
        until("alice knows bob", LONG, || knows_bob(&alice));
        bob.opens_and_goes(&alice, content, true);
        until("bob is called", LONG, || !bob.knocks().is_empty());
        let knock = &bob.knocks()[0];
        assert_eq!((knock.content, knock.label.as_str()), (Some(content), "alice"));
        assert_eq!(knock.ports.chunk, alice.ready().chunk.port());
        until("the upload is over", LONG, || upload(&alice).is_none());
        assert_eq!(bob.knocks().len(), 1, "once");
    }
}

#[test]
fn one_call_asks_after_everything_that_a_requester_has_begun() {
    let swarm = Swarm::new();
    let films: Vec<(String, Vec<u8>)> =
        (0..8).map(|n| (format!("film{n}"), bytes(9_000, n))).collect();
    let mut config = swarm.config("alice");
    config.ack_timeout = Duration::from_secs(1);
    let shared: Vec<(&str, &[u8])> =
        films.iter().map(|(name, film)| (name.as_str(), film.as_slice())).collect();
    let alice = swarm.sharing_with(&config, &shared);
    let bob = Bob::start(&swarm, || Knocked::Done.into());
    until("alice knows bob", LONG, || knows_bob(&alice));
    for (_, film) in &films {
        bob.opens_and_goes(&alice, Content { root: Root::of(film), size: film.len() as u64 }, true);
    }
    until("all uploads are over", LONG, || upload(&alice).is_none());
    assert_eq!(bob.knocks().len(), films.len());
    // More than one only where some were begun when the others were due already.
    let calls = bob.calls.load(Ordering::Relaxed);
    assert!(calls < films.len(), "{calls} calls");
}

#[test]
fn one_that_says_later_is_shown_with_its_words_and_called_again() {
    let swarm = Swarm::new();
    let (alice, content) = alice(&swarm);
    let bob = Bob::start(&swarm, || Knocked::Later(Text::of("the disk is full")).into());
    until("alice knows bob", LONG, || knows_bob(&alice));
    bob.opens_and_goes(&alice, content, true);
    until("he is called twice", LONG, || bob.knocks().len() >= 2);
    let row = upload(&alice).unwrap();
    assert_eq!(row.state, TransferState::Waiting);
    assert!(row.reason.contains("the disk is full; knocks again in"), "{}", row.reason);
}

#[test]
fn one_that_hangs_up_in_the_middle_of_a_call_is_away_and_called_again() {
    let swarm = Swarm::new();
    let films = [bytes(9_000, 1), bytes(9_000, 2)];
    let mut config = swarm.config("alice");
    config.ack_timeout = Duration::from_secs(1);
    let alice = swarm.sharing_with(&config, &[("film1", &films[0]), ("film2", &films[1])]);
    let heard = AtomicUsize::new(0);
    let answer = move || {
        let is_second = heard.fetch_add(1, Ordering::Relaxed) == 1;
        (!is_second).then(|| Knocked::Done.into())
    };
    let config = Arc::new(link_config(StaticKey::generate().unwrap()));
    let bob =
        Bob::answering_as(&swarm, Ipv4Addr::LOCALHOST, config.clone(), config.clone(), answer);
    until("alice knows bob", LONG, || knows_bob(&alice));
    for film in &films {
        bob.opens_and_goes(&alice, Content { root: Root::of(film), size: film.len() as u64 }, true);
    }
    until("bob has hung up", LONG, || {
        let rows = alice.transfers();
        matches!(&rows[..], [row] if row.reason.starts_with("the requester is away: "))
    });
    until("both uploads are over", LONG, || upload(&alice).is_none());
    let sets: Vec<_> = bob.knocks().iter().map(|knock| knock.set).collect();
    assert!(sets.len() == 3 && sets[1] == sets[2] && sets[0] != sets[1], "{sets:?}");
}

/// Whether bob is called, and has answered, while the call to one who never answers is under way.
fn is_called_beside_a_mute() -> bool {
    let swarm = Swarm::new();
    let (alice, content) = alice(&swarm);
    let silence = StopToken::new();
    let held = silence.clone();
    // Who is at the same address waits for his turn.
    let mute = Bob::at(&swarm, Ipv4Addr::new(127, 0, 0, 2), move || {
        held.wait_stopped();
        Knocked::Done.into()
    });
    let bob = Bob::start(&swarm, || Knocked::Done.into());
    until("alice knows both", LONG, || alice.peers().len() == 2);
    mute.opens_and_goes(&alice, content, true);
    until("the mute one is called", LONG, || !mute.knocks().is_empty());
    bob.opens_and_goes(&alice, content, true);
    until("bob has been called", LONG, || alice.transfers().len() == 1 && !bob.knocks().is_empty());
    let rows = alice.transfers();
    silence.stop();
    matches!(&rows[..], [row] if row.reason == "knocking at the requester")
}

#[test]
fn one_that_hears_a_call_and_never_answers_holds_up_no_other() {
    // A call lasts a few seconds: on a machine that is busy it may be over before.
    assert!(
        (0..5).any(|_| is_called_beside_a_mute()),
        "bob is called after the first call was over"
    );
}

#[test]
fn a_one_shot_requester_is_not_called() {
    let swarm = Swarm::new();
    let (alice, content) = alice(&swarm);
    let (once, again) =
        (Bob::start(&swarm, || Knocked::Done.into()), Bob::start(&swarm, || Knocked::Done.into()));
    until("alice knows both", LONG, || alice.peers().len() == 2);
    once.opens_and_goes(&alice, content, false);
    until("its upload is over", LONG, || upload(&alice).is_none());
    again.opens_and_goes(&alice, content, true);
    until("who comes again is called", LONG, || !again.knocks().is_empty());
    assert!(once.knocks().is_empty(), "a one-shot requester was called");
}

#[test]
fn where_somebody_else_answers_nothing_is_said_and_nothing_ends() {
    let swarm = Swarm::new();
    let (alice, content) = alice(&swarm);
    let listed = Arc::new(link_config(StaticKey::generate().unwrap()));
    let victim = Arc::new(link_config(StaticKey::generate().unwrap()));
    let bob = Bob::answering_as(&swarm, Ipv4Addr::LOCALHOST, listed, victim, || {
        Some(Knocked::Done.into())
    });
    until("alice knows bob", LONG, || knows_bob(&alice));
    bob.opens_and_goes(&alice, content, true);
    until("alice has tried", LONG, || {
        upload(&alice).is_some_and(|row| row.reason.contains("is away"))
    });
    assert!(bob.knocks().is_empty(), "a victim heard {:?}", bob.heard.lock());
    assert!(upload(&alice).is_some(), "a stranger's answer ends nothing");
}

#[test]
fn a_knock_for_what_nobody_downloads_is_answered_and_starts_nothing() {
    let swarm = Swarm::new();
    let (alice, content) = alice(&swarm);
    let ask = |content| -> Result<Message, LinkError> {
        let config = link_config(StaticKey::generate().unwrap());
        let here = Ipv4Addr::LOCALHOST.into();
        let mut link = link::dial(alice.ready().chunk, here, &config, None)?;
        let ports = Ports { search: 1, size: 2, chunk: 3 };
        link.ask(Knock { set: [9; 32], content, label: "eve".parse().unwrap(), ports })
    };
    assert!(matches!(ask(None), Ok(Message::Knocked(Knocked::NotWanted(_)))));
    assert!(matches!(ask(Some(content)), Ok(Message::Knocked(Knocked::Done))), "alice has it");
    assert!(alice.transfers().is_empty());
}
