//! Owners that send wrong bytes, wrong manifests, wrong sizes.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use parvi::base::{Bitmap, FaultKind, Rate};
use parvi::wire::List;
use parvi::wire::message::size::SizeAnswer;

use super::eve::{Acts, Answer, Eve, Goods};
use super::swarm::{Swarm, bytes, download, download_equal, from_node};

const MIB: usize = 1 << 20;

#[test]
fn a_corrupt_owner_is_asked_once_for_a_chunk_and_banned_after_three() {
    let (swarm, content) = (Swarm::new(), bytes(8 * MIB, 1));
    let file: [(&str, &[u8]); 1] = [("film", &content)];
    for honest in ["alice", "bob"] {
        let mut config = swarm.config(honest);
        config.up = Some(Rate::per_second(4 << 20));
        swarm.sharing_with(&config, &file);
    }
    let sent: Arc<Mutex<Vec<u32>>> = Arc::default();
    let log = sent.clone();
    let acts = Acts::sending(move |link, goods, item| {
        log.lock().push(item);
        goods.send(link, item, false)
    });
    let eve = Eve::start(&swarm, "eve", Goods::of("film", &content), &acts);
    let carol = swarm.node("carol");
    let report = download_equal(&carol, "film", &content);

    let wasted = carol.stats().corrupt_chunks;
    assert!((1..=3).contains(&wasted), "{wasted} chunks were wasted");
    assert_eq!(from_node(&report, "eve"), 0);
    let mut asked = sent.lock().clone();
    let asks = asked.len();
    asked.sort_unstable();
    asked.dedup();
    assert_eq!(asks, asked.len(), "asked again for a chunk that was corrupt: {:?}", sent.lock());
    assert_eq!(wasted, 3, "eve had time to send three: {:?}", eve.ends.lock());
}

/// What comes of a download whose every owner sends wrong bytes.
fn all_corrupt(size: usize) {
    let (swarm, content) = (Swarm::new(), bytes(size, 2));
    let acts = Acts::sending(|link, goods, item| goods.send(link, item, false));
    let _eve = Eve::start(&swarm, "eve", Goods::of("film", &content), &acts);
    let _mallory = Eve::start(&swarm, "mallory", Goods::of("film", &content), &acts);
    let carol = swarm.node("carol");
    let fault = download(&carol, "film").unwrap_err();
    assert_eq!(fault.kind, FaultKind::Integrity, "{fault}");
    assert!(fault.text.contains("eve") && fault.text.contains("mallory"), "{fault}");
    assert!(!swarm.data("carol").join("downloaded/film").exists());
    let got = swarm.get("film", &swarm.data("out"), Duration::from_secs(5)).unwrap_err();
    assert_eq!(got.kind, FaultKind::Integrity, "{got}");
}

#[test]
fn where_every_owner_is_corrupt_the_download_ends_as_integrity() {
    all_corrupt(4 * MIB);
}

#[test]
fn a_file_of_two_chunks_whose_owners_are_corrupt_ends_as_integrity_too() {
    all_corrupt(300 * 1024);
}

#[test]
fn a_small_file_whose_owners_are_corrupt_ends_as_integrity_too() {
    all_corrupt(10_000);
}

/// Manifests that are wrong, each in its own way.
fn wrong_manifests() -> Vec<(&'static str, Answer)> {
    let answer = |goods: &Goods, change: &dyn Fn(&mut u64, &mut Vec<[u8; 32]>)| {
        let (mut size, mut values) = (goods.entry.size, goods.manifest.values().to_vec());
        change(&mut size, &mut values);
        let have = Bitmap::all(goods.chunks());
        Some(SizeAnswer { size, have, values: List::of(values) }.into())
    };
    vec![
        ("a flipped bit", Arc::new(move |g, _| answer(g, &|_, v| v[1][7] ^= 1))),
        ("two swapped", Arc::new(move |g, _| answer(g, &|_, v| v.swap(0, 1)))),
        ("one less", Arc::new(move |g, _| answer(g, &|_, v| v.truncate(v.len() - 1)))),
        ("none", Arc::new(move |g, _| answer(g, &|_, v| v.clear()))),
        ("16,384 of them", Arc::new(move |g, _| answer(g, &|_, v| v.resize(16_384, [7; 32])))),
        ("a byte more", Arc::new(move |g, _| answer(g, &|s, _| *s += 1))),
        ("an empty file", Arc::new(move |g, _| answer(g, &|s, _| *s = 0))),
        ("a file of 2^40 bytes", Arc::new(move |g, _| answer(g, &|s, _| *s = 1 << 40))),
        ("nothing at all", Arc::new(|_, _| None)),
    ]
}

