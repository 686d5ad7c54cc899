//! alice, bob and eve come, beat, fall silent, leave, move and clash, at times made up.

use super::*;
use crate::base::{Ports, Root};
use crate::wire::List;
use crate::wire::message::copies::Offer;
use crate::wire::message::tracker::{Held, Register, Registered, Stamp};

const HEARTBEAT: Duration = Duration::from_secs(10);
const PORTS: Ports = Ports { search: 1, size: 2, chunk: 3 };

/// A registry, a clock, and what happened.
struct Town {
    registry: Registry,
    now: Time,
    effects: Vec<Effect>,
}

/// A node as the tracker meets it.
#[derive(Clone)]
struct Person {
    id: NodeId,
    ip: IpAddr,
    session: SessionToken,
    register: Register,
}

fn person(name: &str, number: u8) -> Person {
    Person {
        id: NodeId::from_bytes([number; 32]),
        ip: [10, 0, 0, number].into(),
        session: SessionToken(number.into()),
        register: Register {
            instance: 1,
            label: name.parse().unwrap(),
            ports: PORTS,
            advertise: None,
            heartbeat_s: 10,
            catalogue: Stamp::default(),
            offer: Offer::default(),
        },
    }
}

impl Town {
    fn new() -> Town {
        Town::with(Limits::default())
    }

    fn with(limits: Limits) -> Town {
        Town { registry: Registry::new(77, limits), now: Time::ZERO + HEARTBEAT, effects: vec![] }
    }

    fn elapse(&mut self, time: Duration) {
        self.now = self.now + time;
        self.effects.extend(self.registry.on_tick(self.now));
    }

    fn register(&mut self, who: &Person) -> Result<Registered, Refused> {
        let (answer, effects) =
            self.registry.on_register(self.now, who.session, who.id, who.ip, &who.register)?;
        self.effects.extend(effects);
        Ok(answer)
    }

    fn beat(&mut self, who: &Person) -> Result<HeartbeatAnswer, Refused> {
        self.registry.on_heartbeat(self.now, who.session, &Heartbeat::default())
    }

    fn hang_up(&mut self, who: &Person, by: ClosedBy) {
        self.registry.on_session_closed(self.now, who.session, by);
    }

    fn dialled(&mut self, who: &Person, addr: SocketAddr, outcome: DialOutcome) {
        self.registry.on_dial_back(self.now, &who.id, addr, outcome);
    }

    fn listed(&self) -> Vec<String> {
        self.registry.nodes(self.now).map(|row| row.label.to_string()).collect()
    }

    fn addr(&self, who: &Person) -> SocketAddr {
        self.registry.nodes(self.now).find(|row| row.id == who.id).unwrap().addr
    }

    /// What people were told since the last call, and which connections were closed.
    fn told(&mut self) -> Vec<String> {
        let told =
            std::mem::take(&mut self.effects).into_iter().filter_map(|effect| match effect {
                Effect::Joined { label, .. } => Some(format!("{label} joined")),
                Effect::Left { label, intentionally: true, .. } => Some(format!("{label} left")),
                Effect::Left { label, why, .. } => Some(format!("{label} lost: {why}")),
                Effect::Close(SessionToken(n)) => Some(format!("close {n}")),
                Effect::DialBack { .. } => None,
            });
        told.collect()
    }

    /// Where was dialled since the last call.
    fn dials(&mut self) -> Vec<SocketAddr> {
        let dials =
            std::mem::take(&mut self.effects).into_iter().filter_map(|effect| match effect {
                Effect::DialBack { addr, .. } => Some(addr),
                _ => None,
            });
        dials.collect()
    }
}

fn on_other_connection(who: &Person, instance: u64) -> Person {
    let mut who = who.clone();
    who.session.0 += 100;
    who.register.instance = instance;
    who
}

