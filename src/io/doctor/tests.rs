//! What is seen, of things that are made here: folders, ports, listeners.

use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::base::NodeId;
use crate::io::clock::now;
use crate::io::link::{Bulk, LinkConfig, StaticKey, SwarmKey};
use crate::io::listen::{self, Handler, Listener, ServeLimits};
use crate::io::threads::{Group, StopToken};
use crate::logic::doctor::{Call, Door, KeyState, Unreachable};
use crate::wire::message::tracker::{Refused, Why};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const LONG: Duration = Duration::from_secs(30);

fn calls(key: Option<SwarmKey>) -> Calls {
    Calls::new(LOOPBACK, key, Group::new("test")).unwrap()
}

/// Serves what a node's listener answers to a question that is not for it.
struct Somebody {
    id: NodeId,
    port: u16,
    stop: StopToken,
    group: Group,
}

impl Somebody {
    fn with(key: Option<SwarmKey>) -> Somebody {
        let own = StaticKey::generate().unwrap();
        let (id, group, stop) = (own.public(), Group::new("somebody"), StopToken::new());
        let config = Arc::new(LinkConfig::new(own, key, Bulk::Private));
        let listener = Listener::bind((LOOPBACK, 0).into()).unwrap();
        let port = listener.local_addr().port();
        let limits = ServeLimits { connections_max: 8, pending_max: 8 };
        let refuse: Handler = Arc::new(|mut link| {
            link.recv(LONG).ok();
            link.send(Refused::new(Why::Unexpected, "not here")).ok();
        });
        listen::serve(listener, "test", limits, config, &group, &stop, refuse).unwrap();
        Somebody { id, port, stop, group }
    }
}

impl Drop for Somebody {
    fn drop(&mut self) {
        self.stop.stop();
        assert_eq!(self.group.join_all(LONG), Vec::<String>::new());
    }
}

/// How a call to this tracker goes.
fn call_to(name: &str, key: Option<SwarmKey>) -> Call {
    let names = [name.to_owned()];
    calls(key).trackers(&names, None, now() + LONG).wait().remove(0).call
}

#[test]
fn a_data_directory_is_looked_at_and_nothing_is_made_there() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("not/yet");
    let seen = disk(&data);
    assert!(!seen.exists && seen.unknown.is_none() && seen.total >= seen.free, "{seen:?}");
    assert!(!data.exists() && !home.path().join("not").exists());
    assert_eq!(disk(std::path::Path::new("not-here")).unknown, None, "it would be made here");

    let parts = data.join(".parvi/parts");
    std::fs::create_dir_all(&parts).unwrap();
    std::fs::write(parts.join("a.part"), vec![7; 100_000]).unwrap();
    let mode = |mode| std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(data.join(".parvi"), mode(0o750)).unwrap();
    let seen = disk(&data);
    assert_eq!((seen.exists, seen.open_mode, seen.parts), (true, Some(0o750), 1));
    std::fs::set_permissions(data.join(".parvi"), mode(0o700)).unwrap();
    assert_eq!(disk(&data).open_mode, None);

    let file = home.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(disk(&file.join("data")).unknown.is_some_and(|why| why.contains("not a folder")));
}

#[test]
fn files_from_the_future_and_folders_are_counted() {
    let data = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(data.path().join("shared/a/b")).unwrap();
    for (name, ahead) in [("now", 0), ("soon", 60), ("late", 10_000), ("a/b/later", 100_000)] {
        let path = data.path().join("shared").join(name);
        std::fs::write(&path, "").unwrap();
        let time = std::fs::metadata(&path).unwrap().modified().unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(time + Duration::from_secs(ahead)).unwrap();
    }
    let (clock, limits) = clock_and_limits(data.path(), Some(&Started::now()));
    let future = clock.future.unwrap();
    assert_eq!(future.files, 2, "{future:?}");
    assert!(future.path.ends_with("a/b/later"), "{future:?}");
    assert!(future.ahead > Duration::from_secs(90_000) && clock.jumped_s == Some(0), "{future:?}");
    assert_eq!(limits.folders, 3, "shared, a and b");
    assert!(limits.files_open > 2 && limits.watches.is_some());
}

