//! Whom it belongs with: keys, trackers, other nodes.

use std::time::Duration;

use super::facts::{
    Answered, Call, Facts, KeyFile, KeyState, Registered, Role, SwarmKey, Tracker, Unreachable,
};
use super::place::{as_owner, span};
use super::{Check, Finding, Level, typed};

/// A tracker calls a node back at once, and again after ten seconds.
const CALL_BACK_TIME: Duration = Duration::from_secs(15);
/// A call that takes longer makes every search slow.
const SLOW: Duration = Duration::from_millis(1_000);

pub(super) fn keys(facts: &Facts) -> Vec<Finding> {
    let mut found = vec![identity(facts)];
    found.push(match &facts.swarm_key {
        SwarmKey::None => {
            Finding::ok(Check::Key, "no swarm key: whoever reaches the tracker is in")
        }
        SwarmKey::Given => Finding::ok(Check::Key, "a swarm key is used"),
        SwarmKey::File(file) => swarm_key(file),
    });
    found
}

fn identity(facts: &Facts) -> Finding {
    let KeyFile { path, state } = &facts.identity;
    let seen = format!("identity in {path}");
    match state {
        KeyState::Fine => Finding::ok(Check::Key, seen),
        KeyState::Missing if facts.running => Finding::warning(
            Check::Key,
            seen,
            "it has gone: the next start makes another one, and is a new node to everybody",
            "leave .parvi alone; a copy of the file from a backup is the same node again",
        ),
        KeyState::Missing => Finding::ok(Check::Key, format!("{seen}: made at the first start")),
        KeyState::Open(mode) => open_file(path, *mode),
        KeyState::Unreadable(why) => {
            let data = typed(&facts.disk.path);
            let todo = format!("run it as its owner: {}", as_owner(&data, &data));
            Finding::problem(Check::Key, seen, format!("it cannot be read: {why}"), todo)
        }
        KeyState::Malformed => Finding::problem(
            Check::Key,
            seen,
            "there is no key of 64 hex digits in it, and nothing starts with that",
            format!(
                "put a copy of it back; or move it away, and be a new node: mv {0} {0}.bad",
                typed(path)
            ),
        ),
    }
}

fn swarm_key(file: &KeyFile) -> Finding {
    let KeyFile { path, state } = file;
    let seen = format!("swarm key in {path}");
    match state {
        KeyState::Fine => Finding::ok(Check::Key, seen),
        KeyState::Missing => Finding::problem(
            Check::Key,
            seen,
            "there is no such file",
            format!(
                "copy it from a machine of the swarm; the first one makes it: parvi key > {}",
                typed(path)
            ),
        ),
        KeyState::Open(mode) => open_file(path, *mode),
        KeyState::Unreadable(why) => {
            // Whoever uses it now is to go on with it.
            let todo = format!(
                "run it as the key's owner; or have a copy of your own: sudo install -m 600 -o \"$USER\" {} \
                 swarm.key",
                typed(path)
            );
            Finding::problem(Check::Key, seen, format!("it cannot be read: {why}"), todo)
        }
        KeyState::Malformed => Finding::problem(
            Check::Key,
            seen,
            "there is no key of 64 hex digits in it",
            "copy it again from a machine of the swarm, whole, with no other line",
        ),
    }
}

fn open_file(path: &str, mode: u32) -> Finding {
    let seen = format!("{path} has mode {mode:o}");
    Finding::warning(
        Check::Key,
        seen,
        "others can read the key",
        format!("chmod 600 {}", typed(path)),
    )
}

pub(super) fn no_tracker(facts: &Facts) -> Option<Finding> {
    (facts.role == Role::Node && facts.trackers.is_empty()).then(|| {
        Finding::warning(
            Check::Tracker,
            "no tracker is given",
            "nobody finds this node, and it finds nobody",
            "start it with --tracker HOST:PORT; a tracker is started with: parvi tracker",
        )
    })
}

pub(super) fn tracker(facts: &Facts, tracker: &Tracker) -> Finding {
    let name = &tracker.name;
    match &tracker.call {
        Call::Answered(answered) => answered_by(tracker, answered),
        call => {
            let (wrong, todo) = unanswered(facts, name, call);
            Finding::problem(Check::Tracker, format!("tracker {name}"), wrong, todo)
        }
    }
}