#[test]
fn nodes_that_beat_stay_and_a_silent_one_is_dropped_after_three_beats() {
    let (mut town, alice, bob) = (Town::new(), person("alice", 1), person("bob", 2));
    town.register(&alice).unwrap();
    town.register(&bob).unwrap();
    assert_eq!(town.told(), ["alice joined", "bob joined"]);
    for _ in 0..3 {
        assert_eq!(town.listed(), ["alice", "bob"]);
        town.elapse(HEARTBEAT);
        let answer = town.beat(&alice).unwrap();
        assert!(answer.peers.changed.iter().all(|peer| peer.id == bob.id), "alice lists herself");
    }
    assert_eq!(town.told(), ["bob lost: silent for 30 s", "close 2"]);
    assert_eq!(town.listed(), ["alice"]);
    assert_eq!(town.beat(&bob).unwrap_err().why, Why::NotRegistered);
}

#[test]
fn the_interval_a_node_chooses_is_clamped() {
    for (asked, kept) in [(0, 1), (u16::MAX, 300)] {
        let (mut town, mut alice) = (Town::new(), person("alice", 1));
        alice.register.heartbeat_s = asked;
        town.register(&alice).unwrap();
        town.elapse(Duration::from_secs(3 * kept) - Duration::from_millis(1));
        assert_eq!(town.listed(), ["alice"], "{asked} s");
        town.elapse(Duration::from_millis(1));
        assert!(town.listed().is_empty(), "{asked} s");
    }
}

#[test]
fn a_goodbye_is_told_apart_from_a_kill() {
    let (mut town, alice, bob) = (Town::new(), person("alice", 1), person("bob", 2));
    town.register(&alice).unwrap();
    town.register(&bob).unwrap();
    town.told();
    let effects = town.registry.on_exit(town.now, alice.session).unwrap();
    town.effects.extend(effects);
    town.hang_up(&alice, ClosedBy::Peer);
    town.hang_up(&bob, ClosedBy::Peer);
    town.elapse(RECONNECT_GRACE - Duration::from_millis(1));
    assert_eq!(town.told(), ["alice left"]);
    town.elapse(Duration::from_millis(1));
    assert_eq!(town.told(), ["bob lost: its connection closed without a goodbye"]);
}

#[test]
fn a_reconnect_within_the_grace_makes_no_noise() {
    let (mut town, bob) = (Town::new(), person("bob", 2));
    town.register(&bob).unwrap();
    town.told();
    town.hang_up(&bob, ClosedBy::Peer);
    town.elapse(Duration::from_secs(1));
    let again = on_other_connection(&bob, 1);
    town.register(&again).unwrap();
    town.elapse(HEARTBEAT);
    town.hang_up(&bob, ClosedBy::Peer);
    assert!(town.told().is_empty());
    assert_eq!(town.listed(), ["bob"]);
    town.beat(&again).unwrap();
}

#[test]
fn a_connection_that_the_tracker_closed_is_waited_for_as_long_as_a_silent_one() {
    let (mut town, bob) = (Town::new(), person("bob", 2));
    town.register(&bob).unwrap();
    town.told();
    town.hang_up(&bob, ClosedBy::Tracker);
    town.elapse(HEARTBEAT * 3 - Duration::from_millis(1));
    assert_eq!(town.listed(), ["bob"]);
    town.elapse(Duration::from_millis(1));
    assert_eq!(town.told(), ["bob lost: silent for 30 s"]);
}

#[test]
fn the_same_process_on_a_new_connection_takes_over_even_while_the_old_one_is_open() {
    let (mut town, bob) = (Town::new(), person("bob", 2));
    town.register(&bob).unwrap();
    town.told();
    town.register(&on_other_connection(&bob, 1)).unwrap();
    assert_eq!(town.told(), ["close 2"]);
    assert_eq!(town.beat(&bob).unwrap_err().why, Why::NotRegistered);
}

