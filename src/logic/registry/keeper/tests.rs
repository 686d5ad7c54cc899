//! Whole swarms in simulated time: registries, and nodes that die, come back, lie and are full.

use super::super::remembered::Remembered;
use super::super::snapshot::SavedNode;
use super::super::{ClosedBy, Limits, SessionToken};
use super::*;
use crate::base::{Modified, Name, PeerInfo, Ports};
use crate::logic::catalogue::Catalogue;
use crate::logic::dice::{Dice, rounds};
use crate::logic::replication::{CALM, GRACE, Plan};
use crate::wire::message::copies::{CopyFault, CopyState, Offer, WhyQuestion};
use crate::wire::message::tracker::{Heartbeat, Held, Register, Stamp};

const BEAT: u64 = 10;
const SIZE: u64 = 100;

fn id(n: usize) -> NodeId {
    NodeId::from_bytes([n as u8 + 1; 32])
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn root(content: u64) -> Root {
    Root::of(&content.to_le_bytes())
}

fn entry(text: &str, content: u64) -> FileEntry {
    let (name, modified) = (name(text), Modified::default());
    FileEntry { name, size: SIZE, root: root(content), modified, executable: false }
}

/// One node as it is, whatever trackers believe.
struct Sim {
    alive: bool,
    keeps: bool,
    room: u64,
    /// What it lists and does not have.
    lies: bool,
    life: u64,
    /// When it has looked through its folders; before that it tells of none of its files.
    settles_at: u64,
    shared: BTreeMap<Name, FileEntry>,
    replicas: BTreeMap<Root, FileEntry>,
    catalogue: Catalogue,
    /// What it was told to copy, and when it will have it.
    copying: BTreeMap<Root, (CopyOrder, u64)>,
    trims: BTreeSet<Root>,
    outcomes: Vec<Outcome>,
    sessions: Vec<Option<SessionToken>>,
    next_beat: u64,
}

struct World {
    registries: Vec<Registry>,
    nodes: Vec<Sim>,
    second: u64,
    tokens: u64,
    made: usize,
    trimmed: usize,
    /// Seconds.
    copy_time: u64,
}

impl World {
    fn new(trackers: usize, nodes: usize) -> World {
        let registry = |n| Registry::new(n as u64, Limits::default());
        let mut world = World {
            registries: (0..trackers).map(registry).collect(),
            nodes: Vec::new(),
            second: 1_000,
            tokens: 0,
            made: 0,
            trimmed: 0,
            copy_time: 2,
        };
        world.nodes.extend((0..nodes).map(|_| Sim {
            alive: true,
            keeps: true,
            room: 1 << 40,
            lies: false,
            life: 1,
            settles_at: 0,
            shared: BTreeMap::new(),
            replicas: BTreeMap::new(),
            catalogue: Catalogue::new(1),
            copying: BTreeMap::new(),
            trims: BTreeSet::new(),
            outcomes: Vec::new(),
            sessions: vec![None; trackers],
            next_beat: 0,
        }));
        world
    }

    fn now(&self) -> Time {
        Time::from_origin(Duration::from_secs(self.second))
    }

    fn share(&mut self, n: usize, text: &str, content: u64) {
        let entry = entry(text, content);
        let was = self.nodes[n].shared.insert(entry.name.clone(), entry.clone());
        self.nodes[n].catalogue.set(entry, Kept::Shared);
        if let Some(was) = was.filter(|was| was.root != root(content)) {
            self.nodes[n].catalogue.take_back(was.root);
        }
        self.nodes[n].next_beat = 0;
    }

    fn unshare(&mut self, n: usize, text: &str) {
        if let Some(root) = self.lose(n, text) {
            self.nodes[n].catalogue.take_back(root);
        }
    }

    /// It is gone, and that is no word of the person's: it rots, or its disk is away.
    fn lose(&mut self, n: usize, text: &str) -> Option<Root> {
        let node = &mut self.nodes[n];
        node.next_beat = 0;
        let was = node.shared.remove(&name(text))?;
        match node.replicas.get(&was.root) {
            Some(replica) => node.catalogue.set(replica.clone(), Kept::Replica),
            None => node.catalogue.remove(&name(text)),
        };
        Some(was.root)
    }

    fn kill(&mut self, n: usize) {
        let now = self.now();
        self.nodes[n].alive = false;
        for (registry, session) in self.registries.iter_mut().zip(&mut self.nodes[n].sessions) {
            if let Some(session) = session.take() {
                registry.on_session_closed(now, session, ClosedBy::Peer);
            }
        }
        self.nodes[n].copying.clear();
    }

    /// A new process with the same files.
    fn revive(&mut self, n: usize) {
        self.revive_slowly(n, 0);
    }

    /// The same, which takes so many seconds to look through its folders.
    fn revive_slowly(&mut self, n: usize, seconds: u64) {
        let node = &mut self.nodes[n];
        (node.alive, node.life, node.next_beat) = (true, node.life + 1, 0);
        node.catalogue = Catalogue::new(node.life);
        node.settles_at = self.second + seconds;
        if seconds == 0 {
            self.look_through(n);
        }
    }

    fn look_through(&mut self, n: usize) {
        let node = &mut self.nodes[n];
        node.next_beat = 0;
        for entry in node.replicas.values() {
            node.catalogue.set(entry.clone(), Kept::Replica);
        }
        for entry in node.shared.values() {
            node.catalogue.set(entry.clone(), Kept::Shared);
        }
    }

    fn restart_tracker(&mut self, nth: usize) {
        self.registries[nth] = Registry::new(self.second, Limits::default());
        self.nodes.iter_mut().for_each(|node| node.sessions[nth] = None);
    }

    fn run(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.second += 1;
            for n in 0..self.nodes.len() {
                if self.nodes[n].settles_at == self.second {
                    self.look_through(n);
                }
                if self.nodes[n].alive {
                    self.work(n);
                }
                if self.nodes[n].alive && self.nodes[n].next_beat <= self.second {
                    self.nodes[n].next_beat = self.second + BEAT;
                    (0..self.registries.len()).for_each(|nth| self.beat(n, nth));
                    self.nodes[n].outcomes.clear();
                }
            }
            let now = self.now();
            for registry in &mut self.registries {
                registry.on_tick(now);
                while registry.sweep() {}
                let mut survey = registry.begin_survey(now);
                while survey.goes_on() {
                    registry.survey(now, &mut survey);
                }
                let plan = survey.plan(now);
                registry.adopt(now, &survey, plan);
            }
        }
    }

    /// Copies that are due arrive or fail; what is to go goes.
    fn work(&mut self, n: usize) {
        let due = |(_, at): &(CopyOrder, u64)| *at <= self.second;
        let done = self.nodes[n].copying.iter().filter(|(_, copy)| due(copy));
        let done: Vec<Root> = done.map(|(root, _)| *root).collect();
        for root in done {
            let Some((order, _)) = self.nodes[n].copying.remove(&root) else { continue };
            let owners = self.holders(&root);
            let end = if self.nodes[n].room < SIZE {
                CopyEnd::Failed { why: CopyFault::NoRoom, blamed: List::default() }
            } else if owners.is_empty() {
                let alive = |node: &&NodeId| {
                    (0..self.nodes.len()).any(|n| id(n) == **node && self.nodes[n].alive)
                };
                let blamed = order.sources.iter().filter(alive).copied().collect();
                CopyEnd::Failed { why: CopyFault::Broken, blamed: List::of(blamed) }
            } else {
                self.made += 1;
                let node = &mut self.nodes[n];
                node.room -= SIZE;
                let mut entry = order.entry;
                // Another content has that name here.
                if node.catalogue.get(&entry.name).is_some_and(|other| other.root != root) {
                    entry.name = name(&format!("{}/{}", root, entry.name));
                }
                node.replicas.insert(root, entry.clone());
                node.catalogue.set(entry, Kept::Replica);
                CopyEnd::Kept
            };
            self.nodes[n].outcomes.push(Outcome { root, end });
            self.nodes[n].next_beat = 0;
        }
        let node = &mut self.nodes[n];
        for root in std::mem::take(&mut node.trims) {
            if let Some(entry) = node.replicas.remove(&root) {
                // Its person may have put it there meanwhile.
                if !node.shared.contains_key(&entry.name) {
                    node.catalogue.remove(&entry.name);
                }
                node.room += SIZE;
                node.next_beat = 0;
                self.trimmed += 1;
            }
        }
    }

    /// Registers where it must, tells its files, its state, and takes what it is told.
    fn beat(&mut self, n: usize, nth: usize) {
        let (now, ip) = (self.now(), [10, 0, 0, n as u8].into());
        let (registry, node) = (&mut self.registries[nth], &mut self.nodes[n]);
        let ahead = node.copying.len() as u64 * SIZE;
        let room = node.room.saturating_sub(ahead);
        let offer = Offer { keeps: node.keeps, room, settled: node.settles_at <= self.second };
        let mut session = node.sessions[nth];
        let mut theirs = Stamp::default();
        if session.is_none() {
            self.tokens += 1;
            let token = SessionToken(self.tokens);
            let register = Register {
                instance: node.life,
                label: format!("n{n}").parse().unwrap(),
                ports: Ports { search: 1, size: 2, chunk: 3 },
                advertise: None,
                heartbeat_s: BEAT as u16,
                catalogue: node.catalogue.stamp(),
                offer,
            };
            let Ok((registered, _)) = registry.on_register(now, token, id(n), ip, &register) else {
                return;
            };
            (theirs, session) = (registered.catalogue, Some(token));
        }
        let token = session.unwrap();
        node.sessions[nth] = session;
        let heartbeat = Heartbeat {
            peers: Stamp::default(),
            catalogue: node.catalogue.stamp(),
            offer,
            outcomes: List::of(node.outcomes.clone()),
        };
        let Ok(answer) = registry.on_heartbeat(now, token, &heartbeat) else { return };
        theirs = if answer.catalogue == Stamp::default() { theirs } else { answer.catalogue };
        while theirs != node.catalogue.stamp() {
            let page = node.catalogue.delta(theirs);
            theirs = registry.on_catalogue(now, token, &page).unwrap().catalogue;
        }
        let Duties { copies, trims } = answer.duties;
        if self.registries.len() == 1 {
            let wanted: BTreeSet<Root> = copies.iter().map(|order| order.entry.root).collect();
            node.copying.retain(|root, _| wanted.contains(root));
        }
        for order in copies.into_vec() {
            let root = order.entry.root;
            let has = node.replicas.contains_key(&root);
            if has || node.shared.values().any(|entry| entry.root == root) {
                continue;
            }
            let at = self.second + self.copy_time;
            node.copying.entry(root).or_insert((order, at));
        }
        node.trims.extend(trims.iter());
    }

    /// Nodes that are there and have it.
    fn holders(&self, root: &Root) -> BTreeSet<usize> {
        let has = |node: &Sim| {
            node.alive
                && (node.replicas.contains_key(root)
                    || (!node.lies && node.shared.values().any(|entry| entry.root == *root)))
        };
        (0..self.nodes.len()).filter(|n| has(&self.nodes[*n])).collect()
    }

    fn words(&self, text: &str) -> String {
        let question = WhyQuestion { name: name(text), root: None };
        let answer = self.registries[0].why(self.now(), &question);
        answer.files.first().map(|file| file.text.as_str().to_owned()).unwrap_or_default()
    }
}

