//! Messages for tests and fuzzers: one or more of every kind, and the largest legal ones.
//!
//! Invariant: `samples` covers `Kind::ALL` (a test in `golden` holds this), and nothing in it ever
//! changes, since `golden.txt` holds its bytes. The file is also included by `tests/` and `fuzz/`,
//! so it names everything from outside the crate.
#![allow(clippy::unwrap_used, reason = "every value here is a constant")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use parvi::base::limits::{
    BATCH_FILES_MAX, CHUNK_COUNT_MAX, FILE_SIZE_MAX, PAGE_BYTES_MAX, PAGE_FILES_MAX, PAGE_PEERS_MAX,
};
use parvi::base::name::{COMPONENT_BYTES_MAX, NAME_BYTES_MAX};
use parvi::base::{Bitmap, FileEntry, Kept, Modified, Name, NodeId, PeerInfo, Ports, Range, Root};
use parvi::wire::message::copies::{
    COPIES_MAX, CopyEnd, CopyFault, CopyOrder, CopyState, Duties, OUTCOMES_MAX, Offer, Outcome,
    SOURCES_MAX, TRIMS_MAX, WHY_COPIES_MAX, WHY_FILES_MAX, WhyAnswer, WhyComing, WhyCopy, WhyFile,
    WhyQuestion,
};
use parvi::wire::message::find::{
    FindAnswer, FindQuestion, LISTED_OWNERS_MAX, Listed, PATTERN_BYTES_MAX, Pattern,
};
use parvi::wire::message::knock::{Knock, Knocked};
use parvi::wire::message::search::{
    PARTS_BYTES_MAX, PARTS_MAX, Part, SearchAnswer, SearchQuestion,
};
use parvi::wire::message::size::{SizeAnswer, SizeQuestion};
use parvi::wire::message::tracker::{
    Bye, CatalogueAnswer, CatalogueDelta, Exit, Found, Heartbeat, HeartbeatAnswer, Held,
    LookupAnswer, LookupQuestion, OWNERS_MAX, PeersAnswer, PeersDelta, PeersQuestion, Refused,
    Register, Registered, Stamp, Why,
};
use parvi::wire::message::transfer::{
    Ack, Cancel, Chunk, Content, Done, FETCHERS_MAX, Fetchers, Have, Next, Open, Opened,
    RANGES_MAX, Serving, Set, Skip, Stale, Want, Working,
};
use parvi::wire::{List, Message, Text};

/// At least one message of every kind, with every variant and option both ways.
pub(crate) fn samples() -> Vec<Message> {
    [
        tracker_samples(),
        copies_samples(),
        find_samples(),
        owner_samples(),
        transfer_samples(),
        refusals(),
        knocks(),
    ]
    .concat()
}

fn tracker_samples() -> Vec<Message> {
    let delta = PeersDelta {
        stamp: STAMP,
        reset: true,
        more: false,
        changed: List::of(vec![peer("alice", V4), peer("bob", V6)]),
        stale: List::of(vec![id(2)]),
        gone: List::of(vec![id(3)]),
    };
    let found = Found { entry: entry("notes.txt"), owners: List::of(vec![id(1), id(2)]) };
    vec![
        register("alice", None).into(),
        register("bob", Some(V6)).into(),
        Registered { seen_as: V4, catalogue: STAMP, duties: Duties::default() }.into(),
        Heartbeat {
            peers: STAMP,
            catalogue: Stamp::default(),
            offer: Offer { keeps: true, room: 5_000_000_000, settled: true },
            outcomes: List::of(outcomes()),
        }
        .into(),
        HeartbeatAnswer { peers: delta.clone(), catalogue: STAMP, duties: duties() }.into(),
        CatalogueDelta {
            epoch: 9,
            from: 0,
            to: 2,
            added: List::of(vec![
                Held::shared(entry("notes.txt")),
                Held { entry: entry("a/b/ü.bin"), kept: Kept::Downloaded },
                Held { entry: entry("c"), kept: Kept::Replica },
            ]),
            removed: List::of(vec![name("old")]),
            taken_back: List::of(vec![Root::of(b"older")]),
        }
        .into(),
        CatalogueAnswer { catalogue: STAMP }.into(),
        Exit.into(),
        Bye.into(),
        PeersQuestion { peers: STAMP }.into(),
        PeersAnswer { peers: delta }.into(),
        LookupQuestion { name: name("a"), after: None }.into(),
        LookupQuestion { name: name("a"), after: Some(name("a/b")) }.into(),
        LookupAnswer { found: List::of(vec![found]), more: true }.into(),
    ]
}

fn duties() -> Duties {
    let order = CopyOrder { entry: entry("notes.txt"), sources: List::of(vec![id(1), id(2)]) };
    Duties { copies: List::of(vec![order]), trims: List::of(vec![root(9)]) }
}

