//! Wrong swarm keys and none: no word of the application is heard, and both sides say why.

use std::net::{Ipv4Addr, SocketAddr};

use parvi::io::link::{self, Bulk, LinkConfig, LinkError, StaticKey, SwarmKey};
use parvi::wire::message::search::SearchQuestion;

use super::raw::{PREAMBLE, connect, is_closed_within, read_exact, write_all};
use super::swarm::{LONG, Swarm, download_equal, name};

fn dial(addr: SocketAddr, key: Option<SwarmKey>) -> Result<link::Link, LinkError> {
    let config = LinkConfig::new(StaticKey::generate().unwrap(), key, Bulk::Private);
    link::dial(addr, Ipv4Addr::LOCALHOST.into(), &config, None)
}

#[test]
fn with_a_wrong_key_or_none_nobody_is_heard_at_any_door() {
    let key = SwarmKey::generate().unwrap();
    let swarm = Swarm::with_key(Some(key.clone()));
    let alice = swarm.sharing("alice", &[("film", b"seven samurai")]);
    let ready = alice.ready();
    let asked = swarm.tracker.stats();
    for door in [ready.search, ready.size, ready.chunk, swarm.tracker.addr()] {
        for wrong in [None, Some(SwarmKey::generate().unwrap())] {
            let end = dial(door, wrong).map(|_| ()).unwrap_err();
            assert!(matches!(end, LinkError::WrongKey(_)), "{door}: {end}");
            assert!(end.to_string().contains("--swarm-key-file"), "{end}");
        }
        // One that goes on talking although the doors said no.
        let pipe = connect(door);
        write_all(&*pipe, &PREAMBLE);
        let mut answer = [0; 8];
        assert!(read_exact(&*pipe, &mut answer, LONG));
        assert_eq!(answer[7], 2, "told that the swarm key is the reason");
        write_all(&*pipe, &[0x20; 10_000]);
        assert!(is_closed_within(&*pipe, LONG));
    }
    let mut good = dial(ready.search, Some(key)).unwrap();
    good.ask(SearchQuestion { name: name("film"), after: None }).unwrap();
    assert_eq!(alice.stats().searches_answered, 1, "a stranger's question was heard");
    let after = swarm.tracker.stats();
    assert_eq!((after.lookups, after.registrations), (asked.lookups, asked.registrations));
    let carol = swarm.node("carol");
    download_equal(&carol, "film", b"seven samurai");
}

#[test]
fn a_node_with_a_key_does_not_join_a_swarm_without_one_and_says_why() {
    let swarm = Swarm::new();
    let mut config = swarm.config("eve");
    config.swarm_key = Some(SwarmKey::generate().unwrap());
    let eve = swarm.start(&config);
    let reason = || eve.status().trackers[0].reason.clone();
    super::swarm::until("eve is told why", LONG, || reason().contains("swarm keys differ"));
    assert!(swarm.tracker.peers().is_empty());
    let fault = eve.lookup(&name("film")).unwrap_err();
    assert!(fault.text.contains("--swarm-key-file"), "{fault}");
}