/// Nodes with twenty files of the first one, which have their copies.
fn settled(trackers: usize, nodes: usize) -> World {
    let mut world = World::new(trackers, nodes);
    (0..20).for_each(|n| world.share(0, &format!("doc/{n}"), n));
    world.run(GRACE.as_secs() + 60);
    for n in 0..20 {
        assert_eq!(world.holders(&root(n)).len(), 2, "{}", world.words(&format!("doc/{n}")));
    }
    assert_eq!((world.made, world.trimmed), (20, 0));
    world
}

#[test]
fn copies_are_made_of_all_that_is_shared_and_again_when_a_node_has_gone_for_good() {
    let mut world = settled(1, 4);
    world.kill(0);
    world.run(GRACE.as_secs() - 5);
    assert_eq!(world.made, 20, "within the grace nothing is moved");
    assert!(world.words("doc/3").contains("1 there, 1 away and waited for"));
    world.run(60);
    assert_eq!(world.made, 40);
    assert!((0..20).all(|n| world.holders(&root(n)).len() == 2));
    let CopyTotals { wanted, there, under_way, .. } = world.registries[0].copies();
    assert_eq!((wanted, there, under_way), (40, 40, 0));
    world.revive(0);
    world.run(CALM.as_secs() - 20);
    assert_eq!(world.trimmed, 0, "{}", world.words("doc/3"));
    world.run(60);
    assert_eq!((world.made, world.trimmed), (40, 20));
    assert!((0..20).all(|n| world.holders(&root(n)).contains(&0)), "nobody's own file is removed");
}

