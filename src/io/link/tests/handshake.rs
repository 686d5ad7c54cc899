use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::super::preamble::{Preamble, Status};
use super::*;

fn swarm(key: Option<&SwarmKey>) -> LinkConfig {
    LinkConfig::new(StaticKey::generate().unwrap(), key.cloned(), Bulk::Private)
}

#[test]
fn both_sides_learn_who_the_other_is() {
    let key = SwarmKey::generate().unwrap();
    for key in [None, Some(&key)] {
        let (alice, bob) = (swarm(key), swarm(key));
        let (a, b) = linked(&alice, &bob);
        assert_eq!((a.peer, b.peer), (bob.key.public(), alice.key.public()));
        assert_eq!(a.remote.ip(), LOOPBACK);
    }
    let alice = swarm(None);
    let (a, b) = linked(&alice, &alice);
    assert_eq!(a.peer, b.peer, "a node may talk to itself");
}

#[test]
fn without_the_same_swarm_key_there_is_no_link_on_either_side() {
    let (one, other) = (SwarmKey::generate().unwrap(), SwarmKey::generate().unwrap());
    use KeyMismatch::{Differ, OnlyHere, OnlyThere};
    let mismatch = |end: Result<Link, LinkError>| match end {
        Err(LinkError::WrongKey(how)) => how,
        other => panic!("{:?}", other.err()),
    };
    for (a, b, told) in [
        (Some(&one), Some(&other), (Differ, Differ)),
        (Some(&one), None, (OnlyHere, OnlyThere)),
        (None, Some(&one), (OnlyThere, OnlyHere)),
    ] {
        let (alice, bob) = meet(&swarm(a), &swarm(b), None);
        assert_eq!((mismatch(alice), mismatch(bob)), told);
    }
}

#[test]
fn a_wrong_identity_is_told_from_the_right_one_and_learns_nothing() {
    let (alice, bob, eve) = (swarm(None), swarm(None), swarm(None));
    let (dialled, accepted) = meet(&alice, &eve, Some(bob.key.public()));
    match dialled {
        Err(LinkError::Identity { expected, met }) => {
            assert_eq!((expected, met), (bob.key.public(), eve.key.public()));
        }
        other => panic!("{:?}", other.err()),
    }
    assert!(matches!(accepted, Err(LinkError::Closed)), "{:?}", accepted.err());
}

#[test]
fn clear_needs_both_sides() {
    use Bulk::{Clear, Private};
    for (a, b, agreed) in [
        (Private, Private, Private),
        (Private, Clear, Private),
        (Clear, Private, Private),
        (Clear, Clear, Clear),
    ] {
        let (alice, bob) = linked(&config(a), &config(b));
        assert_eq!((alice.bulk(), bob.bulk()), (agreed, agreed), "{a} with {b}");
    }
}

/// What a listener answers to these bytes, and what it thinks of them.
fn answer_to(bytes: &[u8]) -> (Vec<u8>, LinkError) {
    let (listener, addr) = port();
    std::thread::scope(|s| {
        let bob = s.spawn(|| accept_one(&listener, &config(Bulk::Private)));
        let mut alice = stranger(addr);
        alice.write_all(bytes).unwrap();
        // Bob may have seen enough, and closed already.
        alice.shutdown(std::net::Shutdown::Write).ok();
        let mut answer = Vec::new();
        alice.read_to_end(&mut answer).ok();
        (answer, bob.join().unwrap().err().unwrap())
    })
}

/// What a dialler makes of this answer.
fn dialled_to(answer: &[u8]) -> LinkError {
    let (listener, addr) = port();
    std::thread::scope(|s| {
        s.spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.read_exact(&mut [0; 8]).unwrap();
            stream.write_all(answer).unwrap();
        });
        dial(addr, LOOPBACK, &config(Bulk::Private), None).err().unwrap()
    })
}

fn stranger(addr: SocketAddr) -> TcpStream {
    let socket =
        socket2::Socket::new(socket2::Domain::for_address(addr), socket2::Type::STREAM, None)
            .unwrap();
    socket.connect(&addr.into()).unwrap();
    socket.into()
}

