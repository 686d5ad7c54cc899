//! More fetch a film than one requester is connected to: whoever brings nothing makes room for one who
//! was not asked yet.

use std::sync::Arc;

use parking_lot::Mutex;
use parvi::base::{Bitmap, Range, Rate};
use parvi::io::link::{Link, LinkError};
use parvi::node::NodeConfig;
use parvi::wire::message::transfer::{Have, Next};
use parvi::wire::{List, Message};

use super::eve::{Acts, Eve, Goods, opened};
use super::swarm::{LONG, Swarm, bytes, until};

const CHUNK: usize = 256 << 10;
const CHUNKS: u32 = 48;
/// Connections of one set at once, that to the film's first owner apart.
const NEIGHBOURS: u32 = 15;
/// The first owner alone would need most of a minute for what none of the neighbours has.
const SLOW: u64 = 128 << 10;

/// What one of those who fetch the film has done for the requester.
#[derive(Default)]
struct Done {
    asked: bool,
    sent: u32,
    /// How the transfer has ended: DONE or CANCEL.
    end: Option<&'static str>,
}

/// One who fetches the film and has `chunks` of it, which it sends as soon as they are wanted.
fn neighbour(chunks: Vec<u32>, done: &Arc<Mutex<Done>>) -> Acts {
    let done = done.clone();
    let serves = move |link: &mut Link, goods: &Goods| -> Result<(), LinkError> {
        opened(link, Bitmap::none(goods.chunks()))?;
        done.lock().asked = true;
        if !chunks.is_empty() {
            link.send(Have { items: List::of(Range::collect(chunks.iter().copied())) })?;
        }
        let end = loop {
            match link.recv(LONG)? {
                Message::Want(want) => {
                    for item in want.add.iter().flat_map(|run| run.iter()) {
                        link.send(Next { items: Range::one(item) })?;
                        goods.send(link, item, true)?;
                        done.lock().sent += 1;
                    }
                }
                Message::Cancel(_) => break "CANCEL",
                Message::Done(_) => break "DONE",
                _ => {}
            }
        };
        done.lock().end = Some(end);
        Ok(())
    };
    Acts::transferring(serves)
}

#[test]
fn one_of_many_neighbours_that_brings_nothing_makes_room_for_one_not_asked_yet() {
    let (swarm, film) = (Swarm::new(), bytes(CHUNKS as usize * CHUNK, 1));
    let goods = Goods::of("film", &film);
    let slow = NodeConfig { up: Some(Rate::per_second(SLOW)), ..swarm.config("alice") };
    let alice = swarm.sharing_with(&slow, &[("film", &film)]);
    let all: Vec<Arc<Mutex<Done>>> = (0..=NEIGHBOURS).map(|_| Arc::default()).collect();
    let begin = |n: u32, chunks| {
        let acts = neighbour(chunks, &all[n as usize]);
        Eve::fetching(&alice, &format!("eve{n}"), goods.again(), &acts)
    };
    // The first of them has nothing, the others two chunks each.
    let of = |n| if n == 0 { vec![] } else { vec![n, n + NEIGHBOURS + 1] };
    let mut eves: Vec<Eve> = (0..NEIGHBOURS).map(|n| begin(n, of(n))).collect();
    let (bob, id) = swarm.requesters("film", &["bob"]).remove(0);
    let has_brought = |n: u32| {
        let done = all[n as usize].lock();
        done.asked && (n == 0 || done.sent > 0)
    };
    until("all but one have brought something", LONG, || (0..NEIGHBOURS).all(has_brought));
    // One more, and all places are taken.
    eves.push(begin(NEIGHBOURS, (0..CHUNKS).collect()));
    let reports = bob.wait(id, LONG).expect("it ends").expect("it does not wait");
    assert!(std::fs::read(&reports[0].path).unwrap() == film, "wrong bytes");
    assert!(all[NEIGHBOURS as usize].lock().sent > 0, "nobody has made room for the last one");
    let ends = || all.iter().map(|done| done.lock().end).collect::<Vec<_>>();
    until("all have heard the end", LONG, || ends().iter().all(Option::is_some));
    let room: Vec<usize> = (0..all.len()).filter(|n| ends()[*n] == Some("CANCEL")).collect();
    assert_eq!(room, [0], "who has made room: {:?}", ends());
}
