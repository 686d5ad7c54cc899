//! A shared file is edited, cut, replaced and deleted while it is served: nobody gets a wrong one.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use parvi::base::{FaultKind, Rate, Root};
use parvi::io::threads::StopToken;
use parvi::node::view::{FileRow, Listing};

use super::swarm::{LONG, Swarm, bytes, download_equal, name, soak, until};

const SIZE: usize = 800 * 1024;
/// Downloads at a time.
const AT_ONCE: usize = 10;

/// One change of the file at `path`; some of them can be seen half done.
fn change(path: &Path, n: u64) {
    let aside = path.with_extension("part");
    match n % 5 {
        0 => fs::write(path, bytes(SIZE, n)).unwrap(),
        1 => {
            fs::write(&aside, bytes(SIZE, n)).unwrap();
            fs::rename(&aside, path).unwrap();
        }
        2 => {
            let file = OpenOptions::new().write(true).open(path);
            file.unwrap().write_all_at(&bytes(4_096, n), 300_000 + n * 7 % 400_000).unwrap();
        }
        3 => File::options().write(true).open(path).unwrap().set_len(SIZE as u64 / 2).unwrap(),
        _ => {
            fs::remove_file(path).unwrap();
            fs::write(&aside, bytes(SIZE, n)).unwrap();
            fs::rename(&aside, path).unwrap();
        }
    }
}

#[test]
fn no_download_of_a_file_that_changes_all_the_time_is_ever_wrong() {
    let swarm = Swarm::new();
    let mut config = swarm.config("alice");
    config.up = Some(Rate::per_second(12 << 20));
    let alice = swarm.sharing_with(&config, &[("film", &bytes(SIZE, 0))]);
    let (path, stop) = (swarm.data("alice").join("shared/film"), StopToken::new());
    let (next, arrived, total) = (AtomicUsize::new(0), AtomicUsize::new(0), soak(300));
    std::thread::scope(|scope| {
        let loads: Vec<_> = (0..AT_ONCE)
            .map(|_| {
                scope.spawn(|| {
                    while let n = next.fetch_add(1, Relaxed)
                        && n < total
                    {
                        arrived.fetch_add(usize::from(get_one(&swarm, n)), Relaxed);
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            for n in 1.. {
                change(&path, n);
                // Seen by the index, then changed at any moment of what is being served.
                let indexed = || alice.list(Listing::Local).iter().any(|row| is_there(row, &path));
                while !indexed() && !stop.wait(Duration::from_millis(10)) {}
                if stop.wait(Duration::from_millis(n * 37 % 400)) {
                    return;
                }
            }
        });
        let ended: Vec<_> = loads.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        stop.stop();
        ended.into_iter().for_each(|end| end.unwrap());
    });
    let arrived = arrived.into_inner();
    eprintln!("{arrived} of {total} arrived whole, the others were told why not");
    assert!(arrived >= total / 5, "only {arrived} of {total} arrived");
    // She goes on: what lies there in the end is indexed, served, and nobody bears a grudge.
    let last = bytes(SIZE, 77);
    fs::write(&path, &last).unwrap();
    until("alice has indexed the last one", LONG, || {
        let rows = alice.list(Listing::Local);
        rows.iter().any(|row| row.name == name("film") && row.root == Root::of(&last))
    });
    download_equal(&swarm.node("carol"), "film", &last);
}

/// Whether the index has the file as it is now.
fn is_there(row: &FileRow, path: &Path) -> bool {
    row.name == name("film") && fs::read(path).is_ok_and(|now| Root::of(&now) == row.root)
}

/// One download into a folder of its own; whether it arrived. It must be right then.
fn get_one(swarm: &Swarm, n: usize) -> bool {
    let out = swarm.dir.path().join(format!("out{n}"));
    let got = loop {
        match swarm.get("film", &out, Duration::from_millis(400)) {
            // Between two versions nobody has it: that was no download.
            Err(fault) if fault.kind == FaultKind::NotFound => {}
            got => break got,
        }
    };
    let arrived = match got {
        Ok(reports) => {
            let content = fs::read(out.join("film")).unwrap();
            assert_eq!(Root::of(&content), reports[0].root, "a wrong file has the final name");
            true
        }
        Err(fault) => {
            assert!(!out.join("film").exists(), "{fault}, but there is a final name");
            assert_ne!(fault.kind, FaultKind::Integrity, "the owner is blamed: {fault}");
            false
        }
    };
    fs::remove_dir_all(&out).ok();
    arrived
}
