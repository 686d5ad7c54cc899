//! Each rule is a line: from facts that are well, one change, and what is to be found then.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::*;

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn interface(name: &str, address: &str, prefix: u8) -> Interface {
    Interface { name: name.into(), ip: ip(address), prefix }
}

fn tracker() -> Tracker {
    let answered = Answered {
        at: at("192.168.1.5:12345"),
        took: Duration::from_millis(3),
        nodes: 2,
        listed: Some(ip("192.168.1.7")),
    };
    let since = Some(Duration::from_secs(60));
    let registered = Registered { since, reason: String::new(), in_use: false, called_back: true };
    Tracker {
        name: "hub.lan:12345".into(),
        call: Call::Answered(answered),
        registered: Some(registered),
    }
}

/// A node that is well.
fn well() -> Facts {
    let listener = |name, port| Listener {
        name,
        addr: SocketAddr::new(ip("0.0.0.0"), port),
        door: Door::Serves,
    };
    let key = |path: &str| KeyFile { path: path.into(), state: KeyState::Fine };
    let met = |label: &str| Met { label: label.into(), addr: at("192.168.1.8:3"), failed: None };
    Facts {
        role: Role::Node,
        running: true,
        disk: Disk {
            path: "/home/alice/parvi".into(),
            exists: true,
            unknown: None,
            kind: FileSystem::Local,
            read_only: false,
            free: 50 << 30,
            total: 100 << 30,
            inodes: Some((1 << 20, 1 << 21)),
            denied: Vec::new(),
            open_mode: None,
            parts: 0,
            parts_bytes: 0,
        },
        clock: Clock {
            unix_s: 1_800_000_000,
            shown: "2027-01-15 08:00:00 UTC".into(),
            jumped_s: Some(0),
            future: None,
        },
        limits: Limits {
            files: Some(65_536),
            files_hard: Some(65_536),
            files_open: 30,
            watches: Some(65_536),
            folders: 7,
        },
        listeners: vec![
            listener("search", 40_000),
            listener("size", 40_001),
            listener("chunk", 40_002),
        ],
        addresses: Addresses {
            listen: ip("0.0.0.0"),
            advertise: None,
            interfaces: vec![interface("lo", "127.0.0.1", 8), interface("eth0", "192.168.1.7", 24)],
            container: false,
        },
        identity: key("/home/alice/parvi/.parvi/id"),
        swarm_key: SwarmKey::File(key("/etc/swarm.key")),
        trackers: vec![tracker()],
        nodes: vec![met("bob"), met("carol")],
        nodes_known: 2,
    }
}

/// What is not fine after a change.
fn found(change: impl FnOnce(&mut Facts)) -> Vec<Finding> {
    let mut facts = well();
    change(&mut facts);
    let report = examine(&facts);
    let bad: Vec<Finding> =
        report.findings.iter().filter(|finding| finding.level > Level::Ok).cloned().collect();
    assert_eq!(bad.len(), report.problems + report.warnings);
    for finding in &bad {
        assert!(!finding.wrong.is_empty() && !finding.todo.is_empty(), "{finding:?}");
    }
    bad
}

/// After this change exactly this is found.
#[track_caller]
fn finds(change: impl FnOnce(&mut Facts), (check, level): (Check, Level), wrong: &str, todo: &str) {
    let bad = found(change);
    let [finding] = bad.as_slice() else { panic!("not one finding: {bad:?}") };
    assert_eq!((finding.check, finding.level), (check, level), "{finding:?}");
    assert!(finding.wrong.contains(wrong), "{wrong:?}: {finding:?}");
    assert!(finding.todo.contains(todo), "{todo:?}: {finding:?}");
}

use Check::{Addresses as Addr, Clock as Time, Disk as OnDisk, Key, Limits as Limit, Nodes, Ports};
use Level::{Ok as Fine, Problem, Warning};

#[test]
fn who_is_well_is_told_so_of_every_check() {
    let report = examine(&well());
    assert_eq!((report.problems, report.warnings), (0, 0), "{report:?}");
    let mut checks: Vec<Check> = report.findings.iter().map(|finding| finding.check).collect();
    checks.dedup();
    assert_eq!(checks, [OnDisk, Time, Limit, Ports, Addr, Key, Check::Tracker, Nodes]);
    for finding in &report.findings {
        assert!(finding.level == Fine && !finding.seen.is_empty(), "{finding:?}");
    }
}

