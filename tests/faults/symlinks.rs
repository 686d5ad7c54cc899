//! Symlinks in the shared folder lead nowhere; symlinks raced into `downloaded/` lead nothing out.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicU64, Ordering};

use parvi::io::threads::StopToken;
use parvi::node::view::From;

use super::swarm::{LONG, Swarm, name, soak, tree, write};

#[test]
fn symlinks_in_the_shared_folder_are_not_served() {
    let swarm = Swarm::new();
    let outside = swarm.dir.path().join("outside");
    write(&outside.join("secret"), b"secret");
    let shared = swarm.data("alice").join("shared");
    write(&shared.join("film"), b"seven samurai");
    symlink(outside.join("secret"), shared.join("file")).unwrap();
    symlink(&outside, shared.join("folder")).unwrap();
    symlink("../../outside/secret", shared.join("relative")).unwrap();
    symlink("film", shared.join("twin")).unwrap();
    symlink("../.parvi/id", shared.join("id")).unwrap();
    symlink(".", shared.join("loop")).unwrap();
    let alice = swarm.sharing("alice", &[("film", b"seven samurai")]);
    let carol = swarm.node("carol");
    for hidden in ["file", "folder", "folder/secret", "relative", "twin", "id", "loop", "loop/film"]
    {
        assert!(carol.lookup(&name(hidden)).is_err(), "{hidden} is served");
    }
    assert_eq!(alice.stats().files, 1);
}

#[test]
fn a_file_that_becomes_a_symlink_while_it_is_served_shows_nothing() {
    let swarm = Swarm::new();
    let secret = swarm.dir.path().join("secret");
    write(&secret, b"seven secrets");
    let _alice = swarm.sharing("alice", &[("film", b"seven samurai")]);
    let path = swarm.data("alice").join("shared/film");
    fs::remove_file(&path).unwrap();
    symlink(&secret, &path).unwrap();
    let out = swarm.dir.path().join("out");
    let got = swarm.get("film", &out, std::time::Duration::from_millis(300));
    assert!(got.is_err(), "{got:?}");
    assert!(!out.join("film").exists());
}

#[test]
fn a_parent_that_flips_between_folder_and_symlink_leads_nothing_out() {
    let swarm = Swarm::new();
    let count = soak(240);
    let files: Vec<String> = (0..count).map(|n| format!("d/e/f{n}")).collect();
    let shared: Vec<(&str, &[u8])> = files.iter().map(|f| (f.as_str(), f.as_bytes())).collect();
    swarm.sharing("alice", &shared);
    let carol = swarm.node("carol");
    let outside = swarm.dir.path().join("outside");
    fs::create_dir_all(outside.join("e")).unwrap();
    let downloaded = swarm.data("carol").join("downloaded");
    let (flip, aside) = (downloaded.join("d"), swarm.dir.path().join("aside"));
    fs::create_dir_all(flip.join("e")).unwrap();
    let (stop, flips, allowed) = (StopToken::new(), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let flipping = scope.spawn(|| {
            while !stop.is_stopped() {
                if flips.load(Ordering::Relaxed) >= allowed.load(Ordering::Relaxed) {
                    std::thread::yield_now();
                    continue;
                }
                // The folder goes aside, the symlink takes its place, and back; a folder that a
                // download made meanwhile is in the way of the latter.
                if fs::rename(&flip, &aside).is_ok() {
                    symlink(&outside, &flip).ok();
                    fs::remove_file(&flip).ok();
                    flips.fetch_add(1, Ordering::Relaxed);
                }
                if aside.exists() {
                    fs::remove_dir_all(&flip).ok();
                    fs::rename(&aside, &flip).ok();
                }
            }
        });
        // However busy the machine is: the folder flips a few times for every file.
        let flip_on = || allowed.fetch_add(4, Ordering::Relaxed);
        for some in files.chunks(8) {
            flip_on();
            let begin = |f: &String| carol.download(&name(f), From::All).unwrap();
            let ids: Vec<u64> = some.iter().map(begin).collect();
            for id in ids {
                // Some find their parent gone and fail; that is their right.
                carol.wait(id, LONG).ok();
                flip_on();
            }
            while flips.load(Ordering::Relaxed) < allowed.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
        }
        stop.stop();
        flipping.join().unwrap();
    });
    let flips = flips.into_inner();
    let arrived = tree(&downloaded).iter().filter(|p| p.is_file()).count();
    eprintln!("{flips} flips, {arrived} of {count} arrived");
    assert!(arrived > 0, "the race was never run");
    assert!(flips > 100, "{flips} flips only");
    let outside: Vec<_> = tree(&outside).into_iter().filter(|p| p.is_file()).collect();
    assert!(outside.is_empty(), "{outside:?} were written outside");
}
