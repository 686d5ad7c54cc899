//! A registry is kept and made again, also while alice, bob and carol change what they share.

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::base::{Modified, Name, NodeId, Ports, Root, Time};
use crate::logic::dice::Dice;
use crate::logic::registry::{Effect, Finding, IndexLimits, Limits, Registry, SessionToken};
use crate::wire::message::copies::Offer;
use crate::wire::message::find::{FindQuestion, Listed, Pattern};
use crate::wire::message::tracker::{
    CatalogueDelta, Heartbeat, Held, LookupQuestion, PeersQuestion, Register, Registered,
};

const START: Time = Time::ZERO;

fn id(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

fn file(text: &str, content: u8) -> FileEntry {
    let root = Root::from_bytes([content; 32]);
    let (name, modified) = (Name::parse(text).unwrap(), Modified { secs: 7, nanos: 9 });
    FileEntry { name, size: content.into(), root, modified, executable: content == 1 }
}

fn list(files: Vec<FileEntry>) -> List<Held, PAGE_FILES_MAX> {
    List::of(files.into_iter().map(Held::shared).collect())
}

fn register(registry: &mut Registry, n: u8, epoch: u64) -> (Registered, Vec<Effect>) {
    let register = Register {
        instance: 1,
        label: format!("node{n}").parse().unwrap(),
        ports: Ports { search: 1, size: 2, chunk: 3 },
        advertise: None,
        heartbeat_s: 10,
        catalogue: Stamp { epoch, version: 1 },
        offer: Offer::default(),
    };
    let ip = [10, 0, 0, n].into();
    registry.on_register(START, SessionToken(n.into()), id(n), ip, &register).unwrap()
}

fn send(registry: &mut Registry, n: u8, stamps: (Stamp, u64), added: Vec<FileEntry>) {
    let (Stamp { epoch, version: from }, to) = stamps;
    let page = CatalogueDelta {
        epoch,
        from,
        to,
        added: list(added),
        removed: List::default(),
        taken_back: List::default(),
    };
    let answer = registry.on_catalogue(START, SessionToken(n.into()), &page).unwrap();
    assert_eq!(answer.catalogue, Stamp { epoch, version: to });
}

const NEW: Stamp = Stamp { epoch: 5, version: 0 };

/// Three nodes, a file that two have, a name with two contents, and a node without files.
fn some() -> Registry {
    let mut registry = Registry::new(1, Limits::default());
    for n in 1..=4 {
        register(&mut registry, n, 5);
    }
    send(&mut registry, 1, (NEW, 2), vec![file("both", 1), file("a/one", 2)]);
    send(&mut registry, 2, (NEW, 2), vec![file("both", 1), file("a/one", 3)]);
    send(&mut registry, 3, (NEW, 1), vec![file("z", 4)]);
    registry
}

/// All records.
fn saved(registry: &Registry) -> Vec<Record> {
    let mut saving = Saving::default();
    std::iter::from_fn(|| registry.save_step(START, &mut saving)).collect()
}

fn restored(records: Vec<Record>) -> Result<Registry, SnapshotError> {
    let mut restoring = Restoring::new(START, Registry::new(2, Limits::default()));
    records.into_iter().try_for_each(|record| restoring.take(record))?;
    restoring.finish()
}

fn all(registry: &Registry) -> Vec<Listed> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let mut finding = Finding::new(&FindQuestion { pattern: Pattern::All, after }, 0).unwrap();
        while finding.goes_on() {
            registry.find(START, &mut finding);
        }
        let answer = finding.answer();
        all.extend(answer.found.into_vec());
        after = answer.next;
        if after.is_none() {
            return all;
        }
    }
}

/// Name, size, owners; whether it is stale.
fn told(registry: &Registry) -> Vec<(String, u64, Vec<NodeId>, bool)> {
    let sorted = |listed: &Listed| {
        let mut owners = listed.owners.to_vec();
        owners.sort_unstable();
        owners
    };
    let row = |l: &Listed| (l.entry.name.to_string(), l.entry.size, sorted(l), l.stale);
    let mut rows: Vec<_> = all(registry).iter().map(row).collect();
    rows.sort();
    rows
}