#[test]
fn a_copied_data_directory_is_refused_with_words_that_help() {
    let (mut town, bob) = (Town::new(), person("bob", 2));
    town.register(&bob).unwrap();
    town.elapse(Duration::from_secs(3));
    let mut copy = on_other_connection(&bob, 2);
    copy.ip = [10, 0, 0, 9].into();
    let refused = town.register(&copy).unwrap_err();
    assert_eq!(refused.why, Why::IdentityInUse { at: "10.0.0.2:3".parse().unwrap(), heard_s: 3 });
    let text = refused.text.shown();
    for word in ["10.0.0.2:3", "3 s ago", "copied", "delete .parvi/id"] {
        assert!(text.contains(word), "{text:?} lacks {word:?}");
    }
    assert!(town.beat(&bob).is_ok(), "the first one is not disturbed");
}

#[test]
fn a_restarted_process_takes_over_once_the_old_session_is_closed_or_silent() {
    for silent in [false, true] {
        let (mut town, bob) = (Town::new(), person("bob", 2));
        town.register(&bob).unwrap();
        town.told();
        if silent {
            town.elapse(HEARTBEAT * 2);
        } else {
            town.hang_up(&bob, ClosedBy::Peer);
        }
        town.register(&on_other_connection(&bob, 2)).unwrap();
        let told = town.told();
        assert_eq!(told[told.len() - 2..], ["bob lost: restarted", "bob joined"]);
        assert_eq!(told.len() == 3, silent, "{told:?}");
        assert_eq!(town.listed(), ["bob"]);
    }
}

#[test]
fn a_claimed_address_is_listed_only_after_the_node_was_met_there() {
    let (mut town, mut bob) = (Town::new(), person("bob", 2));
    bob.register.advertise = Some([192, 0, 2, 7].into());
    let (source, claimed) = ("10.0.0.2:3".parse().unwrap(), "192.0.2.7:3".parse().unwrap());
    town.register(&bob).unwrap();
    assert_eq!(town.dials(), [source, claimed]);
    assert_eq!(town.addr(&bob), source);
    town.dialled(&bob, source, DialOutcome::Failed);
    assert_eq!(town.registry.nodes(town.now).next().unwrap().reachable, Some(false));
    town.dialled(&bob, claimed, DialOutcome::Met);
    assert_eq!(town.addr(&bob), claimed);
    assert_eq!(town.registry.nodes(town.now).next().unwrap().reachable, Some(true));
    let eve = person("eve", 3);
    let delta = town.registry.peers(&eve.id, &PeersQuestion { peers: Stamp::default() }).peers;
    assert_eq!(delta.changed[0].chunk(), claimed);
}

#[test]
fn an_answer_nobody_waits_for_changes_nothing() {
    let (mut town, mut bob) = (Town::new(), person("bob", 2));
    bob.register.advertise = Some([192, 0, 2, 7].into());
    let claimed = "192.0.2.7:3".parse().unwrap();
    town.register(&bob).unwrap();
    town.dialled(&bob, "192.0.2.8:3".parse().unwrap(), DialOutcome::Met);
    town.dialled(&bob, claimed, DialOutcome::Failed);
    town.dialled(&bob, claimed, DialOutcome::Met);
    assert_eq!(town.addr(&bob).ip(), bob.ip);
}

#[test]
fn an_unreachable_node_is_dialled_five_times_and_then_left_alone() {
    let (mut town, bob) = (Town::new(), person("bob", 2));
    town.register(&bob).unwrap();
    let mut dials = 0;
    for _ in 0..3_600 {
        for addr in town.dials() {
            dials += 1;
            town.dialled(&bob, addr, DialOutcome::Failed);
        }
        town.elapse(Duration::from_secs(1));
        town.beat(&bob).unwrap();
    }
    assert_eq!(dials, FAILURES_MAX);
    town.register(&bob).unwrap();
    assert_eq!(town.dials().len(), 1, "registering anew gives it another chance");
}