#[test]
fn a_restart_within_the_grace_moves_nothing_whoever_restarts() {
    rounds(|dice| {
        let mut world = settled(1, 5);
        for _ in 0..4 {
            let n = dice.below(5) as usize;
            world.kill(n);
            world.run(1 + dice.below(GRACE.as_secs() - 12));
            world.revive(n);
            world.run(2 + dice.below(40));
        }
        world.run(CALM.as_secs() * 2);
        assert_eq!((world.made, world.trimmed), (20, 0));
    });
}

#[test]
fn a_node_that_takes_long_to_look_through_its_folders_after_a_restart_has_not_lost_them() {
    for n in 0..4 {
        let mut world = settled(1, 4);
        world.kill(n);
        world.run(20);
        world.revive_slowly(n, 1_800);
        world.run(1_700);
        assert_eq!((world.made, world.trimmed), (20, 0), "{}", world.words("doc/3"));
        world.run(1_000);
        assert_eq!((world.made, world.trimmed), (20, 0));
    }
}

#[test]
fn a_node_that_comes_and_goes_for_longer_than_the_grace_has_nothing_trimmed_meanwhile() {
    let mut world = settled(1, 5);
    for _ in 0..8 {
        world.kill(1);
        world.run(GRACE.as_secs() + 30);
        world.revive(1);
        world.run(CALM.as_secs() - 60);
    }
    assert_eq!(world.trimmed, 0, "calm begins anew whenever it comes back");
    assert!((0..20).all(|n| world.holders(&root(n)).len() >= 2));
    world.run(CALM.as_secs());
    assert!((0..20).all(|n| world.holders(&root(n)).len() == 2));
}

