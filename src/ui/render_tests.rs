use super::*;
use crate::base::{NodeId, Root};
use crate::node::view::{KeptStatus, Owner, Problem, TrackerRow};

const ROOT: &str = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn hit(text: &str, partial: bool) -> LookupHit {
    let owner = |n: u8, label: &str, complete| Owner {
        node: label.parse().unwrap(),
        id: NodeId::from_bytes([n; 32]),
        addr: ([10, 0, 0, n], 5002).into(),
        complete,
        here: false,
        part: (!complete).then_some((3, 12)),
    };
    let owners = vec![owner(1, "alice", true), owner(2, "bob", !partial)];
    LookupHit { name: name(text), size: 3 << 20, root: Root::of(b""), owners }
}

fn report(text: &str) -> DownloadReport {
    DownloadReport {
        name: name(text),
        root: Root::of(b""),
        path: format!("/data/downloaded/{text}").into(),
        bytes: 4 << 20,
        seconds: 0.5,
        sources: vec![
            Source { node: "alice".parse().unwrap(), bytes: 3 << 20 },
            Source { node: "bob".parse().unwrap(), bytes: 1 << 20 },
        ],
    }
}

fn transfer() -> TransferRow {
    TransferRow {
        id: 3,
        dir: Direction::Down,
        name: "a\u{1b}[2J".into(),
        peer: "alice".into(),
        state: TransferState::Waiting,
        reason: "alice is away; again in 4 s".into(),
        done: 1 << 20,
        total: 4 << 20,
        attempt: 2,
        rate: 0,
        limit: None,
        sources: Vec::new(),
    }
}

fn text(outcome: &Outcome) -> String {
    render(outcome, false).unwrap()
}

fn json(outcome: &Outcome) -> String {
    render(outcome, true).unwrap()
}

fn found(asked: &str, hits: Vec<LookupHit>) -> Outcome {
    Outcome::Found { name: name(asked), hits }
}

#[test]
fn a_lookup_is_one_object_for_one_file_and_an_array_otherwise() {
    let (one, two) = ("01".repeat(32), "02".repeat(32));
    let object = |n: &str| {
        format!(
            "{{\"name\":\"{n}\",\"size\":3145728,\"root\":\"{ROOT}\",\"owners\":[\
             {{\"node\":\"alice\",\"id\":\"{one}\",\"addr\":\"10.0.0.1:5002\",\"complete\":true}},\
             {{\"node\":\"bob\",\"id\":\"{two}\",\"addr\":\"10.0.0.2:5002\",\"complete\":false}}]}}"
        )
    };
    assert_eq!(json(&found("x", vec![hit("x", true)])), object("x") + "\n");
    let folder = found("d", vec![hit("d/x", true)]);
    assert_eq!(json(&folder), format!("[{}]\n", object("d/x")), "a folder with one file");
    let conflict = found("x", vec![hit("x", true), hit("x", true)]);
    assert_eq!(json(&conflict), format!("[{0},{0}]\n", object("x")), "two contents");
}

#[test]
fn a_lookup_for_people_shows_each_owner_on_a_line() {
    assert_eq!(
        text(&found("x", vec![hit("x", true)])),
        format!(
            "x  3.0 MiB  {ROOT}\n  alice  10.0.0.1:5002  complete\n  bob    10.0.0.2:5002  3 of 12 chunks\n"
        )
    );
}

#[test]
fn downloads_tell_where_the_file_is_and_who_sent_it() {
    let done = |asked, files: &[&str]| Outcome::Downloaded {
        name: name(asked),
        reports: files.iter().map(|f| report(f)).collect(),
    };
    let object = |n: &str| {
        format!(
            "{{\"name\":\"{n}\",\"root\":\"{ROOT}\",\"path\":\"/data/downloaded/{n}\",\
             \"bytes\":4194304,\"seconds\":0.5,\"sources\":[{{\"node\":\"alice\",\"bytes\":3145728}},\
             {{\"node\":\"bob\",\"bytes\":1048576}}]}}"
        )
    };
    assert_eq!(json(&done("x", &["x"])), object("x") + "\n");
    let folder = json(&done("d", &["d/x", "d/y"]));
    assert_eq!(folder, format!("[{},{}]\n", object("d/x"), object("d/y")));
    assert_eq!(
        text(&done("x", &["x"])),
        "/data/downloaded/x  4.0 MiB in 0.5 s from alice 3.0 MiB, bob 1.0 MiB\n"
    );
    let mut there = report("x");
    there.sources.clear();
    let there = Outcome::Downloaded { name: name("x"), reports: vec![there] };
    assert_eq!(text(&there), "/data/downloaded/x  4.0 MiB was there already\n");
}

#[test]
fn transfers_show_why_they_wait_and_no_name_drives_the_terminal() {
    let rows = Outcome::Transfers(vec![transfer()]);
    assert_eq!(
        text(&rows),
        "ID  DIR   STATE    PROGRESS                   RATE  NAME        PEER   REASON\n\
         3   down  waiting  1.0 MiB of 4.0 MiB (25 %)        a\\u{1b}[2J  alice  \
         alice is away; again in 4 s\n"
    );
    assert_eq!(
        json(&rows),
        "[{\"id\":3,\"dir\":\"down\",\"name\":\"a\\u001b[2J\",\"peer\":\"alice\",\
         \"state\":\"waiting\",\"reason\":\"alice is away; again in 4 s\",\"done\":1048576,\
         \"total\":4194304,\"attempt\":2,\"rate\":0,\"sources\":[]}]\n"
    );
    assert_eq!(
        transfer_line(&transfer()),
        "download 3 a\\u{1b}[2J: 1.0 MiB of 4.0 MiB (25 %) from alice; alice is away; again in 4 s"
    );
}