#[test]
fn a_key_file_is_seen_as_it_is() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("key");
    let state = || key_file(&path).state;
    assert_eq!(state(), KeyState::Missing);
    std::fs::write(&path, "secret\n").unwrap();
    assert_eq!(state(), KeyState::Malformed);
    std::fs::write(&path, SwarmKey::generate().unwrap().to_hex().as_str()).unwrap();
    let mode = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode));
    mode(0o640).unwrap();
    assert_eq!(state(), KeyState::Open(0o640));
    mode(0o600).unwrap();
    assert_eq!(state(), KeyState::Fine);
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert!(matches!(state(), KeyState::Unreadable(_) | KeyState::Malformed), "{:?}", state());
}

#[test]
fn a_port_is_free_taken_or_not_ours_and_free_again_afterwards() {
    let doors = |listen: &str, base| -> Vec<Door> {
        free_ports(listen.parse().unwrap(), base).into_iter().map(|l| l.door).collect()
    };
    // An address of this process alone: nobody else takes the port in between.
    let [.., third, fourth] = std::process::id().to_be_bytes();
    let own = IpAddr::from([127, 77, third, fourth]);
    let held = Listener::bind((own, 0).into()).unwrap();
    let port = held.local_addr().port();
    assert_eq!(doors(&own.to_string(), port)[0], Door::Taken);
    assert_eq!(doors("192.0.2.1", port)[0], Door::NotOurs);
    drop(held);
    assert_eq!(doors(&own.to_string(), port)[0], Door::Free);
    assert_eq!(doors(&own.to_string(), port)[0], Door::Free, "it was given back");
    assert!(addresses(LOOPBACK, None).interfaces.iter().any(|i| i.ip == LOOPBACK && i.prefix == 8));
}

#[test]
fn who_answers_in_a_trackers_place_is_told_apart() {
    let key = || SwarmKey::generate().unwrap();
    let (open, closed) = (Somebody::with(None), Somebody::with(Some(key())));
    let at = |somebody: &Somebody| format!("127.0.0.1:{}", somebody.port);
    assert!(matches!(call_to(&at(&open), None), Call::NotATracker(_)));
    assert_eq!(call_to(&at(&open), Some(key())), Call::KeyOnlyHere);
    assert_eq!(call_to(&at(&closed), None), Call::KeyOnlyThere);
    assert_eq!(call_to(&at(&closed), Some(key())), Call::KeysDiffer);
    assert!(matches!(call_to("127.0.0.1:1", None), Call::NoWay(_, Unreachable::Refused)));
    assert!(matches!(call_to("no such host.invalid:1", None), Call::NoName(_)));
}

#[test]
fn listeners_answer_only_as_whom_they_should_be() {
    let somebody = Somebody::with(None);
    let calls = calls(None);
    let look = |id| {
        let ports = [("chunk", somebody.port)];
        calls.listeners((id, LOOPBACK), LOOPBACK, &ports, now() + LONG).wait().remove(0).door
    };
    assert_eq!(look(somebody.id), Door::Serves);
    let other = StaticKey::generate().unwrap().public();
    assert!(matches!(look(other), Door::Silent(why) if why.contains("was expected")));
}

#[test]
fn one_who_says_nothing_is_late_and_until_it_has_ended_no_other_call_begins() {
    let silent = Listener::bind((LOOPBACK, 0).into()).unwrap();
    let calls = calls(None);
    let first = calls.begin();
    assert!(first.is_some() && calls.begin().is_none(), "one at a time");
    drop(first);
    let name = [silent.local_addr().to_string()];
    let going = calls.trackers(&name, None, now() + Duration::from_millis(700));
    assert!(calls.begin().is_none(), "a call goes on");
    assert_eq!(going.wait()[0].call, Call::Late);
    while calls.begin().is_none() {
        std::thread::yield_now();
    }
}