fn outcomes() -> Vec<Outcome> {
    let failed = |why| CopyEnd::Failed { why, blamed: List::of(vec![id(4)]) };
    let faults = [CopyFault::NoRoom, CopyFault::NoSource, CopyFault::Refused, CopyFault::Broken];
    let ends = std::iter::once(CopyEnd::Kept).chain(faults.map(failed));
    ends.map(|end| Outcome { root: root(7), end }).collect()
}

fn copies_samples() -> Vec<Message> {
    let copy =
        |kept, state| WhyCopy { node: id(1), label: Text::of("alice"), kept, state, seen_s: 300 };
    let coming = WhyComing { node: id(2), label: "bob".parse().unwrap(), since_s: 3 };
    let file = WhyFile {
        name: name("notes.txt"),
        size: 70_000,
        root: root(7),
        wanted: 2,
        there: 1,
        copies: List::of(vec![
            copy(Kept::Shared, CopyState::There),
            copy(Kept::Downloaded, CopyState::Away),
            copy(Kept::Replica, CopyState::Doubted),
            copy(Kept::Replica, CopyState::Leaving),
        ]),
        coming: List::of(vec![coming]),
        text: Text::of("2 wanted, 1 there, 1 on the way"),
    };
    vec![
        WhyQuestion { name: name("a"), root: None }.into(),
        WhyQuestion { name: name("a"), root: Some("00ff00ff".parse().unwrap()) }.into(),
        WhyAnswer { files: List::of(vec![file]) }.into(),
    ]
}

fn find_samples() -> Vec<Message> {
    let ask = |pattern, after| FindQuestion { pattern, after };
    let owners = List::of(vec![id(1)]);
    let listed = Listed { entry: entry("notes.txt"), copies: 2, stale: false, seen_s: 3, owners };
    vec![
        ask(Pattern::All, None).into(),
        ask(Pattern::Contains { text: Text::of("ab"), ignore_case: true }, Some(name("a/b")))
            .into(),
        ask(Pattern::Glob { text: Text::of("*.c"), ignore_case: false }, None).into(),
        ask(Pattern::Root("00ff00ff".parse().unwrap()), None).into(),
        FindAnswer { found: List::of(vec![listed]), next: Some(name("notes.txt")) }.into(),
        FindAnswer { found: List::default(), next: None }.into(),
    ]
}

fn owner_samples() -> Vec<Message> {
    let mut have = Bitmap::none(11);
    have.insert(0);
    have.insert(10);
    vec![
        SearchQuestion { name: name("a"), after: None }.into(),
        SearchQuestion { name: name("a"), after: Some(name("a/b")) }.into(),
        SearchAnswer {
            files: List::of(vec![entry("notes.txt")]),
            parts: List::of(vec![Part { entry: entry("notes.txt"), have: 3, of: 256 }]),
            more: false,
        }
        .into(),
        SizeQuestion { root: root(7), manifest: true }.into(),
        SizeAnswer { size: 2_700_000, have, values: List::of(vec![[1; 32], [2; 32]]) }.into(),
    ]
}

fn transfer_samples() -> Vec<Message> {
    let content = Content { root: root(7), size: 300 };
    let run = Range { first: 3, count: 70_000 };
    let batch = List::of(vec![content, Content { root: root(8), size: 0 }]);
    vec![
        Open { set: Set::File(content), resumable: true }.into(),
        Open { set: Set::Batch(batch), resumable: false }.into(),
        Opened { attempt: 3, have: Bitmap::all(9), grows: false }.into(),
        Want { add: List::of(vec![run]), remove: List::of(vec![Range::one(1)]), window: 4 }.into(),
        Next { items: run }.into(),
        Skip { items: Range::one(4) }.into(),
        Chunk { items: Range::one(4), len: 262_144 }.into(),
        Ack { items: List::of(vec![run, Range::one(0)]) }.into(),
        Working.into(),
        Done.into(),
        Cancel { reason: Text::of("no longer needed") }.into(),
        Stale { items: List::of(vec![Range::one(2)]) }.into(),
        Have { items: List::of(vec![run]) }.into(),
        Serving { label: "bob".parse().unwrap(), ports: peer("bob", V4).ports }.into(),
        Fetchers { nodes: List::of(vec![peer("alice", V4), peer("bob", V6)]) }.into(),
    ]
}

fn refusals() -> Vec<Message> {
    let at = SocketAddr::new(V4, 4000);
    [
        Why::IdentityInUse { at, heard_s: 12 },
        Why::Busy,
        Why::Unexpected,
        Why::NotHere,
        Why::NotRegistered,
        Why::Stopping,
        Why::Later,
    ]
    .map(|why| Refused::new(why, "for a person").into())
    .into()
}

