//! ACK, SKIP and STALE that come twice, too late, too early or for items that are not there: what
//! counts as arrived is never more than was sent.

use super::*;
use crate::logic::spread::Spread;

#[derive(Debug, Clone, Copy)]
enum Said {
    Ack(Range),
    Skip(Range),
    Stale(Range),
    /// The next item leaves.
    Sent,
}

use Said::{Ack, Sent, Skip, Stale};

const CHUNK: u64 = 256 * KIB;

/// What was heard before, what is heard now, how many bytes that is, and what is unacknowledged then.
type Row = (&'static str, Vec<Said>, Said, Option<u64>, u32);

#[rustfmt::skip]
fn rows() -> Vec<Row> {
    let (one, two, four) = (range(0, 1), range(0, 2), range(0, 4));
    vec![
        ("before anything was sent", vec![], Ack(one), Some(0), 0),
        ("of what was sent", vec![Sent], Ack(one), Some(CHUNK), 0),
        ("twice", vec![Sent, Ack(one)], Ack(one), Some(0), 0),
        ("of all, when one was sent", vec![Sent], Ack(four), Some(CHUNK), 0),
        ("of all, when all were sent", vec![Sent, Sent, Sent, Sent], Ack(four), Some(4 * CHUNK), 0),
        ("of the second before the first", vec![Sent, Sent], Ack(range(1, 1)), Some(CHUNK), 1),
        ("of the first after the second", vec![Sent, Sent, Ack(range(1, 1))], Ack(one), Some(CHUNK), 0),
        ("of both after the second", vec![Sent, Sent, Ack(range(1, 1))], Ack(two), Some(CHUNK), 0),
        ("early, then again in time", vec![Ack(one), Sent], Ack(one), Some(CHUNK), 0),
        ("after a SKIP that came too late", vec![Sent, Skip(one)], Ack(one), Some(CHUNK), 0),
        ("twice after a SKIP that came too late", vec![Sent, Skip(one), Ack(one)], Ack(one), Some(0), 0),
        ("of what was skipped in time", vec![Skip(one)], Ack(one), Some(0), 0),
        ("of what is not here any more but was sent", vec![Sent, Stale(one)], Ack(one), Some(CHUNK), 0),
        ("of what is not here and was not sent", vec![Stale(one)], Ack(one), Some(0), 0),
        ("beyond the end", vec![Sent], Ack(range(3, 2)), None, 1),
        ("of nothing", vec![Sent], Ack(range(0, 0)), None, 1),
        ("SKIP after the ACK", vec![Sent, Ack(one)], Skip(one), Some(0), 0),
        ("STALE after the ACK", vec![Sent, Ack(one)], Stale(one), Some(0), 0),
        ("SKIP twice", vec![Sent, Sent, Skip(one)], Skip(one), Some(0), 1),
    ]
}

/// The bytes that are new by this; nothing when it is a violation.
fn hear(upload: &mut Upload, heard: Said) -> Option<u64> {
    match heard {
        Ack(items) => upload.on_ack(&ack(&[items])).ok(),
        Skip(items) => upload.on_skip(&skip(items), &mut Spread::default()).ok().map(|()| 0),
        Stale(items) => {
            upload.on_stale(items, &mut Spread::default());
            Some(0)
        }
        Sent => loop {
            match upload.next(&mut Spread::default()) {
                Some(Step::Send(run)) => {
                    upload.on_sent(run);
                    return Some(0);
                }
                Some(Step::Announce(_)) => {}
                None => panic!("nothing is left to be sent"),
            }
        },
    }
}

#[test]
fn an_ack_counts_once_and_only_what_was_sent_however_it_comes() {
    for (name, before, now, new, unacked) in rows() {
        let mut upload = bob(4);
        upload.on_want(&want(&[range(0, 4)], &[], 8)).unwrap();
        let mut total: u64 = before.into_iter().filter_map(|h| hear(&mut upload, h)).sum();
        assert_eq!(hear(&mut upload, now), new, "{name}");
        total += new.unwrap_or(0);
        assert_eq!(upload.unacked(), unacked, "{name}");
        assert_eq!(upload.acked_bytes(), total, "{name}");
        assert!(total <= upload.sent_bytes(), "{name}: {total} of {}", upload.sent_bytes());
    }
}