#[test]
fn what_is_edited_or_deleted_is_trimmed_and_a_new_name_is_neither() {
    let mut world = settled(1, 4);
    world.unshare(0, "doc/1");
    world.share(0, "doc/2", 200);
    world.unshare(0, "doc/3");
    world.share(0, "renamed", 3);
    world.run(CALM.as_secs() - 30);
    assert_eq!(
        world.holders(&root(1)).len(),
        1,
        "not before a calm time: {}",
        world.words("doc/1")
    );
    assert!(world.words("doc/1").starts_with("withdrawn, 1 there; 1 too many"));
    assert_eq!(world.holders(&root(200)).len(), 2);
    world.run(90);
    assert_eq!((world.holders(&root(1)).len(), world.holders(&root(2)).len()), (0, 0));
    assert_eq!(world.holders(&root(3)).len(), 2);
    assert_eq!((world.made, world.trimmed), (21, 2));
    // The publisher of the rest vanishes: that is no word of his.
    world.kill(0);
    world.run(GRACE.as_secs() + CALM.as_secs() * 3);
    assert!((4..20).all(|n| world.holders(&root(n)).len() == 2));
}

#[test]
fn what_a_node_has_no_more_without_a_word_of_its_person_is_kept_and_repaired() {
    let mut world = settled(1, 4);
    world.lose(0, "doc/1");
    world.run(20);
    // Another one is lost while the node is not running.
    world.kill(0);
    world.lose(0, "doc/2");
    world.run(20);
    world.revive(0);
    world.run(CALM.as_secs() * 3);
    assert_eq!(world.trimmed, 0, "{}", world.words("doc/1"));
    assert!((0..20).all(|n| world.holders(&root(n)).len() == 2), "{}", world.words("doc/2"));
}

