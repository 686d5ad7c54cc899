//! A requester connects to an owner while it still asks it for the chunks' hashes.

use std::sync::Arc;

use crossbeam_channel::bounded;
use parking_lot::Mutex;
use parvi::wire::message::tracker::{Refused, Why};

use super::eve::{Acts, Eve, Goods};
use super::swarm::{LONG, Swarm, bytes, download_equal, until};

/// The owner says what the hashes are when the connection for the chunks is there, and not before.
#[test]
fn the_connection_for_the_chunks_is_made_while_their_hashes_are_awaited_and_is_the_only_one() {
    let (swarm, film) = (Swarm::new(), bytes(3 << 20, 1));
    // The tracker comes, too, to see whether she is there.
    let tracker = swarm.tracker.id();
    let (comes, connected) = bounded(8);
    let (Acts { size, chunk, .. }, came) = (Acts::honest(), connected.clone());
    let acts = Acts {
        chunk: Arc::new(move |link, goods| {
            if link.peer == tracker {
                return link.recv(LONG).map(drop);
            }
            comes.send(()).unwrap();
            chunk(link, goods)
        }),
        size: Arc::new(move |goods, question| {
            came.recv_timeout(LONG).ok()?;
            size(goods, question)
        }),
        ..Acts::honest()
    };
    let eve = Eve::start(&swarm, "eve", Goods::of("film", &film), &acts);
    let bob = swarm.node("bob");
    download_equal(&bob, "film", &film);
    until("eve hears the end of it", LONG, || eve.ends.lock().iter().any(|end| end == "Ok(())"));
    assert!(connected.is_empty(), "bob has come more than once: {:?}", eve.ends.lock());
}

/// The owner has no place for who says nothing, and asked for the chunks would name others.
#[test]
fn an_owner_that_has_refused_an_early_connection_is_asked_on_a_new_one() {
    let (swarm, film) = (Swarm::new(), bytes(3 << 20, 1));
    let tracker = swarm.tracker.id();
    let (refuses, refused) = bounded(8);
    let said: Arc<Mutex<Option<String>>> = Arc::default();
    let (Acts { size, chunk, .. }, heard) = (Acts::honest(), said.clone());
    let acts = Acts {
        chunk: Arc::new(move |link, goods| {
            if link.peer == tracker {
                return link.recv(LONG).map(drop);
            }
            if heard.lock().is_some() {
                return chunk(link, goods);
            }
            *heard.lock() = Some(String::new());
            link.send(Refused::new(Why::Busy, "there is no place"))?;
            refuses.send(()).unwrap();
            let answer = link.recv(LONG);
            *heard.lock() = Some(format!("{answer:?}"));
            Ok(())
        }),
        size: Arc::new(move |goods, question| {
            refused.recv_timeout(LONG).ok()?;
            size(goods, question)
        }),
        ..Acts::honest()
    };
    let _eve = Eve::start(&swarm, "eve", Goods::of("film", &film), &acts);
    download_equal(&swarm.node("bob"), "film", &film);
    until("the first connection ends", LONG, || {
        said.lock().as_ref().is_some_and(|s| !s.is_empty())
    });
    let said = said.lock().clone().unwrap();
    assert!(said.starts_with("Err"), "bob asks one who has refused him already: {said}");
}