/// What is wrong, and what to do, where a tracker gave no answer.
fn unanswered(facts: &Facts, name: &str, call: &Call) -> (String, String) {
    let host = name.rsplit_once(':').map_or(name, |(host, _)| host);
    let key_file = match &facts.swarm_key {
        SwarmKey::File(file) => typed(&file.path),
        _ => "swarm.key".into(),
    };
    match call {
        Call::Answered(_) => (String::new(), String::new()),
        Call::Late => (
            "there was no whole answer within three seconds".into(),
            format!("ping {host} shows the way there; then try again"),
        ),
        Call::NoName(why) => (
            format!("its name means no address: {why}"),
            format!("getent hosts {host} shows what it means; correct it, or give the address"),
        ),
        Call::NoWay(at, why) => no_way(host, at.port(), why),
        Call::NotParvi(at) => (
            format!("what answers at {at} is no parvi"),
            "compare host and port with the tracker's line: ready tracker listen=IP:PORT".into(),
        ),
        Call::NotATracker(at) => (
            format!("what answers at {at} is a node, and not a tracker"),
            "compare host and port with the tracker's line: ready tracker listen=IP:PORT".into(),
        ),
        Call::Version { ours, theirs } => (
            format!("it is of another version: it speaks protocol {theirs}, this program {ours}"),
            match theirs > ours {
                true => "install its version here: parvi --version shows the one in use".into(),
                false => format!("install this version there: parvi --version on {host}"),
            },
        ),
        Call::KeysDiffer => (
            "it has another swarm key".into(),
            format!("copy the swarm's key file here: scp {host}:{key_file} {key_file}"),
        ),
        Call::KeyOnlyThere if matches!(facts.swarm_key, SwarmKey::File(_)) => (
            "it has a swarm key, and the one here cannot be used".into(),
            "do what is said of the key first".into(),
        ),
        Call::KeyOnlyThere => (
            "it has a swarm key, and here none is used".into(),
            format!("copy the swarm's key file here, and give it: --swarm-key-file {key_file}"),
        ),
        Call::KeyOnlyHere => (
            "it has no swarm key, and here one is used".into(),
            "start it with the same --swarm-key-file; or this one without, in an open swarm".into(),
        ),
        Call::Busy => (
            "it has no connection left".into(),
            "parvi ctl --data DIR stats on its machine shows how many there are; try again later"
                .into(),
        ),
        Call::Failed(why) => (
            format!("the call failed: {why}"),
            format!("try again; ss -ltnp on {host} shows what is there"),
        ),
    }
}

fn no_way(host: &str, port: u16, why: &Unreachable) -> (String, String) {
    match why {
        Unreachable::Refused => (
            format!("nothing listens on port {port} there"),
            format!(
                "start it on {host}: parvi tracker --listen 0.0.0.0:{port}; or correct the port"
            ),
        ),
        Unreachable::Silent => (
            "it does not answer at all: it is down, or a firewall swallows the call".into(),
            format!(
                "ping {host}; on its machine: sudo ufw allow {port}/tcp, or what opens it there"
            ),
        ),
        Unreachable::NoRoute => (
            "there is no way to it from this machine".into(),
            format!("ip route get {host} shows the way; connect to its network"),
        ),
        Unreachable::Other(why) => {
            (why.clone(), format!("ping {host} shows whether it is there at all"))
        }
    }
}

fn answered_by(tracker: &Tracker, answered: &Answered) -> Finding {
    let Answered { at, took, nodes, .. } = answered;
    let seen = format!("tracker {} at {at}: {nodes} nodes, in {}", tracker.name, span(*took));
    match &tracker.registered {
        Some(Registered { since: None, reason, in_use: true, .. }) => Finding::problem(
            Check::Tracker,
            seen,
            format!("it answers, but this node is not registered there: {reason}"),
            "two nodes with a copied .parvi/id are one to it: the copy's owner moves it away, mv id id.copy \
             in .parvi, and is a node of its own",
        ),
        Some(Registered { since: None, reason, .. }) => Finding::warning(
            Check::Tracker,
            seen,
            format!("it answers, but this node is not registered there: {reason}"),
            "it tries again by itself; ask again in a minute",
        ),
        Some(Registered { since: Some(since), called_back: false, .. })
            if *since >= CALL_BACK_TIME =>
        {
            Finding::warning(
                Check::Tracker,
                format!("{seen}; registered for {}", span(*since)),
                "it could not call this node back: others cannot fetch from here",
                "open the three ports in the firewall (--port-base PORT keeps them the same); behind \
                 a router pass them on, and give --advertise IP",
            )
        }
        _ if *took > SLOW => Finding::warning(
            Check::Tracker,
            seen,
            "it answers slowly",
            "ping shows whether the way is slow; otherwise its machine is busy: top there",
        ),
        Some(Registered { since: Some(since), called_back, .. }) => {
            let back = if *called_back { ", and called back" } else { "" };
            Finding::ok(Check::Tracker, format!("{seen}; registered for {}{back}", span(*since)))
        }
        None => Finding::ok(Check::Tracker, seen),
    }
}

pub(super) fn nodes(facts: &Facts) -> Vec<Finding> {
    let (met, missed): (Vec<_>, Vec<_>) = facts.nodes.iter().partition(|n| n.failed.is_none());
    let seen =
        format!("{} of {} nodes called, {} met", facts.nodes.len(), facts.nodes_known, met.len());
    let mut found: Vec<Finding> = missed
        .iter()
        .map(|node| {
            let why = node.failed.as_deref().unwrap_or_default();
            Finding::warning(
                Check::Nodes,
                format!("node {} at {}", node.label, node.addr),
                format!("it cannot be reached: {why}; what only it has cannot be fetched"),
                "parvi doctor on its machine says why: a firewall, most often",
            )
        })
        .collect();
    if met.is_empty() && missed.len() > 1 {
        // All of them: that is this side's matter.
        found.clear();
        let wrong =
            "no node at all can be reached: a firewall here, or another network than theirs";
        let todo = "ping one of them; sudo nft list ruleset shows what is held up on the way out";
        found.push(Finding {
            level: Level::Problem,
            ..Finding::warning(Check::Nodes, seen, wrong, todo)
        });
    } else {
        found.insert(0, Finding::ok(Check::Nodes, seen));
    }
    found
}