#[test]
fn a_disk_without_room_or_rights_is_told_with_what_to_do() {
    finds(
        |f| f.disk.unknown = Some("it is a file".into()),
        (OnDisk, Problem),
        "it is a file",
        "ls -ld",
    );
    finds(|f| f.disk.read_only = true, (OnDisk, Problem), "read-only", "findmnt");
    finds(|f| f.disk.free = 1 << 20, (OnDisk, Problem), "log of uploads", "du -sh");
    finds(|f| f.disk.free = 500 << 20, (OnDisk, Warning), "large download", "--data");
    finds(|f| f.disk.inodes = Some((50, 9_999)), (OnDisk, Problem), "50 of 9999", "du --inodes");
    finds(|f| f.disk.inodes = Some((5_000, 9_999)), (OnDisk, Warning), "5000 of", "du --inodes");
    finds(|f| f.disk.kind = FileSystem::Memory, (OnDisk, Warning), "restart", "--data");
    finds(
        |f| f.disk.kind = FileSystem::Network("NFS"),
        (OnDisk, Warning),
        "once a minute",
        "local",
    );
    finds(|f| f.disk.open_mode = Some(0o755), (OnDisk, Warning), "look into", "chmod 700");
    let mine = |f: &mut Facts| f.disk.denied = vec![("/data/x".into(), "write")];
    finds(mine, (OnDisk, Problem), "may not write", "as its owner: sudo -u \"$(stat -c %U ");
    assert!(!found(mine)[0].todo.contains("chown"), "somebody's node may be at work there");
    let waiting = |f: &mut Facts| (f.disk.parts, f.disk.parts_bytes) = (3, 1 << 40);
    finds(waiting, (OnDisk, Warning), "wait", "parvi ctl transfers");
    assert!(
        found(|f| (f.disk.parts, f.disk.parts_bytes) = (3, 1 << 30)).is_empty(),
        "there is room"
    );
    assert!(found(|f| f.disk.inodes = None).is_empty(), "some file systems have no bound");
}

#[test]
fn a_command_to_type_holds_a_path_with_spaces_together() {
    let odd = |f: &mut Facts| {
        f.disk.path = "/my files/it's".into();
        f.disk.open_mode = Some(0o777);
    };
    finds(odd, (OnDisk, Warning), "look", "chmod 700 '/my files/it'\\''s'/.parvi");
}

#[test]
fn a_clock_that_is_wrong_is_told_whatever_shows_it() {
    finds(|f| f.clock.unix_s = 12, (Time, Problem), "before this program", "timedatectl");
    finds(|f| f.clock.jumped_s = Some(7_200), (Time, Warning), "asleep", "timedatectl");
    finds(|f| f.clock.jumped_s = Some(-60), (Time, Warning), "set", "timedatectl");
    assert!(found(|f| f.clock.jumped_s = Some(-9)).is_empty(), "clocks are slewed");
    let future = Future { files: 2, path: "/x/a".into(), ahead: Duration::from_secs(86_400) };
    finds(|f| f.clock.future = Some(future), (Time, Warning), "late", "touch");
    let seen = |jumped| found(|f| f.clock.jumped_s = Some(jumped)).remove(0).seen;
    assert!(seen(7_200).contains("2 h ahead") && seen(-60).contains("60 s back"));
}

#[test]
fn a_limit_is_told_before_it_is_reached() {
    finds(|f| f.limits.files_open = 65_500, (Limit, Problem), "refused", "ulimit -n");
    let low = |f: &mut Facts| (f.limits.files, f.limits.files_hard) = (Some(512), Some(512));
    finds(low, (Limit, Warning), "many peers", "LimitNOFILE");
    assert!(found(|f| (f.limits.files, f.limits.files_hard) = (None, None)).is_empty());
    finds(|f| f.limits.folders = 65_536, (Limit, Warning), "minute", "max_user_watches=131072");
    finds(|f| f.limits.watches = None, (Limit, Warning), "once a minute", "/proc");
}

#[test]
fn a_port_that_cannot_be_had_or_does_not_answer_says_why() {
    let door = |door: Door| move |f: &mut Facts| f.listeners[1].door = door;
    finds(door(Door::Taken), (Ports, Problem), "another program", "ss -ltnp 'sport = :40001'");
    finds(door(Door::NotOurs), (Ports, Problem), "does not have", "ip -brief address");
    finds(door(Door::Forbidden), (Ports, Problem), "below 1024", "--port-base");
    finds(door(Door::Unusable("why".into())), (Ports, Problem), "why", "--port-base");
    finds(door(Door::Silent("late".into())), (Ports, Problem), "late", "firewall");
    assert!(found(door(Door::Free)).is_empty());
    assert!(found(|f| f.listeners.clear()).is_empty(), "free ones are taken");
    let tracker = |f: &mut Facts| {
        f.role = Role::Tracker;
        f.trackers.clear();
        f.listeners[0].door = Door::Taken;
    };
    assert!(found(tracker)[0].todo.contains("--listen"));
}

