//! A node that is called: one answer a knock, for as many knocks as an owner may have and for as long
//! as a call may last.

use std::net::Ipv4Addr;
use std::time::Duration;

use parvi::base::Ports;
use parvi::io::link::{self, Link, StaticKey};
use parvi::logic::ledger::UNFINISHED_PER_REQUESTER_MAX;
use parvi::node::Node;
use parvi::wire::Message;
use parvi::wire::message::knock::{Knock, Knocked};

use super::eve::link_config;
use super::swarm::Swarm;

/// Between two knocks of a caller who takes his time.
const PAUSE: Duration = Duration::from_millis(200);

fn call(bob: &Node) -> Link {
    let config = link_config(StaticKey::generate().unwrap());
    link::dial(bob.ready().chunk, Ipv4Addr::LOCALHOST.into(), &config, None).unwrap()
}

/// Asks after one more set; whether there is an answer.
fn is_answered(link: &mut Link, n: usize) -> bool {
    let (set, content) = ([n as u8; 32], None);
    let ports = Ports { search: 1, size: 2, chunk: 3 };
    match link.ask(Knock { set, content, label: "alice".parse().unwrap(), ports }) {
        Ok(Message::Knocked(Knocked::NotWanted(_))) => true,
        Ok(other) => panic!("bob says {other:?}"),
        Err(_) => false,
    }
}

#[test]
fn one_call_is_answered_for_all_it_asks_after_and_for_no_more_than_an_owner_may_have() {
    let swarm = Swarm::new();
    let bob = swarm.node("bob");
    let mut link = call(&bob);
    let most = UNFINISHED_PER_REQUESTER_MAX;
    let answered = (0..2 * most).take_while(|n| is_answered(&mut link, *n)).count();
    assert!((most / 8..=most).contains(&answered), "{answered} of {most} knocks");
}

#[test]
fn a_caller_that_takes_his_time_is_hung_up_on() {
    let swarm = Swarm::new();
    let bob = swarm.node("bob");
    let mut link = call(&bob);
    let mut goes_on = |n: &usize| {
        let answered = is_answered(&mut link, *n);
        // Nothing comes; that is the pause.
        answered && link.recv(PAUSE).is_err()
    };
    let answered = (0..UNFINISHED_PER_REQUESTER_MAX).take_while(|n| goes_on(n)).count();
    assert!((1..UNFINISHED_PER_REQUESTER_MAX).contains(&answered), "{answered} knocks");
}
