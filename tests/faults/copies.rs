//! Copies for others: made when a tracker says so, kept within bounds, and removed when it says so.

use std::fs;
use std::sync::Arc;

use parvi::base::{FileEntry, Kept, Modified, Rate, Root};
use parvi::io::link::StaticKey;
use parvi::node::view::{Direction, Listing, TransferRow, TransferState};
use parvi::node::{Node, NodeConfig, ReplicaConfig};
use parvi::wire::message::copies::{CopyEnd, CopyFault};

use super::boss::Boss;
use super::child::{Process, parvi};
use super::disk::{can_mount, on_a_small_disk};
use super::eve::{Acts, Eve, Goods};
use super::swarm::{LONG, Swarm, bytes, download, name, tree, until, write};

const MIB: usize = 1 << 20;

fn entry(text: &str, content: &[u8]) -> FileEntry {
    FileEntry {
        name: name(text),
        size: content.len() as u64,
        root: Root::of(content),
        modified: Modified { secs: 1_000_000_000, nanos: 0 },
        executable: false,
    }
}

fn why(end: &CopyEnd) -> Option<CopyFault> {
    match end {
        CopyEnd::Kept => None,
        CopyEnd::Failed { why, .. } => Some(*why),
    }
}

fn fetching(node: &Node) -> Vec<TransferRow> {
    let mut rows = node.transfers();
    rows.retain(|row| row.dir == Direction::Down && row.state != TransferState::Done);
    rows
}

fn own(root: &Root, text: &str) -> String {
    format!("@{}/{text}", root.short())
}

#[test]
fn what_is_ordered_is_kept_served_and_trimmed_and_nothing_of_the_persons_is() {
    let (swarm, boss) = (Swarm::new(), Boss::start());
    let (film, song) = (bytes(3 * MIB, 1), bytes(1_000, 2));
    let alice = swarm.sharing("alice", &[("d/film", &film), ("song", &song), ("mine", b"mine")]);
    write(&swarm.data("bob").join("shared/mine"), b"mine");
    let bob = boss.node(&swarm, "bob");
    boss.lists(&[("mine", b"mine", Kept::Shared)]);
    for (text, content) in [("d/film", &film[..]), ("song", &song), ("mine", b"mine")] {
        boss.orders(&entry(text, content), &[alice.ready().id]);
        assert_eq!(boss.end(&Root::of(content)), CopyEnd::Kept, "{text}");
    }
    let all: [(&str, &[u8], Kept); 3] = [
        ("d/film", &film, Kept::Replica),
        ("mine", b"mine", Kept::Shared),
        ("song", &song, Kept::Replica),
    ];
    boss.lists(&all);
    let kept = bob.list(Listing::Replicated);
    assert_eq!(kept.iter().map(|f| f.name.as_str()).collect::<Vec<_>>(), ["d/film", "song"]);
    assert!(fs::read(swarm.data("bob").join("replicated/d/film")).unwrap() == film);
    assert_eq!(bob.list(Listing::Downloaded), []);
    assert_eq!(bob.status().keeps.files, 2);
    // They are served when their publisher is away.
    alice.stop();
    let carol = swarm.node("carol");
    until("the copy is found", LONG, || carol.lookup(&name("d/film")).is_ok());
    assert_eq!(download(&carol, "d/film").unwrap()[0].sources[0].node.as_str(), "bob");

    for content in [&film[..], &song, b"mine"] {
        boss.trims(Root::of(content));
    }
    boss.lists(&all[1..2]);
    until("the copies are removed", LONG, || {
        tree(&swarm.data("bob").join("replicated")).is_empty()
    });
    assert_eq!(fs::read(swarm.data("bob").join("shared/mine")).unwrap(), b"mine");
}