#[test]
fn another_version_says_which_side_is_older() {
    let newer = Preamble { version: PROTOCOL_VERSION + 1, ..Preamble::of(false) };
    let older = Preamble { version: PROTOCOL_VERSION - 1, ..Preamble::of(false) };
    for (theirs, words) in [(newer, "this parvi is older"), (older, "the peer's parvi is older")] {
        let (answer, error) = answer_to(&theirs.encode());
        let answer = Preamble::decode(answer.try_into().unwrap()).unwrap();
        assert_eq!((answer.status, answer.version), (Status::Version, PROTOCOL_VERSION));
        assert!(error.to_string().contains(words), "{error}");
        for status in [Status::Version, Status::Fine] {
            let error = dialled_to(&theirs.with(status).encode());
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}

/// One who dials, of whom is counted what was heard.
struct Dialler {
    says: Vec<u8>,
    heard: AtomicUsize,
}

impl Pipe for Dialler {
    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let rest = &self.says[self.heard.load(Relaxed)..];
        let n = buf.len().min(rest.len());
        buf[..n].copy_from_slice(&rest[..n]);
        self.heard.fetch_add(n, Relaxed);
        Ok(n)
    }
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }
    fn shutdown(&self) {}
    fn remote(&self) -> SocketAddr {
        SocketAddr::new(LOOPBACK, 0)
    }
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

#[test]
fn one_of_another_version_is_heard_out_before_the_connection_is_closed_but_not_for_ever() {
    let older = Preamble { version: PROTOCOL_VERSION - 1, ..Preamble::of(false) }.encode();
    let heard = |more: usize| {
        let says = [&older[..], &vec![7; more]].concat();
        let pipe = Dialler { says, heard: AtomicUsize::new(0) };
        let refused = super::super::handshake::accept(&pipe, &config(Bulk::Private));
        assert!(matches!(refused.err(), Some(LinkError::Version { .. })));
        pipe.heard.into_inner()
    };
    assert_eq!(heard(34), older.len() + 34, "what is unread takes the answer away");
    assert!(heard(1 << 20) < 4096, "a dialler that talks for ever is listened to for ever");
}

#[test]
fn a_busy_listener_and_one_that_is_no_parvi_are_told_apart() {
    let busy = Preamble::of(true).with(Status::Busy).encode();
    assert!(matches!(dialled_to(&busy), LinkError::Busy));
    assert!(matches!(dialled_to(b"HTTP/1.1 400 Bad Request"), LinkError::NotParvi));
    assert!(matches!(dialled_to(b"PARV\x01\0\0\x09"), LinkError::NotParvi));
    assert!(matches!(dialled_to(b"PARV"), LinkError::Closed));
    let (answer, error) = answer_to(b"GET / HTTP/1.1\r\n\r\n");
    assert!(answer.is_empty() && matches!(error, LinkError::NotParvi), "{error}");
}

/// Carries bytes from one socket to the other; the one at `flipped` arrives with its highest bit turned.
fn carry(mut from: TcpStream, mut to: TcpStream, flipped: Option<usize>) {
    let mut bytes = [0];
    for at in 0.. {
        if from.read(&mut bytes).is_ok_and(|n| n == 1) {
            bytes[0] ^= if flipped == Some(at) { 0x80 } else { 0 };
            if to.write_all(&bytes).is_ok() {
                continue;
            }
        }
        to.shutdown(std::net::Shutdown::Both).ok();
        return;
    }
}

#[test]
fn a_preamble_that_was_changed_on_the_way_ends_the_handshake() {
    // The seventh byte has flags that nobody knows yet, so that only the cipher can tell.
    for (asked, answered) in [(None, None), (Some(6), None), (None, Some(6))] {
        let ((listener, addr), (middle, between)) = (port(), port());
        std::thread::scope(|s| {
            let bob = s.spawn(|| accept_one(&listener, &config(Bulk::Private)));
            s.spawn(move || {
                let (dialler, _) = middle.accept().unwrap();
                let server = stranger(addr);
                let (back, forth) = (server.try_clone().unwrap(), dialler.try_clone().unwrap());
                std::thread::scope(|both| {
                    both.spawn(|| carry(dialler, server, asked));
                    carry(back, forth, answered);
                });
            });
            let alice = dial(between, LOOPBACK, &config(Bulk::Private), None);
            let fine = asked.is_none() && answered.is_none();
            assert_eq!(alice.is_ok(), fine, "{asked:?} {answered:?}");
            drop(alice);
            assert_eq!(bob.join().unwrap().is_ok(), fine, "{asked:?} {answered:?}");
        });
    }
}

#[test]
fn handshake_messages_that_are_cut_too_long_or_garbage_are_refused() {
    let hello = Preamble::of(false).encode();
    let with = |rest: &[u8]| answer_to(&[&hello[..], rest].concat()).1;
    assert!(matches!(with(&[]), LinkError::Closed));
    assert!(matches!(with(&[32, 0, 1, 2, 3]), LinkError::Closed));
    assert!(matches!(with(&[1, 1]), LinkError::NotParvi), "257 bytes are too many");
    assert!(matches!(with(&[0xff, 0xff]), LinkError::NotParvi));
    assert!(matches!(with(&[0, 0]), LinkError::WrongKey(_)));
    let short = with(&[5, 0, 1, 2, 3, 4, 5]);
    assert!(matches!(short, LinkError::WrongKey(_) | LinkError::Crypto), "{short}");
    assert!(matches!(with(&[40; 42]), LinkError::NotParvi), "a payload where none belongs");
}

#[test]
fn links_work_over_ipv6() {
    let Ok(listener) = listen("[::1]:0".parse().unwrap()) else {
        return; // No IPv6 on this machine.
    };
    let addr = listener.local_addr().unwrap();
    let bob = config(Bulk::Private);
    std::thread::scope(|s| {
        let accepted = s.spawn(|| accept_one(&listener, &bob));
        let expect = Some(bob.key.public());
        assert!(dial(addr, addr.ip(), &config(Bulk::Private), expect).is_ok());
        assert!(accepted.join().unwrap().is_ok());
    });
}

#[test]
fn a_port_where_nobody_listens_is_named() {
    let (listener, addr) = port();
    drop(listener);
    let error = dial(addr, LOOPBACK, &config(Bulk::Private), None).err().unwrap();
    assert!(matches!(error, LinkError::Connect { .. }), "{error}");
    assert!(error.to_string().contains(&addr.to_string()), "{error}");
}