#[test]
fn nobody_takes_back_what_another_one_who_is_waited_for_has_published() {
    let mut world = settled(1, 5);
    let other = (1..5).find(|n| !world.holders(&root(1)).contains(n)).unwrap();
    world.share(other, "mine", 1);
    world.run(20);
    world.kill(0);
    world.run(10);
    world.unshare(other, "mine");
    world.run(GRACE.as_secs() + CALM.as_secs() * 3);
    assert_eq!(world.trimmed, 0, "{}", world.words("doc/1"));
    assert_eq!(world.holders(&root(1)).len(), 2);
}

#[test]
fn a_replica_of_what_was_taken_back_while_its_node_was_away_goes_when_it_comes_back() {
    let mut world = settled(1, 4);
    let holder = *world.holders(&root(1)).iter().find(|n| **n != 0).unwrap();
    world.kill(holder);
    world.run(GRACE.as_secs() + 60);
    assert_eq!(world.holders(&root(1)).len(), 2, "repaired");
    world.unshare(0, "doc/1");
    world.run(CALM.as_secs() + 60);
    assert_eq!(world.holders(&root(1)).len(), 0);
    world.revive(holder);
    world.run(CALM.as_secs() + 60);
    assert_eq!(world.holders(&root(1)).len(), 0, "{}", world.words("doc/1"));
}

#[test]
fn the_copy_of_a_liar_does_not_count_once_somebody_could_not_copy_it() {
    let mut world = World::new(1, 5);
    world.nodes[1].lies = true;
    world.nodes[2].keeps = false;
    world.share(0, "film", 1);
    world.share(1, "film", 1);
    world.share(1, "nothing", 2);
    world.run(GRACE.as_secs() + 60);
    assert_eq!(world.made, 0, "two say that they have it");
    assert!(world.registries[0].copies().failed >= 1, "the other one could not be copied");
    assert!(
        world.words("nothing").contains("1 that could not be copied from"),
        "{}",
        world.words("nothing")
    );
    let question = WhyQuestion { name: name("nothing"), root: None };
    let answer = world.registries[0].why(world.now(), &question);
    assert_eq!(answer.files[0].copies[0].state, CopyState::Doubted);
    world.share(1, "again", 2);
    world.run(20);
    let answer = world.registries[0].why(world.now(), &question);
    assert_eq!(answer.files[0].copies[0].state, CopyState::Doubted, "its own word clears nothing");
    // Whoever has it goes; who copies it from the liar learns what that is.
    world.kill(0);
    world.run(GRACE.as_secs() + 60);
    assert!(world.holders(&root(1)).is_empty() && world.words("film").contains("0 there"));
    world.revive(0);
    world.run(BAR_TIME.as_secs() + 60);
    assert_eq!(world.holders(&root(1)).len(), 2, "{}", world.words("film"));
}

#[test]
fn a_lie_about_a_size_stops_no_copies() {
    for size in [1, 1 << 39] {
        let mut world = World::new(1, 4);
        (world.nodes[0].lies, world.nodes[0].keeps) = (true, false);
        let lie = FileEntry { size, ..entry("a lie", 1) };
        world.nodes[0].shared.insert(lie.name.clone(), lie.clone());
        world.nodes[0].catalogue.set(lie, Kept::Shared);
        world.share(1, "film", 1);
        world.run(GRACE.as_secs() + BAR_TIME.as_secs() + 120);
        assert_eq!(world.holders(&root(1)).len(), 2, "{size}: {}", world.words("film"));
    }
}