#[test]
fn a_thousand_nodes_cannot_aim_the_tracker_at_a_victim() {
    let mut town = Town::new();
    let victim: IpAddr = [192, 0, 2, 1].into();
    let mut dials = Vec::new();
    for minute in 0..10 {
        for n in 0..1_000_u32 {
            let mut eve = person("eve", 0);
            eve.id = NodeId::from_bytes(std::array::from_fn(|i| (n >> (8 * (i % 4))) as u8));
            (eve.session.0, eve.register.instance) = (u64::from(n), minute);
            (eve.register.advertise, eve.register.heartbeat_s) = (Some(victim), 300);
            eve.register.ports.chunk = 1 + n as u16;
            town.registry.on_session_closed(town.now, eve.session, ClosedBy::Tracker);
            town.register(&eve).unwrap();
            for addr in town.dials() {
                if addr.ip() == victim {
                    dials.push(town.now);
                    town.dialled(&eve, addr, DialOutcome::Failed);
                }
            }
        }
        town.elapse(Duration::from_secs(60));
    }
    assert!(dials.len() as u32 <= FAILURES_MAX, "{} dials", dials.len());
}

#[test]
fn addresses_nobody_can_be_at_are_not_dialled() {
    for odd in ["0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "::", "::ffff:10.0.0.2"] {
        let (mut town, mut bob) = (Town::new(), person("bob", 2));
        bob.register.advertise = Some(odd.parse().unwrap());
        town.register(&bob).unwrap();
        assert_eq!(town.dials(), ["10.0.0.2:3".parse().unwrap()], "{odd}");
    }
}

#[test]
fn mapped_addresses_are_the_addresses_they_map() {
    let (mut town, mut bob) = (Town::new(), person("bob", 2));
    bob.ip = "::ffff:10.0.0.2".parse().unwrap();
    assert_eq!(town.register(&bob).unwrap().seen_as, IpAddr::from([10, 0, 0, 2]));
    assert_eq!(town.addr(&bob), "10.0.0.2:3".parse().unwrap());
}

#[test]
fn identities_are_bounded_by_address_and_in_all_and_exits_make_room() {
    let limits = Limits { nodes: 3, per_address: 2, ..Limits::default() };
    let mut town = Town::with(limits);
    let mut people: Vec<Person> = (1..=5).map(|n| person("eve", n)).collect();
    people[..3].iter_mut().for_each(|eve| eve.ip = [10, 9, 9, 9].into());
    town.register(&people[0]).unwrap();
    town.register(&people[1]).unwrap();
    town.register(&people[1]).unwrap();
    assert_eq!(town.register(&people[2]).unwrap_err().why, Why::Busy, "third at one address");
    town.register(&people[3]).unwrap();
    assert_eq!(town.register(&people[4]).unwrap_err().why, Why::Busy, "fourth in all");
    town.registry.on_exit(town.now, people[0].session).unwrap();
    town.register(&people[2]).unwrap();
    assert_eq!(town.registry.per_address.values().sum::<usize>(), town.registry.nodes.len());
}

#[test]
fn a_catalogue_survives_a_reconnect_and_goes_with_its_node() {
    let (mut town, alice) = (Town::new(), person("alice", 1));
    town.register(&alice).unwrap();
    let entry = crate::base::FileEntry {
        name: "a/b".parse().unwrap(),
        size: 3,
        root: Root::of(b"abc"),
        modified: Default::default(),
        executable: false,
    };
    let stamp = Stamp { epoch: 5, version: 1 };
    let page = CatalogueDelta {
        epoch: 5,
        from: 0,
        to: 1,
        added: List::of(vec![Held::shared(entry.clone())]),
        removed: List::default(),
        taken_back: List::default(),
    };
    let answer = town.registry.on_catalogue(town.now, alice.session, &page).unwrap();
    assert_eq!(answer.catalogue, stamp);
    let again = on_other_connection(&alice, 1);
    assert_eq!(town.register(&again).unwrap().catalogue, stamp);
    let question = LookupQuestion { name: "a".parse().unwrap(), after: None };
    let found = town.registry.lookup(&question, 0).found;
    assert_eq!((&found[0].entry, &found[0].owners[..]), (&entry, &[alice.id][..]));
    town.registry.on_exit(town.now, again.session).unwrap();
    assert!(town.registry.lookup(&question, 0).found.is_empty());
    while town.registry.sweep() {}
    assert_eq!(town.registry.totals(), (0, 0, 0));
}
