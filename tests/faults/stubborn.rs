//! Owners that stall, dribble, hang up, lie about chunks or lose the file: others finish.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use parvi::base::{Bitmap, FaultKind, Range, Rate};
use parvi::io::link::{FileSlice, Link, LinkError};
use parvi::io::threads::StopToken;
use parvi::wire::List;
use parvi::wire::message::tracker::{Refused, Why};
use parvi::wire::message::transfer::{Ack, Done, Next, Opened, Stale};

use super::eve::{Acts, Eve, Goods, opened, send_as, stale};
use super::swarm::{LONG, Swarm, bytes, download, download_equal, from_node};

const MIB: usize = 1 << 20;

/// Says that it has everything, then does `misbehave`, then listens until it is cut off.
fn after_open(
    misbehave: impl Fn(&mut Link, &Goods) -> Result<(), LinkError> + Send + Sync + 'static,
) -> Acts {
    Acts::transferring(move |link, goods| {
        opened(link, Bitmap::all(goods.chunks()))?;
        misbehave(link, goods)?;
        loop {
            link.recv(LONG)?;
        }
    })
}

/// The header of item 0 with other numbers, and some bytes behind it.
fn header(items: Range, len: u64) -> Acts {
    Acts::sending(move |link, goods, _| {
        let slice = FileSlice { file: &goods.right, offset: 0, len: 1024 };
        send_as(link, items, len, slice)
    })
}

fn chunk_lies() -> Vec<(&'static str, Acts)> {
    let run = |first, count| Range { first, count };
    let slice_len = 256 * 1024;
    vec![
        ("next beyond the set", after_open(move |l, _| l.send(Next { items: run(1 << 30, 1) }))),
        ("next of 2^32-1 items", after_open(move |l, _| l.send(Next { items: run(0, u32::MAX) }))),
        (
            "next that wraps",
            after_open(move |l, _| l.send(Next { items: run(u32::MAX, u32::MAX) })),
        ),
        ("next of nothing", after_open(move |l, _| l.send(Next { items: run(0, 0) }))),
        ("a chunk unasked for", after_open(|l, g| g.send(l, g.chunks() - 1, true))),
        ("a chunk of another length", header(run(0, 1), slice_len - 1)),
        ("a chunk of 2^40 bytes", header(run(0, 1), 1 << 40)),
        ("a chunk of no bytes", header(run(0, 1), 0)),
        ("a run of chunks", header(run(0, 4), 4 * slice_len)),
        ("a chunk beyond the set", header(run(1 << 20, 1), slice_len)),
        ("a run that wraps", header(run(u32::MAX, 2), slice_len)),
        ("a run of 2^32-1", header(run(0, u32::MAX), slice_len)),
        (
            "the same chunk twice",
            Acts::sending(|l, g, item| g.send(l, item, true).and_then(|()| g.send(l, item, true))),
        ),
        (
            "stale beyond the set",
            after_open(move |l, _| {
                l.send(Stale { items: List::of(vec![run(0, u32::MAX), run(u32::MAX, u32::MAX)]) })
            }),
        ),
        (
            "an ACK to the requester",
            after_open(move |l, _| l.send(Ack { items: List::of(vec![run(0, 1)]) })),
        ),
        ("done, it says", after_open(|l, _| l.send(Done))),
    ]
}

fn open_lies() -> Vec<(&'static str, Acts)> {
    let have = |have: fn(u32) -> Bitmap| {
        Acts::transferring(move |link, goods| {
            opened(link, have(goods.chunks()))?;
            loop {
                link.recv(LONG)?;
            }
        })
    };
    vec![
        ("16,384 chunks", have(|_| Bitmap::all(16_384))),
        ("one chunk too many", have(|n| Bitmap::all(n + 1))),
        ("no chunk at all", have(Bitmap::none)),
        ("an empty bitmap", have(|_| Bitmap::none(0))),
        (
            "opened twice",
            after_open(|l, g| {
                let have = Bitmap::all(g.chunks());
                l.send(Opened { attempt: u32::MAX, have, grows: false })
            }),
        ),
        ("stale at once", after_open(stale)),
        ("closes at once", Acts::transferring(|_, _| Ok(()))),
        ("closes after OPEN", Acts::transferring(|l, _| l.recv(LONG).map(drop))),
        ("closes after OPENED", Acts::transferring(|l, g| opened(l, Bitmap::all(g.chunks())))),
        (
            "closes after NEXT",
            Acts::transferring(|l, g| {
                opened(l, Bitmap::all(g.chunks()))?;
                l.recv(LONG)?;
                l.send(Next { items: Range::one(0) })
            }),
        ),
        (
            "closes after a header",
            Acts::sending(|l, g, i| g.send_part(l, i, 0).and(Err(LinkError::Closed))),
        ),
        (
            "closes inside a chunk",
            Acts::sending(|l, g, i| g.send_part(l, i, 100_000).and(Err(LinkError::Closed))),
        ),
        (
            "closes after a chunk",
            Acts::sending(|l, g, i| g.send(l, i, true).and(Err(LinkError::Closed))),
        ),
        (
            "refuses",
            Acts::transferring(|l, _| {
                l.recv(LONG)?;
                l.send(Refused::new(Why::NotHere, "\x1b[2Jgone"))
            }),
        ),
        ("is busy", Acts::transferring(|l, _| l.send(Refused::new(Why::Busy, "later")))),
    ]
}