#[test]
fn a_name_that_another_content_has_here_is_left_to_that() {
    let (swarm, boss) = (Swarm::new(), Boss::start());
    let contents: [&[u8]; 4] = [b"shared there", b"in the way", b"below a file", b"twice"];
    let [a, b, c, d] = contents;
    let alice = swarm.sharing("alice", &[("a", a), ("b", b), ("c/c", c), ("d", d)]);
    let data = swarm.data("bob");
    write(&data.join("shared/a"), b"bob's own");
    write(&data.join("replicated/b/folder"), b"put there by bob");
    write(&data.join("replicated/c"), b"a file");
    let bob = boss.node(&swarm, "bob");
    let own_files: [(&str, &[u8], Kept); 3] = [
        ("a", b"bob's own", Kept::Shared),
        ("b/folder", b"put there by bob", Kept::Shared),
        ("c", b"a file", Kept::Shared),
    ];
    boss.lists(&own_files);
    for (text, content) in [("a", a), ("b", b), ("c/c", c), ("d", d)] {
        boss.orders(&entry(text, content), &[alice.ready().id]);
        assert_eq!(boss.end(&Root::of(content)), CopyEnd::Kept, "{text}");
    }
    let name_of = |text: &str, content: &[u8]| own(&Root::of(content), text);
    let (own_a, own_b, own_c) = (name_of("a", a), name_of("b", b), name_of("c/c", c));
    let copies: [(&str, &[u8], Kept); 4] = [
        (&own_a, a, Kept::Replica),
        (&own_b, b, Kept::Replica),
        (&own_c, c, Kept::Replica),
        ("d", d, Kept::Replica),
    ];
    boss.lists(&[&own_files[..], &copies].concat());
    // One that is hidden later is kept once more, from what is here.
    alice.stop();
    write(&data.join("shared/d"), b"bob's, too");
    until("it is hidden", LONG, || boss.files()["d"].0 == Root::of(b"bob's, too"));
    boss.orders(&entry("d", d), &[]);
    until("it has a name of its own", LONG, || boss.files().contains_key(&name_of("d", d)));
    drop(bob);
}

#[test]
fn no_more_is_kept_than_the_quota_and_nothing_by_who_does_not_want_to() {
    let (swarm, boss) = (Swarm::new(), Boss::start());
    let (film, song) = (bytes(MIB, 1), bytes(1_000, 2));
    let alice = swarm.sharing("alice", &[("film", &film), ("song", &song)]);
    let quota = ReplicaConfig { off: false, quota: Some(MIB as u64) };
    let config = NodeConfig { replicas: quota, ..boss.config(&swarm, "bob") };
    let bob = swarm.start(&config);
    let offer = boss.offer();
    assert_eq!((offer.keeps, offer.room), (true, MIB as u64));
    for (text, content) in [("song", &song), ("film", &film)] {
        boss.orders(&entry(text, content), &[alice.ready().id]);
        let full = (text == "film").then_some(CopyFault::NoRoom);
        assert_eq!(why(&boss.end(&Root::of(content))), full);
    }
    assert_eq!(boss.offer().room, (MIB - song.len()) as u64);
    bob.stop();
    drop(bob);
    swarm.forget();

    let off = ReplicaConfig { off: true, quota: None };
    let bob = swarm.start(&NodeConfig { replicas: off, ..config });
    boss.lists(&[("song", &song, Kept::Replica)]);
    let offer = boss.offer();
    assert_eq!((offer.keeps, offer.room), (false, 0));
    boss.orders(&entry("film", &film), &[alice.ready().id]);
    assert_eq!(why(&boss.end(&Root::of(&film))), Some(CopyFault::Refused));
    boss.trims(Root::of(&song));
    boss.lists(&[]);
    drop(bob);
}

