//! Peers that take their time. Only the kind of error is asserted, never how long it took.

use crate::io::threads::StopToken;
use crate::wire::message::transfer::Working;

use super::super::preamble::Preamble;
use super::super::session::PLAIN_MAX;
use super::talk::chunk;
use super::*;

fn hasty_handshake() -> LinkConfig {
    let mut config = hasty(Bulk::Private);
    config.timeouts.handshake = Duration::from_millis(150);
    config
}

/// Writes a byte now and then until the other side has had enough.
fn drip(pipe: &dyn Pipe, bytes: impl IntoIterator<Item = u8>) {
    let pause = StopToken::new();
    for byte in bytes {
        pause.wait(Duration::from_millis(5));
        if pipe.write(&[byte]).is_err() {
            return;
        }
    }
}

#[test]
fn a_silent_or_dripping_dialler_does_not_outlast_the_handshake() {
    let hello = Preamble::of(false).encode();
    // A handshake message of 256 bytes, the longest there may be, and more time than it has.
    let long_message = [&hello[..], &[0, 1], &[7; 100_000]].concat();
    for bytes in [vec![], hello[..5].to_vec(), long_message] {
        let (listener, addr) = port();
        let limits = Timeouts::default();
        let pipe = TcpPipe::connect(addr, LOOPBACK, limits.connect, limits.poll).unwrap();
        std::thread::scope(|s| {
            s.spawn(|| drip(&pipe, bytes));
            let error = accept_one(&listener, &hasty_handshake()).err().unwrap();
            assert!(matches!(error, LinkError::Timeout(Phase::Handshake)), "{error}");
            pipe.shutdown();
        });
    }
}

#[test]
fn a_listener_that_never_answers_is_given_up() {
    let (_listener, addr) = port();
    let error = dial(addr, LOOPBACK, &hasty_handshake(), None).err().unwrap();
    assert!(matches!(error, LinkError::Timeout(Phase::Handshake)), "{error}");
}

#[test]
fn silence_before_a_message_can_be_waited_out_but_a_late_answer_cannot_be_taken() {
    let (mut alice, mut bob) = linked(&hasty(Bulk::Private), &hasty(Bulk::Private));
    for _ in 0..2 {
        let nothing = bob.recv(Duration::from_millis(1));
        assert!(matches!(nothing, Err(LinkError::Timeout(Phase::Header))), "{nothing:?}");
    }
    alice.send(Working).unwrap();
    assert_eq!(bob.recv(LONG).unwrap(), Message::from(Working));

    let unanswered = alice.ask(Working);
    assert!(matches!(unanswered, Err(LinkError::Timeout(Phase::Header))), "{unanswered:?}");
    bob.recv(LONG).unwrap();
    assert!(matches!(bob.recv(LONG), Err(LinkError::Closed)));
}

#[test]
fn a_dripped_message_is_cut_off() {
    let (mut alice, mut bob) = linked(&hasty(Bulk::Private), &hasty(Bulk::Private));
    alice.writer.seal_record(&[0; PLAIN_MAX]).unwrap();
    let bytes = alice.writer.take_sealed();
    std::thread::scope(|s| {
        s.spawn(|| drip(&*alice.session.pipe, bytes));
        let got = bob.recv(LONG);
        assert!(matches!(got, Err(LinkError::Timeout(Phase::Body))), "{got:?}");
        drop(bob);
    });
}

#[test]
fn a_dripped_or_stalled_payload_is_cut_off_in_both_modes() {
    for bulk in [Bulk::Private, Bulk::Clear] {
        for dripping in [true, false] {
            let (mut alice, mut bob) = linked(&hasty(bulk), &hasty(bulk));
            alice.send(chunk(1 << 20).clone()).unwrap();
            alice.writer.seal_record(&[0; PLAIN_MAX]).unwrap();
            let mut bytes = alice.writer.take_sealed();
            bytes.truncate(if dripping { usize::MAX } else { 20 });
            std::thread::scope(|s| {
                s.spawn(|| drip(&*alice.session.pipe, bytes));
                bob.recv(LONG).unwrap();
                let got = bob.reader.recv_payload(&mut vec![0; 1 << 20], &mut |_| ());
                assert!(matches!(got, Err(LinkError::Timeout(Phase::Payload))), "{got:?}");
                drop(bob);
            });
        }
    }
}

#[test]
fn a_peer_that_does_not_read_is_cut_off_in_both_modes() {
    let file = tempfile::tempfile().unwrap();
    file.set_len(1 << 30).unwrap();
    for bulk in [Bulk::Private, Bulk::Clear] {
        let (mut alice, bob) = linked(&hasty(bulk), &hasty(bulk));
        let source = [FileSlice { file: &file, offset: 0, len: 1 << 30 }];
        let sent = alice.writer.send_payload(&chunk(1 << 30), &source, &mut |_| ());
        assert!(matches!(sent, Err(LinkError::Timeout(Phase::Send))), "{sent:?}");
        drop(bob);
    }
    let (mut alice, bob) = linked(&hasty(Bulk::Private), &hasty(Bulk::Private));
    let large = super::records::one_of_each().swap_remove(13);
    let sent = (0..10_000).try_for_each(|_| alice.writer.send(&large));
    assert!(matches!(sent, Err(LinkError::Timeout(Phase::Send))), "{sent:?}");
    drop(bob);
}

#[test]
fn a_peer_that_does_not_read_is_waited_for_by_who_is_overseen_until_the_link_ends() {
    let file = tempfile::tempfile().unwrap();
    file.set_len(1 << 30).unwrap();
    let longer_than_any_silence = hasty(Bulk::Private).timeouts.grace * 3;
    for bulk in [Bulk::Private, Bulk::Clear] {
        let (mut alice, bob) = linked(&hasty(bulk), &hasty(bulk));
        let closer = alice.closer();
        alice.writer.overseen();
        let source = [FileSlice { file: &file, offset: 0, len: 1 << 30 }];
        let sent = std::thread::scope(|s| {
            let sending =
                s.spawn(|| alice.writer.send_payload(&chunk(1 << 30), &source, &mut |_| ()));
            StopToken::new().wait(longer_than_any_silence);
            closer.close();
            sending.join().unwrap()
        });
        assert!(!matches!(sent, Ok(()) | Err(LinkError::Timeout(_))), "{sent:?}");
        drop(bob);
    }
}

#[test]
fn time_that_the_receiver_takes_for_itself_is_not_held_against_the_sender() {
    let receiver = hasty(Bulk::Private);
    let longer_than_any_silence = receiver.timeouts.grace * 3;
    let (mut alice, mut bob) = linked(&config(Bulk::Private), &receiver);
    let file = tempfile::tempfile().unwrap();
    let len = 1 << 20;
    file.set_len(len).unwrap();
    let source = [FileSlice { file: &file, offset: 0, len }];
    std::thread::scope(|s| {
        s.spawn(|| alice.writer.send_payload(&chunk(len), &source, &mut |_| ()).unwrap());
        bob.recv(LONG).unwrap();
        let (pause, mut first) = (StopToken::new(), true);
        let mut digest = |_| {
            if std::mem::take(&mut first) {
                pause.wait(longer_than_any_silence);
            }
        };
        bob.reader.recv_payload(&mut vec![0; len as usize], &mut digest).unwrap();
    });
}