#[test]
fn an_address_that_others_cannot_reach_is_told() {
    let listen = |text: &'static str| move |f: &mut Facts| f.addresses.listen = ip(text);
    finds(listen("127.0.0.1"), (Addr, Warning), "only programs on this machine", "--listen");
    finds(listen("10.9.9.9"), (Addr, Problem), "none of them", "ip -brief address");
    assert!(found(listen("192.168.1.7")).is_empty() && found(listen("::")).is_empty());
    let here = |f: &mut Facts| {
        f.addresses.listen = ip("127.0.0.1");
        let Call::Answered(answered) = &mut f.trackers[0].call else { panic!() };
        answered.at = at("127.0.0.1:12345");
    };
    assert!(found(here).is_empty(), "all of the swarm is on this machine");
    let hub = |node: &'static str| {
        move |f: &mut Facts| {
            (f.role, f.addresses.listen) = (Role::Tracker, ip("127.0.0.1"));
            f.trackers.clear();
            f.nodes.iter_mut().for_each(|met| met.addr = at(node));
        }
    };
    assert!(found(hub("127.0.0.1:3")).is_empty(), "a tracker, too");
    finds(hub("192.168.1.8:3"), (Addr, Warning), "only programs on this machine", "--listen");
    finds(|f| f.addresses.interfaces.truncate(1), (Addr, Problem), "no network", "connect");
    let bridge = |f: &mut Facts| f.addresses.interfaces[1].name = "docker0".into();
    finds(bridge, (Addr, Warning), "bridges", "--advertise");
}

#[test]
fn what_is_advertised_counts_only_when_a_tracker_lists_it() {
    let advertise =
        |text: &'static str| move |f: &mut Facts| f.addresses.advertise = Some(ip(text));
    finds(advertise("203.0.113.9"), (Addr, Warning), "did not meet it", "--port-base");
    assert!(found(advertise("192.168.1.7")).is_empty());
}

#[test]
fn a_container_off_its_trackers_network_must_say_its_hosts_address() {
    let contained = |f: &mut Facts| {
        f.addresses.container = true;
        f.addresses.interfaces[1].ip = ip("172.17.0.2");
    };
    finds(contained, (Addr, Warning), "container's own address", "--network host");
    let near = |f: &mut Facts| {
        contained(f);
        f.addresses.interfaces[1] = interface("eth0", "192.160.0.2", 12);
    };
    assert!(found(near).is_empty(), "192.160.0.0/12 has the tracker in it");
}

#[test]
fn a_key_file_is_judged_by_what_is_in_it_and_who_can_read_it() {
    let key = |state: KeyState| {
        move |f: &mut Facts| {
            f.swarm_key = SwarmKey::File(KeyFile { path: "/etc/swarm.key".into(), state });
        }
    };
    finds(key(KeyState::Missing), (Key, Problem), "no such file", "parvi key > /etc/swarm.key");
    finds(key(KeyState::Open(0o644)), (Key, Warning), "others", "chmod 600 /etc/swarm.key");
    finds(key(KeyState::Malformed), (Key, Problem), "64 hex digits", "copy it again");
    finds(key(KeyState::Unreadable("no".into())), (Key, Problem), "no", "a copy of your own");
    let own = |state: KeyState| move |f: &mut Facts| f.identity.state = state;
    finds(
        own(KeyState::Malformed),
        (Key, Problem),
        "nothing starts",
        "mv /home/alice/parvi/.parvi/id",
    );
    finds(own(KeyState::Missing), (Key, Warning), "new node", "backup");
    finds(own(KeyState::Open(0o640)), (Key, Warning), "others", "chmod 600");
    finds(own(KeyState::Unreadable("no".into())), (Key, Problem), "no", "run it as its owner");
    let first = |f: &mut Facts| (f.running, f.identity.state) = (false, KeyState::Missing);
    assert!(found(first).is_empty(), "the first start makes it");
    assert!(found(|f| f.swarm_key = SwarmKey::None).is_empty());
}