fn knocks() -> Vec<Message> {
    let content = Content { root: Root::of(b"film"), size: 4 };
    let knock = |content| Knock {
        set: [7; 32],
        content,
        label: "alice".parse().unwrap(),
        ports: Ports { search: 1, size: 2, chunk: 300 },
    };
    vec![
        knock(Some(content)).into(),
        knock(None).into(),
        Knocked::Coming.into(),
        Knocked::Done.into(),
        Knocked::NotWanted(Text::of("cancelled")).into(),
        Knocked::Later(Text::of("the disk is full")).into(),
    ]
}

/// For every kind with a list, a text or a bitmap, the most a sender that keeps the limits sends.
pub(crate) fn largest() -> Vec<Message> {
    [largest_of_tracker(), largest_of_copies(), largest_pages(), largest_of_transfers()].concat()
}

fn largest_of_tracker() -> Vec<Message> {
    let peers = PeersDelta {
        stamp: STAMP_MAX,
        reset: true,
        more: true,
        changed: List::of(vec![peer(&"x".repeat(64), V6); PAGE_PEERS_MAX]),
        stale: List::of(vec![id(255); PAGE_PEERS_MAX]),
        gone: List::of(vec![id(255); PAGE_PEERS_MAX]),
    };
    let at = SocketAddr::new(V6, u16::MAX);
    vec![
        register(&"x".repeat(64), Some(V6)).into(),
        Registered { seen_as: V6, catalogue: STAMP_MAX, duties: most_duties() }.into(),
        Heartbeat {
            peers: STAMP_MAX,
            catalogue: STAMP_MAX,
            offer: Offer { keeps: true, room: u64::MAX, settled: true },
            outcomes: List::of(vec![worst_outcome(); OUTCOMES_MAX]),
        }
        .into(),
        HeartbeatAnswer { peers: peers.clone(), catalogue: STAMP_MAX, duties: most_duties() }
            .into(),
        PeersAnswer { peers }.into(),
        Refused::new(Why::IdentityInUse { at, heard_s: u32::MAX }, "x".repeat(512)).into(),
    ]
}

fn most_duties() -> Duties {
    let sources = List::of(vec![id(255); SOURCES_MAX]);
    let order = CopyOrder { entry: heaviest_entry(longest_name()), sources };
    let trims = List::of(vec![root(255); TRIMS_MAX]);
    Duties { copies: List::of(vec![order; COPIES_MAX]), trims }
}

fn worst_outcome() -> Outcome {
    let blamed = List::of(vec![id(255); SOURCES_MAX]);
    Outcome { root: root(255), end: CopyEnd::Failed { why: CopyFault::Broken, blamed } }
}

fn largest_of_copies() -> Vec<Message> {
    let (label, state) = ("x".repeat(64), CopyState::Doubted);
    let copy = WhyCopy {
        node: id(255),
        label: Text::of(label.clone()),
        kept: Kept::Replica,
        state,
        seen_s: u32::MAX,
    };
    let coming = WhyComing { node: id(255), label: label.parse().unwrap(), since_s: u32::MAX };
    let file = WhyFile {
        name: longest_name(),
        size: FILE_SIZE_MAX,
        root: root(255),
        wanted: u32::MAX,
        there: u32::MAX,
        copies: List::of(vec![copy; WHY_COPIES_MAX]),
        coming: List::of(vec![coming; WHY_COPIES_MAX]),
        text: Text::of("x".repeat(512)),
    };
    let root = Some("f".repeat(64).parse().unwrap());
    vec![
        WhyQuestion { name: longest_name(), root }.into(),
        WhyAnswer { files: List::of(vec![file; WHY_FILES_MAX]) }.into(),
    ]
}

fn largest_pages() -> Vec<Message> {
    let files = || List::of(page().into_iter().map(heaviest_entry).collect());
    let longest = "x".repeat(PARTS_BYTES_MAX / PARTS_MAX);
    let part =
        || Part { entry: heaviest_entry(longest.parse().unwrap()), have: u32::MAX, of: u32::MAX };
    let parts = || List::of((0..PARTS_MAX).map(|_| part()).collect());
    let held = |name| Held { entry: heaviest_entry(name), kept: Kept::Replica };
    let added = CatalogueDelta {
        epoch: u64::MAX,
        from: u64::MAX,
        to: u64::MAX,
        added: List::of(page().into_iter().map(held).collect()),
        removed: List::default(),
        taken_back: List::default(),
    };
    let removed =
        CatalogueDelta { added: List::default(), removed: List::of(page()), ..added.clone() };
    let (name, after) = (longest_name(), Some(longest_name()));
    let listed = |name| Listed {
        entry: heaviest_entry(name),
        copies: u32::MAX,
        stale: true,
        seen_s: u32::MAX,
        owners: List::of(vec![id(255); LISTED_OWNERS_MAX / 8]),
    };
    let text = Text::of("x".repeat(PATTERN_BYTES_MAX));
    let pattern = Pattern::Contains { text, ignore_case: true };
    vec![
        added.into(),
        removed.into(),
        SearchAnswer { files: files(), parts: parts(), more: true }.into(),
        LookupAnswer { found: List::of(page().into_iter().map(found).collect()), more: true }
            .into(),
        FindAnswer {
            found: List::of(page().into_iter().map(listed).collect()),
            next: after.clone(),
        }
        .into(),
        FindQuestion { pattern, after: after.clone() }.into(),
        SearchQuestion { name: name.clone(), after: after.clone() }.into(),
        LookupQuestion { name, after }.into(),
    ]
}