#[test]
fn a_transfer_shows_what_it_is_held_to() {
    let mut row = TransferRow { limit: Some(2 << 20), ..transfer() };
    assert!(json(&Outcome::Transfers(vec![row.clone()])).contains("\"rate\":0,\"limit\":2097152,"));
    assert!(text(&Outcome::Transfers(vec![row.clone()])).contains("(25 %)  limit 2.0 MiB/s  a"));
    row.rate = 1 << 20;
    let line = transfer_line(&row);
    assert!(line.contains("(25 %), 1.0 MiB/s, limit 2.0 MiB/s from alice"), "{line}");
}

#[test]
fn lists_and_peers_are_tables_for_people_and_arrays_for_programs() {
    let files = Outcome::Files(vec![FileRow { name: name("a b"), size: 5, root: Root::of(b"") }]);
    assert_eq!(text(&files), format!("SIZE  BLAKE3{}  NAME\n5 B   {ROOT}  a b\n", " ".repeat(58)));
    assert_eq!(json(&files), format!("[{{\"name\":\"a b\",\"size\":5,\"root\":\"{ROOT}\"}}]\n"));
    let peers = Outcome::Peers(vec![PeerRow {
        node: "bob".parse().unwrap(),
        id: NodeId::from_bytes([2; 32]),
        addr: ([10, 0, 0, 2], 5002).into(),
        files: 3,
        last_seen_s: 4,
        stale: false,
    }]);
    assert_eq!(
        text(&peers),
        "NODE  ADDRESS        FILES  SEEN\nbob   10.0.0.2:5002  3      4 s ago\n"
    );
    let id = "02".repeat(32);
    assert_eq!(
        json(&peers),
        format!(
            "[{{\"node\":\"bob\",\"id\":\"{id}\",\"addr\":\"10.0.0.2:5002\",\"files\":3,\
             \"last_seen_s\":4,\"stale\":false}}]\n"
        )
    );
    assert_eq!(json(&Outcome::Files(Vec::new())), "[]\n");
}

#[test]
fn show_tells_the_node_its_trackers_and_its_problems() {
    let status = NodeStatus {
        keeps: KeptStatus { keeps: true, files: 2, bytes: 2 << 20, room: 1 << 30 },
        node: "alice".parse().unwrap(),
        id: NodeId::from_bytes([1; 32]),
        addr: [10, 0, 0, 1].into(),
        data: "/data".into(),
        trackers: vec![TrackerRow {
            addr: "lab:12345".into(),
            connected: false,
            reason: "connection refused; again in 4 s".into(),
        }],
        hashing: 2,
        looking: true,
        files: Vec::new(),
        problems: vec![Problem { path: "x".into(), why: "permission denied".into() }],
    };
    assert_eq!(
        text(&Outcome::Status(status)),
        format!(
            "node     alice\nid       {}\naddress  10.0.0.1\ndata     /data\n\
             tracker  lab:12345 not connected: connection refused; again in 4 s\n\
             shares   0 files, 0 B\n\
             keeps    2 copies for others, 2.0 MiB; room for 1.0 GiB more\nlooking  through its folders; more files may be found\n\
             hashing  2 files to go\nproblem  x: permission denied\n",
            "01".repeat(32)
        )
    );
}

#[test]
fn confirmations_are_one_line_and_one_document() {
    let table = [
        (Outcome::Ip([10, 0, 0, 1].into()), "10.0.0.1\n", "{\"ip\":\"10.0.0.1\"}\n"),
        (
            Outcome::Started { id: 3, name: name("x") },
            "download 3 started: x\n",
            "{\"id\":3,\"name\":\"x\"}\n",
        ),
        (
            Outcome::Changed { id: 3, to: "paused" },
            "transfer 3 paused\n",
            "{\"id\":3,\"state\":\"paused\"}\n",
        ),
        (
            Outcome::Limited { id: 3, rate: Some(Rate::per_second(1 << 20)) },
            "transfer 3 limited to 1.0 MiB/s\n",
            "{\"id\":3,\"limit\":1048576}\n",
        ),
        (
            Outcome::Limited { id: 3, rate: None },
            "transfer 3 not limited\n",
            "{\"id\":3,\"limit\":null}\n",
        ),
        (Outcome::Shared(name("x")), "shared as x\n", "{\"name\":\"x\",\"shared\":true}\n"),
        (
            Outcome::Unshared(name("x")),
            "x is no longer shared\n",
            "{\"name\":\"x\",\"shared\":false}\n",
        ),
        (Outcome::StatsReset, "counts from zero\n", "{\"reset\":true}\n"),
        (Outcome::Left, "", "{\"exit\":0}\n"),
    ];
    for (outcome, plain, document) in table {
        assert_eq!((text(&outcome).as_str(), json(&outcome).as_str()), (plain, document));
    }
}