#[test]
fn a_tracker_that_does_not_answer_says_which_of_the_many_reasons_it_is() {
    let hub = at("192.168.1.5:12345");
    let no_way = |why| Call::NoWay(hub, why);
    let table = [
        (Call::Late, "three seconds", "ping hub.lan"),
        (Call::NoName("not known".into()), "not known", "getent hosts hub.lan"),
        (no_way(Unreachable::Refused), "nothing listens on port 12345", "--listen 0.0.0.0:12345"),
        (no_way(Unreachable::Silent), "firewall", "12345/tcp"),
        (no_way(Unreachable::NoRoute), "no way", "ip route get hub.lan"),
        (no_way(Unreachable::Other("odd".into())), "odd", "ping"),
        (Call::NotParvi(hub), "no parvi", "ready tracker"),
        (Call::NotATracker(hub), "a node", "ready tracker"),
        (Call::Version { ours: 2, theirs: 3 }, "protocol 3, this program 2", "here"),
        (Call::Version { ours: 3, theirs: 2 }, "protocol 2", "there"),
        (Call::KeysDiffer, "another swarm key", "scp hub.lan:/etc/swarm.key /etc/swarm.key"),
        (Call::KeyOnlyThere, "cannot be used", "first"),
        (Call::KeyOnlyHere, "has no swarm key", "--swarm-key-file"),
        (Call::Busy, "no connection left", "stats"),
        (Call::Failed("broken".into()), "broken", "ss -ltnp on hub.lan"),
    ];
    for (call, wrong, todo) in table {
        finds(|f| f.trackers[0].call = call, (Check::Tracker, Problem), wrong, todo);
    }
    let open = |f: &mut Facts| {
        f.swarm_key = SwarmKey::None;
        f.trackers[0].call = Call::KeyOnlyThere;
    };
    finds(open, (Check::Tracker, Problem), "here none is used", "--swarm-key-file swarm.key");
    finds(|f| f.trackers.clear(), (Check::Tracker, Warning), "nobody finds", "--tracker");
}

#[test]
fn a_registration_that_is_missing_or_was_never_called_back_is_told() {
    fn registered(f: &mut Facts) -> &mut Registered {
        f.trackers[0].registered.as_mut().unwrap()
    }
    let refused =
        |f: &mut Facts| (registered(f).since, registered(f).reason) = (None, "in use".into());
    finds(refused, (Check::Tracker, Warning), "in use", "tries again by itself");
    let twins = |f: &mut Facts| {
        refused(f);
        registered(f).in_use = true;
    };
    finds(twins, (Check::Tracker, Problem), "in use", ".parvi/id");
    let silent = |f: &mut Facts| registered(f).called_back = false;
    finds(silent, (Check::Tracker, Warning), "call this node back", "--port-base");
    let fresh = |f: &mut Facts| {
        silent(f);
        registered(f).since = Some(Duration::from_secs(3));
    };
    assert!(found(fresh).is_empty(), "it may still call");
    let slow = |f: &mut Facts| {
        let Call::Answered(answered) = &mut f.trackers[0].call else { panic!() };
        answered.took = Duration::from_secs(2);
    };
    finds(slow, (Check::Tracker, Warning), "slowly", "ping");
}

#[test]
fn one_node_that_is_missed_is_its_own_matter_and_all_of_them_are_ours() {
    let missed = |n: usize| {
        move |f: &mut Facts| {
            f.nodes[..n].iter_mut().for_each(|node| node.failed = Some("refused".into()));
        }
    };
    finds(missed(1), (Nodes, Warning), "refused", "parvi doctor");
    finds(missed(2), (Nodes, Problem), "no node at all", "nft");
    let only = |f: &mut Facts| {
        missed(1)(f);
        f.nodes.truncate(1);
    };
    finds(only, (Nodes, Warning), "refused", "parvi doctor");
    assert!(found(|f| f.nodes.clear()).is_empty(), "alone is not ill");
}

#[test]
fn a_shell_reads_a_typed_word_as_it_was() {
    let words =
        ["", "plain/path-1.txt", "two words", "$HOME", "`id`", "$(id)", "a'b", "a\"b", "a\\b"]
            .into_iter()
            .chain([
                "~", "~root", "*", "?", "[a]", "{a,b}", "a;b", "a&b", "a|b", "#a", "!a", "a\nb",
                "=a",
            ]);
    for word in words.chain(["%n", "(a)", "<a>", "\t", "\u{e4}", "''", "'\\''"]) {
        let line = format!("printf %s {}", typed(word));
        let said = std::process::Command::new("sh").arg("-c").arg(&line).output().unwrap();
        assert_eq!(String::from_utf8(said.stdout).unwrap(), word, "{line}");
    }
}