#[test]
fn a_wrong_manifest_or_size_costs_one_question_and_the_file_arrives() {
    let (swarm, carol_answers) = (Swarm::new(), wrong_manifests());
    let files: Vec<(String, Vec<u8>)> =
        (0..).zip(&carol_answers).map(|(n, _)| (format!("film {n}"), bytes(MIB, n))).collect();
    let shared: Vec<(&str, &[u8])> = files.iter().map(|(n, b)| (n.as_str(), &b[..])).collect();
    swarm.sharing("alice", &shared);
    let carol = swarm.node("carol");
    for ((how, size), (film, content)) in carol_answers.into_iter().zip(&files) {
        let acts = Acts { size, ..Acts::honest() };
        let _eve = Eve::start(&swarm, "eve", Goods::of(film, content), &acts);
        let report = download_equal(&carol, film, content);
        assert_eq!(carol.stats().corrupt_chunks, 0, "{how}: {report:?}");
    }
}

#[test]
fn where_every_manifest_is_wrong_the_download_ends_as_integrity() {
    for (how, size) in wrong_manifests().into_iter().filter(|(how, _)| *how != "nothing at all") {
        let (swarm, content) = (Swarm::new(), bytes(MIB, 3));
        let acts = Acts { size, ..Acts::honest() };
        let _eve = Eve::start(&swarm, "eve", Goods::of("film", &content), &acts);
        let fault = download(&swarm.node("carol"), "film").unwrap_err();
        assert_eq!(fault.kind, FaultKind::Integrity, "{how}: {fault}");
    }
}

/// Goods whose size is said to be that of `lie`, under the root of `truth`.
fn of_another_size(wanted: &str, truth: &[u8], lie: &[u8]) -> Goods {
    let (right, wrong) = (Goods::of(wanted, truth), Goods::of(wanted, lie));
    let mut entry = wrong.entry;
    entry.root = right.entry.root;
    Goods { entry, manifest: right.manifest, ..wrong }
}

#[test]
fn two_who_say_a_wrong_size_do_not_outvote_one_who_says_the_right_one() {
    // As many chunks, more chunks, a small file, and none at all.
    for (right, wrong) in [(MIB - 9, MIB - 8), (MIB, 3 * MIB), (9_000, 9_001), (9_000, 0)] {
        let (swarm, film) = (Swarm::new(), bytes(right, 5));
        let mut lie = film.clone();
        lie.resize(wrong, 7);
        swarm.sharing("alice", &[("film", &film)]);
        let goods = || of_another_size("film", &film, &lie);
        let _liars = ["eve", "mallory"].map(|l| Eve::start(&swarm, l, goods(), &Acts::honest()));
        let carol = swarm.node("carol");
        let report = download_equal(&carol, "film", &film);
        assert_eq!(report.bytes, right as u64, "{wrong}");
        download_equal(&swarm.node("dave"), "film", &film);
    }
}

#[test]
fn those_who_say_a_wrong_size_and_hang_up_hold_nobody_up_for_ever() {
    let (swarm, film) = (Swarm::new(), bytes(9_000, 6));
    let lie = bytes(9_001, 6);
    swarm.sharing("alice", &[("film", &film)]);
    // Who hangs up may come back, and is waited for.
    let rude = Acts::transferring(|_, _| Ok(()));
    let goods = || of_another_size("film", &film, &lie);
    let _liars = ["eve", "mallory"].map(|l| Eve::start(&swarm, l, goods(), &rude));
    let mut config = swarm.config("carol");
    config.ack_timeout = Duration::from_secs(1);
    download_equal(&swarm.start(&config), "film", &film);
}
