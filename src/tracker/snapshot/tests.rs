use std::fs;

use crossbeam_channel::bounded;

use super::super::sessions::Sessions;
use super::*;
use crate::base::{NodeId, Ports};
use crate::logic::registry::SessionToken;
use crate::wire::Message;
use crate::wire::message::copies::Offer;
use crate::wire::message::tracker::{Register, Stamp};

/// A tracker's decisions, without its threads.
fn service(registry: Registry) -> Service {
    Service::new(registry, Arc::new(Sessions::new().unwrap()), bounded(1).0)
}

fn join(service: &Service, n: u8) {
    let register = Register {
        instance: 1,
        label: "alice".parse().unwrap(),
        ports: Ports { search: 1, size: 2, chunk: 3 },
        advertise: None,
        heartbeat_s: 10,
        catalogue: Stamp::default(),
        offer: Offer::default(),
    };
    let (session, id) = (SessionToken(n.into()), NodeId::from_bytes([n; 32]));
    let asker = super::super::service::Asker { session, id, ip: [10, 0, 0, n].into() };
    let (answer, _) = service.answer(asker, register.into());
    assert!(matches!(answer, Message::Registered(_)), "{answer:?}");
    assert!(service.notices.next().unwrap().contains("joined"));
}

fn keeper(path: &Path) -> Keeper {
    let retry = Backoff::new(EVERY, RETRY_MAX);
    Keeper { path: path.to_owned(), written: 0, told: false, retry }
}

#[test]
fn it_is_written_when_something_has_changed_and_read_again() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("index");
    let Loaded { registry, words } = load(&path, clock::now(), Policy::default());
    assert_eq!((registry.stale(), words), (0, None), "a first start has nothing to say");
    let (service, mut keeper) = (service(registry), keeper(&path));
    keeper.keep(&service, &|| false);
    assert!(!path.exists(), "nothing has changed");
    join(&service, 1);
    keeper.keep(&service, &|| true);
    assert!(!path.exists() && fs::read_dir(home.path()).unwrap().count() == 0, "it was given up");
    keeper.keep(&service, &|| false);
    let first = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    keeper.keep(&service, &|| false);
    assert!(!path.exists(), "nothing has changed since");
    join(&service, 2);
    keeper.keep(&service, &|| false);
    assert_ne!(fs::read(&path).unwrap(), first);
    let Loaded { registry, words } = load(&path, clock::now(), Policy::default());
    assert_eq!(registry.stale(), 2);
    let words = words.unwrap();
    assert!(words.contains("2 nodes from before") && words.contains("stale"), "{words}");
}

#[test]
fn what_cannot_be_used_is_kept_aside_and_told_and_the_tracker_starts_empty() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("index");
    fs::write(&path, "a letter to grandma").unwrap();
    let Loaded { registry, words } = load(&path, clock::now(), Policy::default());
    assert_eq!(registry.stale(), 0);
    let words = words.unwrap();
    assert!(words.contains("no index of parvi") && words.contains("index.bad"), "{words}");
    assert_eq!(fs::read(home.path().join("index.bad")).unwrap(), b"a letter to grandma");
    assert!(load(&path, clock::now(), Policy::default()).words.is_none());
    // What the disk does not give at all: a folder stands for it.
    fs::create_dir(&path).unwrap();
    assert!(load(&path, clock::now(), Policy::default()).words.unwrap().contains("cannot be read"));
}

#[test]
fn what_cannot_be_written_is_told_once_and_tried_again_and_what_was_there_stays() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("private");
    let path = folder.join("index");
    let (service, mut keeper) =
        (service(load(&path, clock::now(), Policy::default()).registry), keeper(&path));
    join(&service, 1);
    let waits: Vec<_> = (0..10).map(|_| keeper.keep(&service, &|| false)).collect();
    assert!(waits[0] <= EVERY && waits[9] >= RETRY_MAX / 2, "{waits:?}");
    let words = service.notices.next().unwrap();
    assert!(words.contains("cannot write the index") && words.contains("tried again"), "{words}");
    fs::create_dir(&folder).unwrap();
    assert!(keeper.keep(&service, &|| false) < RETRY_MAX / 2, "it is on the disk");
    assert_eq!(
        load(&path, clock::now(), Policy::default()).registry.stale(),
        1,
        "it was not tried again"
    );
    // A later failure is news again.
    fs::remove_dir_all(&folder).unwrap();
    join(&service, 2);
    keeper.keep(&service, &|| false);
    service.notices.close();
    assert!(service.notices.next().unwrap().contains("cannot write the index"));
    assert_eq!(service.notices.next(), None, "told once each");
}