/// With alice honest and eve as each of `acts`, every file arrives.
fn all_arrive(acts: &[(&'static str, Acts)]) {
    let swarm = Swarm::new();
    let content = bytes(3 * MIB, 9);
    let files: Vec<String> = acts.iter().map(|(how, _)| format!("film/{how}")).collect();
    let contents: Vec<Vec<u8>> =
        (0..files.len()).map(|n| [&content[..], &[n as u8]].concat()).collect();
    let shared: Vec<(&str, &[u8])> =
        files.iter().zip(&contents).map(|(f, c)| (f.as_str(), &c[..])).collect();
    swarm.sharing("alice", &shared);
    let carol = swarm.node("carol");
    for (((how, acts), film), content) in acts.iter().zip(&files).zip(&contents) {
        let eve = Eve::start(&swarm, "eve", Goods::of(film, content), acts);
        let report = download_equal(&carol, film, content);
        assert!(from_node(&report, "alice") > 0, "{how}: {report:?}");
        assert_eq!(carol.stats().corrupt_chunks, 0, "{how}");
        drop(eve);
    }
}

#[test]
fn lies_about_chunks_cost_the_liar_its_connection_and_nothing_else() {
    all_arrive(&chunk_lies());
}

#[test]
fn an_owner_that_lies_about_what_it_has_or_hangs_up_at_any_step_is_done_without() {
    all_arrive(&open_lies());
}

#[test]
fn an_owner_that_keeps_breaking_the_protocol_is_banned_after_three_times() {
    for how in ["next of nothing", "done, it says", "stale of one item too many"] {
        let (swarm, content) = (Swarm::new(), bytes(3 * MIB, 6));
        let opens: Arc<AtomicU32> = Arc::default();
        let count = opens.clone();
        let acts = after_open(move |link, goods| {
            count.fetch_add(1, Relaxed);
            let run = |count| Range { first: 0, count };
            match how {
                "next of nothing" => link.send(Next { items: run(0) }),
                "done, it says" => link.send(Done),
                _ => link.send(Stale { items: List::of(vec![run(1), run(goods.chunks())]) }),
            }
        });
        let _eve = Eve::start(&swarm, "eve", Goods::of("film", &content), &acts);
        let carol = swarm.node("carol");
        let fault = download(&carol, "film").unwrap_err();
        assert_eq!(fault.kind, FaultKind::Integrity, "{how}: {fault}");
        let shown = format!("{:?}", carol.transfers());
        for words in [fault.text, shown] {
            assert!(
                words.contains("broke the protocol") && words.contains("eve"),
                "{how}: {words}"
            );
        }
        assert_eq!(opens.load(Relaxed), 3, "{how}");
    }
}

#[test]
fn an_owner_that_hangs_up_three_times_breaks_no_rule_and_is_asked_again() {
    let (swarm, content) = (Swarm::new(), bytes(3 * MIB, 7));
    let (honest, opens) = (Acts::honest(), AtomicU32::new(0));
    let acts = Acts::transferring(move |link, goods| {
        if opens.load(Relaxed) == 3 {
            return (honest.chunk)(link, goods);
        }
        // Counted once it is open: the tracker looks in too.
        opened(link, Bitmap::all(goods.chunks()))?;
        opens.fetch_add(1, Relaxed);
        Ok(())
    });
    let _eve = Eve::start(&swarm, "eve", Goods::of("film", &content), &acts);
    download_equal(&swarm.node("carol"), "film", &content);
}

#[test]
fn an_owner_that_stalls_inside_a_chunk_holds_up_nobody() {
    let (swarm, content, stop) = (Swarm::new(), bytes(8 * MIB, 4), StopToken::new());
    swarm.sharing("alice", &[("film", &content)]);
    let until_the_end = stop.clone();
    let stalls = Acts::sending(move |link, goods, item| {
        goods.send_part(link, item, 1_000)?;
        until_the_end.wait_stopped();
        Err(LinkError::Closed)
    });
    let eve = Eve::start(&swarm, "eve", Goods::of("film", &content), &stalls);
    let report = download_equal(&swarm.node("carol"), "film", &content);
    assert_eq!(from_node(&report, "alice"), 8 * MIB as u64, "all that eve held went to alice");
    assert!(report.seconds < 5.0, "waited for the stalled owner: {} s", report.seconds);
    stop.stop();
    drop(eve);
}

#[test]
fn an_owner_at_one_percent_of_the_speed_gets_what_it_can_carry() {
    let (swarm, content) = (Swarm::new(), bytes(16 * MIB, 5));
    for (label, up) in [("alice", None), ("bob", None), ("eve", Some(40 << 10))] {
        let mut config = swarm.config(label);
        config.up = up.map(Rate::per_second);
        swarm.sharing_with(&config, &[("film", &content)]);
    }
    let report = download_equal(&swarm.node("carol"), "film", &content);
    assert!(from_node(&report, "eve") <= MIB as u64, "{:?}", report.sources);
}