#[test]
fn those_who_say_that_they_have_it_themselves_have_no_replica_removed() {
    let mut world = settled(1, 5);
    let holders = world.holders(&root(1));
    let liars: Vec<usize> = (0..5).filter(|n| !holders.contains(n)).collect();
    for n in &liars {
        world.nodes[*n].lies = true;
        world.share(*n, "doc/1", 1);
    }
    world.run(CALM.as_secs() * 3);
    assert_eq!((world.holders(&root(1)), world.trimmed), (holders, 0), "{}", world.words("doc/1"));
}

#[test]
fn while_nobody_may_be_given_an_order_a_look_goes_through_all_that_lacks_copies() {
    let mut world = World::new(1, 2);
    world.copy_time = 1_000;
    (0..2_000).for_each(|n| world.share(0, &format!("doc/{n}"), n));
    world.run(GRACE.as_secs() + 60);
    let registry = &world.registries[0];
    assert_eq!(registry.copies().under_way, COPIES_MAX as u64);
    assert_eq!(registry.copies().wanted, 4_000, "all of it was looked at");
    let mut survey = registry.begin_survey(world.now());
    while survey.goes_on() {
        registry.survey(world.now(), &mut survey);
    }
    assert_eq!(survey.plan(world.now()), Plan::default());
    assert_eq!(survey.gathered(), 0);
}

#[test]
fn what_is_listed_more_often_than_is_counted_is_left_as_it_is_and_why_says_so() {
    let mut world = World::new(1, 3);
    world.share(0, "film", 1);
    (0..1_024).for_each(|n| world.share(1, &format!("film/{n}"), 1));
    world.run(GRACE.as_secs() + 60);
    assert!(world.words("film").contains("left as it is"), "{}", world.words("film"));
    assert_eq!((world.made, world.registries[0].copies().wanted), (0, 0));
}

#[test]
fn a_node_without_room_is_left_alone_and_one_that_says_it_has_is_asked_once_in_a_while() {
    let mut world = World::new(1, 3);
    world.nodes[1].room = SIZE - 1;
    world.nodes[2].keeps = false;
    world.share(0, "film", 1);
    world.run(GRACE.as_secs() + 60);
    assert_eq!(world.registries[0].copies().failed, 0, "it was not even asked");
    assert!(world.words("film").ends_with("but no further node has room for it"));
    world.nodes[1].keeps = false;
    world.run(20);
    assert!(world.words("film").contains("no further node is there that keeps copies"));
    world.nodes[2].keeps = true;
    world.run(30);
    assert_eq!(world.holders(&root(1)), BTreeSet::from([0, 2]));
}

#[test]
fn a_tracker_that_has_just_started_orders_and_trims_nothing_until_all_were_heard() {
    let mut world = settled(1, 4);
    for _ in 0..5 {
        world.restart_tracker(0);
        world.run(GRACE.as_secs() - 2);
        assert_eq!((world.made, world.trimmed), (20, 0));
        assert_eq!(world.registries[0].copies().under_way, 0);
    }
    assert!(world.words("doc/1").contains("has just started"), "{}", world.words("doc/1"));
    world.run(CALM.as_secs() * 2);
    assert_eq!((world.made, world.trimmed), (20, 0));
}

#[test]
fn a_tracker_that_has_heard_nobody_counts_no_time() {
    let mut world = settled(1, 4);
    (0..4).for_each(|n| world.kill(n));
    world.restart_tracker(0);
    world.run(2_000);
    world.revive(0);
    world.run(GRACE.as_secs() - 5);
    assert_eq!(world.registries[0].copies().under_way, 0, "{}", world.words("doc/1"));
    (1..4).for_each(|n| world.revive(n));
    world.run(CALM.as_secs());
    assert_eq!((world.made, world.trimmed), (20, 0));
}

#[test]
fn nothing_is_ordered_while_a_node_from_a_snapshot_is_waited_for() {
    let mut world = World::new(1, 3);
    let info = PeerInfo {
        id: id(9),
        label: "n9".parse().unwrap(),
        ip: [10, 0, 0, 9].into(),
        ports: Ports { search: 1, size: 2, chunk: 3 },
        files: 0,
    };
    let mut remembered = Remembered::since(world.now());
    remembered.insert(SavedNode { info, heartbeat_s: 60, silent_s: 0, number: None });
    world.registries[0].list_remembered(remembered);
    world.share(0, "film", 1);
    world.run(175);
    assert_eq!(world.registries[0].copies().under_way + world.made as u64, 0);
    world.run(20);
    assert_eq!(world.made, 1, "it is not waited for for ever");
}