#[test]
fn what_was_kept_is_there_again_and_stale_until_its_nodes_are_back() {
    let before = some();
    let mut after = restored(saved(&before)).unwrap();
    let mut expected = told(&before);
    expected.iter_mut().for_each(|row| row.3 = true);
    assert_eq!(told(&after), expected);
    assert!(all(&after).iter().all(|listed| listed.copies == 0), "a stale copy was counted");
    assert!(all(&after).iter().zip(all(&before)).all(|(a, b)| a.entry == b.entry));
    assert_eq!((after.totals().0, after.stale()), (0, 4), "nobody is alive");

    // Who asks hears where they are, and that they may be gone.
    let peers = after.peers(&id(99), &PeersQuestion { peers: Stamp::default() }).peers;
    assert_eq!((peers.changed.len(), peers.stale.len()), (4, 4));
    let question = LookupQuestion { name: Name::parse("both").unwrap(), after: None };
    assert_eq!(after.lookup(&question, 0).found[0].owners.len(), 2);

    // Who is back confirms his files without sending them.
    let (answer, effects) = register(&mut after, 1, 5);
    assert_eq!(answer.catalogue, Stamp { epoch: 5, version: 2 }, "alice need not send her list");
    assert!(matches!(effects[0], Effect::Joined { .. }));
    let stale = |r: &Registry| told(r).into_iter().filter(|row| row.3).map(|row| row.0).collect();
    let names: Vec<String> = stale(&after);
    assert_eq!(names, ["a/one", "z"], "bob's and carol's");
    let both = all(&after).into_iter().find(|l| l.entry.name.as_str() == "both").unwrap();
    assert_eq!((both.copies, both.owners.to_vec()), (1, vec![id(1), id(2)]), "alice comes first");
    let peers = after.peers(&id(99), &PeersQuestion { peers: peers.stamp }).peers;
    assert_eq!((peers.changed.len(), peers.stale.len()), (1, 0));

    // Whose list is another one is believed only what he sends.
    register(&mut after, 3, 6);
    assert!(stale(&after).contains(&"z".to_owned()));
    send(&mut after, 3, (Stamp { epoch: 6, version: 0 }, 1), vec![file("z", 5)]);
    assert_eq!(told(&after).last(), Some(&("z".to_owned(), 5, vec![id(3)], false)));
}

#[test]
fn who_does_not_come_back_is_gone_after_a_while() {
    let mut after = restored(saved(&some())).unwrap();
    register(&mut after, 1, 5);
    let alive = |registry: &mut Registry, s| {
        let now = START + Duration::from_secs(s);
        let beat = Heartbeat::default();
        registry.on_heartbeat(now, SessionToken(1), &beat).unwrap();
        registry.on_tick(now)
    };
    assert!(alive(&mut after, 59).iter().all(|e| !matches!(e, Effect::Left { .. })));
    let left = alive(&mut after, 60).into_iter().filter_map(|effect| match effect {
        Effect::Left { label, intentionally: false, .. } => Some(label.to_string()),
        _ => None,
    });
    assert_eq!(left.collect::<Vec<_>>(), ["node2", "node3", "node4"]);
    let names = told(&after).into_iter().map(|row| (row.0, row.3));
    assert_eq!(names.collect::<Vec<_>>(), [("a/one".into(), false), ("both".into(), false)]);
    assert_eq!((after.stale(), after.nodes(START).count()), (0, 1));
}

#[test]
fn who_was_not_back_before_the_next_end_is_kept_again() {
    let once = restored(saved(&some())).unwrap();
    let twice = restored(saved(&once)).unwrap();
    assert_eq!(told(&twice), told(&once));
    assert_eq!(twice.stale(), 4);
}

#[test]
fn records_that_no_registry_has_written_are_refused() {
    let good = saved(&some());
    assert_eq!(good.len(), 4, "{good:?}");
    for without in 0..good.len() {
        let mut records = good.clone();
        records.remove(without);
        assert!(restored(records).is_err(), "without its record {without}");
    }
    for twice in 0..good.len() {
        let mut records = good.clone();
        records.insert(twice, good[twice].clone());
        assert!(restored(records).is_err(), "with its record {twice} twice");
    }
    for (a, b) in [(0, 1), (1, 2), (2, 3)] {
        let mut records = good.clone();
        records.swap(a, b);
        assert!(restored(records).is_err(), "{a} and {b} have changed places");
    }
    let Record::Nodes(nodes) = &good[0] else { panic!("{good:?}") };
    let mut same_number = nodes.to_vec();
    same_number[1].number = same_number[0].number;
    let records = [vec![Record::Nodes(List::of(same_number))], good[1..].to_vec()].concat();
    assert!(restored(records).is_err(), "two nodes had one number");

    let index = IndexLimits { files: 4, ..IndexLimits::default() };
    let limits = Limits { index, ..Limits::default() };
    let mut restoring = Restoring::new(START, Registry::new(2, limits));
    let outcome = good.into_iter().try_for_each(|record| restoring.take(record));
    assert!(matches!(outcome, Err(SnapshotError::TooMuch(_))), "{outcome:?}");
}