fn largest_of_transfers() -> Vec<Message> {
    let run = Range { first: u32::MAX, count: u32::MAX };
    let content = Content { root: root(255), size: FILE_SIZE_MAX };
    let have = Bitmap::all(CHUNK_COUNT_MAX);
    let runs = List::of(vec![run; RANGES_MAX]);
    vec![
        SizeAnswer {
            size: FILE_SIZE_MAX,
            have: have.clone(),
            values: List::of(vec![[255; 32]; CHUNK_COUNT_MAX as usize]),
        }
        .into(),
        Open { set: Set::Batch(List::of(vec![content; BATCH_FILES_MAX])), resumable: true }.into(),
        Opened { attempt: u32::MAX, have, grows: true }.into(),
        Want { add: runs.clone(), remove: runs, window: u16::MAX }.into(),
        Ack { items: List::of(vec![run; 2_048]) }.into(),
        Stale { items: List::of(vec![run; 1_024]) }.into(),
        Have { items: List::of(vec![run; 2_048]) }.into(),
        Fetchers { nodes: List::of(vec![peer(&"x".repeat(64), V6); FETCHERS_MAX]) }.into(),
        Cancel { reason: Text::of("x".repeat(256)) }.into(),
    ]
}

/// Owners a page of `PAGE_FILES_MAX` files with `PAGE_BYTES_MAX` of names has room for, each file.
pub(crate) const OWNERS_OF_A_FULL_PAGE: usize = 6;

/// One file of a full page of an index.
fn found(name: Name) -> Found {
    const { assert!(OWNERS_OF_A_FULL_PAGE <= OWNERS_MAX) };
    Found { entry: heaviest_entry(name), owners: List::of(vec![id(255); OWNERS_OF_A_FULL_PAGE]) }
}

/// As many names as a page may have, with as many bytes as they may have together.
fn page() -> Vec<Name> {
    let behind = "x".repeat(PAGE_BYTES_MAX / PAGE_FILES_MAX - 201);
    (0..PAGE_FILES_MAX).map(|i| name(&format!("{i:0>200}/{behind}"))).collect()
}

fn longest_name() -> Name {
    let part = "x".repeat(COMPONENT_BYTES_MAX);
    name(&[part.as_str(); 12].join("/")[..NAME_BYTES_MAX - 1])
}

fn heaviest_entry(name: Name) -> FileEntry {
    let modified = Modified { secs: i64::MIN, nanos: u32::MAX };
    FileEntry { name, size: FILE_SIZE_MAX, root: root(255), modified, executable: true }
}

const V4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 7, 20));
const V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0x1234, 0x5678));
const STAMP: Stamp = Stamp { epoch: 5_000_000_000, version: 300 };
const STAMP_MAX: Stamp = Stamp { epoch: u64::MAX, version: u64::MAX };

fn register(label: &str, advertise: Option<IpAddr>) -> Register {
    Register {
        instance: u64::MAX,
        label: label.parse().unwrap(),
        ports: Ports { search: 40_000, size: 40_001, chunk: 200 },
        advertise,
        heartbeat_s: 10,
        catalogue: STAMP,
        offer: Offer { keeps: true, room: 300, settled: true },
    }
}

fn peer(label: &str, ip: IpAddr) -> PeerInfo {
    let ports = Ports { search: 40_000, size: 40_001, chunk: 40_002 };
    PeerInfo { id: id(1), label: label.parse().unwrap(), ip, ports, files: 7 }
}

fn entry(path: &str) -> FileEntry {
    let modified = Modified { secs: -1, nanos: 999_999_999 };
    FileEntry { name: name(path), size: 70_000, root: root(7), modified, executable: false }
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn id(byte: u8) -> NodeId {
    NodeId::from_bytes([byte; 32])
}

fn root(byte: u8) -> Root {
    Root::from_bytes([byte; 32])
}