#[test]
fn a_tracker_that_misses_most_of_its_nodes_at_once_moves_nothing_for_a_while() {
    let mut world = settled(1, 5);
    (0..3).for_each(|n| world.kill(n));
    world.run(GRACE.as_secs() + 20);
    assert_eq!((world.made, world.trimmed), (20, 0));
    assert!(world.words("doc/1").contains("has just started"), "{}", world.words("doc/1"));
    (0..3).for_each(|n| world.revive(n));
    world.run(GRACE.as_secs() * 2);
    assert_eq!((world.made, world.trimmed), (20, 0));
    (0..2).for_each(|n| world.kill(n));
    world.run(GRACE.as_secs() + 20);
    assert!(world.made > 20, "of five, two may go");
}

/// A world in which the only copy of a file is ordered of two nodes, and takes long.
fn under_way() -> (World, NodeId) {
    let mut world = World::new(1, 6);
    world.copy_time = 3_000;
    world.share(0, "film", 1);
    world.run(GRACE.as_secs() + 20);
    let target = world.registries[0].keeper.orders.of_root(&root(1)).map(|(id, _)| *id).next();
    (world, target.unwrap())
}

#[test]
fn who_has_nothing_to_do_with_a_copy_is_not_to_blame_for_it() {
    let (mut world, target) = under_way();
    let bystander = (1..6).map(id).find(|id| *id != target).unwrap();
    let end = CopyEnd::Failed {
        why: CopyFault::Broken,
        blamed: List::of(vec![bystander, id(0), id(77), target]),
    };
    let (now, registry) = (world.now(), &mut world.registries[0]);
    registry.keep_on_heartbeat(now, &target, &[Outcome { root: root(1), end }]);
    let blamed: Vec<_> = registry.keeper.blames.of_root(&root(1)).map(|(id, _)| *id).collect();
    assert_eq!((blamed, registry.keeper.doubts.len()), (vec![id(0)], 0), "one does not doubt");
}

#[test]
fn only_two_nodes_at_two_addresses_together_doubt_a_copy_and_one_has_it_asked_last() {
    let (now, film) = (Time::from_origin(GRACE), root(1));
    let mut keeper = Keeper::default();
    for (by, address) in [(1, 1), (1, 1), (2, 1), (1, 2)] {
        keeper.blame(now, (id(by), [10, 0, 0, address].into()), id(0), film);
        assert_eq!(keeper.doubts.len(), 0);
    }
    let (entry, sources, until) = (entry("film", 1), vec![id(0), id(5)], now + DOUBT_TIME);
    keeper.orders.insert(id(3), film, Ordered { entry, sources, since: now, until });
    assert_eq!(keeper.duties(&id(3)).copies[0].sources[..], [id(5), id(0)]);
    keeper.blame(now, (id(2), [10, 0, 0, 2].into()), id(0), film);
    assert!(keeper.doubts.contains(&id(0), &film));
    keeper.expire(until);
    assert_eq!((keeper.doubts.len(), keeper.blames.len()), (0, 0));
}

#[test]
fn a_page_that_is_not_applied_ends_no_order() {
    let (mut world, target) = under_way();
    let n = (1..6).find(|n| id(*n) == target).unwrap();
    let token = world.nodes[n].sessions[0].unwrap();
    let (now, registry) = (world.now(), &mut world.registries[0]);
    let mut page = CatalogueDelta {
        epoch: 99,
        from: 5,
        to: 6,
        added: List::of(vec![Held { entry: entry("film", 1), kept: Kept::Replica }]),
        removed: List::default(),
        taken_back: List::default(),
    };
    registry.on_catalogue(now, token, &page).unwrap();
    assert!(registry.keeper.orders.contains(&target, &root(1)) && registry.copies().made == 0);
    page.from = 0;
    registry.on_catalogue(now, token, &page).unwrap();
    assert!(!registry.keeper.orders.contains(&target, &root(1)) && registry.copies().made == 1);
}

