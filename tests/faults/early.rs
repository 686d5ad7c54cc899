//! A requester connects to an owner while it still asks it for the chunks' hashes.

use std::sync::Arc;

use crossbeam_channel::bounded;

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