#[test]
fn who_lies_is_blamed_and_who_is_away_or_has_nothing_is_no_source() {
    let (swarm, boss) = (Swarm::new(), Boss::start());
    let content = bytes(MIB, 3);
    let acts = Acts::sending(|link, goods, item| goods.send(link, item, false));
    let goods = Goods::of("film", &content);
    let film = goods.entry.clone();
    let _eve = Eve::start(&swarm, "eve", goods, &acts);
    let eve_id = swarm.tracker.peers().iter().find(|p| p.node.as_str() == "eve").unwrap().id;
    let bob = boss.node(&swarm, "bob");
    boss.orders(&film, &[eve_id]);
    let blamed = match boss.end(&film.root) {
        CopyEnd::Failed { why: CopyFault::Broken, blamed } => blamed.into_vec(),
        other => panic!("{other:?}"),
    };
    assert_eq!(blamed, [eve_id]);
    // alice is there, and has it not.
    let alice = swarm.sharing("alice", &[("other", b"other")]);
    let nobody = StaticKey::generate().unwrap().public();
    boss.orders(&entry("gone", b"gone"), &[alice.ready().id, nobody]);
    match boss.end(&Root::of(b"gone")) {
        CopyEnd::Failed { why: CopyFault::NoSource, blamed } => {
            assert_eq!(blamed.into_vec(), [alice.ready().id]);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(tree(&swarm.data("bob").join("replicated")), [""; 0].map(std::path::PathBuf::from));
    drop(bob);
}

#[test]
fn a_copy_that_rots_is_fetched_again_and_its_old_bytes_go() {
    let (swarm, boss) = (Swarm::new(), Boss::start());
    let content = bytes(MIB, 9);
    let alice = swarm.sharing("alice", &[("film", &content)]);
    let bob = boss.node(&swarm, "bob");
    let film = entry("film", &content);
    boss.orders(&film, &[alice.ready().id]);
    assert_eq!(boss.end(&film.root), CopyEnd::Kept);
    boss.lists(&[("film", &content, Kept::Replica)]);
    let path = swarm.data("bob").join("replicated/film");
    let file = fs::File::options().write(true).open(&path).unwrap();
    let before = file.metadata().unwrap().modified().unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[!content[500_000]], 500_000).unwrap();
    file.set_modified(before).unwrap();
    let rotten = || bob.scrub_status().rotten;
    until("its rot is seen", LONG, || rotten().iter().any(|row| row.found != film.root));
    until("it is whole again", LONG, || fs::read(&path).is_ok_and(|now| now == content));
    until("its old bytes go", LONG, || rotten().is_empty());
    boss.lists(&[("film", &content, Kept::Replica)]);
    assert_eq!(tree(&swarm.data("bob").join("replicated")), [path]);
}

/// bob, in the middle of a copy.
fn half_a_copy(swarm: &Swarm, boss: &Boss) -> (Arc<Node>, FileEntry) {
    let content = bytes(3 * MIB, 4);
    let slow = NodeConfig { up: Some(Rate::per_second(1 << 20)), ..swarm.config("alice") };
    let alice = swarm.sharing_with(&slow, &[("film", &content)]);
    let (bob, film) = (boss.node(swarm, "bob"), entry("film", &content));
    boss.orders(&film, &[alice.ready().id]);
    until("it moves", LONG, || fetching(&bob).iter().any(|row| row.done > 256 << 10));
    (bob, film)
}

#[test]
fn a_person_sees_why_her_node_fetches_and_may_cancel_it() {
    let (swarm, boss) = (Swarm::new(), Boss::start());
    let (bob, film) = half_a_copy(&swarm, &boss);
    let row = fetching(&bob).remove(0);
    assert!(row.reason.starts_with("a copy for others"), "{row:?}");
    assert_eq!(bob.going_on(), [], "exit does not wait for it");
    bob.cancel(row.id).unwrap();
    assert_eq!(why(&boss.end(&film.root)), Some(CopyFault::Refused));
    until("what had arrived goes", LONG, || {
        tree(&swarm.data("bob").join(".parvi/parts")).is_empty()
    });
}

#[test]
fn a_copy_goes_on_from_what_has_arrived_after_a_restart() {
    let (swarm, boss) = (Swarm::new(), Boss::start());
    let (bob, film) = half_a_copy(&swarm, &boss);
    bob.stop();
    let before = fetching(&bob).iter().map(|row| row.done).max().unwrap();
    drop(bob);
    swarm.forget();
    let orders = fs::read_to_string(swarm.data("bob").join(".parvi/downloads.toml"));
    assert!(!orders.is_ok_and(|text| text.contains("film")), "it is no order of a person");
    let bob = boss.node(&swarm, "bob");
    assert_eq!(boss.end(&film.root), CopyEnd::Kept);
    let row = bob.transfers().into_iter().find(|row| row.name == "film").unwrap();
    let came: u64 = row.sources.iter().map(|s| s.bytes).sum();
    assert!(came <= film.size - before, "{came} bytes came again, {before} were there");
}

#[test]
fn a_node_killed_in_the_middle_of_a_copy_goes_on_from_what_has_arrived() {
    let (swarm, boss) = (Swarm::new(), Boss::start());
    let content = bytes(3 * MIB, 6);
    let slow = NodeConfig { up: Some(Rate::per_second(1 << 20)), ..swarm.config("alice") };
    let alice = swarm.sharing_with(&slow, &[("film", &content)]);
    let (film, addr) = (entry("film", &content), boss.addr.to_string());
    let mut bob = Process::node(&swarm, "bob", &["--tracker", &addr]);
    boss.orders(&film, &[alice.ready().id]);
    let sent = || {
        let uploads = alice.transfers();
        uploads.iter().filter(|t| t.dir == Direction::Up).map(|t| t.done).max().unwrap_or(0)
    };
    until("a third of it is there", LONG, || sent() >= MIB as u64);
    bob.child.kill().unwrap();
    bob.child.wait().unwrap();
    let before = sent();
    assert!(before < film.size && !swarm.data("bob").join("replicated/film").exists());
    let bob = boss.node(&swarm, "bob");
    assert_eq!(boss.end(&film.root), CopyEnd::Kept);
    boss.lists(&[("film", &content, Kept::Replica)]);
    let row = bob.transfers().into_iter().find(|row| row.name == "film").unwrap();
    let came: u64 = row.sources.iter().map(|s| s.bytes).sum();
    assert!(came <= film.size - before, "{came} bytes came again, {before} were there");
}

#[test]
fn a_disk_that_fills_up_meanwhile_ends_a_copy_and_is_given_back_what_had_arrived() {
    if !can_mount() {
        return;
    }
    let (swarm, boss) = (Swarm::new(), Boss::start());
    let content = bytes(12 * MIB, 7);
    let slow = NodeConfig { up: Some(Rate::per_second(1 << 20)), ..swarm.config("alice") };
    let alice = swarm.sharing_with(&slow, &[("film", &content), ("large", &bytes(24 * MIB, 8))]);
    let disk = swarm.data("bob");
    let (tracker, addr) = (swarm.tracker.addr().to_string(), boss.addr.to_string());
    let mut node = parvi(&["node", "--headless", "--listen", "127.0.0.1", "--name", "bob"]);
    node.args(["--heartbeat", "1", "--tracker", &tracker, "--tracker", &addr]);
    node.args(["--replica-quota", "1GiB", "--data"]).arg(&disk);
    // 24 MiB, of which the filler has 16.
    let bob = Process::start(on_a_small_disk(&node, &disk));
    let seen = format!("/proc/{}/root{}", bob.child.id(), disk.display());
    let seen = std::path::PathBuf::from(seen);
    let large = entry("large", &bytes(24 * MIB, 8));
    boss.orders(&large, &[alice.ready().id]);
    assert_eq!(why(&boss.end(&large.root)), Some(CopyFault::NoRoom), "the quota is not all");
    fs::remove_file(seen.join("filler")).unwrap();
    let film = entry("film", &content);
    boss.orders(&film, &[alice.ready().id]);
    let free = |path: &std::path::Path| {
        let stat = rustix::fs::statvfs(path).unwrap();
        usize::try_from(stat.f_bavail * stat.f_frsize).unwrap()
    };
    // The part has its room; a person takes the rest, the reserve too.
    let has_room = || tree(&seen.join(".parvi/parts")).len() == 1 && free(&seen) <= 12 * MIB;
    until("its part has its room", LONG, has_room);
    fs::write(seen.join("filler"), vec![1; free(&seen) - MIB / 4]).unwrap();
    assert_eq!(why(&boss.end(&film.root)), Some(CopyFault::NoRoom));
    until("what had arrived goes", LONG, || tree(&seen.join(".parvi/parts")).is_empty());
    assert!(tree(&seen.join("replicated")).is_empty());
}

#[test]
fn the_last_place_of_all_downloads_is_a_persons() {
    let (swarm, boss) = (Swarm::new(), Boss::start());
    let content = bytes(3 * MIB, 5);
    let slow = NodeConfig { up: Some(Rate::per_second(64 << 10)), ..swarm.config("alice") };
    let files: Vec<_> = (0..16).map(|n| (format!("f{n}"), bytes(MIB, n))).collect();
    let shared: Vec<_> = files.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])).collect();
    let alice = swarm.sharing_with(&slow, &shared);
    let film = swarm.sharing("carol", &[("film", &content)]);
    let bob = boss.node(&swarm, "bob");
    until("they are found", LONG, || bob.lookup(&name("f15")).is_ok());
    let ids: Vec<_> = files[..15]
        .iter()
        .map(|(text, _)| bob.download(&name(text), parvi::node::view::From::All).unwrap())
        .collect();
    boss.orders(&entry("film", &content), &[film.ready().id]);
    boss.offer();
    boss.offer();
    assert!(bob.transfers().iter().all(|row| row.name != "film"), "a copy took the last place");
    let last = bob.download(&name("f15"), parvi::node::view::From::All).unwrap();
    for id in ids.into_iter().chain([last]) {
        bob.cancel(id).unwrap();
    }
    assert_eq!(boss.end(&Root::of(&content)), CopyEnd::Kept);
    drop(alice);
}