#[test]
fn two_trackers_at_once_order_no_copy_twice() {
    let mut world = settled(2, 5);
    world.kill(0);
    world.run(GRACE.as_secs() + 60);
    assert_eq!((world.made, world.trimmed), (40, 0));
    world.revive(0);
    world.run(CALM.as_secs() + 120);
    assert!((0..20).all(|n| world.holders(&root(n)).len() == 2), "{}", world.trimmed);
    assert_eq!((world.made, world.trimmed), (40, 20));
}

#[test]
fn what_is_enough_again_while_copies_are_made_ends_these() {
    let mut world = settled(1, 4);
    world.copy_time = 40;
    world.kill(0);
    world.run(GRACE.as_secs() + 20);
    assert_eq!(world.registries[0].copies().under_way, 20);
    world.revive(0);
    world.run(60);
    assert_eq!(world.made, 20, "copies were made all the same");
    assert_eq!(world.registries[0].copies().under_way, 0);
}

/// Whatever happens, once it ends every file has the copies that are possible, and nothing moves.
#[test]
fn after_any_mischief_a_swarm_comes_to_rest_with_all_copies_that_are_possible() {
    rounds(|dice| {
        let trackers = 1 + dice.below(2) as usize;
        let mut world = World::new(trackers, 3 + dice.below(5) as usize);
        for node in &mut world.nodes {
            node.keeps = dice.below(5) > 0;
            node.room = if dice.below(4) == 0 { dice.below(500) } else { 1 << 40 };
        }
        let mut published = BTreeMap::new();
        for _ in 0..dice.below(60) {
            mischief(&mut world, dice, &mut published);
            world.run(dice.below(100));
        }
        (0..world.nodes.len()).filter(|_| dice.below(3) > 0).for_each(|n| {
            if !world.nodes[n].alive {
                world.revive(n);
            }
        });
        world.run(3_600);
        let moved = (world.made, world.trimmed);
        world.run(CALM.as_secs() + GRACE.as_secs());
        assert_eq!((world.made, world.trimmed), moved, "it rests");
        for content in published.keys() {
            check(&world, *content);
        }
    });
}

fn mischief(world: &mut World, dice: &mut Dice, published: &mut BTreeMap<u64, usize>) {
    let n = dice.below(world.nodes.len() as u64) as usize;
    let content = dice.below(12);
    match dice.below(8) {
        0..=2 => {
            if world.nodes[n].alive && !published.contains_key(&content) {
                world.share(n, &format!("f{content}"), content);
                published.insert(content, n);
            }
        }
        3 | 4 if world.nodes[n].alive => world.kill(n),
        5 if !world.nodes[n].alive => world.revive(n),
        // Of two, one that forgets what was taken back repairs what the other one removes.
        6 if world.registries.len() == 1 => world.restart_tracker(0),
        _ => {
            if let Some(owner) = published.get(&content).copied()
                && world.nodes[owner].alive
            {
                world.unshare(owner, &format!("f{content}"));
                published.remove(&content);
            }
        }
    }
}

fn check(world: &World, content: u64) {
    let holders = world.holders(&root(content));
    let words = world.words(&format!("f{content}"));
    let has = |node: &Sim| {
        node.replicas.contains_key(&root(content))
            || node.shared.values().any(|e| e.root == root(content))
    };
    let could = |node: &&Sim| node.alive && node.keeps && node.room >= SIZE && !has(node);
    let possible = !holders.is_empty() && world.nodes.iter().filter(could).count() > 0;
    assert!(holders.len() >= 2 || !possible, "{holders:?}: {words}");
    let own = holders
        .iter()
        .filter(|n| world.nodes[**n].shared.values().any(|e| e.root == root(content)));
    assert!(holders.len() <= 2.max(own.count()), "{holders:?}: {words}");
}