#[test]
fn a_name_with_very_many_contents_is_told_in_steps_and_whole() {
    let mut registry = Registry::new(1, Limits { per_address: 9_000, ..Limits::default() });
    let long = "x".repeat(200);
    for n in 0..3_000_u32 {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        let entry = FileEntry { root: Root::from_bytes(bytes), ..file(&long, 1) };
        let (owner, epoch) = (NodeId::from_bytes(bytes), 5);
        let page = CatalogueDelta {
            epoch,
            from: 0,
            to: 1,
            added: list(vec![entry]),
            removed: List::default(),
            taken_back: List::default(),
        };
        registry.index.apply(owner, &page).unwrap();
        let (label, ip) = ("n".parse().unwrap(), [10, 0, 0, 1].into());
        let info = PeerInfo {
            id: owner,
            label,
            ip,
            ports: Ports { search: 1, size: 2, chunk: 3 },
            files: 1,
        };
        registry.peers.list(info.clone(), true);
        let node = SavedNode { info, heartbeat_s: 10, silent_s: 0, number: None };
        registry.remembered.insert(node);
    }
    let records = saved(&registry);
    let files = records.iter().filter(|record| matches!(record, Record::Files(_))).count();
    assert!(files > 5, "{files} steps");
    let largest = records.iter().map(|r| crate::wire::codec::encode(r).unwrap().len()).max();
    assert!(largest.unwrap() < 256 << 10, "{largest:?}");
    assert_eq!(restored(records).unwrap().totals().1, 3_000);
}

/// What a node has said it has, version by version.
#[derive(Default)]
struct Model {
    stamp: Stamp,
    files: BTreeMap<String, u8>,
    history: BTreeMap<(u64, u64), BTreeMap<String, u8>>,
}

impl Model {
    /// A random change, or a list from the beginning.
    fn change(&mut self, dice: &mut Dice, registry: &mut Registry, n: u8) {
        let anew = self.stamp.version == 0 || dice.below(6) == 0;
        let from = if anew { 0 } else { self.stamp.version };
        if anew {
            self.files.clear();
            self.stamp.epoch += 1 + u64::from(n) * 1_000;
        }
        let text = |dice: &mut Dice| format!("f{:02}", dice.below(40));
        let added: Vec<FileEntry> =
            (0..dice.below(5)).map(|_| file(&text(dice), 1 + dice.below(3) as u8)).collect();
        let removed: Vec<Name> = (0..dice.below(3)).map(|_| text(dice).parse().unwrap()).collect();
        removed.iter().for_each(|name| _ = self.files.remove(name.as_str()));
        for entry in &added {
            self.files.insert(entry.name.to_string(), entry.size as u8);
        }
        let to = from + 1;
        let page = CatalogueDelta {
            epoch: self.stamp.epoch,
            from,
            to,
            added: list(added),
            removed: List::of(removed),
            taken_back: List::default(),
        };
        self.stamp.version = to;
        let answer = registry.on_catalogue(START, SessionToken(n.into()), &page).unwrap();
        assert_eq!(answer.catalogue, self.stamp);
        self.history.insert((self.stamp.epoch, self.stamp.version), self.files.clone());
    }
}

#[test]
fn whatever_changes_meanwhile_a_list_that_is_kept_under_a_stamp_is_that_list() {
    crate::logic::dice::rounds(|dice: &mut Dice| {
        let mut registry = Registry::new(1, Limits::default());
        let mut models: BTreeMap<u8, Model> = (1..=4).map(|n| (n, Model::default())).collect();
        models.keys().for_each(|n| _ = register(&mut registry, *n, 0));
        let mut saving = Saving::in_steps_of(1 + dice.below(4) as usize);
        let (mut records, mut busy) = (Vec::new(), 20);
        loop {
            for _ in 0..busy {
                // The fourth never changes once it is being kept.
                let n = 1 + dice.below(if records.is_empty() { 4 } else { 3 }) as u8;
                if let Some(model) = models.get_mut(&n) {
                    model.change(dice, &mut registry, n);
                }
                while dice.below(2) == 0 && registry.sweep() {}
            }
            busy = dice.below(3);
            let Some(record) = registry.save_step(START, &mut saving) else { break };
            records.push(record);
        }
        let after = restored(records).unwrap();
        let kept = all(&after);
        for (n, model) in &models {
            let stamp = after.index.stamp(&id(*n));
            if stamp == Stamp::default() {
                assert!(*n != 4 || model.stamp == stamp, "the list of one at rest has no stamp");
                continue;
            }
            let own = kept.iter().filter(|listed| listed.owners.contains(&id(*n)));
            let own: BTreeMap<String, u8> =
                own.map(|l| (l.entry.name.to_string(), l.entry.size as u8)).collect();
            assert_eq!(
                Some(&own),
                model.history.get(&(stamp.epoch, stamp.version)),
                "of node {n} at {stamp:?}"
            );
        }
    });
}
